//! [`Resource`]: a resource of the host.

use super::ResourceAny;
use crate::abi::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext,
};
use crate::error::{bail, ensure};
use crate::types::ResourceType;
use crate::{AsContextMut, Result, abi};
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

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
    rep: u32,
    owned: bool,
    /// Whether an owned resource was given away.
    taken: AtomicBool,
    /// Invariant in `T`, since a subtype is another resource type.
    ty: PhantomData<fn(T) -> T>,
}

impl<T: 'static> Resource<T> {
    /// Creates an owned resource, to be given away.
    pub fn new_own(rep: u32) -> Resource<T> {
        Self::new(rep, true)
    }

    /// Creates a borrowed resource, to be lent for the duration of the calls that it is passed to.
    pub fn new_borrow(rep: u32) -> Resource<T> {
        Self::new(rep, false)
    }

    fn new(rep: u32, owned: bool) -> Resource<T> {
        Resource {
            rep,
            owned,
            taken: AtomicBool::new(false),
            ty: PhantomData,
        }
    }

    /// Returns the representation.
    pub fn rep(&self) -> u32 {
        self.rep
    }

    /// Returns whether this owns the resource.
    pub fn owned(&self) -> bool {
        self.owned
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

    /// Gives the resource away and returns its representation.
    pub(super) fn take(&self) -> Result<u32> {
        ensure!(self.owned, "cannot lower a `borrow` resource into an `own`");
        ensure!(
            !self.taken.swap(true, Ordering::Relaxed),
            "host resource already consumed: it was given away before"
        );
        Ok(self.rep)
    }

    fn lower(&self, cx: &mut LowerContext<'_>, ty: InterfaceType) -> Result<u32> {
        match ty {
            InterfaceType::Own(id) => {
                let rep = self.take()?;
                cx.lower_own(id, rep)
            }
            InterfaceType::Borrow(id) => {
                ensure!(
                    !self.taken.load(Ordering::Relaxed),
                    "host resource already consumed: it was given away before"
                );
                cx.lower_borrow(id, self.rep)
            }
            _ => bail!("a resource is passed as a value of another type"),
        }
    }

    fn lift(cx: &mut LiftContext<'_>, ty: InterfaceType, index: u32) -> Result<Self> {
        match ty {
            InterfaceType::Own(id) => Ok(Self::new_own(cx.lift_own(id, index)?)),
            InterfaceType::Borrow(id) => Ok(Self::new_borrow(cx.lift_borrow(id, index)?)),
            _ => bail!("a value of another type is taken as a resource"),
        }
    }
}

impl<T> fmt::Debug for Resource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.owned { "Own" } else { "Borrow" };
        f.debug_tuple(name).field(&self.rep).finish()
    }
}

impl<T: 'static> ComponentType for Resource<T> {
    const ABI: CanonicalAbi = CanonicalAbi::scalar(4);

    fn matches(ty: InterfaceType, types: &InstanceTypes<'_>) -> bool {
        match ty {
            InterfaceType::Own(id) | InterfaceType::Borrow(id) => {
                types.host_resource(id) == Some(ResourceType::host::<T>())
            }
            _ => false,
        }
    }

    fn describe() -> String {
        format!("own<{}>", std::any::type_name::<T>())
    }
}

impl<T: 'static> Lower for Resource<T> {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        dst: &mut [u64],
    ) -> Result<()> {
        dst[0] = u64::from(self.lower(cx, ty)?);
        Ok(())
    }

    fn lower_memory(
        &self,
        cx: &mut LowerContext<'_>,
        ty: InterfaceType,
        offset: usize,
    ) -> Result<()> {
        let index = self.lower(cx, ty)?;
        cx.write(offset, index.to_le_bytes());
        Ok(())
    }
}

impl<T: 'static> Lift for Resource<T> {
    fn lift_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &[u64]) -> Result<Self> {
        Self::lift(cx, ty, src[0] as u32)
    }

    fn lift_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        Self::lift(cx, ty, abi::read_u32(bytes, 0))
    }
}
