//! The input of code generation, and the buffers that it works in.

use super::Declarations;
use crate::abi;
use anyhow::{Context as _, Result};
use cranelift_codegen::Context;
use cranelift_codegen::entity::PrimaryMap;
use cranelift_codegen::ir::UserFuncName;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_frontend::FunctionBuilderContext;
use mintage_environ::layout::SlabLayout;
use mintage_environ::{DomainId, FuncKey, Tunables};
use mintage_program::Program;

/// The input that a function is generated from.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub program: &'a Program<'a>,
    pub layout: &'a SlabLayout,
    pub isa: &'a OwnedTargetIsa,
    pub tunables: &'a Tunables,
    /// The limit on the values of one function.
    pub function_values: usize,
}

impl Input<'_> {
    /// Returns the distance between the context pointers of two component instances.
    pub fn ctx_distance(&self, from: DomainId, to: DomainId) -> Result<i64> {
        let ctx_of = |domain: DomainId| {
            let layout = self.layout.domains.get(domain);
            let layout = layout.context("internal error: no such component instance")?;
            anyhow::Ok(layout.ctx)
        };
        Ok(ctx_of(to)?.wrapping_sub(ctx_of(from)?) as i64)
    }
}

/// The effort that the code generator makes for a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// As much as the settings ask for.
    Full,
    /// The least possible, for functions on which more would take time with the square of their
    /// size.
    Least,
}

/// The buffers that a function is built in, reused from function to function.
pub(crate) struct Workspace {
    pub context: Context,
    pub builder: FunctionBuilderContext,
    pub declarations: Declarations,
    /// The effort that the function is worth.
    pub effort: Effort,
    /// The number of operands that the function copies to calls and branches.
    pub copied: usize,
}

impl Default for Workspace {
    fn default() -> Self {
        Self {
            context: Context::new(),
            builder: FunctionBuilderContext::new(),
            declarations: Declarations::default(),
            effort: Effort::Full,
            copied: 0,
        }
    }
}

impl Workspace {
    /// Forgets the last function, and starts the function `key`.
    pub fn start(&mut self, key: FuncKey) {
        self.context.clear();
        // `clear` forgets these, which would make equal functions differ.
        self.context.func.dfg.exception_tables = PrimaryMap::new();
        self.context.func.name = UserFuncName::User(abi::external_name(key));
        self.declarations.clear();
        self.effort = Effort::Full;
        self.copied = 0;
    }

    /// Returns the number of values of the function, counting operands that are copied to calls
    /// and branches.
    pub fn values(&self) -> usize {
        self.copied + self.context.func.dfg.num_values()
    }
}
