//! Phase 1: turns component bytes into the component tree as plain data, and validates everything.
//!
//! One pass over the binary validates all sections and collects definitions ([`component`],
//! [`module`]). Then all function bodies of all modules are validated in parallel ([`body`]). The
//! same pass over a body notes what the function refers to.

mod body;
mod component;
mod error;
mod module;
mod types;

pub(crate) use body::{FuncFacts, Use};
pub(crate) use component::{Capture, Component, ComponentIndex, DefinitionKind, OuterRef};
pub(crate) use module::CoreModule;
pub(crate) use types::{heap_type, ref_type, val_type};

use crate::{Check, inlinable, wasm_features};
use anyhow::{Result, bail, ensure};
use body::Unvalidated;
use component::ComponentBuilder;
pub(crate) use error::{error_in, wasm_error};
use mintage_environ::{Features, IndexVec, ModuleId, ObjectTypes, Signatures, invalid};
use module::ModuleBuilder;
use types::TypeNumbers;
use wasmparser::{Encoding, Parser, Payload, ValidPayload, Validator};

/// A valid component and everything nested in it.
pub(crate) struct Parsed<'a> {
    /// All components, in the order in which they end: the root comes last.
    pub components: Vec<Component<'a>>,
    /// The position of the root in `components`.
    pub root: ComponentIndex,
    /// Core modules in binary order.
    pub modules: IndexVec<ModuleId, CoreModule<'a>>,
    /// The function types of all modules.
    pub signatures: Signatures,
    /// The struct and array types of all modules.
    pub objects: ObjectTypes,
}

/// Parses and validates a component.
///
/// # Errors
///
/// If it is invalid, or uses something that is not supported, or the error of `check`.
pub(crate) fn parse<'a>(
    bytes: &'a [u8],
    features: Features,
    check: Check<'_>,
) -> Result<Parsed<'a>> {
    check_header(bytes)?;
    let features = wasm_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut reader = ComponentReader {
        validator: Validator::new_with_features(features),
        ..ComponentReader::default()
    };
    for payload in parser.parse_all(bytes) {
        check()?;
        reader.payload(payload.map_err(wasm_error)?)?;
    }
    let Some(root) = reader.root else {
        bail!(invalid!("the component ends before its last section"))
    };
    let ids = reader
        .modules
        .values()
        .flat_map(|module| module.types.iter().copied());
    let numbers = TypeNumbers::new(reader.components[root.0].types.as_ref(), ids.collect())?;
    let modules = reader
        .modules
        .into_values()
        .map(|module| module.finish(&numbers));
    let mut modules = modules.collect::<Result<_>>()?;
    body::validate_all(reader.bodies, &mut modules, check)?;
    for module in modules.values_mut() {
        module.ir.inlinable = inlinable::functions(&module.ir);
    }
    Ok(Parsed {
        components: reader.components,
        root,
        modules,
        signatures: numbers.signatures,
        objects: numbers.objects,
    })
}

/// Checks the first bytes, for a clear error if they are not a component.
pub(crate) fn check_header(bytes: &[u8]) -> Result<()> {
    ensure!(
        !bytes.is_empty(),
        invalid!("the input is empty, not a WebAssembly component")
    );
    if !bytes.starts_with(b"\0asm") {
        let text = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        ensure!(
            !matches!(text, Some(b'(' | b';')),
            invalid!(
                "the input is WebAssembly text, not a binary component; convert it with \
                 `wasm-tools parse` first"
            )
        );
        let start = bytes
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" ");
        bail!(invalid!(
            "the input is not a WebAssembly component: it starts with {start}, not with 00 61 73 6d"
        ));
    }
    if let Some([_, _, 0, 0]) = bytes.get(4..8) {
        bail!(invalid!(
            "the input is a core WebAssembly module, not a component; compile it with \
             `Component::from_module`"
        ));
    }
    Ok(())
}

/// A component or module that is being read, inside those that enclose it.
enum Level<'a> {
    Component(ComponentBuilder<'a>),
    Module(Box<ModuleBuilder<'a>>),
}

/// The pass over the binary.
#[derive(Default)]
struct ComponentReader<'a> {
    validator: Validator,
    levels: Vec<Level<'a>>,
    components: Vec<Component<'a>>,
    root: Option<ComponentIndex>,
    modules: IndexVec<ModuleId, ModuleBuilder<'a>>,
    bodies: Vec<Unvalidated<'a>>,
}

impl<'a> ComponentReader<'a> {
    fn payload(&mut self, payload: Payload<'a>) -> Result<()> {
        // The index of the first new type is known only before the section is validated.
        let types_before = match (&payload, self.validator.types(0)) {
            (Payload::ComponentTypeSection(_), Some(types)) => types.component_type_count(),
            _ => 0,
        };
        let valid = self.validator.payload(&payload).map_err(wasm_error)?;
        match (valid, payload) {
            (ValidPayload::Func(function, body), _) => {
                let module = self.modules.next_index();
                self.module()?.ir.bodies.push(body::describe(&body)?);
                self.bodies.push(Unvalidated {
                    module,
                    function,
                    body,
                });
            }
            (ValidPayload::End(types), _) => match self.levels.pop() {
                Some(Level::Module(mut module)) => {
                    module.end(&types);
                    let id = self.modules.push(*module);
                    self.component()?.define(DefinitionKind::Module(id), 0);
                }
                Some(Level::Component(component)) => {
                    self.components.push(component.finish(types));
                    let id = ComponentIndex(self.components.len() - 1);
                    match self.levels.is_empty() {
                        true => self.root = Some(id),
                        false => self.component()?.define(DefinitionKind::Component(id), 0),
                    }
                }
                None => bail!(invalid!("the component ends twice")),
            },
            (_, Payload::Version { encoding, .. }) => self.levels.push(match encoding {
                Encoding::Module => Level::Module(Box::new(ModuleBuilder::new())),
                Encoding::Component => Level::Component(ComponentBuilder::default()),
            }),
            (_, payload) => match self.levels.last_mut() {
                Some(Level::Module(module)) => module.section(payload)?,
                Some(Level::Component(_)) => {
                    component::section(&mut self.levels, payload, types_before)?
                }
                None => bail!(invalid!("a section comes before the component's header")),
            },
        }
        Ok(())
    }

    fn module(&mut self) -> Result<&mut ModuleBuilder<'a>> {
        match self.levels.last_mut() {
            Some(Level::Module(module)) => Ok(module),
            _ => bail!(invalid!("a function body is outside a module")),
        }
    }

    fn component(&mut self) -> Result<&mut ComponentBuilder<'a>> {
        match self.levels.last_mut() {
            Some(Level::Component(component)) => Ok(component),
            _ => bail!(invalid!("a module or component is nested in a module")),
        }
    }
}
