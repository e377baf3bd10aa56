//! The functions that the Canonical ABI defines (CanonicalABI.md, "Canonical Definitions"), each as
//! one function of machine code.
//!
//! ```text
//! lower            import trampolines: `canon lower` of a function of the host
//! entry            entry trampolines: calls of `canon lift` by the host
//! adapter/         adapters: `canon lower` of a `canon lift`
//! resources        built-ins on resource handles
//! error_context    built-ins on error contexts
//! concurrent       built-ins on tasks, threads, waitables, streams and futures
//! ```
//!
//! # How to add a canonical built-in
//!
//! [`CanonOp`] says what comes before. Here, write the function in the file of its family (a new
//! family is a file), and add its row to [`builtin`]. `FunctionEmitter` is the builder, `emit` has
//! what built-ins share, and a builtin of the runtime (`mintage_environ::Builtin`) does what needs
//! the host's memory.

pub(crate) mod adapter;
mod concurrent;
pub(crate) mod entry;
mod error_context;
pub(crate) mod lower;
mod resources;

use crate::abi;
use crate::emit::{FunctionEmitter, Input, StackCheck, Workspace};
use anyhow::{Context as _, Result, bail};
use cranelift_codegen::ir::Value;
use mintage_environ::CanonId;
use mintage_program::{CanonBuiltin, CanonOp};

/// Emits the canonical built-in `id`.
pub(crate) fn builtin(input: &Input<'_>, id: CanonId, workspace: &mut Workspace) -> Result<()> {
    let builtin = input.program.canons.get(id);
    let builtin = builtin.context("internal error: no such canonical built-in")?;
    match builtin.op {
        CanonOp::ResourceNew(resource) => resources::new(input, builtin, resource, workspace),
        CanonOp::ResourceRep(resource) => resources::rep(input, builtin, resource, workspace),
        CanonOp::ResourceDrop(resource) => resources::drop(input, builtin, resource, workspace),
        CanonOp::ErrorContextNew => error_context::new(input, builtin, workspace),
        CanonOp::ErrorContextDebugMessage => {
            error_context::debug_message(input, builtin, workspace)
        }
        CanonOp::ErrorContextDrop => error_context::drop(input, builtin, workspace),
        _ => concurrent::emit(input, id, builtin, workspace),
    }
}

/// Starts a built-in. Returns its builder and its parameters.
fn start<'a, 'f, const PARAMETERS: usize>(
    input: &Input<'a>,
    builtin: &CanonBuiltin,
    stack_check: StackCheck,
    workspace: &'f mut Workspace,
) -> Result<(FunctionEmitter<'a, 'f>, [Value; PARAMETERS])> {
    let signature = abi::wasm_signature(&input.program.interface.signatures[builtin.sig]);
    let emitter = FunctionEmitter::new(input, signature, stack_check, workspace);
    match <[Value; PARAMETERS]>::try_from(&emitter.parameters[..]) {
        Ok(parameters) => Ok((emitter, parameters)),
        Err(_) => bail!(
            "internal error: {} has {} parameters instead of {PARAMETERS}",
            builtin.op.name(),
            emitter.parameters.len()
        ),
    }
}
