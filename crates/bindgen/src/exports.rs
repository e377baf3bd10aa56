//! The exports of a world: structs with a function for each.

use crate::functions::{Params, function_name, resource_of};
use crate::names::{camel, ident, snake};
use crate::types::{Passing, docs};
use crate::{Direction, Generator, Scope};
use anyhow::Result;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use wit_parser::{Function, FunctionKind, InterfaceId, TypeDefKind};

/// A function that guests export, as fields and methods of a struct.
pub struct ExportedFunction {
    /// The field that holds its index, and in the other struct the function.
    pub field: Ident,
    /// The name of the export.
    pub name: String,
    /// The types of parameters and results, as tuples.
    pub types: TokenStream,
    /// The methods that call it.
    pub methods: TokenStream,
}

impl ExportedFunction {
    /// Returns the field of the struct of functions.
    pub fn function_field(&self, krate: &TokenStream) -> TokenStream {
        let field = &self.field;
        quote!(#field: #krate::Func,)
    }

    /// Returns the field of the struct of indexes.
    pub fn index_field(&self, krate: &TokenStream) -> TokenStream {
        let field = &self.field;
        quote!(#field: #krate::ComponentExportIndex,)
    }

    /// Returns the value of the field of the struct of functions: the export, type-checked.
    pub fn loaded(&self, krate: &TokenStream) -> TokenStream {
        let (field, types, name) = (&self.field, &self.types, &self.name);
        quote! {
            #field: *#krate::__internal::exported::<#types>(
                &mut store, instance, &self.#field, #name,
            )?.func(),
        }
    }
}

impl Generator<'_> {
    /// Generates the module of an exported interface.
    pub fn export_interface(&mut self, id: InterfaceId, name: &str) -> Result<()> {
        let placed = self.exported[&id].clone();
        let scope = Scope {
            direction: Direction::Export,
            depth: placed.path.len(),
            interface: Some(id),
        };
        let krate = self.options.krate.clone();
        let resolve = self.resolve;
        let interface = &resolve.interfaces[id];
        let mut items = TokenStream::new();
        for (name, &ty) in &interface.types {
            items.extend(self.type_item(&scope, name, ty)?);
        }
        let mut functions = Vec::new();
        for function in interface.functions.values() {
            functions.push((
                resource_of(function),
                self.exported_function(&scope, function)?,
            ));
        }
        let mut methods = TokenStream::new();
        let free = functions.iter().filter(|(resource, _)| resource.is_none());
        methods.extend(free.map(|(_, function)| function.methods.clone()));
        let resources = interface
            .types
            .iter()
            .filter(|(_, ty)| matches!(resolve.types[**ty].kind, TypeDefKind::Resource));
        for (name, &resource) in resources {
            let (rust, accessor) = (format_ident!("Guest{}", camel(name)), ident(&snake(name)));
            let own = functions.iter().filter(|(of, _)| *of == Some(resource));
            let own = own.map(|(_, function)| &function.methods);
            items.extend(quote! {
                /// The functions of the resource.
                #[derive(Clone, Copy)]
                pub struct #rust<'a> {
                    guest: &'a Guest,
                }

                impl #rust<'_> {
                    #(#own)*
                }
            });
            methods.extend(quote! {
                /// Returns the functions of the resource.
                pub fn #accessor(&self) -> #rust<'_> {
                    #rust { guest: self }
                }
            });
        }
        let functions: Vec<_> = functions.iter().map(|(_, function)| function).collect();
        let fields = functions
            .iter()
            .map(|function| function.function_field(&krate));
        let indices = functions
            .iter()
            .map(|function| function.index_field(&krate));
        let loaded = functions.iter().map(|function| function.loaded(&krate));
        let (idents, names): (Vec<_>, Vec<_>) = functions
            .iter()
            .map(|function| (&function.field, &function.name))
            .unzip();
        let docs = docs(&interface.docs);
        items.extend(quote! {
            #docs
            #[derive(Clone)]
            pub struct Guest {
                #(#fields)*
            }

            /// The places of the functions in a component, found once by name.
            #[derive(Clone)]
            pub struct GuestIndices {
                #(#indices)*
            }

            impl GuestIndices {
                /// Finds the functions.
                ///
                /// # Errors
                ///
                /// When the component does not export one of them.
                pub fn new<T>(pre: &#krate::InstancePre<T>) -> #krate::Result<GuestIndices> {
                    let component = pre.component();
                    let instance =
                        #krate::__internal::export_index(component, None, #name)?;
                    Ok(GuestIndices {
                        #(#idents: #krate::__internal::export_index(
                            component, Some(&instance), #names,
                        )?,)*
                    })
                }

                /// Checks the types of the functions of an instance.
                ///
                /// # Errors
                ///
                /// When the type of one differs.
                #[allow(unused)]
                pub fn load(
                    &self,
                    mut store: impl #krate::AsContextMut,
                    instance: &#krate::Instance,
                ) -> #krate::Result<Guest> {
                    Ok(Guest {
                        #(#loaded)*
                    })
                }
            }

            impl Guest {
                #methods
            }
        });
        self.modules.add(&placed.path, items);
        Ok(())
    }

    /// Generates the methods that call an exported function.
    pub fn exported_function(
        &mut self,
        scope: &Scope,
        function: &Function,
    ) -> Result<ExportedFunction> {
        self.check_function(function)?;
        let krate = self.options.krate.clone();
        let params = self.params(scope, function, Passing::Borrowed)?;
        let result = self.result_type(scope, function)?;
        let Params { names, types } = &params;
        let results = match function.result {
            Some(_) => quote!((#result,)),
            None => quote!(()),
        };
        let base = match function.kind {
            FunctionKind::Constructor(_) => "constructor".to_string(),
            _ => function_name(function),
        };
        let field = match resource_of(function) {
            Some(resource) => {
                let resource = self.resolve.types[resource].name.as_deref();
                format_ident!("{}_{base}_function", snake(resource.unwrap_or_default()))
            }
            None => format_ident!("{base}_function"),
        };
        let place = match resource_of(function) {
            Some(_) => quote!(self.guest.#field),
            None => quote!(self.#field),
        };
        let base = base.trim_end_matches('_');
        let (call, func) = (format_ident!("call_{base}"), format_ident!("func_{base}"));
        let signature = quote!(#krate::TypedFunc<(#(#types,)*), #results>);
        let value = match function.result {
            Some(_) => quote!(let (result,) = result; Ok(result)),
            None => quote!(Ok(result)),
        };
        let declared = params.declared();
        let docs = docs(&function.docs);
        let methods = quote! {
            #docs
            pub fn #call<S: #krate::AsContextMut>(
                &self,
                store: S,
                #declared
            ) -> #krate::Result<#result> {
                let callee = <#krate::TypedFunc<(#(#types,)*), #results>>::new_unchecked(#place);
                let result = callee.call(store, (#(#names,)*))?;
                #value
            }

            /// Returns the function, for calls in other ways.
            pub fn #func(&self) -> #signature {
                <#krate::TypedFunc<(#(#types,)*), #results>>::new_unchecked(#place)
            }
        };
        Ok(ExportedFunction {
            field,
            name: function.name.clone(),
            types: quote!((#(#types,)*), #results),
            methods,
        })
    }
}
