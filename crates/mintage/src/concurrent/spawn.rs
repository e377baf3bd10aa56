//! Tasks of the host in the background.

use super::{Accessor, HasData, HasSelf};
use crate::error::Result;
use crate::store::StoreInner;
use atomic_waker::AtomicWaker;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// A task of the host, to be [spawned](Accessor::spawn).
pub trait AccessorTask<T: 'static, D: HasData + ?Sized = HasSelf<T>>: Send + 'static {
    /// Runs the task.
    fn run(self, accessor: &Accessor<T, D>) -> impl Future<Output = Result<()>> + Send;
}

/// A task of the host that was spawned. As a future, it is ready when the task has ended and was
/// dropped. Dropping the handle does not end the task.
#[derive(Debug)]
pub struct JoinHandle {
    state: Arc<JoinState>,
}

#[derive(Debug, Default)]
struct JoinState {
    is_aborted: AtomicBool,
    has_ended: AtomicBool,
    /// Wakes the task.
    task: AtomicWaker,
    /// Wakes whoever waits for it.
    joined: AtomicWaker,
}

impl JoinHandle {
    /// Ends the task the next time it would be polled.
    pub fn abort(&self) {
        self.state.is_aborted.store(true, Ordering::SeqCst);
        self.state.task.wake();
    }
}

impl Future for JoinHandle {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.state.joined.register(cx.waker());
        match self.state.has_ended.load(Ordering::SeqCst) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// Says that a task has ended, when it is dropped.
struct Ended(Arc<JoinState>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::SeqCst);
        self.0.joined.wake();
    }
}

/// Adds a task to a store.
pub(super) fn spawn<T: 'static, D: HasData + ?Sized>(
    store: &mut StoreInner<T>,
    getter: fn(&mut T) -> D::Data<'_>,
    task: impl AccessorTask<T, D>,
) -> Result<JoinHandle> {
    let state = Arc::<JoinState>::default();
    let accessor = Accessor::with_data(store, getter);
    let ended = Ended(state.clone());
    store.add_work(Box::pin(async move {
        // Dropped last, also when the task is dropped.
        let ended = ended;
        let state = &ended.0;
        let mut run = Box::pin(async move { task.run(&accessor).await });
        poll_fn(|cx| {
            state.task.register(cx.waker());
            match state.is_aborted.load(Ordering::SeqCst) {
                true => Poll::Ready(Ok(())),
                false => run.as_mut().poll(cx),
            }
        })
        .await
    }));
    Ok(JoinHandle { state })
}
