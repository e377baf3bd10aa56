//! [`Resource`] and [`ResourceDynamic`]: resources of the host.

use super::ResourceAny;
use super::host::HostResource;
use crate::abi::{HandleContext, InterfaceType, LiftContext, LowerContext};
use crate::error::{bail, ensure};
use crate::types::ResourceType;
use crate::{AsContextMut, Result};
use std::fmt;
use std::marker::PhantomData;

/// A resource of the host, of the type that was defined as
/// [`ResourceType::host::<T>()`](ResourceType::host).
///
/// A resource is a 32-bit number, its *representation*. The host decides what the number means, for
/// example an index of a [`ResourceTable`](crate::ResourceTable). A `Resource` that a guest passes
/// is owned if the type of the parameter is `own<R>`, and borrowed if it is `borrow<R>`. Dropping
/// the Rust value destroys nothing.
///
/// ```
/// use mintage::{Engine, Linker, Resource, ResourceTable, ResourceType};
///
/// struct Counter(u32);
///
/// # fn main() -> mintage::Result<()> {
/// let engine = Engine::default();
/// let mut linker = Linker::<ResourceTable>::new(&engine);
/// let mut counters = linker.instance("host:count/counters")?;
/// counters.resource("counter", ResourceType::host::<Counter>(), |mut store, rep| {
///     store.data_mut().delete(Resource::<Counter>::new_own(rep))?;
///     Ok(())
/// })?;
/// counters.func_wrap("new-counter", |mut store, (): ()| {
///     Ok((store.data_mut().push(Counter(0))?,))
/// })?;
/// counters.func_wrap("next", |mut store, (counter,): (Resource<Counter>,)| {
///     let counter = store.data_mut().get_mut(&counter)?;
///     counter.0 += 1;
///     Ok((counter.0,))
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct Resource<T> {
    pub(super) host: HostResource,
    /// Invariant in `T`, since a subtype is another resource type.
    ty: PhantomData<fn(T) -> T>,
}

impl<T: 'static> Resource<T> {
    /// Creates an owned resource, to be given away.
    pub fn new_own(rep: u32) -> Resource<T> {
        Self::of_host(HostResource::new(rep, true))
    }

    /// Creates a borrowed resource, to be lent for the duration of the calls that it is passed to.
    pub fn new_borrow(rep: u32) -> Resource<T> {
        Self::of_host(HostResource::new(rep, false))
    }

    pub(super) fn of_host(host: HostResource) -> Resource<T> {
        Resource {
            host,
            ty: PhantomData,
        }
    }

    /// Returns the representation.
    pub fn rep(&self) -> u32 {
        self.host.rep()
    }

    /// Returns whether this owns the resource.
    pub fn owned(&self) -> bool {
        self.host.owned()
    }

    /// Converts a handle to the host's resource behind it.
    ///
    /// # Errors
    ///
    /// As [`ResourceAny::try_into_resource`].
    pub fn try_from_resource_any(
        resource: ResourceAny,
        store: impl AsContextMut,
    ) -> Result<Resource<T>> {
        resource.try_into_resource(store)
    }

    /// Converts the resource to a handle.
    ///
    /// # Errors
    ///
    /// As [`ResourceAny::try_from_resource`].
    pub fn try_into_resource_any(self, store: impl AsContextMut) -> Result<ResourceAny> {
        ResourceAny::try_from_resource(self, store)
    }

    fn lower(&self, cx: &mut LowerContext<'_>, ty: InterfaceType) -> Result<u32> {
        self.host.lower(cx, ty)
    }

    fn lift(cx: &mut LiftContext<'_>, ty: InterfaceType, index: u32) -> Result<Self> {
        HostResource::lift(cx, ty, index).map(Self::of_host)
    }
}

impl<T> fmt::Debug for Resource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)
    }
}

/// A resource of the host, of a type that is known only at run time: a number stands for the type,
/// which was defined as [`ResourceType::host_dynamic`] of that number.
///
/// In all other respects it is like a [`Resource`].
///
/// ```
/// use mintage::component::{Linker, ResourceDynamic, ResourceType};
/// use mintage::Engine;
///
/// # fn main() -> mintage::Result<()> {
/// // Resource types that a configuration file lists.
/// let names = ["file", "socket"];
/// let mut linker = Linker::<()>::new(&Engine::default());
/// let mut instance = linker.instance("host:things/all")?;
/// for (number, name) in (0..).zip(names) {
///     instance.resource(name, ResourceType::host_dynamic(number), |_, _rep| Ok(()))?;
///     instance.func_wrap(&format!("new-{name}"), move |_, (): ()| {
///         Ok((ResourceDynamic::new_own(7, number),))
///     })?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct ResourceDynamic {
    pub(super) host: HostResource,
    ty: u32,
}

impl ResourceDynamic {
    /// Creates an owned resource of type number `ty`, to be given away.
    pub fn new_own(rep: u32, ty: u32) -> ResourceDynamic {
        let host = HostResource::new(rep, true);
        ResourceDynamic { host, ty }
    }

    /// Creates a borrowed resource of type number `ty`, to be lent for the duration of the calls
    /// that it is passed to.
    pub fn new_borrow(rep: u32, ty: u32) -> ResourceDynamic {
        let host = HostResource::new(rep, false);
        ResourceDynamic { host, ty }
    }

    pub(super) fn of_host(host: HostResource, ty: u32) -> ResourceDynamic {
        ResourceDynamic { host, ty }
    }

    /// Returns the representation.
    pub fn rep(&self) -> u32 {
        self.host.rep()
    }

    /// Returns the number of the type.
    pub fn ty(&self) -> u32 {
        self.ty
    }

    /// Returns whether this owns the resource.
    pub fn owned(&self) -> bool {
        self.host.owned()
    }

    /// Converts a handle to the host's resource behind it.
    ///
    /// # Errors
    ///
    /// As [`ResourceAny::try_into_resource_dynamic`].
    pub fn try_from_resource_any(
        resource: ResourceAny,
        store: impl AsContextMut,
    ) -> Result<ResourceDynamic> {
        resource.try_into_resource_dynamic(store)
    }

    /// Converts the resource to a handle.
    ///
    /// # Errors
    ///
    /// If it is borrowed, or was given away before.
    pub fn try_into_resource_any(self, store: impl AsContextMut) -> Result<ResourceAny> {
        ResourceAny::of_host(self.host, ResourceType::host_dynamic(self.ty), store)
    }

    /// Checks that a handle of type `ty` is of this resource's type, and passes the resource.
    fn lower(&self, cx: &mut LowerContext<'_>, ty: InterfaceType) -> Result<u32> {
        let expected = type_number(cx.handles()?, ty);
        ensure!(
            expected == Some(self.ty),
            "resource type mismatch: the resource has the type number {}, and the parameter or \
             result has {}",
            self.ty,
            expected.map_or("another type".into(), |number| number.to_string())
        );
        self.host.lower(cx, ty)
    }

    fn lift(cx: &mut LiftContext<'_>, ty: InterfaceType, index: u32) -> Result<Self> {
        let Some(number) = type_number(cx.handles()?, ty) else {
            bail!("a resource of another type is taken as one of a numbered type")
        };
        let host = HostResource::lift(cx, ty, index)?;
        Ok(Self::of_host(host, number))
    }
}

/// Returns the number of the resource type of a handle, if it has one.
fn type_number(handles: &HandleContext<'_>, ty: InterfaceType) -> Option<u32> {
    match ty {
        InterfaceType::Own(id) | InterfaceType::Borrow(id) => handles.ty(id).dynamic_payload(),
        _ => None,
    }
}

impl fmt::Debug for ResourceDynamic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)
    }
}

passed_by_handle! {
    [T: 'static] Resource<T>,
    |id, types| types.host_resource(id) == Some(ResourceType::host::<T>()),
    format!("own<{}>", std::any::type_name::<T>())
}

passed_by_handle! {
    [] ResourceDynamic,
    |id, types| types
        .host_resource(id)
        .is_some_and(|ty| ty.dynamic_payload().is_some()),
    "own<_> of a numbered type of the host".into()
}
