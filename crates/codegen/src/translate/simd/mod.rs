//! SIMD: operators on `v128`, by family.
//!
//! A vector gets its lanes from the operator that uses it. On the operand stack, in locals and in
//! globals it always has type [`VECTOR`]. An operator casts its operands to the lanes that it
//! needs, and its result back to `VECTOR`. These casts need no instructions.
//!
//! | file | operators |
//! |---|---|
//! | `memory` | loads and stores |
//! | `lanes` | splat, extract, replace, shuffle, swizzle |
//! | `bitwise` | logic, shifts, tests of all lanes |
//! | `compare` | comparisons |
//! | `integer` | arithmetic on integer lanes |
//! | `float` | arithmetic on float lanes |
//! | `convert` | between lane types and widths |
//! | `relaxed` | operators of relaxed SIMD |

mod bitwise;
mod compare;
mod convert;
mod float;
mod integer;
mod lanes;
mod memory;
mod relaxed;

use super::Translator;
use anyhow::Result;
use cranelift_codegen::ir::{
    ConstantData, Endianness, InstBuilder, MemFlagsData, Type, Value, types,
};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::Operator;

/// The type of vectors between operators.
const VECTOR: Type = types::I8X16;

/// WebAssembly numbers lanes from the byte with the lowest address, whatever the byte order of the
/// processor is.
pub(super) const LANE_ORDER: MemFlagsData = MemFlagsData::new().with_endianness(Endianness::Little);

impl<'a> Translator<'a, '_> {
    pub(super) fn simd_operator(&mut self, operator: &Operator<'a>) -> Result<bool> {
        if let Operator::V128Const { value } = operator {
            let value = self.vector_constant(u128::from(*value));
            self.push(value);
            return Ok(true);
        }
        Ok(self.vector_access_operator(operator)
            || self.lane_operator(operator)
            || self.bitwise_operator(operator)
            || self.vector_comparison_operator(operator)
            || self.vector_integer_operator(operator)
            || self.vector_float_operator(operator)
            || self.vector_conversion_operator(operator)
            || self.relaxed_operator(operator)?)
    }

    /// Returns a constant vector, whose bits lie after the code of the function.
    pub(super) fn vector_constant(&mut self, bits: u128) -> Value {
        self.lanes_constant(VECTOR, bits)
    }

    fn lanes_constant(&mut self, lanes: Type, bits: u128) -> Value {
        let data = ConstantData::from(&bits.to_le_bytes()[..]);
        let constant = self.builder.func.dfg.constants.insert(data);
        self.ins().vconst(lanes, constant)
    }

    /// Returns `vector` with other lanes.
    fn cast(&mut self, vector: Value, lanes: Type) -> Value {
        if self.type_of(vector) == lanes {
            vector
        } else {
            self.ins().bitcast(lanes, LANE_ORDER, vector)
        }
    }

    /// Pops a vector as `lanes`.
    fn pop_lanes(&mut self, lanes: Type) -> Value {
        let vector = self.pop();
        self.cast(vector, lanes)
    }

    /// Pops two vectors as `lanes`, which are returned in the order in which they were pushed.
    fn pop2_lanes(&mut self, lanes: Type) -> (Value, Value) {
        let second = self.pop_lanes(lanes);
        (self.pop_lanes(lanes), second)
    }

    /// Pushes a vector of any lanes.
    fn push_lanes(&mut self, vector: Value) {
        let vector = self.cast(vector, VECTOR);
        self.push(vector);
    }

    /// Translates an operator on a vector of `lanes` that is one instruction.
    fn lanewise(
        &mut self,
        lanes: Type,
        emit: impl FnOnce(FuncInstBuilder<'_, '_>, Value) -> Value,
    ) {
        let operand = self.pop_lanes(lanes);
        let result = emit(self.ins(), operand);
        self.push_lanes(result);
    }

    /// Translates an operator on two vectors of `lanes` that is one instruction.
    fn lanewise2(
        &mut self,
        lanes: Type,
        emit: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value,
    ) {
        let (first, second) = self.pop2_lanes(lanes);
        let result = emit(self.ins(), first, second);
        self.push_lanes(result);
    }
}
