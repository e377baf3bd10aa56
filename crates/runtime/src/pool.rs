//! [`Pool`]: clean slabs of one component, kept for its next instances.

use crate::slab::Slab;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The most idle slabs that a component keeps.
const MAX_IDLE: usize = 64;
/// The most idle slabs of all components together. Each has a few dozen mappings, of the 65,530 that a process may have by
/// default; the other half of them is for slabs in use and for the host.
const MAX_IDLE_IN_PROCESS: usize = 512;
/// The most address space of all idle slabs together, an eighth of the 47 bits that a process has. Without it, components that
/// are no longer used would keep others from being instantiated.
const MAX_IDLE_ADDRESS_SPACE: usize = 1 << 44;

/// What all pools of the process keep.
static KEPT: Kept = Kept {
    slabs: AtomicUsize::new(0),
    bytes: AtomicUsize::new(0),
};

/// Counts of idle slabs. They guard no data, so their order among other accesses does not matter.
struct Kept {
    slabs: AtomicUsize,
    bytes: AtomicUsize,
}

impl Kept {
    /// Counts a slab of so many bytes, unless that is too much.
    fn add(&self, bytes: usize) -> bool {
        let slabs = self.slabs.fetch_add(1, Ordering::Relaxed) + 1;
        let total = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let fits = slabs <= MAX_IDLE_IN_PROCESS && total <= MAX_IDLE_ADDRESS_SPACE;
        if !fits {
            self.remove(bytes);
        }
        fits
    }

    fn remove(&self, bytes: usize) {
        self.slabs.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Idle slabs, the one used last on top, since its pages are most likely in the processor's caches.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<Vec<Slab>>,
}

impl Pool {
    /// A clean slab, if there is one.
    pub fn take(&self) -> Option<Slab> {
        let slab = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        KEPT.remove(slab.len());
        Some(slab)
    }

    /// Keeps a clean slab, or unmaps it when there are enough.
    pub fn put(&self, slab: Slab) {
        let surplus = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            match idle.len() < MAX_IDLE && KEPT.add(slab.len()) {
                true => {
                    idle.push(slab);
                    None
                }
                false => Some(slab),
            }
        };
        // Unmapped here, so that the lock is not held across a system call.
        drop(surplus);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        while self.take().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(slabs: usize, bytes: usize) -> Kept {
        Kept {
            slabs: AtomicUsize::new(slabs),
            bytes: AtomicUsize::new(bytes),
        }
    }

    #[test]
    fn what_is_refused_is_not_counted() {
        for (slabs, bytes) in [(MAX_IDLE_IN_PROCESS, 0), (1, MAX_IDLE_ADDRESS_SPACE - 4)] {
            let kept = kept(slabs, bytes);
            assert!(!kept.add(5));
            assert_eq!((kept.slabs.into_inner(), kept.bytes.into_inner()), (slabs, bytes));
        }
        let kept = kept(1, MAX_IDLE_ADDRESS_SPACE - 5);
        assert!(kept.add(5) && !kept.add(1));
        kept.remove(5);
        assert!(kept.add(1));
    }
}
