//! Relaxed SIMD: operators that leave the result open in corner cases, so that each processor can
//! use one instruction.
//!
//! If the settings ask for deterministic results, operators return those that the proposal lists
//! for that purpose: the results of the strict operators of the same name, and of fused
//! multiplication and addition. Otherwise an operator is the fastest instruction of the processor
//! ([`RelaxedSimd`]).

use super::VECTOR;
use super::convert::{HIGH_S, LOW_S};
use crate::isa::{self, Binary, RelaxedSimd, Unary};
use crate::translate::Translator;
use anyhow::{Result, ensure};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use mintage_environ::unsupported;
use types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn relaxed_operator(&mut self, operator: &Operator<'a>) -> Result<bool> {
        match operator {
            Operator::I8x16RelaxedSwizzle => {
                let fast = self.relaxed().and_then(|simd| simd.swizzle());
                self.lanewise2(VECTOR, fast.unwrap_or(|ins, a, b| ins.swizzle(a, b)));
            }
            Operator::I16x8RelaxedQ15mulrS => {
                let fast = self.relaxed().and_then(|simd| simd.multiply_q15());
                let strict: Binary = |ins, a, b| ins.sqmul_round_sat(a, b);
                self.lanewise2(I16X8, fast.unwrap_or(strict));
            }
            Operator::I32x4RelaxedTruncF32x4S => {
                let fast = self.relaxed().and_then(|simd| simd.truncate_floats());
                let strict: Unary = |ins, a| ins.fcvt_to_sint_sat(I32X4, a);
                self.lanewise(F32X4, fast.unwrap_or(strict));
            }
            Operator::I32x4RelaxedTruncF32x4U => {
                self.lanewise(F32X4, |ins, a| ins.fcvt_to_uint_sat(I32X4, a))
            }
            Operator::I32x4RelaxedTruncF64x2SZero => {
                let fast = self.relaxed().and_then(|simd| simd.truncate_doubles());
                let strict: Unary = |ins, a| ins.fcvt_to_sint_sat(I64X2, a);
                let narrow: Binary = |ins, a, zero| ins.snarrow(a, zero);
                self.truncate_doubles(fast.unwrap_or(strict), narrow);
            }
            Operator::I32x4RelaxedTruncF64x2UZero => self.truncate_doubles(
                |ins, a| ins.fcvt_to_uint_sat(I64X2, a),
                |ins, a, zero| ins.uunarrow(a, zero),
            ),
            Operator::F32x4RelaxedMadd => self.multiply_add(F32X4, false)?,
            Operator::F32x4RelaxedNmadd => self.multiply_add(F32X4, true)?,
            Operator::F64x2RelaxedMadd => self.multiply_add(F64X2, false)?,
            Operator::F64x2RelaxedNmadd => self.multiply_add(F64X2, true)?,
            Operator::I8x16RelaxedLaneselect => self.lane_select(I8X16),
            Operator::I16x8RelaxedLaneselect => self.lane_select(I16X8),
            Operator::I32x4RelaxedLaneselect => self.lane_select(I32X4),
            Operator::I64x2RelaxedLaneselect => self.lane_select(I64X2),
            Operator::F32x4RelaxedMin => self.relaxed_minimum(F32X4),
            Operator::F64x2RelaxedMin => self.relaxed_minimum(F64X2),
            Operator::F32x4RelaxedMax => self.relaxed_maximum(F32X4),
            Operator::F64x2RelaxedMax => self.relaxed_maximum(F64X2),
            Operator::I16x8RelaxedDotI8x16I7x16S => {
                let sums = self.relaxed_dot();
                self.push_lanes(sums);
            }
            Operator::I32x4RelaxedDotI8x16I7x16AddS => {
                let addend = self.pop_lanes(I32X4);
                let sums = self.relaxed_dot();
                let low = self.ins().swiden_low(sums);
                let high = self.ins().swiden_high(sums);
                let sums = self.ins().iadd_pairwise(low, high);
                let sums = self.ins().iadd(sums, addend);
                self.push_lanes(sums);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Returns the processor's own instructions, if results may differ from processor to processor.
    fn relaxed(&self) -> Option<RelaxedSimd<'a>> {
        let deterministic = self.input.tunables.relaxed_simd_deterministic;
        (!deterministic).then(|| RelaxedSimd::new(&**self.input.isa))
    }

    /// Computes `a * b + c`, or `c - a * b`: with one rounding if the processor can or the settings
    /// ask for it.
    fn multiply_add(&mut self, lanes: Type, negate: bool) -> Result<()> {
        let c = self.pop_lanes(lanes);
        let (mut a, b) = self.pop2_lanes(lanes);
        if negate {
            a = self.ins().fneg(a);
        }
        let sum = if isa::has_fused_multiply_add(&**self.input.isa) {
            self.ins().fma(a, b, c)
        } else {
            ensure!(
                self.relaxed().is_some(),
                unsupported!(
                    "this processor has no fused multiplication and addition, which deterministic \
                     relaxed SIMD needs; turn off `Config::relaxed_simd_deterministic`"
                )
            );
            let product = self.ins().fmul(a, b);
            self.ins().fadd(product, c)
        };
        self.push_lanes(sum);
        Ok(())
    }

    /// Selects lanes of the first operand where the mask is all ones, and of the second where it is
    /// zero. For other masks the selection is by bits or by lanes.
    fn lane_select(&mut self, lanes: Type) {
        let mask = self.pop_lanes(lanes);
        let (ones, zeros) = self.pop2_lanes(lanes);
        let vector = match self.relaxed().is_some_and(|simd| simd.has_blend(lanes)) {
            true => self.ins().blendv(mask, ones, zeros),
            false => self.ins().bitselect(mask, ones, zeros),
        };
        self.push_lanes(vector);
    }

    fn prefers_pseudo_minimum(&self) -> bool {
        self.relaxed()
            .is_some_and(|simd| simd.prefers_pseudo_minimum())
    }

    fn relaxed_minimum(&mut self, lanes: Type) {
        if self.prefers_pseudo_minimum() {
            self.pseudo_minimum(lanes);
        } else {
            self.lanewise2(lanes, |ins, a, b| ins.fmin(a, b));
        }
    }

    fn relaxed_maximum(&mut self, lanes: Type) {
        if self.prefers_pseudo_minimum() {
            self.pseudo_maximum(lanes);
        } else {
            self.lanewise2(lanes, |ins, a, b| ins.fmax(a, b));
        }
    }

    /// Pops a vector of bytes and one of 7-bit numbers. Returns the 16-bit sums of the products of
    /// neighbours.
    fn relaxed_dot(&mut self) -> Value {
        let (bytes, sevens) = self.pop2_lanes(I8X16);
        if let Some(dot) = self.relaxed().and_then(|simd| simd.dot()) {
            return dot(self.ins(), bytes, sevens);
        }
        let low = self.products(bytes, sevens, LOW_S);
        let high = self.products(bytes, sevens, HIGH_S);
        self.ins().iadd_pairwise(low, high)
    }
}
