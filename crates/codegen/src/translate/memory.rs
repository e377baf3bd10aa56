//! Memories: loads, stores, size and growth.
//!
//! An access is `[ctx + offset of the memory + zero-extended index + static offset]`. If
//! reservation and guard reach far enough, a page fault is the bounds check. Otherwise the index is
//! compared with the current size, and a conditional move that does not speculate replaces the
//! address of an access out of bounds by null, which faults like a guard page.
//!
//! A store that is out of bounds in part must not write the rest. On processors where a page fault
//! does not ensure that, a load of the last byte comes first.

use super::Translator;
use crate::abi::POINTER;
use crate::emit::Region;
use crate::isa;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    InstBuilder, InstructionData, MemFlagsData, Opcode, TrapCode, Type, Value, ValueDef, types,
};
use mintage_environ::layout::MemoryLayout;
use mintage_environ::{Builtin, MemoryId};
use types::{F32, F64, I8, I16, I32, I64};
use wasmparser::{MemArg, MemArgTarget, Operator};

/// The place of an access: base, displacement and flags of a CLIF load or store.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub address: Value,
    pub offset: i32,
    pub flags: MemFlagsData,
}

/// The way in which bytes in memory become a value.
#[derive(Clone, Copy)]
enum Widen {
    Not,
    Sign,
    Zero,
}

impl<'a> Translator<'a, '_> {
    /// Translates loads and stores.
    pub(super) fn access_operator(&mut self, operator: &Operator<'a>) -> bool {
        use Widen::{Not, Sign, Zero};
        match operator {
            Operator::I32Load { memarg } => self.load(memarg, I32, I32, Not),
            Operator::I64Load { memarg } => self.load(memarg, I64, I64, Not),
            Operator::F32Load { memarg } => self.load(memarg, F32, F32, Not),
            Operator::F64Load { memarg } => self.load(memarg, F64, F64, Not),
            Operator::I32Load8S { memarg } => self.load(memarg, I8, I32, Sign),
            Operator::I32Load8U { memarg } => self.load(memarg, I8, I32, Zero),
            Operator::I32Load16S { memarg } => self.load(memarg, I16, I32, Sign),
            Operator::I32Load16U { memarg } => self.load(memarg, I16, I32, Zero),
            Operator::I64Load8S { memarg } => self.load(memarg, I8, I64, Sign),
            Operator::I64Load8U { memarg } => self.load(memarg, I8, I64, Zero),
            Operator::I64Load16S { memarg } => self.load(memarg, I16, I64, Sign),
            Operator::I64Load16U { memarg } => self.load(memarg, I16, I64, Zero),
            Operator::I64Load32S { memarg } => self.load(memarg, I32, I64, Sign),
            Operator::I64Load32U { memarg } => self.load(memarg, I32, I64, Zero),
            Operator::I32Store { memarg } => self.store(memarg, I32),
            Operator::I64Store { memarg } => self.store(memarg, I64),
            Operator::F32Store { memarg } => self.store(memarg, F32),
            Operator::F64Store { memarg } => self.store(memarg, F64),
            Operator::I32Store8 { memarg } | Operator::I64Store8 { memarg } => {
                self.store(memarg, I8)
            }
            Operator::I32Store16 { memarg } | Operator::I64Store16 { memarg } => {
                self.store(memarg, I16)
            }
            Operator::I64Store32 { memarg } => self.store(memarg, I32),
            _ => return false,
        }
        true
    }

    /// Translates `memory.size` and `memory.grow`.
    pub(super) fn memory_operator(&mut self, operator: &Operator<'a>) -> bool {
        match *operator {
            Operator::MemorySize { mem } => {
                let id = self.memory(mem);
                let pages = self.memory_pages(id);
                self.push(pages);
            }
            Operator::MemoryGrow { mem } => self.memory_grow(mem),
            _ => return false,
        }
        true
    }

    pub(super) fn memory(&self, index: u32) -> MemoryId {
        self.instance.memories[index as usize]
    }

    /// Returns the number of a memory, as builtins take it.
    pub(super) fn memory_number(&mut self, id: MemoryId) -> Value {
        self.iconst(I32, i64::from(id.as_u32()))
    }

    /// Loads a value whose type is the one in memory.
    pub(super) fn load_from(&mut self, place: Place, ty: Type) -> Value {
        let (address, offset) = (place.address, place.offset);
        self.ins().load(ty, place.flags, address, offset)
    }

    /// Stores a value whose type is the one in memory.
    pub(super) fn store_to(&mut self, place: Place, value: Value) {
        let (address, offset) = (place.address, place.offset);
        self.ins().store(place.flags, value, address, offset);
    }

    fn memory_layout(&self, id: MemoryId) -> &'a MemoryLayout {
        &self.input.layout.memories[id]
    }

    fn load(&mut self, memarg: &MemArg, stored: Type, ty: Type, widen: Widen) {
        let index = self.pop();
        let Some(place) = self.place(memarg, index, stored) else {
            return;
        };
        let Place {
            address,
            offset,
            flags,
        } = place;
        let ins = self.ins();
        let value = match (widen, stored) {
            (Widen::Sign, I8) => ins.sload8(ty, flags, address, offset),
            (Widen::Sign, I16) => ins.sload16(ty, flags, address, offset),
            // Full width, because the value may become an index; see `zero_extended`.
            (Widen::Zero, I8) => ins.uload8(I64, flags, address, offset),
            (Widen::Zero, I16) => ins.uload16(I64, flags, address, offset),
            (Widen::Sign, I32) => ins.sload32(flags, address, offset),
            (Widen::Zero, I32) => ins.uload32(flags, address, offset),
            _ => ins.load(ty, flags, address, offset),
        };
        let value = match (ty, self.type_of(value)) {
            (I32, I64) => self.ins().ireduce(I32, value),
            _ => value,
        };
        self.push(value);
    }

    fn store(&mut self, memarg: &MemArg, stored: Type) {
        let (index, value) = self.pop2();
        let Some(place) = self.place_to_store(memarg, index, stored) else {
            return;
        };
        let Place {
            address,
            offset,
            flags,
        } = place;
        let whole = self.type_of(value) == stored;
        let ins = self.ins();
        match stored {
            I8 => ins.istore8(flags, value, address, offset),
            I16 => ins.istore16(flags, value, address, offset),
            I32 if !whole => ins.istore32(flags, value, address, offset),
            _ => ins.store(flags, value, address, offset),
        };
    }

    /// Returns the place of an access to a value of type `stored`. `None` if the access always
    /// traps.
    pub(super) fn place(&mut self, memarg: &MemArg, index: Value, stored: Type) -> Option<Place> {
        let MemArgTarget::Memory(memory) = memarg.target else {
            unreachable!("no validated feature has other targets of accesses")
        };
        let id = self.memory(memory);
        if self
            .memory_layout(id)
            .needs_check(memarg.offset, stored.bytes())
        {
            let (address, offset) =
                self.checked_place(id, memarg.offset, index, u64::from(stored.bytes()))?;
            let flags = self.memory_flags(id);
            Some(Place {
                address,
                offset,
                flags,
            })
        } else {
            Some(self.unchecked_place(id, memarg.offset, index))
        }
    }

    /// Returns the place of a store of a value of type `stored`. `None` if it always traps.
    ///
    /// A store out of bounds must not change anything. If the page fault is the bounds check, and
    /// the store may have written its first part by then, this loads the last byte before.
    pub(super) fn place_to_store(
        &mut self,
        memarg: &MemArg,
        index: Value,
        stored: Type,
    ) -> Option<Place> {
        let place = self.place(memarg, index, stored)?;
        let MemArgTarget::Memory(memory) = memarg.target else {
            unreachable!("no validated feature has other targets of accesses")
        };
        let id = self.memory(memory);
        if !self
            .memory_layout(id)
            .needs_check(memarg.offset, stored.bytes())
        {
            let start = self.known_integer(index).map(|index| index + memarg.offset);
            self.probe_end(id, place, start, stored.bytes());
        }
        Some(place)
    }

    /// Loads the last of `len` bytes that are about to be stored at a place without a check, if the
    /// first bytes could be written although the last ones are out of bounds. `start` is their
    /// index, if it is known.
    pub(super) fn probe_end(&mut self, id: MemoryId, place: Place, start: Option<u64>, len: u32) {
        let minimum = self.memory_layout(id).minimum;
        let exists = start.is_some_and(|start| start + u64::from(len) <= minimum);
        if len == 1 || exists || isa::stores_are_whole(&**self.input.isa) {
            return;
        }
        let last = len as i32 - 1;
        let (address, offset) = match place.offset.checked_add(last) {
            Some(offset) => (place.address, offset),
            None => (self.displace(place.address, place.offset), last),
        };
        // An access that may trap stays, although no one uses its result.
        self.ins().load(I8, place.flags, address, offset);
    }

    /// Returns the place of an access that needs no check, whatever the index is.
    pub(super) fn unchecked_place(&mut self, id: MemoryId, offset: u64, index: Value) -> Place {
        let base = self.memory_layout(id).offset;
        // Both the static offset and a constant index become part of the displacement if they fit.
        let (address, offset) = match self.known_integer(index) {
            Some(index) => self.displaced(None, base, offset + index),
            None => {
                let index = self.zero_extended(index);
                self.displaced(Some(index), base, offset)
            }
        };
        let flags = self.memory_flags(id);
        Place {
            address,
            offset,
            flags,
        }
    }

    /// Returns flags of an access to guest data. It may be misaligned, and traps where it is out of
    /// bounds.
    fn memory_flags(&mut self, id: MemoryId) -> MemFlagsData {
        let region = self
            .declarations
            .region(self.builder.func, Region::Memory(id));
        MemFlagsData::new().with_alias_region(Some(region))
    }

    /// Returns `ctx + base + index + offset` as an address and a displacement.
    ///
    /// If the base does not fit in the displacement, it is added to `ctx` alone, so that all
    /// accesses share one sum.
    fn displaced(&mut self, index: Option<Value>, base: u64, offset: u64) -> (Value, i32) {
        let (mut address, displacement) =
            match (i32::try_from(base + offset), i32::try_from(offset)) {
                (Ok(displacement), _) => (self.ctx, displacement),
                (Err(_), Ok(displacement)) => (self.sum(self.ctx, base), displacement),
                (Err(_), Err(_)) => (self.sum(self.ctx, base.wrapping_add(offset)), 0),
            };
        if let Some(index) = index {
            address = self.ins().iadd(address, index);
        }
        (address, displacement)
    }

    /// Adds a displacement to an address, for an instruction that takes none.
    pub(super) fn displace(&mut self, address: Value, offset: i32) -> Value {
        self.sum(address, i64::from(offset) as u64)
    }

    fn sum(&mut self, value: Value, constant: u64) -> Value {
        if constant == 0 {
            value
        } else {
            self.ins().iadd_imm_u(value, constant as i64)
        }
    }

    /// Returns the place of an access that is compared with the size of the memory. `None` if it is
    /// out of bounds for every size.
    fn checked_place(
        &mut self,
        id: MemoryId,
        offset: u64,
        index: Value,
        size: u64,
    ) -> Option<(Value, i32)> {
        let layout = self.memory_layout(id);
        let Some(reach) = offset
            .checked_add(size)
            .filter(|&reach| reach <= layout.capacity)
        else {
            self.trap(TrapCode::HEAP_OUT_OF_BOUNDS);
            return None;
        };
        if let Some(index) = self.known_integer(index)
            && index
                .checked_add(reach)
                .is_some_and(|end| end <= layout.minimum)
        {
            return Some(self.displaced(None, layout.offset, offset + index));
        }
        let index = self.zero_extended(index);
        let end = if layout.index64 {
            let reach = self.iconst(I64, reach as i64);
            self.ins()
                .uadd_overflow_trap(index, reach, TrapCode::HEAP_OUT_OF_BOUNDS)
        } else {
            // Below 2^32 + 2^32, since the reach is within the capacity of a 32-bit memory.
            self.ins().iadd_imm_u(index, reach as i64)
        };
        let bound = self.memory_bytes(id);
        let outside = self.ins().icmp(IntCC::UnsignedGreaterThan, end, bound);
        let (base, displacement) = self.displaced(Some(index), layout.offset, offset);
        let address = self.displace(base, displacement);
        let null = self.iconst(POINTER, 0);
        Some((self.ins().select_spectre_guard(outside, null, address), 0))
    }

    /// Returns the place of `len` bytes from an index on, which is null unless all of them exist.
    /// `None` if they never do.
    pub(super) fn checked_part(&mut self, id: MemoryId, index: Value, len: u64) -> Option<Place> {
        let (address, offset) = self.checked_place(id, 0, index, len)?;
        let flags = self.memory_flags(id);
        Some(Place {
            address,
            offset,
            flags,
        })
    }

    /// Returns the address of byte 0.
    pub(super) fn memory_base(&mut self, id: MemoryId) -> Value {
        self.sum(self.ctx, self.memory_layout(id).offset)
    }

    /// Returns an index as a 64-bit value.
    pub(super) fn zero_extended(&mut self, index: Value) -> Value {
        match (self.type_of(index), self.known_integer(index)) {
            (I64, _) => index,
            // Folded here, because without optimization nothing else folds it.
            (_, Some(known)) => self.iconst(I64, known as i64),
            _ => match self.loaded(index) {
                Some(wide) => wide,
                None => self.ins().uextend(I64, index),
            },
        }
    }

    /// Returns the 64-bit value that a narrow load made, if `value` is its lower half. The code
    /// generator would extend `value` once more.
    fn loaded(&self, value: Value) -> Option<Value> {
        let dfg = &self.builder.func.dfg;
        let definition = |value| match dfg.value_def(dfg.resolve_aliases(value)) {
            ValueDef::Result(inst, 0) => Some(dfg.insts[inst]),
            _ => None,
        };
        match definition(value)? {
            InstructionData::Unary {
                opcode: Opcode::Ireduce,
                arg,
            } => match definition(arg)?.opcode() {
                Opcode::Uload8 | Opcode::Uload16 | Opcode::Uload32 => Some(arg),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns a 64-bit count as a value of the index type.
    pub(super) fn as_index(&mut self, count: Value, index64: bool) -> Value {
        if index64 {
            count
        } else {
            self.ins().ireduce(I32, count)
        }
    }

    /// Loads the 64-bit word at `offset` from `ctx`, which holds the size of a memory or table.
    pub(super) fn load_size(&mut self, ty: Type, offset: i32) -> Value {
        let flags = self.trusted(Region::Sizes);
        let ctx = self.ctx;
        self.ins().load(ty, flags, ctx, offset)
    }

    /// Returns the current size in bytes.
    pub(super) fn memory_bytes(&mut self, id: MemoryId) -> Value {
        let layout = self.memory_layout(id);
        if layout.minimum == layout.capacity {
            self.iconst(I64, layout.minimum as i64)
        } else {
            self.load_size(I64, layout.size_slot)
        }
    }

    /// Returns the current size in pages, as a value of the index type.
    fn memory_pages(&mut self, id: MemoryId) -> Value {
        let layout = self.memory_layout(id);
        let bytes = self.memory_bytes(id);
        let pages = match self.known_integer(bytes) {
            Some(bytes) => self.iconst(I64, (bytes >> layout.page_size_log2) as i64),
            None => self
                .ins()
                .ushr_imm_u(bytes, i64::from(layout.page_size_log2)),
        };
        self.as_index(pages, layout.index64)
    }

    fn memory_grow(&mut self, memory: u32) {
        let delta = self.pop();
        let delta = self.zero_extended(delta);
        let id = self.memory(memory);
        let number = self.memory_number(id);
        let old = self
            .call_builtin(Builtin::MemoryGrow, &[number, delta])
            .expect("growth returns the old size");
        let old = self.as_index(old, self.memory_layout(id).index64);
        self.push(old);
    }
}
