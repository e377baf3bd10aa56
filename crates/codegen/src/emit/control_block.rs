//! Access to the control block from machine code.
//!
//! Every load and store of a [`ControlBlock`] field is emitted here, so that moving a field, or
//! putting a struct in between, changes this file alone.

use super::trap_code;
use crate::abi::POINTER;
use cranelift_codegen::ir::{Function, GlobalValueData, InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::FunctionBuilder;
use mintage_environ::{ControlBlock, Trap, control_offsets};

/// Loads a word that does not change while an instance lives.
pub(crate) fn constant_word(builder: &mut FunctionBuilder<'_>, base: Value, offset: i32) -> Value {
    let flags = MemFlagsData::trusted().with_readonly().with_can_move();
    builder.ins().load(POINTER, flags, base, offset)
}

/// Loads a pointer of the control block. Pointers are written once, before any guest code runs.
fn pointer(builder: &mut FunctionBuilder<'_>, ctx: Value, offset: i32) -> Value {
    constant_word(builder, ctx, ControlBlock::from_ctx(offset))
}

/// Returns the address of the host table.
pub(crate) fn host_imports(builder: &mut FunctionBuilder<'_>, ctx: Value) -> Value {
    pointer(builder, ctx, control_offsets::host_imports)
}

/// Returns the address of the builtin pointer array.
pub(crate) fn builtins(builder: &mut FunctionBuilder<'_>, ctx: Value) -> Value {
    pointer(builder, ctx, control_offsets::builtins)
}

/// Returns the address of the [`ExitRecord`](mintage_environ::ExitRecord).
pub(crate) fn exit_record(builder: &mut FunctionBuilder<'_>, ctx: Value) -> Value {
    pointer(builder, ctx, control_offsets::current)
}

/// Returns the address of the list of data segments' addresses.
pub(crate) fn data_segments(builder: &mut FunctionBuilder<'_>, ctx: Value) -> Value {
    pointer(builder, ctx, control_offsets::data_segments)
}

/// Returns the address of the store's interrupt word.
pub(crate) fn interrupt_word(builder: &mut FunctionBuilder<'_>, ctx: Value) -> Value {
    pointer(builder, ctx, control_offsets::interrupt)
}

/// Returns the address of the store's [`FuelWords`](mintage_environ::FuelWords).
pub(crate) fn fuel_words(builder: &mut FunctionBuilder<'_>, ctx: Value) -> Value {
    pointer(builder, ctx, control_offsets::fuel)
}

/// Loads the Canonical ABI flags of a component instance.
pub(crate) fn load_flags(builder: &mut FunctionBuilder<'_>, ctx: Value) -> Value {
    let offset = ControlBlock::from_ctx(control_offsets::flags);
    builder
        .ins()
        .load(types::I64, MemFlagsData::trusted(), ctx, offset)
}

/// Stores the Canonical ABI flags of a component instance.
pub(crate) fn store_flags(builder: &mut FunctionBuilder<'_>, ctx: Value, flags: Value) {
    let offset = ControlBlock::from_ctx(control_offsets::flags);
    builder
        .ins()
        .store(MemFlagsData::trusted(), flags, ctx, offset);
}

/// Returns `flags` of a component instance without `may_leave`.
pub(crate) fn without_may_leave(builder: &mut FunctionBuilder<'_>, flags: Value) -> Value {
    builder
        .ins()
        .band_imm_s(flags, !(ControlBlock::MAY_LEAVE as i64))
}

/// Traps unless the component instance may call out (`may_leave`). It may not while its `realloc`
/// or `post-return` runs.
pub(crate) fn check_may_leave(builder: &mut FunctionBuilder<'_>, ctx: Value) {
    let flags = load_flags(builder, ctx);
    let may_leave = builder
        .ins()
        .band_imm_u(flags, ControlBlock::MAY_LEAVE as i64);
    builder
        .ins()
        .trapz(may_leave, trap_code(Trap::CannotLeaveComponent));
}

/// Makes `func` check the stack limit on entry.
pub(crate) fn check_stack_limit(func: &mut Function) {
    let ctx = func.create_global_value(GlobalValueData::VMContext);
    let flags = func.dfg.mem_flags.insert_unchecked(MemFlagsData::trusted());
    let limit = func.create_global_value(GlobalValueData::Load {
        base: ctx,
        offset: ControlBlock::from_ctx(control_offsets::stack_limit).into(),
        global_type: POINTER,
        flags,
    });
    func.stack_limit = Some(limit);
}

/// Copies the stack limit of one component instance to another, because only the outermost entry
/// sets it.
pub(crate) fn pass_stack_limit(builder: &mut FunctionBuilder<'_>, from: Value, to: Value) {
    let offset = ControlBlock::from_ctx(control_offsets::stack_limit);
    let trusted = MemFlagsData::trusted();
    let limit = builder.ins().load(POINTER, trusted, from, offset);
    builder.ins().store(trusted, limit, to, offset);
}
