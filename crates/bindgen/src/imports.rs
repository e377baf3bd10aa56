//! The imports of a world: traits that the host implements.

use crate::functions::{Params, function_name, resource_of};
use crate::names::{camel, ident, snake, world_name};
use crate::options::FunctionFlags;
use crate::types::{Passing, docs};
use crate::{Direction, Generator, Scope};
use anyhow::Result;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use wit_parser::{Function, Type, TypeId, TypeOwner};

/// A trait of the host under construction, in two halves: the functions that get the store, and
/// the others.
struct HostTrait {
    name: Ident,
    /// Traits that the trait and its half with the store need.
    supertraits: Vec<TokenStream>,
    supertraits_with_store: Vec<TokenStream>,
    is_async: bool,
    functions: Vec<TraitFunction>,
    docs: &'static str,
}

/// A function of a trait.
struct TraitFunction {
    docs: TokenStream,
    name: Ident,
    flags: FunctionFlags,
    params: Params,
    result: TokenStream,
}

/// An error type of an interface that the host returns as a type of its own.
pub struct TrappableError {
    /// The type of the host.
    pub host: TokenStream,
    /// The type of the interface.
    pub wit: TokenStream,
    /// The method of the interface's trait that converts it.
    pub convert: Ident,
    /// The trait, with its path.
    pub converter: TokenStream,
    /// The converter is the trait of the interface itself.
    pub is_own: bool,
}

impl Generator<'_> {
    /// Generates the module of an imported interface.
    pub fn import_interface(&mut self, scope: &Scope, path: &[String], key: &str) -> Result<()> {
        let mut items = self.standard_imports(scope);
        if let Some(interface) = scope.interface
            && scope.id.is_none()
        {
            items.extend(self.link_options(scope));
            for &ty in self.resolve.interfaces[interface].types.values() {
                items.extend(self.type_item(scope, ty)?);
            }
        } else {
            for (_, ty) in self.resources(scope) {
                let path = self.resource_path(scope, ty);
                items.extend(quote!(pub use #path;));
            }
        }
        items.extend(self.traits(scope)?);
        items.extend(self.interface_linking(scope, key)?);
        self.modules.add(path, items);
        Ok(())
    }

    /// Returns the name of the trait for functions without a resource: `Host`, or
    /// `MyWorldImports` for those at the world itself.
    pub fn host_name(&self, scope: &Scope) -> Ident {
        match scope.interface {
            Some(_) => ident("Host"),
            None => {
                let world = &self.resolve.worlds[self.world];
                format_ident!("{}Imports", world_name(&world.name))
            }
        }
    }

    /// Returns the name of the trait that a function belongs to.
    pub fn trait_of(&self, scope: &Scope, function: &Function) -> Ident {
        match resource_of(function) {
            Some(resource) => self.resource_trait(resource),
            None => self.host_name(scope),
        }
    }

    /// Returns the name of the trait of a resource.
    pub fn resource_trait(&self, resource: TypeId) -> Ident {
        let name = self.resolve.types[resource].name.as_deref();
        format_ident!("Host{}", camel(name.unwrap_or_default()))
    }

    /// Returns the flags of an imported function, or of a destructor `[drop]x`.
    pub fn import_flags(&self, scope: &Scope, function: &str) -> FunctionFlags {
        self.plan
            .flags(Direction::Import, scope.interface, function)
    }

    /// Generates the traits of a set of imports.
    pub fn traits(&self, scope: &Scope) -> Result<TokenStream> {
        let krate = &self.options.krate;
        let has_data = quote!(#krate::HasData);
        let mut items = TokenStream::new();
        let mut host = HostTrait {
            name: self.host_name(scope),
            supertraits: Vec::new(),
            supertraits_with_store: vec![has_data.clone()],
            is_async: self
                .plan
                .all_flags(Direction::Import, scope.interface)
                .asynchronous,
            functions: Vec::new(),
            docs: " The functions that the host provides.",
        };
        let functions = self.functions(scope);
        for (name, id) in self.resources(scope) {
            let trait_name = self.resource_trait(id);
            let mut resource = HostTrait {
                name: trait_name.clone(),
                supertraits: Vec::new(),
                supertraits_with_store: vec![has_data.clone()],
                is_async: false,
                functions: Vec::new(),
                docs: " The functions of a resource that the host provides.",
            };
            let methods = functions
                .iter()
                .filter(|function| resource_of(function) == Some(id));
            for function in methods {
                resource
                    .functions
                    .push(self.trait_function(scope, function)?);
            }
            resource.functions.push(self.destructor(scope, &name, id));
            let mut flags = resource.functions.iter().map(|function| function.flags);
            resource.is_async = flags.any(|flags| flags.asynchronous);
            items.extend(self.host_trait(
                scope,
                &resource,
                &TokenStream::new(),
                &TokenStream::new(),
            ));
            host.supertraits.push(quote!(#trait_name));
            let with_store = format_ident!("{trait_name}WithStore");
            host.supertraits_with_store.push(quote!(#with_store<T>));
        }
        for function in functions {
            if resource_of(function).is_none() {
                host.functions.push(self.trait_function(scope, function)?);
            }
        }
        let (conversions, forwarded) = self.conversions(scope)?;
        items.extend(self.host_trait(scope, &host, &conversions, &forwarded));
        Ok(items)
    }

    /// Generates both halves of a trait, and implements what follows from others.
    fn host_trait(
        &self,
        scope: &Scope,
        host: &HostTrait,
        conversions: &TokenStream,
        forwarded_conversions: &TokenStream,
    ) -> TokenStream {
        let HostTrait { name, docs, .. } = host;
        let with_store = format_ident!("{name}WithStore");
        let send = host.is_async.then(|| quote!(Send));
        let store_bounds = host.supertraits_with_store.iter().chain(&send);
        let store_bounds = quote!(#(#store_bounds)+*);
        let bounds: Vec<_> = host.supertraits.iter().chain(&send).collect();
        let bounds = (!bounds.is_empty()).then(|| quote!(: #(#bounds)+*));
        let (stored, plain): (Vec<_>, Vec<_>) = host
            .functions
            .iter()
            .partition(|function| function.flags.store);
        let stored_methods = stored
            .iter()
            .map(|function| self.declaration(scope, function));
        let blanket = stored.is_empty().then(|| {
            quote! {
                impl<D: #store_bounds + ?Sized, T> #with_store<T> for D {}
            }
        });
        let store_docs = match stored.is_empty() {
            true => " The functions that need the store. There are none.",
            false => " The functions that need the store.",
        };
        let methods = plain
            .iter()
            .map(|function| self.declaration(scope, function));
        let forwarding = (!self.options.skip_mut_forwarding_impls).then(|| {
            let send = host.is_async.then(|| quote!(+ Send));
            let methods = plain
                .iter()
                .map(|function| self.forwarded(scope, name, function));
            quote! {
                impl<H: #name + ?Sized #send> #name for &mut H {
                    #(#methods)*
                    #forwarded_conversions
                }
            }
        });
        quote! {
            #[doc = #store_docs]
            pub trait #with_store<T>: #store_bounds {
                #(#stored_methods)*
            }

            #blanket

            #[doc = #docs]
            pub trait #name #bounds {
                #(#methods)*
                #conversions
            }

            #forwarding
        }
    }

    /// Returns the declaration of a function in a trait.
    fn declaration(&self, scope: &Scope, function: &TraitFunction) -> TokenStream {
        let krate = &self.options.krate;
        let TraitFunction {
            docs, name, result, ..
        } = function;
        let host = match (function.flags.concurrent, function.flags.store) {
            (true, _) => quote!(accessor: &#krate::Accessor<T, Self>),
            (false, true) => quote!(host: #krate::Access<'_, T, Self>),
            (false, false) => quote!(&mut self),
        };
        let id = scope.id.as_ref().map(|id| quote!(id: #id,));
        let declared = function.params.declared();
        let result = match function.flags.asynchronous {
            true => quote!(impl ::core::future::Future<Output = #result> + Send),
            false => result.clone(),
        };
        let arrow = arrow(&result);
        quote!(#docs fn #name(#host, #id #declared) #arrow;)
    }

    /// Returns a function of `&mut` of what implements a trait.
    fn forwarded(&self, scope: &Scope, host: &Ident, function: &TraitFunction) -> TokenStream {
        let TraitFunction {
            name,
            params,
            result,
            ..
        } = function;
        let (asynchronous, awaited) = match function.flags.asynchronous {
            true => (quote!(async), quote!(.await)),
            false => (TokenStream::new(), TokenStream::new()),
        };
        let id = scope.id.as_ref().map(|id| quote!(id: #id,));
        let id_argument = scope.id.as_ref().map(|_| quote!(id,));
        let (declared, names) = (params.declared(), &params.names);
        let arrow = arrow(result);
        quote! {
            #asynchronous fn #name(&mut self, #id #declared) #arrow {
                #host::#name(*self, #id_argument #(#names),*)#awaited
            }
        }
    }

    /// Returns a function of the host, as its trait has it.
    fn trait_function(&self, scope: &Scope, function: &Function) -> Result<TraitFunction> {
        self.check_function(function)?;
        let flags = self.import_flags(scope, &function.name);
        let host = match flags.concurrent {
            true => "accessor",
            false => "host",
        };
        let taken = [host, "id"];
        let taken = &taken[..1 + usize::from(scope.id.is_some())];
        let params = self.params(scope, function, Passing::Owned, taken)?;
        let error = self.trappable_error(scope, function)?;
        let result = match (&error, flags.trappable) {
            (Some(error), true) => {
                let ok = self.result_of(function).and_then(|(ok, _)| ok);
                let ok = match ok {
                    Some(ty) => self.ty(scope, ty, Passing::Owned)?,
                    None => quote!(()),
                };
                let (result, error) = (self.std(scope, "Result"), &error.host);
                quote!(#result<#ok, #error>)
            }
            (None, true) => {
                let (outer, result) = (self.host_result(), self.result_type(scope, function)?);
                quote!(#outer<#result>)
            }
            (_, false) => self.result_type(scope, function)?,
        };
        Ok(TraitFunction {
            docs: docs(&function.docs, &function.stability),
            name: ident(&function_name(function)),
            flags,
            params,
            result,
        })
    }

    /// Returns the destructor of a resource, as its trait has it.
    fn destructor(&self, scope: &Scope, name: &str, id: TypeId) -> TraitFunction {
        let (krate, flags) = (
            &self.options.krate,
            self.import_flags(scope, &format!("[drop]{name}")),
        );
        let (rust, outer) = (self.resource_path(scope, id), self.host_result());
        TraitFunction {
            docs: quote!(#[doc = " Drops a resource that a guest owned."]),
            name: ident("drop"),
            flags,
            params: Params {
                names: vec![ident("rep")],
                types: vec![quote!(#krate::Resource<#rust>)],
            },
            result: quote!(#outer<()>),
        }
    }

    /// Returns the path of the result type of host functions whose error ends the guest's call.
    fn host_result(&self) -> TokenStream {
        let krate = &self.options.krate;
        match self.options.anyhow {
            true => quote!(#krate::__internal::anyhow::Result),
            false => quote!(#krate::Result),
        }
    }

    /// Returns the host's type for the error of a function, if it has one.
    pub fn trappable_error(
        &self,
        scope: &Scope,
        function: &Function,
    ) -> Result<Option<TrappableError>> {
        match self.result_of(function) {
            Some((_, Some(Type::Id(error)))) => self.trappable_type(scope, self.original(error)),
            _ => Ok(None),
        }
    }

    fn trappable_type(&self, scope: &Scope, error: TypeId) -> Result<Option<TrappableError>> {
        let Some(given) = self.plan.errors.get(&error) else {
            return Ok(None);
        };
        let definition = &self.resolve.types[error];
        let name = definition.name.as_deref().unwrap_or_default();
        let prefix = self.prefix(scope, definition.owner);
        Ok(Some(TrappableError {
            host: self.root_path(scope, &quote!(#given)),
            wit: self.ty(scope, Type::Id(error), Passing::Owned)?,
            convert: format_ident!("convert_{}", snake(name).trim_end_matches('_')),
            converter: quote!(#prefix Host),
            is_own: prefix.is_empty(),
        }))
    }

    /// Generates the methods that convert the host's types for error types of the interface, and
    /// those for `&mut` of what implements them.
    fn conversions(&self, scope: &Scope) -> Result<(TokenStream, TokenStream)> {
        let (mut methods, mut forwarded) = (TokenStream::new(), TokenStream::new());
        let (outer, host) = (self.host_result(), self.host_name(scope));
        for &error in self.plan.errors.keys() {
            let owner = self.resolve.types[error].owner;
            if scope.interface.map(TypeOwner::Interface) != Some(owner) || scope.id.is_some() {
                continue;
            }
            let Some(error) = self.trappable_type(scope, error)? else {
                continue;
            };
            let TrappableError {
                host: own,
                wit,
                convert,
                ..
            } = error;
            methods.extend(quote! {
                /// Converts an error of the host to one of the interface. If that fails, the
                /// guest's call ends.
                fn #convert(&mut self, error: #own) -> #outer<#wit>;
            });
            forwarded.extend(quote! {
                fn #convert(&mut self, error: #own) -> #outer<#wit> {
                    #host::#convert(*self, error)
                }
            });
        }
        Ok((methods, forwarded))
    }

    /// Returns the traits that convert errors for functions of a set of imports and are not its
    /// own.
    pub fn converters(&self, scope: &Scope) -> Result<Vec<TokenStream>> {
        let mut converters: Vec<TokenStream> = Vec::new();
        for function in self.functions(scope) {
            if let Some(error) = self.trappable_error(scope, function)?
                && !error.is_own
                && !converters
                    .iter()
                    .any(|other| other.to_string() == error.converter.to_string())
            {
                converters.push(error.converter);
            }
        }
        Ok(converters)
    }
}

/// Returns the return type of a signature, with its arrow.
fn arrow(result: &TokenStream) -> TokenStream {
    match result.to_string() == "()" {
        true => TokenStream::new(),
        false => quote!(-> #result),
    }
}
