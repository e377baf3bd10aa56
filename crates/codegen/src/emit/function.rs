//! [`FunctionEmitter`]: a function under construction that is not a translated core function.

use super::{Declarations, Input, Values, Workspace, call_builtin, control_block, widen};
use cranelift_codegen::ir::{
    Block, Function, InstBuilder, Signature as ClifSignature, Value, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use mintage_environ::Builtin;

/// Whether a function checks the stack limit on entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum StackCheck {
    /// The function calls guest code or has a large frame.
    OnEntry,
    /// The function's frame is small, and it leaves for the host, which has a reserve of its own.
    None,
}

/// Gives `func` its signature and its first block, which is returned with the builder.
pub(crate) fn open<'f>(
    func: &'f mut Function,
    buffers: &'f mut FunctionBuilderContext,
    signature: ClifSignature,
    stack_check: StackCheck,
) -> (FunctionBuilder<'f>, Block) {
    func.signature = signature;
    if stack_check == StackCheck::OnEntry {
        control_block::check_stack_limit(func);
    }
    let mut builder = FunctionBuilder::new(func, buffers);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    builder.seal_block(entry);
    (builder, entry)
}

/// A trampoline, adapter or canonical built-in under construction.
pub(crate) struct FunctionEmitter<'a, 'f> {
    pub input: Input<'a>,
    pub builder: FunctionBuilder<'f>,
    pub declarations: &'f mut Declarations,
    /// The context pointer of the component instance that calls, or is called by the host.
    pub ctx: Value,
    /// The parameters that follow `ctx`.
    pub parameters: Vec<Value>,
}

impl<'a, 'f> FunctionEmitter<'a, 'f> {
    /// Starts a function in the workspace.
    pub fn new(
        input: &Input<'a>,
        signature: ClifSignature,
        stack_check: StackCheck,
        workspace: &'f mut Workspace,
    ) -> Self {
        let func = &mut workspace.context.func;
        let (builder, entry) = open(func, &mut workspace.builder, signature, stack_check);
        let ctx = builder.block_params(entry)[0];
        let parameters = builder.block_params(entry)[1..].to_vec();
        Self {
            input: *input,
            builder,
            declarations: &mut workspace.declarations,
            ctx,
            parameters,
        }
    }

    /// Ends the function with a return of `results`.
    pub fn return_(mut self, results: &[Value]) {
        self.builder.ins().return_(results);
        self.finish();
    }

    /// Ends a function whose last block is complete.
    pub fn finish(mut self) {
        self.builder.seal_all_blocks();
        self.builder.finalize(self.input.isa.frontend_config());
    }

    /// Returns a constant argument of a builtin.
    pub fn number(&mut self, number: u32) -> Value {
        self.builder.ins().iconst(types::I32, i64::from(number))
    }

    /// Returns a pointer or length as 64 bits.
    pub fn widen(&mut self, value: Value) -> Value {
        widen(&mut self.builder, value)
    }

    /// Calls a builtin of the runtime. Returns its result if it has one.
    pub fn call_builtin(&mut self, builtin: Builtin, arguments: &[Value]) -> Option<Value> {
        let (builder, ctx) = (&mut self.builder, self.ctx);
        call_builtin(builder, self.declarations, builtin, ctx, arguments)
    }

    /// Calls the code at `address` with a signature of its own.
    pub fn call_address(
        &mut self,
        signature: ClifSignature,
        address: Value,
        arguments: &[Value],
    ) -> Values {
        let signature = self.builder.import_signature(signature);
        let call = self
            .builder
            .ins()
            .call_indirect(signature, address, arguments);
        self.builder.inst_results(call).into()
    }
}
