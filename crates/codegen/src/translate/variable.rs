//! Parameters, locals and the operators that only move values: `local.*`, `drop`, `select`, constants.

use super::Translator;
use crate::abi;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{Block, InstBuilder, Type, types};
use cranelift_frontend::Variable;
use mintage_environ::{SigId, ValType};
use wasmparser::Operator;

impl<'a> Translator<'a, '_> {
    /// Declares a variable for each parameter; they are the first locals.
    pub(super) fn declare_parameters(&mut self, entry: Block, sig: SigId) {
        for (i, &ty) in self.signatures()[sig].params.iter().enumerate() {
            let value = self.builder.block_params(entry)[1 + i];
            let variable = self.declare_variable(ty);
            self.builder.def_var(variable, value);
        }
    }

    /// Declares `count` locals of type `ty`, which start at zero or null.
    pub(super) fn declare_locals(&mut self, count: u32, ty: wasmparser::ValType) {
        let ty = self.operand_type(ty);
        let zero = match abi::clif_type(ty) {
            types::F32 => self.ins().f32const(Ieee32::with_bits(0)),
            types::F64 => self.ins().f64const(Ieee64::with_bits(0)),
            vector if vector.is_vector() => self.vector_constant(0),
            integer => self.iconst(integer, 0),
        };
        for _ in 0..count {
            let variable = self.declare_variable(ty);
            self.builder.def_var(variable, zero);
        }
    }

    fn declare_variable(&mut self, ty: ValType) -> Variable {
        let variable = self.builder.declare_var(abi::clif_type(ty));
        if self.is_traced(ty) {
            self.builder.declare_var_needs_stack_map(variable);
            self.traced_locals += 1;
        }
        variable
    }

    /// The type of operands and locals that the module writes as `ty`.
    pub(super) fn operand_type(&self, ty: wasmparser::ValType) -> ValType {
        self.module
            .val_type(ty)
            .expect("validated code has types of supported features")
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
