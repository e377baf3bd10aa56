//! Built-ins on tasks, threads, waitables, streams and futures (CanonicalABI.md, from
//! `canon context.get` on). All of this is state of the runtime. Machine code checks `may_leave`,
//! and passes on what it knows.

use crate::abi;
use crate::emit::{FunctionEmitter, Input, StackCheck, Workspace, control_block};
use anyhow::{Context as _, Result, bail};
use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, Value, types};
use mintage_environ::builtin::{end_flags, thread_switch};
use mintage_environ::component::{AsyncValue, ReturnShape};
use mintage_environ::{Builtin, CanonId, ValType};
use mintage_program::{CanonBuiltin, CanonOp};

/// Emits a built-in.
pub(super) fn emit(
    input: &Input<'_>,
    id: CanonId,
    builtin: &CanonBuiltin,
    workspace: &mut Workspace,
) -> Result<()> {
    let signature = &input.program.interface.signatures[builtin.sig];
    let clif = abi::wasm_signature(signature);
    let mut emitter = FunctionEmitter::new(input, clif, StackCheck::OnEntry, workspace);
    if checks_may_leave(builtin.op) {
        control_block::check_may_leave(&mut emitter.builder, emitter.ctx);
    }
    let parameters = std::mem::take(&mut emitter.parameters);
    let result = match builtin.op {
        CanonOp::TaskReturn(result) => {
            let shape = ReturnShape {
                result,
                memory: builtin.options.memory,
                string_encoding: builtin.options.string_encoding,
            };
            let shapes = &input.program.interface.return_shapes;
            let shape = shapes.iter().position(|known| *known == shape);
            let shape = shape.context("internal error: the result of a task has no number")?;
            task_return(
                &mut emitter,
                builtin,
                shape as u32,
                &signature.params,
                &parameters,
            )
        }
        CanonOp::New(value) => new(&mut emitter, builtin, value),
        CanonOp::Read(_) | CanonOp::Write(_) => copy(&mut emitter, id, &parameters)?,
        CanonOp::ContextGet(slot) => {
            let ty = signature.results.first().copied();
            context_get(&mut emitter, builtin, slot, ty)
        }
        op => call(&mut emitter, builtin, op, &parameters)?,
    };
    let results: &[Value] = match &result {
        Some(result) if !signature.results.is_empty() => std::slice::from_ref(result),
        _ => &[],
    };
    emitter.return_(results);
    Ok(())
}

fn checks_may_leave(op: CanonOp) -> bool {
    !matches!(
        op,
        CanonOp::ContextGet(_)
            | CanonOp::ContextSet(_)
            | CanonOp::BackpressureInc
            | CanonOp::BackpressureDec
    )
}

/// Calls the builtin of the runtime for a built-in whose parameters are all passed as they are.
fn call(
    emitter: &mut FunctionEmitter<'_, '_>,
    builtin: &CanonBuiltin,
    op: CanonOp,
    parameters: &[Value],
) -> Result<Option<Value>> {
    let options = &builtin.options;
    let domain = emitter.number(options.domain.as_u32());
    let switch = |kind| (Builtin::ThreadSwitch, vec![kind]);
    let (function, numbers) = match op {
        CanonOp::BackpressureInc => (Builtin::Backpressure, vec![1]),
        CanonOp::BackpressureDec => (Builtin::Backpressure, vec![u32::MAX]),
        CanonOp::TaskCancel => (Builtin::TaskCancel, vec![]),
        CanonOp::ContextSet(slot) => (Builtin::ContextSet, vec![slot]),
        CanonOp::SubtaskDrop => (Builtin::SubtaskDrop, vec![]),
        CanonOp::WaitableSetNew => (Builtin::WaitableSetNew, vec![]),
        CanonOp::WaitableSetDrop => (Builtin::WaitableSetDrop, vec![]),
        CanonOp::WaitableJoin => (Builtin::WaitableJoin, vec![]),
        CanonOp::Forward(value) => (Builtin::EndForward, vec![value.to_u32()]),
        CanonOp::ThreadIndex => (Builtin::ThreadIndex, vec![]),
        CanonOp::ThreadNewIndirect(table, sig) => {
            (Builtin::ThreadNew, vec![table.as_u32(), sig.as_u32()])
        }
        CanonOp::ThreadResumeLater => (Builtin::ThreadResumeLater, vec![]),
        CanonOp::ThreadSuspend => switch(0),
        CanonOp::ThreadYield => switch(thread_switch::YIELD),
        CanonOp::ThreadSuspendThenResume => switch(thread_switch::RESUME),
        CanonOp::ThreadYieldThenResume => switch(thread_switch::YIELD | thread_switch::RESUME),
        CanonOp::ThreadSuspendThenPromote => switch(thread_switch::PROMOTE),
        CanonOp::ThreadYieldThenPromote => switch(thread_switch::YIELD | thread_switch::PROMOTE),
        CanonOp::SubtaskCancel => {
            let is_async = emitter.number(options.is_async.into());
            let arguments = [domain, parameters[0], is_async];
            return Ok(emitter.call_builtin(Builtin::SubtaskCancel, &arguments));
        }
        CanonOp::WaitableSetWait | CanonOp::WaitableSetPoll => {
            let memory = options
                .memory
                .context("internal error: there is no memory")?;
            let place = i64::from(options.domain.as_u32()) | i64::from(memory.as_u32()) << 32;
            let place = emitter.builder.ins().iconst(types::I64, place);
            let pointer = emitter.widen(parameters[1]);
            let function = match op {
                CanonOp::WaitableSetWait => Builtin::WaitableSetWait,
                _ => Builtin::WaitableSetPoll,
            };
            return Ok(emitter.call_builtin(function, &[place, parameters[0], pointer]));
        }
        CanonOp::CancelRead(value) => return Ok(end(emitter, builtin, value, true, parameters[0])),
        CanonOp::CancelWrite(value) => {
            return Ok(end(emitter, builtin, value, true, parameters[0]));
        }
        CanonOp::DropReadable(value) | CanonOp::DropWritable(value) => {
            return Ok(end(emitter, builtin, value, false, parameters[0]));
        }
        _ => bail!("internal error: {} is emitted elsewhere", op.name()),
    };
    let mut arguments = vec![domain];
    arguments.extend(numbers.into_iter().map(|number| emitter.number(number)));
    let wanted = function.params();
    for &parameter in parameters {
        let wide = wanted.get(arguments.len()) == Some(&mintage_environ::builtin::BuiltinType::I64);
        let parameter = if wide {
            emitter.widen(parameter)
        } else {
            parameter
        };
        arguments.push(parameter);
    }
    // Those of threads that name no other thread.
    while arguments.len() < wanted.len() {
        arguments.push(emitter.number(0));
    }
    Ok(emitter.call_builtin(function, &arguments))
}

/// Ends a copy, or drops an end.
fn end(
    emitter: &mut FunctionEmitter<'_, '_>,
    builtin: &CanonBuiltin,
    value: AsyncValue,
    cancels: bool,
    handle: Value,
) -> Option<Value> {
    let writes = matches!(
        builtin.op,
        CanonOp::CancelWrite(_) | CanonOp::DropWritable(_)
    );
    let flags = if writes { end_flags::WRITES } else { 0 }
        | if builtin.options.is_async {
            end_flags::ASYNC
        } else {
            0
        };
    let handle = emitter.widen(handle);
    let domain = i64::from(builtin.options.domain.as_u32()) << 32;
    let domain = emitter.builder.ins().iconst(types::I64, domain);
    let end = emitter.builder.ins().bor(handle, domain);
    let [value, flags] = [value.to_u32(), flags].map(|number| emitter.number(number));
    let function = match cancels {
        true => Builtin::EndCancel,
        false => Builtin::EndDrop,
    };
    emitter.call_builtin(function, &[end, value, flags])
}

/// Reads or writes. A future has room for one value.
fn copy(
    emitter: &mut FunctionEmitter<'_, '_>,
    id: CanonId,
    parameters: &[Value],
) -> Result<Option<Value>> {
    let op = emitter.input.program.end_op(id);
    let op = op.context("internal error: a built-in on ends has no number")?;
    let handle = emitter.widen(parameters[0]);
    let op = i64::from(op.as_u32()) << 32;
    let op = emitter.builder.ins().iconst(types::I64, op);
    let end = emitter.builder.ins().bor(handle, op);
    let pointer = emitter.widen(parameters[1]);
    let (length, wide) = match parameters.get(2) {
        Some(&length) => {
            let ty = emitter.builder.func.dfg.value_type(length);
            (emitter.widen(length), ty == types::I64)
        }
        None => (emitter.builder.ins().iconst(types::I64, 1), false),
    };
    let result = emitter.call_builtin(Builtin::EndCopy, &[end, pointer, length]);
    Ok(match (result, wide) {
        (Some(result), true) => Some(emitter.widen(result)),
        (result, _) => result,
    })
}

/// Creates a stream or future. The result has the handle of the writable end in its high half.
fn new(
    emitter: &mut FunctionEmitter<'_, '_>,
    builtin: &CanonBuiltin,
    value: AsyncValue,
) -> Option<Value> {
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
    let slot = emitter.builder.create_sized_stack_slot(slot);
    let address = emitter.builder.ins().stack_addr(abi::POINTER, slot, 0);
    let numbers = [builtin.options.domain.as_u32(), value.to_u32()];
    let [domain, value] = numbers.map(|number| emitter.number(number));
    let readable = emitter.call_builtin(Builtin::EndNew, &[domain, value, address])?;
    let readable = emitter.widen(readable);
    let writable = emitter
        .builder
        .ins()
        .stack_load(abi::POINTER, types::I32, slot, 0);
    let writable = emitter.widen(writable);
    let writable = emitter.builder.ins().ishl_imm_u(writable, 32);
    Some(emitter.builder.ins().bor(readable, writable))
}

fn context_get(
    emitter: &mut FunctionEmitter<'_, '_>,
    builtin: &CanonBuiltin,
    slot: u32,
    ty: Option<ValType>,
) -> Option<Value> {
    let numbers = [builtin.options.domain.as_u32(), slot];
    let numbers = numbers.map(|number| emitter.number(number));
    let word = emitter.call_builtin(Builtin::ContextGet, &numbers)?;
    Some(match ty {
        Some(ValType::I32) => emitter.builder.ins().ireduce(types::I32, word),
        _ => word,
    })
}

fn task_return(
    emitter: &mut FunctionEmitter<'_, '_>,
    builtin: &CanonBuiltin,
    shape: u32,
    types: &[ValType],
    parameters: &[Value],
) -> Option<Value> {
    let words = emitter.word_array(parameters.len().max(1));
    emitter.store_words(words, types, parameters);
    let numbers = [builtin.options.domain.as_u32(), shape];
    let [domain, shape] = numbers.map(|number| emitter.number(number));
    emitter.call_builtin(Builtin::TaskReturn, &[domain, shape, words])
}
