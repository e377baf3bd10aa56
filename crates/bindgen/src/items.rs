//! The items of an interface's types.

use crate::names::{camel, ident, snake};
use crate::types::{Passing, RustType, docs, plain_docs};
use crate::{Direction, Generator, Scope};
use anyhow::Result;
use heck::ToShoutySnakeCase;
use indexmap::IndexMap;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use wit_parser::{Enum, Flags, Record, Type, TypeDefKind, TypeId, Variant};

/// A case of a variant or enum.
struct Case {
    rust: Ident,
    /// It has a payload.
    has_payload: bool,
}

impl Generator<'_> {
    /// Generates the items of a named type.
    pub fn type_item(&self, scope: &Scope, id: TypeId) -> Result<TokenStream> {
        let definition = &self.resolve.types[id];
        let docs = docs(&definition.docs, &definition.stability);
        let mut items = TokenStream::new();
        for ty in self.rust_types(id) {
            let rust = ident(&ty.name);
            let item = match &definition.kind {
                TypeDefKind::Record(record) => self.record(scope, &ty, id, record)?,
                TypeDefKind::Variant(variant) => self.variant(scope, &ty, id, variant)?,
                TypeDefKind::Enum(enum_) => self.enum_(id, enum_),
                TypeDefKind::Flags(flags) => {
                    items.extend(self.flags(&rust, flags, &docs));
                    continue;
                }
                TypeDefKind::Resource => self.resource(scope, &rust, id),
                kind => {
                    let aliased = self.aliased(scope, id, kind, ty.passing)?;
                    let generics = ty.generics();
                    quote!(pub type #rust #generics = #aliased;)
                }
            };
            items.extend(quote!(#docs #item));
        }
        Ok(items)
    }

    /// Returns the target of a type alias.
    fn aliased(
        &self,
        scope: &Scope,
        id: TypeId,
        kind: &TypeDefKind,
        passing: Passing,
    ) -> Result<TokenStream> {
        match kind {
            TypeDefKind::Type(Type::Id(other)) if self.is_resource(*other) => {
                Ok(self.resource_path(scope, *other))
            }
            TypeDefKind::Type(other) => self.ty(scope, *other, passing),
            _ => self.structure(scope, id, passing),
        }
    }

    fn is_resource(&self, id: TypeId) -> bool {
        let original = self.original(id);
        matches!(self.resolve.types[original].kind, TypeDefKind::Resource)
    }

    /// Returns the attributes of a type that is a `shape`, with what it can derive. Its own traits
    /// come first, and each comes once.
    fn attributes(&self, id: TypeId, shape: &str, ty: &RustType) -> TokenStream {
        let krate = &self.options.krate;
        let info = self.info[&id];
        let mut derived = IndexMap::new();
        let mut derive = |name: TokenStream| {
            let last = name.to_string();
            let last = last
                .rsplit("::")
                .next()
                .unwrap_or_default()
                .trim()
                .to_string();
            derived.entry(last).or_insert(name);
        };
        derive(quote!(#krate::ComponentType));
        // What borrows cannot be read from a guest's memory.
        if !ty.has_lifetime {
            derive(quote!(#krate::Lift));
        }
        derive(quote!(#krate::Lower));
        if !info.has_resource {
            derive(quote!(Clone));
            if !info.has_list {
                derive(quote!(Copy));
            }
        }
        if shape == "enum" {
            derive(quote!(PartialEq));
            derive(quote!(Eq));
        }
        self.options
            .additional_derives
            .iter()
            .cloned()
            .for_each(derive);
        let (derived, shape) = (derived.values(), ident(shape));
        quote! {
            #[derive(#(#derived),*)]
            #[component(#shape, crate = #krate)]
        }
    }

    fn record(
        &self,
        scope: &Scope,
        ty: &RustType,
        id: TypeId,
        record: &Record,
    ) -> Result<TokenStream> {
        let (attributes, name) = (self.attributes(id, "record", ty), &ty.name);
        let (rust, generics) = (ident(name), ty.generics());
        let mut fields = TokenStream::new();
        let mut shown = TokenStream::new();
        for field in &record.fields {
            let (docs, wit) = (plain_docs(&field.docs), &field.name);
            let (rust, ty) = (ident(&snake(wit)), self.ty(scope, field.ty, ty.passing)?);
            fields.extend(quote!(#docs #[component(name = #wit)] pub #rust: #ty,));
            shown.extend(quote!(.field(#wit, &self.#rust)));
        }
        let error = self.error_impl(id, ty);
        Ok(quote! {
            #attributes
            pub struct #rust #generics { #fields }

            impl #generics ::core::fmt::Debug for #rust #generics {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct(#name)#shown.finish()
                }
            }

            #error
        })
    }

    fn variant(
        &self,
        scope: &Scope,
        ty: &RustType,
        id: TypeId,
        variant: &Variant,
    ) -> Result<TokenStream> {
        let (attributes, rust) = (self.attributes(id, "variant", ty), ident(&ty.name));
        let generics = ty.generics();
        let mut declared = TokenStream::new();
        let mut cases = Vec::new();
        for case in &variant.cases {
            let (docs, name) = (plain_docs(&case.docs), &case.name);
            let rust = ident(&camel(name));
            let payload = match case.ty {
                Some(payload) => {
                    let payload = self.ty(scope, payload, ty.passing)?;
                    quote!((#payload))
                }
                None => TokenStream::new(),
            };
            declared.extend(quote!(#docs #[component(name = #name)] #rust #payload,));
            cases.push(Case {
                rust,
                has_payload: case.ty.is_some(),
            });
        }
        let debug = debug_impl(ty, &cases);
        let error = self.error_impl(id, ty);
        Ok(quote! {
            #attributes
            pub enum #rust #generics { #declared }

            #debug
            #error
        })
    }

    fn enum_(&self, id: TypeId, enum_: &Enum) -> TokenStream {
        let ty = RustType {
            name: self.type_name(id),
            passing: Passing::Owned,
            has_lifetime: false,
        };
        let (attributes, rust) = (self.attributes(id, "enum", &ty), ident(&ty.name));
        let cases = enum_.cases.iter().map(|case| {
            let (docs, name) = (plain_docs(&case.docs), &case.name);
            let rust = ident(&camel(name));
            quote!(#docs #[component(name = #name)] #rust,)
        });
        let repr = ident(match enum_.cases.len() {
            0..=0x100 => "u8",
            0x101..=0x1_0000 => "u16",
            _ => "u32",
        });
        let shown = match self.info[&id].is_error {
            true => enum_error(&rust, enum_),
            false => {
                let cases = enum_.cases.iter().map(|case| Case {
                    rust: ident(&camel(&case.name)),
                    has_payload: false,
                });
                debug_impl(&ty, &cases.collect::<Vec<_>>())
            }
        };
        quote! {
            #attributes
            #[repr(#repr)]
            pub enum #rust { #(#cases)* }

            #shown
        }
    }

    fn flags(&self, rust: &Ident, flags: &Flags, docs: &TokenStream) -> TokenStream {
        let krate = &self.options.krate;
        let flags = flags.flags.iter().map(|flag| {
            let (docs, name) = (plain_docs(&flag.docs), &flag.name);
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
    fn error_impl(&self, id: TypeId, ty: &RustType) -> Option<TokenStream> {
        let (rust, generics) = (ident(&ty.name), ty.generics());
        self.info[&id].is_error.then(|| {
            quote! {
                impl #generics ::core::fmt::Display for #rust #generics {
                    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                        ::core::fmt::Debug::fmt(self, f)
                    }
                }

                impl #generics ::core::error::Error for #rust #generics {}
            }
        })
    }

    fn resource(&self, scope: &Scope, rust: &Ident, id: TypeId) -> TokenStream {
        let krate = &self.options.krate;
        match (scope.direction, self.plan.resources.get(&id)) {
            (Direction::Export, _) => quote!(pub type #rust = #krate::ResourceAny;),
            (Direction::Import, Some(path)) => {
                let path = self.root_path(scope, path);
                quote!(pub type #rust = #path;)
            }
            (Direction::Import, None) => quote!(pub enum #rust {}),
        }
    }
}

/// Implements `Debug` for an enum: as the path of its case, with the payload.
fn debug_impl(ty: &RustType, cases: &[Case]) -> TokenStream {
    let (name, generics) = (&ty.name, ty.generics());
    let rust = ident(name);
    let arms = cases.iter().map(|case| {
        let (rust, shown) = (&case.rust, format!("{name}::{}", case.rust));
        match case.has_payload {
            true => quote!(Self::#rust(payload) => f.debug_tuple(#shown).field(payload).finish(),),
            false => quote!(Self::#rust => f.write_str(#shown),),
        }
    });
    quote! {
        impl #generics ::core::fmt::Debug for #rust #generics {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    #(#arms)*
                }
            }
        }
    }
}

/// Implements names, messages and `Error` for an enum that functions return as their error.
fn enum_error(rust: &Ident, enum_: &Enum) -> TokenStream {
    let cases = enum_.cases.iter();
    let idents: Vec<_> = cases
        .clone()
        .map(|case| ident(&camel(&case.name)))
        .collect();
    let names = cases.clone().map(|case| &case.name);
    let messages = cases.map(|case| case.docs.contents.as_deref().unwrap_or("").trim());
    let shown = rust.to_string();
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

        impl ::core::fmt::Debug for #rust {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#shown)
                    .field("code", &(*self as i32))
                    .field("name", &self.name())
                    .field("message", &self.message())
                    .finish()
            }
        }

        impl ::core::fmt::Display for #rust {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                write!(f, "{} (error {})", self.name(), *self as i32)
            }
        }

        impl ::core::error::Error for #rust {}
    }
}
