//! [`Exposed`]: a future of the host for which a guest waits.

use super::Accessor;
use crate::StoreContextMut;
use crate::error::Result;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The future of a host function, which does not borrow the store.
pub(crate) type HostWork<'a, R> = Pin<Box<dyn Future<Output = Result<R>> + Send + 'a>>;

/// A future of the host that has the store, and uses it through an [`Accessor`]. No guest runs
/// meanwhile, but other futures of the host do.
pub(crate) struct Exposed<'a, T: 'static> {
    store: StoreContextMut<'a, T>,
    /// None when it has finished.
    future: Option<HostWork<'static, ()>>,
}

impl<'a, T: 'static> Exposed<'a, T> {
    /// Makes the future.
    pub fn new(
        store: StoreContextMut<'a, T>,
        body: impl FnOnce(Accessor<T>) -> HostWork<'static, ()>,
    ) -> Self {
        let future = Some(body(Accessor::new(store.0)));
        Exposed { store, future }
    }
}

impl<T: 'static> Future for Exposed<'_, T> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        this.store.0.poll_alone(&mut this.future, cx)
    }
}

impl<T: 'static> Drop for Exposed<'_, T> {
    fn drop(&mut self) {
        let future = self.future.take();
        self.store.0.expose(|| drop(future));
    }
}
