//! Tokio's runtime, for streams and pollables that are written for it, in hosts without one.

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// The runtime of hosts without one. It has a thread, and exists only once it is needed: by a task
/// of [`spawn`] or a future of a pollable, neither of which this crate's own streams have.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

fn runtime() -> &'static Runtime {
    RUNTIME.get_or_init(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        runtime.unwrap_or_else(|error| panic!("cannot start a runtime of tokio: {error}"))
    })
}

/// Calls `f` in the context of the host's runtime, or of one of this crate if there is none.
pub fn with_ambient_tokio_runtime<R>(f: impl FnOnce() -> R) -> R {
    match Handle::try_current() {
        Ok(_) => f(),
        Err(_) => {
            let _entered = runtime().enter();
            f()
        }
    }
}

/// Waits for a future, in the context of a runtime. A thread that runs tasks of tokio must not call
/// this.
pub fn in_tokio<F: Future>(future: F) -> F::Output {
    match Handle::try_current() {
        Ok(handle) => handle.block_on(future),
        Err(_) => runtime().block_on(future),
    }
}

/// Polls a future once. Nothing is woken.
pub fn poll_noop<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub struct AbortOnDropJoinHandle<T>(JoinHandle<T>);

/// Starts a task in the host's runtime, or in one of this crate if there is none.
pub fn spawn<F>(future: F) -> AbortOnDropJoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    AbortOnDropJoinHandle(with_ambient_tokio_runtime(|| tokio::task::spawn(future)))
}

/// Runs a function that may block on a thread for such functions.
pub fn spawn_blocking<F, R>(f: F) -> AbortOnDropJoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    AbortOnDropJoinHandle(with_ambient_tokio_runtime(|| {
        tokio::task::spawn_blocking(f)
    }))
}

impl<T> AbortOnDropJoinHandle<T> {
    /// Ends the task, and waits until it has ended. Returns its output if it had finished.
    ///
    /// # Panics
    ///
    /// When the task has panicked.
    pub async fn cancel(mut self) -> Option<T> {
        self.0.abort();
        match (&mut self.0).await {
            Ok(output) => Some(output),
            Err(error) if error.is_cancelled() => None,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl<T> Drop for AbortOnDropJoinHandle<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> From<JoinHandle<T>> for AbortOnDropJoinHandle<T> {
    fn from(handle: JoinHandle<T>) -> Self {
        AbortOnDropJoinHandle(handle)
    }
}

impl<T> std::ops::Deref for AbortOnDropJoinHandle<T> {
    type Target = JoinHandle<T>;

    fn deref(&self) -> &JoinHandle<T> {
        &self.0
    }
}

impl<T> std::ops::DerefMut for AbortOnDropJoinHandle<T> {
    fn deref_mut(&mut self) -> &mut JoinHandle<T> {
        &mut self.0
    }
}

impl<T> Future for AbortOnDropJoinHandle<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|output| output.unwrap_or_else(|error| panic!("a task has failed: {error}")))
    }
}
