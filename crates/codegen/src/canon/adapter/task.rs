//! Calls of functions of `async` type. Such a call is a task: it may start later than it is made,
//! and go on after it has returned. So its adapter is in parts, which the runtime calls:
//!
//! ```text
//! caller     what the caller calls: leaves its core arguments in an array for the runtime
//! start      lifts the parameters where the caller left them, lowers them, calls the callee;
//!            passes the result of a callee that is lifted without `async`
//! return     passes the result that the callee gives by `task.return`
//! copy       passes elements of a stream, or the value of a future
//! ```
//!
//! The array of `start` has the number of the scope that handles are lent to in word 0, and the
//! caller's core arguments from word 1 on. `start` leaves the result of a callee with a callback in
//! word 0, and a flat result for the caller in word 1. The array of `return` has the arguments of
//! `task.return`, and the caller's pointer for the result in word [`RESULT_POINTER`]. A flat result
//! for the caller is left in word 0.

use super::emitter::{AdapterEmitter, Loans};
use super::value::{Destination, Source};
use super::{fits_one_value, parameter_types};
use crate::abi;
use crate::emit::{FunctionEmitter, Input, StackCheck, Values, Workspace, control_block};
use anyhow::{Context as _, Result, bail};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use mintage_environ::builtin::RESULT_POINTER;
use mintage_environ::component::{CanonOptions, FuncAbi, InterfaceType};
use mintage_environ::{AdapterId, Builtin, CanonId, CopyId, Index as _, ValType};
use mintage_program::Adapter;

/// Emits what the caller calls.
pub(super) fn caller(
    mut emitter: FunctionEmitter<'_, '_>,
    id: AdapterId,
    adapter: &Adapter,
) -> Result<()> {
    control_block::check_may_leave(&mut emitter.builder, emitter.ctx);
    let signature = &emitter.input.program.interface.signatures[adapter.sig];
    // The runtime writes word 1, whether there is a result or not.
    let words = emitter.word_array(1 + signature.array_words().max(1));
    let arguments = emitter.builder.ins().iadd_imm_u(words, 8);
    let parameters = std::mem::take(&mut emitter.parameters);
    emitter.store_words(arguments, &signature.params, &parameters);
    let number = emitter.number(id.as_u32());
    let status = emitter
        .call_builtin(Builtin::CallTask, &[number, words])
        .context("internal error: a call of a task has no result")?;
    match adapter.lower.is_async {
        true => emitter.return_(&[status]),
        false => {
            let results = emitter.load_words(arguments, &signature.results);
            emitter.return_(&results);
        }
    }
    Ok(())
}

/// Starts a function that the runtime calls with an array of words, which is returned.
fn open<'a, 'f>(
    input: &Input<'a>,
    workspace: &'f mut Workspace,
) -> Result<(FunctionEmitter<'a, 'f>, Value)> {
    let clif = abi::entry_signature(&**input.isa);
    let emitter = FunctionEmitter::new(input, clif, StackCheck::OnEntry, workspace);
    match emitter.parameters[..] {
        [_, words] => Ok((emitter, words)),
        _ => bail!("internal error: an entry trampoline has three parameters"),
    }
}

fn adapter<'a>(input: &Input<'a>, id: AdapterId) -> Result<&'a Adapter> {
    let adapter = input.program.adapters.get(id);
    adapter.context("internal error: no such adapter")
}

/// Emits the function that starts a task.
pub(crate) fn start(input: &Input<'_>, id: AdapterId, workspace: &mut Workspace) -> Result<()> {
    let adapter = adapter(input, id)?;
    let (mut emitter, words) = open(input, workspace)?;
    let interface = &input.program.interface;
    let (lower, lift) = (&adapter.lower, &adapter.lift);
    let call = emitter
        .builder
        .ins()
        .load(types::I32, MemFlagsData::trusted(), words, 0);
    let place = emitter.builder.ins().iadd_imm_u(words, 8);
    let signature = &interface.signatures[adapter.sig];
    let arguments = emitter.load_words(place, &signature.params);
    let func = interface.types.func(adapter.ty);

    let mut sides = AdapterEmitter::of_function(&mut emitter, lower, &lift.options)?;
    sides.pass_stack_limit();
    if interface.types.has_borrows(adapter.ty) {
        sides.loans = Loans::Listed(call);
    }
    let (parameters, rest) = parameters(&mut sides, adapter, &arguments)?;
    let results = sides.call(sides.dst, lift.callee, &parameters);
    let mut to_store: Option<(ValType, Value, i32)> = None;
    match lift.abi() {
        FuncAbi::CallbackLift => {
            let code = *results
                .first()
                .context("internal error: a function with a callback has no result")?;
            to_store = Some((ValType::I32, code, 0));
        }
        FuncAbi::StackfulLift => {}
        _ => {
            sides.turn();
            if let Some(ty) = func.result {
                let values = Values::from_slice(&results);
                let from = spilled_or_flat(&mut sides, ty, &values, fits_one_value)?;
                let flat = pass_result(&mut sides, lower, ty, from, rest.first().copied())?;
                if let Some(value) = flat {
                    let ty = signature.results.first().copied().unwrap_or(ValType::I32);
                    to_store = Some((ty, value, 8));
                }
            }
            if let Some(post_return) = lift.post_return {
                sides.post_return(post_return, &results);
            }
        }
    }
    if let Some((ty, value, offset)) = to_store {
        let place = emitter.builder.ins().iadd_imm_u(words, i64::from(offset));
        emitter.store_words(place, &[ty], &[value]);
    }
    emitter.return_(&[]);
    Ok(())
}

/// Passes the parameters of a task. Returns the callee's core arguments, and those of the caller
/// that belong to the result.
fn parameters<'v>(
    sides: &mut AdapterEmitter<'_, '_, '_>,
    adapter: &Adapter,
    arguments: &'v [Value],
) -> Result<(Vec<Value>, &'v [Value])> {
    let types = parameter_types(sides.types, adapter);
    let abi = sides.types.params_abi(sides.types.func(adapter.ty));
    let (flat, rest, place);
    let mut from = match adapter.lower.lower_abi().flat_params(abi) {
        Some(count) => {
            (flat, rest) = arguments.split_at(count);
            Source::Flat(flat.iter())
        }
        None => {
            let pointer = arguments.first();
            let pointer = *pointer.context("internal error: spilled parameters have no pointer")?;
            rest = &arguments[1..];
            let pointer = sides.widen(pointer);
            place = sides.spilled(sides.src, pointer, abi)?;
            Source::Memory(place)
        }
    };
    match abi.flat_count {
        Some(_) => {
            let mut to = Destination::Flat(Vec::new());
            sides.fields(&types, &mut from, &mut to)?;
            Ok((to.into_flat(), rest))
        }
        None => {
            let (pointer, mut to) = sides.block_for(abi)?;
            sides.fields(&types, &mut from, &mut to)?;
            Ok((vec![sides.as_index(sides.dst, pointer)], rest))
        }
    }
}

/// Returns where the source side has left a value: flat if `is_flat` says so, or else behind a
/// pointer.
fn spilled_or_flat<'v>(
    sides: &mut AdapterEmitter<'_, '_, '_>,
    ty: InterfaceType,
    values: &'v [Value],
    is_flat: fn(mintage_environ::component::CanonicalAbi) -> bool,
) -> Result<Source<'v>> {
    let abi = sides.types.abi(ty);
    if is_flat(abi) {
        return Ok(Source::Flat(values.iter()));
    }
    let pointer = *values
        .first()
        .context("internal error: a spilled result has no pointer")?;
    let pointer = sides.widen(pointer);
    Ok(Source::Memory(sides.spilled(sides.src, pointer, abi)?))
}

/// Passes the result to the caller, which is the destination side: behind its pointer, or as a flat
/// value, which is returned.
fn pass_result(
    sides: &mut AdapterEmitter<'_, '_, '_>,
    lower: &CanonOptions,
    ty: InterfaceType,
    mut from: Source<'_>,
    pointer: Option<Value>,
) -> Result<Option<Value>> {
    let abi = sides.types.abi(ty);
    if !lower.is_async && fits_one_value(abi) {
        let mut to = Destination::Flat(Vec::new());
        sides.transfer(ty, &mut from, &mut to)?;
        return Ok(to.into_flat().first().copied());
    }
    let pointer = pointer.context("internal error: a caller has no pointer for the result")?;
    let pointer = sides.widen(pointer);
    let place = sides.spilled(sides.dst, pointer, abi)?;
    sides.transfer(ty, &mut from, &mut Destination::Memory(place))?;
    Ok(None)
}

/// Emits the function that passes the result of a task.
pub(crate) fn result(input: &Input<'_>, id: AdapterId, workspace: &mut Workspace) -> Result<()> {
    let adapter = adapter(input, id)?;
    let (mut emitter, words) = open(input, workspace)?;
    let types = &input.program.interface.types;
    if let Some(ty) = types.func(adapter.ty).result {
        let options = &adapter.lift.options;
        let index64 = |options: &CanonOptions| {
            let memory = options.memory.map(|id| &input.layout.memories[id]);
            memory.is_some_and(|memory| memory.index64)
        };
        let given = types.task_return_signature(Some(ty), index64(options));
        let values = emitter.load_words(words, &given.params);
        let pointer = match index64(&adapter.lower) {
            true => ValType::I64,
            false => ValType::I32,
        };
        let place = emitter
            .builder
            .ins()
            .iadd_imm_u(words, RESULT_POINTER as i64 * 8);
        let pointer = emitter.load_words(place, &[pointer])[0];
        let mut sides = AdapterEmitter::of_function(&mut emitter, options, &adapter.lower)?;
        sides.pass_stack_limit();
        let from = spilled_or_flat(&mut sides, ty, &values, |abi| abi.flat_count.is_some())?;
        let flat = pass_result(&mut sides, &adapter.lower, ty, from, Some(pointer))?;
        if let Some(value) = flat {
            let signature = &input.program.interface.signatures[adapter.sig];
            let ty = signature.results.first().copied().unwrap_or(ValType::I32);
            emitter.store_words(words, &[ty], &[value]);
        }
    }
    emitter.return_(&[]);
    Ok(())
}

/// Emits the function that copies values between the buffers of a writing and a reading built-in.
/// Its array has the address of the first value, that of the room for it, and the number of values.
pub(crate) fn copy(input: &Input<'_>, id: CopyId, workspace: &mut Workspace) -> Result<()> {
    let program = input.program;
    let &(write, read) = program
        .interface
        .copies
        .get(id.index())
        .context("internal error: no such copy")?;
    let options = |canon: Option<&CanonId>| -> Result<&CanonOptions> {
        let builtin = canon.and_then(|&canon| program.canons.get(canon));
        Ok(&builtin.context("internal error: no such built-in")?.options)
    };
    let from = options(program.end_canons.get(write.index()))?;
    let to = options(program.end_canons.get(read.index()))?;
    let payload = program.interface.end_ops[write]
        .value
        .payload(&program.interface.types);
    let payload = payload.context("internal error: there is nothing to copy")?;
    let (mut emitter, words) = open(input, workspace)?;
    let loaded = emitter.load_words(words, &[ValType::I64; 3]);
    let mut sides = AdapterEmitter::of_function(&mut emitter, from, to)?;
    sides.pass_stack_limit();
    sides.copy_values(payload, loaded[0], loaded[1], loaded[2])?;
    emitter.return_(&[]);
    Ok(())
}
