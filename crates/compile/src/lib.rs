//! The compile driver: component bytes to artifact bytes.
//!
//! Each phase is one function that consumes the type of the previous phase and returns a new one:
//!
//! | phase | function | returns |
//! |---|---|---|
//! | program | [`mintage_program::build`] | [`Program`]: the closed world |
//! | layout | [`SlabLayout::compute`] | `LaidOut`: adds the slab layout |
//! | functions | `functions::generate` | `Generated`: adds the machine code of each function |
//! | link | `link::link` | `LinkedProgram`: joins the code in one text, with resolved calls |
//! | image | `image::build` | `Imaged`: adds the initial contents of the slab |
//! | write | `write::write` | `Written`: adds the artifact |
//! | verify | `verify::verify` | nothing: compares the artifact with all of the above |
//!
//! Architecture invariant: this crate does not know the runtime. The artifact depends only on the
//! component, the tunables, the options and the processor, and not on the number of threads, the
//! order in which they work, or the time.

#![forbid(unsafe_code)]

mod describe;
mod functions;
mod image;
mod limits;
mod link;
mod progress;
mod verify;
mod write;

pub use describe::{describe, interface};
pub use limits::CompileLimits;
pub use mintage_codegen::{CacheStore, FunctionCache, check_target};
pub use mintage_program::{Part, SuppliedModule, compose, supply, wrap};
pub use progress::{NoProgress, Phase, Progress};

use anyhow::{Context, Result};
use limits::Spent;
use mintage_codegen::Compiler;
use mintage_environ::layout::SlabLayout;
use mintage_environ::{TargetRequest, Tunables};
use mintage_program::Program;
use std::time::Instant;

/// Options of a compilation.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The processor and system that the artifact is for.
    pub target: TargetRequest,
    /// Whether to write ELF symbols, for `objdump`, `gdb` and `perf`.
    pub symbols: bool,
    /// Machine code of functions that were compiled before.
    pub functions: Option<FunctionCache>,
    /// Limits of the time and memory that compiling takes.
    pub limits: CompileLimits,
}

/// A program with its slab layout.
struct LaidOut<'a> {
    program: Program<'a>,
    layout: SlabLayout,
}

/// Compiles a component for the host's processor, with all threads of the current rayon pool, or
/// with the calling thread if there is no pool.
///
/// The artifact for the same bytes and tunables is the same, whatever the number of threads.
///
/// # Errors
///
/// Returns an error if the component is invalid, uses an unsupported feature, or exceeds a limit.
/// It names the phase and, if possible, the function.
pub fn compile(bytes: &[u8], tunables: &Tunables, progress: &dyn Progress) -> Result<Vec<u8>> {
    compile_with(bytes, tunables, &Options::default(), progress)
}

/// Compiles a component as [`compile`] does, with [`Options`].
///
/// # Errors
///
/// Returns the errors of [`compile`].
pub fn compile_with(
    bytes: &[u8],
    tunables: &Tunables,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Vec<u8>> {
    let mut compiler = Compiler::new(&options.target, tunables)?;
    compiler.limit_function_values(options.limits.most_function_values());
    if let Some(functions) = &options.functions {
        compiler.reuse(functions.clone());
    }
    let spent = Spent::new(&options.limits);
    let timed = Timed {
        progress,
        spent: &spent,
    };
    let program = timed.run(Phase::Program, || {
        mintage_program::build_checked(bytes, tunables, &|| spent.check_time())
    })?;
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
        write::write(imaged, &compiler.target(), tunables, options)
    })?;
    if cfg!(debug_assertions) || tunables.debug_verifier {
        timed.run(Phase::Verify, || verify::verify(&written))?;
    }
    Ok(written.artifact)
}

/// Runs phases, reports them, and checks the time limit after each.
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
