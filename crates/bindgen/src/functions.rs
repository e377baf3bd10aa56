//! Functions of WIT: their Rust names and parameters.

use crate::names::{ident, snake};
use crate::types::Passing;
use crate::{Generator, Scope};
use anyhow::{Result, bail};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use wit_parser::{Function, FunctionKind, TypeId};

/// The parameters of a function.
pub struct Params {
    pub names: Vec<Ident>,
    pub types: Vec<TokenStream>,
}

impl Params {
    /// Returns them as a list of declarations.
    pub fn declared(&self) -> TokenStream {
        let Params { names, types } = self;
        quote!(#(#names: #types),*)
    }
}

/// Returns the resource that a function belongs to.
pub fn resource_of(function: &Function) -> Option<TypeId> {
    match function.kind {
        FunctionKind::Method(id)
        | FunctionKind::Static(id)
        | FunctionKind::Constructor(id)
        | FunctionKind::AsyncMethod(id)
        | FunctionKind::AsyncStatic(id) => Some(id),
        _ => None,
    }
}

/// Returns the Rust name of a function; that of a constructor is `new`.
pub fn function_name(function: &Function) -> String {
    match function.kind {
        FunctionKind::Constructor(_) => "new".to_string(),
        _ => snake(function.item_name()),
    }
}

impl Generator<'_> {
    /// Fails if a function has what bindings do not support.
    pub fn check_function(&self, function: &Function) -> Result<()> {
        match function.kind {
            FunctionKind::Freestanding
            | FunctionKind::Method(_)
            | FunctionKind::Static(_)
            | FunctionKind::Constructor(_) => Ok(()),
            _ => bail!(
                "{}: bindings of the function `{}` are not supported yet, since it is `async`, a \
                 getter or a setter",
                self.resolve.render_location(function.span),
                function.name
            ),
        }
    }

    /// Returns the parameters of a function.
    pub fn params(&self, scope: &Scope, function: &Function, passing: Passing) -> Result<Params> {
        let mut params = Params {
            names: Vec::new(),
            types: Vec::new(),
        };
        for param in &function.params {
            let name = snake(&param.name);
            params.names.push(ident(&name));
            params.types.push(self.ty(scope, param.ty, passing)?);
        }
        Ok(params)
    }

    /// Returns the Rust type of a function's result.
    pub fn result_type(&self, scope: &Scope, function: &Function) -> Result<TokenStream> {
        match function.result {
            Some(ty) => self.ty(scope, ty, Passing::Owned),
            None => Ok(quote!(())),
        }
    }
}
