//! [`Pollable`]: what a guest can wait for.

use mintage::{Resource, ResourceTable, Result};
use std::any::Any;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::time::Instant;

/// A future that is ready when a pollable is.
pub type DynFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Makes the future of a pollable of a table.
pub type MakeFuture = for<'a> fn(&'a mut dyn Any) -> DynFuture<'a>;

/// What a guest can wait for: a value in the host's table that is ready or not.
///
/// A host that implements only [`ready`](Self::ready) has a pollable that works everywhere. One
/// that also says what it waits for, as [`Readiness`], is waited for without a future: a
/// synchronous host waits with one `poll(2)`, and a pollable that is ready costs no allocation.
///
/// ```
/// use mintage_wasi::io::{Pollable, Readiness};
/// use std::time::Instant;
///
/// /// Is ready from an instant on.
/// struct Alarm(Instant);
///
/// #[mintage_wasi::async_trait]
/// impl Pollable for Alarm {
///     async fn ready(&mut self) {
///         tokio::time::sleep_until(self.0.into()).await;
///     }
///
///     fn readiness(&self) -> Readiness<'_> {
///         Readiness::At(self.0)
///     }
/// }
/// # let alarm = Alarm(Instant::now());
/// # assert!(matches!(alarm.readiness(), Readiness::At(at) if at == alarm.0));
/// ```
#[async_trait::async_trait]
pub trait Pollable: Send + 'static {
    /// Waits until this is ready. The future can be dropped at any time, and asked for again. Where
    /// [`readiness`](Self::readiness) is not [`Readiness::Future`], it is not used.
    async fn ready(&mut self);

    /// Returns what this waits for; by default [`Readiness::Future`].
    fn readiness(&self) -> Readiness<'_> {
        Readiness::Future
    }
}

/// What a pollable waits for.
#[derive(Clone, Copy, Debug)]
pub enum Readiness<'a> {
    /// Nothing: it is ready.
    Ready,
    /// A file descriptor that can be read or written, has failed, or whose other end is closed.
    Fd(BorrowedFd<'a>, Interest),
    /// An instant.
    At(Instant),
    /// The future [`Pollable::ready`].
    Future,
}

/// What is waited for on a file descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// That it can be read without blocking.
    Read,
    /// That it can be written without blocking.
    Write,
}

/// A pollable of a guest: the representation of the value in the table that it waits for.
#[derive(Debug)]
pub struct DynPollable {
    pub(crate) index: u32,
    pub(crate) make_future: MakeFuture,
    /// Asks the value in the table.
    pub(crate) readiness: for<'a> fn(&'a ResourceTable, u32) -> Result<Readiness<'a>>,
    /// Asks the value itself.
    pub(crate) readiness_of: for<'a> fn(&'a dyn Any) -> Readiness<'a>,
    /// Deletes the value, which the pollable owns.
    pub(crate) delete: Option<fn(&mut ResourceTable, u32) -> Result<()>>,
}

/// Adds a pollable to the table, which waits for the value `resource`. If that is owned, it is
/// deleted with the pollable. If it is borrowed, it cannot be deleted before the pollable.
///
/// # Errors
///
/// When the table is full, or has no such value.
pub fn subscribe<T: Pollable>(
    table: &mut ResourceTable,
    resource: Resource<T>,
) -> Result<Resource<DynPollable>> {
    let pollable = DynPollable {
        index: resource.rep(),
        make_future: |value| match value.downcast_mut::<T>() {
            Some(value) => value.ready(),
            // Its entry has not been replaced, since it has a child.
            None => Box::pin(std::future::ready(())),
        },
        readiness: |table, index| Ok(table.get(&Resource::<T>::new_borrow(index))?.readiness()),
        readiness_of: |value| {
            value
                .downcast_ref::<T>()
                .map_or(Readiness::Ready, T::readiness)
        },
        delete: resource.owned().then_some(|table, index| {
            table.delete(Resource::<T>::new_own(index))?;
            Ok(())
        }),
    };
    Ok(table.push_child(pollable, &resource)?)
}
