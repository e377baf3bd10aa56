//! [`Shelf`]: the idle slabs of one component.

use super::cleaner::Dirty;
use super::counts::{History, Usage};
use super::{Pool, PooledSlab, Written, lock};
use crate::slab::Image;
use crate::sys::mappings;
use anyhow::Result;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The number of lists of idle slabs of a component. Each thread puts slabs into one of them, and
/// takes from it while there are any. So a slab stays with the thread and the processor that used
/// it last, and threads do not wait for each other.
const LISTS: usize = 8;

/// The most slabs that a list has room for. The room is allocated when a component is loaded.
const MAX_ROOM: usize = 1024;

/// Idle slabs of a component. They hold what its image says.
pub struct Shelf {
    pool: Arc<Pool>,
    lists: [List; LISTS],
    usage: Arc<Usage>,
    /// The pool's clock when a slab was last taken.
    last_used: AtomicU64,
}

/// Some of the slabs. The one used last is on top, since its pages are most likely in the
/// processor's caches.
#[derive(Default)]
// Processors load cache lines in pairs, so lists are that far apart.
#[repr(align(128))]
struct List {
    /// The slabs. The vector never grows beyond its first capacity.
    slabs: Mutex<Vec<PooledSlab>>,
    /// Their number; changed under the lock. Whoever reads it without the lock takes it for a hint,
    /// so all accesses are relaxed, here and below.
    len: AtomicUsize,
    /// The slabs that were taken since the component was loaded; changed under the lock, so that
    /// counting takes no atomic operation.
    taken: AtomicU64,
    /// The slabs that came back reset since then; changed under the lock.
    resets: AtomicU64,
}

impl List {
    fn pop(&self) -> Option<PooledSlab> {
        let mut slabs = lock(&self.slabs);
        let slab = slabs.pop();
        self.len.store(slabs.len(), Ordering::Relaxed);
        if slab.is_some() {
            add_locked(&self.taken, 1);
        }
        slab
    }

    /// Adds a slab, or returns it if there are `limit`.
    fn push(&self, slab: PooledSlab, limit: usize, state: Returned) -> Option<PooledSlab> {
        let mut slabs = lock(&self.slabs);
        if slabs.len() >= limit.min(slabs.capacity()) {
            return Some(slab);
        }
        slabs.push(slab);
        self.len.store(slabs.len(), Ordering::Relaxed);
        add_locked(&self.resets, u64::from(state == Returned::Reset));
        None
    }

    /// Counts a slab that was reset and taken without a place in the list.
    fn count_passed(&self) {
        let _slabs = lock(&self.slabs);
        add_locked(&self.taken, 1);
        add_locked(&self.resets, 1);
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }
}

/// Adds to a counter that is changed under a lock only.
fn add_locked(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// The state of a slab that comes back to its shelf.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// No one has used it.
    Unused,
    /// It was reset after use.
    Reset,
}

/// Returns the list that the current thread uses first.
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
    /// Creates the empty shelf of a component that is being loaded.
    pub fn new(pool: &Arc<Pool>) -> Arc<Shelf> {
        let shelf = Arc::new(Shelf {
            pool: pool.clone(),
            lists: std::array::from_fn(|_| List {
                slabs: Mutex::new(Vec::with_capacity(
                    pool.config.max_unused_warm_slots.min(MAX_ROOM),
                )),
                ..List::default()
            }),
            usage: Arc::default(),
            last_used: AtomicU64::new(0),
        });
        pool.register(&shelf);
        shelf
    }

    /// Returns the pool that counts the component's slabs.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(super) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// Returns the pool's clock when a slab was last taken.
    pub(super) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    /// Returns about how many slabs there are.
    pub(super) fn idle(&self) -> usize {
        self.lists.iter().map(List::len).sum()
    }

    /// Returns the totals since the component was loaded: slabs taken from the shelf, and slabs
    /// that came back reset.
    pub(super) fn history(&self) -> History {
        self.lists
            .iter()
            .fold(History::default(), |sum, list| History {
                taken: sum.taken + list.taken.load(Ordering::Relaxed),
                resets: sum.resets + list.resets.load(Ordering::Relaxed),
            })
    }

    /// Returns a slab with `image` in it. If `image` is `kept`, the image of the idle slabs, that
    /// may be an idle slab.
    ///
    /// # Errors
    ///
    /// If a limit of the pool is reached, or the system gives no address space or memory.
    pub fn acquire(&self, image: &Arc<Image>, kept: &Arc<Image>) -> Result<PooledSlab> {
        let are_kept = Arc::ptr_eq(image, kept);
        // A slab on the shelf may still have an older image.
        let take = || {
            self.take()
                .filter(|slab| are_kept && Arc::ptr_eq(slab.image(), image))
        };
        if are_kept && let Some(slab) = take() {
            return Ok(slab);
        }
        match self.pool.claim(self, image.size() as u64, image.mappings()) {
            Ok(claim) => PooledSlab::map(image, claim),
            // Another thread may have put one back meanwhile.
            Err(error) => take().ok_or(error),
        }
    }

    /// Takes back a slab that an instance has left, for later instances that start with `kept`.
    /// `written` tells which pages may have been written, control blocks aside.
    pub fn release(self: &Arc<Self>, mut slab: PooledSlab, written: Written, kept: &Arc<Image>) {
        if !Arc::ptr_eq(slab.image(), kept) {
            // No later instance can use this slab.
            return;
        }
        match written {
            Written::Nothing => {
                debug_assert_eq!(
                    slab.difference(),
                    None,
                    "a slab that no one touched differs from the image"
                );
                self.put(slab);
            }
            Written::Known => self.put_dirty(slab),
            Written::Anything => {
                slab.forget_written();
                self.put_dirty(slab);
            }
        }
    }

    /// Returns an idle slab, or one that waits to be reset, which it then resets.
    #[inline]
    pub(super) fn take(&self) -> Option<PooledSlab> {
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

    /// Takes an idle slab of any list.
    #[cold]
    pub(super) fn pop(&self) -> Option<PooledSlab> {
        self.lists
            .iter()
            .filter(|list| list.len() > 0)
            .find_map(List::pop)
    }

    #[cold]
    fn take_dirty(&self) -> Option<PooledSlab> {
        let dirty = self.pool.cleaner()?.take(self)?;
        let slab = dirty.slab.reset(self)?;
        self.lists[own_list()].count_passed();
        Some(slab)
    }

    /// Keeps a slab that is reset, or unmaps it if there are enough.
    #[inline]
    pub(super) fn put(&self, slab: PooledSlab) {
        self.put_in(own_list(), slab, Returned::Unused);
    }

    pub(super) fn put_in(&self, list: usize, slab: PooledSlab, state: Returned) {
        let list = &self.lists[list];
        let limit = self.pool.config.max_unused_warm_slots;
        // While this list has no more than its part, the others need not be counted.
        let fits = (list.len() < limit / LISTS || self.idle() < limit)
            // Mappings of idle slabs are missing to the host and to other components.
            && mappings::slab_mappings() <= mappings::max_idle_mappings();
        let surplus = match fits {
            true => list.push(slab, limit, state),
            false => Some(slab),
        };
        // It is unmapped here, where no lock is held.
        drop(surplus);
    }

    /// Resets a slab that an instance has used, here or in the background, and keeps it.
    fn put_dirty(self: &Arc<Self>, slab: PooledSlab) {
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

    /// Waits until no thread uses the component's image any more: unmaps what waits to be reset in
    /// the background.
    pub fn finish(&self) {
        if let Some(cleaner) = self.pool.cleaner.existing() {
            cleaner.forget(self);
        }
    }

    /// Unmaps all slabs.
    pub fn clear(&self) {
        while self.pop().is_some() {}
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.pool.unregister(self.history());
    }
}
