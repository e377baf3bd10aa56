//! Components in scripts, and the composition of several into one.

use crate::wrap::Member;
use crate::{engine, host};
use hashbrown::HashMap;
use mintage::error::Result;
use mintage::{Component, Engine};
use wasm_encoder::{ComponentBuilder, ComponentExportKind};
use wasmparser::component_types::{ComponentEntityType, ComponentItem};
use wasmparser::types::TypesRef;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// A component that a script defines.
pub(crate) struct ComponentDefinition {
    bytes: Vec<u8>,
    /// The compiled component. `None` if it imports instances with core modules: a component is
    /// compiled together with the core modules that it instantiates.
    pub(crate) component: Option<Component>,
    imports: Vec<String>,
}

impl ComponentDefinition {
    /// Compiles a component.
    ///
    /// # Errors
    ///
    /// Fails if it is invalid or not supported.
    pub(crate) fn new(engine: &Engine, bytes: Vec<u8>) -> Result<ComponentDefinition> {
        let (component, imports) = match engine::compile(engine, &bytes) {
            Ok(component) => {
                let ty = component.component_type();
                let imports = ty
                    .imports(engine)
                    .map(|(name, _)| name.to_string())
                    .collect();
                (Some(component), imports)
            }
            Err(error) => match imports_of_modules(&bytes) {
                Some(imports) => (None, imports),
                None => return Err(error),
            },
        };
        Ok(ComponentDefinition {
            bytes,
            component,
            imports,
        })
    }

    /// Returns the names of the imports.
    pub(crate) fn imports(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(String::as_str)
    }
}

/// Returns the name under which the instance of the member at `position` is exported.
pub(crate) fn export_name(position: usize) -> String {
    format!("i{position}")
}

/// Returns the names of all imports if any of them is an instance with core modules. Returns `None`
/// for other and for invalid components.
fn imports_of_modules(bytes: &[u8]) -> Option<Vec<String>> {
    let types = Validator::new_with_features(WasmFeatures::all())
        .validate_all(bytes)
        .ok()?;
    let mut imports = Vec::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.ok()?.name.name.to_string());
                }
            }
            _ => {}
        }
    }
    let types = types.as_ref();
    let item = |name: &String| types.component_item_for_import(name);
    imports
        .iter()
        .filter_map(item)
        .any(|item| has_modules(types, item))
        .then_some(imports)
}

fn has_modules(types: TypesRef<'_>, item: &ComponentItem) -> bool {
    match item.ty {
        ComponentEntityType::Module(_) => true,
        ComponentEntityType::Instance(id) => types[id]
            .exports
            .values()
            .any(|item| has_modules(types, item)),
        _ => false,
    }
}

/// Builds a component that instantiates `members` in order, links each to earlier ones, and exports
/// the instances. The runner provides core modules from `host`. Any other import without a provider
/// makes the component invalid.
pub(crate) fn composed(members: &[Member<ComponentDefinition>]) -> Vec<u8> {
    let mut outer = ComponentBuilder::default();
    let mut components = HashMap::new();
    let mut instances = Vec::new();
    for member in members {
        // A definition that is instantiated several times becomes a single component.
        let definition: *const ComponentDefinition = &*member.module;
        let component = *components
            .entry(definition)
            .or_insert_with(|| outer.component_raw(None, &member.module.bytes));
        let mut args = Vec::new();
        for name in member.module.imports() {
            let provider = match member.providers.get(name) {
                Some(&position) => instances[position],
                None if name == "host" && member.module.component.is_none() => {
                    let modules = outer.component_raw(None, &host::modules());
                    let no_args: [(&str, ComponentExportKind, u32); 0] = [];
                    outer.instantiate(None, modules, no_args)
                }
                None => continue,
            };
            args.push((name, ComponentExportKind::Instance, provider));
        }
        instances.push(outer.instantiate(None, component, args));
    }
    for (position, instance) in instances.into_iter().enumerate() {
        outer.export(
            export_name(position),
            ComponentExportKind::Instance,
            instance,
            None,
        );
    }
    outer.finish()
}
