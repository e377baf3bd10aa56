//! Entry trampolines: calls of wasm functions by the host, one trampoline per signature.

use crate::abi;
use crate::emit::{FunctionEmitter, Input, StackCheck, Workspace};
use anyhow::{Context as _, Result, bail};
use mintage_environ::SigId;

/// Emits the trampoline through which the host calls any wasm function with signature `sig`.
/// Arguments and results are in an array of 8-byte words.
pub(crate) fn entry_trampoline(
    input: &Input<'_>,
    sig: SigId,
    workspace: &mut Workspace,
) -> Result<()> {
    let signature = input.program.interface.signatures.get(sig);
    let signature = signature.context("internal error: no such signature")?;
    let clif = abi::entry_signature(&**input.isa);
    let mut emitter = FunctionEmitter::new(input, clif, StackCheck::None, workspace);
    let [code, array] = emitter.parameters[..] else {
        bail!("internal error: an entry trampoline has three parameters")
    };
    let mut arguments = vec![emitter.ctx];
    arguments.extend(emitter.load_words(array, &signature.params));
    let results = emitter.call_address(abi::wasm_signature(signature), code, &arguments);
    emitter.store_words(array, &signature.results, &results);
    emitter.return_(&[]);
    Ok(())
}
