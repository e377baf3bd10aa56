//! Constant expressions: all of them can be computed when compiling, since only immutable globals may be read.

use crate::ir::{Const, CoreInstance, Global, Module};
use anyhow::{Result, bail};
use mintage_environ::{CoreInstanceId, FuncIndex, GlobalId, IndexVec};
use wasmparser::{ConstExpr, Operator};

/// What a constant expression of a core instance can name.
pub(super) struct Scope<'s, 'a> {
    pub id: CoreInstanceId,
    pub instance: &'s CoreInstance,
    pub module: &'s Module<'a>,
    pub globals: &'s IndexVec<GlobalId, Global>,
}

impl Scope<'_, '_> {
    /// The value of a valid constant expression.
    pub fn eval(&self, expr: &ConstExpr<'_>) -> Result<Const> {
        let mut stack = Vec::new();
        let mut reader = expr.get_operators_reader();
        loop {
            let value = match reader.read()? {
                Operator::I32Const { value } => Const::I32(value),
                Operator::I64Const { value } => Const::I64(value),
                Operator::F32Const { value } => Const::F32(value.bits()),
                Operator::F64Const { value } => Const::F64(value.bits()),
                Operator::V128Const { value } => Const::V128(value.into()),
                Operator::RefNull { .. } => Const::Null,
                Operator::RefFunc { function_index } => self.func(FuncIndex::from_u32(function_index)),
                Operator::GlobalGet { global_index } => self.globals[self.instance.globals[global_index as usize]].init,
                Operator::I32Add => binary(&mut stack, i32::wrapping_add, i64::wrapping_add)?,
                Operator::I64Add => binary(&mut stack, i32::wrapping_add, i64::wrapping_add)?,
                Operator::I32Sub => binary(&mut stack, i32::wrapping_sub, i64::wrapping_sub)?,
                Operator::I64Sub => binary(&mut stack, i32::wrapping_sub, i64::wrapping_sub)?,
                Operator::I32Mul => binary(&mut stack, i32::wrapping_mul, i64::wrapping_mul)?,
                Operator::I64Mul => binary(&mut stack, i32::wrapping_mul, i64::wrapping_mul)?,
                Operator::End => match stack.pop() {
                    Some(value) => return Ok(value),
                    None => bail!("a constant expression gives no value"),
                },
                other => bail!("{other:?} in a constant expression is not supported yet"),
            };
            stack.push(value);
        }
    }

    /// The offset that an active segment's expression gives.
    pub fn offset(&self, expr: &ConstExpr<'_>) -> Result<u64> {
        match self.eval(expr)? {
            Const::I32(offset) => Ok(u64::from(offset as u32)),
            Const::I64(offset) => Ok(offset as u64),
            other => bail!("the offset of a segment is {other:?}"),
        }
    }

    /// The reference to a function.
    pub fn func(&self, func: FuncIndex) -> Const {
        Const::Func(self.instance.callee(self.id, self.module, func))
    }
}

fn binary(stack: &mut Vec<Const>, op32: fn(i32, i32) -> i32, op64: fn(i64, i64) -> i64) -> Result<Const> {
    let (b, a) = (stack.pop(), stack.pop());
    match (a, b) {
        (Some(Const::I32(a)), Some(Const::I32(b))) => Ok(Const::I32(op32(a, b))),
        (Some(Const::I64(a)), Some(Const::I64(b))) => Ok(Const::I64(op64(a, b))),
        _ => bail!("arithmetic on {a:?} and {b:?} in a constant expression"),
    }
}
