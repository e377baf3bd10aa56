//! The compile driver: component bytes to artifact bytes.
//!
//! Each phase is one function that consumes what the phase before it gave. In order:
//!
//! | phase | function | gives |
//! |---|---|---|
//! | program | [`mintage_program::build`] | [`Program`]: the closed world |
//! | layout | [`SlabLayout::compute`] | `LaidOut`: with the place of everything in a slab |
//! | functions | `functions::generate` | `Generated`: with machine code, one piece per function |
//! | link | `link::link` | `Linked`: with one text in which calls are resolved |
//! | image | `image::build` | `Imaged`: with the bytes of the slab |
//! | write | `emit::write` | `Written`: with the artifact |
//! | verify | `verify::verify` | the bytes, compared with the plan; only in debug builds or when asked |
//!
//! Architecture invariant: nothing here knows how code is made or run. The artifact depends on the
//! component, the tunables, the options and the processor alone: not on the number of threads, the
//! order in which they work, or the time.

#![forbid(unsafe_code)]

mod describe;
mod emit;
mod functions;
mod image;
mod limits;
mod link;
mod progress;
mod verify;

pub use describe::{describe, interface};
pub use limits::CompileLimits;
pub use mintage_program::{SuppliedModule, supply};
pub use progress::{NoProgress, Phase, Progress};

use anyhow::{Context, Result};
use limits::Spent;
use mintage_codegen::Compiler;
use mintage_environ::Tunables;
use mintage_environ::layout::SlabLayout;
use mintage_program::Program;
use std::time::Instant;

/// What the artifact holds besides what the runtime needs, and what making it may take.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether to write ELF symbols, for `objdump`, `gdb` and `perf`.
    pub symbols: bool,
    /// Limits of time and memory.
    pub limits: CompileLimits,
}

/// A program and the place of everything in a slab.
struct LaidOut<'a> {
    program: Program<'a>,
    layout: SlabLayout,
}

/// Compiles a component for the processor that this runs on, with all threads of the rayon pool
/// that this runs in; outside of a pool, with the calling thread alone.
///
/// The same bytes and tunables give the same artifact, whatever the number of threads.
///
/// # Errors
///
/// When the component is invalid, uses what is not supported, or exceeds a limit; names the phase
/// and the function.
pub fn compile(bytes: &[u8], tunables: &Tunables, progress: &dyn Progress) -> Result<Vec<u8>> {
    compile_with(bytes, tunables, &Options::default(), progress)
}

/// As [`compile`], with [`Options`].
///
/// # Errors
///
/// As [`compile`].
pub fn compile_with(
    bytes: &[u8],
    tunables: &Tunables,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Vec<u8>> {
    let mut compiler = Compiler::new(tunables)?;
    compiler.limit_function_values(options.limits.most_function_values());
    let spent = Spent::new(&options.limits);
    let timed = Timed {
        progress,
        spent: &spent,
    };
    let program = timed.run(Phase::Program, || mintage_program::build(bytes, tunables))?;
    let laid_out = timed.run(Phase::Layout, || {
        let layout = SlabLayout::compute(&program.shape, tunables)?;
        Ok(LaidOut { program, layout })
    })?;
    let generated = timed.run(Phase::Functions, || {
        functions::generate(laid_out, &compiler, &spent, progress)
    })?;
    let linked = timed.run(Phase::Link, || link::link(generated, &compiler.target()))?;
    let imaged = timed.run(Phase::Image, || image::build(linked))?;
    let written = timed.run(Phase::Write, || {
        emit::write(imaged, &compiler.target(), tunables, options)
    })?;
    if cfg!(debug_assertions) || tunables.debug_verifier {
        timed.run(Phase::Verify, || verify::verify(&written))?;
    }
    Ok(written.artifact)
}

/// Runs phases and reports them.
struct Timed<'a> {
    progress: &'a dyn Progress,
    spent: &'a Spent<'a>,
}

impl Timed<'_> {
    fn run<T>(&self, phase: Phase, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.progress.started(phase);
        let start = Instant::now();
        let result = run().and_then(|result| self.spent.check_time().map(|()| result));
        let result = result
            .with_context(|| format!("cannot compile the component (phase `{}`)", phase.name()))?;
        self.progress.ended(phase, start.elapsed());
        Ok(result)
    }
}
