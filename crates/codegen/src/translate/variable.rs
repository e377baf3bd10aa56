//! Parameters, locals and the operators that only move values: `local.*`, `drop`, `select`, constants.

use super::Translator;
use crate::abi;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{Block, InstBuilder, Type, types};
use cranelift_frontend::Variable;
use wasmparser::{Operator, ValType};

impl<'a> Translator<'a, '_> {
    /// Declares a variable for each parameter; they are the first locals.
    pub(super) fn declare_parameters(&mut self, entry: Block) {
        for i in 1..self.builder.block_params(entry).len() {
            let value = self.builder.block_params(entry)[i];
            let variable = self.builder.declare_var(self.type_of(value));
            self.builder.def_var(variable, value);
        }
    }

    /// Declares `count` locals of type `ty`, which start at zero or null.
    pub(super) fn declare_locals(&mut self, count: u32, ty: ValType) {
        let zero = match operand_type(ty) {
            types::F32 => self.ins().f32const(Ieee32::with_bits(0)),
            types::F64 => self.ins().f64const(Ieee64::with_bits(0)),
            vector if vector.is_vector() => self.vector_constant(0),
            integer => self.iconst(integer, 0),
        };
        for _ in 0..count {
            let variable = self.builder.declare_var(self.type_of(zero));
            self.builder.def_var(variable, zero);
        }
    }

    pub(super) fn variable_operator(&mut self, operator: &Operator<'a>) -> bool {
        match *operator {
            Operator::LocalGet { local_index } => {
                let value = self.builder.use_var(Variable::from_u32(local_index));
                self.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.builder.def_var(Variable::from_u32(local_index), value);
            }
            Operator::LocalTee { local_index } => {
                let value = self.top(1)[0];
                self.builder.def_var(Variable::from_u32(local_index), value);
            }
            Operator::Drop => {
                self.pop();
            }
            Operator::Select | Operator::TypedSelect { .. } => {
                let (first, second, condition) = self.pop3();
                let value = self.ins().select(condition, first, second);
                self.push(value);
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

    pub(super) fn push_integer(&mut self, ty: Type, value: i64) {
        let value = self.iconst(ty, value);
        self.push(value);
    }
}

/// The type that holds operands and locals of type `ty`.
pub(super) fn operand_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 => types::I32,
        ValType::I64 => types::I64,
        ValType::F32 => types::F32,
        ValType::F64 => types::F64,
        ValType::Ref(_) => abi::REFERENCE,
        ValType::V128 => types::I8X16,
    }
}
