//! [`Engine`]: what compiling, loading and running share.

#[cfg(feature = "compiler")]
mod compilers;
mod config;
pub(crate) mod timer;

pub use config::{Config, OptLevel, PoolConfig};

#[cfg(feature = "compiler")]
use self::compilers::Compilers;
use self::timer::Timer;
use crate::error::Result;
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

    /// Compiles a component (binary, or text) to an artifact, which
    /// [`Component::deserialize`](crate::Component::deserialize) and
    /// [`Component::deserialize_file`](crate::Component::deserialize_file) load.
    ///
    /// # Errors
    ///
    /// As [`Component::new`](crate::Component::new).
    #[cfg(feature = "compiler")]
    pub fn precompile_component(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.precompile_component_with(
            bytes,
            &mintage_compile::Options::default(),
            &mintage_compile::NoProgress,
        )
    }

    /// Says what a component (binary, or text) becomes: its closed world with domains, core
    /// instances, adapters and functions, and their place in memory. For people; the form may
    /// change.
    ///
    /// # Errors
    ///
    /// As [`Component::new`](crate::Component::new).
    #[cfg(feature = "compiler")]
    pub fn describe_component(&self, bytes: &[u8]) -> Result<String> {
        let binary = crate::component::text::to_binary(bytes, None)?;
        Ok(mintage_compile::describe(
            &binary,
            &self.inner.config.tunables,
        )?)
    }

    /// Returns the imports and exports of a component in binary form, with their types, whichever
    /// features it uses.
    ///
    /// # Errors
    ///
    /// When the bytes are not a valid component.
    #[cfg(feature = "compiler")]
    #[doc(hidden)]
    pub fn describe_interface(
        bytes: &[u8],
    ) -> Result<mintage_environ::component::ComponentInterface> {
        Ok(mintage_compile::interface(bytes)?)
    }

    /// As [`precompile_component`](Self::precompile_component), with options, telling `progress`
    /// how far it is.
    ///
    /// # Errors
    ///
    /// As [`Component::new`](crate::Component::new).
    #[cfg(feature = "compiler")]
    #[doc(hidden)]
    pub fn precompile_component_with(
        &self,
        bytes: &[u8],
        options: &mintage_compile::Options,
        progress: &dyn mintage_compile::Progress,
    ) -> Result<Vec<u8>> {
        let binary = crate::component::text::to_binary(bytes, None)?;
        let tunables = &self.inner.config.tunables;
        let options = mintage_compile::Options {
            limits: self.inner.config.compile_limits.clone(),
            ..*options
        };
        let compile = || mintage_compile::compile_with(&binary, tunables, &options, progress);
        Ok(self.inner.compilers.run(compile)?)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}
