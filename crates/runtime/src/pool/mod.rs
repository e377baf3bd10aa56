//! [`Pool`]: what all slabs of an engine may take together.
//!
//! ```text
//! Pool     one per engine       counts slabs, finds idle ones to give back             mod.rs
//! Shelf    one per component    its idle slabs                                          shelf.rs
//! Cleaner  one per pool         the thread that resets slabs, if that is wished         cleaner.rs
//! ```
//!
//! A slab counts from when it is mapped until it is unmapped ([`Claim`]), in use or idle: taking an idle one and putting it back
//! touches nothing that other components use. Only whoever maps a slab, which takes system calls anyway, comes to the pool,
//! and where a limit is reached there, it unmaps an idle slab of the component that was used least recently.
//!
//! Architecture invariant: no lock is held across a system call. Slabs are unmapped, and memory for lists is allocated, before
//! or after.

mod cleaner;
mod config;
mod shelf;

pub use config::PoolConfig;
pub use shelf::Shelf;

use crate::slab::Slab;
use crate::sys::{self, pagemap::Pagemap};
use anyhow::{Error, anyhow};
use cleaner::Cleaner;
use std::cmp::Reverse;
use std::mem;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Locks a mutex whose data is whole whenever it is unlocked, also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the slabs of an engine's components share.
pub struct Pool {
    config: PoolConfig,
    counts: Mutex<Counts>,
    /// The shelves of all components. The list is replaced rather than changed, so that it can be walked without the lock.
    shelves: Mutex<Arc<[Weak<Shelf>]>>,
    /// Bytes that slabs keep in memory.
    resident: AtomicUsize,
    /// Counts slabs that were mapped. Shelves that were used since the last one are all equally warm.
    clock: AtomicU64,
    /// Made when first needed; none where the system gives no thread.
    cleaner: OnceLock<Option<Cleaner>>,
}

/// What is mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Components that are loaded.
    components: usize,
    slabs: usize,
    address_space: u64,
    mappings: usize,
}

/// What one component has mapped. Changed under the lock of the pool's counts.
#[derive(Default)]
struct Usage {
    slabs: AtomicUsize,
    address_space: AtomicU64,
}

/// The limit that the next slab would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Slots,
    AddressSpace,
    /// The component's share of either.
    Share,
    /// No limit that anybody set: from here on idle slabs are given back rather than more mappings taken.
    Mappings,
}

impl Counts {
    /// Checks that a component which has `slabs` of `address_space` bytes together may have another of `more` bytes.
    fn admit(
        &self,
        config: &PoolConfig,
        slabs: usize,
        address_space: u64,
        more: u64,
        mappings: usize,
    ) -> Option<Limit> {
        let (total_slabs, total_space) = (config.total_component_instances, config.total_address_space);
        let space = self.address_space.saturating_add(more);
        let scarce = self.slabs + 1 > total_slabs - total_slabs / 4 || space > total_space - total_space / 4;
        let beyond_share = slabs + 1 > total_slabs / self.components.max(1)
            || address_space.saturating_add(more) > total_space / self.components.max(1) as u64;
        if self.slabs + 1 > total_slabs {
            Some(Limit::Slots)
        } else if space > total_space {
            Some(Limit::AddressSpace)
        } else if self.components > 1 && slabs > 0 && scarce && beyond_share {
            Some(Limit::Share)
        } else if self.mappings + mappings > sys::mmap::max_mappings() / 2 {
            Some(Limit::Mappings)
        } else {
            None
        }
    }
}

impl Pool {
    /// A pool without slabs.
    pub fn new(config: &PoolConfig) -> Arc<Pool> {
        Arc::new(Pool {
            config: config.clone(),
            counts: Mutex::default(),
            shelves: Mutex::new(Arc::new([])),
            resident: AtomicUsize::new(0),
            clock: AtomicU64::new(0),
            cleaner: OnceLock::new(),
        })
    }

    pub(crate) fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// The way to learn which pages were written, where there is one and it is not switched off.
    pub(crate) fn pagemap(&self) -> Option<&'static Pagemap> {
        Pagemap::get().filter(|_| self.config.pagemap_scan)
    }

    /// Adds a component, and forgets those that are gone.
    fn register(&self, shelf: &Arc<Shelf>) {
        let mut current = lock(&self.shelves).clone();
        loop {
            let alive = current.iter().filter(|shelf| shelf.strong_count() > 0).cloned();
            let next: Arc<[_]> = alive.chain([Arc::downgrade(shelf)]).collect();
            let mut shelves = lock(&self.shelves);
            if Arc::ptr_eq(&shelves, &current) {
                let old = mem::replace(&mut *shelves, next);
                drop(shelves);
                drop(old);
                break;
            }
            let newer = shelves.clone();
            drop(shelves);
            current = newer;
        }
        lock(&self.counts).components += 1;
    }

    fn unregister(&self) {
        lock(&self.counts).components -= 1;
    }

    /// Counts another slab of a component, which takes so many bytes of address space and about so many mappings. Gives
    /// back idle slabs of other components for it.
    ///
    /// # Errors
    ///
    /// When a limit is reached by slabs that are all in use; names the limit.
    fn claim(self: &Arc<Self>, shelf: &Shelf, address_space: u64, mappings: usize) -> Result<Claim, Error> {
        self.clock.fetch_add(1, Ordering::Relaxed);
        let usage = shelf.usage();
        loop {
            let limit = {
                let mut counts = lock(&self.counts);
                let slabs = usage.slabs.load(Ordering::Relaxed);
                let space = usage.address_space.load(Ordering::Relaxed);
                let limit = counts.admit(&self.config, slabs, space, address_space, mappings);
                if limit.is_none() {
                    return Ok(self.grant(&mut counts, usage, address_space, mappings));
                }
                limit
            };
            if self.evict(|other| !std::ptr::eq(other, shelf)) {
                continue;
            }
            match limit {
                Some(Limit::Mappings) | None => {
                    let mut counts = lock(&self.counts);
                    return Ok(self.grant(&mut counts, usage, address_space, mappings));
                }
                Some(limit) => return Err(self.exceeded(limit, shelf, address_space)),
            }
        }
    }

    fn grant(self: &Arc<Self>, counts: &mut Counts, usage: &Arc<Usage>, address_space: u64, mappings: usize) -> Claim {
        counts.slabs += 1;
        counts.address_space += address_space;
        counts.mappings += mappings;
        usage.slabs.fetch_add(1, Ordering::Relaxed);
        usage.address_space.fetch_add(address_space, Ordering::Relaxed);
        Claim {
            pool: self.clone(),
            usage: usage.clone(),
            address_space,
            mappings,
            resident: 0,
        }
    }

    fn exceeded(&self, limit: Limit, shelf: &Shelf, more: u64) -> Error {
        let counts = *lock(&self.counts);
        let gib = |bytes: u64| bytes.div_ceil(1 << 30);
        let total = self.config.total_component_instances;
        match limit {
            Limit::AddressSpace => anyhow!(
                "the pool has no address space left: {} instances take {} GiB, another one takes {} GiB, and the limit is {} \
                 GiB; raise `PoolConfig::total_address_space`, or reduce `Config::memory_reservation`",
                counts.slabs,
                gib(counts.address_space),
                gib(more),
                self.config.total_address_space >> 30
            ),
            Limit::Share => anyhow!(
                "the component has {} of the pool's {total} slots and {} of its {} GiB of address space, and the rest is kept \
                 for the other {} components; raise `PoolConfig::total_component_instances` or \
                 `PoolConfig::total_address_space`",
                shelf.usage().slabs.load(Ordering::Relaxed),
                gib(shelf.usage().address_space.load(Ordering::Relaxed)),
                self.config.total_address_space >> 30,
                counts.components.saturating_sub(1)
            ),
            Limit::Slots | Limit::Mappings => anyhow!(
                "the pool's {total} slots are all in use; drop instances, or raise `PoolConfig::total_component_instances`"
            ),
        }
    }

    /// Unmaps an idle slab of the component that was used least recently among the `eligible`. Whether there was one.
    fn evict(&self, eligible: impl Fn(&Shelf) -> bool) -> bool {
        let shelves = lock(&self.shelves).clone();
        let shelves = shelves.iter().filter_map(Weak::upgrade);
        let mut candidates: Vec<_> = shelves.filter(|shelf| shelf.idle() > 0 && eligible(shelf)).collect();
        candidates.sort_by_cached_key(|shelf| (shelf.last_used(), Reverse(shelf.idle())));
        // Another thread may have taken the slab meanwhile.
        candidates.iter().any(|shelf| shelf.pop().is_some())
    }

    /// Unmaps all idle slabs of all components: the system has no address space, memory or mappings left. Whether there
    /// were any.
    pub(crate) fn evict_all(&self) -> bool {
        let mut any = false;
        while self.evict(|_| true) {
            any = true;
        }
        any
    }

    /// What slabs take, for the error when the system refuses more.
    pub(crate) fn describe(&self) -> String {
        let counts = *lock(&self.counts);
        format!(
            "the pool has mapped {} slots with {} GiB of address space; {}",
            counts.slabs,
            counts.address_space.div_ceil(1 << 30),
            sys::mmap::describe_limits()
        )
    }

    /// The thread that resets slabs, if that is wished and the system gives one.
    fn cleaner(&self) -> Option<&Cleaner> {
        if !self.config.background_reset {
            return None;
        }
        self.cleaner.get_or_init(Cleaner::start).as_ref()
    }
}

/// A mapped slab's part in the pool's counts, until it is dropped.
pub struct Claim {
    pool: Arc<Pool>,
    usage: Arc<Usage>,
    address_space: u64,
    mappings: usize,
    /// Bytes that the slab keeps in memory.
    resident: usize,
}

impl Claim {
    /// The pool.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Sets how much the slab keeps in memory: at most `wanted` bytes, as the limits allow. Gives back idle slabs of components
    /// that were used less recently than `shelf` for it.
    pub fn keep_resident(&mut self, wanted: usize, shelf: &Shelf) -> usize {
        let Pool { config, resident, .. } = &*self.pool;
        let wanted = wanted.min(config.keep_resident);
        while wanted > self.resident {
            let more = wanted - self.resident;
            let reserve = |total: usize| total.checked_add(more).filter(|&sum| sum <= config.total_keep_resident);
            if resident
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve)
                .is_ok()
            {
                self.resident = wanted;
            } else if !self.pool.evict(|other| other.last_used() < shelf.last_used()) {
                return self.resident;
            }
        }
        resident.fetch_sub(self.resident - wanted, Ordering::Relaxed);
        self.resident = wanted;
        wanted
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.pool.resident.fetch_sub(self.resident, Ordering::Relaxed);
        let mut counts = lock(&self.pool.counts);
        counts.slabs -= 1;
        counts.address_space -= self.address_space;
        counts.mappings -= self.mappings;
        self.usage.slabs.fetch_sub(1, Ordering::Relaxed);
        self.usage
            .address_space
            .fetch_sub(self.address_space, Ordering::Relaxed);
    }
}

/// A slab that an instance has left, on its way to its component's shelf.
struct Dirty {
    slab: Slab,
    shelf: Arc<Shelf>,
    /// The list of the thread that used it.
    list: usize,
}

impl Dirty {
    /// Resets the slab and puts it on the shelf; unmaps it if that fails.
    fn clean(self) {
        if let Some(slab) = self.slab.reset(&self.shelf) {
            self.shelf.put_in(self.list, slab);
        }
    }
}
