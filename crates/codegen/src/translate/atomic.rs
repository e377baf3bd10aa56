//! Atomic operators on memories that are not shared; shared memories are not supported.
//!
//! The code would be the same for shared memories, except for waiting, which traps, and waking,
//! which finds no one waiting. Addresses must be aligned. Atomic instructions of CLIF have no
//! displacement, so addresses are computed in full.

use super::Translator;
use super::memory::Place;
use crate::emit::trap_code;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, MemFlagsData, Type, Value};
use mintage_environ::Trap;
use wasmparser::{MemArg, Operator};

impl<'a> Translator<'a, '_> {
    pub(super) fn atomic_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::AtomicFence { .. } => {
                self.ins().fence();
            }
            Operator::MemoryAtomicNotify { memarg } => self.notify(memarg),
            Operator::MemoryAtomicWait32 { .. } | Operator::MemoryAtomicWait64 { .. } => {
                self.pop3();
                self.trap(trap_code(Trap::AtomicWaitNonSharedMemory));
            }
            Operator::I32AtomicLoad { memarg } => self.atomic_load(memarg, I32, I32),
            Operator::I64AtomicLoad { memarg } => self.atomic_load(memarg, I64, I64),
            Operator::I32AtomicLoad8U { memarg } => self.atomic_load(memarg, I8, I32),
            Operator::I32AtomicLoad16U { memarg } => self.atomic_load(memarg, I16, I32),
            Operator::I64AtomicLoad8U { memarg } => self.atomic_load(memarg, I8, I64),
            Operator::I64AtomicLoad16U { memarg } => self.atomic_load(memarg, I16, I64),
            Operator::I64AtomicLoad32U { memarg } => self.atomic_load(memarg, I32, I64),
            Operator::I32AtomicStore { memarg } => self.atomic_store(memarg, I32),
            Operator::I64AtomicStore { memarg } => self.atomic_store(memarg, I64),
            Operator::I32AtomicStore8 { memarg } | Operator::I64AtomicStore8 { memarg } => {
                self.atomic_store(memarg, I8);
            }
            Operator::I32AtomicStore16 { memarg } | Operator::I64AtomicStore16 { memarg } => {
                self.atomic_store(memarg, I16);
            }
            Operator::I64AtomicStore32 { memarg } => self.atomic_store(memarg, I32),
            Operator::I32AtomicRmwCmpxchg { memarg } => {
                self.atomic_compare_exchange(memarg, I32, I32)
            }
            Operator::I64AtomicRmwCmpxchg { memarg } => {
                self.atomic_compare_exchange(memarg, I64, I64)
            }
            Operator::I32AtomicRmw8CmpxchgU { memarg } => {
                self.atomic_compare_exchange(memarg, I8, I32)
            }
            Operator::I32AtomicRmw16CmpxchgU { memarg } => {
                self.atomic_compare_exchange(memarg, I16, I32)
            }
            Operator::I64AtomicRmw8CmpxchgU { memarg } => {
                self.atomic_compare_exchange(memarg, I8, I64)
            }
            Operator::I64AtomicRmw16CmpxchgU { memarg } => {
                self.atomic_compare_exchange(memarg, I16, I64)
            }
            Operator::I64AtomicRmw32CmpxchgU { memarg } => {
                self.atomic_compare_exchange(memarg, I32, I64)
            }
            _ => return self.atomic_update_operator(operator),
        }
        true
    }

    fn atomic_update_operator(&mut self, operator: &Operator<'a>) -> bool {
        use AtomicRmwOp::{Add, And, Or, Sub, Xchg, Xor};
        match operator {
            Operator::I32AtomicRmwAdd { memarg } => self.atomic_update(memarg, I32, I32, Add),
            Operator::I64AtomicRmwAdd { memarg } => self.atomic_update(memarg, I64, I64, Add),
            Operator::I32AtomicRmw8AddU { memarg } => self.atomic_update(memarg, I8, I32, Add),
            Operator::I32AtomicRmw16AddU { memarg } => self.atomic_update(memarg, I16, I32, Add),
            Operator::I64AtomicRmw8AddU { memarg } => self.atomic_update(memarg, I8, I64, Add),
            Operator::I64AtomicRmw16AddU { memarg } => self.atomic_update(memarg, I16, I64, Add),
            Operator::I64AtomicRmw32AddU { memarg } => self.atomic_update(memarg, I32, I64, Add),
            Operator::I32AtomicRmwSub { memarg } => self.atomic_update(memarg, I32, I32, Sub),
            Operator::I64AtomicRmwSub { memarg } => self.atomic_update(memarg, I64, I64, Sub),
            Operator::I32AtomicRmw8SubU { memarg } => self.atomic_update(memarg, I8, I32, Sub),
            Operator::I32AtomicRmw16SubU { memarg } => self.atomic_update(memarg, I16, I32, Sub),
            Operator::I64AtomicRmw8SubU { memarg } => self.atomic_update(memarg, I8, I64, Sub),
            Operator::I64AtomicRmw16SubU { memarg } => self.atomic_update(memarg, I16, I64, Sub),
            Operator::I64AtomicRmw32SubU { memarg } => self.atomic_update(memarg, I32, I64, Sub),
            Operator::I32AtomicRmwAnd { memarg } => self.atomic_update(memarg, I32, I32, And),
            Operator::I64AtomicRmwAnd { memarg } => self.atomic_update(memarg, I64, I64, And),
            Operator::I32AtomicRmw8AndU { memarg } => self.atomic_update(memarg, I8, I32, And),
            Operator::I32AtomicRmw16AndU { memarg } => self.atomic_update(memarg, I16, I32, And),
            Operator::I64AtomicRmw8AndU { memarg } => self.atomic_update(memarg, I8, I64, And),
            Operator::I64AtomicRmw16AndU { memarg } => self.atomic_update(memarg, I16, I64, And),
            Operator::I64AtomicRmw32AndU { memarg } => self.atomic_update(memarg, I32, I64, And),
            Operator::I32AtomicRmwOr { memarg } => self.atomic_update(memarg, I32, I32, Or),
            Operator::I64AtomicRmwOr { memarg } => self.atomic_update(memarg, I64, I64, Or),
            Operator::I32AtomicRmw8OrU { memarg } => self.atomic_update(memarg, I8, I32, Or),
            Operator::I32AtomicRmw16OrU { memarg } => self.atomic_update(memarg, I16, I32, Or),
            Operator::I64AtomicRmw8OrU { memarg } => self.atomic_update(memarg, I8, I64, Or),
            Operator::I64AtomicRmw16OrU { memarg } => self.atomic_update(memarg, I16, I64, Or),
            Operator::I64AtomicRmw32OrU { memarg } => self.atomic_update(memarg, I32, I64, Or),
            Operator::I32AtomicRmwXor { memarg } => self.atomic_update(memarg, I32, I32, Xor),
            Operator::I64AtomicRmwXor { memarg } => self.atomic_update(memarg, I64, I64, Xor),
            Operator::I32AtomicRmw8XorU { memarg } => self.atomic_update(memarg, I8, I32, Xor),
            Operator::I32AtomicRmw16XorU { memarg } => self.atomic_update(memarg, I16, I32, Xor),
            Operator::I64AtomicRmw8XorU { memarg } => self.atomic_update(memarg, I8, I64, Xor),
            Operator::I64AtomicRmw16XorU { memarg } => self.atomic_update(memarg, I16, I64, Xor),
            Operator::I64AtomicRmw32XorU { memarg } => self.atomic_update(memarg, I32, I64, Xor),
            Operator::I32AtomicRmwXchg { memarg } => self.atomic_update(memarg, I32, I32, Xchg),
            Operator::I64AtomicRmwXchg { memarg } => self.atomic_update(memarg, I64, I64, Xchg),
            Operator::I32AtomicRmw8XchgU { memarg } => self.atomic_update(memarg, I8, I32, Xchg),
            Operator::I32AtomicRmw16XchgU { memarg } => self.atomic_update(memarg, I16, I32, Xchg),
            Operator::I64AtomicRmw8XchgU { memarg } => self.atomic_update(memarg, I8, I64, Xchg),
            Operator::I64AtomicRmw16XchgU { memarg } => self.atomic_update(memarg, I16, I64, Xchg),
            Operator::I64AtomicRmw32XchgU { memarg } => self.atomic_update(memarg, I32, I64, Xchg),
            _ => return false,
        }
        true
    }

    /// Wakes no one, because no one waits; but the address must be that of an `i32`.
    fn notify(&mut self, memarg: &MemArg) {
        let (index, _count) = self.pop2();
        if let Some((address, flags)) = self.atomic_place(memarg, index, I32) {
            self.ins().load(I32, flags, address, 0);
            self.push_integer(I32, 0);
        }
    }

    fn atomic_load(&mut self, memarg: &MemArg, stored: Type, ty: Type) {
        let index = self.pop();
        if let Some((address, flags)) = self.atomic_place(memarg, index, stored) {
            let value = self.ins().atomic_load(stored, flags, address);
            self.push_extended(value, ty);
        }
    }

    fn atomic_store(&mut self, memarg: &MemArg, stored: Type) {
        let (index, value) = self.pop2();
        let value = self.narrowed(value, stored);
        if let Some((address, flags)) = self.atomic_place(memarg, index, stored) {
            self.ins().atomic_store(flags, value, address);
        }
    }

    fn atomic_update(&mut self, memarg: &MemArg, stored: Type, ty: Type, operation: AtomicRmwOp) {
        let (index, value) = self.pop2();
        let value = self.narrowed(value, stored);
        if let Some((address, flags)) = self.atomic_place(memarg, index, stored) {
            let old = self
                .ins()
                .atomic_rmw(stored, flags, operation, address, value);
            self.push_extended(old, ty);
        }
    }

    /// Compares as many bits as are in memory. The other bits of the expected value do not count.
    fn atomic_compare_exchange(&mut self, memarg: &MemArg, stored: Type, ty: Type) {
        let (index, expected, value) = self.pop3();
        let [expected, value] = [expected, value].map(|operand| self.narrowed(operand, stored));
        if let Some((address, flags)) = self.atomic_place(memarg, index, stored) {
            let old = self.ins().atomic_cas(flags, address, expected, value);
            self.push_extended(old, ty);
        }
    }

    /// Returns the address and flags of an access to a value of type `stored`, after a check of its
    /// alignment. `None` if the access always traps.
    fn atomic_place(
        &mut self,
        memarg: &MemArg,
        index: Value,
        stored: Type,
    ) -> Option<(Value, MemFlagsData)> {
        let low_bits = i64::from(stored.bytes() - 1);
        if low_bits != 0 {
            // Memories are aligned to more than that, so only the low bits of index and offset
            // matter.
            let low_offset = memarg.offset as i64 & low_bits;
            let low = match low_offset {
                0 => index,
                _ => self.ins().iadd_imm_u(index, low_offset),
            };
            let rest = self.ins().band_imm_u(low, low_bits);
            self.ins().trapnz(rest, trap_code(Trap::HeapMisaligned));
        }
        let Place {
            address,
            offset,
            flags,
        } = self.place(memarg, index, stored)?;
        Some((self.displace(address, offset), flags))
    }

    fn narrowed(&mut self, value: Value, stored: Type) -> Value {
        if self.type_of(value) == stored {
            value
        } else {
            self.ins().ireduce(stored, value)
        }
    }

    fn push_extended(&mut self, value: Value, ty: Type) {
        let value = match self.type_of(value) == ty {
            true => value,
            false => self.ins().uextend(ty, value),
        };
        self.push(value);
    }
}
