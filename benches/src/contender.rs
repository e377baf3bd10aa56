//! The interface of an engine that is measured.

use crate::commands::Commands;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// How code is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// For speed.
    Free,
    /// Another thread can interrupt guests, but never does here.
    Interruptible,
    /// Guests consume fuel, and have more than they need.
    Fuel,
    /// In little time, by the engine's fast tier.
    Fast,
    /// For speed, but no function into another.
    Separate,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 5] = [
        Self::Free,
        Self::Interruptible,
        Self::Fuel,
        Self::Fast,
        Self::Separate,
    ];

    /// Returns the name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Interruptible => "interruptible",
            Self::Fuel => "with fuel",
            Self::Fast => "fast tier",
            Self::Separate => "without inlining",
        }
    }
}

/// More fuel than any measurement consumes.
pub(crate) const FUEL: u64 = i64::MAX as u64;

/// An engine that compiles, loads and instantiates components, with the settings of a service in
/// production.
pub trait Host: Sized + Sync + 'static {
    /// The name in reports.
    const NAME: &'static str;

    /// A compiled component.
    type Component;
    /// A linked component. Any thread can instantiate it any number of times.
    type Linked: Sync;
    /// An instance and its store.
    type Live;

    /// A function that is called with values of types known at run time.
    type ValueFunc;

    /// Creates the engine.
    fn new(mode: Mode) -> Result<Self>;

    /// Creates an engine for a process that runs one guest and ends.
    fn for_one_guest() -> Result<Self> {
        Self::new(Mode::Free)
    }

    /// Creates an engine for asynchronous components.
    fn for_tasks() -> Result<Self> {
        Self::new(Mode::Free)
    }

    /// Creates an engine that keeps the machine code of functions in memory, for components that
    /// share some with others.
    fn with_functions() -> Result<Self>;

    /// Creates an engine that keeps compiled components in files below `folder`.
    fn with_cache(folder: &Path) -> Result<Self>;

    /// Compiles with the engine's default settings.
    fn compile(&self, wasm: &[u8]) -> Result<Self::Component>;

    /// Compiles a component that has `new` instead of `old`, of the same length, in its data, and
    /// is the same as `first` otherwise. `wasm` is its bytes. An engine that would take long may
    /// change a copy of `first`: the result is the same.
    fn compile_with(
        &self,
        wasm: &[u8],
        first: &Self::Component,
        old: &[u8],
        new: &[u8],
    ) -> Result<Self::Component>;

    /// Compiles to an artifact for [`Host::load`].
    fn precompile(&self, wasm: &[u8]) -> Result<Vec<u8>>;

    /// Returns the artifact of a compiled component.
    fn serialize(component: &Self::Component) -> Result<Vec<u8>>;

    /// Loads an artifact that this engine made.
    fn load(&self, artifact: &ArtifactFile) -> Result<Self::Component>;

    /// Links a component that has no imports.
    fn link(&self, component: &Self::Component) -> Result<Self::Linked>;

    /// Links a component with the import `wait`; see [`WAIT`](crate::guest::WAIT).
    fn link_waiting(&self, component: &Self::Component) -> Result<Self::Linked>;

    /// Links a component with the import `wait` as a function that returns its argument at once.
    fn link_host(&self, component: &Self::Component) -> Result<Self::Linked>;

    /// Links a component with the import `host`; see [`TASKS`](crate::guest::TASKS).
    fn link_tasks(&self, component: &Self::Component) -> Result<Self::Linked>;

    /// Creates a store and an instance in it, of a component that [`Host::link_waiting`] or
    /// [`Host::link_tasks`] linked.
    fn instantiate_waiting(&self, linked: &Self::Linked) -> Result<Self::Live>;

    /// Creates a store and an instance in it.
    fn instantiate(&self, linked: &Self::Linked) -> Result<Self::Live>;

    /// Looks up an exported function, without looking at its type.
    fn value_func(live: &mut Self::Live, name: &str) -> Result<Self::ValueFunc>;

    /// Calls a function of two `s32` that returns another.
    fn call_values(live: &mut Self::Live, func: &Self::ValueFunc, params: [i32; 2]) -> Result<i32>;

    /// Returns the instance's component, linked, with instances that start from the current state
    /// of this one. `None` if the engine does not support snapshots.
    fn snapshot(&self, live: &mut Self::Live) -> Result<Option<Self::Linked>>;
}

/// Calls of exports with a given signature.
pub trait Calls<Params, Results>: Host {
    /// A typed function.
    type Func;

    /// Looks up an exported function and checks its type.
    fn func(live: &mut Self::Live, name: &str) -> Result<Self::Func>;

    /// Calls a function, including its post-return.
    fn call(live: &mut Self::Live, func: &Self::Func, params: Params) -> Result<Results>;

    /// Calls a function that may be suspended.
    fn call_async(
        live: &mut Self::Live,
        func: &Self::Func,
        params: Params,
    ) -> impl Future<Output = Result<Results>>;

    /// Begins `times` calls, and returns the results when all have ended.
    fn call_together(
        live: &mut Self::Live,
        func: &Self::Func,
        params: Params,
        times: usize,
    ) -> impl Future<Output = Result<Vec<Results>>>
    where
        Params: Copy;
}

/// The host function of both engines: is pending `times` times, and to be polled again at once.
pub(crate) async fn wait(times: u32) -> u32 {
    let mut left = times;
    std::future::poll_fn(|context| match left {
        0 => Poll::Ready(times),
        _ => {
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Polls a future until it is ready. Nothing wakes it, so this is for futures that do not need it.
pub(crate) fn poll_until_ready<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(output) = polled {
            return output;
        }
    }
}

/// An engine that can run commands, and call exports with all signatures that the guests have.
pub trait Contender:
    Commands + Calls<(&'static str,), (String,)> + Calls<(u32,), (u64,)> + Calls<(i32, i32), (i32,)>
{
}

impl<H> Contender for H where
    H: Commands
        + Calls<(&'static str,), (String,)>
        + Calls<(u32,), (u64,)>
        + Calls<(i32, i32), (i32,)>
{
}

/// An artifact in a file that this process has written to its own folder, so that engines can trust
/// its contents.
pub struct ArtifactFile {
    path: PathBuf,
}

impl ArtifactFile {
    /// Writes an artifact to `folder`, which must belong to this process.
    pub(crate) fn write(folder: &tempfile::TempDir, name: &str, artifact: &[u8]) -> Result<Self> {
        let path = folder.path().join(name);
        std::fs::write(&path, artifact)?;
        Ok(Self { path })
    }

    /// Names an artifact that the parent process has written, to which this one belongs.
    pub(crate) fn of_parent(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
