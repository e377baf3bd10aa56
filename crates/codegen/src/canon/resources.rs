//! Built-ins on resource handles: `resource.new`, `resource.rep`, `resource.drop`.
//!
//! The handle tables belong to the runtime. Machine code checks `may_leave`, and destroys what a
//! dropped handle owned: by a direct call of the destructor in the component instance that defines
//! the resource type, or by a call of the host's destructor.

use super::start;
use crate::abi;
use crate::emit::{self, FunctionEmitter, Input, StackCheck, Workspace, control_block};
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, Value, types};
use mintage_environ::component::{CoreCallee, Resource};
use mintage_environ::{Builtin, DomainId, ResourceId, ValType};
use mintage_program::CanonBuiltin;

/// Emits `resource.new`.
pub(super) fn new(
    input: &Input<'_>,
    builtin: &CanonBuiltin,
    resource: ResourceId,
    workspace: &mut Workspace,
) -> Result<()> {
    let (mut emitter, [representation]) = start(input, builtin, StackCheck::None, workspace)?;
    control_block::check_may_leave(&mut emitter.builder, emitter.ctx);
    let domain = builtin.options.domain;
    return_call(
        emitter,
        Builtin::ResourceNew,
        domain,
        resource,
        representation,
    )
}

/// Emits `resource.rep`, which does not check `may_leave`.
pub(super) fn rep(
    input: &Input<'_>,
    builtin: &CanonBuiltin,
    resource: ResourceId,
    workspace: &mut Workspace,
) -> Result<()> {
    let (emitter, [handle]) = start(input, builtin, StackCheck::None, workspace)?;
    let domain = builtin.options.domain;
    return_call(emitter, Builtin::ResourceRep, domain, resource, handle)
}

/// Ends a function with a call of a builtin of the runtime, whose result it returns.
fn return_call(
    mut emitter: FunctionEmitter<'_, '_>,
    builtin: Builtin,
    domain: DomainId,
    resource: ResourceId,
    argument: Value,
) -> Result<()> {
    let [domain, resource] = numbers(&mut emitter, domain, resource);
    let result = emitter.call_builtin(builtin, &[domain, resource, argument]);
    emitter.return_(&[result.context("internal error: the builtin has no result")?]);
    Ok(())
}

/// Emits `resource.drop`, which removes a handle, and destroys the resource if the handle owned it.
pub(super) fn drop(
    input: &Input<'_>,
    builtin: &CanonBuiltin,
    resource: ResourceId,
    workspace: &mut Workspace,
) -> Result<()> {
    let (mut emitter, [handle]) = start(input, builtin, StackCheck::None, workspace)?;
    control_block::check_may_leave(&mut emitter.builder, emitter.ctx);
    let here = builtin.options.domain;
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
    let slot = emitter.builder.create_sized_stack_slot(slot);
    let address = emitter.builder.ins().stack_addr(abi::POINTER, slot, 0);
    let [domain, number] = numbers(&mut emitter, here, resource);
    let owned = emitter
        .call_builtin(Builtin::ResourceDrop, &[domain, number, handle, address])
        .context("internal error: dropping a handle has no result")?;

    let destroy = emitter.builder.create_block();
    let done = emitter.builder.create_block();
    emitter.builder.ins().brif(owned, destroy, [], done, []);

    emitter.builder.switch_to_block(destroy);
    let representation = emitter
        .builder
        .ins()
        .stack_load(abi::POINTER, types::I32, slot, 0);
    let interface = &input.program.interface;
    match &interface.resources[resource] {
        Resource::Imported { .. } => {
            let number = interface.host_dtor(resource);
            let number = number
                .context("internal error: a resource type has no destructor in the host table")?;
            emitter.record_exit();
            emitter.call_import(number, 1, &[ValType::I32], &[representation]);
        }
        Resource::Defined {
            domain,
            dtor: Some(dtor),
        } => call_destructor(&mut emitter, here, *domain, *dtor, representation)?,
        Resource::Defined { dtor: None, .. } => {}
    }
    emitter.builder.ins().jump(done, []);

    emitter.builder.switch_to_block(done);
    emitter.return_(&[]);
    Ok(())
}

/// Returns the first arguments of each builtin on handles: the component instance and the resource
/// type.
fn numbers(
    emitter: &mut FunctionEmitter<'_, '_>,
    domain: DomainId,
    resource: ResourceId,
) -> [Value; 2] {
    [domain.as_u32(), resource.as_u32()].map(|number| emitter.number(number))
}

/// Calls the destructor `dtor` of component instance `target` from code of `source`.
fn call_destructor(
    emitter: &mut FunctionEmitter<'_, '_>,
    source: DomainId,
    target: DomainId,
    dtor: CoreCallee,
    representation: Value,
) -> Result<()> {
    let input = emitter.input;
    let distance = input.ctx_distance(source, target)?;
    let mut ctx = emitter.ctx;
    if distance != 0 {
        ctx = emit::plus(&mut emitter.builder, ctx, distance);
        control_block::pass_stack_limit(&mut emitter.builder, emitter.ctx, ctx);
    }
    let domains = &input.program.interface.concurrent_domains;
    let is_task = domains.binary_search(&target).is_ok();
    if is_task {
        let domain = emitter.number(target.as_u32());
        emitter.call_builtin(Builtin::EnterTask, &[domain]);
    }
    emit::call_core(
        &mut emitter.builder,
        emitter.declarations,
        &input.program.interface.signatures,
        dtor,
        ctx,
        &[representation],
    );
    if is_task {
        let none = emitter.number(0);
        emitter.call_builtin(Builtin::ExitTask, &[none]);
    }
    Ok(())
}
