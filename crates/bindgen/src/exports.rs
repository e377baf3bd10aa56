//! The exports of a world: structs with a function for each.

use crate::functions::{Params, function_name, resource_of};
use crate::names::{camel, ident, snake};
use crate::plan::Placed;
use crate::tracing::{Side, Tracing};
use crate::types::{Passing, docs, plain_docs};
use crate::{Direction, Generator, Scope};
use anyhow::Result;
use indexmap::IndexSet;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use wit_parser::{Function, FunctionKind, InterfaceId};

/// Functions that guests export, as fields and methods of structs.
pub struct ExportedFunctions {
    /// All of them, in the order of WIT.
    pub functions: Vec<ExportedFunction>,
}

/// A function that guests export.
pub struct ExportedFunction {
    /// The field that holds its index, and in the other struct the function.
    field: Ident,
    /// The name of the export.
    name: String,
    /// The types of parameters and results, as tuples.
    types: TokenStream,
    /// The methods that call it.
    methods: TokenStream,
    /// The resource that it belongs to.
    resource: Option<wit_parser::TypeId>,
}

impl ExportedFunctions {
    /// Returns the methods that call functions without a resource.
    pub fn methods(&self) -> TokenStream {
        self.methods_of(None)
    }

    fn methods_of(&self, resource: Option<wit_parser::TypeId>) -> TokenStream {
        let functions = self.functions.iter();
        let own = functions.filter(|function| function.resource == resource);
        own.map(|function| function.methods.clone()).collect()
    }

    /// Returns the fields of the struct of functions.
    pub fn function_fields(&self, krate: &TokenStream) -> TokenStream {
        let fields = self.functions.iter().map(|function| &function.field);
        quote!(#(#fields: #krate::Func,)*)
    }

    /// Returns the fields of the struct of indexes.
    pub fn index_fields(&self, krate: &TokenStream) -> TokenStream {
        let fields = self.functions.iter().map(|function| &function.field);
        quote!(#(#fields: #krate::ComponentExportIndex,)*)
    }

    /// Returns the values of the fields of the struct of indexes: exports of the component of
    /// `pre`, or of one of its instances, whose types are checked.
    pub fn found(&self, krate: &TokenStream, instance: &TokenStream) -> TokenStream {
        let found = self.functions.iter().map(|function| {
            let ExportedFunction {
                field, types, name, ..
            } = function;
            quote! {
                #field: #krate::__internal::export_index::<#types, _>(pre, #instance, #name)?,
            }
        });
        found.collect()
    }

    /// Returns the values of the fields of the struct of functions: exports of an instance whose
    /// types are checked.
    pub fn loaded(&self, krate: &TokenStream) -> TokenStream {
        let loaded = self.functions.iter().map(|function| {
            let ExportedFunction {
                field, types, name, ..
            } = function;
            quote! {
                #field: *#krate::__internal::exported::<#types>(
                    &mut store, instance, &self.#field, #name,
                )?.func(),
            }
        });
        loaded.collect()
    }
}

impl Generator<'_> {
    /// Generates the module of an exported interface.
    pub fn export_interface(&mut self, id: InterfaceId, placed: &Placed) -> Result<()> {
        let krate = &self.options.krate;
        let scope = Scope::interface(id, placed);
        let interface = &self.resolve.interfaces[id];
        let name = self.resolve.name_world_key(&placed.key);
        let mut items = self.standard_imports(&scope);
        for &ty in interface.types.values() {
            items.extend(self.type_item(&scope, ty)?);
        }
        let functions = self.exported_functions(&scope, &name)?;
        let mut methods = functions.methods();
        for (name, resource) in self.resources(&scope) {
            let (rust, accessor) = (format_ident!("Guest{}", camel(&name)), ident(&snake(&name)));
            let own = functions.methods_of(Some(resource));
            items.extend(quote! {
                /// The functions of the resource.
                #[derive(Clone, Copy)]
                pub struct #rust<'a> {
                    guest: &'a Guest,
                }

                impl #rust<'_> {
                    #own
                }
            });
            methods.extend(quote! {
                /// Returns the functions of the resource.
                pub fn #accessor(&self) -> #rust<'_> {
                    #rust { guest: self }
                }
            });
        }
        let (fields, indices) = (
            functions.function_fields(krate),
            functions.index_fields(krate),
        );
        let found = functions.found(krate, &quote!(Some(&instance)));
        let loaded = functions.loaded(krate);
        let missing = format!("the component does not export the interface `{name}` of its world");
        let docs = docs(&interface.docs, &interface.stability);
        items.extend(quote! {
            #docs
            #[derive(Clone)]
            pub struct Guest {
                #fields
            }

            /// The places of the functions in a component, found once by name.
            #[derive(Clone)]
            pub struct GuestIndices {
                #indices
            }

            impl GuestIndices {
                /// Finds the functions.
                ///
                /// # Errors
                ///
                /// If the component does not export one of them, or its type differs.
                pub fn new<T>(pre: &#krate::InstancePre<T>) -> #krate::Result<GuestIndices> {
                    let instance = pre.component().get_export_index(None, #name);
                    let instance = instance.ok_or_else(|| #krate::error::format_err!(#missing))?;
                    Ok(GuestIndices { #found })
                }

                /// Checks the types of the functions of an instance.
                ///
                /// # Errors
                ///
                /// If the type of one differs.
                pub fn load(
                    &self,
                    mut store: impl #krate::AsContextMut,
                    instance: &#krate::Instance,
                ) -> #krate::Result<Guest> {
                    Ok(Guest { #loaded })
                }
            }

            impl Guest {
                #methods
            }
        });
        self.modules.add(&placed.path, items);
        Ok(())
    }

    /// Generates what calls the exported functions of an interface, or of the world itself.
    /// `module` is its name in spans.
    pub fn exported_functions(&self, scope: &Scope, module: &str) -> Result<ExportedFunctions> {
        let mut fields = IndexSet::new();
        let mut functions = Vec::new();
        for function in self.functions(scope) {
            let mut field = self.field_name(function);
            while !fields.insert(field.clone()) {
                field.push('_');
            }
            let field = ident(&field);
            functions.push(self.exported_function(scope, module, function, field)?);
        }
        Ok(ExportedFunctions { functions })
    }

    /// Returns the name of the field for an exported function.
    fn field_name(&self, function: &Function) -> String {
        let base = base_name(function);
        match resource_of(function) {
            Some(resource) => {
                let resource = self.resolve.types[resource].name.as_deref();
                format!("{}_{base}_function", snake(resource.unwrap_or_default()))
            }
            None => format!("{base}_function"),
        }
    }

    /// Generates the methods that call an exported function.
    fn exported_function(
        &self,
        scope: &Scope,
        module: &str,
        function: &Function,
        field: Ident,
    ) -> Result<ExportedFunction> {
        self.check_function(function)?;
        let krate = &self.options.krate;
        let flags = self
            .plan
            .flags(Direction::Export, scope.interface, &function.name);
        let (passing, store) = match flags.concurrent {
            true => (Passing::Owned, "accessor"),
            false => (Passing::Borrowed, "store"),
        };
        let params = self.params(scope, function, passing, &[store])?;
        let store = ident(store);
        let Params { names, types } = &params;
        let result = self.result_type(scope, function)?;
        let results = match function.result {
            Some(_) => quote!((#result,)),
            None => quote!(()),
        };
        let types = quote!((#(#types,)*), #results);
        let place = match resource_of(function) {
            Some(_) => quote!(self.guest.#field),
            None => quote!(self.#field),
        };
        let base = base_name(function);
        let (call, func) = (format_ident!("call_{base}"), format_ident!("func_{base}"));
        let Tracing { span, enter, .. } =
            self.tracing(Side::Export, module, function, flags, names);
        let called = match flags.asynchronous {
            false => quote!(self.#func().call(#store, (#(#names,)*))),
            true => {
                let call = match flags.concurrent {
                    true => quote!(call_concurrent),
                    false => quote!(call_async),
                };
                let future = quote!(self.#func().#call(#store, (#(#names,)*)));
                match flags.tracing {
                    true => quote!(::tracing::Instrument::instrument(#future, span).await),
                    false => quote!(#future.await),
                }
            }
        };
        let value = match function.result {
            Some(_) => quote!(let (result,) = #called?; Ok(result)),
            None => called,
        };
        let asynchronous = flags.asynchronous.then(|| quote!(async));
        let (generics, store, bounds) = match flags.concurrent {
            true => (
                quote!(T, D),
                quote!(accessor: &#krate::Accessor<T, D>),
                quote!(where T: Send + 'static, D: #krate::HasData),
            ),
            false => {
                let bounds = match flags.asynchronous {
                    true => quote!(where <S as #krate::AsContext>::Data: Send),
                    false => TokenStream::new(),
                };
                (quote!(S: #krate::AsContextMut), quote!(store: S), bounds)
            }
        };
        let (declared, docs) = (params.declared(), docs(&function.docs, &function.stability));
        let methods = quote! {
            #docs
            pub #asynchronous fn #call<#generics>(
                &self,
                #store,
                #declared
            ) -> #krate::Result<#result>
            #bounds
            {
                #span
                #enter
                #value
            }

            /// Returns the function, for calls in other ways.
            pub fn #func(&self) -> #krate::TypedFunc<#types> {
                #krate::TypedFunc::new_unchecked(#place)
            }
        };
        Ok(ExportedFunction {
            field,
            name: function.name.clone(),
            types,
            methods,
            resource: resource_of(function),
        })
    }

    /// Returns the documentation of the world.
    pub fn world_docs(&self) -> TokenStream {
        plain_docs(&self.resolve.worlds[self.world].docs)
    }
}

/// Returns the name of an exported function after `call_`.
fn base_name(function: &Function) -> String {
    match function.kind {
        FunctionKind::Constructor(_) => "constructor".to_string(),
        _ => function_name(function).trim_end_matches('_').to_string(),
    }
}
