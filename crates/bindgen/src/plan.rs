//! [`Plan`]: the meaning of the options for a world, and the places of its interfaces.

use crate::Direction;
use crate::lookup::{self, Used};
use crate::names::{Modules, ident, snake};
use crate::options::{FunctionFlags, Options};
use anyhow::{Result, bail};
use heck::ToSnakeCase;
use indexmap::IndexMap;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use wit_parser::{
    Interface, InterfaceId, PackageName, Resolve, Type, TypeDefKind, TypeId, WorldId, WorldItem,
    WorldKey,
};

/// The meaning of the options for a world.
#[derive(Default)]
pub struct Plan {
    /// The place of each interface that the world imports or exports.
    pub interfaces: IndexMap<InterfaceId, Placed>,
    /// Imports under names of their own: the name, and the interface that it implements, whose
    /// module is shared by all of them.
    pub implementations: Vec<(String, InterfaceId)>,
    /// Interfaces with bindings for imports under any name, with the type that tells them apart.
    pub named: Vec<(InterfaceId, TokenStream)>,
    /// Resources for which the host has a type, as paths from the root of the bindings.
    pub resources: IndexMap<TypeId, TokenStream>,
    /// Error types that the host returns as a type of its own, as names at the root of the
    /// bindings.
    pub errors: IndexMap<TypeId, Ident>,
    flags: IndexMap<(Direction, Option<InterfaceId>, String), FunctionFlags>,
    /// The names, at the root of the bindings, of the paths that options give. Paths mean what they
    /// mean where the macro is used, so modules further in refer to these names.
    given: IndexMap<String, Ident>,
}

/// The place of an interface's module.
#[derive(Clone)]
pub struct Placed {
    pub direction: Direction,
    /// The name by which the world imports or exports it.
    pub key: WorldKey,
    /// The modules from the root of the bindings.
    pub path: Vec<String>,
    /// The path, from the root of the bindings, of a module that takes its place by the option
    /// `with`.
    pub replaced: Option<TokenStream>,
    /// The world imports it under the name of the interface itself, or as the only import of it.
    pub is_imported_by_name: bool,
}

/// The kind of item whose path an option gives.
#[derive(Clone, Copy)]
enum Given {
    Module,
    Type,
}

impl Plan {
    /// Finds out about all options. Names of the paths that they give go to the root of `modules`.
    pub fn new(
        options: &Options,
        resolve: &Resolve,
        world: WorldId,
        modules: &mut Modules,
    ) -> Result<Plan> {
        let mut planner = Planner {
            options,
            resolve,
            plan: Plan::default(),
            used: Used::default(),
            modules,
        };
        let world = &resolve.worlds[world];
        for (key, item) in &world.imports {
            planner.world_item(Direction::Import, key, item);
        }
        for (key, item) in &world.exports {
            planner.world_item(Direction::Export, key, item);
        }
        planner.error_types()?;
        planner.named_imports()?;
        planner.used.check(options)?;
        Ok(planner.plan)
    }

    /// Returns the flags of a function. The destructor of a resource `x` is called `[drop]x`.
    pub fn flags(
        &self,
        direction: Direction,
        interface: Option<InterfaceId>,
        function: &str,
    ) -> FunctionFlags {
        let key = (direction, interface, function.to_string());
        self.flags.get(&key).copied().unwrap_or_default()
    }

    /// Returns all flags of any function of an interface, or of the world itself.
    pub fn all_flags(&self, direction: Direction, interface: Option<InterfaceId>) -> FunctionFlags {
        let flags = self.flags.iter();
        let own = flags.filter(|((of, owner, _), _)| (*of, *owner) == (direction, interface));
        own.fold(FunctionFlags::default(), |all, (_, flags)| {
            all.union(*flags)
        })
    }

    /// Returns the interfaces that the world imports, in its order.
    pub fn imports(&self) -> impl Iterator<Item = (InterfaceId, &Placed)> {
        let interfaces = self.interfaces.iter().map(|(id, placed)| (*id, placed));
        interfaces.filter(|(_, placed)| placed.direction == Direction::Import)
    }

    /// Returns the interfaces that the world exports, in its order.
    pub fn exports(&self) -> impl Iterator<Item = (InterfaceId, &Placed)> {
        let interfaces = self.interfaces.iter().map(|(id, placed)| (*id, placed));
        interfaces.filter(|(_, placed)| placed.direction == Direction::Export)
    }
}

/// A plan under construction.
struct Planner<'a> {
    options: &'a Options,
    resolve: &'a Resolve,
    plan: Plan,
    used: Used,
    modules: &'a mut Modules,
}

impl Planner<'_> {
    fn world_item(&mut self, direction: Direction, key: &WorldKey, item: &WorldItem) {
        match item {
            WorldItem::Interface { id, .. } => self.interface(direction, key, *id),
            WorldItem::Function(function) => {
                let is_async = function.kind.is_async();
                self.function(direction, None, None, &function.name, is_async);
            }
            WorldItem::Type { id, .. } => {
                let name = self.resolve.name_world_key(key);
                self.type_(None, None, &name, *id);
            }
        }
    }

    fn interface(&mut self, direction: Direction, key: &WorldKey, id: InterfaceId) {
        let resolve = self.resolve;
        let interface = &resolve.interfaces[id];
        let mut key = key.clone();
        let mut is_imported_by_name = true;
        // An import of an interface under another name shares its module with other such imports.
        if let (Direction::Import, WorldKey::Name(name), Some(_)) =
            (direction, &key, &interface.name)
        {
            let original = interface.clone_of.unwrap_or(id);
            let is_shared = |other: InterfaceId| {
                resolve.interfaces[other].clone_of.unwrap_or(other) == original
            };
            let shared = self
                .plan
                .implementations
                .iter()
                .find(|(_, other)| is_shared(*other));
            let shared = shared.map(|(_, other)| *other);
            let implemented = (name.clone(), shared.unwrap_or(id));
            self.plan.implementations.push(implemented);
            if shared.is_some() {
                return;
            }
            key = WorldKey::Interface(id);
            is_imported_by_name = false;
        }
        let replaced = match direction {
            Direction::Import => {
                let names = lookup::names(resolve, Some(&key), None);
                self.used.with(self.options, names)
            }
            Direction::Export => None,
        };
        let replaced = replaced.map(|(path, below)| {
            let (given, below) = (self.give(&path, Given::Module), idents(&below));
            quote!(#given #(::#below)*)
        });
        let is_replaced = replaced.is_some();
        let placed = Placed {
            direction,
            path: module_path(resolve, &key, direction),
            key: key.clone(),
            replaced,
            is_imported_by_name,
        };
        self.plan.interfaces.insert(id, placed);
        if is_replaced {
            // Flags and types are those of the bindings that take its place.
            return;
        }
        for (name, function) in &interface.functions {
            let is_async = function.kind.is_async();
            self.function(direction, Some(&key), Some(id), name, is_async);
        }
        if direction == Direction::Import {
            for (name, &ty) in &interface.types {
                self.type_(Some(&key), Some(id), name, ty);
            }
        }
    }

    /// Finds the flags of a function. `is_async` says whether it is an `async func`.
    fn function(
        &mut self,
        direction: Direction,
        key: Option<&WorldKey>,
        interface: Option<InterfaceId>,
        name: &str,
        is_async: bool,
    ) {
        let names = lookup::names(self.resolve, key, Some(name));
        let mut flags = self.used.flags(self.options, direction, &names, name);
        flags.asynchronous |= is_async;
        flags.store |= is_async;
        let may_go_on = direction == Direction::Export || name.starts_with("[drop]");
        flags.concurrent = is_async || may_go_on && flags.asynchronous && flags.store;
        let key = (direction, interface, name.to_string());
        self.plan.flags.insert(key, flags);
    }

    /// Finds out about a type that is imported: resources may have a type of the host's.
    fn type_(
        &mut self,
        key: Option<&WorldKey>,
        interface: Option<InterfaceId>,
        name: &str,
        id: TypeId,
    ) {
        if !matches!(self.resolve.types[id].kind, TypeDefKind::Resource) {
            return;
        }
        let destructor = format!("[drop]{name}");
        self.function(Direction::Import, key, interface, &destructor, false);
        let names = lookup::names(self.resolve, key, Some(name));
        if let Some((path, below)) = self.used.with(self.options, names) {
            let what = match below.is_empty() {
                true => Given::Type,
                false => Given::Module,
            };
            let (given, below) = (self.give(&path, what), idents(&below));
            self.plan.resources.insert(id, quote!(#given #(::#below)*));
        }
    }

    /// Finds the types that `trappable_error_type` names.
    fn error_types(&mut self) -> Result<()> {
        let resolve = self.resolve;
        for (option, path) in &self.options.trappable_error_types {
            let mut found = Vec::new();
            for (id, interface) in resolve.interfaces.iter() {
                let key = WorldKey::Interface(id);
                for (name, &ty) in &interface.types {
                    let names = lookup::names(resolve, Some(&key), Some(name));
                    if names.iter().any(|own| own.text == *option) {
                        found.push((id, ty));
                    }
                }
            }
            if found.is_empty() {
                bail!(
                    "the option `trappable_error_type` names `{option}`, but no interface has \
                     such a type; types are named `ns:pkg/iface.type`"
                );
            }
            let name = self.give(path, Given::Type);
            for (interface, ty) in found {
                let placed = self.plan.interfaces.get(&interface);
                if placed.is_some_and(|placed| placed.direction == Direction::Import) {
                    let ty = original(resolve, ty);
                    self.plan.errors.insert(ty, name.clone());
                }
            }
        }
        Ok(())
    }

    /// Finds the interfaces that `named_imports` names.
    fn named_imports(&mut self) -> Result<()> {
        let resolve = self.resolve;
        for (option, path) in &self.options.named_imports {
            let imports = self.plan.imports();
            let found = imports.map(|(id, _)| id).find(|&id| {
                let names = lookup::names(resolve, Some(&WorldKey::Interface(id)), None);
                let mut names = names.iter().take_while(|name| name.text.contains('/'));
                names.any(|name| name.text == *option)
            });
            let Some(id) = found else {
                bail!(
                    "the option `named_imports` names `{option}`, but the world imports no such \
                     interface; interfaces are named `ns:pkg/iface`"
                );
            };
            let name = self.give(path, Given::Type);
            self.plan.named.push((id, quote!(#name)));
        }
        Ok(())
    }

    /// Gives the path of an option a name at the root of the bindings.
    fn give(&mut self, path: &TokenStream, what: Given) -> Ident {
        let text = path.to_string();
        if let Some(name) = self.plan.given.get(&text) {
            return name.clone();
        }
        let number = self.plan.given.len();
        let (name, item) = match what {
            Given::Module => {
                let name = format_ident!("__module{number}");
                let item = quote!(#[doc(hidden)] #[allow(unused)] use #path as #name;);
                (name, item)
            }
            Given::Type => {
                let name = format_ident!("__Type{number}");
                let item = quote! {
                    #[doc(hidden)]
                    #[allow(non_camel_case_types, unused)]
                    type #name = #path;
                };
                (name, item)
            }
        };
        self.modules.add(&[], item);
        self.plan.given.insert(text, name.clone());
        name
    }
}

fn idents(names: &[String]) -> Vec<Ident> {
    names.iter().map(|name| ident(name)).collect()
}

/// Returns the modules of an interface that the world imports or exports by `key`.
fn module_path(resolve: &Resolve, key: &WorldKey, direction: Direction) -> Vec<String> {
    let mut path = interface_path(resolve, key);
    if direction == Direction::Export {
        path.insert(0, "exports".to_string());
    }
    path
}

/// Returns the modules of an interface without those that depend on its use.
pub fn interface_path(resolve: &Resolve, key: &WorldKey) -> Vec<String> {
    match key {
        WorldKey::Name(name) => vec![snake(name)],
        WorldKey::Interface(id) => {
            let Interface { name, package, .. } = &resolve.interfaces[*id];
            let name = snake(name.as_deref().unwrap_or("interface"));
            match package {
                Some(package) => {
                    let package = &resolve.packages[*package].name;
                    vec![
                        snake(&package.namespace),
                        package_module(resolve, package),
                        name,
                    ]
                }
                None => vec![name],
            }
        }
    }
}

/// Returns the module of a package: with its version where there are several versions of it.
fn package_module(resolve: &Resolve, name: &PackageName) -> String {
    let is_same =
        |other: &PackageName| other.namespace == name.namespace && other.name == name.name;
    let versions = resolve.packages.iter();
    let versions = versions.filter(|(_, other)| is_same(&other.name)).count();
    match (versions > 1, &name.version) {
        (true, Some(version)) => {
            let version = version.to_string().replace(['.', '-', '+'], "_");
            format!("{}{version}", name.name.to_snake_case())
        }
        _ => snake(&name.name),
    }
}

/// Follows aliases to the definition of a type.
pub fn original(resolve: &Resolve, id: TypeId) -> TypeId {
    match resolve.types[id].kind {
        TypeDefKind::Type(Type::Id(other)) => original(resolve, other),
        _ => id,
    }
}
