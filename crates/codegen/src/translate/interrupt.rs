//! The test of the interrupt word, by which another thread stops a guest.
//!
//! A guest that runs for ever passes a loop head or a function entry for ever, so these are the
//! places. Adapters test in their loops over elements, which can be long. Bulk operations go in
//! pieces, and the runtime tests between them.

use super::Translator;
use super::state::trap_code;
use crate::abi;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::FunctionBuilder;
use mintage_environ::{ControlBlock, Trap, Tunables, control_offsets};

impl Translator<'_, '_> {
    /// [`check`] here.
    pub(super) fn check_interrupt(&mut self) {
        check(self.input.tunables, &mut self.builder, self.ctx);
    }
}

/// Traps when the store's interrupt word is not zero; no code at all unless the code is to be
/// interruptible.
pub(crate) fn check(tunables: &Tunables, builder: &mut FunctionBuilder<'_>, ctx: Value) {
    if !tunables.interruptible {
        return;
    }
    let offset = ControlBlock::from_ctx(control_offsets::interrupt);
    // The pointer is written at instantiation and never again.
    let constant = MemFlagsData::trusted().with_readonly().with_can_move();
    let word = builder.ins().load(abi::POINTER, constant, ctx, offset);
    // An ordinary load would be one with that of an earlier test as long as nothing is stored in
    // between, so that a loop without stores would never see the word change.
    let word = builder
        .ins()
        .atomic_load(types::I64, MemFlagsData::trusted(), word);
    builder.ins().trapnz(word, trap_code(Trap::Interrupt));
}
