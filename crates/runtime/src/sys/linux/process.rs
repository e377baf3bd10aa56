//! Forks. A child has none of its parent's threads, and each lock is in the state of the moment of
//! the fork.

use super::mmap::{Reservation, page_size};
use rustix::mm::{Advice, madvise};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the number of this process, which differs from that of every process that it was forked
/// from. The call costs one load.
#[inline]
pub fn id() -> u64 {
    match WORD.get_or_init(word) {
        // Relaxed: the number is all that threads pass to each other.
        Some(word) => match word.load(Ordering::Relaxed) {
            0 => set(word),
            id => id,
        },
        None => std::process::id().into(),
    }
}

/// A word that the system sets to zero in each forked child, or `None` if it cannot.
static WORD: OnceLock<Option<&'static AtomicU64>> = OnceLock::new();

fn word() -> Option<&'static AtomicU64> {
    let page = Reservation::new(page_size()).ok()?;
    page.make_accessible(0, page_size()).ok()?;
    let base = page.base().as_ptr();
    // SAFETY: the page is ours, and not shared yet.
    unsafe { madvise(base.cast(), page_size(), Advice::LinuxWipeOnFork) }.ok()?;
    // The page stays mapped as long as the process lives.
    std::mem::forget(page);
    // SAFETY: the page is accessible, aligned and zero, and stays mapped; it is used as this word
    // only.
    Some(unsafe { AtomicU64::from_ptr(base.cast()) })
}

/// Numbers the process. If several threads do so at once, the first one wins.
#[cold]
fn set(word: &AtomicU64) -> u64 {
    // The time distinguishes processes that had the same number one after the other.
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let id = u64::from(std::process::id()) << 32 | u64::from(time.subsec_nanos() | 1);
    let first = word.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed);
    first.map_or_else(|first| first, |_| id)
}

/// Held by threads of the runtime while they hold locks that other threads use too.
static BUSY: RwLock<()> = RwLock::new(());

/// Delays forks while the result lives. A forked child would have the locks as they are, without
/// the thread that unlocks them. This is for threads of the runtime, whose work the host cannot
/// wait for.
pub fn no_fork() -> RwLockReadGuard<'static, ()> {
    static PREPARED: OnceLock<()> = OnceLock::new();
    PREPARED.get_or_init(|| {
        // SAFETY: the functions exist as long as the process lives. If the system has no memory to
        // note them, forks are not delayed.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork)) };
    });
    BUSY.read().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// The lock that a thread holds while it forks.
    static FORKING: Cell<Option<RwLockWriteGuard<'static, ()>>> = const { Cell::new(None) };
}

/// Waits until no thread of the runtime holds locks, and keeps them from taking any.
unsafe extern "C" fn before_fork() {
    let guard = BUSY.write().unwrap_or_else(PoisonError::into_inner);
    // A thread that ends has no thread-local values any more. Then the lock is released at once.
    let _ = FORKING.try_with(|forking| forking.set(Some(guard)));
}

/// Lets the threads of the runtime take locks again, in the parent and in the child.
unsafe extern "C" fn after_fork() {
    let _ = FORKING.try_with(|forking| drop(forking.take()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_has_another_number() {
        let parent = id();
        assert_eq!(parent, id());
        assert!(WORD.get().unwrap().is_some());
        // SAFETY: the child only compares numbers and ends.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let (first, second) = (id(), id());
            // SAFETY: nothing of the child is needed any more.
            unsafe { libc::_exit(i32::from(first != parent && first == second)) };
        }
        let mut status = 0;
        // SAFETY: the status is written.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 1);
        assert_eq!(parent, id());
    }

    /// A fork waits for a thread of the runtime that holds locks.
    #[test]
    fn forks_wait() {
        let (done, started) = (AtomicU64::new(0), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let guard = no_fork();
                started.wait();
                std::thread::sleep(std::time::Duration::from_millis(50));
                done.store(1, Ordering::SeqCst);
                drop(guard);
            });
            started.wait();
            // SAFETY: the child takes a lock that no one holds, compares numbers and ends.
            let child = unsafe { libc::fork() };
            assert!(child >= 0);
            if child == 0 {
                drop(no_fork());
                // SAFETY: nothing of the child is needed any more.
                unsafe { libc::_exit(done.load(Ordering::SeqCst) as i32) };
            }
            let mut status = 0;
            // SAFETY: the status is written.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(libc::WEXITSTATUS(status), 1);
        });
        drop(no_fork());
    }
}
