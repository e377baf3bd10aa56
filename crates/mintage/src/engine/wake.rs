//! [`InterruptTarget`]: what an interruption reaches, machine code or a task that waits for it.

use mintage_environ::interrupt_bits;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The word of one store, and the task that waits for one of its calls.
#[derive(Clone, Debug)]
pub(crate) struct InterruptTarget {
    pub word: Arc<AtomicU64>,
    task: Arc<WaitingTask>,
}

/// The task that waits for a suspended call. (Beside the word, since machine code and epochs have
/// the word alone.)
#[derive(Debug, Default)]
struct WaitingTask {
    /// Whether there is a waker, so that a signal handler takes the lock only if there is one.
    waits: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl InterruptTarget {
    pub fn new(word: Arc<AtomicU64>) -> Self {
        InterruptTarget {
            word,
            task: Arc::default(),
        }
    }

    /// Sets a bit of the word. A task that waits for a call of the store is woken, so that the call
    /// ends.
    pub fn raise(&self, bit: u64) {
        if let Some(waker) = self.set(bit) {
            waker.wake();
        }
    }

    /// Sets a bit of the word. Returns the task that waits for a call of the store, which the
    /// caller wakes so that the call ends.
    pub fn set(&self, bit: u64) -> Option<Waker> {
        // The order matters: whoever waits first says so, and then tests the word.
        self.word.fetch_or(bit, Ordering::SeqCst);
        match self.task.waits.load(Ordering::SeqCst) {
            true => self.task.take(),
            false => None,
        }
    }

    /// Returns whether a handle or the deadline ends the call, which waits in the task of `waker`.
    /// That task is woken if this changes.
    pub fn is_ended(&self, waker: &Waker) -> bool {
        let mut old = self.task.lock();
        if !old.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *old = Some(waker.clone());
        }
        drop(old);
        self.task.waits.store(true, Ordering::SeqCst);
        self.word.load(Ordering::SeqCst) & interrupt_bits::ENDING != 0
    }

    /// Forgets the task, which does not wait any more.
    pub fn forget_task(&self) {
        drop(self.task.take());
    }
}

impl WaitingTask {
    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        // A panic of a waker leaves nothing inconsistent.
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Waker> {
        self.waits.store(false, Ordering::SeqCst);
        self.lock().take()
    }
}
