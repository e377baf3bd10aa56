//! [`Shelf`]: the idle slabs of one component.

use super::{Claim, Dirty, Pool, Usage, lock};
use crate::slab::Slab;
use crate::sys::mmap;
use anyhow::Result;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// How many lists the idle slabs of a component are in. Each thread puts and takes in one of them
/// as long as it has any, so that a slab stays with the thread, and processor, that used it last,
/// and threads do not wait for each other.
const LISTS: usize = 8;

/// The most slabs that a list has room for, which is allocated when a component is loaded.
const MAX_ROOM: usize = 1024;

/// Idle slabs that are clean: as their component's image says.
pub struct Shelf {
    pool: Arc<Pool>,
    lists: [List; LISTS],
    usage: Arc<Usage>,
    /// The pool's clock when a slab was taken last.
    last_used: AtomicU64,
}

/// Some of the slabs, the one used last on top, since its pages are most likely in the processor's
/// caches.
#[derive(Default)]
// Apart from each other in the processor's caches, which load lines in pairs.
#[repr(align(128))]
struct List {
    /// With room for all that it may ever hold.
    slabs: Mutex<Vec<Slab>>,
    /// How many there are; changed under the lock.
    len: AtomicUsize,
}

impl List {
    fn pop(&self) -> Option<Slab> {
        let mut slabs = lock(&self.slabs);
        let slab = slabs.pop();
        self.len.store(slabs.len(), Ordering::Relaxed);
        slab
    }

    /// Adds a slab, or gives it back when there are `limit`.
    fn push(&self, slab: Slab, limit: usize) -> Option<Slab> {
        let mut slabs = lock(&self.slabs);
        if slabs.len() >= limit.min(slabs.capacity()) {
            return Some(slab);
        }
        slabs.push(slab);
        self.len.store(slabs.len(), Ordering::Relaxed);
        None
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }
}

/// The list that the current thread uses first.
fn own_list() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % LISTS);
        }
        own.get()
    })
}

impl Shelf {
    /// The empty shelf of a component that is being loaded.
    pub fn new(pool: &Arc<Pool>) -> Arc<Shelf> {
        let shelf = Arc::new(Shelf {
            pool: pool.clone(),
            lists: std::array::from_fn(|_| List {
                slabs: Mutex::new(Vec::with_capacity(
                    pool.config.max_unused_warm_slots.min(MAX_ROOM),
                )),
                len: AtomicUsize::new(0),
            }),
            usage: Arc::default(),
            last_used: AtomicU64::new(0),
        });
        pool.register(&shelf);
        shelf
    }

    /// The pool that the component's slabs count in.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(super) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// The pool's clock when a slab was taken last.
    pub(super) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    /// About how many slabs there are.
    pub(super) fn idle(&self) -> usize {
        self.lists.iter().map(List::len).sum()
    }

    /// A clean slab, if there is one, or one that was about to be made clean.
    #[inline]
    pub fn take(&self) -> Option<Slab> {
        let now = self.pool.clock.load(Ordering::Relaxed);
        // Written only when it changes, since all threads read it.
        if self.last_used.load(Ordering::Relaxed) != now {
            self.last_used.store(now, Ordering::Relaxed);
        }
        match self.lists[own_list()].pop() {
            Some(slab) => Some(slab),
            None => self.pop().or_else(|| self.take_dirty()),
        }
    }

    /// A clean slab of any list.
    #[cold]
    pub(super) fn pop(&self) -> Option<Slab> {
        self.lists
            .iter()
            .filter(|list| list.len() > 0)
            .find_map(List::pop)
    }

    #[cold]
    fn take_dirty(&self) -> Option<Slab> {
        let dirty = self.pool.cleaner()?.take(self)?;
        dirty.slab.reset(self)
    }

    /// Keeps a clean slab, or unmaps it when there are enough.
    #[inline]
    pub fn put(&self, slab: Slab) {
        self.put_in(own_list(), slab);
    }

    pub(super) fn put_in(&self, list: usize, slab: Slab) {
        let list = &self.lists[list];
        let limit = self.pool.config.max_unused_warm_slots;
        // Other threads' lists need not be looked at while this one has no more than its part.
        let fits = (list.len() < limit / LISTS || self.idle() < limit)
            // What idle slabs have, the host and other components lack.
            && mmap::slab_mappings() <= mmap::max_idle_mappings();
        let surplus = match fits {
            true => list.push(slab, limit),
            false => Some(slab),
        };
        // Unmapped here, where no lock is held.
        drop(surplus);
    }

    /// Makes a slab clean that an instance has written to, here or in the background, and keeps it.
    pub fn put_dirty(self: &Arc<Self>, slab: Slab) {
        let dirty = Dirty {
            slab,
            shelf: self.clone(),
            list: own_list(),
        };
        let rest = match self.pool.cleaner() {
            Some(cleaner) => cleaner.put(dirty),
            None => Some(dirty),
        };
        if let Some(dirty) = rest {
            dirty.clean();
        }
    }

    /// Unmaps all slabs.
    pub fn clear(&self) {
        while self.pop().is_some() {}
    }

    /// Counts another slab of the component; see [`Pool`].
    ///
    /// # Errors
    ///
    /// When a limit of the pool is reached.
    pub fn claim(&self, address_space: u64, mappings: usize) -> Result<Claim> {
        self.pool.claim(self, address_space, mappings)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.pool.unregister();
    }
}
