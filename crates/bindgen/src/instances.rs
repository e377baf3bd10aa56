//! The instances of a world: its struct, `Pre` and `Indices`.

use crate::names::ident;
use crate::{Direction, Generator, Scope};
use anyhow::Result;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// The names of the world's structs.
struct Names {
    world: Ident,
    pre: Ident,
    indices: Ident,
}

/// The parts of the world's structs.
#[derive(Default)]
struct Parts {
    fields: TokenStream,
    indices: TokenStream,
    /// The values of the indexes, from `pre`.
    found: TokenStream,
    /// The values of the fields, from `store` and `instance`.
    loaded: TokenStream,
    methods: TokenStream,
}

impl Generator<'_> {
    /// Generates the structs of the world. `linking` are the functions that define its imports.
    pub fn instances(&self, linking: &TokenStream) -> Result<TokenStream> {
        let world = self.world_ident();
        let names = Names {
            pre: format_ident!("{world}Pre"),
            indices: format_ident!("{world}Indices"),
            world,
        };
        let parts = self.parts()?;
        let pre = self.pre(&names);
        let indices = self.indices(&names, &parts);
        let world = self.world_struct(&names, &parts, linking);
        Ok(quote!(#pre #indices #world))
    }

    fn parts(&self) -> Result<Parts> {
        let krate = &self.options.krate;
        let scope = Scope::world(Direction::Export);
        let functions = self.exported_functions(&scope, "default")?;
        let mut parts = Parts {
            fields: functions.function_fields(krate),
            indices: functions.index_fields(krate),
            found: functions.found(krate, &quote!(None)),
            loaded: functions.loaded(krate),
            methods: functions.methods(),
        };
        for (number, (_, placed)) in self.plan.exports().enumerate() {
            let field = format_ident!("interface{number}");
            let module = self.path_from(&scope, placed);
            let accessor = ident(&placed.path[1..].join("_"));
            parts.fields.extend(quote!(#field: #module::Guest,));
            parts.indices.extend(quote!(#field: #module::GuestIndices,));
            parts
                .found
                .extend(quote!(#field: #module::GuestIndices::new(pre)?,));
            parts
                .loaded
                .extend(quote!(#field: self.#field.load(&mut store, instance)?,));
            parts.methods.extend(quote! {
                /// Returns the functions of the interface.
                pub fn #accessor(&self) -> &#module::Guest {
                    &self.#field
                }
            });
        }
        Ok(parts)
    }

    /// Generates the struct of a component whose imports are linked.
    fn pre(&self, names: &Names) -> TokenStream {
        let krate = &self.options.krate;
        let Names {
            world,
            pre,
            indices,
        } = names;
        quote! {
            /// A component of the world whose imports are linked, to be instantiated any number of
            /// times.
            pub struct #pre<T: 'static> {
                instance_pre: #krate::InstancePre<T>,
                indices: #indices,
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
                /// If the component does not export something, or its type differs.
                pub fn new(instance_pre: #krate::InstancePre<T>) -> #krate::Result<Self> {
                    let indices = #indices::new(&instance_pre)?;
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
                /// If that fails, or the type of an export differs.
                pub fn instantiate(
                    &self,
                    mut store: impl #krate::AsContextMut<Data = T>,
                ) -> #krate::Result<#world> {
                    let instance = self.instance_pre.instantiate(&mut store)?;
                    self.indices.load(&mut store, &instance)
                }
            }

            impl<T: Send + 'static> #pre<T> {
                /// Instantiates the component; its start functions may call asynchronous host
                /// functions.
                ///
                /// # Errors
                ///
                /// If that fails, or the type of an export differs.
                pub async fn instantiate_async(
                    &self,
                    mut store: impl #krate::AsContextMut<Data = T>,
                ) -> #krate::Result<#world> {
                    let instance = self.instance_pre.instantiate_async(&mut store).await?;
                    self.indices.load(&mut store, &instance)
                }
            }
        }
    }

    /// Generates the struct of the places of exports.
    fn indices(&self, names: &Names, parts: &Parts) -> TokenStream {
        let krate = &self.options.krate;
        let Names { world, indices, .. } = names;
        let Parts {
            indices: fields,
            found,
            loaded,
            ..
        } = parts;
        quote! {
            /// The places of the exports of the world in a component, found once by name.
            #[derive(Clone)]
            pub struct #indices {
                #fields
            }

            #[allow(unused)]
            impl #indices {
                /// Finds what the world exports.
                ///
                /// # Errors
                ///
                /// If the component does not export something, or its type differs.
                pub fn new<T>(pre: &#krate::InstancePre<T>) -> #krate::Result<Self> {
                    Ok(Self { #found })
                }

                /// Checks the types of what an instance exports.
                ///
                /// # Errors
                ///
                /// If one differs.
                pub fn load(
                    &self,
                    mut store: impl #krate::AsContextMut,
                    instance: &#krate::Instance,
                ) -> #krate::Result<#world> {
                    Ok(#world { #loaded })
                }
            }
        }
    }

    /// Generates the struct of an instance.
    fn world_struct(&self, names: &Names, parts: &Parts, linking: &TokenStream) -> TokenStream {
        let krate = &self.options.krate;
        let Names {
            world,
            pre,
            indices,
        } = names;
        let Parts {
            fields, methods, ..
        } = parts;
        let docs = self.world_docs();
        quote! {
            #docs
            pub struct #world {
                #fields
            }

            impl #world {
                /// Instantiates a component of the world.
                ///
                /// # Errors
                ///
                /// If it imports what the linker does not have, if it does not export what the
                /// world does, or if instantiating it fails.
                pub fn instantiate<T: 'static>(
                    store: impl #krate::AsContextMut<Data = T>,
                    component: &#krate::Component,
                    linker: &#krate::Linker<T>,
                ) -> #krate::Result<Self> {
                    #pre::new(linker.instantiate_pre(component)?)?.instantiate(store)
                }

                /// Instantiates a component of the world; its start functions may call
                /// asynchronous host functions.
                ///
                /// # Errors
                ///
                /// As [`instantiate`](Self::instantiate).
                pub async fn instantiate_async<T: Send + 'static>(
                    store: impl #krate::AsContextMut<Data = T>,
                    component: &#krate::Component,
                    linker: &#krate::Linker<T>,
                ) -> #krate::Result<Self> {
                    let pre = #pre::new(linker.instantiate_pre(component)?)?;
                    pre.instantiate_async(store).await
                }

                /// Finds what the world exports in an instance.
                ///
                /// # Errors
                ///
                /// If the instance does not export something, or its type differs.
                pub fn new(
                    mut store: impl #krate::AsContextMut,
                    instance: &#krate::Instance,
                ) -> #krate::Result<Self> {
                    let indices = #indices::new(&instance.instance_pre(&store))?;
                    indices.load(&mut store, instance)
                }

                #linking

                #methods
            }
        }
    }
}
