//! Bulk operations of memories: `memory.copy`, `memory.fill`, `memory.init`, `data.drop`.
//!
//! The runtime does them, but for short copies and fills of constant length where page faults are the bounds check. Those
//! are done in place: all bytes are loaded before any is stored, and the last chunk is stored first, so an operation that
//! is out of bounds faults before it changes anything.

use super::Translator;
use super::memory::Place;
use super::state::{Region, trap_code};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I8X16, I16, I32, I64};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use mintage_environ::{Builtin, MemoryId, Trap};
use smallvec::SmallVec;
use wasmparser::Operator;

/// The longest operation that is done in place: eight vector registers, about as much code as the call of the builtin.
const MAX_IN_PLACE: u64 = 128;

impl<'a> Translator<'a, '_> {
    pub(super) fn bulk_operator(&mut self, operator: &Operator<'a>) -> bool {
        match *operator {
            Operator::MemoryCopy { dst_mem, src_mem } => self.memory_copy(self.memory(dst_mem), self.memory(src_mem)),
            Operator::MemoryFill { mem } => self.memory_fill(self.memory(mem)),
            Operator::MemoryInit { data_index, mem } => self.memory_init(data_index, self.memory(mem)),
            Operator::DataDrop { data_index } => {
                if let Some(data) = self.instance.data[data_index as usize] {
                    self.drop_segment(self.input.layout.data_lengths[data].offset);
                }
            }
            _ => return false,
        }
        true
    }

    fn memory_copy(&mut self, dst_memory: MemoryId, src_memory: MemoryId) {
        let (dst, src, len) = self.pop3();
        if let Some(chunks) = self.in_place(&[dst_memory, src_memory], len) {
            let load = |&(ty, at): &(Type, u64)| {
                let Place { address, offset, flags } = self.unchecked_place(src_memory, at, src);
                self.ins().load(ty, flags, address, offset)
            };
            let values: SmallVec<[Value; 8]> = chunks.iter().map(load).collect();
            return self.store_chunks(dst_memory, dst, &chunks, |_, chunk| values[chunk]);
        }
        let [dst, src, len] = [dst, src, len].map(|operand| self.zero_extended(operand));
        let dst_memory = self.memory_number(dst_memory);
        let src_memory = self.memory_number(src_memory);
        self.call_builtin(Builtin::MemoryCopy, &[dst_memory, src_memory, dst, src, len]);
    }

    fn memory_fill(&mut self, memory: MemoryId) {
        let (dst, value, len) = self.pop3();
        if let Some(chunks) = self.in_place(&[memory], len) {
            return self.store_chunks(memory, dst, &chunks, |this, chunk| {
                this.repeated(value, chunks[chunk].0)
            });
        }
        let [dst, len] = [dst, len].map(|operand| self.zero_extended(operand));
        let number = self.memory_number(memory);
        self.call_builtin(Builtin::MemoryFill, &[number, dst, value, len]);
    }

    /// The chunks of an operation on `memories` of length `len`, when it is to be done in place.
    fn in_place(&self, memories: &[MemoryId], len: Value) -> Option<SmallVec<[(Type, u64); 8]>> {
        let len = self.known_integer(len).filter(|len| (1..=MAX_IN_PLACE).contains(len))?;
        let layouts = &self.input.layout.memories;
        let unchecked = memories.iter().all(|&id| !layouts[id].needs_check(0, len as u32));
        unchecked.then(|| chunks(len))
    }

    /// Stores a value for each chunk at `dst`, the last chunk first.
    fn store_chunks(
        &mut self,
        memory: MemoryId,
        dst: Value,
        chunks: &[(Type, u64)],
        mut value: impl FnMut(&mut Self, usize) -> Value,
    ) {
        for (chunk, &(_, at)) in chunks.iter().enumerate().rev() {
            let value = value(self, chunk);
            let Place { address, offset, flags } = self.unchecked_place(memory, at, dst);
            self.ins().store(flags, value, address, offset);
        }
    }

    /// A value of type `ty` of which every byte is the low byte of `value`.
    fn repeated(&mut self, value: Value, ty: Type) -> Value {
        const ONES: u64 = 0x0101_0101_0101_0101;
        if ty == I8X16 {
            let byte = self.ins().ireduce(I8, value);
            return self.ins().splat(I8X16, byte);
        }
        if let Some(value) = self.known_integer(value) {
            let bytes = ((value & 0xff) * ONES) & (u64::MAX >> (64 - ty.bits()));
            return self.iconst(ty, bytes as i64);
        }
        let byte = self.ins().band_imm_u(value, 0xff);
        let byte = self.zero_extended(byte);
        let bytes = self.ins().imul_imm_u(byte, ONES as i64);
        if ty == I64 {
            bytes
        } else {
            self.ins().ireduce(ty, bytes)
        }
    }

    fn memory_init(&mut self, data: u32, memory: MemoryId) {
        let (dst, src, len) = self.pop3();
        let dst = self.zero_extended(dst);
        let Some(data) = self.instance.data[data as usize] else {
            let bound = self.memory_bytes(memory);
            return self.init_from_nothing(dst, src, len, bound, Trap::MemoryOutOfBounds);
        };
        let number = self.memory_number(memory);
        let data = self.iconst(I32, i64::from(data.as_u32()));
        self.call_builtin(Builtin::MemoryInit, &[number, data, dst, src, len]);
    }

    /// `memory.init` or `table.init` from a segment that is dropped from the start: only zero elements at its place 0 can
    /// be copied, to a place within `bound`.
    pub(super) fn init_from_nothing(&mut self, dst: Value, src: Value, len: Value, bound: Value, trap: Trap) {
        let any = self.ins().bor(src, len);
        self.ins().trapnz(any, trap_code(trap));
        let outside = self.ins().icmp(IntCC::UnsignedGreaterThan, dst, bound);
        self.ins().trapnz(outside, trap_code(trap));
    }

    /// Sets the length of a segment, which is at `offset` from `ctx`, to zero.
    pub(super) fn drop_segment(&mut self, offset: i32) {
        let flags = self.trusted(Region::Sizes);
        let zero = self.iconst(I32, 0);
        let ctx = self.ctx;
        self.ins().store(flags, zero, ctx, offset);
    }
}

/// `len` bytes in chunks of one type, each with the offset of its first byte. The last chunk may overlap the one before.
fn chunks(len: u64) -> SmallVec<[(Type, u64); 8]> {
    let ty = match len {
        16.. => I8X16,
        8.. => I64,
        4.. => I32,
        2.. => I16,
        _ => I8,
    };
    let size = u64::from(ty.bytes());
    (0..len.div_ceil(size))
        .map(|chunk| (ty, (chunk * size).min(len - size)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_byte_and_no_other() {
        for len in 1..=MAX_IN_PLACE {
            let chunks = chunks(len);
            let covered = |byte| {
                chunks
                    .iter()
                    .any(|&(ty, at)| (at..at + u64::from(ty.bytes())).contains(&byte))
            };
            assert!((0..len).all(covered) && !covered(len), "{len}: {chunks:?}");
            assert!(chunks.len() <= 8, "{len}");
        }
    }
}
