//! The items of an interface's types.

use crate::names::{Given, camel, ident, snake};
use crate::types::{Passing, docs};
use crate::{Direction, Generator, Scope};
use anyhow::Result;
use heck::ToShoutySnakeCase;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use wit_parser::{Enum, Flags, Record, Type, TypeDefKind, TypeId, TypeOwner, Variant};

impl Generator<'_> {
    /// Generates the item of a named type.
    pub fn type_item(&mut self, scope: &Scope, name: &str, id: TypeId) -> Result<TokenStream> {
        let definition = &self.resolve.types[id];
        let docs = docs(&definition.docs);
        let rust = ident(&camel(name));
        let item = match &definition.kind {
            TypeDefKind::Record(record) => self.record(scope, name, id, record)?,
            TypeDefKind::Variant(variant) => self.variant(scope, name, id, variant)?,
            TypeDefKind::Enum(enum_) => self.enum_(name, id, enum_),
            TypeDefKind::Flags(flags) => return Ok(self.flags(name, flags, &docs)),
            TypeDefKind::Resource => self.resource(scope, name, id),
            TypeDefKind::Type(Type::Id(other)) => {
                let path = self.type_path(scope, *other);
                quote!(pub type #rust = #path;)
            }
            _ => {
                // An alias of a type without a name of its own.
                let structure = self.structure(scope, id, Passing::Owned)?;
                quote!(pub type #rust = #structure;)
            }
        };
        Ok(quote!(#docs #item))
    }

    /// Returns the attributes of a type that is a `shape`, with what it can derive.
    fn attributes(&self, id: TypeId, shape: &str) -> TokenStream {
        let krate = &self.options.krate;
        let additional = &self.options.additional_derives;
        let info = self.info[&id];
        let clone = (!info.has_resource).then(|| quote!(Clone,));
        let copy = (!info.has_resource && !info.has_list).then(|| quote!(Copy,));
        let shape = ident(shape);
        quote! {
            #[derive(
                #krate::ComponentType, #krate::Lift, #krate::Lower, Debug, #clone #copy
                #(#additional,)*
            )]
            #[component(#shape, crate = #krate)]
        }
    }

    fn record(
        &self,
        scope: &Scope,
        name: &str,
        id: TypeId,
        record: &Record,
    ) -> Result<TokenStream> {
        let (attributes, rust) = (self.attributes(id, "record"), ident(&camel(name)));
        let mut fields = TokenStream::new();
        for field in &record.fields {
            let (docs, name) = (docs(&field.docs), &field.name);
            let (rust, ty) = (
                ident(&snake(name)),
                self.ty(scope, field.ty, Passing::Owned)?,
            );
            fields.extend(quote!(#docs #[component(name = #name)] pub #rust: #ty,));
        }
        let error = self.error_impl(id, &rust);
        Ok(quote!(#attributes pub struct #rust { #fields } #error))
    }

    fn variant(
        &self,
        scope: &Scope,
        name: &str,
        id: TypeId,
        variant: &Variant,
    ) -> Result<TokenStream> {
        let (attributes, rust) = (self.attributes(id, "variant"), ident(&camel(name)));
        let mut cases = TokenStream::new();
        for case in &variant.cases {
            let (docs, name) = (docs(&case.docs), &case.name);
            let rust = ident(&camel(name));
            let payload = match case.ty {
                Some(ty) => {
                    let ty = self.ty(scope, ty, Passing::Owned)?;
                    quote!((#ty))
                }
                None => TokenStream::new(),
            };
            cases.extend(quote!(#docs #[component(name = #name)] #rust #payload,));
        }
        let error = self.error_impl(id, &rust);
        Ok(quote!(#attributes pub enum #rust { #cases } #error))
    }

    fn enum_(&self, name: &str, id: TypeId, enum_: &Enum) -> TokenStream {
        let (attributes, rust) = (self.attributes(id, "enum"), ident(&camel(name)));
        let cases = enum_.cases.iter().map(|case| {
            let (docs, name) = (docs(&case.docs), &case.name);
            let rust = ident(&camel(name));
            quote!(#docs #[component(name = #name)] #rust,)
        });
        let error = self.errors.contains(&id).then(|| {
            let idents: Vec<_> = enum_
                .cases
                .iter()
                .map(|case| ident(&camel(&case.name)))
                .collect();
            let names = enum_.cases.iter().map(|case| &case.name);
            let messages = enum_
                .cases
                .iter()
                .map(|case| case.docs.contents.as_deref().unwrap_or(""));
            quote! {
                impl #rust {
                    /// Returns the name of the case.
                    pub fn name(&self) -> &'static str {
                        match self {
                            #(Self::#idents => #names,)*
                        }
                    }

                    /// Returns what the interface says of the case.
                    pub fn message(&self) -> &'static str {
                        match self {
                            #(Self::#idents => #messages,)*
                        }
                    }
                }

                impl ::core::fmt::Display for #rust {
                    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                        f.write_str(self.name())
                    }
                }

                impl ::core::error::Error for #rust {}
            }
        });
        quote! {
            #attributes
            #[derive(PartialEq, Eq)]
            #[repr(u8)]
            pub enum #rust { #(#cases)* }
            #error
        }
    }

    fn flags(&self, name: &str, flags: &Flags, docs: &TokenStream) -> TokenStream {
        let (krate, rust) = (&self.options.krate, ident(&camel(name)));
        let flags = flags.flags.iter().map(|flag| {
            let (docs, name) = (self::docs(&flag.docs), &flag.name);
            let rust = ident(&name.to_shouty_snake_case());
            quote!(#docs #[component(name = #name)] const #rust;)
        });
        quote! {
            #krate::flags! {
                #docs
                #[component(crate = #krate)]
                #rust { #(#flags)* }
            }
        }
    }

    /// Implements `Error` for a type that functions return as their error.
    fn error_impl(&self, id: TypeId, rust: &Ident) -> Option<TokenStream> {
        self.errors.contains(&id).then(|| {
            quote! {
                impl ::core::fmt::Display for #rust {
                    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                        ::core::fmt::Debug::fmt(self, f)
                    }
                }

                impl ::core::error::Error for #rust {}
            }
        })
    }

    fn resource(&mut self, scope: &Scope, name: &str, id: TypeId) -> TokenStream {
        let (krate, rust) = (self.options.krate.clone(), ident(&camel(name)));
        if scope.direction == Direction::Export {
            return quote!(pub type #rust = #krate::ResourceAny;);
        }
        let owner = match self.resolve.types[id].owner {
            TypeOwner::Interface(owner) => Some(owner),
            TypeOwner::World(_) | TypeOwner::None => None,
        };
        let item = match owner {
            Some(_) => format!(".{name}"),
            None => name.to_string(),
        };
        let names = self.option_names(owner, &[&item]);
        match self.used.with(self.options, &names) {
            Some(path) => {
                let given = self.give(&path, Given::Type);
                let path = self.given_path(scope, &given);
                quote!(pub type #rust = #path;)
            }
            None => quote!(pub enum #rust {}),
        }
    }
}
