//! [`Definition`]: what a derive macro is told.

use heck::ToKebabCase;
use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DataEnum, DataStruct, DeriveInput, Error, Fields, Generics, Ident, LitStr,
    Path, Result, Type, parse_quote,
};

/// A Rust type that stands for a component type.
pub struct Definition {
    pub ident: Ident,
    pub generics: Generics,
    pub shape: Shape,
    /// The path of the crate `mintage`, as the deriving crate names it.
    pub krate: Path,
}

/// The kind of component type, with its parts.
pub enum Shape {
    Record(Vec<Field>),
    Variant(Vec<Case>),
    Enum(Vec<Case>),
}

/// A field of a record.
pub struct Field {
    pub member: Ident,
    pub names: Names,
    pub ty: Type,
}

/// A case of a variant or enum.
pub struct Case {
    pub ident: Ident,
    pub names: Names,
    pub payload: Option<Type>,
}

/// The names in the component type that a part of the Rust type may stand for: the one that an
/// attribute gives, or else the Rust name in kebab case and as it is.
pub struct Names(Vec<String>);

impl Names {
    fn new(ident: &Ident, attributes: &Attributes) -> Self {
        let rust = ident.to_string();
        let rust = rust.strip_prefix("r#").unwrap_or(&rust).to_string();
        let kebab = rust.to_kebab_case();
        Names(match &attributes.name {
            Some(name) => vec![name.clone()],
            None if kebab == rust => vec![rust],
            None => vec![kebab, rust],
        })
    }

    /// The names of a part that is not derived on, for [`flags!`](macro@crate::flags).
    pub fn of_part(ident: &Ident, attributes: &[Attribute]) -> Result<Self> {
        let attributes = Attributes::parse(attributes, Place::Part)?;
        Ok(Self::new(ident, &attributes))
    }
}

impl ToTokens for Names {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let names = &self.0;
        tokens.extend(quote!(&[#(#names),*]));
    }
}

/// The place of an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Type,
    Part,
}

/// The contents of `#[component(...)]`.
#[derive(Default)]
struct Attributes {
    name: Option<String>,
    krate: Option<Path>,
    shape: Option<(Ident, &'static str)>,
}

impl Attributes {
    fn parse(attributes: &[Attribute], place: Place) -> Result<Self> {
        let mut parsed = Attributes::default();
        for attribute in attributes {
            if !attribute.path().is_ident("component") {
                continue;
            }
            attribute.parse_nested_meta(|meta| {
                let Some(word) = meta.path.get_ident().cloned() else {
                    return Err(meta.error("expected one word"));
                };
                let text = word.to_string();
                match (text.as_str(), place) {
                    ("record", Place::Type) => parsed.set_shape(word, "record"),
                    ("variant", Place::Type) => parsed.set_shape(word, "variant"),
                    ("enum", Place::Type) => parsed.set_shape(word, "enum"),
                    ("crate" | "wasmtime_crate", Place::Type) => {
                        let value = meta.value()?;
                        parsed.krate = Some(match value.peek(LitStr) {
                            true => value.parse::<LitStr>()?.parse()?,
                            false => value.call(Path::parse_mod_style)?,
                        });
                        Ok(())
                    }
                    ("name", Place::Part) => {
                        let name = meta.value()?.parse::<LitStr>()?;
                        match parsed.name.replace(name.value()) {
                            None => Ok(()),
                            Some(first) => Err(Error::new(
                                name.span(),
                                format!("there is a name already: `{first}`"),
                            )),
                        }
                    }
                    ("flags", Place::Type) => Err(meta.error(
                        "flags are not derived: the macro `flags!` defines a type for them",
                    )),
                    (_, Place::Type) => Err(meta.error(
                        "expected `record`, `variant`, `enum` or `crate = path`; names belong to \
                         fields and cases",
                    )),
                    (_, Place::Part) => Err(meta.error("expected `name = \"...\"`")),
                }
            })?;
        }
        Ok(parsed)
    }

    fn set_shape(&mut self, word: Ident, shape: &'static str) -> Result<()> {
        match &self.shape {
            None => {
                self.shape = Some((word, shape));
                Ok(())
            }
            Some((_, first)) => Err(Error::new(
                word.span(),
                format!("a type is one of `record`, `variant` and `enum`, and this is `{first}`"),
            )),
        }
    }
}

/// Returns the path by which the crate that is being compiled names `mintage`.
pub fn default_crate() -> Path {
    match crate_name("mintage") {
        Ok(FoundCrate::Name(name)) => {
            let name = Ident::new(&name, Span::call_site());
            parse_quote!(::#name)
        }
        // In the crate itself, or where there is no manifest to look at.
        Ok(FoundCrate::Itself) | Err(_) => parse_quote!(::mintage),
    }
}

/// Returns the path of `mintage` that the attributes of a type give, or that of the crate.
pub fn crate_of(attributes: &[Attribute]) -> Result<Path> {
    let attributes = Attributes::parse(attributes, Place::Type)?;
    Ok(attributes.krate.unwrap_or_else(default_crate))
}

impl Definition {
    pub fn new(input: DeriveInput) -> Result<Self> {
        let attributes = Attributes::parse(&input.attrs, Place::Type)?;
        let Some((word, shape)) = &attributes.shape else {
            return Err(Error::new(
                input.ident.span(),
                "say what the type is: `#[component(record)]`, `#[component(variant)]` or \
                 `#[component(enum)]`",
            ));
        };
        let shape = match (*shape, &input.data) {
            ("record", Data::Struct(data)) => Shape::Record(fields(&input.ident, data)?),
            ("variant", Data::Enum(data)) => Shape::Variant(cases(data)?),
            ("enum", Data::Enum(data)) => Shape::Enum(plain_cases(data)?),
            ("record", _) => return Err(Error::new(word.span(), "a record is a `struct`")),
            (shape, _) => {
                return Err(Error::new(
                    word.span(),
                    format!("the type is not a Rust `enum`, and `{shape}` is for enums"),
                ));
            }
        };
        Ok(Definition {
            krate: attributes.krate.unwrap_or_else(default_crate),
            ident: input.ident,
            generics: input.generics,
            shape,
        })
    }

    /// Returns an implementation of `implemented` that consists of `items`. Each type parameter is
    /// bounded by the trait. In `items`, `internal` is the hidden module of `mintage`.
    pub fn implement(&self, implemented: &str, items: &TokenStream) -> TokenStream {
        let Definition { ident, krate, .. } = self;
        let implemented = Ident::new(implemented, Span::call_site());
        let mut generics = self.generics.clone();
        for parameter in generics.type_params_mut() {
            let bound = parse_quote!(#krate::__internal::#implemented);
            parameter.bounds.push(bound);
        }
        let (generics, arguments, clause) = generics.split_for_impl();
        quote! {
            const _: () = {
                use #krate::__internal as internal;

                #[allow(unused)]
                impl #generics internal::#implemented for #ident #arguments #clause {
                    #items
                }
            };
        }
    }
}

fn fields(ident: &Ident, data: &DataStruct) -> Result<Vec<Field>> {
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(
            ident.span(),
            "a record has named fields; a tuple is a Rust tuple",
        ));
    };
    let fields = fields.named.iter().filter_map(|field| {
        let member = field.ident.clone()?;
        Some(
            Attributes::parse(&field.attrs, Place::Part).map(|attributes| Field {
                names: Names::new(&member, &attributes),
                member,
                ty: field.ty.clone(),
            }),
        )
    });
    fields.collect()
}

fn cases(data: &DataEnum) -> Result<Vec<Case>> {
    if data.variants.is_empty() {
        return Err(Error::new(
            data.enum_token.span(),
            "a variant or enum has at least one case",
        ));
    }
    data.variants
        .iter()
        .map(|variant| {
            let attributes = Attributes::parse(&variant.attrs, Place::Part)?;
            if let Some((_, value)) = &variant.discriminant {
                return Err(Error::new(
                    value.span(),
                    "cases are numbered in order; remove the discriminant",
                ));
            }
            let payload = match &variant.fields {
                Fields::Unit => None,
                Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                    Some(fields.unnamed[0].ty.clone())
                }
                fields => {
                    return Err(Error::new(
                        fields.span(),
                        "a case has no payload or one; make several a record or tuple",
                    ));
                }
            };
            Ok(Case {
                names: Names::new(&variant.ident, &attributes),
                ident: variant.ident.clone(),
                payload,
            })
        })
        .collect()
}

fn plain_cases(data: &DataEnum) -> Result<Vec<Case>> {
    let cases = cases(data)?;
    match cases.iter().find(|case| case.payload.is_some()) {
        None => Ok(cases),
        Some(case) => Err(Error::new(
            case.ident.span(),
            "the cases of an enum have no payload; `#[component(variant)]` has cases that do",
        )),
    }
}
