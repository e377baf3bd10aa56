//! Arithmetic on integer lanes: each operator is one CLIF instruction.

use crate::translate::Translator;
use cranelift_codegen::ir::{InstBuilder, types};
use types::{I8X16, I16X8, I32X4, I64X2};
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn vector_integer_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::I8x16Abs => self.lanewise(I8X16, |ins, a| ins.iabs(a)),
            Operator::I16x8Abs => self.lanewise(I16X8, |ins, a| ins.iabs(a)),
            Operator::I32x4Abs => self.lanewise(I32X4, |ins, a| ins.iabs(a)),
            Operator::I64x2Abs => self.lanewise(I64X2, |ins, a| ins.iabs(a)),
            Operator::I8x16Neg => self.lanewise(I8X16, |ins, a| ins.ineg(a)),
            Operator::I16x8Neg => self.lanewise(I16X8, |ins, a| ins.ineg(a)),
            Operator::I32x4Neg => self.lanewise(I32X4, |ins, a| ins.ineg(a)),
            Operator::I64x2Neg => self.lanewise(I64X2, |ins, a| ins.ineg(a)),
            Operator::I8x16Popcnt => self.lanewise(I8X16, |ins, a| ins.popcnt(a)),
            Operator::I8x16Add => self.lanewise2(I8X16, |ins, a, b| ins.iadd(a, b)),
            Operator::I16x8Add => self.lanewise2(I16X8, |ins, a, b| ins.iadd(a, b)),
            Operator::I32x4Add => self.lanewise2(I32X4, |ins, a, b| ins.iadd(a, b)),
            Operator::I64x2Add => self.lanewise2(I64X2, |ins, a, b| ins.iadd(a, b)),
            Operator::I8x16Sub => self.lanewise2(I8X16, |ins, a, b| ins.isub(a, b)),
            Operator::I16x8Sub => self.lanewise2(I16X8, |ins, a, b| ins.isub(a, b)),
            Operator::I32x4Sub => self.lanewise2(I32X4, |ins, a, b| ins.isub(a, b)),
            Operator::I64x2Sub => self.lanewise2(I64X2, |ins, a, b| ins.isub(a, b)),
            Operator::I16x8Mul => self.lanewise2(I16X8, |ins, a, b| ins.imul(a, b)),
            Operator::I32x4Mul => self.lanewise2(I32X4, |ins, a, b| ins.imul(a, b)),
            Operator::I64x2Mul => self.lanewise2(I64X2, |ins, a, b| ins.imul(a, b)),
            Operator::I8x16AddSatS => self.lanewise2(I8X16, |ins, a, b| ins.sadd_sat(a, b)),
            Operator::I16x8AddSatS => self.lanewise2(I16X8, |ins, a, b| ins.sadd_sat(a, b)),
            Operator::I8x16AddSatU => self.lanewise2(I8X16, |ins, a, b| ins.uadd_sat(a, b)),
            Operator::I16x8AddSatU => self.lanewise2(I16X8, |ins, a, b| ins.uadd_sat(a, b)),
            Operator::I8x16SubSatS => self.lanewise2(I8X16, |ins, a, b| ins.ssub_sat(a, b)),
            Operator::I16x8SubSatS => self.lanewise2(I16X8, |ins, a, b| ins.ssub_sat(a, b)),
            Operator::I8x16SubSatU => self.lanewise2(I8X16, |ins, a, b| ins.usub_sat(a, b)),
            Operator::I16x8SubSatU => self.lanewise2(I16X8, |ins, a, b| ins.usub_sat(a, b)),
            Operator::I8x16MinS => self.lanewise2(I8X16, |ins, a, b| ins.smin(a, b)),
            Operator::I16x8MinS => self.lanewise2(I16X8, |ins, a, b| ins.smin(a, b)),
            Operator::I32x4MinS => self.lanewise2(I32X4, |ins, a, b| ins.smin(a, b)),
            Operator::I8x16MinU => self.lanewise2(I8X16, |ins, a, b| ins.umin(a, b)),
            Operator::I16x8MinU => self.lanewise2(I16X8, |ins, a, b| ins.umin(a, b)),
            Operator::I32x4MinU => self.lanewise2(I32X4, |ins, a, b| ins.umin(a, b)),
            Operator::I8x16MaxS => self.lanewise2(I8X16, |ins, a, b| ins.smax(a, b)),
            Operator::I16x8MaxS => self.lanewise2(I16X8, |ins, a, b| ins.smax(a, b)),
            Operator::I32x4MaxS => self.lanewise2(I32X4, |ins, a, b| ins.smax(a, b)),
            Operator::I8x16MaxU => self.lanewise2(I8X16, |ins, a, b| ins.umax(a, b)),
            Operator::I16x8MaxU => self.lanewise2(I16X8, |ins, a, b| ins.umax(a, b)),
            Operator::I32x4MaxU => self.lanewise2(I32X4, |ins, a, b| ins.umax(a, b)),
            Operator::I8x16AvgrU => self.lanewise2(I8X16, |ins, a, b| ins.avg_round(a, b)),
            Operator::I16x8AvgrU => self.lanewise2(I16X8, |ins, a, b| ins.avg_round(a, b)),
            Operator::I16x8Q15MulrSatS => {
                self.lanewise2(I16X8, |ins, a, b| ins.sqmul_round_sat(a, b))
            }
            _ => return false,
        }
        true
    }
}
