//! [`Accessor`]: the right to borrow the store whenever it polls.

use super::{Access, AccessorTask, HasData, HasSelf, JoinHandle};
use crate::error::Result;
use crate::store::{NotPolled, StoreInner, with_polled};
use crate::types::StoreId;
use crate::{AsContextMut, StoreContextMut};
use std::task::{Context, Poll};

/// The right to use a store for a moment, again and again: for asynchronous functions and tasks of
/// the host that go on while guests do.
///
/// Such a function cannot borrow the store from one `await` to the next. It gets an accessor
/// instead, and calls [`with`](Self::with) where it needs the store.
///
/// An accessor works only while its store polls the future that has got it: in a host function of
/// [`LinkerInstance::func_wrap_concurrent`](crate::LinkerInstance::func_wrap_concurrent), in the
/// closure of [`Store::run_concurrent`](crate::Store::run_concurrent), and in a task that was
/// [spawned](Self::spawn). Elsewhere its methods panic.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Accessor, Component, Engine, Linker, Store, block_on};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (import "next" (func $next async (result u32)))
///         (core func $next (canon lower (func $next)))
///         (core func $return (canon task.return (result u32)))
///         (core module $m
///             (import "" "next" (func $next (result i32)))
///             (import "" "return" (func $return (param i32)))
///             (func (export "run") (result i32)
///                 (call $return (call $next))
///                 (i32.const 0))
///             (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
///         (core instance $i (instantiate $m (with "" (instance
///             (export "next" (func $next)) (export "return" (func $return))))))
///         (func (export "run") async (result u32)
///             (canon lift (core func $i "run") async (callback (core func $i "callback")))))"#,
/// )?;
/// let mut linker = Linker::<u32>::new(&engine);
/// linker.root().func_wrap_concurrent("next", |accessor: &Accessor<u32>, (): ()| {
///     Box::pin(async move {
///         // The store is not borrowed here, so other calls go on.
///         std::future::ready(()).await;
///         let next = accessor.with(|mut store| {
///             *store.get() += 1;
///             *store.get()
///         });
///         Ok((next,))
///     })
/// })?;
/// let mut store = Store::new(&engine, 0);
/// let instance = linker.instantiate(&mut store, &component)?;
/// let run = instance.get_typed_func::<(), (u32,)>(&mut store, "run")?;
/// let both = block_on(store.run_concurrent(async |accessor| -> mintage::Result<_> {
///     let first = run.call_concurrent(accessor, ()).await?;
///     let second = run.call_concurrent(accessor, ()).await?;
///     Ok((first, second))
/// }))??;
/// assert_eq!(both, ((1,), (2,)));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
pub struct Accessor<T: 'static, D: HasData + ?Sized = HasSelf<T>> {
    /// The store, whose data is a `T`.
    store: StoreId,
    getter: fn(&mut T) -> D::Data<'_>,
}

// Whatever the data: it is used only where the store is polled.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Accessor<std::cell::UnsafeCell<*mut u8>>>();
};

impl<T: 'static> Accessor<T> {
    pub(crate) fn new(store: &StoreInner<T>) -> Self {
        Accessor {
            store: store.opaque.id,
            getter: |data| data,
        }
    }
}

impl<T: 'static, D: HasData + ?Sized> Accessor<T, D> {
    pub(super) fn with_data(store: &StoreInner<T>, getter: fn(&mut T) -> D::Data<'_>) -> Self {
        Accessor {
            store: store.opaque.id,
            getter,
        }
    }

    /// Calls `f` with the store.
    ///
    /// # Panics
    ///
    /// If the store does not poll the future that uses this, or within another call of this
    /// function for the same store.
    pub fn with<R>(&self, f: impl FnOnce(Access<'_, T, D>) -> R) -> R {
        let result = with_polled(self.store, |store| {
            f(Access::new(StoreContextMut(store), self.getter))
        });
        match result {
            Ok(result) => result,
            Err(NotPolled::Elsewhere) => panic!(
                "an `Accessor` is used while its store does not poll the future that uses it"
            ),
            Err(NotPolled::InUse) => {
                panic!("`Accessor::with` is called within another call of it for the same store")
            }
        }
    }

    /// Is ready when no calls of guests are under way in the store: those that have given their
    /// results go on until they exit. Guests show by this that they want to live on after their
    /// result, for example to finish a stream. Only the last waker is kept.
    ///
    /// All tasks of guests count. The name says that a later version of the component model may
    /// let guests have tasks that do not.
    ///
    /// # Panics
    ///
    /// As [`with`](Self::with).
    pub fn poll_no_interesting_tasks(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.with(|mut access| access.as_context_mut().0.poll_without_tasks(cx))
    }

    /// Returns the function that finds what implements the interface.
    pub fn getter(&self) -> fn(&mut T) -> D::Data<'_> {
        self.getter
    }

    /// Returns an accessor that finds something else in the data of the store.
    pub fn with_getter<D2: HasData>(&self, getter: fn(&mut T) -> D2::Data<'_>) -> Accessor<T, D2> {
        Accessor {
            store: self.store,
            getter,
        }
    }

    /// Runs a task in the background: it goes on while the store runs, until it ends or is
    /// [aborted](JoinHandle::abort). If it fails, so does what runs the store.
    ///
    /// # Errors
    ///
    /// Never at present.
    ///
    /// # Panics
    ///
    /// As [`with`](Self::with).
    pub fn spawn(&self, task: impl AccessorTask<T, D>) -> Result<JoinHandle> {
        self.with(|mut access| access.spawn(task))
    }
}

/// An accessor, or a reference to one.
pub trait AsAccessor {
    /// The type of the store's data.
    type Data: 'static;
    /// What the accessor finds in it.
    type AccessorData: HasData + ?Sized;

    /// Returns the accessor.
    fn as_accessor(&self) -> &Accessor<Self::Data, Self::AccessorData>;
}

impl<A: AsAccessor + ?Sized> AsAccessor for &A {
    type Data = A::Data;
    type AccessorData = A::AccessorData;

    fn as_accessor(&self) -> &Accessor<A::Data, A::AccessorData> {
        A::as_accessor(self)
    }
}

impl<T: 'static, D: HasData + ?Sized> AsAccessor for Accessor<T, D> {
    type Data = T;
    type AccessorData = D;

    fn as_accessor(&self) -> &Accessor<T, D> {
        self
    }
}
