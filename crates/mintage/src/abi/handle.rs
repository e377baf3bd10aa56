//! Handles: the context of lowering and lifting resources, and of checking their types.

use super::{ComponentTypes, LiftContext, LowerContext};
use crate::Component;
use crate::Result;
use crate::error::{Context, format_err, handle_trap};
use crate::store::{HostHandles, LendingCall, LinkedImports, ResourceOrigin};
use crate::types::{ResourceType, StoreInstanceId, TypeScope};
use mintage_environ::{DomainId, Index, ResourceId};
use mintage_runtime::Instance;
use std::ops::Deref;
use std::sync::Arc;

/// The types of a component with its imported resource types, which a type check compares with
/// Rust types.
#[derive(Clone, Copy)]
pub struct InstanceTypes<'a> {
    types: &'a ComponentTypes,
    /// By number; none for types that the component defines.
    resources: &'a [Option<ResourceType>],
}

impl<'a> InstanceTypes<'a> {
    pub(crate) fn new(types: &'a ComponentTypes, resources: &'a [Option<ResourceType>]) -> Self {
        Self { types, resources }
    }

    /// Returns the host's resource type that `id` is, or `None` when a component defines it.
    pub fn host_resource(&self, id: ResourceId) -> Option<ResourceType> {
        self.resources.get(id.index()).copied().flatten()
    }
}

impl Deref for InstanceTypes<'_> {
    type Target = ComponentTypes;

    fn deref(&self) -> &ComponentTypes {
        self.types
    }
}

/// The handles that a call can name: the store's, and those of one component instance.
pub(crate) struct HandleContext<'a> {
    pub host: &'a mut HostHandles,
    /// The component of the instance.
    pub component: &'a Component,
    /// What the instance's imports were resolved to.
    pub linked: &'a Arc<LinkedImports>,
    /// The root instance.
    pub instance: StoreInstanceId,
    pub domain: DomainId,
    /// The call that handles are lent to; none if no type in it has a borrow.
    pub lends_to: Option<LendingCall>,
}

impl HandleContext<'_> {
    /// Returns the scope of the instance's types.
    pub fn type_scope(&self) -> TypeScope {
        let resources = &self.linked.resources;
        TypeScope::instance(self.component, resources, self.host.store, self.instance)
    }

    /// Returns the resource type with the number `id` in the component.
    pub fn ty(&self, id: ResourceId) -> ResourceType {
        let host = self.linked.resources.get(id);
        host.unwrap_or_else(|| ResourceType::guest(self.host.store, self.instance, id))
    }

    /// Returns the origin of a resource of type `id`.
    pub fn origin(&self, id: ResourceId) -> ResourceOrigin {
        match self.linked.resources.get(id) {
            Some(_) => ResourceOrigin::Host {
                linked: self.linked.clone(),
                resource: id,
            },
            None => ResourceOrigin::Guest {
                instance: self.instance,
                resource: id,
            },
        }
    }

    /// Returns the call that handles are lent to.
    pub fn lends_to(&self) -> Result<LendingCall> {
        self.lends_to.context(
            "a `borrow` handle is lifted or lowered outside of the call that it is for; in a list, \
             take a `Vec` instead of a `WasmList`",
        )
    }
}

/// Returns the error for a call without an instance, which only tests make.
pub(super) fn no_handles() -> crate::Error {
    format_err!("handles need an instance")
}

impl<'a> LowerContext<'a> {
    pub(crate) fn handles(&mut self) -> Result<&mut HandleContext<'a>> {
        self.handles.as_mut().with_context(no_handles)
    }

    /// Gives the guest a resource (`lower_own`). Returns the index of its new handle.
    pub(crate) fn lower_own(&mut self, id: ResourceId, rep: u32) -> Result<u32> {
        let domain = self.handles()?.domain;
        self.instance()?
            .lower_own(domain, id, rep)
            .map_err(handle_trap)
    }

    /// Lends the guest a resource for this call (`lower_borrow`). Returns the index of its new
    /// handle.
    pub(crate) fn lower_borrow(&mut self, id: ResourceId, rep: u32) -> Result<u32> {
        let handles = self.handles()?;
        let (domain, call) = (handles.domain, handles.lends_to()?.guest);
        self.instance()?
            .lower_borrow(call, domain, id, rep)
            .map_err(handle_trap)
    }

    fn instance(&self) -> Result<&Instance> {
        self.guest.instance().with_context(no_handles)
    }
}

impl<'a> LiftContext<'a> {
    pub(crate) fn handles(&mut self) -> Result<&mut HandleContext<'a>> {
        match &mut self.handles {
            Some((handles, _)) => Ok(handles),
            None => Err(no_handles()),
        }
    }

    /// Takes a resource from the guest (`lift_own`). Returns its representation.
    pub(crate) fn lift_own(&mut self, id: ResourceId, index: u32) -> Result<u32> {
        let (handles, instance) = self.handles.as_ref().with_context(no_handles)?;
        instance
            .lift_own(handles.domain, id, index)
            .map_err(handle_trap)
    }

    /// Borrows a resource of the guest for this call (`lift_borrow`). Returns its representation.
    pub(crate) fn lift_borrow(&mut self, id: ResourceId, index: u32) -> Result<u32> {
        let (handles, instance) = self.handles.as_ref().with_context(no_handles)?;
        instance
            .lift_borrow(handles.lends_to()?.guest, handles.domain, id, index)
            .map_err(handle_trap)
    }
}
