//! Spans and events of the crate `tracing` around calls.

use crate::Generator;
use crate::names::{ident, snake};
use crate::options::FunctionFlags;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use wit_parser::{Function, Type, TypeDefKind};

/// The statements around a call.
#[derive(Default)]
pub struct Tracing {
    /// Makes the span `span`.
    pub span: TokenStream,
    /// Enters it, where the call is synchronous.
    pub enter: TokenStream,
    /// Tells the arguments.
    pub called: TokenStream,
    /// Tells the result.
    pub returned: TokenStream,
}

/// The side of a call that a span is about.
#[derive(Clone, Copy)]
pub enum Side {
    /// A guest calls the host.
    Import,
    /// The host calls a guest.
    Export,
}

impl Generator<'_> {
    /// Returns the statements around a call: those without effect if its flags do not ask for
    /// them. `module` is where the function is, `arguments` the names of its arguments in Rust.
    pub fn tracing(
        &self,
        side: Side,
        module: &str,
        function: &Function,
        flags: FunctionFlags,
        arguments: &[Ident],
    ) -> Tracing {
        if !flags.tracing {
            return Tracing::default();
        }
        let (name, label) = (
            &function.name,
            match side {
                Side::Import => "wit-bindgen import",
                Side::Export => "wit-bindgen export",
            },
        );
        let span = quote! {
            let span = ::tracing::span!(
                ::tracing::Level::TRACE,
                #label,
                module = #module,
                function = #name,
            );
        };
        let enter = match flags.asynchronous {
            true => TokenStream::new(),
            false => quote!(let _enter = span.enter();),
        };
        let values = function
            .params
            .iter()
            .zip(arguments)
            .map(|(param, argument)| {
                let field = ident(&snake(&param.name));
                let value = self.shown(param.ty, flags, argument);
                quote!(#field = #value)
            });
        let result = match function.result {
            Some(ty) => self.shown(ty, flags, &ident("result")),
            None => quote!(::tracing::field::debug(&result)),
        };
        Tracing {
            span,
            enter,
            called: quote!(::tracing::event!(::tracing::Level::TRACE, #(#values,)* "call");),
            returned: quote! {
                ::tracing::event!(::tracing::Level::TRACE, result = #result, "return");
            },
        }
    }

    /// Returns the expression that shows a value. Lists may be long.
    fn shown(&self, ty: Type, flags: FunctionFlags, value: &Ident) -> TokenStream {
        match self.contains_list(ty) && !flags.verbose_tracing {
            true => quote!(::tracing::field::debug("...")),
            false => quote!(::tracing::field::debug(&#value)),
        }
    }

    /// Returns whether there is a list in a type. Strings are usually short.
    fn contains_list(&self, ty: Type) -> bool {
        let Type::Id(id) = ty else {
            return false;
        };
        match &self.resolve.types[id].kind {
            TypeDefKind::List(_) | TypeDefKind::Map(..) => true,
            TypeDefKind::Option(ty)
            | TypeDefKind::Type(ty)
            | TypeDefKind::FixedLengthList(ty, _) => self.contains_list(*ty),
            TypeDefKind::Record(record) => record
                .fields
                .iter()
                .any(|field| self.contains_list(field.ty)),
            TypeDefKind::Tuple(tuple) => tuple.types.iter().any(|ty| self.contains_list(*ty)),
            TypeDefKind::Variant(variant) => {
                let mut payloads = variant.cases.iter().filter_map(|case| case.ty);
                payloads.any(|ty| self.contains_list(ty))
            }
            TypeDefKind::Result(result) => {
                let mut payloads = [result.ok, result.err].into_iter().flatten();
                payloads.any(|ty| self.contains_list(ty))
            }
            _ => false,
        }
    }
}
