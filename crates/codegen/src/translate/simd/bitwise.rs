//! Logic on all 128 bits, shifts of lanes, and tests of all lanes.

use super::VECTOR;
use crate::translate::Translator;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use types::{I8X16, I16X8, I32, I32X4, I64X2};
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn bitwise_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::V128Not => self.lanewise(VECTOR, |ins, a| ins.bnot(a)),
            Operator::V128And => self.lanewise2(VECTOR, |ins, a, b| ins.band(a, b)),
            Operator::V128AndNot => self.lanewise2(VECTOR, |ins, a, b| ins.band_not(a, b)),
            Operator::V128Or => self.lanewise2(VECTOR, |ins, a, b| ins.bor(a, b)),
            Operator::V128Xor => self.lanewise2(VECTOR, |ins, a, b| ins.bxor(a, b)),
            Operator::V128Bitselect => {
                let (ones, zeros, mask) = self.pop3();
                let vector = self.ins().bitselect(mask, ones, zeros);
                self.push(vector);
            }
            Operator::V128AnyTrue => {
                let vector = self.pop();
                let flag = self.ins().vany_true(vector);
                self.push_flag(flag);
            }
            Operator::I8x16AllTrue => self.all_true(I8X16),
            Operator::I16x8AllTrue => self.all_true(I16X8),
            Operator::I32x4AllTrue => self.all_true(I32X4),
            Operator::I64x2AllTrue => self.all_true(I64X2),
            Operator::I8x16Bitmask => self.bitmask(I8X16),
            Operator::I16x8Bitmask => self.bitmask(I16X8),
            Operator::I32x4Bitmask => self.bitmask(I32X4),
            Operator::I64x2Bitmask => self.bitmask(I64X2),
            Operator::I8x16Shl => self.shift(I8X16, |ins, a, count| ins.ishl(a, count)),
            Operator::I16x8Shl => self.shift(I16X8, |ins, a, count| ins.ishl(a, count)),
            Operator::I32x4Shl => self.shift(I32X4, |ins, a, count| ins.ishl(a, count)),
            Operator::I64x2Shl => self.shift(I64X2, |ins, a, count| ins.ishl(a, count)),
            Operator::I8x16ShrS => self.shift(I8X16, |ins, a, count| ins.sshr(a, count)),
            Operator::I16x8ShrS => self.shift(I16X8, |ins, a, count| ins.sshr(a, count)),
            Operator::I32x4ShrS => self.shift(I32X4, |ins, a, count| ins.sshr(a, count)),
            Operator::I64x2ShrS => self.shift(I64X2, |ins, a, count| ins.sshr(a, count)),
            Operator::I8x16ShrU => self.shift(I8X16, |ins, a, count| ins.ushr(a, count)),
            Operator::I16x8ShrU => self.shift(I16X8, |ins, a, count| ins.ushr(a, count)),
            Operator::I32x4ShrU => self.shift(I32X4, |ins, a, count| ins.ushr(a, count)),
            Operator::I64x2ShrU => self.shift(I64X2, |ins, a, count| ins.ushr(a, count)),
            _ => return false,
        }
        true
    }

    /// Shifts each lane by a scalar count. CLIF takes the count modulo the width of a lane, as
    /// WebAssembly does.
    fn shift(
        &mut self,
        lanes: Type,
        emit: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
    ) {
        let count = self.pop();
        self.lanewise(lanes, |ins, a| emit(ins, a, count));
    }

    fn all_true(&mut self, lanes: Type) {
        let vector = self.pop_lanes(lanes);
        let flag = self.ins().vall_true(vector);
        self.push_flag(flag);
    }

    fn bitmask(&mut self, lanes: Type) {
        let vector = self.pop_lanes(lanes);
        let mask = self.ins().vhigh_bits(I32, vector);
        self.push(mask);
    }
}
