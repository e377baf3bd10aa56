//! [`Component`]: compiled or loaded machine code.

#[cfg(feature = "compiler")]
mod code_builder;
mod export;
mod names;
#[cfg(feature = "compiler")]
pub mod text;

#[cfg(feature = "compiler")]
pub use code_builder::CodeBuilder;
pub(crate) use export::ExportItem;
pub use export::{ComponentExportIndex, ExportLookup};
pub(crate) use names::NameMap;

use self::export::Exports;
#[cfg(feature = "compiler")]
use crate::error::ensure;
use crate::error::{Context, Result, bail};
use crate::types::{self, ComponentItem};
use crate::{Config, Engine};
use mintage_artifact::Check;
use mintage_environ::component::{CanonOptions, ComponentInterface, InterfaceType};
#[cfg(feature = "compiler")]
use mintage_environ::invalid;
use mintage_environ::{FuncTypeId, Index, LiftId, artifact};
use mintage_runtime::{Code, LoadCheck};
use std::path::Path;
use std::sync::Arc;

/// A component's machine code and initial state, shared by all its instances. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    inner: Arc<ComponentInner>,
}

struct ComponentInner {
    engine: Engine,
    code: Arc<Code>,
    exports: Exports,
    lifts: Vec<LiftInfo>,
}

/// What a call of an exported function needs to know, gathered at load.
pub(crate) struct LiftInfo {
    pub ty: FuncTypeId,
    /// The parameters as a tuple.
    pub params: InterfaceType,
    /// The results as a tuple.
    pub results: InterfaceType,
    pub options: CanonOptions,
    /// Whether parameters are borrowed handles.
    pub borrows: bool,
}

/// The start of an ELF file, hence of an artifact.
const ARTIFACT_MAGIC: &[u8] = b"\x7fELF";
/// The start of a core module or a component.
#[cfg(feature = "compiler")]
pub(crate) const WASM_MAGIC: &[u8] = b"\0asm";

/// Fails for an artifact where a component is wanted.
#[cfg(feature = "compiler")]
pub(crate) fn refuse_artifact(bytes: &[u8]) -> Result<()> {
    ensure!(
        !bytes.starts_with(ARTIFACT_MAGIC),
        invalid!(
            "the input is not a component but a compiled artifact (ELF); load it with \
         `Component::deserialize` or `Component::deserialize_file`"
        )
    );
    Ok(())
}

/// Fails for what is not in binary form.
#[cfg(feature = "compiler")]
pub(crate) fn require_binary(bytes: &[u8]) -> Result<()> {
    refuse_artifact(bytes)?;
    ensure!(
        bytes.starts_with(WASM_MAGIC),
        invalid!("the input is not a component in binary form: it does not start with `\\0asm`")
    );
    Ok(())
}

impl Config {
    /// Takes over the settings of machine code that an artifact was compiled with, so that engines
    /// with this configuration load it. Settings of the host stay as they are.
    ///
    /// # Errors
    ///
    /// When the bytes are not an artifact of this version.
    pub fn match_artifact(&mut self, bytes: &[u8]) -> Result<&mut Self> {
        self.tunables = mintage_runtime::artifact_settings(bytes)?;
        Ok(self)
    }

    /// Takes over the settings of the artifact in a file, as
    /// [`match_artifact`](Self::match_artifact).
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not an artifact of this version.
    ///
    /// # Safety
    ///
    /// Nobody changes the file meanwhile: it is mapped and not read.
    pub unsafe fn match_artifact_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self> {
        // SAFETY: as the caller promises.
        self.tunables = unsafe { mintage_runtime::artifact_file_settings(path.as_ref()) }?;
        Ok(self)
    }
}

impl Component {
    /// Compiles a component, in binary or text form.
    ///
    /// # Errors
    ///
    /// When the component is invalid or uses what is not supported; the error says what and where.
    #[cfg(feature = "compiler")]
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Component> {
        Self::new_with_progress(engine, bytes, &mintage_compile::NoProgress)
    }

    /// Compiles a component as [`Component::new`] does, telling `progress` how far it is.
    ///
    /// # Errors
    ///
    /// As [`Component::new`].
    #[cfg(feature = "compiler")]
    pub fn new_with_progress(
        engine: &Engine,
        bytes: impl AsRef<[u8]>,
        progress: &dyn mintage_compile::Progress,
    ) -> Result<Component> {
        let options = mintage_compile::Options::default();
        let artifact = engine.precompile_component_with(bytes.as_ref(), &options, progress)?;
        // SAFETY: the compiler made the artifact just now.
        let code = unsafe {
            Code::from_bytes(
                &artifact,
                &load_check(engine, Check::Metadata),
                engine.pool(),
            )
        }?;
        Self::from_code(engine, code)
    }

    /// Compiles the component in a file, in binary or text form.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, and as [`Component::new`].
    #[cfg(feature = "compiler")]
    pub fn from_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Component> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let binary = text::to_binary(&bytes, Some(path));
        let component = binary.and_then(|binary| Self::new(engine, binary));
        component.with_context(|| format!("cannot compile {}", path.display()))
    }

    /// Compiles a component in binary form only.
    ///
    /// # Errors
    ///
    /// As [`Component::new`].
    #[cfg(feature = "compiler")]
    pub fn from_binary(engine: &Engine, bytes: &[u8]) -> Result<Component> {
        require_binary(bytes)?;
        Self::new(engine, bytes)
    }

    /// The artifact: machine code and initial state, for [`Component::deserialize`].
    ///
    /// That of a snapshot ([`Instance::snapshot`](crate::Instance::snapshot)) has the snapshot's
    /// state.
    ///
    /// # Errors
    ///
    /// Never at present.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        Ok(self.inner.code.serialize()?)
    }

    /// Loads an artifact from memory. Every byte is compared with the artifact's hash, which
    /// detects damage, not malice.
    ///
    /// # Errors
    ///
    /// When the bytes are no artifact of this version, are damaged, or were made for another
    /// machine or other settings.
    ///
    /// # Safety
    ///
    /// The bytes come from [`Component::serialize`] or [`Engine::precompile_component`] and nobody
    /// changed them: the machine code in them is run as it is.
    pub unsafe fn deserialize(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Component> {
        let bytes = bytes.as_ref();
        refuse_component(bytes)?;
        // SAFETY: the caller promises that the compiler made the bytes.
        let code =
            unsafe { Code::from_bytes(bytes, &load_check(engine, Check::Full), engine.pool()) }?;
        Self::from_code(engine, code)
    }

    /// Loads an artifact from a file, which is mapped and not read. Its metadata are compared with
    /// their hash, every byte only when
    /// [`Config::verify_artifacts`](crate::Config::verify_artifacts) is set.
    ///
    /// # Errors
    ///
    /// As [`Component::deserialize`], and when the file cannot be read.
    ///
    /// # Safety
    ///
    /// As [`Component::deserialize`]; and nobody changes the file as long as the component lives.
    pub unsafe fn deserialize_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Component> {
        let path = path.as_ref();
        let level = if engine.config().verify_artifacts {
            Check::Full
        } else {
            Check::Metadata
        };
        let mut start = Vec::new();
        let file =
            std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, 64), &mut start)
            .with_context(|| format!("cannot read {}", path.display()))?;
        refuse_component(&start).with_context(|| format!("cannot load {}", path.display()))?;
        // SAFETY: the caller promises that the compiler made the file and that nobody changes it.
        let code = unsafe { Code::open(path, &load_check(engine, level), engine.pool()) }
            .with_context(|| format!("cannot load {}", path.display()))?;
        Self::from_code(engine, code)
    }

    pub(crate) fn from_code(engine: &Engine, code: Arc<Code>) -> Result<Component> {
        let interface = code.interface();
        let mut lifts = Vec::with_capacity(interface.lifts.len());
        for lift in interface.lifts.values() {
            let tuples = interface.types.func_tuples(lift.ty);
            lifts.push(LiftInfo {
                ty: lift.ty,
                params: tuples.params,
                results: tuples.results,
                options: lift.options.clone(),
                borrows: interface.types.has_borrows(lift.ty),
            });
        }
        let exports = Exports::new(&interface.exports);
        Ok(Component {
            inner: Arc::new(ComponentInner {
                engine: engine.clone(),
                exports,
                lifts,
                code,
            }),
        })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// What the component imports and exports.
    pub fn component_type(&self) -> types::Component {
        types::Component::new(self.into())
    }

    /// The export `name` of the component, or of its exported instance `instance`: its type, and an
    /// index that finds it in instances without a look-up by name.
    pub fn get_export(
        &self,
        instance: Option<&ComponentExportIndex>,
        name: &str,
    ) -> Option<(ComponentItem, ComponentExportIndex)> {
        let index = self.get_export_index(instance, name)?;
        let item = ComponentItem::of_export_at(&self.into(), self.exports().path(index)?)?;
        Some((item, index))
    }

    /// As [`get_export`](Self::get_export), without the type.
    pub fn get_export_index(
        &self,
        instance: Option<&ComponentExportIndex>,
        name: impl ExportLookup,
    ) -> Option<ComponentExportIndex> {
        name.lookup(self, instance)
    }

    /// A number that no other component of the process has.
    pub(crate) fn id(&self) -> u64 {
        self.inner.exports.id()
    }

    pub(crate) fn code(&self) -> &Arc<Code> {
        &self.inner.code
    }

    pub(crate) fn interface(&self) -> &ComponentInterface {
        self.inner.code.interface()
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.inner.exports
    }

    pub(crate) fn export(&self, name: impl ExportLookup) -> Option<&ExportItem> {
        self.exports().get(name.lookup(self, None)?)
    }

    /// What is known of a lift.
    #[inline]
    pub(crate) fn lift(&self, id: LiftId) -> &LiftInfo {
        &self.inner.lifts[id.index()]
    }

    /// Whether both are one component.
    pub(crate) fn same(a: &Component, b: &Component) -> bool {
        Arc::ptr_eq(&a.inner, &b.inner)
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").finish_non_exhaustive()
    }
}

fn load_check(engine: &Engine, level: Check) -> LoadCheck {
    LoadCheck {
        tunables: engine.config().tunables.clone(),
        level,
    }
}

/// Fails for a component where an artifact is wanted.
fn refuse_component(bytes: &[u8]) -> Result<()> {
    if bytes.starts_with(ARTIFACT_MAGIC) {
        return Ok(());
    }
    if bytes.starts_with(b"\0asm") || bytes.trim_ascii_start().starts_with(b"(") {
        bail!(artifact!(
            NotAnArtifact,
            "the input is not a compiled artifact but WebAssembly; compile it with `Component::new`"
        ));
    }
    bail!(artifact!(
        NotAnArtifact,
        "the input is not a compiled artifact: it does not start as an ELF file does"
    ))
}
