//! Built-ins on resource handles: `resource.new`, `resource.rep`, `resource.drop` (CanonicalABI.md,
//! "Canonical Definitions").
//!
//! The handle tables are the runtime's. What is left to machine code is the test of `may_leave`,
//! and to destroy what a dropped handle owned: a direct call of the destructor in the instance that
//! defines the resource, or of the host's.

use crate::abi;
use crate::compiler::{Input, Scratch};
use crate::trampoline::Trampoline;
use anyhow::{Context as _, Result, bail};
use cranelift_codegen::ir::{
    InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Value, types,
};
use mintage_environ::component::{CoreCallee, Resource};
use mintage_environ::{
    Builtin, CanonId, ControlBlock, DomainId, FuncKey, ResourceId, ValType, control_offsets,
};
use mintage_program::CanonBuiltin;

/// `resource.new`.
pub(super) fn new(
    input: &Input<'_>,
    builtin: &CanonBuiltin,
    resource: ResourceId,
    scratch: &mut Scratch,
) -> Result<()> {
    let (mut trampoline, representation) = start(input, builtin, scratch)?;
    trampoline.check_may_leave();
    return_from(
        trampoline,
        Builtin::ResourceNew,
        builtin,
        resource,
        representation,
    );
    Ok(())
}

/// `resource.rep`, which does not check `may_leave`.
pub(super) fn rep(
    input: &Input<'_>,
    builtin: &CanonBuiltin,
    resource: ResourceId,
    scratch: &mut Scratch,
) -> Result<()> {
    let (trampoline, handle) = start(input, builtin, scratch)?;
    return_from(trampoline, Builtin::ResourceRep, builtin, resource, handle);
    Ok(())
}

/// Returns what a builtin of the runtime returns for `argument`.
fn return_from(
    mut trampoline: Trampoline<'_, '_>,
    runtime: Builtin,
    builtin: &CanonBuiltin,
    resource: ResourceId,
    argument: Value,
) {
    let numbers = [builtin.options.domain.as_u32(), resource.as_u32()];
    let results = call_builtin(&mut trampoline, runtime, numbers, &[argument]);
    trampoline.builder.ins().return_(&results);
    trampoline.finish();
}

/// `resource.drop`: removes a handle, and destroys the resource when the handle owned it.
pub(super) fn drop(
    input: &Input<'_>,
    id: CanonId,
    builtin: &CanonBuiltin,
    resource: ResourceId,
    scratch: &mut Scratch,
) -> Result<()> {
    let (mut trampoline, handle) = start(input, builtin, scratch)?;
    trampoline.check_may_leave();
    let here = builtin.options.domain;
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
    let slot = trampoline.builder.create_sized_stack_slot(slot);
    let address = trampoline.builder.ins().stack_addr(abi::POINTER, slot, 0);
    let numbers = [here.as_u32(), resource.as_u32()];
    let owned = call_builtin(
        &mut trampoline,
        Builtin::ResourceDrop,
        numbers,
        &[handle, address],
    )[0];

    let destroy = trampoline.builder.create_block();
    let done = trampoline.builder.create_block();
    trampoline.builder.ins().brif(owned, destroy, [], done, []);

    trampoline.builder.switch_to_block(destroy);
    let rep = trampoline
        .builder
        .ins()
        .stack_load(abi::POINTER, types::I32, slot, 0);
    let interface = &input.program.interface;
    match &interface.resources[resource] {
        Resource::Imported { .. } => {
            let number = interface.host_dtor(resource);
            let number = number
                .context("internal error: a resource type has no destructor in the host table")?;
            trampoline.record_exit(FuncKey::Canon(id));
            trampoline.call_import(number, 1, &[ValType::I32], &[rep]);
        }
        Resource::Defined {
            domain,
            dtor: Some(dtor),
        } => call_destructor(input, &mut trampoline, here, *domain, *dtor, rep)?,
        Resource::Defined { dtor: None, .. } => {}
    }
    trampoline.builder.ins().jump(done, []);

    trampoline.builder.switch_to_block(done);
    trampoline.builder.ins().return_(&[]);
    trampoline.finish();
    Ok(())
}

/// A function with the signature of `builtin`, and its one parameter.
fn start<'a, 'f>(
    input: &Input<'a>,
    builtin: &CanonBuiltin,
    scratch: &'f mut Scratch,
) -> Result<(Trampoline<'a, 'f>, Value)> {
    let signature = abi::wasm_signature(&input.program.interface.signatures[builtin.sig]);
    let trampoline = Trampoline::new(input, signature, false, scratch);
    match trampoline.parameters()[..] {
        [parameter] => Ok((trampoline, parameter)),
        _ => bail!(
            "internal error: {} has another signature",
            builtin.op.name()
        ),
    }
}

/// Calls a builtin of the runtime whose first parameters are `numbers`: the component instance and
/// the resource type.
fn call_builtin(
    trampoline: &mut Trampoline<'_, '_>,
    builtin: Builtin,
    numbers: [u32; 2],
    arguments: &[Value],
) -> Vec<Value> {
    let mut all = vec![trampoline.ctx];
    for number in numbers {
        all.push(
            trampoline
                .builder
                .ins()
                .iconst(types::I32, i64::from(number)),
        );
    }
    all.extend_from_slice(arguments);
    trampoline.call_key(
        FuncKey::Builtin(builtin),
        abi::builtin_signature(builtin),
        &all,
    )
}

/// Calls the destructor `dtor` of `target` from code of `source`.
fn call_destructor(
    input: &Input<'_>,
    trampoline: &mut Trampoline<'_, '_>,
    source: DomainId,
    target: DomainId,
    dtor: CoreCallee,
    rep: Value,
) -> Result<()> {
    let ctx_of = |domain: DomainId| {
        let layout = input.layout.domains.get(domain);
        layout
            .map(|layout| layout.ctx as i64)
            .context("internal error: no such domain")
    };
    let distance = ctx_of(target)? - ctx_of(source)?;
    let mut ctx = trampoline.ctx;
    if distance != 0 {
        let distance = trampoline.builder.ins().iconst(types::I64, distance);
        ctx = trampoline.builder.ins().iadd(ctx, distance);
        pass_stack_limit(trampoline, ctx);
    }
    let signature = abi::wasm_signature(&input.program.interface.signatures[dtor.sig]);
    trampoline.call_key(dtor.key, signature, &[ctx, rep]);
    Ok(())
}

/// Gives the instance with context `to` this instance's stack limit: only the outermost entry sets
/// one.
fn pass_stack_limit(trampoline: &mut Trampoline<'_, '_>, to: Value) {
    let offset = ControlBlock::from_ctx(control_offsets::stack_limit);
    let ctx = trampoline.ctx;
    let ins = trampoline.builder.ins();
    let limit = ins.load(types::I64, MemFlagsData::trusted(), ctx, offset);
    trampoline
        .builder
        .ins()
        .store(MemFlagsData::trusted(), limit, to, offset);
}
