//! Names of Rust items, and the modules that they are in.

use crate::plan::Placed;
use crate::{Direction, Generator, Scope};
use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use std::collections::BTreeMap;
use wit_parser::{TypeId, TypeOwner};

/// The words that no Rust item may have as its name.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Type parameters of the generated functions. A type of WIT that has such a name is named with
/// its path.
const TYPE_PARAMETERS: &[&str] = &["D", "H", "S", "T"];

/// The types that the code needs besides those of the prelude of `core`.
const STANDARD: &[&str] = &["Box", "String", "Vec"];

/// Returns a name of a function, field or module for a name of WIT.
pub fn snake(name: &str) -> String {
    let name = name.to_snake_case();
    match KEYWORDS.contains(&name.as_str()) {
        true => format!("{name}_"),
        false => name,
    }
}

/// Returns a name of a case, or a part of the name of a type, for a name of WIT.
pub fn camel(name: &str) -> String {
    match name.to_upper_camel_case() {
        name if name == "Self" => "Self_".to_string(),
        name => name,
    }
}

/// Returns the name of a world's struct. Traits of interfaces are called `Host`.
pub fn world_name(name: &str) -> String {
    match camel(name) {
        name if name == "Host" => "Host_".to_string(),
        name => name,
    }
}

/// Makes an identifier of a name.
pub fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

/// The modules of the bindings, with their items.
#[derive(Default)]
pub struct Modules {
    items: TokenStream,
    children: BTreeMap<String, Modules>,
}

impl Modules {
    /// Adds items to the module at `path`.
    pub fn add(&mut self, path: &[String], items: TokenStream) {
        let module = path.iter().fold(self, |module, name| {
            module.children.entry(name.clone()).or_default()
        });
        module.items.extend(items);
    }

    /// Returns all modules and items.
    pub fn into_tokens(self) -> TokenStream {
        // Lints reach into modules.
        let allow = quote!(#[allow(clippy::all, missing_docs, unused, unused_qualifications)]);
        self.tokens(&allow)
    }

    fn tokens(self, attributes: &TokenStream) -> TokenStream {
        let Modules { items, children } = self;
        let children = children.into_iter().map(|(name, module)| {
            let (name, contents) = (ident(&name), module.tokens(&TokenStream::new()));
            quote! {
                #attributes
                pub mod #name {
                    #contents
                }
            }
        });
        quote!(#items #(#children)*)
    }
}

impl Generator<'_> {
    /// Returns the path of a module as code in `scope` names it.
    pub fn path_from(&self, scope: &Scope, placed: &Placed) -> TokenStream {
        match &placed.replaced {
            Some(replaced) => self.root_path(scope, replaced),
            None => {
                let path = placed.path.iter().map(|name| ident(name));
                self.root_path(scope, &quote!(#(#path)::*))
            }
        }
    }

    /// Returns the path of what is at the root of the bindings as code in `scope` names it.
    pub fn root_path(&self, scope: &Scope, path: &TokenStream) -> TokenStream {
        let up = (0..scope.depth).map(|_| quote!(super::));
        quote!(#(#up)* #path)
    }

    /// Returns the path of the items of an interface as code in `scope` names them, with the
    /// separator; nothing inside of the interface's own module.
    pub fn prefix(&self, scope: &Scope, owner: TypeOwner) -> TokenStream {
        match owner {
            TypeOwner::Interface(owner) if scope.interface != Some(owner) || scope.id.is_some() => {
                match self.plan.interfaces.get(&owner) {
                    Some(placed) => {
                        let module = self.path_from(scope, placed);
                        quote!(#module::)
                    }
                    None => TokenStream::new(),
                }
            }
            TypeOwner::World(_) => self.root_path(scope, &TokenStream::new()),
            TypeOwner::Interface(_) | TypeOwner::None => TokenStream::new(),
        }
    }

    /// Returns the Rust name of a type, without the endings of borrowing and owning variants of it.
    pub fn type_name(&self, id: TypeId) -> String {
        let definition = &self.resolve.types[id];
        let is_exported = match definition.owner {
            TypeOwner::Interface(owner) => self
                .plan
                .interfaces
                .get(&owner)
                .is_some_and(|placed| placed.direction == Direction::Export),
            TypeOwner::World(_) | TypeOwner::None => false,
        };
        let name = camel(definition.name.as_deref().unwrap_or_default());
        match name.as_str() {
            // The names of generated items in the same module.
            "Host" if !is_exported => "Host_".to_string(),
            "Guest" if is_exported => "Guest_".to_string(),
            _ => name,
        }
    }

    /// Returns the path of a type with this name as code in `scope` names it.
    pub fn named_type_path(&self, scope: &Scope, id: TypeId, name: &str) -> TokenStream {
        let prefix = self.prefix(scope, self.resolve.types[id].owner);
        let rust = ident(name);
        match prefix.is_empty() && TYPE_PARAMETERS.contains(&name) {
            true => quote!(self::#rust),
            false => quote!(#prefix #rust),
        }
    }

    /// Returns the path of a resource's type as code in `scope` names it.
    pub fn resource_path(&self, scope: &Scope, id: TypeId) -> TokenStream {
        self.named_type_path(scope, id, &self.type_name(id))
    }

    /// Returns the statement that brings the names of standard types into the module of an
    /// interface. At the root of the bindings, names belong to the host.
    pub fn standard_imports(&self, scope: &Scope) -> TokenStream {
        let krate = &self.options.krate;
        let names = STANDARD
            .iter()
            .filter(|name| !self.is_shadowed(scope, name));
        let names: Vec<_> = names.map(|name| ident(name)).collect();
        match names.is_empty() {
            true => TokenStream::new(),
            false => quote!(use #krate::__internal::{#(#names),*};),
        }
    }

    /// Returns whether a type of the interface has the name of a standard type.
    fn is_shadowed(&self, scope: &Scope, name: &str) -> bool {
        let Some(interface) = scope.interface else {
            return true;
        };
        let mut types = self.resolve.interfaces[interface].types.values();
        scope.id.is_none() && types.any(|&id| self.rust_names(id).iter().any(|own| own == name))
    }

    /// Returns the name of a standard type in code of `scope`.
    pub fn std(&self, scope: &Scope, name: &str) -> TokenStream {
        let plain = ident(name);
        let krate = &self.options.krate;
        match (self.is_shadowed(scope, name), name) {
            (false, _) => quote!(#plain),
            (true, "Option") => quote!(::core::option::Option),
            (true, "Result") => quote!(::core::result::Result),
            (true, _) => quote!(#krate::__internal::#plain),
        }
    }
}
