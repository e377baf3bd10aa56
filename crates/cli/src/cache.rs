//! Options of the compile cache.

use mintage::error::{Context, Result};
use mintage::{Cache, Config, Error};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A time that a user notices. Only then is it worth a sentence that the result is not kept.
const NOTICED: Duration = Duration::from_millis(500);

/// Options of the compile cache.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct CacheOptions {
    /// Neither use nor fill the cache of compiled components
    #[arg(long)]
    pub no_cache: bool,

    /// File with settings of the cache [default: mintage/cache.toml in the folder for settings, if
    /// it exists]
    #[arg(long, value_name = "FILE", conflicts_with = "no_cache")]
    pub cache_config: Option<PathBuf>,
}

/// The cache of a command, or why there is none.
pub(crate) struct CommandCache(Option<Result<Cache>>);

impl CacheOptions {
    /// Opens the cache.
    ///
    /// # Errors
    ///
    /// Fails if the file with settings is named and cannot be used.
    pub(crate) fn open(&self) -> Result<CommandCache> {
        if self.no_cache {
            return Ok(CommandCache(None));
        }
        match &self.cache_config {
            Some(path) => Ok(CommandCache(Some(Ok(Cache::from_file(Some(path))?)))),
            None => Ok(CommandCache(Some(Cache::from_file(None)))),
        }
    }
}

impl CommandCache {
    /// Makes engines use the cache.
    pub(crate) fn apply(&self, config: &mut Config) {
        if let Some(Ok(cache)) = &self.0 {
            config.cache(Some(cache.clone()));
        }
    }

    /// Says why a component that was compiled since `start` is not kept, if compiling it took so
    /// long that this matters.
    pub(crate) fn explain(self, start: Instant) {
        let error: Option<Error> = match self.0 {
            None => None,
            Some(Ok(cache)) => cache.last_error(),
            Some(Err(error)) => Some(error),
        };
        if let Some(error) = error
            && start.elapsed() >= NOTICED
        {
            crate::note(&format!(
                "compiling took {:.1} s, and the result is not kept: {error:#} (`--no-cache` \
                 hides this)",
                start.elapsed().as_secs_f64()
            ));
        }
    }
}

/// Opens the user's cache.
///
/// # Errors
///
/// Fails if there is no folder for it, or its settings cannot be used.
pub(crate) fn users() -> Result<Cache> {
    Cache::from_file(None).context("there is no cache")
}
