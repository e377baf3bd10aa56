//! Lifting and lowering of handles by the host, in a component instance's table.

use crate::component::error_context::ErrorContext;
use crate::component::handles::HandleError;
use crate::instance::Instance;
use mintage_environ::{CallId, DomainId, ResourceId};

type Result<T, E = HandleError> = std::result::Result<T, E>;

impl Instance {
    /// Takes an owning handle from the guest (`lift_own`). Returns the representation.
    ///
    /// # Errors
    ///
    /// If the guest has no such handle, it is lent, or it does not own its resource.
    pub fn lift_own(&self, domain: DomainId, resource: ResourceId, handle: u32) -> Result<u32> {
        self.data().with_handles(|handles, resources| {
            handles.lift_own(resources, domain, resource, handle)
        })
    }

    /// Borrows a handle of the guest for `call` (`lift_borrow`). Returns the representation.
    ///
    /// # Errors
    ///
    /// If the guest has no such handle, or too many are lent.
    pub fn lift_borrow(
        &self,
        call: CallId,
        domain: DomainId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<u32> {
        self.data().with_handles(|handles, resources| {
            handles.lift_borrow(resources, call, domain, resource, handle)
        })
    }

    /// Gives the guest an owning handle (`lower_own`). Returns its index.
    ///
    /// # Errors
    ///
    /// If the guest's table is full.
    pub fn lower_own(&self, domain: DomainId, resource: ResourceId, rep: u32) -> Result<u32> {
        self.data()
            .with_handles(|handles, _| handles.add_own(domain, resource, rep))
    }

    /// Lends a resource to the guest for `call` (`lower_borrow`). Returns the index of a handle, or
    /// the representation if `domain` is the component instance that defines the resource.
    ///
    /// # Errors
    ///
    /// If the guest's table is full.
    pub fn lower_borrow(
        &self,
        call: CallId,
        domain: DomainId,
        resource: ResourceId,
        rep: u32,
    ) -> Result<u32> {
        self.data().with_handles(|handles, resources| {
            handles.lower_borrow(resources, call, domain, resource, rep)
        })
    }

    /// Returns the resources of the host that the guest owns: types and representations.
    pub fn owned_imports(&self) -> Vec<(ResourceId, u32)> {
        self.data()
            .with_handles(|handles, resources| handles.owned_imports(resources))
    }

    /// Copies an error context from the guest, which keeps its own handle (`lift_error_context`).
    ///
    /// # Errors
    ///
    /// If the guest has no such handle.
    pub fn lift_error_context(&self, domain: DomainId, handle: u32) -> Result<ErrorContext> {
        self.data()
            .with_handles(|handles, resources| handles.error_context(resources, domain, handle))
    }

    /// Gives the guest an error context (`lower_error_context`). Returns the index of its handle.
    ///
    /// # Errors
    ///
    /// If the guest's table is full.
    pub fn lower_error_context(&self, domain: DomainId, context: ErrorContext) -> Result<u32> {
        self.data()
            .with_handles(|handles, _| handles.add_error_context(domain, context))
    }

    /// Opens the scope of a call, in either direction, whose type has borrows.
    pub fn enter_call(&self) -> CallId {
        self.data().with_handles(|handles, _| handles.enter())
    }

    /// Closes the scope of a call that has returned, and ends its loans.
    ///
    /// # Errors
    ///
    /// If the callee still has handles that it was lent.
    pub fn exit_call(&self, call: CallId) -> Result<()> {
        self.data().with_handles(|handles, _| handles.exit(call))
    }

    /// Closes the scope of a call whose callee has not run, and takes back what was lent to it.
    pub fn abandon_call(&self, call: CallId) {
        self.data().with_handles(|handles, _| handles.abandon(call));
    }
}
