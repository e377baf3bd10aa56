//! Relaxed SIMD: operators that leave the result open in corner cases, so that each processor can
//! take one instruction.
//!
//! Where the settings ask for deterministic results, each operator gives the one that the proposal
//! lists for that purpose: what the strict operator of the same name gives, and fused
//! multiplication and addition. Otherwise it is what the processor does soonest, which the code
//! generator offers for x86-64 as instructions of their own.

use super::VECTOR;
use super::convert::{HIGH_S, LOW_S};
use crate::translate::Translator;
use anyhow::{Result, ensure};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use mintage_environ::unsupported;
use types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn relaxed_operator(&mut self, operator: &Operator<'a>) -> Result<bool> {
        match operator {
            Operator::I8x16RelaxedSwizzle => {
                let fast = self.relaxed() && self.input.isa.has_x86_pshufb_lowering();
                self.choose2(
                    VECTOR,
                    fast,
                    |ins, a, b| ins.x86_pshufb(a, b),
                    |ins, a, b| ins.swizzle(a, b),
                );
            }
            Operator::I16x8RelaxedQ15mulrS => {
                let fast = self.relaxed() && self.input.isa.has_x86_pmulhrsw_lowering();
                let strict = |ins: FuncInstBuilder<'_, '_>, a, b| ins.sqmul_round_sat(a, b);
                self.choose2(I16X8, fast, |ins, a, b| ins.x86_pmulhrsw(a, b), strict);
            }
            Operator::I32x4RelaxedTruncF32x4S => {
                let fast = self.relaxed() && self.is_x64();
                self.lanewise(F32X4, |ins, a| match fast {
                    true => ins.x86_cvtt2dq(I32X4, a),
                    false => ins.fcvt_to_sint_sat(I32X4, a),
                });
            }
            Operator::I32x4RelaxedTruncF32x4U => {
                self.lanewise(F32X4, |ins, a| ins.fcvt_to_uint_sat(I32X4, a))
            }
            Operator::I32x4RelaxedTruncF64x2SZero => {
                let fast = self.relaxed() && self.is_x64();
                let truncate = |ins: FuncInstBuilder<'_, '_>, a| match fast {
                    true => ins.x86_cvtt2dq(I64X2, a),
                    false => ins.fcvt_to_sint_sat(I64X2, a),
                };
                self.truncate_doubles(truncate, |ins, a, zero| ins.snarrow(a, zero));
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

    /// Whether results may differ from processor to processor.
    fn relaxed(&self) -> bool {
        !self.input.tunables.relaxed_simd_deterministic
    }

    fn is_x64(&self) -> bool {
        self.input.isa.name() == "x64"
    }

    fn choose2(
        &mut self,
        lanes: Type,
        fast: bool,
        relaxed: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
        strict: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
    ) {
        if fast {
            self.lanewise2(lanes, relaxed);
        } else {
            self.lanewise2(lanes, strict);
        }
    }

    /// `a * b + c`, or `c - a * b`: with one rounding where the processor can, or if it must.
    fn multiply_add(&mut self, lanes: Type, negate: bool) -> Result<()> {
        let c = self.pop_lanes(lanes);
        let (mut a, b) = self.pop2_lanes(lanes);
        if negate {
            a = self.ins().fneg(a);
        }
        let sum = if self.input.isa.has_native_fma() {
            self.ins().fma(a, b, c)
        } else {
            ensure!(
                self.relaxed(),
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

    /// Lanes of the first operand where the mask is all ones, of the second where it is zero.
    /// Between these, bits or lanes.
    fn lane_select(&mut self, lanes: Type) {
        let mask = self.pop_lanes(lanes);
        let (ones, zeros) = self.pop2_lanes(lanes);
        let vector = match self.relaxed() && self.input.isa.has_blendv_lowering(lanes) {
            true => self.ins().blendv(mask, ones, zeros),
            false => self.ins().bitselect(mask, ones, zeros),
        };
        self.push_lanes(vector);
    }

    fn relaxed_minimum(&mut self, lanes: Type) {
        if self.relaxed() && self.is_x64() {
            self.pseudo_minimum(lanes);
        } else {
            self.lanewise2(lanes, |ins, a, b| ins.fmin(a, b));
        }
    }

    fn relaxed_maximum(&mut self, lanes: Type) {
        if self.relaxed() && self.is_x64() {
            self.pseudo_maximum(lanes);
        } else {
            self.lanewise2(lanes, |ins, a, b| ins.fmax(a, b));
        }
    }

    /// Takes a vector of bytes and one of 7-bit numbers: 16-bit sums of the products of neighbours.
    fn relaxed_dot(&mut self) -> Value {
        let (bytes, sevens) = self.pop2_lanes(I8X16);
        if self.relaxed() && self.input.isa.has_x86_pmaddubsw_lowering() {
            return self.ins().x86_pmaddubsw(bytes, sevens);
        }
        let low = self.products(bytes, sevens, LOW_S);
        let high = self.products(bytes, sevens, HIGH_S);
        self.ins().iadd_pairwise(low, high)
    }
}
