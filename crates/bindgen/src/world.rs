//! The world: what it imports, and its way into a linker.

use crate::names::{Modules, ident};
use crate::options::Options;
use crate::plan::{Placed, Plan};
use crate::{Direction, Generator, Scope};
use anyhow::Result;
use indexmap::IndexMap;
use proc_macro2::TokenStream;
use quote::quote;
use wit_parser::{InterfaceId, Resolve, Stability, WorldId, WorldItem, WorldKey};

impl Scope {
    /// The world itself.
    pub fn world(direction: Direction) -> Scope {
        Scope {
            direction,
            depth: 0,
            interface: None,
            id: None,
        }
    }

    /// The module of an interface.
    pub fn interface(id: InterfaceId, placed: &Placed) -> Scope {
        Scope {
            direction: placed.direction,
            depth: placed.path.len(),
            interface: Some(id),
            id: None,
        }
    }
}

/// A call of `add_to_linker` for all imports of an interface under one name.
struct LinkedInterface {
    module: TokenStream,
    /// The name, where it is not that of the interface.
    name: Option<String>,
    has_options: bool,
    stability: Stability,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(options: &'a Options, resolve: &'a Resolve, world: WorldId) -> Result<Self> {
        let mut modules = Modules::default();
        let plan = Plan::new(options, resolve, world, &mut modules)?;
        let mut generator = Generator {
            options,
            resolve,
            world,
            plan,
            info: IndexMap::new(),
            modules,
        };
        generator.look_at_types();
        Ok(generator)
    }

    /// Generates everything.
    pub(crate) fn world(&mut self) -> Result<()> {
        let root = Scope::world(Direction::Import);
        let mut items = self.link_options(&root);
        let imports: Vec<_> = self.plan.imports().map(cloned).collect();
        for (id, placed) in imports {
            let scope = Scope::interface(id, &placed);
            let module = self.path_from(&root, &placed);
            items.extend(self.link_options_from_world(&scope, &module));
            match &placed.replaced {
                Some(replaced) => {
                    let module = self.root_path(&scope, replaced);
                    let items = quote!(pub use #module::*;);
                    self.modules.add(&placed.path, items);
                }
                None => {
                    let key = self.resolve.name_world_key(&placed.key);
                    self.import_interface(&scope, &placed.path, &key)?;
                }
            }
        }
        for (id, ty) in self.plan.named.clone() {
            let placed = self.plan.interfaces[&id].clone();
            self.named_import(id, &placed, &ty)?;
        }
        let exports: Vec<_> = self.plan.exports().map(cloned).collect();
        for (id, placed) in exports {
            self.export_interface(id, &placed)?;
        }
        if !self.options.interfaces_only {
            items.extend(self.world_types(&root)?);
            let has_own = !self.functions(&root).is_empty() || !self.resources(&root).is_empty();
            if has_own {
                items.extend(self.traits(&root)?);
            }
            let linking = self.world_linking(&root, has_own)?;
            items.extend(self.instances(&linking)?);
        }
        self.modules.add(&[], items);
        Ok(())
    }

    /// Generates the module of an interface that components import under any name.
    fn named_import(&mut self, id: InterfaceId, placed: &Placed, ty: &TokenStream) -> Result<()> {
        let mut path = vec!["named_imports".to_string()];
        path.extend_from_slice(&placed.path);
        let mut scope = Scope::interface(id, placed);
        scope.depth = path.len();
        scope.id = Some(self.root_path(&scope, ty));
        let key = self.resolve.name_world_key(&WorldKey::Interface(id));
        self.import_interface(&scope, &path, &key)
    }

    /// Generates the types at the world itself.
    fn world_types(&self, root: &Scope) -> Result<TokenStream> {
        let mut items = TokenStream::new();
        for item in self.resolve.worlds[self.world].imports.values() {
            if let WorldItem::Type { id, .. } = item {
                items.extend(self.type_item(root, *id)?);
            }
        }
        Ok(items)
    }

    /// Generates the functions that define what the world imports in a linker.
    fn world_linking(&self, root: &Scope, has_own: bool) -> Result<TokenStream> {
        let interfaces = self.linked_interfaces(root);
        if interfaces.is_empty() && !has_own {
            return Ok(TokenStream::new());
        }
        let krate = &self.options.krate;
        let world = &self.resolve.worlds[self.world];
        let data = self.data_bounds(self.needs_send());
        let options = self.options_parameter(root);
        let options_argument = self.options_argument(root);
        let (mut bounds, mut with_store) = (Vec::new(), Vec::new());
        let mut calls = TokenStream::new();
        let mut own = TokenStream::new();
        if has_own {
            own = self.own_linking(root, &data)?;
            let own_bounds = self.bounds(root)?;
            bounds.push(own_bounds.host);
            with_store.push(own_bounds.with_store);
            calls.extend(quote! {
                Self::add_to_linker_imports::<T, D>(linker, #options_argument host_getter)?;
            });
        }
        for LinkedInterface {
            module,
            name,
            has_options,
            stability,
        } in interfaces
        {
            let (host, store) = (quote!(#module::Host), quote!(#module::HostWithStore<T>));
            if !bounds
                .iter()
                .any(|bound| bound.to_string() == host.to_string())
            {
                bounds.push(host);
                with_store.push(store);
            }
            let options = has_options.then(|| quote!(&options.into(),));
            let call = match name {
                None => quote! {
                    #module::add_to_linker::<T, D>(linker, #options host_getter)?;
                },
                Some(name) => quote! {
                    let mut instance = linker.instance(#name)?;
                    #module::add_to_linker_instance::<T, D>(
                        &mut instance, #options host_getter,
                    )?;
                },
            };
            calls.extend(self.gated(&stability, call));
        }
        if self.has_async_imports() {
            bounds.push(quote!(Send));
            with_store.push(quote!(Send));
        }
        let calls = self.gated(&world.stability, calls);
        Ok(quote! {
            #own

            /// Defines all that the world imports in a linker. `host_getter` finds in the host's
            /// data what implements it.
            ///
            /// # Errors
            ///
            /// If something is defined already.
            pub fn add_to_linker<T, D>(
                linker: &mut #krate::Linker<T>,
                #options
                host_getter: fn(&mut T) -> D::Data<'_>,
            ) -> #krate::Result<()>
            where
                T: #data,
                D: #(#with_store)+*,
                for<'a> D::Data<'a>: #(#bounds)+*,
            {
                #calls
                Ok(())
            }
        })
    }

    /// Generates the function that defines what the world imports beside interfaces.
    fn own_linking(&self, root: &Scope, data: &TokenStream) -> Result<TokenStream> {
        let krate = &self.options.krate;
        let bounds = self.bounds(root)?;
        let (host, with_store) = (&bounds.host, &bounds.with_store);
        let options = self.options_parameter(root);
        let stability = &self.resolve.worlds[self.world].stability;
        let definitions = self.gated(stability, self.definitions(root)?);
        Ok(quote! {
            /// Defines what the world imports beside interfaces in a linker.
            ///
            /// # Errors
            ///
            /// If something is defined already.
            #[allow(clippy::all, unused)]
            pub fn add_to_linker_imports<T, D>(
                linker: &mut #krate::Linker<T>,
                #options
                host_getter: fn(&mut T) -> D::Data<'_>,
            ) -> #krate::Result<()>
            where
                T: #data,
                D: #with_store,
                for<'a> D::Data<'a>: #host,
            {
                let mut instance = linker.root();
                #definitions
                Ok(())
            }
        })
    }

    /// Returns whether the data of stores is `Send`.
    fn needs_send(&self) -> bool {
        let options = &self.options;
        let mut defaults = options.imports.iter().chain(&options.exports);
        self.has_async_imports()
            || options.require_store_data_send
            || defaults.any(|set| set.default.asynchronous)
    }

    /// Returns whether any imported function is asynchronous.
    fn has_async_imports(&self) -> bool {
        let interfaces = self.plan.imports().map(|(id, _)| Some(id));
        let mut owners = interfaces.chain([None]);
        owners.any(|owner| self.plan.all_flags(Direction::Import, owner).asynchronous)
    }

    /// Returns the interfaces that the world imports, under each of their names.
    fn linked_interfaces(&self, root: &Scope) -> Vec<LinkedInterface> {
        let linked = |id: InterfaceId, name: Option<String>| {
            let placed = &self.plan.interfaces[&id];
            let items = self.resolve.worlds[self.world].imports.values();
            let mut stabilities = items.filter_map(|item| match item {
                WorldItem::Interface {
                    id: other,
                    stability,
                    ..
                } if *other == id => Some(stability.clone()),
                _ => None,
            });
            LinkedInterface {
                module: self.path_from(root, placed),
                name,
                has_options: self.has_options(&Scope::interface(id, placed)),
                stability: stabilities.next().unwrap_or(Stability::Unknown),
            }
        };
        let by_name = self
            .plan
            .imports()
            .filter(|(_, placed)| placed.is_imported_by_name);
        let by_name = by_name.map(|(id, _)| linked(id, None));
        let implementations = self.plan.implementations.iter();
        let implementations = implementations.map(|(name, id)| linked(*id, Some(name.clone())));
        by_name.chain(implementations).collect()
    }

    /// Returns the name of the world's struct.
    pub fn world_ident(&self) -> proc_macro2::Ident {
        ident(&crate::names::world_name(
            &self.resolve.worlds[self.world].name,
        ))
    }
}

fn cloned((id, placed): (InterfaceId, &Placed)) -> (InterfaceId, Placed) {
    (id, placed.clone())
}
