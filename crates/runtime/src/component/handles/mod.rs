//! Handle tables: one for each component instance of the tree (CanonicalABI.md, "Table State" and
//! "Resource State"), and the running calls that handles are lent to.
//!
//! A loan ends with its call. Each call whose type has borrows opens a scope, which
//! represents two things of the specification: the subtask that the caller's handles are lent to,
//! and the task that must drop the handles that were made for it. The caller holds the scope's
//! [`CallId`] and passes it on wherever a handle is lent or borrowed, so calls may end in any
//! order.

mod error;
mod scopes;
mod table;

pub use error::{EndAction, EndProblem, HandleError, HandleKind};

use crate::component::arena::Key;
use crate::component::error_context::{ErrorContext, MessageRoom};
use mintage_environ::component::Resource;
use mintage_environ::{CallId, DomainId, Index, IndexVec, ResourceId};
use scopes::{CallScopes, Loan};
use table::{Element, Handle, Ownership, Table};

/// The most handles of a root instance: the limit that the specification has for one table
/// (`Table.MAX_LENGTH`).
pub(crate) const MAX_HANDLES: u32 = (1 << 28) - 1;

/// All resource types of a component.
pub(crate) type Resources = IndexVec<ResourceId, Resource>;
type Result<T, E = HandleError> = std::result::Result<T, E>;

/// The handle tables of a root instance, and the running calls that handles are lent to.
pub(crate) struct Handles {
    /// The most elements, and the most loans.
    limit: u32,
    /// The number of elements that all tables together may still add. Elements are reused but never
    /// freed, so this bounds their memory, however many component instances there are.
    elements_left: usize,
    /// The tables by domain. They are made when first used.
    tables: Vec<Table>,
    /// The running calls that handles are lent to.
    calls: CallScopes,
    /// The bytes that messages of error contexts take.
    messages: MessageRoom,
}

/// The handle tables that the instances of a snapshot start with.
pub(crate) struct KeptHandles(Vec<Table>);

impl Handles {
    /// Makes empty tables for at most `limit` handles together.
    #[inline]
    pub fn new(limit: u32) -> Self {
        let limit = limit.min(MAX_HANDLES);
        Handles {
            limit,
            elements_left: limit as usize,
            tables: Vec::new(),
            calls: CallScopes::new(limit as usize),
            messages: MessageRoom::default(),
        }
    }

    /// Makes the tables of a snapshot, for at most `limit` handles together.
    pub fn of_snapshot(kept: &KeptHandles, limit: u32) -> Self {
        let mut handles = Handles::new(limit);
        handles.tables = kept.0.clone();
        let taken = kept.0.iter().map(Table::taken).sum();
        handles.elements_left = handles.elements_left.saturating_sub(taken);
        handles
    }

    /// Returns the tables for instances that start as this one is now. `None` if there never was a
    /// handle, or if there are handles of tasks, streams and the like. Handles of resources that
    /// the host owns are retired.
    pub fn retired(&self, resources: &Resources) -> Option<KeptHandles> {
        let tables = self.tables.iter().map(|table| table.retired(resources));
        let tables = tables.collect::<Option<_>>()?;
        (!self.are_unused()).then_some(KeptHandles(tables))
    }

    /// Returns whether there never was a handle. A guest can also observe a free list.
    pub fn are_unused(&self) -> bool {
        self.tables.iter().all(Table::is_unused)
    }

    /// Returns whether there is no handle.
    pub fn are_empty(&self) -> bool {
        self.tables.iter().all(Table::is_empty)
    }

    /// Returns the resources of imported types that there are owning handles for: types and
    /// representations.
    pub fn owned_imports(&self, resources: &Resources) -> Vec<(ResourceId, u32)> {
        let handles = self.tables.iter().flat_map(Table::resources);
        let owned = handles.filter(|handle| {
            let imported = matches!(
                resources.get(handle.resource),
                Some(Resource::Imported { .. })
            );
            imported && handle.ownership == Ownership::Own
        });
        owned.map(|handle| (handle.resource, handle.rep)).collect()
    }

    fn table(&mut self, domain: DomainId) -> &mut Table {
        if self.tables.len() <= domain.index() {
            self.tables.resize_with(domain.index() + 1, Table::default);
        }
        &mut self.tables[domain.index()]
    }

    fn full(&self) -> HandleError {
        HandleError::Full { limit: self.limit }
    }

    /// Adds a handle to the table of `domain`.
    fn add(&mut self, domain: DomainId, taken: Element) -> Result<u32> {
        self.table(domain);
        let added = self.tables[domain.index()].add(taken, &mut self.elements_left);
        added.ok_or(self.full())
    }

    /// Returns a handle, which must be of type `resource`.
    fn entry(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<&mut Handle> {
        let wrong = |found| HandleError::WrongType {
            handle,
            expected: HandleKind::of(resources, resource),
            found,
        };
        match self.table(domain).get_mut(handle)? {
            Element::Resource(entry) => match entry.resource == resource {
                true => Ok(entry),
                false => Err(wrong(HandleKind::of(resources, entry.resource))),
            },
            Element::ErrorContext(_) => Err(wrong(HandleKind::ErrorContext)),
            Element::Concurrent(_, kind) => Err(wrong(*kind)),
            Element::Retired(found) => Err(match *found == resource {
                true => HandleError::Retired { handle },
                false => wrong(HandleKind::of(resources, *found)),
            }),
            Element::Free { .. } => Err(HandleError::Unknown { handle }),
        }
    }

    /// Returns a handle of type `resource`, which must not be lent.
    fn unlent(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<Handle> {
        let found = *self.entry(resources, domain, resource, handle)?;
        let owned = found.ownership == Ownership::Own;
        match found.lends {
            0 => Ok(found),
            _ => Err(HandleError::Lent { owned }),
        }
    }

    /// `error-context.new`.
    pub fn new_error_context(&mut self, domain: DomainId, message: &str) -> Result<u32> {
        let context = self.messages.keep(message);
        self.add_error_context(domain, context)
    }

    /// `lower_error_context`.
    pub fn add_error_context(&mut self, domain: DomainId, context: ErrorContext) -> Result<u32> {
        self.add(domain, Element::ErrorContext(context))
    }

    /// `lift_error_context`. The handle stays.
    pub fn error_context(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        handle: u32,
    ) -> Result<ErrorContext> {
        match self.table(domain).get_mut(handle)? {
            Element::ErrorContext(context) => Ok(context.clone()),
            Element::Free { .. } => Err(HandleError::Unknown { handle }),
            other => Err(HandleError::WrongType {
                handle,
                expected: HandleKind::ErrorContext,
                found: other.kind(resources),
            }),
        }
    }

    /// Adds a handle of a subtask, an end of a stream or future, or a waitable set.
    pub fn add_concurrent(&mut self, domain: DomainId, kind: HandleKind, key: Key) -> Result<u32> {
        self.add(domain, Element::Concurrent(key, kind))
    }

    /// Returns a handle of one of these kinds.
    pub fn concurrent(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        kinds: &[HandleKind],
        handle: u32,
    ) -> Result<(Key, HandleKind)> {
        match self.table(domain).get_mut(handle)? {
            Element::Concurrent(key, kind) if kinds.contains(kind) => Ok((*key, *kind)),
            Element::Free { .. } => Err(HandleError::Unknown { handle }),
            other => Err(HandleError::WrongType {
                handle,
                expected: kinds.first().copied().unwrap_or(HandleKind::Subtask),
                found: other.kind(resources),
            }),
        }
    }

    /// Removes a handle.
    pub fn remove_concurrent(&mut self, domain: DomainId, handle: u32) {
        self.table(domain).remove(handle);
    }

    /// Closes the scope of a call and ends its loans, without looking at the callee's handles.
    pub fn end_loans(&mut self, call: CallId) {
        self.close(call);
    }

    /// Fails if the callee of a call that goes on still has handles that it was lent.
    pub fn check_returned(&mut self, call: CallId) -> Result<()> {
        match self.calls.borrows(call) {
            0 => Ok(()),
            _ => Err(HandleError::BorrowsRemain),
        }
    }

    /// `error-context.drop`.
    pub fn drop_error_context(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        handle: u32,
    ) -> Result<()> {
        self.error_context(resources, domain, handle)?;
        self.table(domain).remove(handle);
        Ok(())
    }

    /// `resource.new` and `lower_own`.
    pub fn add_own(&mut self, domain: DomainId, resource: ResourceId, rep: u32) -> Result<u32> {
        let entry = Handle {
            resource,
            rep,
            ownership: Ownership::Own,
            lends: 0,
        };
        self.add(domain, Element::Resource(entry))
    }

    /// `resource.rep`.
    pub fn rep(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<u32> {
        Ok(self.entry(resources, domain, resource, handle)?.rep)
    }

    /// `resource.drop`, without the destructor. Returns whether the handle owned the resource, and
    /// the representation. A retired handle owns nothing.
    pub fn drop(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<(bool, u32)> {
        let found = self.unlent(resources, domain, resource, handle);
        if let Err(HandleError::Retired { .. }) = found {
            self.table(domain).remove(handle);
            return Ok((false, 0));
        }
        let Handle { rep, ownership, .. } = found?;
        self.table(domain).remove(handle);
        if let Ownership::Borrow(call) = ownership {
            self.calls.drop_borrow(call);
        }
        Ok((ownership == Ownership::Own, rep))
    }

    /// `lift_own`: removes an owning handle. Returns its representation.
    pub fn lift_own(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<u32> {
        let Handle { rep, ownership, .. } = self.unlent(resources, domain, resource, handle)?;
        if ownership != Ownership::Own {
            return Err(HandleError::NotOwned);
        }
        self.table(domain).remove(handle);
        Ok(rep)
    }

    /// `lift_borrow`: lends a handle to `call`. Returns its representation.
    pub fn lift_borrow(
        &mut self,
        resources: &Resources,
        call: CallId,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<u32> {
        if !self.calls.reserve_loan() {
            return Err(self.full());
        }
        let rep = self.lend(resources, domain, resource, handle)?;
        self.calls.lend(call, Loan { domain, handle });
        Ok(rep)
    }

    /// Lends a handle until [`end_loan`](Self::end_loan). Returns its representation.
    pub fn lend(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<u32> {
        let full = self.full();
        let entry = self.entry(resources, domain, resource, handle)?;
        entry.lends = entry.lends.checked_add(1).ok_or(full)?;
        Ok(entry.rep)
    }

    /// Ends a loan of a handle.
    pub fn end_loan(&mut self, domain: DomainId, handle: u32) {
        end_loan(&mut self.tables, Loan { domain, handle });
    }

    /// `lower_borrow`: makes a handle for `call`, or returns the representation if `domain` is the
    /// component instance that defines the resource.
    pub fn lower_borrow(
        &mut self,
        resources: &Resources,
        call: CallId,
        domain: DomainId,
        resource: ResourceId,
        rep: u32,
    ) -> Result<u32> {
        if let Some(Resource::Defined {
            domain: definer, ..
        }) = resources.get(resource)
            && *definer == domain
        {
            return Ok(rep);
        }
        let entry = Handle {
            resource,
            rep,
            ownership: Ownership::Borrow(call),
            lends: 0,
        };
        let handle = self.add(domain, Element::Resource(entry))?;
        self.calls.borrow(call);
        Ok(handle)
    }

    /// Opens the scope of a call that handles are lent to. The stacks of the calls bound how many
    /// there are.
    pub fn enter(&mut self) -> CallId {
        self.calls.open()
    }

    /// Closes the scope of a call that has returned, and ends its loans.
    pub fn exit(&mut self, call: CallId) -> Result<()> {
        let borrows = self.close(call);
        debug_assert!(borrows.is_some(), "a call ends twice");
        match borrows {
            None | Some(0) => Ok(()),
            Some(_) => Err(HandleError::BorrowsRemain),
        }
    }

    /// Closes the scope of a call that does not take place after all, and takes back what was lent
    /// to it.
    pub fn abandon(&mut self, call: CallId) {
        // The callee has dropped none of them.
        let mut left = self.close(call).unwrap_or(0);
        for table in &mut self.tables {
            if left == 0 {
                break;
            }
            left -= table.remove_all(Ownership::Borrow(call), left);
        }
    }

    /// Closes the scope of a call and ends its loans. Returns the number of handles that the callee
    /// has not dropped, or `None` if the scope is not open.
    fn close(&mut self, call: CallId) -> Option<u32> {
        let tables = &mut self.tables;
        self.calls.close(call, |loan| end_loan(tables, loan))
    }
}

fn end_loan(tables: &mut [Table], loan: Loan) {
    let table = tables.get_mut(loan.domain.index());
    if let Some(Ok(Element::Resource(entry))) = table.map(|table| table.get_mut(loan.handle)) {
        entry.lends = entry.lends.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
