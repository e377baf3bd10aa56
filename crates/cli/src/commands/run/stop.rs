//! [`Stop`]: ends a guest at its timeout, or at Ctrl-C.
//!
//! Guest code stops by itself at its deadline, and so do host functions that wait for an event. A
//! thread ends the process if a host function does not return: one that reads from a terminal or a
//! pipe, for example.

use super::Host;
use crate::{TIMED_OUT, TimedOut, report, signals};
use mintage::error::{Context, Error, Result};
use mintage::{InterruptHandle, Store};
use std::process;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The time that a guest has to stop by itself after its deadline. Stopping takes about a
/// millisecond if no host function holds it up.
const GRACE: Duration = Duration::from_millis(100);

/// Watches a guest until [`end`](Self::end).
pub(crate) struct Stop {
    ended: Arc<(Mutex<bool>, Condvar)>,
}

impl Stop {
    /// Begins to watch the guests of a store. Without a timeout there is nothing to watch: Ctrl-C
    /// ends the process as it ends others.
    ///
    /// # Errors
    ///
    /// Fails if the system has no thread.
    pub fn new(store: &mut Store<Host>, timeout: Option<Duration>) -> Result<Stop> {
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let stop = Stop {
            ended: ended.clone(),
        };
        let Some(timeout) = timeout else {
            return Ok(stop);
        };
        interrupt_at_first_signal(store.interrupt_handle()?)?;
        let start = Instant::now();
        let watch = move || {
            let (ended, changed) = &*ended;
            let mut guard = ended.lock().unwrap_or_else(PoisonError::into_inner);
            while !*guard {
                let Some(left) = (timeout + GRACE).checked_sub(start.elapsed()) else {
                    // The lock is held, so the guest cannot end meanwhile.
                    report(&Error::new(TimedOut(timeout)));
                    process::exit(TIMED_OUT.into());
                };
                let waited = changed.wait_timeout(guard, left);
                guard = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        };
        let started = thread::Builder::new().name("timeout".into()).spawn(watch);
        started.context("the system does not start a thread for `--timeout`")?;
        Ok(stop)
    }

    /// Ends watching. The guest has ended.
    pub fn end(self) {
        let (ended, changed) = &*self.ended;
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }
}

/// Makes the first Ctrl-C interrupt the guest, so that its backtrace is shown, and the second one
/// end the process.
fn interrupt_at_first_signal(handle: InterruptHandle) -> Result<()> {
    signals::at_interrupt(move || handle.interrupt())
}
