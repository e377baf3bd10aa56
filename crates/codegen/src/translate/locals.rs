//! Variables of parameters and locals.
//!
//! A few bytes can declare 50,000 locals. A body that declares more locals than it has bytes cannot
//! name all of them. Such a body is read once more in advance, and only locals that it names get a
//! variable.

use super::Translator;
use crate::abi;
use crate::emit::Values;
use anyhow::Result;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{Block, InstBuilder, Value, types};
use cranelift_frontend::Variable;
use hashbrown::HashMap;
use mintage_environ::{SigId, ValType};
use std::collections::BTreeSet;
use wasmparser::{FunctionBody, LocalsReader, Operator, OperatorsReader};

/// The variable of each parameter and local.
#[derive(Default)]
pub(super) struct Locals {
    /// The number of variables.
    pub count: usize,
    /// The number of variables that the collector traces.
    pub traced: usize,
    /// The variables of the named locals, in functions that do not name all of them. In other
    /// functions, local `n` is variable `n`.
    sparse: Option<HashMap<u32, Variable>>,
    /// The locals of the function that is being inlined, in place of variables.
    pub inlined: Option<Values>,
}

impl Locals {
    fn variable(&self, index: u32) -> Variable {
        match &self.sparse {
            None => Variable::from_u32(index),
            Some(sparse) => sparse[&index],
        }
    }
}

impl<'a> Translator<'a, '_> {
    /// Declares the parameters and locals of `body`. Returns its operators.
    pub(super) fn declare_variables(
        &mut self,
        body: &FunctionBody<'a>,
        entry: Block,
        sig: SigId,
    ) -> Result<OperatorsReader<'a>> {
        let mut runs = Vec::new();
        let parameters = self.signatures()[sig].params.len() as u32;
        let mut end = parameters;
        let mut reader: LocalsReader<'a> = body.get_locals_reader()?;
        for _ in 0..reader.get_count() {
            let (count, ty) = reader.read()?;
            runs.push((end..end + count, ty));
            end += count;
        }
        let operators = OperatorsReader::new(reader.get_binary_reader());
        let named = match end as usize > body.as_bytes().len() {
            true => Some(named_locals(operators.clone())?),
            false => None,
        };
        self.locals.sparse = named.is_some().then(HashMap::new);
        for (index, &ty) in (0..).zip(&self.signatures()[sig].params) {
            let value = self.builder.block_params(entry)[1 + index as usize];
            let variable = self.declare_variable(index, ty);
            self.builder.def_var(variable, value);
        }
        for (range, ty) in runs {
            let ty = self.operand_type(ty);
            match &named {
                None => self.declare_locals(range, ty),
                Some(named) => self.declare_locals(named.range(range).copied(), ty),
            }
        }
        Ok(operators)
    }

    /// Declares locals of one type, initialized to zero or null.
    fn declare_locals(&mut self, locals: impl Iterator<Item = u32>, ty: ValType) {
        let mut locals = locals.peekable();
        if locals.peek().is_none() {
            return;
        }
        let zero = self.zero(ty);
        for index in locals {
            let variable = self.declare_variable(index, ty);
            self.builder.def_var(variable, zero);
        }
    }

    /// Returns the zero or null that locals start with.
    pub(super) fn zero(&mut self, ty: ValType) -> Value {
        match abi::clif_type(ty) {
            types::F32 => self.ins().f32const(Ieee32::with_bits(0)),
            types::F64 => self.ins().f64const(Ieee64::with_bits(0)),
            vector if vector.is_vector() => self.vector_constant(0),
            integer => self.iconst(integer, 0),
        }
    }

    /// Returns the value of a local.
    pub(super) fn local(&mut self, index: u32) -> Value {
        match &self.locals.inlined {
            Some(values) => values[index as usize],
            None => self.builder.use_var(self.locals.variable(index)),
        }
    }

    /// Sets the value of a local.
    pub(super) fn set_local(&mut self, index: u32, value: Value) {
        match &mut self.locals.inlined {
            Some(values) => values[index as usize] = value,
            None => self.builder.def_var(self.locals.variable(index), value),
        }
    }

    fn declare_variable(&mut self, index: u32, ty: ValType) -> Variable {
        let variable = self.builder.declare_var(abi::clif_type(ty));
        self.locals.count += 1;
        if self.is_traced(ty) {
            self.builder.declare_var_needs_stack_map(variable);
            self.locals.traced += 1;
        }
        if let Some(sparse) = &mut self.locals.sparse {
            sparse.insert(index, variable);
        }
        variable
    }
}

/// Returns the parameters and locals that operators name.
fn named_locals(mut operators: OperatorsReader<'_>) -> Result<BTreeSet<u32>> {
    let mut named = BTreeSet::new();
    while !operators.eof() {
        match operators.read()? {
            Operator::LocalGet { local_index }
            | Operator::LocalSet { local_index }
            | Operator::LocalTee { local_index } => _ = named.insert(local_index),
            _ => {}
        }
    }
    Ok(named)
}
