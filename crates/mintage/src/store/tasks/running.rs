//! [`Running`]: a future of the host that runs the store.

use super::{Driver, HostTaskId, StoreInner};
use crate::error::Result;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future of the host with the store that runs it, for `run_concurrent`.
pub(crate) struct Running<'s, T: 'static, F: Future> {
    driver: Driver<'s, T>,
    /// None when it has finished.
    root: Option<Pin<Box<F>>>,
    /// What wakes it.
    place: HostTaskId,
}

impl<'s, T: Send + 'static, F: Future> Running<'s, T, F> {
    pub fn new(store: &'s mut StoreInner<T>, root: F) -> Self {
        let place = store.opaque.tasks.get().reserve_waker();
        Running {
            driver: Driver::new(store).with_all_errors(),
            root: Some(Box::pin(root)),
            place,
        }
    }

    /// Runs the store until the future has finished.
    ///
    /// # Errors
    ///
    /// When something fails that no call waits for.
    pub async fn run(mut self) -> Result<F::Output> {
        let Running {
            driver,
            root,
            place,
        } = &mut self;
        let waker = driver.store.opaque.tasks.get().waker(*place);
        poll_fn(|cx| {
            let mut is_first = true;
            let done = |driver: &mut Driver<'_, T>| {
                let woken = driver.store.opaque.tasks.get().take_woken(*place);
                if !(woken | mem::take(&mut is_first)) {
                    return Poll::Pending;
                }
                driver.store.expose(|| {
                    let Some(future) = root.as_mut() else {
                        return Poll::Pending;
                    };
                    let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                    if polled.is_ready() {
                        *root = None;
                    }
                    polled.map(Ok)
                })
            };
            driver.poll(cx, done, |_| Ok(()))
        })
        .await
    }
}

impl<T: 'static, F: Future> Drop for Running<'_, T, F> {
    fn drop(&mut self) {
        // What has the store is dropped before anything else uses it.
        self.driver.unblock();
        self.driver.store.opaque.tasks.get().end(self.place);
        let root = self.root.take();
        self.driver.store.expose(|| drop(root));
    }
}
