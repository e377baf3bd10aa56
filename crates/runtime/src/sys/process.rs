//! Which process this is: a child that was forked has none of its parent's threads.

use super::mmap::{Reservation, page_size};
use rustix::mm::{Advice, madvise};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns a number that differs from that of every process that this one was forked from. It costs one load.
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
    // SAFETY: the page is accessible, aligned and zero, and stays mapped; it is used as this word only.
    Some(unsafe { AtomicU64::from_ptr(base.cast()) })
}

/// Numbers the process. Several threads may do so at once; the first decides.
#[cold]
fn set(word: &AtomicU64) -> u64 {
    // The time tells apart processes that had the same number one after the other.
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = u64::from(std::process::id()) << 32 | u64::from(time.subsec_nanos() | 1);
    let first = word.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed);
    first.map_or_else(|first| first, |_| id)
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
}
