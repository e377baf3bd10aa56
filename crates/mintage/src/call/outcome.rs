//! [`Outcome`]: the result of a call that the event loop makes.

use crate::Trap;
use crate::error::Result;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// The place of a call's result, which the event loop and the caller share. A call that was
/// cancelled has none.
pub(super) struct Outcome<R>(Mutex<Ended<R>>);

enum Ended<R> {
    /// Not yet. The waker is the caller's, if that waits.
    Not(Option<Waker>),
    With(Result<Option<R>>),
    Taken,
}

impl<R> Outcome<R> {
    pub fn new() -> Arc<Self> {
        Arc::new(Outcome(Mutex::new(Ended::Not(None))))
    }

    fn ended(&self) -> MutexGuard<'_, Ended<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the result if there is one. Otherwise `waker` is woken when there is, in place of the
    /// one before.
    pub fn poll(&self, waker: &Waker) -> Poll<Result<Option<R>>> {
        // Wakers are code of the host, which is not run while the place is locked.
        let waker = waker.clone();
        let (polled, _old) = {
            let mut ended = self.ended();
            match mem::replace(&mut *ended, Ended::Taken) {
                Ended::With(result) => (Poll::Ready(result), Some(waker)),
                Ended::Not(old) => {
                    *ended = Ended::Not(Some(waker));
                    (Poll::Pending, old)
                }
                Ended::Taken => (Poll::Pending, Some(waker)),
            }
        };
        polled
    }

    /// Takes the result if there is one.
    pub fn take(&self) -> Option<Result<Option<R>>> {
        let mut ended = self.ended();
        match mem::replace(&mut *ended, Ended::Taken) {
            Ended::With(result) => Some(result),
            other => {
                *ended = other;
                None
            }
        }
    }

    /// Sets the result, unless there is or was one.
    pub fn set(&self, result: Result<Option<R>>) {
        let mut ended = self.ended();
        if !matches!(*ended, Ended::Not(_)) {
            return;
        }
        let before = mem::replace(&mut *ended, Ended::With(result));
        drop(ended);
        if let Ended::Not(Some(waker)) = before {
            waker.wake();
        }
    }
}

/// The event loop's side of an [`Outcome`]. The caller gets an error if it is dropped.
pub(super) struct Teller<R>(Option<Arc<Outcome<R>>>);

impl<R> Teller<R> {
    pub fn new(outcome: Arc<Outcome<R>>) -> Self {
        Teller(Some(outcome))
    }

    pub fn tell(mut self, result: Result<Option<R>>) {
        if let Some(outcome) = self.0.take() {
            outcome.set(result);
        }
    }
}

impl<R> Drop for Teller<R> {
    fn drop(&mut self) {
        if let Some(outcome) = self.0.take() {
            outcome.set(Err(Trap::CannotEnterComponent.into()));
        }
    }
}
