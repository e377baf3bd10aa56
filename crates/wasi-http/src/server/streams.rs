//! [`Streams`]: the tasks of requests of HTTP/2. One whose client does not take its response ends.
//!
//! The bytes of a connection tell nothing of this: other streams may go on, and a client may keep
//! one stream's window closed for ever. So each body notes whether hyper has a frame of it that the
//! client has not made room for. Only then does the task of the stream have a timer.

use hyper::rt::Executor;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// The progress of a response's stream.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The times that hyper asked the body for a frame.
    asked: AtomicU64,
    /// Set if hyper got a frame then, and so needs room for it.
    has_frame: AtomicBool,
}

impl Progress {
    /// Notes that hyper has asked the body for a frame, and whether it got one.
    pub fn asked(&self, has_frame: bool) {
        self.asked.fetch_add(1, Relaxed);
        self.has_frame.store(has_frame, Relaxed);
    }

    /// Returns which frame the client makes no room for, if there is one.
    fn blocked(&self) -> Option<u64> {
        let has_frame = self.has_frame.load(Relaxed);
        has_frame.then(|| self.asked.load(Relaxed))
    }
}

/// Runs the tasks of a connection's streams.
#[derive(Clone)]
pub(super) struct Streams {
    /// The time within which a client must make room for the next frame.
    time: Duration,
    /// The stream whose task comes next: hyper hands over a request and starts its task in one go.
    next: Arc<Mutex<Option<Arc<Progress>>>>,
}

impl Streams {
    pub fn new(time: Duration) -> Streams {
        Streams {
            time,
            next: Arc::default(),
        }
    }

    /// Begins a stream, whose task is the next one.
    pub fn begin(&self) -> Arc<Progress> {
        let progress = Arc::<Progress>::default();
        self.swap(Some(progress.clone()));
        progress
    }

    fn swap(&self, progress: Option<Arc<Progress>>) -> Option<Arc<Progress>> {
        // Nothing panics under the lock.
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *next, progress)
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        match self.swap(None) {
            Some(progress) => drop(tokio::spawn(watched(task, progress, self.time))),
            None => drop(tokio::spawn(task)),
        }
    }
}

/// Polls the task of a stream until it ends, or its client has made no room for a frame for `time`.
/// Dropping the task resets the stream.
async fn watched<F: Future>(task: F, progress: Arc<Progress>, time: Duration) {
    let mut task = pin!(task);
    let mut timer: Option<(u64, Pin<Box<Sleep>>)> = None;
    poll_fn(|cx| {
        if task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(frame) = progress.blocked() else {
            timer = None;
            return Poll::Pending;
        };
        let (_, sleep) = match &mut timer {
            Some(timer) if timer.0 == frame => timer,
            timer => timer.insert((frame, Box::pin(sleep(time)))),
        };
        sleep.as_mut().poll(cx)
    })
    .await;
}
