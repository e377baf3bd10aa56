//! Tests of whether the guest has to check in with its store: because another thread interrupts it,
//! or because it has consumed as much fuel as it may at a stretch.
//!
//! A guest that runs for ever passes a loop head or a function entry again and again, so the tests
//! are there. Adapters test the interrupt word in their loops over elements, which can be long. The
//! runtime does long bulk operations in pieces and tests it in between.
//!
//! The store decides whether the guest traps or goes on. The call is in a cold block and preserves
//! all registers, so that it costs nothing where it is not made.

use super::Meter;
use crate::emit::{Declarations, call_builtin, control_block};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::FunctionBuilder;
use mintage_environ::{Builtin, Tunables};

/// Checks in with the store if its interrupt word is not zero, or if `meter` says so. Emits no code
/// where the settings ask for neither.
pub(crate) fn check_in(
    tunables: &Tunables,
    builder: &mut FunctionBuilder<'_>,
    declarations: &mut Declarations,
    meter: &mut Meter,
    ctx: Value,
) {
    if !tunables.interruptible && !meter.is_on() {
        return;
    }
    let (cold, rest) = (builder.create_block(), builder.create_block());
    builder.set_cold_block(cold);
    if tunables.interruptible {
        let word = control_block::interrupt_word(builder, ctx);
        // The code generator merges an ordinary load with that of an earlier test if nothing is
        // stored in between. A loop without stores would then never see the word change.
        let word = builder
            .ins()
            .atomic_load(types::I64, MemFlagsData::trusted(), word);
        match meter.is_on() {
            true => {
                let next = builder.create_block();
                builder.ins().brif(word, cold, [], next, []);
                builder.seal_block(next);
                builder.switch_to_block(next);
            }
            false => _ = builder.ins().brif(word, cold, [], rest, []),
        }
    }
    if let Some(pauses) = meter.pauses(builder) {
        builder.ins().brif(pauses, cold, [], rest, []);
    }
    builder.seal_block(cold);
    builder.switch_to_block(cold);
    call_builtin(builder, declarations, Builtin::CheckIn, ctx, &[]);
    meter.reload(builder);
    builder.ins().jump(rest, []);
    builder.seal_block(rest);
    builder.switch_to_block(rest);
}
