//! Conversions between lane types and widths, and arithmetic whose result has wider lanes.

use crate::translate::Translator;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use wasmparser::Operator;

/// Widens half of the lanes of a vector.
pub(super) type Widen = fn(FuncInstBuilder<'_, '_>, Value) -> Value;

pub(super) const LOW_S: Widen = |ins, a| ins.swiden_low(a);
const LOW_U: Widen = |ins, a| ins.uwiden_low(a);
pub(super) const HIGH_S: Widen = |ins, a| ins.swiden_high(a);
const HIGH_U: Widen = |ins, a| ins.uwiden_high(a);

impl<'a> Translator<'a, '_> {
    pub(super) fn vector_conversion_operator(&mut self, operator: &Operator<'a>) -> bool {
        self.widening_operator(operator) || self.float_lane_operator(operator)
    }

    fn widening_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::I8x16NarrowI16x8S => self.lanewise2(I16X8, |ins, a, b| ins.snarrow(a, b)),
            Operator::I8x16NarrowI16x8U => self.lanewise2(I16X8, |ins, a, b| ins.unarrow(a, b)),
            Operator::I16x8NarrowI32x4S => self.lanewise2(I32X4, |ins, a, b| ins.snarrow(a, b)),
            Operator::I16x8NarrowI32x4U => self.lanewise2(I32X4, |ins, a, b| ins.unarrow(a, b)),
            Operator::I16x8ExtendLowI8x16S => self.widen(I8X16, LOW_S),
            Operator::I16x8ExtendLowI8x16U => self.widen(I8X16, LOW_U),
            Operator::I16x8ExtendHighI8x16S => self.widen(I8X16, HIGH_S),
            Operator::I16x8ExtendHighI8x16U => self.widen(I8X16, HIGH_U),
            Operator::I32x4ExtendLowI16x8S => self.widen(I16X8, LOW_S),
            Operator::I32x4ExtendLowI16x8U => self.widen(I16X8, LOW_U),
            Operator::I32x4ExtendHighI16x8S => self.widen(I16X8, HIGH_S),
            Operator::I32x4ExtendHighI16x8U => self.widen(I16X8, HIGH_U),
            Operator::I64x2ExtendLowI32x4S => self.widen(I32X4, LOW_S),
            Operator::I64x2ExtendLowI32x4U => self.widen(I32X4, LOW_U),
            Operator::I64x2ExtendHighI32x4S => self.widen(I32X4, HIGH_S),
            Operator::I64x2ExtendHighI32x4U => self.widen(I32X4, HIGH_U),
            Operator::I16x8ExtMulLowI8x16S => self.multiply_widened(I8X16, LOW_S),
            Operator::I16x8ExtMulLowI8x16U => self.multiply_widened(I8X16, LOW_U),
            Operator::I16x8ExtMulHighI8x16S => self.multiply_widened(I8X16, HIGH_S),
            Operator::I16x8ExtMulHighI8x16U => self.multiply_widened(I8X16, HIGH_U),
            Operator::I32x4ExtMulLowI16x8S => self.multiply_widened(I16X8, LOW_S),
            Operator::I32x4ExtMulLowI16x8U => self.multiply_widened(I16X8, LOW_U),
            Operator::I32x4ExtMulHighI16x8S => self.multiply_widened(I16X8, HIGH_S),
            Operator::I32x4ExtMulHighI16x8U => self.multiply_widened(I16X8, HIGH_U),
            Operator::I64x2ExtMulLowI32x4S => self.multiply_widened(I32X4, LOW_S),
            Operator::I64x2ExtMulLowI32x4U => self.multiply_widened(I32X4, LOW_U),
            Operator::I64x2ExtMulHighI32x4S => self.multiply_widened(I32X4, HIGH_S),
            Operator::I64x2ExtMulHighI32x4U => self.multiply_widened(I32X4, HIGH_U),
            Operator::I16x8ExtAddPairwiseI8x16S => self.add_pairs_widened(I8X16, LOW_S, HIGH_S),
            Operator::I16x8ExtAddPairwiseI8x16U => self.add_pairs_widened(I8X16, LOW_U, HIGH_U),
            Operator::I32x4ExtAddPairwiseI16x8S => self.add_pairs_widened(I16X8, LOW_S, HIGH_S),
            Operator::I32x4ExtAddPairwiseI16x8U => self.add_pairs_widened(I16X8, LOW_U, HIGH_U),
            Operator::I32x4DotI16x8S => self.dot(),
            _ => return false,
        }
        true
    }

    fn float_lane_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::I32x4TruncSatF32x4S => {
                self.lanewise(F32X4, |ins, a| ins.fcvt_to_sint_sat(I32X4, a))
            }
            Operator::I32x4TruncSatF32x4U => {
                self.lanewise(F32X4, |ins, a| ins.fcvt_to_uint_sat(I32X4, a))
            }
            Operator::I32x4TruncSatF64x2SZero => self.truncate_doubles(
                |ins, a| ins.fcvt_to_sint_sat(I64X2, a),
                |ins, a, zero| ins.snarrow(a, zero),
            ),
            Operator::I32x4TruncSatF64x2UZero => self.truncate_doubles(
                |ins, a| ins.fcvt_to_uint_sat(I64X2, a),
                |ins, a, zero| ins.uunarrow(a, zero),
            ),
            Operator::F32x4ConvertI32x4S => {
                self.lanewise(I32X4, |ins, a| ins.fcvt_from_sint(F32X4, a))
            }
            Operator::F32x4ConvertI32x4U => {
                self.lanewise(I32X4, |ins, a| ins.fcvt_from_uint(F32X4, a))
            }
            Operator::F64x2ConvertLowI32x4S => {
                let wide = self.pop_widened(I32X4, LOW_S);
                let doubles = self.ins().fcvt_from_sint(F64X2, wide);
                self.push_lanes(doubles);
            }
            Operator::F64x2ConvertLowI32x4U => {
                let wide = self.pop_widened(I32X4, LOW_U);
                let doubles = self.ins().fcvt_from_uint(F64X2, wide);
                self.push_lanes(doubles);
            }
            Operator::F32x4DemoteF64x2Zero => self.lanewise(F64X2, |ins, a| ins.fvdemote(a)),
            Operator::F64x2PromoteLowF32x4 => self.lanewise(F32X4, |ins, a| ins.fvpromote_low(a)),
            _ => return false,
        }
        true
    }

    fn widen(&mut self, lanes: Type, half: Widen) {
        let wide = self.pop_widened(lanes, half);
        self.push_lanes(wide);
    }

    fn pop_widened(&mut self, lanes: Type, half: Widen) -> Value {
        let vector = self.pop_lanes(lanes);
        half(self.ins(), vector)
    }

    /// Multiplies the lanes in one half of two vectors. The products have twice the width.
    fn multiply_widened(&mut self, lanes: Type, half: Widen) {
        let (first, second) = self.pop2_lanes(lanes);
        let products = self.products(first, second, half);
        self.push_lanes(products);
    }

    pub(super) fn products(&mut self, first: Value, second: Value, half: Widen) -> Value {
        let first = half(self.ins(), first);
        let second = half(self.ins(), second);
        self.ins().imul(first, second)
    }

    /// Adds neighbouring lanes. The sums have twice the width.
    fn add_pairs_widened(&mut self, lanes: Type, low: Widen, high: Widen) {
        let vector = self.pop_lanes(lanes);
        let low = low(self.ins(), vector);
        let high = high(self.ins(), vector);
        let sums = self.ins().iadd_pairwise(low, high);
        self.push_lanes(sums);
    }

    /// Adds the products of neighbouring lanes.
    fn dot(&mut self) {
        let (first, second) = self.pop2_lanes(I16X8);
        let low = self.products(first, second, LOW_S);
        let high = self.products(first, second, HIGH_S);
        let sums = self.ins().iadd_pairwise(low, high);
        self.push_lanes(sums);
    }

    /// Truncates two doubles to 32-bit integers, followed by zeros. The code generator recognizes
    /// only the two steps together.
    pub(super) fn truncate_doubles(
        &mut self,
        truncate: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value,
        narrow: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
    ) {
        let doubles = self.pop_lanes(F64X2);
        let wide = truncate(self.ins(), doubles);
        let zero = self.lanes_constant(I64X2, 0);
        let narrowed = narrow(self.ins(), wide, zero);
        self.push_lanes(narrowed);
    }
}
