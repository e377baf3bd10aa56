//! The test of the interrupt word, by which another thread stops a guest.
//!
//! A guest that runs for ever passes a loop head or a function entry for ever, so these are the
//! places. Adapters test in their loops over elements, which can be long. Bulk operations go in
//! pieces, and the runtime tests between them.

use crate::emit::{control_block, trap_code};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::FunctionBuilder;
use mintage_environ::{Trap, Tunables};

/// Traps when the store's interrupt word is not zero; no code at all unless the code is to be
/// interruptible.
pub(crate) fn check(tunables: &Tunables, builder: &mut FunctionBuilder<'_>, ctx: Value) {
    if !tunables.interruptible {
        return;
    }
    let word = control_block::interrupt_word(builder, ctx);
    // An ordinary load would be one with that of an earlier test as long as nothing is stored in
    // between, so that a loop without stores would never see the word change.
    let word = builder
        .ins()
        .atomic_load(types::I64, MemFlagsData::trusted(), word);
    builder.ins().trapnz(word, trap_code(Trap::Interrupt));
}
