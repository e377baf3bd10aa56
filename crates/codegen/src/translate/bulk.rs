//! Bulk operations on memories (`memory.copy`, `memory.fill`, `memory.init`, `data.drop`), and what
//! they share with those on arrays.
//!
//! Machine code computes and checks the places. Copies and fills of a short constant length are
//! done in place: all loads come before the first store, and the last chunk is stored first, so
//! that an operation whose bounds check is a page fault changes nothing before it faults. Two
//! builtins do everything else.

use super::Translator;
use super::memory::Place;
use super::simd::LANE_ORDER;
use crate::abi::POINTER;
use crate::emit::{Region, control_block, trap_code};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32, F64, I8, I8X16, I16, I32, I64, I64X2};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use mintage_environ::{Builtin, DataId, MemoryId, Trap};
use smallvec::SmallVec;
use wasmparser::Operator;

/// The length in bytes up to which an operation is done in place: eight vector registers, whose
/// code is about as long as a call of the builtin.
const MAX_IN_PLACE: u64 = 128;

/// The place of the bytes of an operation that is done in place.
pub(super) enum Part {
    /// In a memory, from an unchecked index on: accesses out of bounds fault.
    Unchecked(MemoryId, Value),
    /// From an address on. All bytes are accessible, or the address is null where an access must
    /// fault.
    Checked(Place),
}

/// Sixteen bytes, which a fill repeats.
pub(super) struct Pattern {
    /// The first eight bytes.
    pub low: Value,
    /// The last eight bytes.
    pub high: Value,
    /// The vector that the pattern was made from, if it was one.
    whole: Option<Value>,
}

/// The type and the offset of a value that is copied or filled at once.
type Chunk = (Type, u64);

impl<'a> Translator<'a, '_> {
    pub(super) fn bulk_operator(&mut self, operator: &Operator<'a>) -> bool {
        match *operator {
            Operator::MemoryCopy { dst_mem, src_mem } => {
                self.memory_copy(self.memory(dst_mem), self.memory(src_mem));
            }
            Operator::MemoryFill { mem } => self.memory_fill(self.memory(mem)),
            Operator::MemoryInit { data_index, mem } => {
                self.memory_init(data_index, self.memory(mem))
            }
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
        self.pay_length(len, 1);
        if let Some(len) = self.short_length(len, 1) {
            if let Some(src) = self.short_part(src_memory, src, len)
                && let Some(dst) = self.short_part(dst_memory, dst, len)
            {
                self.copy_in_place(&dst, &src, len);
            }
            return;
        }
        let len = self.zero_extended(len);
        let src = self.memory_part(src_memory, src, len);
        let dst = self.memory_part(dst_memory, dst, len);
        self.call_builtin(Builtin::CopyBytes, &[dst, src, len]);
    }

    fn memory_fill(&mut self, memory: MemoryId) {
        let (dst, value, len) = self.pop3();
        self.pay_length(len, 1);
        let pattern = self.pattern(value, 1);
        if let Some(len) = self.short_length(len, 1) {
            if let Some(dst) = self.short_part(memory, dst, len) {
                self.fill_in_place(&dst, &pattern, len);
            }
            return;
        }
        let len = self.zero_extended(len);
        let dst = self.memory_part(memory, dst, len);
        self.fill(dst, &pattern, len);
    }

    fn memory_init(&mut self, data: u32, memory: MemoryId) {
        let (dst, src, len) = self.pop3();
        self.pay_length(len, 1);
        let Some(data) = self.instance.data[data as usize] else {
            let dst = self.zero_extended(dst);
            let bound = self.memory_bytes(memory);
            return self.init_from_nothing(dst, src, len, bound, Trap::MemoryOutOfBounds);
        };
        let bytes = self.zero_extended(len);
        let src = self.segment_part(data, src, bytes);
        if let Some(len) = self.short_length(len, 1) {
            if let Some(dst) = self.short_part(memory, dst, len) {
                let src = Part::Checked(segment_place(src));
                self.copy_in_place(&dst, &src, len);
            }
            return;
        }
        let dst = self.memory_part(memory, dst, bytes);
        self.call_builtin(Builtin::CopyBytes, &[dst, src, bytes]);
    }

    /// Emits `memory.init` or `table.init` from a segment that was dropped from the start. Only
    /// zero elements can be copied, from place 0 to a place within `bound`.
    pub(super) fn init_from_nothing(
        &mut self,
        dst: Value,
        src: Value,
        len: Value,
        bound: Value,
        trap: Trap,
    ) {
        let any = self.ins().bor(src, len);
        self.ins().trapnz(any, trap_code(trap));
        let outside = self.ins().icmp(IntCC::UnsignedGreaterThan, dst, bound);
        self.ins().trapnz(outside, trap_code(trap));
    }

    /// Sets the length of a segment to zero. The length is at `offset` from `ctx`.
    pub(super) fn drop_segment(&mut self, offset: i32) {
        let flags = self.trusted(Region::Sizes);
        let zero = self.iconst(I32, 0);
        let ctx = self.ctx;
        self.ins().store(flags, zero, ctx, offset);
    }

    /// Returns the length in bytes of an operation on `count` items of `size` bytes, if it is done
    /// in place.
    pub(super) fn short_length(&self, count: Value, size: u32) -> Option<u64> {
        let length = self.known_integer(count)?.checked_mul(u64::from(size))?;
        (1..=MAX_IN_PLACE).contains(&length).then_some(length)
    }

    /// Returns `len` bytes of a memory to be accessed in place. `None` if the access always traps.
    fn short_part(&mut self, memory: MemoryId, start: Value, len: u64) -> Option<Part> {
        if self.input.layout.memories[memory].needs_check(0, len as u32) {
            self.checked_part(memory, start, len).map(Part::Checked)
        } else {
            Some(Part::Unchecked(memory, start))
        }
    }

    /// Returns the address of `len` bytes (64-bit) of a memory. Traps unless all of them exist.
    fn memory_part(&mut self, memory: MemoryId, start: Value, len: Value) -> Value {
        let start = self.zero_extended(start);
        let end = if self.input.layout.memories[memory].index64 {
            self.ins()
                .uadd_overflow_trap(start, len, trap_code(Trap::MemoryOutOfBounds))
        } else {
            self.ins().iadd(start, len)
        };
        let bound = self.memory_bytes(memory);
        let base = self.memory_base(memory);
        self.part_within(base, start, end, bound)
    }

    /// Returns the address of `len` bytes (64-bit) of a data segment. Traps unless all of them
    /// exist.
    pub(super) fn segment_part(&mut self, data: DataId, start: Value, len: Value) -> Value {
        let ctx = self.ctx;
        let segments = control_block::data_segments(&mut self.builder, ctx);
        let entry = data.as_u32() as i32 * POINTER.bytes() as i32;
        let base = control_block::constant_word(&mut self.builder, segments, entry);
        let flags = self.trusted(Region::Sizes);
        let length = self.input.layout.data_lengths[data].offset;
        let bound = self.ins().uload32(flags, ctx, length);
        let start = self.zero_extended(start);
        let end = self.ins().iadd(start, len);
        self.part_within(base, start, end, bound)
    }

    /// Returns the address of byte `start` after `base`. Traps unless `end` is within `bound`. The
    /// address is null in speculation past a failed check.
    fn part_within(&mut self, base: Value, start: Value, end: Value, bound: Value) -> Value {
        let outside = self.ins().icmp(IntCC::UnsignedGreaterThan, end, bound);
        self.ins()
            .trapnz(outside, trap_code(Trap::MemoryOutOfBounds));
        let address = self.ins().iadd(base, start);
        let null = self.iconst(POINTER, 0);
        self.ins().select_spectre_guard(outside, null, address)
    }

    /// Returns a pattern that repeats the low `size` bytes of `value`.
    pub(super) fn pattern(&mut self, value: Value, size: u32) -> Pattern {
        let ty = self.type_of(value);
        if ty.is_vector() {
            let halves = self.ins().bitcast(I64X2, LANE_ORDER, value);
            let [low, high] = [0, 1].map(|lane| self.ins().extractlane(halves, lane));
            let whole = Some(value);
            return Pattern { low, high, whole };
        }
        let value = match ty {
            F32 => self.ins().bitcast(I32, MemFlagsData::new(), value),
            F64 => self.ins().bitcast(I64, MemFlagsData::new(), value),
            _ => value,
        };
        // One in the lowest bit of each element of the pattern.
        let ones = u64::MAX / (u64::MAX >> (64 - 8 * size));
        let mask = u64::MAX >> (64 - 8 * size);
        let low = if let Some(value) = self.known_integer(value) {
            self.iconst(I64, ((value & mask) * ones) as i64)
        } else {
            let mut low = self.zero_extended(value);
            if self.type_of(value).bytes() > size {
                low = self.ins().band_imm_u(low, mask as i64);
            }
            match ones {
                1 => low,
                _ => self.ins().imul_imm_u(low, ones as i64),
            }
        };
        Pattern {
            low,
            high: low,
            whole: None,
        }
    }

    /// Returns the pattern of zeros.
    pub(super) fn zeros(&mut self) -> Pattern {
        let low = self.iconst(I64, 0);
        Pattern {
            low,
            high: low,
            whole: None,
        }
    }

    /// Fills `len` bytes (64-bit) from a checked address on. The length is a multiple of what the
    /// pattern repeats.
    pub(super) fn fill(&mut self, dst: Value, pattern: &Pattern, len: Value) {
        self.call_builtin(Builtin::FillBytes, &[dst, pattern.low, pattern.high, len]);
    }

    /// Fills bytes in place.
    pub(super) fn fill_in_place(&mut self, dst: &Part, pattern: &Pattern, len: u64) {
        let chunks = chunks(len);
        let value = match chunks[0].0 {
            I8X16 => self.whole(pattern),
            I64 => pattern.low,
            ty => match self.known_integer(pattern.low) {
                Some(bytes) => self.iconst(ty, (bytes & (u64::MAX >> (64 - ty.bits()))) as i64),
                None => self.ins().ireduce(ty, pattern.low),
            },
        };
        self.store_chunks(dst, &chunks, |_| value);
    }

    /// Returns a pattern as a vector.
    fn whole(&mut self, pattern: &Pattern) -> Value {
        match (pattern.whole, self.known_integer(pattern.low)) {
            (Some(whole), _) => whole,
            // In all other patterns the halves are the same.
            (None, Some(half)) => self.vector_constant(u128::from(half) << 64 | u128::from(half)),
            (None, None) => self.ins().splat(I64X2, pattern.low),
        }
    }

    /// Copies `len` bytes in place, at most [`MAX_IN_PLACE`].
    pub(super) fn copy_in_place(&mut self, dst: &Part, src: &Part, len: u64) {
        let chunks = chunks(len);
        let load = |&(ty, at): &Chunk| {
            let Place {
                address,
                offset,
                flags,
            } = self.place_in(src, at);
            self.ins().load(ty, flags, address, offset)
        };
        let values: SmallVec<[Value; 8]> = chunks.iter().map(load).collect();
        self.store_chunks(dst, &chunks, |chunk| values[chunk]);
    }

    /// Stores the value of each chunk, the last chunk first: if it is out of bounds, no other chunk
    /// is stored.
    fn store_chunks(&mut self, dst: &Part, chunks: &[Chunk], value: impl Fn(usize) -> Value) {
        if let (&Part::Unchecked(memory, start), Some(&(ty, at))) = (dst, chunks.last()) {
            let place = self.place_in(dst, at);
            let start = self.known_integer(start).map(|start| start + at);
            self.probe_end(memory, place, start, ty.bytes());
        }
        for (chunk, &(_, at)) in chunks.iter().enumerate().rev() {
            let Place {
                address,
                offset,
                flags,
            } = self.place_in(dst, at);
            self.ins().store(flags, value(chunk), address, offset);
        }
    }

    fn place_in(&mut self, part: &Part, at: u64) -> Place {
        match *part {
            Part::Unchecked(memory, start) => self.unchecked_place(memory, at, start),
            // The sum is within 32 bits: heaps lie below `ctx`, and other places have no
            // displacement.
            Part::Checked(Place {
                address,
                offset,
                flags,
            }) => Place {
                address,
                offset: offset + at as i32,
                flags,
            },
        }
    }
}

/// Returns the place of bytes of a data segment.
pub(super) fn segment_place(address: Value) -> Place {
    Place {
        address,
        offset: 0,
        flags: MemFlagsData::new().with_notrap().with_readonly(),
    }
}

/// `len` bytes in chunks of one type, each with the offset of its first byte. The last chunk may
/// overlap the one before.
fn chunks(len: u64) -> SmallVec<[Chunk; 8]> {
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
