//! The test of the interrupt word, by which another thread stops a guest.
//!
//! A guest that runs for ever passes a loop head or a function entry for ever, so these are the places. Adapters and trampolines have
//! none: their loops go over values, of which there are a limited number.

use super::Translator;
use super::state::trap_code;
use crate::abi;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, types};
use mintage_environ::{ControlBlock, Trap, control_offsets};

impl Translator<'_, '_> {
    /// Traps when the store's interrupt word is not zero; no code at all unless the code is to be interruptible.
    pub(super) fn check_interrupt(&mut self) {
        if !self.input.tunables.interruptible {
            return;
        }
        let ctx = self.ctx;
        let offset = ControlBlock::from_ctx(control_offsets::interrupt);
        // The pointer is written at instantiation and never again.
        let constant = MemFlagsData::trusted().with_readonly().with_can_move();
        let word = self.ins().load(abi::POINTER, constant, ctx, offset);
        // An ordinary load would be one with that of an earlier test as long as nothing is stored in between, so that a
        // loop without stores would never see the word change.
        let word = self.ins().atomic_load(types::I64, MemFlagsData::trusted(), word);
        self.ins().trapnz(word, trap_code(Trap::Interrupt));
    }
}
