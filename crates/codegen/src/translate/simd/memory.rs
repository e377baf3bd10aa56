//! Loads and stores of vectors and of parts of them.

use super::VECTOR;
use crate::translate::Translator;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;
use types::{I8, I8X16, I16, I16X8, I32, I32X4, I64, I64X2};
use wasmparser::{MemArg, Operator};

impl<'a> Translator<'a, '_> {
    pub(super) fn vector_access_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::V128Load { memarg } => {
                self.load_lanes(memarg, VECTOR, |ins, flags, address, offset| {
                    ins.load(VECTOR, flags, address, offset)
                })
            }
            Operator::V128Load8x8S { memarg } => {
                self.load_lanes(memarg, I64, |ins, flags, address, offset| {
                    ins.sload8x8(flags, address, offset)
                })
            }
            Operator::V128Load8x8U { memarg } => {
                self.load_lanes(memarg, I64, |ins, flags, address, offset| {
                    ins.uload8x8(flags, address, offset)
                })
            }
            Operator::V128Load16x4S { memarg } => {
                self.load_lanes(memarg, I64, |ins, flags, address, offset| {
                    ins.sload16x4(flags, address, offset)
                })
            }
            Operator::V128Load16x4U { memarg } => {
                self.load_lanes(memarg, I64, |ins, flags, address, offset| {
                    ins.uload16x4(flags, address, offset)
                })
            }
            Operator::V128Load32x2S { memarg } => {
                self.load_lanes(memarg, I64, |ins, flags, address, offset| {
                    ins.sload32x2(flags, address, offset)
                })
            }
            Operator::V128Load32x2U { memarg } => {
                self.load_lanes(memarg, I64, |ins, flags, address, offset| {
                    ins.uload32x2(flags, address, offset)
                })
            }
            Operator::V128Load8Splat { memarg } => self.load_splat(memarg, I8, I8X16),
            Operator::V128Load16Splat { memarg } => self.load_splat(memarg, I16, I16X8),
            Operator::V128Load32Splat { memarg } => self.load_splat(memarg, I32, I32X4),
            Operator::V128Load64Splat { memarg } => self.load_splat(memarg, I64, I64X2),
            Operator::V128Load32Zero { memarg } => self.load_zero(memarg, I32, I32X4),
            Operator::V128Load64Zero { memarg } => self.load_zero(memarg, I64, I64X2),
            Operator::V128Load8Lane { memarg, lane } => self.load_lane(memarg, I8, I8X16, *lane),
            Operator::V128Load16Lane { memarg, lane } => self.load_lane(memarg, I16, I16X8, *lane),
            Operator::V128Load32Lane { memarg, lane } => self.load_lane(memarg, I32, I32X4, *lane),
            Operator::V128Load64Lane { memarg, lane } => self.load_lane(memarg, I64, I64X2, *lane),
            Operator::V128Store { memarg } => {
                let vector = self.pop();
                self.store_lanes(memarg, vector);
            }
            Operator::V128Store8Lane { memarg, lane } => self.store_lane(memarg, I8X16, *lane),
            Operator::V128Store16Lane { memarg, lane } => self.store_lane(memarg, I16X8, *lane),
            Operator::V128Store32Lane { memarg, lane } => self.store_lane(memarg, I32X4, *lane),
            Operator::V128Store64Lane { memarg, lane } => self.store_lane(memarg, I64X2, *lane),
            _ => return false,
        }
        true
    }

    /// Loads as many bytes as `stored` has, by one instruction that makes a vector.
    fn load_lanes(
        &mut self,
        memarg: &MemArg,
        stored: Type,
        emit: impl FnOnce(FuncInstBuilder<'_, '_>, MemFlagsData, Value, i32) -> Value,
    ) {
        let index = self.pop();
        if let Some(place) = self.place(memarg, index, stored) {
            let vector = emit(self.ins(), place.flags, place.address, place.offset);
            self.push_lanes(vector);
        }
    }

    /// Pops an index and loads a scalar. `None` if the access always traps.
    fn load_scalar(&mut self, memarg: &MemArg, ty: Type) -> Option<Value> {
        let index = self.pop();
        let place = self.place(memarg, index, ty)?;
        Some(self.load_from(place, ty))
    }

    fn load_splat(&mut self, memarg: &MemArg, ty: Type, lanes: Type) {
        if let Some(scalar) = self.load_scalar(memarg, ty) {
            let vector = self.ins().splat(lanes, scalar);
            self.push_lanes(vector);
        }
    }

    fn load_zero(&mut self, memarg: &MemArg, ty: Type, lanes: Type) {
        if let Some(scalar) = self.load_scalar(memarg, ty) {
            let vector = self.ins().scalar_to_vector(lanes, scalar);
            self.push_lanes(vector);
        }
    }

    fn load_lane(&mut self, memarg: &MemArg, ty: Type, lanes: Type, lane: u8) {
        let vector = self.pop_lanes(lanes);
        if let Some(scalar) = self.load_scalar(memarg, ty) {
            let vector = self.ins().insertlane(vector, scalar, lane);
            self.push_lanes(vector);
        }
    }

    fn store_lane(&mut self, memarg: &MemArg, lanes: Type, lane: u8) {
        let vector = self.pop_lanes(lanes);
        let scalar = self.ins().extractlane(vector, lane);
        self.store_lanes(memarg, scalar);
    }

    /// Pops an index and stores `value`, a vector or a lane.
    fn store_lanes(&mut self, memarg: &MemArg, value: Value) {
        let index = self.pop();
        let stored = self.type_of(value);
        if let Some(place) = self.place_to_store(memarg, index, stored) {
            self.store_to(place, value);
        }
    }
}
