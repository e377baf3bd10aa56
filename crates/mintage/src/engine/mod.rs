//! [`Engine`]: what compiling, loading and running share.

#[cfg(feature = "compiler")]
mod compilers;
mod config;
pub(crate) mod timer;

pub use config::{Config, OptLevel, PoolConfig};

use self::timer::Timer;
use crate::error::Result;
#[cfg(feature = "compiler")]
pub(crate) use compilers::Compilers;
use mintage_runtime::Pool;
use std::sync::Arc;

/// The root of everything: settings, the pool of instances' memory, and the threads that compile.
/// Cheap to clone; all clones are one engine.
///
/// # After a `fork`
///
/// A child that was forked can use and drop the engine, with its components, stores and instances,
/// if no other thread of the parent was using an engine at that moment: compiling, loading, making
/// or dropping instances, or setting deadlines. (Otherwise the child has locks that are never
/// unlocked, and may wait for ever.) Threads that engines have themselves need no care: a fork
/// waits until the one that resets instances has none of these locks.
///
/// The child starts threads of its own when it needs them:
///
/// - Deadlines pass. One that was set before the fork is watched from the next call into its store
///   on, or when the host function that has forked returns.
/// - Instances are reset in the background, if the engine does so. What waited for that in the
///   parent is unmapped.
/// - Components are compiled in parallel.
///
/// [`InterruptHandle`](crate::InterruptHandle)s of the parent do not reach the child, and the other
/// way round.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<EngineInner>,
}

struct EngineInner {
    config: Config,
    timer: Timer,
    pool: Arc<Pool>,
    #[cfg(feature = "compiler")]
    compilers: Compilers,
}

impl Default for Engine {
    /// An engine with the default settings.
    fn default() -> Self {
        let config = Config::default();
        Self {
            inner: Arc::new(EngineInner {
                pool: Pool::new(&config.pool),
                config,
                timer: Timer::default(),
                #[cfg(feature = "compiler")]
                compilers: Compilers::Shared,
            }),
        }
    }
}

impl Engine {
    /// An engine with the given settings.
    ///
    /// # Errors
    ///
    /// When the threads that compile cannot be started.
    pub fn new(config: &Config) -> Result<Engine> {
        let inner = EngineInner {
            #[cfg(feature = "compiler")]
            compilers: Compilers::new(config.threads)?,
            config: config.clone(),
            timer: Timer::default(),
            pool: Pool::new(&config.pool),
        };
        Ok(Engine {
            inner: Arc::new(inner),
        })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// What watches the deadlines of all stores.
    pub(crate) fn timer(&self) -> &Timer {
        &self.inner.timer
    }

    /// Where instances of the engine's components get their memory.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.inner.pool
    }

    /// Whether both are one engine.
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
