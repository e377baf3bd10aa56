//! Vectors from scalars, scalars from vectors, and permutations of lanes.

use super::VECTOR;
use crate::translate::Translator;
use cranelift_codegen::ir::{ConstantData, InstBuilder, Type, Value, types};
use types::{F32X4, F64X2, I8X16, I16X8, I32, I32X4, I64X2};
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn lane_operator(&mut self, operator: &Operator<'a>) -> bool {
        match *operator {
            Operator::I8x16Splat => self.splat(I8X16),
            Operator::I16x8Splat => self.splat(I16X8),
            Operator::I32x4Splat => self.splat(I32X4),
            Operator::I64x2Splat => self.splat(I64X2),
            Operator::F32x4Splat => self.splat(F32X4),
            Operator::F64x2Splat => self.splat(F64X2),
            Operator::I8x16ExtractLaneS { lane } => self.extract_signed(I8X16, lane),
            Operator::I8x16ExtractLaneU { lane } => self.extract(I8X16, lane),
            Operator::I16x8ExtractLaneS { lane } => self.extract_signed(I16X8, lane),
            Operator::I16x8ExtractLaneU { lane } => self.extract(I16X8, lane),
            Operator::I32x4ExtractLane { lane } => self.extract(I32X4, lane),
            Operator::I64x2ExtractLane { lane } => self.extract(I64X2, lane),
            Operator::F32x4ExtractLane { lane } => self.extract(F32X4, lane),
            Operator::F64x2ExtractLane { lane } => self.extract(F64X2, lane),
            Operator::I8x16ReplaceLane { lane } => self.replace(I8X16, lane),
            Operator::I16x8ReplaceLane { lane } => self.replace(I16X8, lane),
            Operator::I32x4ReplaceLane { lane } => self.replace(I32X4, lane),
            Operator::I64x2ReplaceLane { lane } => self.replace(I64X2, lane),
            Operator::F32x4ReplaceLane { lane } => self.replace(F32X4, lane),
            Operator::F64x2ReplaceLane { lane } => self.replace(F64X2, lane),
            Operator::I8x16Shuffle { lanes } => {
                let (first, second) = self.pop2();
                let mask = ConstantData::from(&lanes[..]);
                let mask = self.builder.func.dfg.immediates.push(mask);
                let vector = self.ins().shuffle(first, second, mask);
                self.push(vector);
            }
            Operator::I8x16Swizzle => self.lanewise2(VECTOR, |ins, a, b| ins.swizzle(a, b)),
            _ => return false,
        }
        true
    }

    /// Pops a scalar for a lane of `lanes`: the low bits of an `i32`.
    fn pop_lane(&mut self, lanes: Type) -> Value {
        let scalar = self.pop();
        let lane = lanes.lane_type();
        if self.type_of(scalar) == lane {
            scalar
        } else {
            self.ins().ireduce(lane, scalar)
        }
    }

    fn splat(&mut self, lanes: Type) {
        let scalar = self.pop_lane(lanes);
        let vector = self.ins().splat(lanes, scalar);
        self.push_lanes(vector);
    }

    fn replace(&mut self, lanes: Type, lane: u8) {
        let scalar = self.pop_lane(lanes);
        self.lanewise(lanes, |ins, a| ins.insertlane(a, scalar, lane));
    }

    /// Returns a lane, zero-extended if it is narrower than an `i32`.
    fn extract(&mut self, lanes: Type, lane: u8) {
        let vector = self.pop_lanes(lanes);
        let mut scalar = self.ins().extractlane(vector, lane);
        if lanes.lane_bits() < I32.bits() {
            scalar = self.ins().uextend(I32, scalar);
        }
        self.push(scalar);
    }

    fn extract_signed(&mut self, lanes: Type, lane: u8) {
        let vector = self.pop_lanes(lanes);
        let scalar = self.ins().extractlane(vector, lane);
        let scalar = self.ins().sextend(I32, scalar);
        self.push(scalar);
    }
}
