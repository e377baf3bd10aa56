//! Adapters: calls from one component instance to another (CanonicalABI.md, `canon lower` of a
//! `canon lift`). An adapter is one function that reads values where the caller left them and
//! writes them where the callee expects them.
//!
//! ```text
//! mod            the call: checks, parameters, the callee, results, post-return
//! emitter        both sides, bounds checks, `realloc`, calls
//! value          the places of values: flat or in memory
//! scalar, aggregate, list, string, resource      one family of types each
//! task           calls of functions of `async` type
//! ```
//!
//! The specification lifts all values before it lowers the first. An adapter lowers each value as
//! soon as it is lifted. That only decides which of several traps is first, because `realloc`, the
//! only guest code that runs in between, cannot call out.
//!
//! A component instance may be entered while it is on the stack, even by itself; the specification
//! has no rule against it.

mod aggregate;
mod emitter;
mod list;
mod resource;
mod scalar;
mod string;
pub(crate) mod task;
pub(crate) mod value;

use crate::abi;
use crate::emit::{Declarations, FunctionEmitter, Input, StackCheck, Workspace};
use anyhow::{Context as _, Result, bail};
use cranelift_codegen::ir::Value;
use cranelift_frontend::FunctionBuilder;
pub(crate) use emitter::AdapterEmitter;
use mintage_environ::component::{
    CanonicalAbi, ComponentTypes, InterfaceType, MAX_FLAT_RESULTS, Resource,
};
use mintage_environ::{AdapterId, DomainId};
use mintage_program::{Adapter, Program};
use value::{Destination, Source};

/// Emits the adapter `id`.
pub(crate) fn emit(input: &Input<'_>, id: AdapterId, workspace: &mut Workspace) -> Result<()> {
    let adapter = input
        .program
        .adapters
        .get(id)
        .context("internal error: no such adapter")?;
    let signature = abi::wasm_signature(&input.program.interface.signatures[adapter.sig]);
    let mut emitter = FunctionEmitter::new(input, signature, StackCheck::OnEntry, workspace);
    if input.program.interface.types.func(adapter.ty).is_async {
        return task::caller(emitter, id, adapter);
    }
    let (ctx, parameters) = (emitter.ctx, std::mem::take(&mut emitter.parameters));
    let (builder, declarations) = (&mut emitter.builder, &mut *emitter.declarations);
    let results = body(input, builder, declarations, adapter, ctx, &parameters)?;
    emitter.return_(&results);
    Ok(())
}

/// Returns the adapter `id` if its code is short enough to be inlined at each call: it passes only
/// numbers, without a memory, a handle or a block of its own. Inlining saves a second round of
/// arguments on the stack.
///
/// Adapters are not inlined if exceptions can be thrown, because exceptions stop at the frame of an
/// adapter.
pub(crate) fn inlinable<'a>(program: &'a Program<'_>, id: AdapterId) -> Option<&'a Adapter> {
    let adapter = program.adapters.get(id)?;
    let types = &program.interface.types;
    let func = types.func(adapter.ty);
    let is_task = func.is_async || asks_for_tasks(program, adapter.lift.options.domain);
    let few = types.params_abi(func).flat_count.is_some()
        && func.result.is_none_or(|ty| fits_one_value(types.abi(ty)));
    let only_numbers = || {
        let mut values = func.params.iter().map(|&(_, ty)| ty).chain(func.result);
        values.all(|ty| is_numbers(types, ty))
    };
    let throws = !program.tags.is_empty();
    (!is_task && !throws && few && adapter.lift.post_return.is_none() && only_numbers())
        .then_some(adapter)
}

/// Returns whether a result is returned as a core value instead of through memory.
fn fits_one_value(abi: CanonicalAbi) -> bool {
    abi.flat_count
        .is_some_and(|count| usize::from(count) <= MAX_FLAT_RESULTS)
}

/// Returns whether a type consists of numbers only.
fn is_numbers(types: &ComponentTypes, ty: InterfaceType) -> bool {
    use InterfaceType as T;
    match ty {
        T::Bool | T::S8 | T::U8 | T::S16 | T::U16 | T::S32 | T::U32 | T::S64 | T::U64 => true,
        T::F32 | T::F64 | T::Char | T::Flags(_) | T::Enum(_) => true,
        T::Record(id) => types
            .record(id)
            .fields
            .iter()
            .all(|&(_, ty)| is_numbers(types, ty)),
        T::Tuple(id) => types.tuple(id).iter().all(|&ty| is_numbers(types, ty)),
        T::String | T::List(_) | T::Map(_) | T::Variant(_) | T::Option(_) | T::Result(_) => false,
        T::Own(_) | T::Borrow(_) | T::Stream(_) | T::Future(_) | T::ErrorContext => false,
    }
}

/// Returns whether a component instance has built-ins that ask which task runs, so that the runtime
/// must know of calls.
fn asks_for_tasks(program: &Program<'_>, domain: DomainId) -> bool {
    let domains = &program.interface.concurrent_domains;
    domains.binary_search(&domain).is_ok()
}

/// Returns whether each handle that a call lends is a parameter, and of a type that the callee
/// defines. The callee then gets representations instead of handles that it would have to drop.
fn lends_to_definer(program: &Program<'_>, adapter: &Adapter) -> bool {
    let types = &program.interface.types;
    let callee = adapter.lift.options.domain;
    let is_definer = |id| match program.interface.resources.get(id) {
        Some(&Resource::Defined { domain, .. }) => domain == callee,
        _ => false,
    };
    let params = &types.func(adapter.ty).params;
    params.iter().all(|&(_, ty)| match ty {
        InterfaceType::Borrow(id) => is_definer(id),
        _ => !types.contains_borrows(ty),
    })
}

/// Emits the body of an adapter at the current place of `builder`, for a caller with the context
/// pointer `ctx`. Returns what the adapter returns for `arguments`.
pub(crate) fn body(
    input: &Input<'_>,
    builder: &mut FunctionBuilder<'_>,
    declarations: &mut Declarations,
    adapter: &Adapter,
    ctx: Value,
    arguments: &[Value],
) -> Result<Vec<Value>> {
    let emitter = &mut AdapterEmitter::new(
        *input,
        builder,
        declarations,
        ctx,
        &adapter.lower,
        &adapter.lift.options,
    )?;
    let types = emitter.types;
    let func = types.func(adapter.ty);
    emitter.check_may_leave();
    emitter.pass_stack_limit();

    if types.has_borrows(adapter.ty) {
        emitter.enter_call(lends_to_definer(input.program, adapter));
    }
    let mut arguments = arguments.iter();
    let params = parameter_types(types, adapter);
    let params = parameters(emitter, adapter, &params, &mut arguments)?;
    let callee = adapter.lift.callee;
    let task = match asks_for_tasks(input.program, adapter.lift.options.domain) {
        true => emitter.enter_task(),
        false => None,
    };
    let results = emitter.call(emitter.dst, callee, &params);

    emitter.turn();
    let returned = match func.result {
        Some(ty) => result(emitter, ty, &results, arguments.as_slice())?,
        None => Vec::new(),
    };
    emitter.exit_call();
    if let Some(post_return) = adapter.lift.post_return {
        emitter.post_return(post_return, &results);
    }
    emitter.exit_task(task);
    Ok(returned)
}

/// Returns the types of the parameters.
fn parameter_types(types: &ComponentTypes, adapter: &Adapter) -> Vec<InterfaceType> {
    let func = types.func(adapter.ty);
    func.params.iter().map(|&(_, ty)| ty).collect()
}

/// Passes the parameters. Returns the callee's core arguments, and leaves in `arguments` those that
/// belong to the result.
fn parameters(
    emitter: &mut AdapterEmitter<'_, '_, '_>,
    adapter: &Adapter,
    params: &[InterfaceType],
    arguments: &mut std::slice::Iter<'_, Value>,
) -> Result<Vec<Value>> {
    let abi = emitter.types.params_abi(emitter.types.func(adapter.ty));
    let Some(count) = abi.flat_count else {
        let pointer = *arguments
            .next()
            .context("internal error: spilled parameters have no pointer")?;
        let pointer = emitter.widen(pointer);
        let src = emitter.spilled(emitter.src, pointer, abi)?;
        let (pointer, mut dst) = emitter.block_for(abi)?;
        emitter.fields(params, &mut Source::Memory(src), &mut dst)?;
        return Ok(vec![emitter.as_index(emitter.dst, pointer)]);
    };
    let (flat, rest) = arguments.as_slice().split_at(count.into());
    *arguments = rest.iter();
    let mut to = Destination::Flat(Vec::new());
    emitter.fields(params, &mut Source::Flat(flat.iter()), &mut to)?;
    Ok(to.into_flat())
}

/// Passes the result, after the sides were swapped. Returns what the adapter returns. `rest` is the
/// return pointer of the caller, if there is one.
fn result(
    emitter: &mut AdapterEmitter<'_, '_, '_>,
    ty: InterfaceType,
    results: &[Value],
    rest: &[Value],
) -> Result<Vec<Value>> {
    let abi = emitter.types.abi(ty);
    if fits_one_value(abi) {
        let mut to = Destination::Flat(Vec::new());
        emitter.transfer(ty, &mut Source::Flat(results.iter()), &mut to)?;
        return Ok(to.into_flat());
    }
    let (&[src], &[dst]) = (results, rest) else {
        bail!("internal error: a spilled result has no pointer")
    };
    let src = emitter.widen(src);
    let src = emitter.spilled(emitter.src, src, abi)?;
    let dst = emitter.widen(dst);
    let dst = emitter.spilled(emitter.dst, dst, abi)?;
    emitter.transfer(ty, &mut Source::Memory(src), &mut Destination::Memory(dst))?;
    Ok(Vec::new())
}
