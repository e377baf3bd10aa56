//! Trampolines from wasm code to the builtins of the runtime, one per builtin.
//!
//! Arguments are in registers. A builtin returns a result, a trap code, or both in one word.

mod short;

use crate::abi;
use crate::emit::{FunctionEmitter, Input, StackCheck, Workspace, trap_code};
use anyhow::Result;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, types};
use mintage_environ::builtin::{BuiltinResult, GROWTH_ENDED};
use mintage_environ::{Builtin, Trap};

/// Emits the trampoline from wasm code to `builtin` of the runtime.
pub(crate) fn trampoline(
    input: &Input<'_>,
    builtin: Builtin,
    workspace: &mut Workspace,
) -> Result<()> {
    let clif = abi::builtin_signature(builtin);
    let mut emitter = FunctionEmitter::new(input, clif, StackCheck::None, workspace);
    let parameters = std::mem::take(&mut emitter.parameters);
    short::emit(&mut emitter.builder, builtin, &parameters);
    emitter.record_exit();
    let address = emitter.builtin_address(builtin.as_u32() as usize);
    let mut arguments = vec![emitter.ctx];
    arguments.extend(parameters);
    let host = abi::builtin_host_signature(builtin, &**input.isa);
    let mut results = emitter.call_address(host, address, &arguments);
    match builtin.result() {
        BuiltinResult::Never => {
            let code = trap_code(Trap::UnreachableCodeReached);
            emitter.builder.ins().trap(code);
            emitter.finish();
            return Ok(());
        }
        BuiltinResult::Value(_) => {}
        BuiltinResult::TrapCode | BuiltinResult::ColdTrapCode => {
            let code = results.remove(0);
            emitter.raise_if(code, code);
        }
        BuiltinResult::Growth => {
            // The -1 of refused growth is not a trap: it is one more than `GROWTH_ENDED`, so its
            // difference is the largest of all.
            let builder = &mut emitter.builder;
            let ended = builder.ins().iconst(types::I64, GROWTH_ENDED as i64);
            let code = builder.ins().isub(ended, results[0]);
            let largest = i64::from(u8::MAX);
            let traps = builder
                .ins()
                .icmp_imm_u(IntCC::UnsignedLessThanOrEqual, code, largest);
            let code = builder.ins().ireduce(types::I32, code);
            emitter.raise_if(traps, code);
        }
        BuiltinResult::Fallible(_) | BuiltinResult::Suspending(_) => {
            let code = emitter.builder.ins().ushr_imm_u(results[0], 32);
            let code = emitter.builder.ins().ireduce(types::I32, code);
            emitter.raise_if(code, code);
            results[0] = emitter.builder.ins().ireduce(types::I32, results[0]);
        }
    }
    emitter.return_(&results);
    Ok(())
}
