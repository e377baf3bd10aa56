//! What an engine must do to be measured.

use anyhow::Result;
use std::path::{Path, PathBuf};

/// How guests are kept from running for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Not at all.
    Free,
    /// Another thread can stop them. Nobody does.
    Interruptible,
    /// What they execute is counted, and they have more of it left than they need.
    Fuel,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Free, Self::Interruptible, Self::Fuel];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Interruptible => "interruptible",
            Self::Fuel => "with fuel",
        }
    }
}

/// More fuel than any measurement uses up.
pub(crate) const FUEL: u64 = i64::MAX as u64;

/// An engine that compiles, loads and instantiates components, with the settings that a service
/// would run it with.
pub trait Host: Sized + Sync + 'static {
    /// The name in reports.
    const NAME: &'static str;

    /// A compiled component.
    type Component;
    /// A component linked to its (empty) imports, ready to be instantiated many times, by any
    /// thread.
    type Linked: Sync;
    /// One instance together with its store.
    type Live;

    /// Creates the engine.
    fn new(mode: Mode) -> Result<Self>;

    /// Compiles with the engine's default settings.
    fn compile(&self, wasm: &[u8]) -> Result<Self::Component>;

    /// Compiles to an artifact for [`Host::load`].
    fn precompile(&self, wasm: &[u8]) -> Result<Vec<u8>>;

    /// The artifact of a compiled component.
    fn serialize(component: &Self::Component) -> Result<Vec<u8>>;

    /// Loads an artifact that this same engine wrote.
    fn load(&self, artifact: &ArtifactFile) -> Result<Self::Component>;

    /// Resolves the component's imports, of which there are none.
    fn link(&self, component: &Self::Component) -> Result<Self::Linked>;

    /// Makes a store and an instance in it.
    fn instantiate(&self, linked: &Self::Linked) -> Result<Self::Live>;

    /// The instance's component, linked, with instances that start as this one stands now; none
    /// when the engine has no such thing.
    fn snapshot(&self, live: &mut Self::Live) -> Result<Option<Self::Linked>>;
}

/// The ability to call exports of one signature.
pub trait Calls<Params, Results>: Host {
    /// A typed function.
    type Func;

    /// Looks up an export of the instance and checks its type.
    fn func(live: &mut Self::Live, name: &str) -> Result<Self::Func>;

    /// Calls it to its end, post-return included.
    fn call(live: &mut Self::Live, func: &Self::Func, params: Params) -> Result<Results>;
}

/// A host with all the signatures that the guests export.
pub trait Contender:
    Host + Calls<(&'static str,), (String,)> + Calls<(u32,), (u64,)> + Calls<(i32, i32), (i32,)>
{
}

impl<H> Contender for H where
    H: Host + Calls<(&'static str,), (String,)> + Calls<(u32,), (u64,)> + Calls<(i32, i32), (i32,)>
{
}

/// An artifact in a file that this process wrote into a folder of its own: engines may trust its
/// content.
pub struct ArtifactFile {
    path: PathBuf,
}

impl ArtifactFile {
    /// Writes an artifact into `folder`, which must belong to this process.
    pub(crate) fn write(folder: &tempfile::TempDir, name: &str, artifact: &[u8]) -> Result<Self> {
        let path = folder.path().join(name);
        std::fs::write(&path, artifact)?;
        Ok(Self { path })
    }

    /// Where the artifact is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
