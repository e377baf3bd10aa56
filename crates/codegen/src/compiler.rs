//! The compiler: settings, target, and the way from a key to machine code.

use crate::output::CompiledFunction;
use anyhow::{Result, bail};
use cranelift_codegen::Context;
use cranelift_frontend::FunctionBuilderContext;
use mintage_environ::layout::SlabLayout;
use mintage_environ::{FuncKey, Target, Tunables};
use mintage_program::Program;

/// Compiles functions for the host's processor. Shared by all threads.
pub struct Compiler {}

/// The buffers of one worker, reused from function to function.
pub struct Scratch {
    context: Context,
    builder: FunctionBuilderContext,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { context: Context::new(), builder: FunctionBuilderContext::new() }
    }
}

impl Compiler {
    /// A compiler for the processor that this runs on.
    ///
    /// # Errors
    ///
    /// When the processor's architecture is not supported, or it lacks an instruction set extension that is needed.
    pub fn new(tunables: &Tunables) -> Result<Compiler> {
        let _ = tunables;
        bail!("the code generator is not ready")
    }

    /// What the generated code runs on: part of an artifact, checked at load.
    pub fn target(&self) -> Target {
        Target::default()
    }

    /// Compiles the function `key` of `program`, whose slab is laid out as `layout` says.
    ///
    /// # Errors
    ///
    /// When the function uses what is not supported yet, or is too large for the code generator. The error names the function
    /// and, where there is one, the byte offset in the component.
    pub fn compile(
        &self,
        program: &Program<'_>,
        layout: &SlabLayout,
        key: FuncKey,
        scratch: &mut Scratch,
    ) -> Result<CompiledFunction> {
        let _ = (program, layout, key, &mut scratch.context, &mut scratch.builder);
        bail!("the code generator is not ready")
    }
}
