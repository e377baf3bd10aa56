//! [`Plan`]: which part implements which import.

use super::Part;
use super::encoder::Group;
use anyhow::{Result, bail};
use mintage_environ::component::compatible_version;
use mintage_environ::{ErrorKind, Printable};
use std::borrow::Cow;
use std::collections::HashMap;
use wasmparser::component_types::{ComponentItem, ComponentType};

/// The source of an import of a part.
#[derive(Clone, Copy)]
pub(super) enum Source<'t> {
    /// An import of the composition.
    Import { group: usize },
    /// The export `export` of another part.
    Plug { part: usize, export: &'t str },
}

/// The connections of a composition. Parts are numbered; the socket is part 0.
pub(super) struct Plan<'t> {
    /// The source of each import of each part.
    pub sources: Vec<Vec<Source<'t>>>,
    /// The parts in an order in which each comes after those that it imports from.
    pub order: Vec<usize>,
    /// The number of imports of the composition.
    pub groups: usize,
}

impl<'t> Plan<'t> {
    /// Connects imports with exports. Returns the plan and the imports that are left over.
    ///
    /// # Errors
    ///
    /// If a plug implements nothing, or parts import from each other in a circle.
    pub fn new(
        parts: &[Part<'_>],
        components: &[&'t ComponentType],
    ) -> Result<(Plan<'t>, Vec<Group<'t>>)> {
        let mut groups = Groups::default();
        let mut sources = Vec::new();
        for (part, component) in components.iter().enumerate() {
            let imports = component.imports.iter();
            let source = |(name, item): (&'t String, &'t ComponentItem)| match implementor(
                part,
                components,
                &item.full_name(name),
            ) {
                Some((part, export)) => Source::Plug { part, export },
                None => Source::Import {
                    group: groups.add(name, item),
                },
            };
            sources.push(imports.map(source).collect());
        }
        let mut plan = Plan {
            sources,
            order: Vec::new(),
            groups: groups.all.len(),
        };
        plan.visit(0, &mut Vec::new(), parts, components)?;
        if let Some(unused) = (1..parts.len()).find(|part| !plan.order.contains(part)) {
            bail!(ErrorKind::Link.error(plan.unused(unused, parts, components)));
        }
        Ok((plan, groups.all))
    }

    /// Adds a part to the order, after those that it imports from. `path` has the parts that lead
    /// to it and are not in the order yet.
    fn visit(
        &mut self,
        part: usize,
        path: &mut Vec<usize>,
        parts: &[Part<'_>],
        components: &[&ComponentType],
    ) -> Result<()> {
        if self.order.contains(&part) {
            return Ok(());
        }
        if let Some(start) = path.iter().position(|&on_path| on_path == part) {
            let links = path[start..].iter().enumerate().map(|(at, &user)| {
                let used = path.get(start + at + 1).copied().unwrap_or(part);
                let mut imports = components[user].imports.keys().zip(&self.sources[user]);
                let import = imports
                    .find(
                        |(_, source)| matches!(source, Source::Plug { part, .. } if *part == used),
                    )
                    .map_or("", |(name, _)| name);
                format!(
                    "`{}` imports `{}` from `{}`",
                    Printable(parts[user].name),
                    Printable(import),
                    Printable(parts[used].name)
                )
            });
            bail!(ErrorKind::Link.error(format!(
                "the components import from each other in a circle: {}; compose some of them first",
                links.collect::<Vec<_>>().join(", ")
            )));
        }
        path.push(part);
        for source in self.sources[part].clone() {
            if let Source::Plug { part, .. } = source {
                self.visit(part, path, parts, components)?;
            }
        }
        path.pop();
        self.order.push(part);
        Ok(())
    }

    /// Describes why no part imports from the part `unused`.
    fn unused(&self, unused: usize, parts: &[Part<'_>], components: &[&ComponentType]) -> String {
        let exports = components[unused].exports.iter();
        let exports = list(exports.map(|(name, item)| item.full_name(name)));
        let mut sides = Vec::new();
        for (part, component) in components.iter().enumerate().filter(|(p, _)| *p != unused) {
            let imports = component.imports.iter().zip(&self.sources[part]);
            let imports = imports.map(|((name, item), source)| {
                let name = item.full_name(name);
                match source {
                    Source::Import { .. } => name,
                    Source::Plug { part, .. } => {
                        Cow::Owned(format!("{name} (from {})", parts[*part].name))
                    }
                }
            });
            sides.push(format!(
                "`{}` imports {}",
                Printable(parts[part].name),
                list(imports)
            ));
        }
        format!(
            "no component imports anything from `{}`: it exports {exports}, but {}",
            Printable(parts[unused].name),
            sides.join(", ")
        )
    }
}

/// Returns the part that implements the import `name` of `part`, and the name of its export.
fn implementor<'t>(
    part: usize,
    components: &[&'t ComponentType],
    name: &str,
) -> Option<(usize, &'t str)> {
    let plugs = (part + 1..components.len()).chain(1..part);
    let wanted = compatible_version(name);
    let compatible = |export: &str| {
        let version = compatible_version(export);
        version
            .zip(wanted.as_ref())
            .is_some_and(|(a, b)| a.0 == b.0)
    };
    let find = |matches: &dyn Fn(&str) -> bool| {
        plugs.clone().find_map(|plug| {
            let mut exports = components[plug].exports.iter();
            let (export, _) = exports.find(|(export, item)| matches(&item.full_name(export)))?;
            Some((plug, export.as_str()))
        })
    };
    find(&|export| export == name).or_else(|| find(&compatible))
}

/// The imports of a composition.
#[derive(Default)]
struct Groups<'t> {
    all: Vec<Group<'t>>,
    /// By name, with the compatible part of its version.
    numbers: HashMap<String, usize>,
}

impl<'t> Groups<'t> {
    /// Adds an import to its group, and returns the number of that.
    fn add(&mut self, name: &'t str, item: &'t ComponentItem) -> usize {
        let full = item.full_name(name);
        let version = compatible_version(&full);
        let key = version.as_ref().map_or(full.as_ref(), |(key, _)| key);
        let next = self.all.len();
        let number = *self.numbers.entry(key.to_string()).or_insert(next);
        if number == next {
            self.all.push(Group::new(full.clone()));
        }
        let group = &mut self.all[number];
        if compatible_version(&group.name).map(|(_, v)| v) < version.map(|(_, v)| v) {
            group.name = full;
        }
        group.members.push(item);
        number
    }
}

/// Lists names between backticks.
fn list<'a>(names: impl Iterator<Item = Cow<'a, str>>) -> String {
    let names: Vec<_> = names
        .map(|name| format!("`{}`", Printable(&name)))
        .collect();
    match names.is_empty() {
        true => "nothing".into(),
        false => names.join(", "),
    }
}
