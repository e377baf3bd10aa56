//! The world: its struct, its way into a linker, and its instances.

use crate::imports::Imported;
use crate::names::{Given, camel, ident};
use crate::types::docs;
use crate::{Direction, Generator, Modules, Options, Placed, Scope, Used};
use anyhow::Result;
use indexmap::{IndexMap, IndexSet};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use wit_parser::{Resolve, TypeDefKind, WorldId, WorldItem};

impl<'a> Generator<'a> {
    pub(crate) fn new(options: &'a Options, resolve: &'a Resolve, world: WorldId) -> Result<Self> {
        let mut generator = Generator {
            options,
            resolve,
            world,
            modules: Modules::default(),
            imported: IndexMap::new(),
            exported: IndexMap::new(),
            info: IndexMap::new(),
            errors: IndexSet::new(),
            used: Used::default(),
            given: IndexMap::new(),
        };
        generator.place_interfaces();
        generator.look_at_types();
        Ok(generator)
    }

    /// Decides where the modules of all interfaces are.
    fn place_interfaces(&mut self) {
        let resolve = self.resolve;
        let world = &resolve.worlds[self.world];
        let directions = [
            (Direction::Import, &world.imports),
            (Direction::Export, &world.exports),
        ];
        for (direction, items) in directions {
            for (key, item) in items {
                let WorldItem::Interface { id, .. } = item else {
                    continue;
                };
                let path = self.module_path(key, direction);
                match direction {
                    Direction::Import => {
                        let names = self.interface_names(*id);
                        let replaced = self.used.with(self.options, &names);
                        let replaced = replaced.map(|path| self.give(&path, Given::Module));
                        self.imported.insert(*id, Placed { path, replaced });
                    }
                    Direction::Export => {
                        let placed = Placed {
                            path,
                            replaced: None,
                        };
                        self.exported.insert(*id, placed);
                    }
                }
            }
        }
    }

    /// Generates everything.
    pub(crate) fn world(&mut self) -> Result<()> {
        let imported: Vec<_> = self.imported.keys().copied().collect();
        for id in imported {
            self.import_interface(id)?;
        }
        let resolve = self.resolve;
        let world = &resolve.worlds[self.world];
        for (key, item) in &world.exports {
            if let WorldItem::Interface { id, .. } = item {
                self.export_interface(*id, &resolve.name_world_key(key))?;
            }
        }
        let linking = self.world_imports()?;
        let exports = self.world_exports(&linking)?;
        self.modules.add(&[], exports);
        Ok(())
    }

    /// Generates types and traits at the world itself. Returns its `add_to_linker`.
    fn world_imports(&mut self) -> Result<TokenStream> {
        let krate = self.options.krate.clone();
        let resolve = self.resolve;
        let world = &resolve.worlds[self.world];
        let scope = Scope {
            direction: Direction::Import,
            depth: 0,
            interface: None,
        };
        let mut imported = Imported {
            host: format_ident!("{}Imports", camel(&world.name)),
            functions: Vec::new(),
            resources: IndexMap::new(),
            scope: scope.clone(),
        };
        let mut items = TokenStream::new();
        for (key, item) in &world.imports {
            match item {
                WorldItem::Type { id, .. } => {
                    let name = resolve.name_world_key(key);
                    items.extend(self.type_item(&scope, &name, *id)?);
                    if matches!(resolve.types[*id].kind, TypeDefKind::Resource) {
                        imported.resources.insert(name, *id);
                    }
                }
                WorldItem::Function(function) => imported.functions.push(function),
                WorldItem::Interface { .. } => {}
            }
        }
        let mut bounds = Vec::new();
        let mut with_store = Vec::new();
        let mut calls = TokenStream::new();
        let interfaces: Vec<_> = self.imported.values().cloned().collect();
        for placed in &interfaces {
            let module = self.path_from(&scope, placed);
            bounds.push(quote!(#module::Host));
            with_store.push(quote!(#module::HostWithStore<T>));
            calls.extend(quote!(#module::add_to_linker::<T, D>(linker, host)?;));
        }
        let mut own = TokenStream::new();
        if !imported.functions.is_empty() || !imported.resources.is_empty() {
            let tokens = self.imports(&imported)?;
            let (host, store) = (&imported.host, &tokens.host_with_store);
            let (traits, definitions) = (&tokens.traits, &tokens.definitions);
            items.extend(quote!(#traits));
            own = quote! {
                /// Defines what the world itself imports in a linker.
                pub fn add_to_linker_imports<T, D>(
                    linker: &mut #krate::Linker<T>,
                    host: fn(&mut T) -> D::Data<'_>,
                ) -> #krate::Result<()>
                where
                    T: 'static,
                    D: #store<T>,
                    for<'a> D::Data<'a>: #host,
                {
                    let mut instance = linker.root();
                    #definitions
                    Ok(())
                }
            };
            bounds.push(quote!(#host));
            with_store.push(quote!(#store<T>));
            calls.extend(quote!(Self::add_to_linker_imports::<T, D>(linker, host)?;));
        }
        self.modules.add(&[], items);
        if bounds.is_empty() {
            return Ok(own);
        }
        Ok(quote! {
            #own

            /// Defines all that the world imports in a linker. `host` finds in the host's data
            /// what implements it.
            ///
            /// # Errors
            ///
            /// When something is defined already.
            pub fn add_to_linker<T, D>(
                linker: &mut #krate::Linker<T>,
                host: fn(&mut T) -> D::Data<'_>,
            ) -> #krate::Result<()>
            where
                T: 'static,
                D: #(#with_store)+*,
                for<'a> D::Data<'a>: #(#bounds)+*,
            {
                #calls
                Ok(())
            }
        })
    }

    /// Generates the structs of the world.
    fn world_exports(&mut self, linking: &TokenStream) -> Result<TokenStream> {
        let krate = self.options.krate.clone();
        let resolve = self.resolve;
        let world = &resolve.worlds[self.world];
        let scope = Scope {
            direction: Direction::Export,
            depth: 0,
            interface: None,
        };
        let mut functions = Vec::new();
        for item in world.exports.values() {
            if let WorldItem::Function(function) = item {
                functions.push(self.exported_function(&scope, function)?);
            }
        }
        let mut fields = TokenStream::new();
        let mut indices = TokenStream::new();
        let mut found = TokenStream::new();
        let mut loaded = TokenStream::new();
        let mut methods = TokenStream::new();
        for function in &functions {
            let (field, name) = (&function.field, &function.name);
            fields.extend(function.function_field(&krate));
            indices.extend(function.index_field(&krate));
            loaded.extend(function.loaded(&krate));
            methods.extend(function.methods.clone());
            found.extend(quote! {
                #field: #krate::__internal::export_index(pre.component(), None, #name)?,
            });
        }
        for (number, placed) in self.exported.values().enumerate() {
            let field = format_ident!("interface{number}");
            let module = self.path_from(&scope, placed);
            let accessor = ident(&placed.path[1..].join("_"));
            fields.extend(quote!(#field: #module::Guest,));
            indices.extend(quote!(#field: #module::GuestIndices,));
            found.extend(quote!(#field: #module::GuestIndices::new(pre)?,));
            loaded.extend(quote!(#field: self.#field.load(&mut store, instance)?,));
            methods.extend(quote! {
                /// Returns the functions of the interface.
                pub fn #accessor(&self) -> &#module::Guest {
                    &self.#field
                }
            });
        }
        let name = ident(&camel(&world.name));
        let (pre, all) = (format_ident!("{name}Pre"), format_ident!("{name}Indices"));
        let docs = docs(&world.docs);
        Ok(quote! {
            /// A component of the world whose imports are linked, to be instantiated any number of
            /// times.
            pub struct #pre<T: 'static> {
                instance_pre: #krate::InstancePre<T>,
                indices: #all,
            }

            impl<T: 'static> Clone for #pre<T> {
                fn clone(&self) -> Self {
                    Self {
                        instance_pre: self.instance_pre.clone(),
                        indices: self.indices.clone(),
                    }
                }
            }

            impl<T: 'static> #pre<T> {
                /// Finds what the world exports in a component.
                ///
                /// # Errors
                ///
                /// When the component does not export something.
                pub fn new(instance_pre: #krate::InstancePre<T>) -> #krate::Result<Self> {
                    let indices = #all::new(&instance_pre)?;
                    Ok(Self { instance_pre, indices })
                }

                /// Returns the engine.
                pub fn engine(&self) -> &#krate::Engine {
                    self.instance_pre.engine()
                }

                /// Returns the component without the world.
                pub fn instance_pre(&self) -> &#krate::InstancePre<T> {
                    &self.instance_pre
                }

                /// Instantiates the component.
                ///
                /// # Errors
                ///
                /// When that fails, or the type of an export differs.
                pub fn instantiate(
                    &self,
                    mut store: impl #krate::AsContextMut<Data = T>,
                ) -> #krate::Result<#name> {
                    let instance = self.instance_pre.instantiate(&mut store)?;
                    self.indices.load(&mut store, &instance)
                }
            }

            /// The places of the exports of the world in a component, found once by name.
            #[derive(Clone)]
            pub struct #all {
                #indices
            }

            impl #all {
                /// Finds what the world exports.
                ///
                /// # Errors
                ///
                /// When the component does not export something.
                #[allow(unused)]
                pub fn new<T>(pre: &#krate::InstancePre<T>) -> #krate::Result<Self> {
                    Ok(Self { #found })
                }

                /// Checks the types of what an instance exports.
                ///
                /// # Errors
                ///
                /// When one differs.
                #[allow(unused)]
                pub fn load(
                    &self,
                    mut store: impl #krate::AsContextMut,
                    instance: &#krate::Instance,
                ) -> #krate::Result<#name> {
                    Ok(#name { #loaded })
                }
            }

            #docs
            pub struct #name {
                #fields
            }

            impl #name {
                /// Instantiates a component of the world.
                ///
                /// # Errors
                ///
                /// When it imports what the linker does not have, when it does not export what the
                /// world does, or when instantiating it fails.
                pub fn instantiate<T: 'static>(
                    store: impl #krate::AsContextMut<Data = T>,
                    component: &#krate::Component,
                    linker: &#krate::Linker<T>,
                ) -> #krate::Result<Self> {
                    #pre::new(linker.instantiate_pre(component)?)?.instantiate(store)
                }

                #linking

                #methods
            }
        })
    }
}
