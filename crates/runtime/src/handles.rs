//! Handle tables: one per component instance of the tree (CanonicalABI.md, "Table State" and
//! "Resource State"), and the calls under way that handles are lent to.
//!
//! A loan ends with its call, and calls of one root instance nest, so a stack of scopes stands for
//! the specification's tasks and subtasks: one scope is both the subtask that the caller's handles
//! are lent to and the task that must drop what it was lent. Only calls whose type has borrows
//! enter a scope.

use crate::data::InstanceData;
use crate::error_context::Room;
use crate::{ErrorContext, Instance};
use mintage_environ::component::Resource;
use mintage_environ::{DomainId, Index, IndexVec, ResourceId, Trap};
use std::fmt;

/// The most handles of a root instance: what the specification allows one table
/// (`Table.MAX_LENGTH`). A handle takes 20 bytes of the host's memory.
pub(crate) const MAX_HANDLES: u32 = (1 << 28) - 1;

/// What a handle was used for in vain: a trap, with what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandleError {
    /// No handle has this index.
    Unknown {
        /// The index.
        handle: u32,
    },
    /// The handle is of another resource type.
    WrongType {
        /// The index.
        handle: u32,
        /// What was expected.
        expected: HandleKind,
        /// What the handle is of.
        found: HandleKind,
    },
    /// The handle is lent to a call.
    Lent {
        /// Whether it owns its resource.
        owned: bool,
    },
    /// An owning handle is needed.
    NotOwned,
    /// A call ends before it dropped all that it was lent.
    BorrowsRemain,
    /// There is no room for another handle or loan.
    Full,
}

/// What a handle can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// A resource that the host defines.
    Host,
    /// A resource that a component instance defines.
    Guest,
    /// An error context.
    ErrorContext,
}

impl HandleKind {
    fn of(resources: &Resources, id: ResourceId) -> HandleKind {
        match resources.get(id) {
            Some(Resource::Defined { .. }) => HandleKind::Guest,
            Some(Resource::Imported { .. }) | None => HandleKind::Host,
        }
    }
}

impl fmt::Display for HandleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HandleKind::Host => "host-defined resource",
            HandleKind::Guest => "guest-defined resource",
            HandleKind::ErrorContext => "error-context",
        })
    }
}

impl HandleError {
    /// The trap that the guest is stopped with.
    pub fn trap(self) -> Trap {
        match self {
            HandleError::Unknown { .. } => Trap::UnknownHandle,
            HandleError::WrongType { .. } => Trap::WrongHandleType,
            HandleError::Lent { .. } => Trap::HandleLent,
            HandleError::NotOwned => Trap::NotOwned,
            HandleError::BorrowsRemain => Trap::BorrowsRemain,
            HandleError::Full => Trap::HandleTableFull,
        }
    }
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandleError::Unknown { handle } => write!(f, "unknown handle index {handle}"),
            HandleError::WrongType {
                handle,
                expected,
                found,
            } => {
                let article = match found {
                    found if found == expected => "a different",
                    HandleKind::ErrorContext => "an",
                    HandleKind::Host | HandleKind::Guest => "a",
                };
                write!(
                    f,
                    "handle index {handle} used with the wrong type, expected {expected} but found \
                     {article} {found}"
                )
            }
            HandleError::Lent { owned: false } => {
                f.write_str("cannot remove borrowed resource while it is lent on")
            }
            error => f.write_str(error.trap().message()),
        }
    }
}

impl std::error::Error for HandleError {}

/// All resource types of a component.
type Resources = IndexVec<ResourceId, Resource>;
type Result<T, E = HandleError> = std::result::Result<T, E>;

/// The handle tables of a root instance, and the calls that handles are lent to.
pub(crate) struct Handles {
    /// The most loans.
    limit: usize,
    /// How many slots all tables together may still add. Slots are reused but never given back, so
    /// this is what bounds memory, however many component instances share it.
    slots_left: usize,
    /// By domain; made when first used.
    tables: Vec<Table>,
    /// The calls under way, outermost first.
    scopes: Vec<Scope>,
    /// What is lent to these calls, in their order.
    loans: Vec<Loan>,
    /// What messages of error contexts take.
    messages: Room,
}

/// A call that handles are lent to.
struct Scope {
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

/// A handle.
#[derive(Clone, Copy, Debug)]
struct Entry {
    resource: ResourceId,
    rep: u32,
    kind: Kind,
    /// How many calls it is lent to (`num_lends`).
    lends: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Own,
    /// Borrowed for the call with this place in the list of calls under way.
    Borrow(u32),
}

/// The handles of a component instance. Index 0 is no handle.
#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    /// The free slot that is taken next; 0 for none. Slots are reused in reverse order of their
    /// release.
    free: u32,
}

enum Slot {
    Free { next: u32 },
    Taken(Entry),
    ErrorContext(ErrorContext),
}

impl Table {
    fn add(&mut self, taken: Slot, slots_left: &mut usize) -> Result<u32> {
        if let Some(slot) = self.slots.get_mut(self.free as usize)
            && let Slot::Free { next } = *slot
            && self.free != 0
        {
            *slot = taken;
            return Ok(std::mem::replace(&mut self.free, next));
        }
        // One more for index 0, where there is none yet.
        if *slots_left == 0 || self.slots.try_reserve(2).is_err() {
            return Err(HandleError::Full);
        }
        *slots_left -= 1;
        if self.slots.is_empty() {
            self.slots.push(Slot::Free { next: 0 });
        }
        let index = self.slots.len();
        self.slots.push(taken);
        Ok(index as u32)
    }

    fn get_mut(&mut self, handle: u32) -> Result<&mut Slot> {
        match self.slots.get_mut(handle as usize) {
            None | Some(Slot::Free { .. }) => Err(HandleError::Unknown { handle }),
            Some(taken) => Ok(taken),
        }
    }

    fn remove(&mut self, handle: u32) {
        if let Some(slot) = self.slots.get_mut(handle as usize) {
            *slot = Slot::Free { next: self.free };
            self.free = handle;
        }
    }
}

impl Handles {
    /// Empty tables for at most `limit` handles together.
    pub fn new(limit: u32) -> Self {
        let limit = limit.min(MAX_HANDLES) as usize;
        Handles {
            limit,
            slots_left: limit,
            tables: Vec::new(),
            scopes: Vec::new(),
            loans: Vec::new(),
            messages: Room::default(),
        }
    }

    /// Whether there never was a handle: a free list, too, is something that the guest can see.
    pub fn are_unused(&self) -> bool {
        self.tables.iter().all(|table| table.slots.is_empty())
    }

    /// Whether there is no handle.
    pub fn are_empty(&self) -> bool {
        let mut slots = self.tables.iter().flat_map(|table| &table.slots);
        slots.all(|slot| matches!(slot, Slot::Free { .. }))
    }

    fn table(&mut self, domain: DomainId) -> &mut Table {
        if self.tables.len() <= domain.index() {
            self.tables.resize_with(domain.index() + 1, Table::default);
        }
        &mut self.tables[domain.index()]
    }

    /// Adds a handle to the table of `domain`.
    fn add(&mut self, domain: DomainId, taken: Slot) -> Result<u32> {
        self.table(domain);
        self.tables[domain.index()].add(taken, &mut self.slots_left)
    }

    /// The handle, which must be of type `resource`.
    fn entry(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<&mut Entry> {
        let wrong = |found| HandleError::WrongType {
            handle,
            expected: HandleKind::of(resources, resource),
            found,
        };
        match self.table(domain).get_mut(handle)? {
            Slot::Taken(entry) => match entry.resource == resource {
                true => Ok(entry),
                false => Err(wrong(HandleKind::of(resources, entry.resource))),
            },
            Slot::ErrorContext(_) => Err(wrong(HandleKind::ErrorContext)),
            Slot::Free { .. } => Err(HandleError::Unknown { handle }),
        }
    }

    /// `error-context.new`.
    pub fn new_error_context(&mut self, domain: DomainId, message: &str) -> Result<u32> {
        let context = self.messages.keep(message);
        self.add_error_context(domain, context)
    }

    /// `lower_error_context`.
    pub fn add_error_context(&mut self, domain: DomainId, context: ErrorContext) -> Result<u32> {
        self.add(domain, Slot::ErrorContext(context))
    }

    /// `lift_error_context`: the handle stays.
    pub fn error_context(
        &mut self,
        resources: &Resources,
        domain: DomainId,
        handle: u32,
    ) -> Result<ErrorContext> {
        match self.table(domain).get_mut(handle)? {
            Slot::ErrorContext(context) => Ok(context.clone()),
            Slot::Taken(entry) => Err(HandleError::WrongType {
                handle,
                expected: HandleKind::ErrorContext,
                found: HandleKind::of(resources, entry.resource),
            }),
            Slot::Free { .. } => Err(HandleError::Unknown { handle }),
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
        let entry = Entry {
            resource,
            rep,
            kind: Kind::Own,
            lends: 0,
        };
        self.add(domain, Slot::Taken(entry))
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
        let Entry {
            rep, kind, lends, ..
        } = *self.entry(resources, domain, resource, handle)?;
        let owned = kind == Kind::Own;
        if lends != 0 {
            return Err(HandleError::Lent { owned });
        }
        self.table(domain).remove(handle);
        if let Kind::Borrow(scope) = kind
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
        let Entry {
            rep, kind, lends, ..
        } = *self.entry(resources, domain, resource, handle)?;
        let owned = kind == Kind::Own;
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
        let entry = Entry {
            resource,
            rep,
            kind: Kind::Borrow(scope as u32),
            lends: 0,
        };
        let handle = self.add(domain, Slot::Taken(entry))?;
        self.scopes[scope].borrows += 1;
        Ok(handle)
    }

    /// A call starts that handles are lent to.
    pub fn enter(&mut self) -> Result<()> {
        self.scopes.try_reserve(1).map_err(|_| HandleError::Full)?;
        self.scopes.push(Scope {
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
        let abandoned = Kind::Borrow(self.scopes.len() as u32);
        // The callee has dropped none of them. There are few as a rule, if any, and many slots.
        let mut left = scope.borrows;
        for table in &mut self.tables {
            for handle in (0..table.slots.len() as u32).rev() {
                if left == 0 {
                    return;
                }
                if matches!(table.slots[handle as usize], Slot::Taken(entry) if entry.kind == abandoned)
                {
                    table.remove(handle);
                    left -= 1;
                }
            }
        }
    }

    fn end_loans(&mut self, start: usize) {
        while self.loans.len() > start
            && let Some(Loan { domain, handle }) = self.loans.pop()
        {
            if let Ok(Slot::Taken(entry)) = self.table(domain).get_mut(handle) {
                entry.lends = entry.lends.saturating_sub(1);
            }
        }
    }
}

impl InstanceData {
    /// Uses the handle tables. `f` calls nothing that could use them, too.
    pub(crate) fn with_handles<T>(&self, f: impl FnOnce(&mut Handles, &Resources) -> T) -> T {
        f(
            &mut self.handles.borrow_mut(),
            &self.code.interface().resources,
        )
    }
}

/// The host's side of handles: what lifting and lowering does in a component instance's table.
impl Instance {
    /// Takes an owning handle from the guest (`lift_own`): the representation.
    ///
    /// # Errors
    ///
    /// When the guest has no such handle, it is lent, or it does not own its resource.
    pub fn lift_own(&self, domain: DomainId, resource: ResourceId, handle: u32) -> Result<u32> {
        self.data().with_handles(|handles, resources| {
            handles.lift_own(resources, domain, resource, handle)
        })
    }

    /// Borrows a handle of the guest for the innermost call that was entered (`lift_borrow`): the
    /// representation.
    ///
    /// # Errors
    ///
    /// When the guest has no such handle, or too many are lent.
    pub fn lift_borrow(&self, domain: DomainId, resource: ResourceId, handle: u32) -> Result<u32> {
        self.data().with_handles(|handles, resources| {
            handles.lift_borrow(resources, domain, resource, handle)
        })
    }

    /// Gives the guest an owning handle (`lower_own`): its index.
    ///
    /// # Errors
    ///
    /// When the guest's table is full.
    pub fn lower_own(&self, domain: DomainId, resource: ResourceId, rep: u32) -> Result<u32> {
        self.data()
            .with_handles(|handles, _| handles.add_own(domain, resource, rep))
    }

    /// Lends a resource to the guest for the innermost call that was entered (`lower_borrow`): the
    /// index of a handle, or the representation when the component instance defines the resource.
    ///
    /// # Errors
    ///
    /// When the guest's table is full.
    pub fn lower_borrow(&self, domain: DomainId, resource: ResourceId, rep: u32) -> Result<u32> {
        self.data().with_handles(|handles, resources| {
            handles.lower_borrow(resources, domain, resource, rep)
        })
    }

    /// Takes an error context from the guest, which keeps its own handle (`lift_error_context`).
    ///
    /// # Errors
    ///
    /// When the guest has no such handle.
    pub fn lift_error_context(&self, domain: DomainId, handle: u32) -> Result<ErrorContext> {
        self.data()
            .with_handles(|handles, resources| handles.error_context(resources, domain, handle))
    }

    /// Gives the guest an error context (`lower_error_context`): the index of its handle.
    ///
    /// # Errors
    ///
    /// When the guest's table is full.
    pub fn lower_error_context(&self, domain: DomainId, context: ErrorContext) -> Result<u32> {
        self.data()
            .with_handles(|handles, _| handles.add_error_context(domain, context))
    }

    /// Enters a call, in either direction, whose type has borrows.
    ///
    /// # Errors
    ///
    /// When there is no memory.
    pub fn enter_call(&self) -> Result<()> {
        self.data().with_handles(|handles, _| handles.enter())
    }

    /// Leaves the innermost call that was entered, and ends its loans.
    ///
    /// # Errors
    ///
    /// When the callee still has handles that it was lent.
    pub fn exit_call(&self) -> Result<()> {
        self.data().with_handles(|handles, _| handles.exit())
    }

    /// Leaves the innermost call that was entered, whose callee has not run: takes back what it was
    /// lent.
    pub fn abandon_call(&self) {
        self.data().with_handles(|handles, _| handles.abandon());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const A: DomainId = DomainId::from_u32(0);
    const B: DomainId = DomainId::from_u32(1);
    const FILE: ResourceId = ResourceId::from_u32(0);
    const OWN: ResourceId = ResourceId::from_u32(1);

    /// `FILE` is the host's, `OWN` is of domain `A`.
    fn resources() -> Resources {
        [
            Resource::Imported { path: Box::new([]) },
            Resource::Defined {
                domain: A,
                dtor: None,
            },
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn indexes_start_at_one_and_the_last_freed_is_reused_first() {
        let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
        let add = |handles: &mut Handles, rep| handles.add_own(A, OWN, rep).unwrap();
        assert_eq!([10, 20, 30].map(|rep| add(&mut handles, rep)), [1, 2, 3]);
        for handle in [2, 1, 3] {
            assert_eq!(
                handles.drop(&types, A, OWN, handle),
                Ok((true, handle * 10))
            );
        }
        assert_eq!(
            [40, 50, 60, 70].map(|rep| add(&mut handles, rep)),
            [3, 1, 2, 4]
        );
        assert_eq!(handles.rep(&types, A, OWN, 1), Ok(50));
        for handle in [0, 5, u32::MAX] {
            assert_eq!(
                handles.rep(&types, A, OWN, handle),
                Err(HandleError::Unknown { handle })
            );
        }
        assert_eq!(
            handles.rep(&types, B, OWN, 1),
            Err(HandleError::Unknown { handle: 1 })
        );
    }

    #[test]
    fn a_handle_remembers_its_type() {
        let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
        let handle = handles.add_own(A, FILE, 7).unwrap();
        let error = handles.drop(&types, A, OWN, handle).unwrap_err();
        assert_eq!(error.trap(), Trap::WrongHandleType);
        assert_eq!(
            error.to_string(),
            "handle index 1 used with the wrong type, expected guest-defined resource but found a \
             host-defined resource"
        );
        assert_eq!(handles.rep(&types, A, FILE, handle), Ok(7));
    }

    #[test]
    fn loans_are_counted_and_end_with_their_call() {
        let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
        let handle = handles.add_own(A, FILE, 7).unwrap();
        handles.enter().unwrap();
        handles.lift_borrow(&types, A, FILE, handle).unwrap();
        handles.enter().unwrap();
        handles.lift_borrow(&types, A, FILE, handle).unwrap();
        handles.exit().unwrap();
        let lent = Err(HandleError::Lent { owned: true });
        assert_eq!(handles.drop(&types, A, FILE, handle).map(|_| ()), lent);
        assert_eq!(handles.lift_own(&types, A, FILE, handle).map(|_| ()), lent);
        handles.exit().unwrap();
        assert_eq!(handles.lift_own(&types, A, FILE, handle), Ok(7));
        assert_eq!(
            handles.lift_own(&types, A, FILE, handle),
            Err(HandleError::Unknown { handle })
        );
    }

    #[test]
    fn borrows_are_dropped_before_their_call_ends() {
        let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
        handles.enter().unwrap();
        let outer = handles.lower_borrow(&types, B, OWN, 5).unwrap();
        // The instance that defines the resource gets the representation, which is no handle.
        assert_eq!(handles.lower_borrow(&types, A, OWN, 5), Ok(5));
        handles.enter().unwrap();
        let inner = handles.lower_borrow(&types, B, FILE, 6).unwrap();
        assert_eq!(
            handles.lift_own(&types, B, FILE, inner),
            Err(HandleError::NotOwned)
        );
        assert_eq!(handles.exit(), Err(HandleError::BorrowsRemain));
        assert_eq!(handles.drop(&types, B, OWN, outer), Ok((false, 5)));
        assert_eq!(handles.exit(), Ok(()));
    }

    #[test]
    fn tables_and_loans_are_limited() {
        let (types, mut handles) = (resources(), Handles::new(3));
        let full = Err(HandleError::Full);
        assert_eq!(handles.add_own(A, FILE, 1), Ok(1));
        assert_eq!(handles.add_own(A, FILE, 2), Ok(2));
        // Each component instance has a table of its own, but they share the limit. Room is given
        // back.
        assert_eq!(handles.add_own(B, FILE, 3), Ok(1));
        assert_eq!(handles.add_own(A, FILE, 3), full);
        assert_eq!(handles.add_own(B, FILE, 3), full);
        handles.drop(&types, A, FILE, 1).unwrap();
        assert_eq!(handles.add_own(A, FILE, 3), Ok(1));

        handles.enter().unwrap();
        for _ in 0..3 {
            assert_eq!(handles.lift_borrow(&types, A, FILE, 1), Ok(3));
        }
        assert_eq!(handles.lift_borrow(&types, A, FILE, 1), full);
        assert_eq!(handles.lower_borrow(&types, A, FILE, 5), full);
    }

    #[test]
    fn an_abandoned_call_leaves_nothing() {
        let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
        let own = handles.add_own(A, FILE, 7).unwrap();
        handles.enter().unwrap();
        handles.lift_borrow(&types, A, FILE, own).unwrap();
        let lent = handles.lower_borrow(&types, B, FILE, 7).unwrap();
        handles.abandon();
        assert_eq!(
            handles.rep(&types, B, FILE, lent),
            Err(HandleError::Unknown { handle: lent })
        );
        assert_eq!(handles.drop(&types, A, FILE, own), Ok((true, 7)));
    }

    /// What the specification's `Table` and the loans of its tasks amount to, with maps in place of
    /// slots: for comparison.
    #[derive(Default)]
    struct Model {
        handles: BTreeMap<u32, (ResourceId, u32, Option<usize>, u32)>,
        free: Vec<u32>,
        calls: Vec<(u32, Vec<u32>)>,
    }

    impl Model {
        fn add(&mut self, resource: ResourceId, rep: u32, call: Option<usize>) -> u32 {
            let next = (self.handles.len() + self.free.len()) as u32 + 1;
            let index = self.free.pop().unwrap_or(next);
            self.handles.insert(index, (resource, rep, call, 0));
            index
        }

        fn get(
            &mut self,
            resource: ResourceId,
            handle: u32,
        ) -> Result<&mut (ResourceId, u32, Option<usize>, u32), Trap> {
            match self.handles.get_mut(&handle) {
                None => Err(Trap::UnknownHandle),
                Some((found, ..)) if *found != resource => Err(Trap::WrongHandleType),
                Some(entry) => Ok(entry),
            }
        }

        fn remove(&mut self, resource: ResourceId, handle: u32, as_own: bool) -> Result<u32, Trap> {
            let &mut (_, rep, call, lends) = self.get(resource, handle)?;
            if lends != 0 {
                return Err(Trap::HandleLent);
            }
            match call {
                Some(_) if as_own => return Err(Trap::NotOwned),
                Some(call) => self.calls[call].0 -= 1,
                None => {}
            }
            self.handles.remove(&handle);
            self.free.push(handle);
            Ok(rep)
        }
    }

    proptest! {
        /// Steps that would end an instance in a trap leave the tables as they were, so that the
        /// walk goes on.
        #[test]
        fn tables_are_those_of_the_specification(
            steps in prop::collection::vec((0..7u8, 0..2u32, 0..12u32), 0..200),
        ) {
            let (types, mut handles, mut model) = (resources(), Handles::new(MAX_HANDLES), Model::default());
            for (step, resource, number) in steps {
                let resource = ResourceId::from_u32(resource);
                // The model is of domain B, where no resource is defined.
                let (found, expected) = match step {
                    0 => (handles.add_own(B, resource, number), Ok(model.add(resource, number, None))),
                    1 => (
                        handles.drop(&types, B, resource, number).map(|(_, rep)| rep),
                        model.remove(resource, number, false),
                    ),
                    2 => (handles.lift_own(&types, B, resource, number), model.remove(resource, number, true)),
                    3 => (handles.rep(&types, B, resource, number), model.get(resource, number).map(|entry| entry.1)),
                    4 => {
                        handles.enter().unwrap();
                        model.calls.push((0, Vec::new()));
                        continue;
                    }
                    5 if !model.calls.is_empty() => {
                        let borrows = model.calls.last().map_or(0, |call| call.0);
                        if borrows != 0 {
                            // The specification's instance ends here.
                            break;
                        }
                        let (_, loans) = model.calls.pop().unwrap_or_default();
                        for handle in loans {
                            model.handles.get_mut(&handle).unwrap().3 -= 1;
                        }
                        prop_assert_eq!(handles.exit(), Ok(()));
                        continue;
                    }
                    6 if !model.calls.is_empty() => {
                        let lent = model.get(resource, number).map(|entry| {
                            entry.3 += 1;
                            entry.1
                        });
                        let found = handles.lift_borrow(&types, B, resource, number);
                        if let Ok(rep) = lent {
                            model.calls.last_mut().unwrap().1.push(number);
                            let last = model.calls.len() - 1;
                            model.calls[last].0 += 1;
                            let handle = model.add(resource, rep, Some(last));
                            prop_assert_eq!(handles.lower_borrow(&types, B, resource, rep), Ok(handle));
                        }
                        (found, lent)
                    }
                    _ => continue,
                };
                prop_assert_eq!(found.map_err(HandleError::trap), expected);
            }
            for (&handle, &(resource, rep, ..)) in &model.handles {
                prop_assert_eq!(handles.rep(&types, B, resource, handle), Ok(rep));
            }
        }
    }
}
