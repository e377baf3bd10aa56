//! The way of imported functions into a linker.

use crate::functions::function_name;
use crate::imports::TrappableError;
use crate::names::ident;
use crate::options::FunctionFlags;
use crate::tracing::{Side, Tracing};
use crate::types::Passing;
use crate::{Direction, Generator, Scope};
use anyhow::Result;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use wit_parser::{Function, TypeId};

/// The bounds of functions that define imports in a linker.
pub struct Bounds {
    /// Of the type `D`, which leads to what implements the imports.
    pub with_store: TokenStream,
    /// Of what implements the imports.
    pub host: TokenStream,
    /// Of the data of a store.
    pub data: TokenStream,
}

impl Generator<'_> {
    /// Returns the bounds of the functions that define an interface or the imports at the world
    /// itself.
    pub fn bounds(&self, scope: &Scope) -> Result<Bounds> {
        let host = self.host_name(scope);
        let with_store = format_ident!("{host}WithStore");
        let converters = self.converters(scope)?;
        let flags = self.plan.all_flags(Direction::Import, scope.interface);
        Ok(Bounds {
            with_store: quote!(#with_store<T>),
            host: quote!(#host #(+ #converters)*),
            data: self.data_bounds(flags.asynchronous),
        })
    }

    /// Returns the bounds of the data of a store.
    pub fn data_bounds(&self, is_async: bool) -> TokenStream {
        match is_async {
            true => quote!('static + Send),
            false => quote!('static),
        }
    }

    /// Generates the functions that define an interface in a linker.
    pub fn interface_linking(&self, scope: &Scope, name: &str) -> Result<TokenStream> {
        let krate = &self.options.krate;
        let Bounds {
            with_store,
            host,
            data,
        } = self.bounds(scope)?;
        let definitions = self.definitions(scope)?;
        let stability = scope
            .interface
            .map(|id| &self.resolve.interfaces[id].stability);
        let definitions = match stability {
            Some(stability) => self.gated(stability, definitions),
            None => definitions,
        };
        let id = scope.id.as_ref().map(|id| quote!(id: #id,));
        let options = self.options_parameter(scope);
        let bounds = quote! {
            where
                T: #data,
                D: #with_store,
                for<'a> D::Data<'a>: #host,
        };
        let in_linker = self.linker_function(scope, name, &bounds);
        Ok(quote! {
            /// Defines the interface in an instance of a linker. `host_getter` finds in the host's
            /// data what implements it.
            ///
            /// # Errors
            ///
            /// If something is defined already.
            pub fn add_to_linker_instance<T, D>(
                instance: &mut #krate::LinkerInstance<'_, T>,
                #id
                #options
                host_getter: fn(&mut T) -> D::Data<'_>,
            ) -> #krate::Result<()>
            #bounds
            {
                #definitions
                Ok(())
            }

            #in_linker
        })
    }

    /// Generates the function that defines an interface in a whole linker.
    fn linker_function(&self, scope: &Scope, name: &str, bounds: &TokenStream) -> TokenStream {
        let krate = &self.options.krate;
        let options = self.options_parameter(scope);
        let options_argument = self.options_argument(scope);
        match &scope.id {
            None => quote! {
                /// Defines the interface in a linker. `host_getter` finds in the host's data what
                /// implements it.
                ///
                /// # Errors
                ///
                /// If something is defined already.
                pub fn add_to_linker<T, D>(
                    linker: &mut #krate::Linker<T>,
                    #options
                    host_getter: fn(&mut T) -> D::Data<'_>,
                ) -> #krate::Result<()>
                #bounds
                {
                    let mut instance = linker.instance(#name)?;
                    add_to_linker_instance::<T, D>(&mut instance, #options_argument host_getter)
                }
            },
            Some(id) => {
                let vec = self.std(scope, "Vec");
                quote! {
                    /// Defines all that a component imports as this interface, under whatever
                    /// name. `lookup` turns the name of an import into what the functions of the
                    /// host get as `id`.
                    ///
                    /// # Errors
                    ///
                    /// If `lookup` fails, or something is defined already.
                    pub fn add_to_linker<T, D>(
                        linker: &mut #krate::Linker<T>,
                        component: &#krate::Component,
                        mut lookup: impl FnMut(&str) -> #krate::Result<#id>,
                        #options
                        host_getter: fn(&mut T) -> D::Data<'_>,
                    ) -> #krate::Result<()>
                    #bounds
                    {
                        let engine = linker.engine().clone();
                        let ty = component.component_type();
                        let imports = ty.imports(&engine);
                        let names: #vec<_> = imports
                            .filter(|(_, import)| import.is_implements(#name))
                            .map(|(name, _)| name)
                            .collect();
                        for name in names {
                            let id = lookup(name)?;
                            let mut instance = linker.instance(name)?;
                            add_to_linker_instance::<T, D>(
                                &mut instance, id, #options_argument host_getter,
                            )?;
                        }
                        Ok(())
                    }
                }
            }
        }
    }

    /// Generates the statements that define a set of imports in a `LinkerInstance` named
    /// `instance`.
    pub fn definitions(&self, scope: &Scope) -> Result<TokenStream> {
        let mut definitions = TokenStream::new();
        for (name, id) in self.resources(scope) {
            let definition = self.resource_definition(scope, &name, id);
            let stability = &self.resolve.types[id].stability;
            definitions.extend(self.gated(stability, definition));
        }
        for function in self.functions(scope) {
            let definition = self.function_definition(scope, function)?;
            definitions.extend(self.gated(&function.stability, definition));
        }
        Ok(definitions)
    }

    /// Generates the statement that defines a resource with its destructor.
    fn resource_definition(&self, scope: &Scope, name: &str, id: TypeId) -> TokenStream {
        let krate = &self.options.krate;
        let flags = self.import_flags(scope, &format!("[drop]{name}"));
        let (rust, host) = (self.resource_path(scope, id), self.resource_trait(id));
        let found = self.found_host(flags);
        let callee = callee(&host, flags);
        let id_argument = scope.id.as_ref().map(|_| quote!(id,));
        let converted = self.options.anyhow.then(|| quote!(?));
        let call = quote!(#callee::drop(host, #id_argument #krate::Resource::new_own(rep)));
        let (definer, body) = match flags.asynchronous {
            true => {
                let result = match converted {
                    Some(converted) => quote!(Ok(#call.await #converted)),
                    None => quote!(#call.await),
                };
                let boxed = self.std(scope, "Box");
                let future = quote!(async move { #found #result });
                match flags.concurrent {
                    true => (quote!(resource_concurrent), quote!(#boxed::pin(#future))),
                    false => (quote!(resource_async), quote!(#boxed::new(#future))),
                }
            }
            false => {
                let result = match converted {
                    Some(converted) => quote!(Ok(#call #converted)),
                    None => call,
                };
                (quote!(resource), quote!(#found #result))
            }
        };
        let store = self.store_parameter(flags);
        let closure = identified(scope, &quote!(move |#store, rep: u32|), &body);
        quote! {
            instance.#definer(#name, #krate::ResourceType::host::<#rust>(), #closure)?;
        }
    }

    /// Returns the parameter by which a closure gets the store.
    fn store_parameter(&self, flags: FunctionFlags) -> TokenStream {
        let krate = &self.options.krate;
        match flags.concurrent {
            true => quote!(accessor: &#krate::Accessor<T>),
            false => quote!(mut store: #krate::StoreContextMut<'_, T>),
        }
    }

    /// Returns the statement that finds what implements the imports.
    fn found_host(&self, flags: FunctionFlags) -> TokenStream {
        let krate = &self.options.krate;
        if flags.concurrent {
            return quote!(let host = &accessor.with_getter::<D>(host_getter););
        }
        match flags.store {
            true => quote! {
                let context = #krate::AsContextMut::as_context_mut(&mut store);
                let host = #krate::Access::<T, D>::new(context, host_getter);
            },
            false => quote!(let host = &mut host_getter(store.data_mut());),
        }
    }

    /// Generates the statement that defines a function.
    fn function_definition(&self, scope: &Scope, function: &Function) -> Result<TokenStream> {
        let flags = self.import_flags(scope, &function.name);
        let params = self.params(scope, function, Passing::Owned, &[])?;
        let types = &params.types;
        // The names of parameters may be any, so the closure has names of its own.
        let numbers = 0..types.len();
        let arguments: Vec<_> = numbers.map(|number| format_ident!("arg{number}")).collect();
        let module = self.module_name(scope);
        let Tracing {
            span,
            enter,
            called,
            returned,
        } = self.tracing(Side::Import, &module, function, flags, &arguments);
        let found = self.found_host(flags);
        let callee = callee(&self.trait_of(scope, function), flags);
        let name = ident(&function_name(function));
        let awaited = flags.asynchronous.then(|| quote!(.await));
        let id_argument = scope.id.as_ref().map(|_| quote!(id,));
        let call = quote!(#callee::#name(host, #id_argument #(#arguments),*)#awaited);
        let error = self.trappable_error(scope, function)?;
        let value = self.value(scope, function, flags, error);
        let call = quote!(#called #found let result = #call; #returned #value);
        let (definer, body) = match flags.asynchronous {
            false => (quote!(func_wrap), quote!(#span #enter #call)),
            true => {
                let future = quote!(async move { #call });
                let future = match flags.tracing {
                    true => quote!(::tracing::Instrument::instrument(#future, span)),
                    false => future,
                };
                let boxed = self.std(scope, "Box");
                match flags.concurrent {
                    true => (
                        quote!(func_wrap_concurrent),
                        quote!(#span #boxed::pin(#future)),
                    ),
                    false => (quote!(func_wrap_async), quote!(#span #boxed::new(#future))),
                }
            }
        };
        let store = self.store_parameter(flags);
        let head = quote!(move |#store, (#(#arguments,)*): (#(#types,)*)|);
        let (wit, closure) = (&function.name, identified(scope, &head, &body));
        Ok(quote!(instance.#definer(#wit, #closure)?;))
    }

    /// Returns what the closure of a function returns, where `result` is what the host returned.
    fn value(
        &self,
        scope: &Scope,
        function: &Function,
        flags: FunctionFlags,
        error: Option<TrappableError>,
    ) -> TokenStream {
        let converted = match (flags.trappable, error) {
            (true, Some(error)) => {
                let TrappableError {
                    convert, converter, ..
                } = error;
                let converted = quote!(#converter::#convert);
                // The access to the store went to the function.
                let converted = match (flags.concurrent, flags.store) {
                    (true, _) => quote! {
                        host.with(|mut access| #converted(&mut access.get(), error))
                    },
                    (false, true) => quote! {
                        #converted(&mut host_getter(store.data_mut()), error)
                    },
                    (false, false) => quote!(#converted(host, error)),
                };
                let ok_type = self.std(scope, "Result");
                return quote! {
                    let result = match result {
                        #ok_type::Ok(value) => Ok(value),
                        #ok_type::Err(error) => Err(#converted?),
                    };
                    Ok((result,))
                };
            }
            (true, None) => quote!(result?),
            (false, _) => quote!(result),
        };
        match (function.result, flags.trappable) {
            (Some(_), _) => quote!(Ok((#converted,))),
            (None, true) if self.options.anyhow => quote!(Ok(result?)),
            (None, true) => quote!(result),
            (None, false) => quote!(Ok(result)),
        }
    }

    /// Returns the name by which spans name an interface.
    fn module_name(&self, scope: &Scope) -> String {
        let name = match scope.interface {
            Some(interface) => self.resolve.interfaces[interface].name.as_deref(),
            None => Some(self.resolve.worlds[self.world].name.as_str()),
        };
        name.unwrap_or("<no module>").to_string()
    }
}

/// Returns the half of a trait that has a function.
fn callee(host: &Ident, flags: FunctionFlags) -> TokenStream {
    let with_store = format_ident!("{host}WithStore");
    match flags.store {
        true => quote!(<D as #with_store<T>>),
        false => quote!(#host),
    }
}

/// Returns a closure, which has an `id` of its own for each call where functions get one.
fn identified(scope: &Scope, head: &TokenStream, body: &TokenStream) -> TokenStream {
    match scope.id {
        None => quote!(#head { #body }),
        Some(_) => quote! {
            {
                let id = id.clone();
                #head {
                    let id = id.clone();
                    #body
                }
            }
        },
    }
}
