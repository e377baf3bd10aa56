//! [`ResourceGuard`]: a resource that is dropped with a Rust value.

use super::ResourceAny;
use crate::{AsContext, AsContextMut, Result, StoreContext, StoreContextMut};
use std::fmt;

/// A resource that is dropped when this value is: its destructor runs, whatever way the host leaves
/// the scope. [`ResourceAny::guard`] makes it.
///
/// Running a destructor needs the store, so the guard keeps the store or a reference to it, and is
/// used in its place meanwhile. A guard can be made on top of another one. Both are dropped in the
/// reverse order then.
///
/// An error of the destructor is lost in a drop. [`close`](Self::close) returns it. A destructor
/// that waits for an asynchronous host function needs [`close_async`](Self::close_async). A
/// resource that was given away in the meantime, as an `own<R>`, is left to its new owner.
///
/// While a thread panics, guards run no destructors, since a second panic in one would abort the
/// process. The resource stays in the store then, and its destructor never runs. The same holds for
/// a guard whose destructor cannot be entered: after a trap, no code of the instance runs.
///
/// ```
/// use mintage::component::{Linker, Resource, ResourceAny, ResourceType};
/// use mintage::{AsContext, AsContextMut, Engine, Store};
///
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// # let engine = Engine::default();
/// # let component = mintage::component::Component::new(
/// #     &engine,
/// #     r#"(component
/// #         (core module $d
/// #             (global $dropped (mut i32) (i32.const 0))
/// #             (func (export "drop") (param i32)
/// #                 (global.set $dropped (i32.add (global.get $dropped) (i32.const 1))))
/// #             (func (export "dropped") (result i32) (global.get $dropped)))
/// #         (core instance $d (instantiate $d))
/// #         (type $counter (resource (rep i32) (dtor (core func $d "drop"))))
/// #         (core func $new (canon resource.new $counter))
/// #         (export $c "counter" (type $counter))
/// #         (func (export "new") (param "rep" u32) (result (own $c))
/// #             (canon lift (core func $new)))
/// #         (func (export "dropped") (result u32) (canon lift (core func $d "dropped"))))"#,
/// # )?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
/// let new = instance.get_typed_func::<(u32,), (ResourceAny,)>(&mut store, "new")?;
/// let dropped = instance.get_typed_func::<(), (u32,)>(&mut store, "dropped")?;
///
/// let (counter,) = new.call(&mut store, (7,))?;
/// {
///     let mut counter = counter.guard(&mut store);
///     // The guard is used as the store, and `counter.resource()` as the resource.
///     assert_eq!(dropped.call(&mut counter, ())?, (0,));
/// }
/// assert_eq!(dropped.call(&mut store, ())?, (1,));
///
/// let (counter,) = new.call(&mut store, (8,))?;
/// counter.guard(&mut store).close()?;
/// assert_eq!(dropped.call(&mut store, ())?, (2,));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
#[must_use = "the resource is dropped with the guard"]
pub struct ResourceGuard<S: AsContextMut> {
    resource: ResourceAny,
    store: S,
    /// Whether the resource is dropped with the guard.
    armed: bool,
}

impl ResourceAny {
    /// Returns a guard that drops the resource, as [`resource_drop`](Self::resource_drop) does. It
    /// keeps `store` until then, and is used in its place.
    pub fn guard<S: AsContextMut>(self, store: S) -> ResourceGuard<S> {
        ResourceGuard {
            resource: self,
            store,
            armed: true,
        }
    }
}

impl<S: AsContextMut> ResourceGuard<S> {
    /// Returns the resource.
    pub fn resource(&self) -> ResourceAny {
        self.resource
    }

    /// Drops the resource.
    ///
    /// # Errors
    ///
    /// As [`ResourceAny::resource_drop`].
    pub fn close(mut self) -> Result<()> {
        self.armed = false;
        self.resource.resource_drop(&mut self.store)
    }

    /// Drops the resource. The destructor may wait; see
    /// [`ResourceAny::resource_drop_async`].
    ///
    /// # Errors
    ///
    /// As [`ResourceAny::resource_drop`].
    pub async fn close_async(mut self) -> Result<()>
    where
        S::Data: Send,
    {
        self.armed = false;
        self.resource.resource_drop_async(&mut self.store).await
    }

    /// Gives up the guard without dropping the resource, and returns the resource.
    pub fn release(mut self) -> ResourceAny {
        self.armed = false;
        self.resource
    }
}

impl<S: AsContextMut> Drop for ResourceGuard<S> {
    fn drop(&mut self) {
        if self.armed && !std::thread::panicking() {
            // The documentation says that `close` is for the error.
            let _ = self.resource.resource_drop(&mut self.store);
        }
    }
}

impl<S: AsContextMut> AsContext for ResourceGuard<S> {
    type Data = S::Data;

    fn as_context(&self) -> StoreContext<'_, S::Data> {
        self.store.as_context()
    }
}

impl<S: AsContextMut> AsContextMut for ResourceGuard<S> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, S::Data> {
        self.store.as_context_mut()
    }
}

impl<S: AsContextMut> fmt::Debug for ResourceGuard<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceGuard")
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}
