//! The names by which options mean something of a world, and which options were of use.
//!
//! An option may name an item of an interface, the interface, its package or its namespace, with
//! and without version. The most specific name counts: `a:b/c@1.0.0.f`, `a:b/c.f`, `a:b/c@1.0.0`,
//! `a:b/c`, `a:b@1.0.0`, `a:b`, `a`.

use crate::Direction;
use crate::names::{camel, snake};
use crate::options::{Filter, FunctionFlags, FunctionRule, FunctionRules, Options};
use anyhow::{Error, Result, anyhow as format_err, bail};
use indexmap::IndexSet;
use proc_macro2::TokenStream;
use wit_parser::{PackageName, Resolve, WorldKey};

/// A name by which an option may mean something.
pub struct Name {
    pub text: String,
    /// The way from what has this name to what is meant, as Rust names.
    below: Vec<String>,
}

impl Name {
    fn of(text: impl Into<String>) -> Name {
        Name {
            text: text.into(),
            below: Vec::new(),
        }
    }
}

/// Returns the names of an interface, or of an item of it, or of an item of the world itself.
pub fn names(resolve: &Resolve, key: Option<&WorldKey>, item: Option<&str>) -> Vec<Name> {
    match (key, item) {
        (None, item) => item.map(Name::of).into_iter().collect(),
        (Some(WorldKey::Name(name)), None) => vec![Name::of(name)],
        (Some(WorldKey::Name(name)), Some(item)) => ['.', '/']
            .map(|separator| Name::of(format!("{name}{separator}{item}")))
            .into(),
        (Some(WorldKey::Interface(id)), item) => {
            let interface = &resolve.interfaces[*id];
            let (Some(name), Some(package)) = (&interface.name, interface.package) else {
                return Vec::new();
            };
            interface_names(&resolve.packages[package].name, name, item)
        }
    }
}

fn interface_names(package: &PackageName, interface: &str, item: Option<&str>) -> Vec<Name> {
    let PackageName {
        namespace, name, ..
    } = package;
    let version = package.version.as_ref();
    let version = version.map(|version| format!("@{version}"));
    let versions: Vec<_> = version.as_deref().into_iter().chain([""]).collect();
    let mut names = Vec::new();
    if let Some(item) = item {
        // The slash is an older spelling.
        for separator in ['.', '/'] {
            names.extend(versions.iter().map(|version| {
                let text = format!("{namespace}:{name}/{interface}{version}{separator}{item}");
                Name::of(text)
            }));
        }
    }
    let mut below: Vec<_> = item.map(camel).into_iter().collect();
    names.extend(versions.iter().map(|version| Name {
        text: format!("{namespace}:{name}/{interface}{version}"),
        below: below.clone(),
    }));
    below.insert(0, snake(interface));
    names.extend(versions.iter().map(|version| Name {
        text: format!("{namespace}:{name}{version}"),
        below: below.clone(),
    }));
    below.insert(0, snake(name));
    names.push(Name {
        text: namespace.clone(),
        below,
    });
    names
}

/// Which options were of use, so that those which fit nothing are reported.
#[derive(Default)]
pub struct Used {
    with: IndexSet<String>,
    /// Rules, by their option, the number of their set and their number in it.
    rules: IndexSet<(Direction, usize, usize)>,
}

impl Used {
    /// Finds what the option `with` maps to by any of these names: a path, and the modules or type
    /// below it.
    pub fn with(
        &mut self,
        options: &Options,
        names: Vec<Name>,
    ) -> Option<(TokenStream, Vec<String>)> {
        names.into_iter().find_map(|name| {
            let path = options.with.get(&name.text)?;
            self.with.insert(name.text);
            Some((path.clone(), name.below))
        })
    }

    /// Finds the flags of a function: `names` are its full names, and `plain` the name without
    /// interface.
    pub fn flags(
        &mut self,
        options: &Options,
        direction: Direction,
        names: &[Name],
        plain: &str,
    ) -> FunctionFlags {
        let mut flags = FunctionFlags::default();
        for (number, set) in rule_sets(options, direction).iter().enumerate() {
            flags = flags.union(match rule_of(set, names, plain) {
                Some(rule) => {
                    self.rules.insert((direction, number, rule));
                    set.rules[rule].flags
                }
                None => set.default,
            });
        }
        flags
    }

    /// Fails if an option fits nothing in the world.
    pub fn check(&self, options: &Options) -> Result<()> {
        let unused = options
            .with
            .keys()
            .filter(|name| !self.with.contains(*name));
        let unused: Vec<_> = unused.map(|name| format!("`{name}`")).collect();
        if !unused.is_empty() {
            bail!(
                "the option `with` names {}, but the world has no such interface or resource \
                 among its imports",
                unused.join(", ")
            );
        }
        for direction in [Direction::Import, Direction::Export] {
            for (set_number, set) in rule_sets(options, direction).iter().enumerate() {
                for (number, rule) in set.rules.iter().enumerate() {
                    if !self.rules.contains(&(direction, set_number, number)) {
                        return Err(unused_rule(direction, rule));
                    }
                }
            }
        }
        Ok(())
    }
}

fn rule_sets(options: &Options, direction: Direction) -> &[FunctionRules] {
    match direction {
        Direction::Import => &options.imports,
        Direction::Export => &options.exports,
    }
}

/// Returns the number of the rule that holds for a function.
fn rule_of(set: &FunctionRules, names: &[Name], plain: &str) -> Option<usize> {
    let position = |is_meant: &dyn Fn(&FunctionRule) -> bool| set.rules.iter().position(is_meant);
    let by_path = names.iter().find_map(|name| {
        position(&|rule| {
            let is_meant = matches!(&rule.filter, Filter::Path(path) if *path == name.text);
            is_meant && (name.below.is_empty() || !rule.flags.exact)
        })
    });
    let is_named = |rule: &FunctionRule| matches!(&rule.filter, Filter::Function(f) if f == plain);
    by_path.or_else(|| position(&is_named))
}

fn unused_rule(direction: Direction, rule: &FunctionRule) -> Error {
    let (Filter::Path(name) | Filter::Function(name)) = &rule.filter;
    let (option, verb) = match direction {
        Direction::Import => ("imports", "import"),
        Direction::Export => ("exports", "export"),
    };
    format_err!(
        "the option `{option}` has a rule for `{name}`, but no function that the world {verb}s \
         follows it: there is none of this name, or a rule with a more specific name holds for \
         it; functions of an interface are named `ns:pkg/iface.f`, \
         `ns:pkg/iface.[method]resource.f` and `ns:pkg/iface.[drop]resource`"
    )
}
