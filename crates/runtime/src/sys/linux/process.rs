//! Forks: a child has none of its parent's threads, and all locks as they were in that moment.

use super::mmap::{Reservation, page_size};
use rustix::mm::{Advice, madvise};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns a number that differs from that of every process that this one was forked from. It costs
/// one load.
#[inline]
pub fn id() -> u64 {
    match WORD.get_or_init(word) {
        Some(word) => match word.load(Ordering::Relaxed) {
            0 => set(word),
            id => id,
        },
        None => std::process::id().into(),
    }
}

/// A word that the system sets to zero in each child that is forked, where it can.
static WORD: OnceLock<Option<&'static AtomicU64>> = OnceLock::new();

fn word() -> Option<&'static AtomicU64> {
    let page = Reservation::new(page_size()).ok()?;
    page.make_accessible(0, page_size()).ok()?;
    let base = page.base().as_ptr();
    // SAFETY: the page is ours, and nobody else knows it.
    unsafe { madvise(base.cast(), page_size(), Advice::LinuxWipeOnFork) }.ok()?;
    // Mapped as long as the process lives.
    std::mem::forget(page);
    // SAFETY: the page is accessible, aligned and zero, and stays mapped; it is used as this word
    // only.
    Some(unsafe { AtomicU64::from_ptr(base.cast()) })
}

/// Numbers the process. Several threads may do so at once; the first decides.
#[cold]
fn set(word: &AtomicU64) -> u64 {
    // The time tells apart processes that had the same number one after the other.
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let id = u64::from(std::process::id()) << 32 | u64::from(time.subsec_nanos() | 1);
    let first = word.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed);
    first.map_or_else(|first| first, |_| id)
}

/// Held by threads of our own while they use locks that others use too.
static BUSY: RwLock<()> = RwLock::new(());

/// Keeps the process from being forked: a child would have the locks as they are, without the
/// thread that unlocks them. For threads of our own, whose work the host cannot wait for.
pub fn no_fork() -> RwLockReadGuard<'static, ()> {
    static PREPARED: OnceLock<()> = OnceLock::new();
    PREPARED.get_or_init(|| {
        // SAFETY: the functions stay where they are as long as the process lives. If the system has
        // no memory for them, forks do not wait.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork)) };
    });
    BUSY.read().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// What a thread that forks holds meanwhile.
    static FORKING: Cell<Option<RwLockWriteGuard<'static, ()>>> = const { Cell::new(None) };
}

/// Waits until no thread of ours has locks, and lets none take any.
unsafe extern "C" fn before_fork() {
    let guard = BUSY.write().unwrap_or_else(PoisonError::into_inner);
    // A thread that ends has no thread-local values any more. Then nothing is held.
    let _ = FORKING.try_with(|forking| forking.set(Some(guard)));
}

/// Lets them go on, in the parent and in the child, where the thread that forked is the only one.
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

    /// A fork waits for a thread of ours that has locks.
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
            // SAFETY: the child takes a lock that nobody has, compares numbers and ends.
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
