//! Handle tables: one per component instance of the tree (CanonicalABI.md, "Table State" and
//! "Resource State"), and the calls under way that handles are lent to.
//!
//! A loan ends with its call, and calls of one root instance nest, so a stack of scopes stands for
//! the specification's tasks and subtasks: one scope is both the subtask that the caller's handles
//! are lent to and the task that must drop what it was lent. Only calls whose type has borrows
//! enter a scope.

mod error;
mod table;

pub use error::{HandleError, HandleKind};

use crate::component::error_context::{ErrorContext, MessageRoom};
use mintage_environ::component::Resource;
use mintage_environ::{DomainId, Index, IndexVec, ResourceId};
use table::{Element, Handle, Ownership, Table};

/// The most handles of a root instance: what the specification allows one table
/// (`Table.MAX_LENGTH`). A handle takes 20 bytes of the host's memory.
pub(crate) const MAX_HANDLES: u32 = (1 << 28) - 1;

/// All resource types of a component.
pub(crate) type Resources = IndexVec<ResourceId, Resource>;
type Result<T, E = HandleError> = std::result::Result<T, E>;

/// The handle tables of a root instance, and the calls that handles are lent to.
pub(crate) struct Handles {
    /// The most loans.
    limit: usize,
    /// How many elements all tables together may still add. Elements are reused but never freed, so
    /// this is what bounds memory, however many component instances share it.
    elements_left: usize,
    /// By domain; made when first used.
    tables: Vec<Table>,
    /// The calls under way, outermost first.
    scopes: Vec<BorrowScope>,
    /// What is lent to these calls, in their order.
    loans: Vec<Loan>,
    /// What messages of error contexts take.
    messages: MessageRoom,
}

/// A call that handles are lent to.
struct BorrowScope {
    /// Handles that were made for the callee and that it has not dropped yet (`num_borrows`).
    borrows: u32,
    /// Where its loans start.
    loans: usize,
}

/// A handle that is lent.
struct Loan {
    domain: DomainId,
    handle: u32,
}

impl Handles {
    /// Empty tables for at most `limit` handles together.
    pub fn new(limit: u32) -> Self {
        let limit = limit.min(MAX_HANDLES) as usize;
        Handles {
            limit,
            elements_left: limit,
            tables: Vec::new(),
            scopes: Vec::new(),
            loans: Vec::new(),
            messages: MessageRoom::default(),
        }
    }

    /// Whether there never was a handle: a free list, too, is something that the guest can see.
    pub fn are_unused(&self) -> bool {
        self.tables.iter().all(Table::is_unused)
    }

    /// Whether there is no handle.
    pub fn are_empty(&self) -> bool {
        self.tables.iter().all(Table::is_empty)
    }

    fn table(&mut self, domain: DomainId) -> &mut Table {
        if self.tables.len() <= domain.index() {
            self.tables.resize_with(domain.index() + 1, Table::default);
        }
        &mut self.tables[domain.index()]
    }

    /// Adds a handle to the table of `domain`.
    fn add(&mut self, domain: DomainId, taken: Element) -> Result<u32> {
        self.table(domain);
        self.tables[domain.index()].add(taken, &mut self.elements_left)
    }

    /// The handle, which must be of type `resource`.
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
            Element::Free { .. } => Err(HandleError::Unknown { handle }),
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

    /// `lift_error_context`: the handle stays.
    pub fn error_context(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        handle: u32,
    ) -> Result<ErrorContext> {
        match self.table(domain).get_mut(handle)? {
            Element::ErrorContext(context) => Ok(context.clone()),
            Element::Resource(entry) => Err(HandleError::WrongType {
                handle,
                expected: HandleKind::ErrorContext,
                found: HandleKind::of(resources, entry.resource),
            }),
            Element::Free { .. } => Err(HandleError::Unknown { handle }),
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

    /// `resource.drop`, but for the destructor: whether the handle owned the resource, and the
    /// representation.
    pub fn drop(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<(bool, u32)> {
        let Handle {
            rep,
            ownership,
            lends,
            ..
        } = *self.entry(resources, domain, resource, handle)?;
        let owned = ownership == Ownership::Own;
        if lends != 0 {
            return Err(HandleError::Lent { owned });
        }
        self.table(domain).remove(handle);
        if let Ownership::Borrow(scope) = ownership
            && let Some(scope) = self.scopes.get_mut(scope as usize)
        {
            // A stopped call may have left handles of a scope that is gone.
            scope.borrows = scope.borrows.saturating_sub(1);
        }
        Ok((owned, rep))
    }

    /// `lift_own`: removes an owning handle and gives its representation.
    pub fn lift_own(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<u32> {
        let Handle {
            rep,
            ownership,
            lends,
            ..
        } = *self.entry(resources, domain, resource, handle)?;
        let owned = ownership == Ownership::Own;
        if lends != 0 {
            return Err(HandleError::Lent { owned });
        }
        if !owned {
            return Err(HandleError::NotOwned);
        }
        self.table(domain).remove(handle);
        Ok(rep)
    }

    /// `lift_borrow`: lends a handle to the innermost call and gives its representation.
    pub fn lift_borrow(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<u32> {
        debug_assert!(!self.scopes.is_empty(), "a handle is lent to no call");
        if self.loans.len() >= self.limit || self.loans.try_reserve(1).is_err() {
            return Err(HandleError::Full);
        }
        let entry = self.entry(resources, domain, resource, handle)?;
        // Each of the loans is counted once in one handle, and there are fewer than 2^32 of them.
        entry.lends += 1;
        let rep = entry.rep;
        self.loans.push(Loan { domain, handle });
        Ok(rep)
    }

    /// `lower_borrow`: a handle for the innermost call, or the representation in the instance that
    /// defines the resource.
    pub fn lower_borrow(
        &mut self,
        resources: &Resources,
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
        let Some(scope) = self.scopes.len().checked_sub(1) else {
            debug_assert!(false, "a handle is lent to no call");
            return Err(HandleError::Full);
        };
        let entry = Handle {
            resource,
            rep,
            ownership: Ownership::Borrow(scope as u32),
            lends: 0,
        };
        let handle = self.add(domain, Element::Resource(entry))?;
        self.scopes[scope].borrows += 1;
        Ok(handle)
    }

    /// A call starts that handles are lent to.
    pub fn enter(&mut self) -> Result<()> {
        self.scopes.try_reserve(1).map_err(|_| HandleError::Full)?;
        self.scopes.push(BorrowScope {
            borrows: 0,
            loans: self.loans.len(),
        });
        Ok(())
    }

    /// The innermost call ends, and with it its loans.
    pub fn exit(&mut self) -> Result<()> {
        let Some(scope) = self.scopes.pop() else {
            return Ok(());
        };
        self.end_loans(scope.loans);
        if scope.borrows != 0 {
            return Err(HandleError::BorrowsRemain);
        }
        Ok(())
    }

    /// The innermost call does not take place after all: takes back what was lent to it.
    pub fn abandon(&mut self) {
        let Some(scope) = self.scopes.pop() else {
            return;
        };
        self.end_loans(scope.loans);
        let abandoned = Ownership::Borrow(self.scopes.len() as u32);
        // The callee has dropped none of them.
        let mut left = scope.borrows;
        for table in &mut self.tables {
            if left == 0 {
                break;
            }
            left -= table.remove_all(abandoned, left);
        }
    }

    fn end_loans(&mut self, start: usize) {
        while self.loans.len() > start
            && let Some(Loan { domain, handle }) = self.loans.pop()
        {
            if let Ok(Element::Resource(entry)) = self.table(domain).get_mut(handle) {
                entry.lends = entry.lends.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
