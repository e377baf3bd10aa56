//! Leaving machine code for the host, and the array of words that a host function shares with it.
//!
//! Arguments and results of host functions, and of functions that the host enters, lie in an array
//! of 8-byte words: 4-byte values in the low half of a word, vectors in two words.

use super::control_block::{self, constant_word};
use super::{FunctionEmitter, trap_code};
use crate::abi::{self, POINTER};
use cranelift_codegen::ir::{
    InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Type, Value, types,
};
use mintage_environ::builtin::RAISE_SLOT;
use mintage_environ::{HostImport, Trap, ValType, exit_offsets, host_import_offsets};

/// Base-two logarithm of the size of a word of an argument array.
const WORD_LOG2: u8 = 3;
const WORD: i32 = 1 << WORD_LOG2;
/// Flags of an access to an argument array: in bounds, but only words are aligned, vectors are not.
const ARRAY_ACCESS: MemFlagsData = MemFlagsData::new().with_notrap();

impl FunctionEmitter<'_, '_> {
    /// Loads the address of the builtin in this slot of the builtin pointer array.
    pub fn builtin_address(&mut self, slot: usize) -> Value {
        let builtins = control_block::builtins(&mut self.builder, self.ctx);
        let offset = slot as i32 * size_of::<usize>() as i32;
        constant_word(&mut self.builder, builtins, offset)
    }

    /// Records the frame in which wasm code is left. The runtime walks the stack from there.
    pub fn record_exit(&mut self) {
        let record = control_block::exit_record(&mut self.builder, self.ctx);
        let fp = self.builder.ins().get_frame_pointer(POINTER);
        let trusted = MemFlagsData::trusted();
        self.builder
            .ins()
            .store(trusted, fp, record, exit_offsets::fp);
    }

    /// Calls the function in entry `number` of the host table with an array of `words` words that
    /// starts with `values`. Returns the address of the array, which then holds the results. The
    /// exit must have been recorded.
    pub fn call_import(
        &mut self,
        number: usize,
        words: usize,
        types: &[ValType],
        values: &[Value],
    ) -> Value {
        let array = self.word_array(words);
        self.store_words(array, types, values);

        let imports = control_block::host_imports(&mut self.builder, self.ctx);
        let entry = number as i32 * size_of::<HostImport>() as i32;
        let builder = &mut self.builder;
        let func = constant_word(builder, imports, entry + host_import_offsets::func);
        let data = constant_word(builder, imports, entry + host_import_offsets::data);
        let signature = abi::host_import_signature(&**self.input.isa);
        let failed = self.call_address(signature, func, &[self.ctx, data, array])[0];
        // Code 0: the host function left its error with the runtime.
        let code = self.builder.ins().iconst(types::I32, 0);
        self.raise_if(failed, code);
        array
    }

    /// Returns the address of a new array of words in the frame.
    pub fn word_array(&mut self, words: usize) -> Value {
        let slot = self.builder.create_sized_stack_slot(StackSlotData::new(
            StackSlotKind::ExplicitSlot,
            words as u32 * WORD as u32,
            WORD_LOG2,
        ));
        self.builder.ins().stack_addr(POINTER, slot, 0)
    }

    /// Ends the call into wasm code with the trap whose code is `code` if `condition` is not zero.
    pub fn raise_if(&mut self, condition: Value, code: Value) {
        let raise = self.builder.create_block();
        let rest = self.builder.create_block();
        self.builder.set_cold_block(raise);
        self.builder.ins().brif(condition, raise, [], rest, []);

        self.builder.switch_to_block(raise);
        let stub = self.builtin_address(RAISE_SLOT);
        let signature = abi::raise_signature(&**self.input.isa);
        self.call_address(signature, stub, &[self.ctx, code]);
        // The stub does not return.
        self.builder
            .ins()
            .trap(trap_code(Trap::UnreachableCodeReached));

        self.builder.switch_to_block(rest);
    }

    /// Writes `values` to an array of words.
    pub fn store_words(&mut self, array: Value, types: &[ValType], values: &[Value]) {
        for ((_, offset), &value) in places(types).zip(values) {
            self.builder.ins().store(ARRAY_ACCESS, value, array, offset);
        }
    }

    /// Reads values of the given types from an array of words.
    pub fn load_words(&mut self, array: Value, types: &[ValType]) -> Vec<Value> {
        let load = |(ty, offset)| self.builder.ins().load(ty, ARRAY_ACCESS, array, offset);
        places(types).map(load).collect()
    }
}

/// Returns the type and the byte offset in an argument array of each of `types`.
fn places(types: &[ValType]) -> impl Iterator<Item = (Type, i32)> {
    let mut words = 0;
    types.iter().map(move |&ty| {
        let offset = words * WORD;
        words += ty.words() as i32;
        (abi::clif_type(ty), offset)
    })
}
