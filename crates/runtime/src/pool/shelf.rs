//! [`Shelf`]: the idle slabs of one component.

use super::cleaner::Dirty;
use super::counts::Usage;
use super::{Pool, PooledSlab, Written, lock};
use crate::slab::Image;
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
    slabs: Mutex<Vec<PooledSlab>>,
    /// How many there are; changed under the lock.
    len: AtomicUsize,
}

impl List {
    fn pop(&self) -> Option<PooledSlab> {
        let mut slabs = lock(&self.slabs);
        let slab = slabs.pop();
        self.len.store(slabs.len(), Ordering::Relaxed);
        slab
    }

    /// Adds a slab, or gives it back when there are `limit`.
    fn push(&self, slab: PooledSlab, limit: usize) -> Option<PooledSlab> {
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

    /// Returns a slab with `image` in it: an idle one if `image` is `kept`, the image of the idle
    /// slabs.
    ///
    /// # Errors
    ///
    /// When a limit of the pool is reached, or the operating system gives no address space or
    /// memory.
    pub fn acquire(&self, image: &Arc<Image>, kept: &Arc<Image>) -> Result<PooledSlab> {
        let are_kept = Arc::ptr_eq(image, kept);
        // Those on the shelf may still be of the image before.
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

    /// Takes a slab back that an instance has left, for the next one that starts with `kept`.
    /// `written` tells what may have been written to, control blocks aside.
    pub fn release(self: &Arc<Self>, mut slab: PooledSlab, written: Written, kept: &Arc<Image>) {
        if !Arc::ptr_eq(slab.image(), kept) {
            // No other instance wants this one.
            return;
        }
        match written {
            Written::Nothing => {
                debug_assert_eq!(
                    slab.difference(),
                    None,
                    "a slab that nobody touched differs from the image"
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

    /// A clean slab, if there is one, or one that was about to be made clean.
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

    /// A clean slab of any list.
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
        dirty.slab.reset(self)
    }

    /// Keeps a clean slab, or unmaps it when there are enough.
    #[inline]
    pub(super) fn put(&self, slab: PooledSlab) {
        self.put_in(own_list(), slab);
    }

    pub(super) fn put_in(&self, list: usize, slab: PooledSlab) {
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

    /// Unmaps all slabs.
    pub fn clear(&self) {
        while self.pop().is_some() {}
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.pool.unregister();
    }
}
