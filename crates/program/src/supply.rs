//! Core modules that the host supplies for imports of a component.
//!
//! A component is compiled as a closed world, so the core modules that it imports must be known at
//! compile time. An import and a definition of a core module both add one entry to the same index
//! space. So [`supply`] replaces the import by the module, and leaves everything else as it is.

use crate::parse::{check_header, error_in, wasm_error};
use crate::wasm_features;
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::{ErrorKind, Features, invalid};
use wasm_encoder::{
    Alias, ComponentAliasSection, ComponentExportKind, ComponentImportSection,
    ComponentInstanceSection, ComponentOuterAliasKind, ComponentSection, ComponentSectionId,
    ComponentTypeRef, Encode, NestedComponentSection, RawSection,
};
use wasmparser::{Encoding, Parser, Payload, Validator};

/// A core module that the host supplies.
#[derive(Clone, Copy, Debug)]
pub struct SuppliedModule<'a> {
    /// The name under which the component imports it.
    pub name: &'a str,
    /// The module in binary form.
    pub bytes: &'a [u8],
}

/// Returns the component in `bytes`, with the import of each of `modules` replaced by the module.
///
/// # Errors
///
/// If the component or a module is invalid, if the component does not import a core module of that
/// name, or if a module does not have the type that the component imports.
pub fn supply(bytes: &[u8], modules: &[SuppliedModule<'_>], features: Features) -> Result<Vec<u8>> {
    check_header(bytes)?;
    for (at, module) in modules.iter().enumerate() {
        let name = module.name;
        ensure!(
            modules[..at].iter().all(|earlier| earlier.name != name),
            "two core modules are given for the import `{name}`"
        );
        ensure!(
            Parser::is_core_wasm(module.bytes),
            invalid!("the input for the import `{name}` is not a core module in binary form")
        );
        Validator::new_with_features(wasm_features(features))
            .validate_all(module.bytes)
            .map_err(|error| error_in("core module", error))
            .with_context(|| format!("in the core module that is given for the import `{name}`"))?;
    }
    let mut splice = Splice {
        bytes,
        modules,
        features,
        out: bytes
            .get(..8)
            .with_context(|| invalid!("the component ends within its header"))?
            .to_vec(),
        counts: Counts::default(),
        imported: Vec::new(),
    };
    splice.run()?;
    for module in modules {
        ensure!(
            splice.imported.contains(&module.name),
            "a core module is given for `{}`, which the component does not import; it imports {}",
            module.name,
            match &splice.imported[..] {
                [] => "no core module".to_string(),
                names => format!("the core modules `{}`", names.join("`, `")),
            }
        );
    }
    Ok(splice.out)
}

/// The numbers of entries in index spaces of the root component so far.
#[derive(Default)]
struct Counts {
    modules: u32,
    components: u32,
}

/// A component that is being copied.
struct Splice<'a> {
    bytes: &'a [u8],
    modules: &'a [SuppliedModule<'a>],
    features: Features,
    out: Vec<u8>,
    counts: Counts,
    /// The names of all core modules that the root imports so far.
    imported: Vec<&'a str>,
}

impl<'a> Splice<'a> {
    /// Copies the sections of the root component, and replaces imports.
    fn run(&mut self) -> Result<()> {
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(self.bytes) {
            let payload = payload.map_err(wasm_error)?;
            match &payload {
                Payload::Version { encoding, .. } => {
                    ensure!(
                        depth > 0 || *encoding == Encoding::Component,
                        invalid!("the input is a core module, not a component")
                    );
                    depth += 1;
                    continue;
                }
                Payload::End(_) => {
                    depth -= 1;
                    continue;
                }
                _ if depth != 1 => continue,
                _ => {}
            }
            if let Payload::ComponentImportSection(section) = &payload {
                self.imports(section)?;
                continue;
            }
            self.count(&payload)?;
            if let Some((id, range)) = payload.as_section() {
                let data = self.bytes.get(range.start as usize..range.end as usize);
                let data = data.with_context(|| invalid!("the component ends within a section"))?;
                RawSection { id, data }.append_to_component(&mut self.out);
            }
        }
        Ok(())
    }

    /// Counts the entries that a section, other than one of imports, adds to index spaces.
    fn count(&mut self, payload: &Payload<'a>) -> Result<()> {
        use wasmparser::{
            ComponentAlias, ComponentExternalKind as Kind, ComponentOuterAliasKind as Outer,
        };
        let mut add = |kind: Kind| match kind {
            Kind::Module => self.counts.modules += 1,
            Kind::Component => self.counts.components += 1,
            _ => {}
        };
        match payload {
            Payload::ModuleSection { .. } => add(Kind::Module),
            Payload::ComponentSection { .. } => add(Kind::Component),
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    match alias? {
                        ComponentAlias::InstanceExport { kind, .. } => add(kind),
                        ComponentAlias::Outer {
                            kind: Outer::CoreModule,
                            ..
                        } => add(Kind::Module),
                        ComponentAlias::Outer {
                            kind: Outer::Component,
                            ..
                        } => add(Kind::Component),
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    add(export?.kind);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Copies a section of imports. Each supplied module splits it: the imports before it, the
    /// module, and the imports after it.
    fn imports(&mut self, section: &wasmparser::ComponentImportSectionReader<'a>) -> Result<()> {
        let end = section.range().end;
        let imports = section
            .clone()
            .into_iter_with_offsets()
            .collect::<Result<Vec<_>, _>>()?;
        let mut run: Option<(u64, u32)> = None;
        for (offset, import) in &imports {
            let name = import.name.name;
            let module = match import.ty {
                wasmparser::ComponentTypeRef::Module(ty) => {
                    self.imported.push(name);
                    let given = self.modules.iter().find(|module| module.name == name);
                    given.map(|given| (given, ty))
                }
                wasmparser::ComponentTypeRef::Component(_) => {
                    self.counts.components += 1;
                    None
                }
                _ => None,
            };
            if let Some((given, ty)) = module {
                self.import_run(run.take(), *offset)?;
                let id = ComponentSectionId::CoreModule as u8;
                RawSection {
                    id,
                    data: given.bytes,
                }
                .append_to_component(&mut self.out);
                self.check(name, ty)?;
            } else {
                let (start, count) = run.unwrap_or((*offset, 0));
                run = Some((start, count + 1));
            }
            if matches!(import.ty, wasmparser::ComponentTypeRef::Module(_)) {
                self.counts.modules += 1;
            }
        }
        self.import_run(run, end)
    }

    /// Writes a section with the imports from `run`, the offset of the first one and their number,
    /// up to `end`.
    fn import_run(&mut self, run: Option<(u64, u32)>, end: u64) -> Result<()> {
        let Some((start, count)) = run else {
            return Ok(());
        };
        let imports = self.bytes.get(start as usize..end as usize);
        let mut data = Vec::new();
        count.encode(&mut data);
        data.extend_from_slice(
            imports.with_context(|| invalid!("the component ends within its imports"))?,
        );
        let id = ComponentSectionId::Import as u8;
        RawSection { id, data: &data }.append_to_component(&mut self.out);
        Ok(())
    }

    /// Checks that the last core module has the core type `ty`, which the component imports as
    /// `name`.
    ///
    /// The validator compares them: a nested component that imports a module of this type is
    /// added to the copy so far, and instantiated with the module.
    fn check(&self, name: &str, ty: u32) -> Result<()> {
        let mut nested = wasm_encoder::Component::new();
        let mut aliases = ComponentAliasSection::new();
        aliases.alias(Alias::Outer {
            kind: ComponentOuterAliasKind::CoreType,
            count: 1,
            index: ty,
        });
        let mut imports = ComponentImportSection::new();
        imports.import("module", ComponentTypeRef::Module(0));
        nested.section(&aliases).section(&imports);
        let mut instances = ComponentInstanceSection::new();
        let argument = ("module", ComponentExportKind::Module, self.counts.modules);
        instances.instantiate(self.counts.components, [argument]);

        let mut bytes = self.out.clone();
        let copied = bytes.len() as u64;
        NestedComponentSection(&nested).append_to_component(&mut bytes);
        instances.append_to_component(&mut bytes);
        // Function bodies are validated when the component is compiled.
        let mut validator = Validator::new_with_features(wasm_features(self.features));
        for payload in Parser::new(0).parse_all(&bytes) {
            let payload = payload.map_err(wasm_error)?;
            match validator.payload(&payload) {
                Ok(_) => {}
                Err(error) if error.offset() >= copied => {
                    bail!(ErrorKind::Link.error(format!(
                        "the core module that is given for the import `{name}` is not of the type \
                         that the component imports: {}",
                        error.message()
                    )))
                }
                Err(error) => return Err(wasm_error(error)),
            }
        }
        Ok(())
    }
}
