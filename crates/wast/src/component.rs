//! Components of scripts, and one component made of several.

use crate::engine;
use crate::wrap::Member;
use anyhow::Result;
use hashbrown::HashMap;
use mintage::{Component, Engine};
use wasm_encoder::{ComponentBuilder, ComponentExportKind};

/// A component that a script defines.
pub(crate) struct ComponentDefinition {
    bytes: Vec<u8>,
    /// It, compiled.
    pub(crate) component: Component,
    imports: Vec<String>,
}

impl ComponentDefinition {
    /// Compiles a component.
    ///
    /// # Errors
    ///
    /// When it is invalid or not supported.
    pub(crate) fn new(engine: &Engine, bytes: Vec<u8>) -> Result<ComponentDefinition> {
        let component = engine::compile(engine, &bytes)?;
        let ty = component.component_type();
        let imports = ty.imports(engine).map(|(name, _)| name.to_string()).collect();
        Ok(ComponentDefinition {
            bytes,
            component,
            imports,
        })
    }

    /// The names of its imports.
    pub(crate) fn imports(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(String::as_str)
    }
}

/// The name of the export that is the instance of the member at `position`.
pub(crate) fn export_name(position: usize) -> String {
    format!("i{position}")
}

/// A component that instantiates `members` in order, each linked to earlier ones, and exports the instances. Imports that no
/// member provides make it invalid.
pub(crate) fn composed(members: &[Member<ComponentDefinition>]) -> Vec<u8> {
    let mut outer = ComponentBuilder::default();
    let mut components = HashMap::new();
    let mut instances = Vec::new();
    for member in members {
        // Several instances of one definition are instances of one component.
        let definition: *const ComponentDefinition = &*member.module;
        let component = *components
            .entry(definition)
            .or_insert_with(|| outer.component_raw(None, &member.module.bytes));
        let args = member.module.imports().filter_map(|name| {
            let provider = instances.get(*member.providers.get(name)?)?;
            Some((name, ComponentExportKind::Instance, *provider))
        });
        let args = args.collect::<Vec<_>>();
        instances.push(outer.instantiate(None, component, args));
    }
    for (position, instance) in instances.into_iter().enumerate() {
        outer.export(export_name(position), ComponentExportKind::Instance, instance, None);
    }
    outer.finish()
}
