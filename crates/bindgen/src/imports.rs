//! The imports of a world: traits that the host implements, and their way into a linker.

use crate::functions::{function_name, resource_of};
use crate::names::{Given, camel, ident};
use crate::options::FunctionFlags;
use crate::types::{Passing, docs};
use crate::{Direction, Generator, Scope};
use anyhow::Result;
use indexmap::IndexMap;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use wit_parser::{Function, InterfaceId, Type, TypeDefKind, TypeId};

/// The functions and resources of an imported interface, or of the imports at the world itself.
pub struct Imported<'w> {
    pub scope: Scope,
    /// The names of the traits: `Host`, or `MyWorldImports` for the world itself.
    pub host: Ident,
    pub functions: Vec<&'w Function>,
    /// Resources that the host defines, by name.
    pub resources: IndexMap<String, TypeId>,
}

/// The parts of the generated code that belong to a set of imports.
pub struct ImportTokens {
    /// The traits.
    pub traits: TokenStream,
    /// The name of the trait with the store.
    pub host_with_store: Ident,
    /// Statements that define everything in a `LinkerInstance` named `instance`.
    pub definitions: TokenStream,
}

impl<'a> Generator<'a> {
    /// Generates the module of an imported interface.
    pub fn import_interface(&mut self, id: InterfaceId) -> Result<()> {
        let placed = self.imported[&id].clone();
        if placed.replaced.is_some() {
            return Ok(());
        }
        let scope = Scope {
            direction: Direction::Import,
            depth: placed.path.len(),
            interface: Some(id),
        };
        let resolve = self.resolve;
        let interface = &resolve.interfaces[id];
        let mut items = TokenStream::new();
        for (name, &ty) in &interface.types {
            items.extend(self.type_item(&scope, name, ty)?);
        }
        let imported = Imported {
            host: ident("Host"),
            functions: interface.functions.values().collect(),
            resources: interface
                .types
                .iter()
                .filter(|(_, ty)| matches!(resolve.types[**ty].kind, TypeDefKind::Resource))
                .map(|(name, &ty)| (name.clone(), ty))
                .collect(),
            scope,
        };
        let tokens = self.imports(&imported)?;
        let name = self.import_name(id);
        items.extend(self.interface_linking(&name, &tokens));
        self.modules.add(&placed.path, items);
        Ok(())
    }

    /// Returns the name by which a component imports an interface.
    pub fn import_name(&self, id: InterfaceId) -> String {
        let world = &self.resolve.worlds[self.world];
        let key = world.imports.iter().find_map(|(key, item)| match item {
            wit_parser::WorldItem::Interface { id: other, .. } if *other == id => Some(key),
            _ => None,
        });
        key.map(|key| self.resolve.name_world_key(key))
            .unwrap_or_default()
    }

    fn interface_linking(&self, name: &str, tokens: &ImportTokens) -> TokenStream {
        let krate = &self.options.krate;
        let ImportTokens {
            traits,
            host_with_store,
            definitions,
        } = tokens;
        quote! {
            #traits

            /// Defines the interface in an instance of a linker. `host` finds in the host's data
            /// what implements it.
            pub fn add_to_linker_instance<T, D>(
                instance: &mut #krate::LinkerInstance<'_, T>,
                host: fn(&mut T) -> D::Data<'_>,
            ) -> #krate::Result<()>
            where
                T: 'static,
                D: #host_with_store<T>,
                for<'a> D::Data<'a>: Host,
            {
                #definitions
                Ok(())
            }

            /// Defines the interface in a linker. `host` finds in the host's data what implements
            /// it.
            pub fn add_to_linker<T, D>(
                linker: &mut #krate::Linker<T>,
                host: fn(&mut T) -> D::Data<'_>,
            ) -> #krate::Result<()>
            where
                T: 'static,
                D: #host_with_store<T>,
                for<'a> D::Data<'a>: Host,
            {
                add_to_linker_instance::<T, D>(&mut linker.instance(#name)?, host)
            }
        }
    }

    /// Generates the traits of a set of imports, and the statements that define them.
    pub fn imports(&mut self, imported: &Imported<'a>) -> Result<ImportTokens> {
        let krate = self.options.krate.clone();
        let mut traits = TokenStream::new();
        let mut definitions = TokenStream::new();
        let mut supertraits = Vec::new();
        for (name, &id) in &imported.resources {
            let functions = imported.functions.iter();
            let own = functions.filter(|function| resource_of(function) == Some(id));
            let own: Vec<_> = own.copied().collect();
            let tokens = self.resource_imports(imported, name, id, &own)?;
            traits.extend(tokens.traits);
            definitions.extend(tokens.definitions);
            supertraits.push(format_ident!("Host{}", camel(name)));
        }
        let mut methods = TokenStream::new();
        let mut forwarded = TokenStream::new();
        let host = &imported.host;
        let free = imported.functions.iter();
        for function in free.filter(|function| resource_of(function).is_none()) {
            let bound = self.host_function(imported, host, function)?;
            methods.extend(bound.method);
            forwarded.extend(bound.forwarded);
            definitions.extend(bound.definition);
        }
        let conversions = self.conversions(imported)?;
        methods.extend(conversions.0);
        forwarded.extend(conversions.1);
        let host_with_store = format_ident!("{host}WithStore");
        let bounds = (!supertraits.is_empty()).then(|| quote!(: #(#supertraits)+*));
        traits.extend(quote! {
            /// The part of the host that needs the store. No function does.
            pub trait #host_with_store<T>: #krate::HasData {}

            impl<D: #krate::HasData + ?Sized, T> #host_with_store<T> for D {}

            /// The functions that the host provides.
            pub trait #host #bounds {
                #methods
            }

            impl<H: #host + ?Sized> #host for &mut H {
                #forwarded
            }
        });
        Ok(ImportTokens {
            traits,
            host_with_store,
            definitions,
        })
    }

    /// Generates the trait of a resource that the host defines.
    fn resource_imports(
        &mut self,
        imported: &Imported<'a>,
        name: &str,
        _id: TypeId,
        functions: &[&'a Function],
    ) -> Result<ResourceTokens> {
        let krate = self.options.krate.clone();
        let (rust, host) = (ident(&camel(name)), format_ident!("Host{}", camel(name)));
        let mut methods = TokenStream::new();
        let mut forwarded = TokenStream::new();
        let mut definitions = quote! {
            instance.resource(
                #name,
                #krate::ResourceType::host::<#rust>(),
                move |mut store, rep| {
                    let resource = #krate::Resource::<#rust>::new_own(rep);
                    #host::drop(&mut host(store.data_mut()), resource)
                },
            )?;
        };
        for function in functions {
            let bound = self.host_function(imported, &host, function)?;
            methods.extend(bound.method);
            forwarded.extend(bound.forwarded);
            definitions.extend(bound.definition);
        }
        let traits = quote! {
            /// The functions of a resource that the host provides.
            pub trait #host {
                #methods

                /// Drops a resource that a guest owned.
                fn drop(&mut self, rep: #krate::Resource<#rust>) -> #krate::Result<()>;
            }

            impl<H: #host + ?Sized> #host for &mut H {
                #forwarded

                fn drop(&mut self, rep: #krate::Resource<#rust>) -> #krate::Result<()> {
                    #host::drop(*self, rep)
                }
            }
        };
        Ok(ResourceTokens {
            traits,
            definitions,
        })
    }

    /// The names by which rules may mean a function, the most specific first.
    fn rule_names(&self, scope: &Scope, function: &Function) -> Vec<String> {
        match scope.interface {
            None => vec![function.name.clone()],
            Some(interface) => {
                let item = format!("/{}", function.name);
                let mut names = self.option_names(Some(interface), &[&item]);
                names.push(function.name.clone());
                names.extend(self.interface_names(interface));
                names
            }
        }
    }

    /// Generates one function that the host provides as a method of the trait `host`.
    fn host_function(
        &mut self,
        imported: &Imported<'a>,
        host: &Ident,
        function: &Function,
    ) -> Result<HostFunction> {
        self.check_function(function)?;
        let scope = &imported.scope;
        let krate = self.options.krate.clone();
        let names = self.rule_names(scope, function);
        let FunctionFlags { trappable } = self.used.flags(self.options, &names);
        let params = self.params(scope, function, Passing::Owned)?;
        let (declared, names) = (params.declared(), &params.names);
        let error = self.trappable_error(scope, function)?;
        let result = match &error {
            Some(error) => {
                let ok = self.result_of(function).and_then(|(ok, _)| ok);
                let ok = match ok {
                    Some(ty) => self.ty(scope, ty, Passing::Owned)?,
                    None => quote!(()),
                };
                let error = &error.host;
                let result = self.std(scope, "Result");
                quote!(#result<#ok, #error>)
            }
            None => self.result_type(scope, function)?,
        };
        let result = match trappable && error.is_none() {
            true => quote!(#krate::Result<#result>),
            false => result,
        };
        let (docs, rust) = (docs(&function.docs), ident(&function_name(function)));
        let types = &params.types;
        // The names of parameters may be any, so the closure has names of its own.
        let numbers = 0..names.len();
        let arguments: Vec<_> = numbers.map(|number| format_ident!("arg{number}")).collect();
        let call = quote!(#host::#rust(&mut host(store.data_mut()), #(#arguments),*));
        let value = match (&error, trappable) {
            (Some(error), _) => {
                let convert = &error.convert;
                let host = &imported.host;
                quote! {
                    match result {
                        Ok(value) => Ok(value),
                        Err(error) => {
                            Err(#host::#convert(&mut host(store.data_mut()), error)?)
                        }
                    }
                }
            }
            (None, true) => quote!(result?),
            (None, false) => quote!(result),
        };
        let returned = match (function.result, &error, trappable) {
            (Some(_), ..) => quote!(let result = #call; Ok((#value,))),
            (None, _, true) => call,
            (None, _, false) => quote!(#call; Ok(())),
        };
        let wit = &function.name;
        let definition = quote! {
            instance.func_wrap(
                #wit,
                move |mut store: #krate::StoreContextMut<'_, T>,
                      (#(#arguments,)*): (#(#types,)*)| {
                    #returned
                },
            )?;
        };
        Ok(HostFunction {
            method: quote!(#docs fn #rust(&mut self, #declared) -> #result;),
            forwarded: quote! {
                fn #rust(&mut self, #declared) -> #result {
                    #host::#rust(*self, #(#names),*)
                }
            },
            definition,
        })
    }

    /// Returns the host's type for the error of a function, if it has one.
    fn trappable_error(
        &mut self,
        scope: &Scope,
        function: &Function,
    ) -> Result<Option<TrappableError>> {
        let Some((_, Some(Type::Id(error)))) = self.result_of(function) else {
            return Ok(None);
        };
        let resolve = self.resolve;
        let definition = &resolve.types[self.original(error)];
        let (Some(name), wit_parser::TypeOwner::Interface(owner)) =
            (&definition.name, definition.owner)
        else {
            return Ok(None);
        };
        let items = [format!("/{name}"), format!(".{name}")];
        let names = self.option_names(Some(owner), &[&items[0], &items[1]]);
        let Some(host) = self.used.error_type(self.options, &names) else {
            return Ok(None);
        };
        let host = self.give(&host, Given::Type);
        Ok(Some(TrappableError {
            host: self.given_path(scope, &host),
            convert: format_ident!("convert_{}", crate::names::snake(name)),
            wit: self.type_path(scope, error),
        }))
    }

    /// Generates the methods that convert the host's error types, once each.
    fn conversions(&mut self, imported: &Imported<'a>) -> Result<(TokenStream, TokenStream)> {
        let krate = self.options.krate.clone();
        let host = &imported.host;
        let mut errors = IndexMap::new();
        for function in &imported.functions {
            if let Some(error) = self.trappable_error(&imported.scope, function)? {
                errors.insert(error.convert.to_string(), error);
            }
        }
        let mut methods = TokenStream::new();
        let mut forwarded = TokenStream::new();
        for TrappableError {
            host: own,
            convert,
            wit,
        } in errors.values()
        {
            methods.extend(quote! {
                /// Converts an error of the host to that of the interface. An error of the
                /// conversion ends the guest's call.
                fn #convert(&mut self, error: #own) -> #krate::Result<#wit>;
            });
            forwarded.extend(quote! {
                fn #convert(&mut self, error: #own) -> #krate::Result<#wit> {
                    #host::#convert(*self, error)
                }
            });
        }
        Ok((methods, forwarded))
    }
}

/// A function that the host provides.
struct HostFunction {
    /// Its declaration in the trait.
    method: TokenStream,
    /// The method for `&mut` of what implements the trait.
    forwarded: TokenStream,
    /// The statement that defines it in an instance of a linker.
    definition: TokenStream,
}

/// The parts of a resource that the host defines.
struct ResourceTokens {
    traits: TokenStream,
    definitions: TokenStream,
}

/// An error type of the interface that the host returns as a type of its own.
struct TrappableError {
    host: TokenStream,
    convert: Ident,
    wit: TokenStream,
}
