//! Import trampolines: `canon lower` of a function of the host.

use crate::abi;
use crate::emit::{FunctionEmitter, Input, StackCheck, Workspace, control_block};
use anyhow::{Context as _, Result};
use mintage_environ::{Index as _, LowerId};

/// The number of words of an argument array from which on the trampoline checks the stack limit
/// itself. The reserve that the runtime keeps for host functions covers smaller arrays.
const LARGE_ARRAY: usize = 64;

/// Emits the trampoline from wasm code to the host function that lowered import `id` names.
/// Arguments and results are in an array of 8-byte words.
pub(crate) fn import_trampoline(
    input: &Input<'_>,
    id: LowerId,
    workspace: &mut Workspace,
) -> Result<()> {
    let interface = &input.program.interface;
    let lower = interface.lowers.get(id);
    let lower = lower.context("internal error: no such lowered import")?;
    let signature = &interface.signatures[lower.sig];
    let words = signature.array_words();
    let stack_check = match words {
        ..LARGE_ARRAY => StackCheck::None,
        _ => StackCheck::OnEntry,
    };
    let clif = abi::wasm_signature(signature);
    let mut emitter = FunctionEmitter::new(input, clif, stack_check, workspace);
    control_block::check_may_leave(&mut emitter.builder, emitter.ctx);
    emitter.record_exit();

    let parameters = std::mem::take(&mut emitter.parameters);
    let array = emitter.call_import(id.index(), words, &signature.params, &parameters);
    let results = emitter.load_words(array, &signature.results);
    emitter.return_(&results);
    Ok(())
}
