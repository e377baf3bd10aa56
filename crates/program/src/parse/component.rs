//! Components: their definitions in the order in which abstract instantiation executes them.

use super::Level;
use super::error::wasm_error;
use anyhow::{Result, bail, ensure};
use mintage_environ::{ModuleId, unsupported};
use wasmparser::types::Types;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentType, Instance, Payload,
};

/// A component of the binary, by its position in [`super::Parsed::components`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ComponentIndex(pub usize);

/// A component.
pub(crate) struct Component<'a> {
    /// Its definitions in order.
    pub definitions: Vec<Definition<'a>>,
    /// The items of enclosing components that it, or a component nested in it, uses.
    pub captures: Vec<Capture>,
    /// The validated types of all items in its index spaces.
    pub types: Types,
}

/// A definition and its byte offset.
pub(crate) struct Definition<'a> {
    pub kind: DefinitionKind<'a>,
    pub offset: u64,
}

/// A definition. Each adds one entry to one index space, and exports also add one to the exports.
///
/// Types are left out, because the validator knows them. Only definitions of resource types matter
/// for instantiation.
pub(crate) enum DefinitionKind<'a> {
    Import {
        name: &'a str,
    },
    Module(ModuleId),
    Component(ComponentIndex),
    CoreInstance(Instance<'a>),
    Instance(ComponentInstance<'a>),
    /// A resource type, with its type index and the core function that is its destructor.
    Resource {
        type_index: u32,
        dtor: Option<u32>,
    },
    AliasExport {
        instance: u32,
        name: &'a str,
    },
    AliasCoreExport {
        instance: u32,
        name: &'a str,
    },
    OuterModule(OuterRef),
    OuterComponent(OuterRef),
    Canon(CanonicalFunction),
    Export(ComponentExport<'a>),
}

/// The item that an outer alias refers to, as seen from the component that contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OuterRef {
    /// An entry of the component's own index space.
    Own(u32),
    /// One of its captures.
    Captured(usize),
}

/// A module or component that a nested component uses: an item of the component directly around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capture {
    Module(OuterRef),
    Component(OuterRef),
}

/// A component that is being read.
#[derive(Default)]
pub(super) struct ComponentBuilder<'a> {
    definitions: Vec<Definition<'a>>,
    captures: Vec<Capture>,
}

impl<'a> ComponentBuilder<'a> {
    pub fn define(&mut self, kind: DefinitionKind<'a>, offset: u64) {
        self.definitions.push(Definition { kind, offset });
    }

    pub fn finish(self, types: Types) -> Component<'a> {
        Component {
            definitions: self.definitions,
            captures: self.captures,
            types,
        }
    }

    fn capture(&mut self, capture: Capture) -> OuterRef {
        let position = self
            .captures
            .iter()
            .position(|&known| known == capture)
            .unwrap_or_else(|| {
                self.captures.push(capture);
                self.captures.len() - 1
            });
        OuterRef::Captured(position)
    }
}

/// Adds the definitions of a section to the innermost component of `levels`.
pub(super) fn section<'a>(
    levels: &mut [Level<'a>],
    payload: Payload<'a>,
    types_before: u32,
) -> Result<()> {
    use DefinitionKind as Kind;
    let mut definitions: Vec<(u64, Kind<'a>)> = Vec::new();
    macro_rules! read {
        ($section:expr, $convert:expr) => {
            for item in $section.into_iter_with_offsets() {
                let (offset, item) = item.map_err(wasm_error)?;
                definitions.push((offset, $convert(item)));
            }
        };
    }
    match payload {
        Payload::ComponentImportSection(section) => {
            read!(section, |import: wasmparser::ComponentImport<'a>| {
                Kind::Import {
                    name: import.name.name,
                }
            });
        }
        Payload::InstanceSection(section) => read!(section, Kind::CoreInstance),
        Payload::ComponentInstanceSection(section) => read!(section, Kind::Instance),
        Payload::ComponentCanonicalSection(section) => read!(section, Kind::Canon),
        Payload::ComponentExportSection(section) => read!(section, Kind::Export),
        Payload::ComponentTypeSection(section) => {
            for (type_index, item) in (types_before..).zip(section.into_iter_with_offsets()) {
                let (offset, ty) = item.map_err(wasm_error)?;
                if let ComponentType::Resource { rep, dtor } = ty {
                    ensure!(
                        rep == wasmparser::ValType::I32,
                        unsupported!(
                            "the resource type at byte {offset:#x} is represented by {rep}, which \
                             is not supported yet; use i32"
                        )
                    );
                    definitions.push((offset, Kind::Resource { type_index, dtor }));
                }
            }
        }
        Payload::ComponentAliasSection(section) => {
            for item in section.into_iter_with_offsets() {
                let (offset, alias) = item.map_err(wasm_error)?;
                if let Some(kind) = alias_definition(levels, alias)? {
                    definitions.push((offset, kind));
                }
            }
        }
        Payload::ComponentStartSection { range, .. } => {
            bail!(unsupported!(
                "component start functions (at byte {:#x}) are not supported yet",
                range.start
            ))
        }
        // Core types do not matter for instantiation. Nested modules and components are levels of
        // their own.
        _ => {}
    }
    if let Some(Level::Component(component)) = levels.last_mut() {
        definitions
            .into_iter()
            .for_each(|(offset, kind)| component.define(kind, offset));
    }
    Ok(())
}

/// Returns the definition that an alias makes, or `None` for types.
fn alias_definition<'a>(
    levels: &mut [Level<'a>],
    alias: ComponentAlias<'a>,
) -> Result<Option<DefinitionKind<'a>>> {
    Ok(Some(match alias {
        ComponentAlias::InstanceExport {
            kind: ComponentExternalKind::Type,
            ..
        } => return Ok(None),
        ComponentAlias::InstanceExport {
            instance_index: instance,
            name,
            ..
        } => DefinitionKind::AliasExport { instance, name },
        ComponentAlias::CoreInstanceExport {
            instance_index: instance,
            name,
            ..
        } => DefinitionKind::AliasCoreExport { instance, name },
        ComponentAlias::Outer { kind, count, index } => match kind {
            ComponentOuterAliasKind::CoreModule => {
                DefinitionKind::OuterModule(outer(levels, count, index, Capture::Module)?)
            }
            ComponentOuterAliasKind::Component => {
                DefinitionKind::OuterComponent(outer(levels, count, index, Capture::Component)?)
            }
            ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => return Ok(None),
        },
    }))
}

/// Resolves an outer alias. Each component between the target and the one that contains the alias
/// captures the item.
fn outer(
    levels: &mut [Level<'_>],
    count: u32,
    index: u32,
    kind: fn(OuterRef) -> Capture,
) -> Result<OuterRef> {
    let Some(target) = levels.len().checked_sub(count as usize + 1) else {
        bail!("an outer alias leaves the component");
    };
    let mut reference = OuterRef::Own(index);
    for level in &mut levels[target + 1..] {
        let Level::Component(component) = level else {
            bail!("an outer alias crosses a core module")
        };
        reference = component.capture(kind(reference));
    }
    Ok(reference)
}
