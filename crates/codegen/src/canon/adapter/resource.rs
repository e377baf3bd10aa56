//! Handles of resources and error contexts. Each component instance has a table of them in the
//! runtime, which moves handles from table to table.

use super::emitter::{AdapterEmitter, Loans};
use super::value::{Destination, Source};
use anyhow::{Context as _, Result, bail};
use cranelift_codegen::ir::Value;
use mintage_environ::component::AsyncValue;
use mintage_environ::{Builtin, ResourceId};

impl AdapterEmitter<'_, '_, '_> {
    /// Passes an owning handle, which moves from the table of the source to that of the
    /// destination.
    pub(super) fn own(
        &mut self,
        id: ResourceId,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        self.handle(Builtin::TransferOwn, &[], id, from, to)
    }

    /// Passes a borrowed handle, which is lent for the duration of the call.
    pub(super) fn borrow(
        &mut self,
        id: ResourceId,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        match &mut self.loans {
            Loans::None => bail!("internal error: a handle is lent outside of a call's scope"),
            &mut Loans::Listed(call) => self.handle(Builtin::TransferBorrow, &[call], id, from, to),
            Loans::Known(_) => self.lend(id, from, to),
        }
    }

    /// Passes a borrowed handle to the component instance that defines its resource, which gets the
    /// representation.
    fn lend(&mut self, id: ResourceId, from: &mut Source<'_>, to: &mut Destination) -> Result<()> {
        let handle = self.read_int(4, false, from)?;
        let domain = self.src.domain;
        let [number, resource] = [domain.as_u32(), id.as_u32()].map(|number| self.number(number));
        let rep = self
            .call_builtin(Builtin::Lend, &[number, resource, handle])
            .context("internal error: lending a handle has no result")?;
        if let Loans::Known(handles) = &mut self.loans {
            handles.push((domain, handle));
        }
        self.write_int(4, rep, to);
        Ok(())
    }

    /// Passes a handle by `builtin`, whose arguments are `first`, both component instances, the
    /// resource type and the handle.
    fn handle(
        &mut self,
        builtin: Builtin,
        first: &[Value],
        id: ResourceId,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        let handle = self.read_int(4, false, from)?;
        let numbers = [
            self.src.domain.as_u32(),
            self.dst.domain.as_u32(),
            id.as_u32(),
        ];
        let numbers = numbers.map(|number| self.number(number));
        let moved = self
            .call_builtin(builtin, &[first, &numbers, &[handle]].concat())
            .context("internal error: passing a handle has no result")?;
        self.write_int(4, moved, to);
        Ok(())
    }

    /// Passes an error context: the destination gets a handle of its own, and the source keeps its
    /// handle.
    pub(super) fn error_context(
        &mut self,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        let handle = self.read_int(4, false, from)?;
        let [src, dst] =
            [self.src.domain, self.dst.domain].map(|domain| self.number(domain.as_u32()));
        let passed = self
            .call_builtin(Builtin::TransferErrorContext, &[src, dst, handle])
            .context("internal error: passing an error context has no result")?;
        self.write_int(4, passed, to);
        Ok(())
    }

    /// Passes the readable end of a stream or future, which moves from table to table.
    pub(super) fn end(
        &mut self,
        value: AsyncValue,
        from: &mut Source<'_>,
        to: &mut Destination,
    ) -> Result<()> {
        let handle = self.read_int(4, false, from)?;
        let numbers = [
            self.src.domain.as_u32(),
            self.dst.domain.as_u32(),
            value.to_u32(),
        ];
        let [src, dst, value] = numbers.map(|number| self.number(number));
        let moved = self
            .call_builtin(Builtin::TransferEnd, &[src, dst, value, handle])
            .context("internal error: passing an end has no result")?;
        self.write_int(4, moved, to);
        Ok(())
    }

    /// Tells the runtime that a task of the destination side begins, which ends before this
    /// function does. Returns its number.
    pub(super) fn enter_task(&mut self) -> Option<Value> {
        let domain = self.number(self.dst.domain.as_u32());
        self.call_builtin(Builtin::EnterTask, &[domain])
    }

    /// Ends a task.
    pub(super) fn exit_task(&mut self, task: Option<Value>) {
        if let Some(task) = task {
            self.call_builtin(Builtin::ExitTask, &[task]);
        }
    }

    /// Begins a call that lends handles. `are_known` says whether each of them is a parameter, and
    /// of a type that the callee defines.
    pub(super) fn enter_call(&mut self, are_known: bool) {
        self.loans = match are_known {
            true => Loans::Known(Vec::new()),
            false => {
                let call = self.call_builtin(Builtin::EnterCall, &[]);
                call.map_or(Loans::None, Loans::Listed)
            }
        };
    }

    /// Ends the loans of the call. Traps if handles that were lent are left in the table of the
    /// callee.
    pub(super) fn exit_call(&mut self) {
        match std::mem::replace(&mut self.loans, Loans::None) {
            Loans::None => {}
            Loans::Listed(call) => _ = self.call_builtin(Builtin::ExitCall, &[call]),
            Loans::Known(handles) => {
                for (domain, handle) in handles {
                    let domain = self.number(domain.as_u32());
                    self.call_builtin(Builtin::EndLoan, &[domain, handle]);
                }
            }
        }
    }
}
