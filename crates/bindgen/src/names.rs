//! Names of Rust items, and the modules that they are in.

use crate::{Direction, Generator, Placed, Scope};
use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use std::collections::BTreeMap;
use wit_parser::{InterfaceId, PackageName, WorldKey};

/// The words that no Rust item may have as its name.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Returns a name of a function, field or module for a name of WIT.
pub fn snake(name: &str) -> String {
    let name = name.to_snake_case();
    match KEYWORDS.contains(&name.as_str()) {
        true => format!("{name}_"),
        false => name,
    }
}

/// Returns a name of a type or case for a name of WIT.
pub fn camel(name: &str) -> String {
    match name.to_upper_camel_case() {
        // Names that the generated code uses itself.
        name if matches!(name.as_str(), "Self" | "Host" | "Guest") => format!("{name}_"),
        name => name,
    }
}

/// Makes an identifier of a name.
pub fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

/// The kind of item whose path an option gives.
#[derive(Clone, Copy)]
pub enum Given {
    Module,
    Type,
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
        let Modules { items, children } = self;
        let children = children.into_iter().map(|(name, module)| {
            let (name, contents) = (ident(&name), module.into_tokens());
            quote! {
                #[allow(clippy::all, missing_docs)]
                pub mod #name {
                    #contents
                }
            }
        });
        quote!(#items #(#children)*)
    }
}

impl Generator<'_> {
    /// Returns the modules of an interface that the world imports or exports by `key`.
    pub fn module_path(&self, key: &WorldKey, direction: Direction) -> Vec<String> {
        let mut path = Vec::new();
        if direction == Direction::Export {
            path.push("exports".to_string());
        }
        match key {
            WorldKey::Name(name) => path.push(snake(name)),
            WorldKey::Interface(id) => {
                let interface = &self.resolve.interfaces[*id];
                if let Some(package) = interface.package {
                    let name = &self.resolve.packages[package].name;
                    path.push(snake(&name.namespace));
                    path.push(self.package_module(name));
                }
                path.push(snake(interface.name.as_deref().unwrap_or("interface")));
            }
        }
        path
    }

    /// Returns the module of a package: with its version where there are several versions of it.
    fn package_module(&self, name: &PackageName) -> String {
        let versions = self.resolve.packages.iter().filter(|(_, other)| {
            other.name.namespace == name.namespace && other.name.name == name.name
        });
        match (versions.count() > 1, &name.version) {
            (true, Some(version)) => {
                let version = version.to_string().replace(['.', '-', '+'], "_");
                format!("{}{version}", name.name.to_snake_case())
            }
            _ => snake(&name.name),
        }
    }

    /// Returns where the module of `interface` is, as code in a module of this direction means it:
    /// what is exported uses the types of exported interfaces where there are any.
    pub fn placed(&self, interface: InterfaceId, direction: Direction) -> Option<&Placed> {
        let imported = self.imported.get(&interface);
        match direction {
            Direction::Import => imported,
            Direction::Export => self.exported.get(&interface).or(imported),
        }
    }

    /// Returns the path of a module as code in `scope` names it.
    pub fn path_from(&self, scope: &Scope, placed: &Placed) -> TokenStream {
        if let Some(replaced) = &placed.replaced {
            return self.given_path(scope, replaced);
        }
        let up = (0..scope.depth).map(|_| quote!(super::));
        let down = placed.path.iter().map(|name| ident(name));
        quote!(#(#up)* #(#down)::*)
    }

    /// Returns the path of what an option gave a name at the root of the bindings.
    pub fn given_path(&self, scope: &Scope, name: &Ident) -> TokenStream {
        let up = (0..scope.depth).map(|_| quote!(super::));
        quote!(#(#up)* #name)
    }

    /// Gives the path of an option a name at the root of the bindings.
    pub fn give(&mut self, path: &TokenStream, what: Given) -> Ident {
        let text = path.to_string();
        if let Some(name) = self.given.get(&text) {
            return name.clone();
        }
        let number = self.given.len();
        let name = match what {
            Given::Module => format_ident!("__module{number}"),
            Given::Type => format_ident!("__Type{number}"),
        };
        let item = match what {
            Given::Module => quote!(#[doc(hidden)] use #path as #name;),
            Given::Type => {
                quote!(#[doc(hidden)] #[allow(non_camel_case_types)] type #name = #path;)
            }
        };
        self.modules.add(&[], item);
        self.given.insert(text, name.clone());
        name
    }

    /// Returns the names by which options may mean an item of an interface, the most specific
    /// first: with and without the version, and those of interface, package and namespace.
    pub fn option_names(&self, interface: Option<InterfaceId>, item: &[&str]) -> Vec<String> {
        let Some(interface) = interface else {
            return item.iter().map(|item| item.to_string()).collect();
        };
        let mut names = Vec::new();
        if let Some(id) = self.resolve.id_of(interface) {
            let unversioned = id.split('@').next().unwrap_or(&id).to_string();
            for item in item {
                names.push(format!("{id}{item}"));
                names.push(format!("{unversioned}{item}"));
            }
        } else if let Some((key, _)) = self.named(interface) {
            names.extend(item.iter().map(|item| format!("{key}{item}")));
        }
        names.dedup();
        names
    }

    /// Returns the names of an interface without an item.
    pub fn interface_names(&self, interface: InterfaceId) -> Vec<String> {
        let mut names = self.option_names(Some(interface), &[""]);
        if let Some(package) = self.resolve.interfaces[interface].package {
            let name = &self.resolve.packages[package].name;
            if let Some(version) = &name.version {
                names.push(format!("{}:{}@{version}", name.namespace, name.name));
            }
            names.push(format!("{}:{}", name.namespace, name.name));
            names.push(name.namespace.clone());
        }
        names
    }

    /// Returns the name by which the world imports or exports an interface that has none itself.
    fn named(&self, interface: InterfaceId) -> Option<(&str, InterfaceId)> {
        let world = &self.resolve.worlds[self.world];
        let mut items = world.imports.iter().chain(&world.exports);
        items.find_map(|(key, item)| match (key, item) {
            (WorldKey::Name(name), wit_parser::WorldItem::Interface { id, .. })
                if *id == interface =>
            {
                Some((name.as_str(), *id))
            }
            _ => None,
        })
    }
}
