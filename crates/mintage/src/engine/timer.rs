//! The thread that watches the deadlines of an engine's stores.

use super::wake::InterruptTarget;
use crate::Engine;
use crate::error::{Context, Result};
use mintage_environ::interrupt_bits::EXPIRED;
use mintage_runtime::process_id;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Watches the deadlines of an engine's stores, with a thread that the first one starts.
///
/// A child that was forked has no such thread, and its copy of what the thread shares may be locked
/// for ever. So the first deadline there starts all of it anew, and nothing of the parent's is
/// touched.
#[derive(Default)]
pub(crate) struct Timer {
    watch: Mutex<Option<Watch>>,
}

/// The thread of one process.
struct Watch {
    process: u64,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// A deadline that is being watched, or has passed. Dropping it forgets it.
pub(crate) struct Deadline {
    process: u64,
    shared: Arc<Shared>,
    key: Key,
}

/// When, and a number to tell apart what is due at the same time.
type Key = (Instant, u64);

/// The state that the timer's thread and the stores share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Signalled when a deadline is earlier than the thread wakes, or the thread is to end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The targets, earliest first. A map, since most deadlines are taken back before they
    /// pass: in a binary heap they would stay until then.
    deadlines: BTreeMap<Key, InterruptTarget>,
    /// The number of the next deadline.
    next: u64,
    /// When the thread wakes by itself; `None` if it waits without an end. It may be earlier than
    /// all deadlines, when those that the thread waited for were taken back. So a server whose
    /// deadlines seldom pass wakes the thread once for each time that they allow, and not for each
    /// deadline.
    wakes_at: Option<Instant>,
    ended: bool,
}

impl Timer {
    /// Sets the target's [`EXPIRED`] bit as soon as it is `at`, unless the result has been dropped
    /// before.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn watch(&self, at: Instant, target: InterruptTarget) -> Result<Deadline> {
        let (process, shared) = self.shared()?;
        let mut state = shared.lock();
        let key = (at, state.next);
        state.next += 1;
        state.deadlines.insert(key, target);
        let wakes_too_late = state.wakes_at.is_none_or(|wakes_at| at < wakes_at);
        if wakes_too_late {
            state.wakes_at = Some(at);
        }
        drop(state);
        if wakes_too_late {
            shared.changed.notify_one();
        }
        Ok(Deadline {
            process,
            shared,
            key,
        })
    }

    /// The number of this process, and what its thread shares; starts the thread if there is none.
    fn shared(&self) -> Result<(u64, Arc<Shared>)> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let process = process_id();
        if let Some(watch) = watch.as_ref().filter(|watch| watch.process == process) {
            return Ok((process, watch.shared.clone()));
        }
        let shared = Arc::<Shared>::default();
        let run = shared.clone();
        let thread = thread::Builder::new().name("mintage-deadlines".into());
        let thread = thread.spawn(move || run.run());
        let thread = thread.context("cannot start the thread that watches deadlines")?;
        let new = Watch {
            process,
            shared: shared.clone(),
            thread,
        };
        std::mem::forget(watch.replace(new));
        Ok((process, shared))
    }
}

impl Shared {
    /// Nothing that could panic runs under the lock, so that a poisoned one is as good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timer's thread.
    fn run(&self) {
        let mut state = self.lock();
        while !state.ended {
            let first = state.deadlines.first_key_value().map(|(&(at, _), _)| at);
            let left = first.map(|at| at.saturating_duration_since(Instant::now()));
            state.wakes_at = first;
            state = match left {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    // Under the lock, so that a store that has taken its deadline back does not get
                    // the bit afterwards.
                    let passed = state.deadlines.pop_first();
                    let waker = passed.as_ref().and_then(|(_, target)| target.set(EXPIRED));
                    drop(state);
                    // An executor runs here, which may drop stores, and their engine with this
                    // timer. If it panics, that is its affair, and other deadlines still pass.
                    let _ = catch_unwind(AssertUnwindSafe(|| {
                        if let Some(waker) = waker {
                            waker.wake();
                        }
                        drop(passed);
                    }));
                    self.lock()
                }
                Some(left) => {
                    let woken = self.changed.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Deadline {
    /// Watches the deadline in this process as well, if it was set before a `fork`. Out of line,
    /// since most stores have no deadline.
    #[inline(never)]
    pub fn keep(&mut self, target: &InterruptTarget, engine: &Engine) -> Result<()> {
        if self.process != process_id() {
            *self = engine.timer().watch(self.key.0, target.clone())?;
        }
        Ok(())
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if self.process == process_id() {
            let removed = self.shared.lock().deadlines.remove(&self.key);
            // Not under the lock, since a waker may be dropped with it.
            drop(removed);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let watch = self.watch.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(watch) = watch.take() else { return };
        if watch.process != process_id() {
            // The thread is the parent's.
            std::mem::forget(watch);
            return;
        }
        watch.shared.lock().ended = true;
        watch.shared.changed.notify_one();
        // The thread itself drops the timer when a task that it wakes has the last engine. It ends
        // after that.
        if watch.thread.thread().id() != thread::current().id() {
            // It does not panic, and no one would read its payload.
            let _ = watch.thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::task::{Wake, Waker};

    fn is_set_within(word: &AtomicU64, wait: Duration) -> bool {
        let start = Instant::now();
        while start.elapsed() < wait {
            if word.load(Ordering::Relaxed) == EXPIRED {
                return true;
            }
            thread::sleep(Duration::from_millis(1));
        }
        false
    }

    #[test]
    fn deadlines_pass_in_order_and_not_when_taken_back() {
        let timer = Timer::default();
        let now = Instant::now();
        let words: [Arc<AtomicU64>; 4] = Default::default();
        let target = |i: usize| InterruptTarget::new(words[i].clone());
        let after = [3_600_000, 40, 20, 30].map(|millis| now + Duration::from_millis(millis));
        let [_late, _second, _first, taken_back] =
            std::array::from_fn(|i| timer.watch(after[i], target(i)).unwrap());
        drop(taken_back);
        assert!(is_set_within(&words[2], Duration::from_secs(20)));
        assert!(is_set_within(&words[1], Duration::from_secs(20)));
        assert!(now.elapsed() >= Duration::from_millis(40));
        assert_eq!(words[3].load(Ordering::Relaxed), 0);
        assert_eq!(words[0].load(Ordering::Relaxed), 0);
        assert_eq!(timer.shared().unwrap().1.lock().deadlines.len(), 1);
    }

    #[test]
    fn a_deadline_passes_after_an_earlier_one_was_taken_back() {
        let timer = Timer::default();
        let words: [Arc<AtomicU64>; 2] = Default::default();
        let target = |i: usize| InterruptTarget::new(words[i].clone());
        let now = Instant::now();
        let sooner = timer.watch(now + Duration::from_millis(20), target(0));
        drop(sooner);
        // The thread still wakes for the one that was taken back, and then waits for this one.
        let _later = timer.watch(now + Duration::from_millis(60), target(1));
        assert!(is_set_within(&words[1], Duration::from_secs(20)));
        assert_eq!(words[0].load(Ordering::Relaxed), 0);
    }

    /// Drops a timer when it is woken.
    struct DropsTimer {
        timer: Mutex<Option<Timer>>,
        dropped: mpsc::SyncSender<()>,
    }

    impl Wake for DropsTimer {
        fn wake(self: Arc<Self>) {
            drop(self.timer.lock().unwrap().take());
            self.dropped.send(()).unwrap();
        }
    }

    #[test]
    fn a_task_that_a_deadline_wakes_may_have_the_last_engine() {
        let timer = Timer::default();
        let target = InterruptTarget::new(Arc::default());
        let after = Instant::now() + Duration::from_millis(40);
        let deadline = timer.watch(after, target.clone()).unwrap();
        let shared = Arc::downgrade(&timer.shared().unwrap().1);
        let (dropped, receiver) = mpsc::sync_channel(1);
        let timer = Mutex::new(Some(timer));
        let waker = Waker::from(Arc::new(DropsTimer { timer, dropped }));
        assert!(!target.is_ended(&waker));
        // It would panic before it says so.
        receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        drop(deadline);
        // The thread ends.
        let start = Instant::now();
        while shared.upgrade().is_some() && start.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(shared.upgrade().is_none());
    }

    #[test]
    fn the_thread_starts_with_the_first_deadline_and_ends_with_the_timer() {
        let timer = Timer::default();
        assert!(timer.watch.lock().unwrap().is_none());
        let target = InterruptTarget::new(Arc::default());
        let deadline = timer
            .watch(Instant::now() + Duration::from_secs(3600), target)
            .unwrap();
        let shared = Arc::downgrade(&timer.shared().unwrap().1);
        drop(deadline);
        // Waits for the thread, which would wait for a deadline for ever.
        drop(timer);
        assert!(shared.upgrade().is_none());
    }
}
