//! [`Pool`]: clean slabs of one component, kept for its next instances.

use crate::slab::Slab;
use std::sync::{Mutex, PoisonError};

/// The most idle slabs that a component keeps. Each holds its address space (6 GiB and more of the 128 TiB that a process has),
/// some twenty mappings (of 65,530) and at most [`KEEP`](crate::slab) bytes of memory.
const MAX_IDLE: usize = 64;

/// Idle slabs, the one used last on top, since its pages are most likely in the processor's caches.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<Vec<Slab>>,
}

impl Pool {
    /// A clean slab, if there is one.
    pub fn take(&self) -> Option<Slab> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps a clean slab, or unmaps it when there are enough.
    pub fn put(&self, slab: Slab) {
        let surplus = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            match idle.len() < MAX_IDLE {
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
