//! The derive macros of Mintage, for Rust types that stand for component types. Use them through
//! `mintage`, which re-exports them and documents each.
//!
//! ```text
//! derive input   -> Definition   what the type is, and its parts' names    definition.rs
//! Definition     -> tokens       implementations of the three traits       record.rs, variant.rs
//! flags! input   -> tokens       a set of flags and its implementations    flags.rs
//! bindgen! input -> tokens       bindings, made by `mintage-bindgen`       bindgen
//! ```

mod bindgen;
mod definition;
mod flags;
mod record;
#[cfg(test)]
mod tests;
mod variant;

use definition::{Definition, Shape};
use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// One of the traits that can be derived.
#[derive(Clone, Copy)]
enum Trait {
    ComponentType,
    Lift,
    Lower,
}

/// Implements `ComponentType` for a record, variant or enum.
#[proc_macro_derive(ComponentType, attributes(component))]
pub fn component_type(input: TokenStream) -> TokenStream {
    derive(parse_macro_input!(input), Trait::ComponentType)
}

/// Implements `Lift` for a record, variant or enum.
#[proc_macro_derive(Lift, attributes(component))]
pub fn lift(input: TokenStream) -> TokenStream {
    derive(parse_macro_input!(input), Trait::Lift)
}

/// Implements `Lower` for a record, variant or enum.
#[proc_macro_derive(Lower, attributes(component))]
pub fn lower(input: TokenStream) -> TokenStream {
    derive(parse_macro_input!(input), Trait::Lower)
}

/// Defines a set of flags and implements `ComponentType`, `Lift` and `Lower` for it.
#[proc_macro]
pub fn flags(input: TokenStream) -> TokenStream {
    let flags = parse_macro_input!(input as flags::Flags);
    flags::expand(&flags)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Generates bindings of a WIT world.
#[proc_macro]
pub fn bindgen(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as bindgen::Input);
    bindgen::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

fn derive(input: DeriveInput, implemented: Trait) -> TokenStream {
    expand(input, implemented)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

fn expand(input: DeriveInput, implemented: Trait) -> syn::Result<proc_macro2::TokenStream> {
    let definition = Definition::new(input)?;
    Ok(match &definition.shape {
        Shape::Record(fields) => record::expand(&definition, fields, implemented),
        Shape::Variant(cases) => variant::expand(&definition, cases, implemented),
        Shape::Enum(cases) => variant::expand_enum(&definition, cases, implemented),
    })
}
