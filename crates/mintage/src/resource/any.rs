//! [`ResourceAny`]: a resource whose type is known only at run time.

use super::host::HostResource;
use super::{Resource, ResourceDynamic};
use crate::abi::{InterfaceType, LiftContext, LowerContext};
use crate::error::{bail, ensure};
use crate::store::HostHandle;
use crate::types::ResourceType;
use crate::{AsContextMut, Result};

/// A handle to a resource of a guest or of the host, in a [`Store`](crate::Store).
///
/// The value is a name: copies of it are the same handle. An owned resource lives until it is given
/// away (passed as `own<R>`), or dropped with [`resource_drop`](Self::resource_drop). A borrowed
/// resource can be used until the host function that got it returns. Later use is an error.
/// Dropping the Rust value, or the store, runs no destructor.
///
/// ```
/// use mintage::{Engine, Resource, ResourceAny, ResourceType, Store};
///
/// struct File;
///
/// # fn main() -> mintage::Result<()> {
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, ());
/// let file = Resource::<File>::new_own(7);
/// let any = ResourceAny::try_from_resource(file, &mut store)?;
/// assert_eq!(any.ty(), ResourceType::host::<File>());
/// let file: Resource<File> = any.try_into_resource(&mut store)?;
/// assert_eq!(file.rep(), 7);
/// // The handle was given up.
/// assert!(any.resource_drop(&mut store).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceAny {
    handle: HostHandle,
    ty: ResourceType,
    owned: bool,
}

impl ResourceAny {
    /// Returns the type of the resource.
    pub fn ty(&self) -> ResourceType {
        self.ty
    }

    /// Returns whether the handle owns its resource.
    pub fn owned(&self) -> bool {
        self.owned
    }

    /// Drops the handle. If it owns the resource, this runs the destructor: the guest's, or the one
    /// that was given to [`LinkerInstance::resource`](crate::LinkerInstance::resource).
    ///
    /// # Errors
    ///
    /// - If the handle was given up before, is lent to a call under way, or belongs to another
    ///   store.
    /// - If the instance of the guest cannot be entered, or the destructor fails. The handle is
    ///   gone then.
    pub fn resource_drop(self, mut store: impl AsContextMut) -> Result<()> {
        let store = store.as_context_mut();
        let entry = store.0.opaque.handles.remove(self.handle)?;
        match entry.origin.filter(|_| entry.owned) {
            Some(origin) => store.0.destroy(origin, entry.rep),
            None => Ok(()),
        }
    }

    /// Drops the handle as [`resource_drop`](Self::resource_drop) does. The destructor, or an
    /// asynchronous host function that it calls, may wait; see
    /// [`Func::call_async`](crate::Func::call_async).
    ///
    /// # Errors
    ///
    /// As [`resource_drop`](Self::resource_drop).
    pub async fn resource_drop_async(self, mut store: impl AsContextMut<Data: Send>) -> Result<()> {
        let store = store.as_context_mut();
        let entry = store.0.opaque.handles.remove(self.handle)?;
        match entry.origin.filter(|_| entry.owned) {
            Some(origin) => store.0.destroy_async(origin, entry.rep).await,
            None => Ok(()),
        }
    }

    /// Creates a handle to a resource of the host.
    ///
    /// # Errors
    ///
    /// If `resource` is borrowed, or was given away before.
    pub fn try_from_resource<T: 'static>(
        resource: Resource<T>,
        store: impl AsContextMut,
    ) -> Result<ResourceAny> {
        Self::of_host(resource.host, ResourceType::host::<T>(), store)
    }

    /// Gives up the handle and returns the resource of the host behind it.
    ///
    /// # Errors
    ///
    /// If the resource does not have the type `T`, was given up before, is lent to a call under
    /// way, or belongs to another store.
    pub fn try_into_resource<T: 'static>(self, store: impl AsContextMut) -> Result<Resource<T>> {
        ensure!(
            self.ty == ResourceType::host::<T>(),
            "resource type mismatch: the resource is not of the host type `{}`",
            std::any::type_name::<T>()
        );
        self.into_host(store).map(Resource::of_host)
    }

    /// Gives up the handle and returns the resource of the host behind it, whose type is known only
    /// at run time.
    ///
    /// # Errors
    ///
    /// If the resource type is not one of [`ResourceType::host_dynamic`], and as
    /// [`try_into_resource`](Self::try_into_resource).
    pub fn try_into_resource_dynamic(self, store: impl AsContextMut) -> Result<ResourceDynamic> {
        let Some(number) = self.ty.dynamic_payload() else {
            bail!("resource type mismatch: the resource is not of a numbered type of the host")
        };
        let host = self.into_host(store)?;
        Ok(ResourceDynamic::of_host(host, number))
    }

    /// Creates a handle to a resource of the host of type `ty`.
    pub(super) fn of_host(
        resource: HostResource,
        ty: ResourceType,
        mut store: impl AsContextMut,
    ) -> Result<ResourceAny> {
        let rep = resource.take()?;
        let handles = &mut store.as_context_mut().0.opaque.handles;
        Ok(ResourceAny {
            handle: handles.add_own(rep, None),
            ty,
            owned: true,
        })
    }

    /// Gives up the handle and returns the resource of the host behind it.
    fn into_host(self, mut store: impl AsContextMut) -> Result<HostResource> {
        let handles = &mut store.as_context_mut().0.opaque.handles;
        let entry = handles.remove(self.handle)?;
        Ok(HostResource::new(entry.rep, entry.owned))
    }
}

impl ResourceAny {
    fn lower(&self, cx: &mut LowerContext<'_>, ty: InterfaceType) -> Result<u32> {
        let (InterfaceType::Own(id) | InterfaceType::Borrow(id)) = ty else {
            bail!("a resource is passed as a value of another type")
        };
        let handles = cx.handles()?;
        ensure!(
            handles.ty(id) == self.ty,
            "resource type mismatch: the handle is of another resource type than the parameter or \
             result"
        );
        if let InterfaceType::Own(_) = ty {
            let rep = handles.host.take_own(self.handle)?;
            cx.lower_own(id, rep)
        } else {
            let rep = handles.host.lend(handles.lends_to()?.host, self.handle)?;
            cx.lower_borrow(id, rep)
        }
    }

    fn lift(cx: &mut LiftContext<'_>, ty: InterfaceType, index: u32) -> Result<ResourceAny> {
        let (id, owned) = match ty {
            InterfaceType::Own(id) => (id, true),
            InterfaceType::Borrow(id) => (id, false),
            _ => bail!("a value of another type is taken as a resource"),
        };
        let rep = match owned {
            true => cx.lift_own(id, index)?,
            false => cx.lift_borrow(id, index)?,
        };
        let handles = cx.handles()?;
        let (ty, origin) = (handles.ty(id), Some(handles.origin(id)));
        let handle = match owned {
            true => handles.host.add_own(rep, origin),
            false => handles
                .host
                .add_borrow(handles.lends_to()?.host, rep, origin),
        };
        Ok(ResourceAny { handle, ty, owned })
    }
}

passed_by_handle! { [] ResourceAny, |_id, _types| true, "own<_>".into() }
