//! Interruption: tests of the interrupt word, by which another thread stops a guest.
//!
//! A guest that runs for ever passes a loop head or a function entry again and again, so the word
//! is tested there. Adapters test it in their loops over elements, which can be long. The runtime
//! does long bulk operations in pieces and tests it in between.

use crate::emit::{control_block, trap_code};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::FunctionBuilder;
use mintage_environ::{Trap, Tunables};

/// Traps when the store's interrupt word is not zero. Emits no code unless the code is to be
/// interruptible.
pub(crate) fn check(tunables: &Tunables, builder: &mut FunctionBuilder<'_>, ctx: Value) {
    if !tunables.interruptible {
        return;
    }
    let word = control_block::interrupt_word(builder, ctx);
    // The code generator merges an ordinary load with that of an earlier test if nothing is stored
    // in between. A loop without stores would then never see the word change.
    let word = builder
        .ins()
        .atomic_load(types::I64, MemFlagsData::trusted(), word);
    builder.ins().trapnz(word, trap_code(Trap::Interrupt));
}
