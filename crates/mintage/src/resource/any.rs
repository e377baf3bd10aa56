//! [`ResourceAny`]: a resource whose type is known only at run time.

use super::Resource;
use crate::abi::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext,
};
use crate::error::{bail, ensure};
use crate::store::HostHandle;
use crate::types::ResourceType;
use crate::{AsContextMut, Result, abi};

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
        mut store: impl AsContextMut,
    ) -> Result<ResourceAny> {
        let store = store.as_context_mut();
        let rep = resource.take()?;
        let ty = ResourceType::host::<T>();
        Ok(ResourceAny {
            handle: store.0.opaque.handles.add_own(rep, None),
            ty,
            owned: true,
        })
    }

    /// Gives up the handle and returns the resource of the host behind it.
    ///
    /// # Errors
    ///
    /// If the resource does not have the type `T`, was given up before, is lent to a call under
    /// way, or belongs to another store.
    pub fn try_into_resource<T: 'static>(
        self,
        mut store: impl AsContextMut,
    ) -> Result<Resource<T>> {
        ensure!(
            self.ty == ResourceType::host::<T>(),
            "resource type mismatch: the resource is not of the host type `{}`",
            std::any::type_name::<T>()
        );
        let entry = store
            .as_context_mut()
            .0
            .opaque
            .handles
            .remove(self.handle)?;
        Ok(match entry.owned {
            true => Resource::new_own(entry.rep),
            false => Resource::new_borrow(entry.rep),
        })
    }
}

impl LowerContext<'_> {
    fn lower_any(&mut self, ty: InterfaceType, handle: ResourceAny) -> Result<u32> {
        let (InterfaceType::Own(id) | InterfaceType::Borrow(id)) = ty else {
            bail!("a resource is passed as a value of another type")
        };
        let handles = self.handles()?;
        ensure!(
            handles.ty(id) == handle.ty,
            "resource type mismatch: the handle is of another resource type than the parameter or \
             result"
        );
        if let InterfaceType::Own(_) = ty {
            let rep = handles.host.take_own(handle.handle)?;
            self.lower_own(id, rep)
        } else {
            let rep = handles.host.lend(handles.lends_to()?.host, handle.handle)?;
            self.lower_borrow(id, rep)
        }
    }
}

impl LiftContext<'_> {
    fn lift_any(&mut self, ty: InterfaceType, index: u32) -> Result<ResourceAny> {
        let (id, owned) = match ty {
            InterfaceType::Own(id) => (id, true),
            InterfaceType::Borrow(id) => (id, false),
            _ => bail!("a value of another type is taken as a resource"),
        };
        let rep = match owned {
            true => self.lift_own(id, index)?,
            false => self.lift_borrow(id, index)?,
        };
        let handles = self.handles()?;
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

impl ComponentType for ResourceAny {
    const ABI: CanonicalAbi = CanonicalAbi::scalar(4);

    fn matches(ty: InterfaceType, _types: &InstanceTypes<'_>) -> bool {
        matches!(ty, InterfaceType::Own(_) | InterfaceType::Borrow(_))
    }

    fn describe() -> String {
        "own<_>".into()
    }
}

impl Lower for ResourceAny {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        dst[0] = u64::from(cx.lower_any(ty, *self)?);
        Ok(())
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        let index = cx.lower_any(ty, *self)?;
        cx.write(offset, index.to_le_bytes());
        Ok(())
    }
}

impl Lift for ResourceAny {
    fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
        cx.lift_any(ty, src[0] as u32)
    }

    fn lift_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        cx.lift_any(ty, abi::read_u32(bytes, 0))
    }
}
