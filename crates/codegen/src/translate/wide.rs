//! Wide arithmetic: sums, differences and products of 128 bits, as pairs of 64-bit words. The low
//! word is first.

use super::Translator;
use cranelift_codegen::ir::types::I128;
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    pub(super) fn wide_operator(&mut self, operator: &Operator<'a>) -> bool {
        match operator {
            Operator::I64Add128 => self.wide(|ins, a, b| ins.iadd(a, b)),
            Operator::I64Sub128 => self.wide(|ins, a, b| ins.isub(a, b)),
            Operator::I64MulWideS => self.multiply_wide(|ins, a| ins.sextend(I128, a)),
            Operator::I64MulWideU => self.multiply_wide(|ins, a| ins.uextend(I128, a)),
            _ => return false,
        }
        true
    }

    fn wide(&mut self, emit: impl FnOnce(FuncInstBuilder<'_, '_>, Value, Value) -> Value) {
        let second = self.pop_pair();
        let first = self.pop_pair();
        let result = emit(self.ins(), first, second);
        self.push_pair(result);
    }

    /// Multiplies two words. The code generator recognizes the product of two extended words as one
    /// instruction.
    fn multiply_wide(&mut self, extend: fn(FuncInstBuilder<'_, '_>, Value) -> Value) {
        let (first, second) = self.pop2();
        let first = extend(self.ins(), first);
        let second = extend(self.ins(), second);
        let product = self.ins().imul(first, second);
        self.push_pair(product);
    }

    fn pop_pair(&mut self) -> Value {
        let (low, high) = self.pop2();
        self.ins().iconcat(low, high)
    }

    fn push_pair(&mut self, wide: Value) {
        let (low, high) = self.ins().isplit(wide);
        self.push(low);
        self.push(high);
    }
}
