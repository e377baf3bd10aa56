//! Built-ins on resource handles: `resource.new`, `resource.rep`, `resource.drop` (CanonicalABI.md, "Canonical Definitions").
//!
//! The handle tables are the runtime's. What is left to machine code is the test of `may_leave`, and to destroy what a dropped
//! handle owned: a direct call of the destructor in the instance that defines the resource, or of the host's.

use crate::abi;
use crate::compiler::{Input, Scratch};
use crate::trampoline::Trampoline;
use anyhow::{Context as _, Result};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Value, types};
use mintage_environ::component::{CoreCallee, Resource};
use mintage_environ::{Builtin, ControlBlock, DomainId, FuncKey, ResourceOpId, ValType, control_offsets};
use mintage_program::{ResourceOp, ResourceOpKind};

/// The built-in `id`.
pub(crate) fn resource_op(input: &Input<'_>, id: ResourceOpId, scratch: &mut Scratch) -> Result<()> {
    let op = input
        .program
        .resource_ops
        .get(id)
        .context("internal error: no such built-in on resources")?;
    let signature = abi::wasm_signature(&op.signature());
    let mut trampoline = Trampoline::new(input, signature, false, scratch);
    let parameter = trampoline.parameters()[0];
    match op.kind {
        ResourceOpKind::New => {
            trampoline.check_may_leave();
            let results = call_builtin(&mut trampoline, Builtin::ResourceNew, op, &[parameter]);
            trampoline.builder.ins().return_(&results);
        }
        ResourceOpKind::Rep => {
            let results = call_builtin(&mut trampoline, Builtin::ResourceRep, op, &[parameter]);
            trampoline.builder.ins().return_(&results);
        }
        ResourceOpKind::Drop => {
            trampoline.check_may_leave();
            drop_handle(input, &mut trampoline, id, op, parameter)?;
        }
    }
    trampoline.finish();
    Ok(())
}

/// Calls a builtin whose first parameters are the component instance and the resource type.
fn call_builtin(
    trampoline: &mut Trampoline<'_, '_>,
    builtin: Builtin,
    op: &ResourceOp,
    arguments: &[Value],
) -> Vec<Value> {
    let mut all = vec![trampoline.ctx];
    for number in [op.domain.as_u32(), op.resource.as_u32()] {
        all.push(trampoline.builder.ins().iconst(types::I32, i64::from(number)));
    }
    all.extend_from_slice(arguments);
    trampoline.call_key(FuncKey::Builtin(builtin), abi::builtin_signature(builtin), &all)
}

/// Removes a handle; destroys the resource when the handle owned it; returns.
fn drop_handle(
    input: &Input<'_>,
    trampoline: &mut Trampoline<'_, '_>,
    id: ResourceOpId,
    op: &ResourceOp,
    handle: Value,
) -> Result<()> {
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
    let slot = trampoline.builder.create_sized_stack_slot(slot);
    let address = trampoline.builder.ins().stack_addr(abi::POINTER, slot, 0);
    let owned = call_builtin(trampoline, Builtin::ResourceDrop, op, &[handle, address])[0];

    let destroy = trampoline.builder.create_block();
    let done = trampoline.builder.create_block();
    trampoline.builder.ins().brif(owned, destroy, [], done, []);

    trampoline.builder.switch_to_block(destroy);
    let rep = trampoline.builder.ins().stack_load(abi::POINTER, types::I32, slot, 0);
    let interface = &input.program.interface;
    match &interface.resources[op.resource] {
        Resource::Imported { .. } => {
            let number = interface.host_dtor(op.resource);
            let number = number.context("internal error: a resource type has no destructor in the host table")?;
            trampoline.record_exit(FuncKey::Resource(id));
            trampoline.call_import(number, 1, &[ValType::I32], &[rep]);
        }
        Resource::Defined {
            domain,
            dtor: Some(dtor),
        } => call_destructor(input, trampoline, op.domain, *domain, *dtor, rep)?,
        Resource::Defined { dtor: None, .. } => {}
    }
    trampoline.builder.ins().jump(done, []);

    trampoline.builder.switch_to_block(done);
    trampoline.builder.ins().return_(&[]);
    Ok(())
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

/// Gives the instance with context `to` this instance's stack limit: only the outermost entry sets one.
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
