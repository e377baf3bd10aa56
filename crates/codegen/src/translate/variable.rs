//! Operators that only move values: `local.*`, `drop`, `select`, constants.

use super::Translator;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{InstBuilder, Type, types};
use mintage_environ::ValType;
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    /// Returns the type of operands and locals that the module writes as `ty`.
    pub(super) fn operand_type(&self, ty: wasmparser::ValType) -> ValType {
        self.module
            .val_type(ty)
            .expect("validated code has types of supported features")
    }

    pub(super) fn variable_operator(&mut self, operator: &Operator<'a>) -> bool {
        match *operator {
            Operator::LocalGet { local_index } => {
                let value = self.local(local_index);
                self.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.set_local(local_index, value);
            }
            Operator::LocalTee { local_index } => {
                let value = self.top(1)[0];
                self.set_local(local_index, value);
            }
            Operator::Drop => {
                self.pop();
            }
            Operator::Select => self.select(),
            Operator::TypedSelect { ty } => {
                self.select();
                let ty = self.operand_type(ty);
                self.trace_top(ty);
            }
            Operator::I32Const { value } => self.push_integer(types::I32, i64::from(value as u32)),
            Operator::I64Const { value } => self.push_integer(types::I64, value),
            Operator::F32Const { value } => {
                let value = self.ins().f32const(Ieee32::with_bits(value.bits()));
                self.push(value);
            }
            Operator::F64Const { value } => {
                let value = self.ins().f64const(Ieee64::with_bits(value.bits()));
                self.push(value);
            }
            _ => return false,
        }
        true
    }

    fn select(&mut self) {
        let (first, second, condition) = self.pop3();
        let value = self.ins().select(condition, first, second);
        self.push(value);
    }

    pub(super) fn push_integer(&mut self, ty: Type, value: i64) {
        let value = self.iconst(ty, value);
        self.push(value);
    }
}
