//! Functions of WIT: their Rust names and parameters.

use crate::names::{ident, snake};
use crate::types::Passing;
use crate::{Direction, Generator, Scope};
use anyhow::{Result, bail};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use wit_parser::{Function, FunctionKind, TypeId, WorldItem};

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
    function.kind.resource()
}

/// Returns the Rust name of a function; that of a constructor is `new`.
pub fn function_name(function: &Function) -> String {
    match function.kind {
        FunctionKind::Constructor(_) => "new".to_string(),
        _ => snake(function.item_name()),
    }
}

impl<'a> Generator<'a> {
    /// Returns the functions of an interface, or those at the world itself.
    pub fn functions(&self, scope: &Scope) -> Vec<&'a Function> {
        let resolve = self.resolve;
        match scope.interface {
            Some(interface) => resolve.interfaces[interface].functions.values().collect(),
            None => {
                let world = &resolve.worlds[self.world];
                let items = match scope.direction {
                    Direction::Import => world.imports.values(),
                    Direction::Export => world.exports.values(),
                };
                let functions = items.filter_map(|item| match item {
                    WorldItem::Function(function) => Some(function),
                    _ => None,
                });
                functions.collect()
            }
        }
    }

    /// Fails if a function has what bindings do not support.
    pub fn check_function(&self, function: &Function) -> Result<()> {
        match function.kind {
            FunctionKind::Freestanding
            | FunctionKind::Method(_)
            | FunctionKind::Static(_)
            | FunctionKind::Constructor(_)
            | FunctionKind::AsyncFreestanding
            | FunctionKind::AsyncMethod(_)
            | FunctionKind::AsyncStatic(_) => Ok(()),
            _ => bail!(
                "{}: `bindgen!` does not support the function `{}` yet, since it is a getter or \
                 setter",
                self.resolve.render_location(function.span),
                function.name,
            ),
        }
    }

    /// Returns the parameters of a function. Their names differ from those in `taken`, which are
    /// the names of parameters before them.
    pub fn params(
        &self,
        scope: &Scope,
        function: &Function,
        passing: Passing,
        taken: &[&str],
    ) -> Result<Params> {
        let mut params = Params {
            names: Vec::new(),
            types: Vec::new(),
        };
        for param in &function.params {
            let name = snake(&param.name);
            let name = match taken.contains(&name.as_str()) {
                true => format!("{name}_"),
                false => name,
            };
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
