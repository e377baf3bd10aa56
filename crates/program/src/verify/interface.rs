//! Checks imports, exports, lifts, lowers, adapters, canonical built-ins, resources and
//! initializers.

use super::Verifier;
use crate::ir::{Adapter, CanonBuiltin, CanonOp, Program};
use anyhow::{Context, Result, bail, ensure};
use mintage_environ::component::{
    AsyncValue, CanonOptions, ComponentInterface, CoreItem, Export, Import, Initializer,
    LiftedFunc, LoweredImport, Resource,
};
use mintage_environ::{Signature, ValType};
use std::collections::HashSet;

impl Verifier<'_, '_> {
    pub(super) fn interface(&self) -> Result<()> {
        let interface = &self.program.interface;
        for (id, lift) in interface.lifts.iter() {
            self.lift(lift).with_context(|| format!("{id:?}"))?;
        }
        for (id, lower) in interface.lowers.iter() {
            self.lower(lower).with_context(|| format!("{id:?}"))?;
        }
        for (id, adapter) in self.program.adapters.iter() {
            self.adapter(adapter).with_context(|| format!("{id:?}"))?;
        }
        for (id, resource) in interface.resources.iter() {
            self.resource(resource).with_context(|| format!("{id:?}"))?;
        }
        for (id, builtin) in self.program.canons.iter() {
            self.canon(builtin).with_context(|| format!("{id:?}"))?;
        }
        self.imports()?;
        self.exports()?;
        self.core_exports()
    }

    /// Checks that each imported function is among the imports, at its path.
    fn imports(&self) -> Result<()> {
        let interface = &self.program.interface;
        let mut imports: Vec<_> = interface
            .imports
            .iter()
            .map(|(name, import)| (vec![name.clone()], import))
            .collect();
        let mut seen = HashSet::new();
        while let Some((path, import)) = imports.pop() {
            match import {
                Import::Func(id) => {
                    let Some(func) = interface.import_funcs.get(*id) else {
                        bail!("{id:?} does not exist")
                    };
                    ensure!(
                        *func.path == path[..],
                        "{id:?} is at {path:?} and not at {:?}",
                        func.path
                    );
                    seen.insert(*id);
                }
                Import::Instance(items) => {
                    let nested =
                        |(name, import)| ([&path[..], &[Box::clone(name)]].concat(), import);
                    imports.extend(items.iter().map(nested));
                }
                Import::Type(_) | Import::Resource(_) | Import::Static(_) => {}
            }
        }
        ensure!(
            seen.len() == interface.import_funcs.len(),
            "an imported function is not among the imports"
        );
        Ok(())
    }

    fn exports(&self) -> Result<()> {
        let interface = &self.program.interface;
        let mut exports: Vec<&Export> = interface.exports.values().collect();
        while let Some(export) = exports.pop() {
            match export {
                Export::Func(id) => {
                    ensure!(interface.lifts.get(*id).is_some(), "{id:?} does not exist")
                }
                Export::ImportedFunc(id) => self.import(*id)?,
                Export::Instance(items) => exports.extend(items.values()),
                Export::Type(_) | Export::Resource(_) | Export::Static(_) => {}
            }
        }
        Ok(())
    }

    fn core_exports(&self) -> Result<()> {
        for export in &self.program.interface.core_exports {
            let core = self
                .program
                .instances
                .get(export.instance)
                .context("a core export has no instance")?;
            match export.item {
                CoreItem::Func(callee, domain) => {
                    ensure!(
                        domain == core.domain,
                        "the core export `{}` has another domain",
                        export.name
                    );
                    self.host_callee(callee, domain)?;
                }
                CoreItem::Memory(memory) => self.memory(memory, core.domain)?,
                CoreItem::Table(table) => self.table(table, core.domain)?,
                CoreItem::Global(global, ty) => {
                    let shape = self.program.shape.globals.get(global);
                    ensure!(
                        shape.is_some_and(|shape| shape.ty == ty),
                        "the core export `{}` has another type",
                        export.name
                    );
                }
            }
        }
        Ok(())
    }

    fn lift(&self, lift: &LiftedFunc) -> Result<()> {
        let ComponentInterface {
            types, signatures, ..
        } = &self.program.interface;
        self.options(&lift.options, true)?;
        ensure!(
            !self.index64(&lift.options),
            "the host is given a 64-bit memory"
        );
        self.host_callee(lift.callee, lift.options.domain)?;
        self.callback(lift)?;
        let index64 = self.index64(&lift.options);
        let signature = types.core_signature(types.func(lift.ty), index64, lift.abi());
        ensure!(
            signatures[lift.callee.sig] == signature,
            "the core function has another signature than {signature}"
        );
        if let Some(post_return) = lift.post_return {
            self.host_callee(post_return, lift.options.domain)?;
            let expected = Signature::new(&signature.results, &[]);
            ensure!(
                signatures[post_return.sig] == expected,
                "post-return has another signature than {expected}"
            );
        }
        Ok(())
    }

    fn callback(&self, lift: &LiftedFunc) -> Result<()> {
        let Some(callback) = lift.callback else {
            return Ok(());
        };
        self.host_callee(callback, lift.options.domain)?;
        let expected = Signature::new(&[ValType::I32; 3], &[ValType::I32]);
        ensure!(
            self.program.interface.signatures[callback.sig] == expected,
            "callback has another signature than {expected}"
        );
        Ok(())
    }

    fn lower(&self, lower: &LoweredImport) -> Result<()> {
        let ComponentInterface {
            types,
            signatures,
            import_funcs,
            ..
        } = &self.program.interface;
        self.options(&lower.options, true)?;
        ensure!(
            !self.index64(&lower.options),
            "the host is given a 64-bit memory"
        );
        self.import(lower.import)?;
        let index64 = self.index64(&lower.options);
        let signature = types.core_signature(
            types.func(import_funcs[lower.import].ty),
            index64,
            lower.options.lower_abi(),
        );
        ensure!(
            signatures.get(lower.sig) == Some(&signature),
            "the lowered signature is not {signature}"
        );
        Ok(())
    }

    /// Checks that both sides of an adapter agree with its type. The host does not call its
    /// functions, so they need no entry trampolines.
    fn adapter(&self, adapter: &Adapter) -> Result<()> {
        let ComponentInterface {
            types, signatures, ..
        } = &self.program.interface;
        let Adapter {
            ty,
            lift,
            lower,
            sig,
        } = adapter;
        self.options(lower, false)?;
        self.options(&lift.options, false)?;
        self.callee(lift.callee, lift.options.domain)?;
        self.callback(lift)?;
        ensure!(lift.ty == *ty, "lift and lower have different types");
        let lowered = types.core_signature(types.func(*ty), self.index64(lower), lower.lower_abi());
        ensure!(
            signatures.get(*sig) == Some(&lowered),
            "the lowered signature is not {lowered}"
        );
        let lifted = types.core_signature(types.func(*ty), self.index64(&lift.options), lift.abi());
        ensure!(
            signatures.get(lift.callee.sig) == Some(&lifted),
            "the core function has another signature than {lifted}"
        );
        if let Some(post_return) = lift.post_return {
            self.callee(post_return, lift.options.domain)?;
            let expected = Signature::new(&lifted.results, &[]);
            ensure!(
                signatures.get(post_return.sig) == Some(&expected),
                "post-return has another signature than {expected}"
            );
        }
        Ok(())
    }

    fn resource(&self, resource: &Resource) -> Result<()> {
        match resource {
            Resource::Imported { path } => {
                let mut items = Some(&self.program.interface.imports);
                let mut found = None;
                for name in path {
                    found = items.and_then(|items| items.get(name));
                    items = match found {
                        Some(Import::Instance(inner)) => Some(inner),
                        _ => None,
                    };
                }
                ensure!(
                    matches!(found, Some(Import::Resource(_))),
                    "no resource type is imported as {path:?}"
                );
            }
            Resource::Defined { domain, dtor } => {
                ensure!(
                    self.program.shape.domains.get(*domain).is_some(),
                    "{domain:?} does not exist"
                );
                if let Some(dtor) = dtor {
                    self.host_callee(*dtor, *domain)?;
                    let expected = Signature::new(&[ValType::I32], &[]);
                    ensure!(
                        self.program.interface.signatures[dtor.sig] == expected,
                        "its destructor has another signature than {expected}"
                    );
                }
            }
        }
        Ok(())
    }

    fn canon(&self, builtin: &CanonBuiltin) -> Result<()> {
        let CanonBuiltin { op, options, sig } = builtin;
        self.options(options, false)?;
        let domain = options.domain;
        ensure!(
            self.program.shape.domains.get(domain).is_some(),
            "{domain:?} does not exist"
        );
        if let Some(id) = op.resource() {
            let Some(resource) = self.program.interface.resources.get(id) else {
                bail!("{id:?} does not exist")
            };
            let defined_here =
                matches!(resource, Resource::Defined { domain: owner, .. } if *owner == domain);
            ensure!(
                defined_here || matches!(op, CanonOp::ResourceDrop(_)),
                "{} of {id:?} in {domain:?}, which does not define it",
                op.name()
            );
        }
        let pointer = self.pointer(options);
        let (i32, i64) = (ValType::I32, ValType::I64);
        let types = &self.program.interface.types;
        let payload = |value: AsyncValue| value.payload(types);
        let size = |value| payload(value).map_or(0, |ty| types.abi(ty).size32);
        let (expected, needs_memory, needs_realloc) = match *op {
            CanonOp::BackpressureInc | CanonOp::BackpressureDec | CanonOp::TaskCancel => {
                (Signature::new(&[], &[]), false, false)
            }
            CanonOp::TaskReturn(result) => (
                types.task_return_signature(result, self.index64(options)),
                false,
                false,
            ),
            CanonOp::ContextGet(_) => {
                let found = self.program.interface.signatures.get(*sig);
                let is64 = found.is_some_and(|found| *found.results == [i64]);
                let ty = if is64 { i64 } else { i32 };
                (Signature::new(&[], &[ty]), false, false)
            }
            CanonOp::ContextSet(_) => {
                let found = self.program.interface.signatures.get(*sig);
                let is64 = found.is_some_and(|found| *found.params == [i64]);
                let ty = if is64 { i64 } else { i32 };
                (Signature::new(&[ty], &[]), false, false)
            }
            CanonOp::WaitableSetNew | CanonOp::ThreadIndex => {
                (Signature::new(&[], &[i32]), false, false)
            }
            CanonOp::ThreadSuspend | CanonOp::ThreadYield => {
                (Signature::new(&[], &[i32]), false, false)
            }
            CanonOp::WaitableSetWait | CanonOp::WaitableSetPoll => {
                (Signature::new(&[i32, pointer], &[i32]), true, false)
            }
            CanonOp::WaitableSetDrop
            | CanonOp::SubtaskDrop
            | CanonOp::ThreadResumeLater
            | CanonOp::DropReadable(_)
            | CanonOp::DropWritable(_) => (Signature::new(&[i32], &[]), false, false),
            CanonOp::WaitableJoin | CanonOp::Forward(_) => {
                (Signature::new(&[i32; 2], &[]), false, false)
            }
            CanonOp::New(_) => (Signature::new(&[], &[i64]), false, false),
            CanonOp::Read(value @ AsyncValue::Stream(_))
            | CanonOp::Write(value @ AsyncValue::Stream(_)) => (
                Signature::new(&[i32, pointer, pointer], &[pointer]),
                size(value) > 0,
                false,
            ),
            CanonOp::Read(value) | CanonOp::Write(value) => (
                Signature::new(&[i32, pointer], &[i32]),
                size(value) > 0,
                false,
            ),
            CanonOp::SubtaskCancel
            | CanonOp::CancelRead(_)
            | CanonOp::CancelWrite(_)
            | CanonOp::ThreadSuspendThenResume
            | CanonOp::ThreadYieldThenResume
            | CanonOp::ThreadSuspendThenPromote
            | CanonOp::ThreadYieldThenPromote => (Signature::new(&[i32], &[i32]), false, false),
            CanonOp::ThreadNewIndirect(table, start) => {
                self.table(table, domain)?;
                let start = self.program.interface.signatures.get(start);
                let start = start.context("the signature of a thread's function does not exist")?;
                ensure!(
                    matches!(*start.params, [ValType::I32 | ValType::I64])
                        && start.results.is_empty(),
                    "a thread's function has the signature {start}"
                );
                let index = match self.program.shape.tables[table].index64 {
                    true => i64,
                    false => i32,
                };
                (
                    Signature::new(&[index, start.params[0]], &[i32]),
                    false,
                    false,
                )
            }
            CanonOp::ResourceNew(_) | CanonOp::ResourceRep(_) => {
                (Signature::new(&[i32], &[i32]), false, false)
            }
            CanonOp::ResourceDrop(_) | CanonOp::ErrorContextDrop => {
                (Signature::new(&[i32], &[]), false, false)
            }
            CanonOp::ErrorContextNew => (Signature::new(&[pointer; 2], &[i32]), true, false),
            CanonOp::ErrorContextDebugMessage => (Signature::new(&[i32, pointer], &[]), true, true),
        };
        let name = op.name();
        ensure!(
            !options.is_async || op.may_be_async(),
            "{name} has the option `async`"
        );
        ensure!(
            !needs_memory || options.memory.is_some(),
            "{name} has no memory"
        );
        ensure!(
            !needs_realloc || options.realloc.is_some(),
            "{name} has no realloc"
        );
        ensure!(
            self.program.interface.signatures.get(*sig) == Some(&expected),
            "{name} has another signature than {expected}"
        );
        Ok(())
    }

    pub(super) fn initializers(&self) -> Result<()> {
        let Program {
            shape,
            data,
            elems,
            interface,
            ..
        } = self.program;
        for (at, initializer) in interface.initializers.iter().enumerate() {
            match *initializer {
                Initializer::Data {
                    data: id, memory, ..
                } => {
                    ensure!(data.get(id).is_some(), "{id:?} does not exist");
                    self.memory(memory, shape.data[id])?;
                }
                Initializer::Elem { elem, table, .. } => {
                    ensure!(elems.get(elem).is_some(), "{elem:?} does not exist");
                    self.table(table, shape.elems[elem])?;
                    ensure!(
                        self.program.tables[table].mutable,
                        "{table:?} is changed and not mutable"
                    );
                }
                Initializer::Start { domain, callee } => {
                    self.host_callee(callee, domain)?;
                    let signature = &interface.signatures[callee.sig];
                    ensure!(
                        *signature == Signature::new(&[], &[]),
                        "a start function has the signature {signature}"
                    );
                }
                Initializer::Trap(_) => ensure!(
                    at + 1 == interface.initializers.len(),
                    "a step follows a trap"
                ),
            }
        }
        Ok(())
    }

    /// Returns whether the memory of the options has 64-bit indexes.
    fn index64(&self, options: &CanonOptions) -> bool {
        let memory = options
            .memory
            .and_then(|id| self.program.shape.memories.get(id));
        memory.is_some_and(|memory| memory.index64)
    }

    /// Returns the type of pointers into the memory of the options.
    fn pointer(&self, options: &CanonOptions) -> ValType {
        match self.index64(options) {
            true => ValType::I64,
            false => ValType::I32,
        }
    }

    /// Checks the options of a canonical definition. `host` says whether the host is on the other
    /// side, and so calls `realloc`.
    fn options(&self, options: &CanonOptions, host: bool) -> Result<()> {
        if let Some(memory) = options.memory {
            self.memory(memory, options.domain)?;
        }
        if let Some(realloc) = options.realloc {
            match host {
                true => self.host_callee(realloc, options.domain)?,
                false => self.callee(realloc, options.domain)?,
            }
            let pointer = self.pointer(options);
            let expected = Signature::new(&[pointer; 4], &[pointer]);
            ensure!(
                self.program.interface.signatures[realloc.sig] == expected,
                "realloc has another signature"
            );
        }
        Ok(())
    }
}
