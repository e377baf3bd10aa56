//! [`Engine`]: what compiling, loading and running components share.

#[cfg(feature = "cache")]
pub(crate) mod cache;
mod compatible;
#[cfg(feature = "compiler")]
mod compilers;
mod config;
mod epochs;
#[cfg(feature = "compiler")]
mod functions;
mod metrics;
mod precompiled;
mod process;
pub(crate) mod timer;
pub(crate) mod wake;
mod weak;

#[cfg(feature = "cache")]
pub use cache::{Cache, CacheConfig, CacheStats};
pub(crate) use compatible::Caps;
pub use compatible::{
    Collector, Enabled, InstanceAllocationStrategy, ModuleVersionStrategy, PoolingAllocationConfig,
    ProfilingStrategy, RegallocAlgorithm, Strategy, WasmBacktraceDetails, WasmFeatures,
};
pub use config::{Config, Inlining, OptLevel, PoolConfig};
#[cfg(feature = "compiler")]
pub use functions::{CacheStore, FunctionStore};
pub use metrics::EngineMetrics;
pub use precompiled::Precompiled;
pub use process::process_id;
pub use weak::EngineWeak;

use self::epochs::Epochs;
use self::timer::Timer;
use crate::Trap;
use crate::error::{Error, Result};
#[cfg(feature = "compiler")]
pub(crate) use compilers::Compilers;
pub(crate) use epochs::EpochDeadline;
use mintage_runtime::{Pool, StackPool};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The settings, the pool of memory for instances, and the threads that compile: everything that
/// components and stores share. An engine is cheap to clone, and all clones are the same engine.
///
/// Most processes need one engine.
///
/// ```
/// use mintage::{Config, Engine};
///
/// # fn main() -> mintage::Result<()> {
/// let engine = Engine::new(Config::new().consume_fuel(true))?;
/// let other = engine.clone();
/// assert!(Engine::same(&engine, &other));
/// # Ok(())
/// # }
/// ```
///
/// # After a `fork`
///
/// A forked child can use and drop the engine, with its components, stores and instances, if no
/// other thread of the parent was using an engine at the time of the fork: compiling, loading,
/// creating or dropping stores and instances, or setting deadlines. Otherwise the child may inherit
/// locks that are never unlocked, and may wait for ever. The engine's own threads need no care: a
/// fork waits until they hold none of these locks.
///
/// The child starts its own threads when it needs them:
///
/// - Deadlines pass in the child. A deadline that was set before the fork is watched again from the
///   next call into its store, or from the return of the host function that has forked.
/// - Instances are reset in the background, if the engine does so. Slots that waited for a reset in
///   the parent are unmapped.
/// - Components are compiled in parallel.
///
/// An [`InterruptHandle`](crate::InterruptHandle) works only in the process that it was made in.
/// Host functions with state that a child must not share find out by [`process_id`].
#[derive(Clone)]
pub struct Engine {
    inner: Arc<EngineInner>,
}

struct EngineInner {
    config: Config,
    timer: Timer,
    /// The epoch; none without [`Config::epoch_interruption`].
    epochs: Option<Arc<Epochs>>,
    pool: Arc<Pool>,
    stacks: Arc<StackPool>,
    /// The calls that ended by a trap.
    traps: AtomicU64,
    #[cfg(feature = "compiler")]
    compilers: Compilers,
}

impl Default for Engine {
    /// Creates an engine with the default settings.
    fn default() -> Self {
        let config = Config::default();
        Self {
            inner: Arc::new(EngineInner {
                pool: Pool::new(&config.pool),
                stacks: config.stacks(),
                config,
                timer: Timer::default(),
                epochs: None,
                traps: AtomicU64::new(0),
                #[cfg(feature = "compiler")]
                compilers: Compilers::Shared,
            }),
        }
    }
}

impl Engine {
    /// Creates an engine with the given settings.
    ///
    /// # Errors
    ///
    /// If a setting cannot be honoured, which the error names, or if the threads that compile
    /// cannot be started.
    pub fn new(config: &Config) -> Result<Engine> {
        let config = config.settled()?;
        let inner = EngineInner {
            #[cfg(feature = "compiler")]
            compilers: Compilers::new(config.threads)?,
            timer: Timer::default(),
            epochs: config.epochs.then(Epochs::new),
            pool: Pool::new(&config.pool),
            stacks: config.stacks(),
            traps: AtomicU64::new(0),
            config,
        };
        Ok(Engine {
            inner: Arc::new(inner),
        })
    }

    /// Returns the settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Begins the next epoch. Guests of stores whose epoch deadline it reaches check in at their
    /// next function entry or loop head, where they trap, go on or yield
    /// ([`Store::set_epoch_deadline`](crate::Store::set_epoch_deadline)).
    ///
    /// Any thread may call this, and a signal handler as well. It adds to a counter. Only if the
    /// epoch reaches the deadline of some store does it look at the stores, which takes a few
    /// nanoseconds for each. Without [`Config::epoch_interruption`], it has no effect.
    ///
    /// [`Store::set_deadline`](crate::Store::set_deadline) needs no thread of the host that calls
    /// this.
    pub fn increment_epoch(&self) {
        if let Some(epochs) = &self.inner.epochs {
            epochs.increment();
        }
    }

    /// Makes the epoch deadline of a new store, if the engine has epochs.
    pub(crate) fn enlist_epoch_deadline(&self) -> Option<EpochDeadline> {
        self.inner.epochs.as_ref().map(Epochs::enlist)
    }

    /// Counts a call that ended by `error`, if that is a trap.
    #[cold]
    pub(crate) fn count_trap(&self, error: &Error) {
        if error.downcast_ref::<Trap>().is_some() {
            self.inner.traps.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the timer that watches the deadlines of all stores.
    pub(crate) fn timer(&self) -> &Timer {
        &self.inner.timer
    }

    /// Returns the pool from which instances get their memory.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.inner.pool
    }

    /// Returns the stacks of asynchronous calls.
    pub(crate) fn stacks(&self) -> &Arc<StackPool> {
        &self.inner.stacks
    }

    /// Prepares the current thread for calls of guests. Otherwise its first call does so, which
    /// then takes a few microseconds more.
    pub fn tls_eager_initialize() {
        mintage_runtime::prepare_thread();
    }

    /// Returns `false`: guests run as machine code, never in Wasmtime's interpreter.
    pub fn is_pulley(&self) -> bool {
        false
    }

    /// Returns whether both are the same engine.
    pub fn same(a: &Engine, b: &Engine) -> bool {
        Arc::ptr_eq(&a.inner, &b.inner)
    }

    /// The threads that compile components.
    #[cfg(feature = "compiler")]
    pub(crate) fn compilers(&self) -> &Compilers {
        &self.inner.compilers
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}
