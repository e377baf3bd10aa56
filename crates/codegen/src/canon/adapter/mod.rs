//! Adapters: calls from one component instance to another (CanonicalABI.md, `canon lower` of a
//! `canon lift`), as one function that reads values where the caller left them and writes them
//! where the callee expects them.
//!
//! ```text
//! mod         the call: checks, parameters, the callee, results, post-return
//! fuse        the builder: contexts, bounds, realloc, calls
//! place       where values are read from and written to: flat or in memory
//! scalar, aggregate, list, string, resource, error_context       one family of types each
//! ```
//!
//! The specification lifts all values before it lowers the first. Here each value is lowered as
//! soon as it is lifted, which only shows in which of several traps comes first: `realloc`, the
//! only guest code that runs meanwhile, cannot call out.
//!
//! A component instance may be entered while it is on the stack, by itself, too: the specification
//! has no rule against it.

mod aggregate;
mod builder;
mod list;
mod resource;
mod scalar;
mod string;
pub(crate) mod value;

use crate::abi;
use crate::compiler::{Input, Scratch};
use crate::emit::{Declarations, FunctionEmitter, StackCheck};
use anyhow::{Context as _, Result, bail};
pub(crate) use builder::AdapterBuilder;
use cranelift_codegen::ir::Value;
use cranelift_frontend::FunctionBuilder;
use mintage_environ::component::{CanonicalAbi, ComponentTypes, InterfaceType, MAX_FLAT_RESULTS};
use mintage_environ::{AdapterId, Trap, unsupported};
use mintage_program::{Adapter, Program};
use value::{Destination, Source};

/// The adapter `id`.
pub(crate) fn adapter(input: &Input<'_>, id: AdapterId, scratch: &mut Scratch) -> Result<()> {
    let adapter = input
        .program
        .adapters
        .get(id)
        .context("internal error: no such adapter")?;
    let signature = abi::wasm_signature(&input.program.interface.signatures[adapter.sig]);
    let mut emitter = FunctionEmitter::new(input, signature, StackCheck::OnEntry, scratch);
    let (ctx, parameters) = (emitter.ctx, std::mem::take(&mut emitter.parameters));
    let (builder, declarations) = (&mut emitter.builder, &mut *emitter.declarations);
    let results = call(input, builder, declarations, adapter, ctx, &parameters)?;
    emitter.return_(&results);
    Ok(())
}

/// The adapter `id`, if its code is so short that it stands in place of each call: it passes
/// numbers on, without touching a memory, a handle or a block of its own. What it saves is a second
/// round of arguments on the stack.
///
/// Where exceptions can be thrown it keeps a frame of its own: that is where they stop.
pub(crate) fn inlined<'a>(program: &'a Program<'_>, id: AdapterId) -> Option<&'a Adapter> {
    let adapter = program.adapters.get(id)?;
    let types = &program.interface.types;
    let func = types.func(adapter.ty);
    let few = types.params_abi(func).flat_count.is_some()
        && func.result.is_none_or(|ty| is_one(types.abi(ty)));
    let plain = || {
        let mut values = func.params.iter().map(|&(_, ty)| ty).chain(func.result);
        values.all(|ty| is_numbers(types, ty))
    };
    let throws = !program.tags.is_empty();
    (!throws && few && adapter.lift.post_return.is_none() && plain()).then_some(adapter)
}

/// Whether a result needs no memory.
fn is_one(abi: CanonicalAbi) -> bool {
    abi.flat_count
        .is_some_and(|count| usize::from(count) <= MAX_FLAT_RESULTS)
}

/// Whether a type is made of numbers alone.
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
        T::Own(_) | T::Borrow(_) | T::ErrorContext => false,
    }
}

/// The whole of an adapter that gets `arguments` of the caller with the context pointer `ctx`,
/// where `builder` stands: what it returns.
pub(crate) fn call(
    input: &Input<'_>,
    builder: &mut FunctionBuilder<'_>,
    declarations: &mut Declarations,
    adapter: &Adapter,
    ctx: Value,
    arguments: &[Value],
) -> Result<Vec<Value>> {
    let fuse = &mut AdapterBuilder::new(
        *input,
        builder,
        declarations,
        ctx,
        &adapter.lower,
        &adapter.lift.options,
    )?;
    let types = fuse.types;
    let func = types.func(adapter.ty);
    if func.is_async {
        bail!(unsupported!(
            "a call of an async function is not supported yet"
        ));
    }
    fuse.check_may_leave();
    fuse.pass_stack_limit();

    if types.has_borrows(adapter.ty) {
        fuse.enter_call();
    }
    let mut arguments = arguments.iter();
    let params: Vec<InterfaceType> = func.params.iter().map(|&(_, ty)| ty).collect();
    let params = parameters(fuse, adapter, &params, &mut arguments)?;
    let callee = adapter.lift.callee;
    let results = fuse.call(fuse.dst, callee, &params);

    fuse.turn();
    let returned = match func.result {
        Some(ty) => result(fuse, ty, &results, arguments.as_slice())?,
        None => Vec::new(),
    };
    fuse.exit_call();
    if let Some(post_return) = adapter.lift.post_return {
        fuse.post_return(post_return, &results)?;
    }
    Ok(returned)
}

/// Passes the parameters: the callee's core arguments. What is left of `arguments` belongs to the
/// result.
fn parameters(
    fuse: &mut AdapterBuilder<'_, '_, '_>,
    adapter: &Adapter,
    params: &[InterfaceType],
    arguments: &mut std::slice::Iter<'_, Value>,
) -> Result<Vec<Value>> {
    let abi = fuse.types.params_abi(fuse.types.func(adapter.ty));
    let Some(count) = abi.flat_count else {
        let pointer = *arguments
            .next()
            .context("internal error: spilled parameters have no pointer")?;
        let pointer = fuse.widen(pointer);
        let src = fuse.spilled(fuse.src, pointer, abi)?;
        let size = fuse.size(abi.size(fuse.dst.index64));
        let align = abi.align(fuse.dst.index64);
        let pointer = fuse.realloc(None, align, size, Trap::ReallocOutOfBounds)?;
        let dst = fuse.address(fuse.dst, pointer)?;
        fuse.fields(
            params,
            &mut Source::Memory(src),
            &mut Destination::Memory(dst),
        )?;
        return Ok(vec![fuse.as_index(fuse.dst, pointer)]);
    };
    let (flat, rest) = arguments.as_slice().split_at(count.into());
    *arguments = rest.iter();
    let mut to = Destination::Flat(Vec::new());
    fuse.fields(params, &mut Source::Flat(flat.iter()), &mut to)?;
    Ok(to.into_flat())
}

/// Passes the result, after the sides have been turned round: what the adapter returns. `rest` is
/// the caller's return pointer, if there is one.
fn result(
    fuse: &mut AdapterBuilder<'_, '_, '_>,
    ty: InterfaceType,
    results: &[Value],
    rest: &[Value],
) -> Result<Vec<Value>> {
    let abi = fuse.types.abi(ty);
    if is_one(abi) {
        let mut to = Destination::Flat(Vec::new());
        fuse.transfer(ty, &mut Source::Flat(results.iter()), &mut to)?;
        return Ok(to.into_flat());
    }
    let (&[src], &[dst]) = (results, rest) else {
        bail!("internal error: a spilled result has no pointer")
    };
    let src = fuse.widen(src);
    let src = fuse.spilled(fuse.src, src, abi)?;
    let dst = fuse.widen(dst);
    let dst = fuse.spilled(fuse.dst, dst, abi)?;
    fuse.transfer(ty, &mut Source::Memory(src), &mut Destination::Memory(dst))?;
    Ok(Vec::new())
}
