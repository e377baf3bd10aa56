//! [`InterruptTarget`]: what an interruption reaches, machine code or a task that waits for it.

use atomic_waker::AtomicWaker;
use mintage_environ::interrupt_bits;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

/// The word of one store, and the task that waits for one of its calls.
///
/// A waker is code of the host: cloning or dropping one may interrupt the same store, or take any
/// lock. So none is cloned or dropped under a lock here. Nor would a child that was forked
/// meanwhile find a lock that no one unlocks.
///
/// The task keeps this, and this keeps the task's waker, as long as the call is suspended. So a
/// task that only its wakers keep alive, and that waits for a host function which has dropped its
/// own, stays until it is interrupted.
#[derive(Clone, Debug)]
pub(crate) struct InterruptTarget {
    pub word: Arc<AtomicU64>,
    /// The task. (Beside the word, since machine code and epochs have the word alone.)
    task: Arc<AtomicWaker>,
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
        self.task.take()
    }

    /// Returns whether a handle or the deadline ends the call, which waits in the task of `waker`.
    /// That task is woken if this changes.
    pub fn is_ended(&self, waker: &Waker) -> bool {
        self.task.register(waker);
        self.word.load(Ordering::SeqCst) & interrupt_bits::ENDING != 0
    }

    /// Forgets the task, which does not wait any more.
    pub fn forget_task(&self) {
        drop(self.task.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mintage_environ::interrupt_bits::STOPPED;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::thread;

    /// Counts how often it is woken, and interrupts when it is dropped.
    struct Count {
        woken: Arc<AtomicUsize>,
        interrupts: Option<InterruptTarget>,
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.woken.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Drop for Count {
        fn drop(&mut self) {
            if let Some(target) = &self.interrupts {
                target.raise(STOPPED);
            }
        }
    }

    fn waker(woken: &Arc<AtomicUsize>, interrupts: Option<&InterruptTarget>) -> Waker {
        let interrupts = interrupts.cloned();
        let woken = woken.clone();
        Waker::from(Arc::new(Count { woken, interrupts }))
    }

    #[test]
    fn dropping_a_waker_may_interrupt() {
        let target = InterruptTarget::new(Arc::default());
        let woken = Arc::<AtomicUsize>::default();
        assert!(!target.is_ended(&waker(&woken, Some(&target))));
        let second = waker(&woken, None);
        assert!(target.is_ended(&second));
        assert_eq!(woken.load(Ordering::SeqCst), 1, "the second");
        // Forgetting it has the same effect.
        target.word.store(0, Ordering::SeqCst);
        assert!(!target.is_ended(&waker(&woken, Some(&target))));
        target.forget_task();
        assert!(target.is_ended(&second));
    }

    #[test]
    fn an_interruption_is_seen_or_wakes() {
        for _ in 0..2_000 {
            let target = InterruptTarget::new(Arc::default());
            let woken = Arc::<AtomicUsize>::default();
            let other = target.clone();
            let raise = thread::spawn(move || other.raise(STOPPED));
            let seen = target.is_ended(&waker(&woken, None));
            raise.join().unwrap();
            assert!(seen || woken.load(Ordering::SeqCst) == 1);
        }
    }
}
