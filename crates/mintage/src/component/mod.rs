//! [`Component`]: compiled or loaded machine code.

mod boundary;
#[cfg(feature = "compiler")]
mod code_builder;
#[cfg(feature = "compiler")]
mod compile;
mod export;
mod input;
mod names;
mod settings;
#[cfg(feature = "compiler")]
pub mod text;

pub(crate) use boundary::Boundary;
#[cfg(feature = "compiler")]
pub use code_builder::CodeBuilder;
pub use export::{ComponentExportIndex, ExportLookup};
pub(crate) use export::{ComponentId, ExportItem};
pub(crate) use names::NameMap;

use self::boundary::ResolvedLift;
use self::export::Exports;
use self::input::refuse_component;
use crate::Engine;
use crate::error::{Context, Result};
use mintage_artifact::Check;
use mintage_environ::component::ComponentInterface;
use mintage_environ::{IndexVec, LiftId};
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
    lifts: IndexVec<LiftId, ResolvedLift>,
}

impl Component {
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
        let code = unsafe { Code::open(path, &load_check(engine, level), engine.pool()) }?;
        Self::from_code(engine, code)
    }

    pub(crate) fn from_code(engine: &Engine, code: Arc<Code>) -> Result<Component> {
        Ok(Component {
            inner: Arc::new(ComponentInner {
                engine: engine.clone(),
                exports: Exports::new(&code.interface().exports),
                lifts: ResolvedLift::all(&code)?,
                code,
            }),
        })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// As [`get_export`](Self::get_export), without the type.
    pub fn get_export_index(
        &self,
        instance: Option<&ComponentExportIndex>,
        name: impl ExportLookup,
    ) -> Option<ComponentExportIndex> {
        name.lookup(self, instance)
    }

    pub(crate) fn id(&self) -> ComponentId {
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

    /// Returns a lift, resolved at load.
    ///
    /// # Panics
    ///
    /// When `id` is not a lift of this component.
    #[inline]
    pub(crate) fn lift(&self, id: LiftId) -> &ResolvedLift {
        &self.inner.lifts[id]
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
