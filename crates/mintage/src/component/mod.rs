//! [`Component`]: compiled or loaded machine code.
//!
//! The module also has the paths by which hosts know the component API:
//! `component::{Linker, Instance, Val, ...}`. They name the items at the root of the crate.

mod boundary;
#[cfg(feature = "cache")]
mod cached;
#[cfg(feature = "compiler")]
mod code_builder;
#[cfg(feature = "compiler")]
pub(crate) mod compile;
mod export;
mod input;
mod module;
mod names;
mod requirements;
mod settings;
#[cfg(feature = "compiler")]
#[doc(hidden)]
pub mod text;

#[doc(no_inline)]
pub use crate::{
    Access, ComponentNamedList, ComponentType, Func, HasData, HasSelf, InPlaceList, Instance,
    InstancePre, Lift, Linker, LinkerInstance, Lower, Resource, ResourceAny, ResourceTable,
    ResourceTableError, ResourceType, TypedFunc, Val, WasmList, WasmStr, types, types::Type,
};
#[doc(no_inline)]
pub use crate::{
    Accessor, AccessorTask, AsAccessor, FuncCallConcurrent, JoinHandle, TypedFuncCallConcurrent,
};
#[doc(no_inline)]
pub use crate::{
    Destination, DirectDestination, DirectSource, FutureConsumer, FutureProducer, FutureReader,
    GuardedFutureReader, GuardedStreamReader, ReadBuffer, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult, VecBuffer, WriteBuffer,
};
#[doc(no_inline)]
pub use crate::{ErrorContext, FutureAny, ResourceDynamic, ResourceGuard, StreamAny};
#[cfg(feature = "macros")]
#[doc(no_inline)]
pub use crate::{bindgen, flags};

#[cfg(feature = "wave")]
#[doc(no_inline)]
pub use wasm_wave;

pub(crate) use boundary::{Boundary, GuestOptions, ResolvedLift, ScalarTypes};
#[cfg(feature = "compiler")]
pub use code_builder::CodeBuilder;
pub use export::{ComponentExportIndex, ExportLookup};
pub(crate) use export::{ComponentId, ExportItem};
pub(crate) use names::NameMap;
pub use requirements::ResourcesRequired;

use self::boundary::may_have_tasks;
use self::export::Exports;
use self::input::refuse_component;
use crate::Engine;
use crate::error::{Context, Result};
use mintage_artifact::Check;
use mintage_environ::component::ComponentInterface;
use mintage_environ::{IndexVec, LiftId};
use mintage_runtime::{Code, LoadCheck};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

/// A component's machine code and initial state, shared by all its instances. It is cheap to clone.
///
/// A component is compiled from WebAssembly, or loaded from an artifact that was compiled before.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Component, Engine};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (core module $m
///             (func (export "double") (param i32) (result i32)
///                 (i32.shl (local.get 0) (i32.const 1))))
///         (core instance $i (instantiate $m))
///         (func (export "double") (param "x" u32) (result u32)
///             (canon lift (core func $i "double"))))"#,
/// )?;
/// let artifact = component.serialize()?;
/// // SAFETY: the bytes are an artifact that no one has changed.
/// let loaded = unsafe { Component::deserialize(&engine, &artifact) }?;
/// assert!(loaded.get_export(None, "double").is_some());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct Component {
    inner: Arc<ComponentInner>,
}

struct ComponentInner {
    engine: Engine,
    code: Arc<Code>,
    exports: Exports,
    lifts: IndexVec<LiftId, ResolvedLift>,
    may_have_tasks: bool,
}

impl Component {
    /// Returns the artifact, which [`Component::deserialize`] loads: machine code and initial
    /// state. The artifact of a snapshot ([`Instance::snapshot`](crate::Instance::snapshot)) has
    /// the state of the snapshot.
    ///
    /// # Errors
    ///
    /// Never at present.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        Ok(self.inner.code.serialize()?)
    }

    /// Loads an artifact from memory. Every byte is compared with the artifact's hash, which
    /// detects damage but not manipulation.
    ///
    /// # Errors
    ///
    /// If the bytes are not an artifact of this version, are damaged, or were made for another
    /// processor or other settings.
    ///
    /// # Safety
    ///
    /// The bytes must come from [`Component::serialize`] or `Engine::precompile_component`, and
    /// must not have been changed: their machine code runs without further checks.
    pub unsafe fn deserialize(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Component> {
        let bytes = bytes.as_ref();
        refuse_component(bytes)?;
        // SAFETY: the caller promises that the compiler made the bytes.
        let code =
            unsafe { Code::from_bytes(bytes, &load_check(engine, Check::Full), engine.pool()) }?;
        Self::from_code(engine, code)
    }

    /// Loads an artifact from a file, which is mapped rather than read. The metadata are compared
    /// with their hash; all other bytes are compared only if
    /// [`Config::verify_artifacts`](crate::Config::verify_artifacts) is on.
    ///
    /// # Errors
    ///
    /// As [`Component::deserialize`], and if the file cannot be read.
    ///
    /// # Safety
    ///
    /// As [`Component::deserialize`]. In addition, the file must not change as long as the
    /// component or one of its clones or instances lives.
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

    /// Loads an artifact from a slice, as [`Component::deserialize`] does. The bytes are copied, so
    /// they are used during this call only.
    ///
    /// # Errors
    ///
    /// As [`Component::deserialize`].
    ///
    /// # Safety
    ///
    /// As [`Component::deserialize`]. In addition, `memory` must be valid for reads, and must not
    /// change during the call.
    pub unsafe fn deserialize_raw(engine: &Engine, memory: NonNull<[u8]>) -> Result<Component> {
        // SAFETY: the caller promises that the bytes can be read, and that the compiler made them.
        unsafe { Self::deserialize(engine, memory.as_ref()) }
    }

    pub(crate) fn from_code(engine: &Engine, code: Arc<Code>) -> Result<Component> {
        Ok(Component {
            inner: Arc::new(ComponentInner {
                engine: engine.clone(),
                exports: Exports::new(&code.interface().exports),
                lifts: ResolvedLift::all(&code)?,
                may_have_tasks: may_have_tasks(code.interface()),
                code,
            }),
        })
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Returns the index of the export `name`, as [`get_export`](Self::get_export) does.
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

    /// Returns whether instances may have tasks that go on when no call is under way.
    pub(crate) fn may_have_tasks(&self) -> bool {
        self.inner.may_have_tasks
    }

    /// Returns whether both are the same component.
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
