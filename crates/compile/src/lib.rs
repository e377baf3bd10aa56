//! The compile driver: component bytes to artifact bytes.

#![forbid(unsafe_code)]

mod progress;

pub use progress::{NoProgress, Phase, Progress};

use anyhow::{Result, bail};
use mintage_environ::Tunables;

/// What the artifact holds besides what the runtime needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether to write ELF symbols, for `objdump`, `gdb` and `perf`.
    pub symbols: bool,
}

/// Compiles a component for the host, with all threads of the current rayon pool.
///
/// The same bytes and tunables give the same artifact, whatever the number of threads.
///
/// # Errors
///
/// When the component is invalid, uses what is not supported, or exceeds a limit; names the phase and the function.
pub fn compile(bytes: &[u8], tunables: &Tunables, progress: &dyn Progress) -> Result<Vec<u8>> {
    compile_with(bytes, tunables, &Options::default(), progress)
}

/// As [`compile`], with [`Options`].
///
/// # Errors
///
/// As [`compile`].
pub fn compile_with(bytes: &[u8], tunables: &Tunables, options: &Options, progress: &dyn Progress) -> Result<Vec<u8>> {
    let _ = (bytes, tunables, options, progress);
    bail!("not written")
}
