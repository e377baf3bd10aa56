//! Built-ins on error contexts: `error-context.new`, `error-context.debug-message`,
//! `error-context.drop`.
//!
//! Messages and handle tables belong to the runtime. Machine code checks `may_leave`, and asks
//! `realloc` for the memory of a message.

use super::adapter::AdapterEmitter;
use super::adapter::value::Destination;
use super::start;
use crate::emit::{Input, StackCheck, Workspace, control_block};
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::{InstBuilder, Value};
use mintage_environ::component::{CanonicalAbi, StringEncoding};
use mintage_environ::{Builtin, Trap};
use mintage_program::CanonBuiltin;

/// Emits `error-context.new`: the runtime checks the string, and keeps a part of it.
pub(super) fn new(
    input: &Input<'_>,
    builtin: &CanonBuiltin,
    workspace: &mut Workspace,
) -> Result<()> {
    let (mut emitter, [pointer, units]) = start(input, builtin, StackCheck::OnEntry, workspace)?;
    control_block::check_may_leave(&mut emitter.builder, emitter.ctx);
    let options = &builtin.options;
    let memory = options
        .memory
        .context("internal error: `error-context.new` has no memory")?;
    let numbers = [
        options.domain.as_u32(),
        memory.as_u32(),
        options.string_encoding as u32,
    ];
    let [domain, memory, encoding] = numbers.map(|number| emitter.number(number));
    let [pointer, units] = [pointer, units].map(|value| emitter.widen(value));
    let arguments = [domain, memory, encoding, pointer, units];
    let handle = emitter.call_builtin(Builtin::ErrorContextNew, &arguments);
    emitter.return_(&[handle.context("internal error: a new error context has no handle")?]);
    Ok(())
}

/// Emits `error-context.debug-message`: writes the message to a block from `realloc`, and the
/// block's address and length to memory.
pub(super) fn debug_message(
    input: &Input<'_>,
    builtin: &CanonBuiltin,
    workspace: &mut Workspace,
) -> Result<()> {
    let (mut emitter, [handle, pointer]) = start(input, builtin, StackCheck::OnEntry, workspace)?;
    let (options, ctx) = (&builtin.options, emitter.ctx);
    let mut adapter = AdapterEmitter::new(
        emitter.input,
        &mut emitter.builder,
        emitter.declarations,
        ctx,
        options,
        options,
    )?;
    adapter.check_may_leave();
    write_message(&mut adapter, handle, pointer)?;
    emitter.return_(&[]);
    Ok(())
}

/// Emits `error-context.drop`.
pub(super) fn drop(
    input: &Input<'_>,
    builtin: &CanonBuiltin,
    workspace: &mut Workspace,
) -> Result<()> {
    let (mut emitter, [handle]) = start(input, builtin, StackCheck::OnEntry, workspace)?;
    control_block::check_may_leave(&mut emitter.builder, emitter.ctx);
    let domain = emitter.number(builtin.options.domain.as_u32());
    emitter.call_builtin(Builtin::ErrorContextDrop, &[domain, handle]);
    emitter.return_(&[]);
    Ok(())
}

/// Writes the message of the error context behind `handle` to a new block, and the block's address
/// and length to `pointer`.
fn write_message(
    adapter: &mut AdapterEmitter<'_, '_, '_>,
    handle: Value,
    pointer: Value,
) -> Result<()> {
    let side = adapter.dst;
    let pointer = adapter.widen(pointer);
    let pair = adapter.spilled(side, pointer, CanonicalAbi::POINTER_PAIR)?;
    let domain = adapter.number(side.domain.as_u32());
    let encoding = adapter.number(side.encoding as u32);
    let units = adapter
        .call_builtin(Builtin::ErrorContextUnits, &[domain, handle, encoding])
        .context("internal error: the message of an error context has no length")?;
    let mut units = adapter.widen(units);
    let bytes = match side.encoding {
        StringEncoding::Utf8 => units,
        StringEncoding::Utf16 => adapter.builder.ins().iadd(units, units),
        StringEncoding::CompactUtf16 => {
            // The tag is 1 if code units have two bytes.
            let tag = adapter.builder.ins().ushr_imm_u(units, 31);
            let count = adapter.builder.ins().band_imm_u(units, 0x7fff_ffff);
            if side.index64 {
                let tag = adapter.builder.ins().ishl_imm_u(tag, 63);
                units = adapter.builder.ins().bor(count, tag);
            }
            adapter.builder.ins().ishl(count, tag)
        }
    };
    let align = match side.encoding {
        StringEncoding::Utf8 => 1,
        StringEncoding::Utf16 | StringEncoding::CompactUtf16 => 2,
    };
    let block = adapter.realloc(None, align, bytes, Trap::ReallocStringOutOfBounds)?;
    let place = adapter.address(side, block);
    let arguments = [domain, handle, encoding, place.address, bytes];
    adapter.call_builtin(Builtin::ErrorContextMessage, &arguments);
    adapter.write_pair(&mut Destination::Memory(pair), block, units)
}
