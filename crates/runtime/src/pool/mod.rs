//! [`Pool`]: the limits of all slabs of an engine, and its idle slabs.
//!
//! ```text
//! Pool         one per engine     counts slabs, finds idle ones to unmap     mod.rs, counts.rs
//! Shelf        one per component  its idle slabs                             shelf.rs
//! PooledSlab   one per instance   a slab with its share of the counts        pooled.rs, claim.rs
//! Cleaner      one per pool       a thread that resets slabs, if configured  cleaner.rs
//! SharedChunks one per pool       parts that several components have         chunks.rs
//! ```
//!
//! A slab counts while it is mapped ([`Claim`]), in use or idle. So taking an idle slab and putting
//! it back touches nothing that other components use. Only mapping a slab, which takes system calls
//! anyway, goes through the pool. If a limit is reached there, an idle slab of the component that
//! was used least recently is unmapped.
//!
//! Architecture invariant: no lock is held across a system call, except while the cleaner's thread
//! is started. Slabs are unmapped, and memory for lists is allocated, before or after.

mod chunks;
mod claim;
mod cleaner;
mod config;
mod counts;
mod pooled;
mod shelf;

pub(crate) use chunks::SharedParts;
pub use config::PoolConfig;
pub use pooled::{PooledSlab, Written};
pub use shelf::Shelf;

use crate::slab::ResetOptions;
use crate::sys::mappings::{self, SlabMappings};
use crate::sys::pagemap::Pagemap;
use anyhow::Error;
use chunks::SharedChunks;
use claim::Claim;
use cleaner::Cleaner;
use counts::{Counts, History, PoolLimit, SlabTotals, Usage};
use mintage_environ::{ByteSize, limit};
use std::cmp::Reverse;
use std::mem;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Locks a mutex whose data is consistent whenever it is unlocked, even by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pool of an engine, which the slabs of all its components share.
pub struct Pool {
    config: PoolConfig,
    counts: Mutex<Counts>,
    /// The shelves of all components. The list is replaced rather than changed, so that it can be
    /// read without the lock.
    shelves: Mutex<Arc<[Weak<Shelf>]>>,
    /// Bytes that slabs keep in memory.
    resident: AtomicUsize,
    /// Counts the slabs that were mapped. Shelves that were used since the last one are all equally
    /// recent.
    clock: AtomicU64,
    cleaner: cleaner::CleanerCell,
    chunks: SharedChunks,
}

/// Current numbers of a pool, and totals since its creation.
#[derive(Clone, Copy, Debug)]
pub struct PoolMetrics {
    /// Loaded components.
    pub components: usize,
    /// Slabs in use.
    pub live: usize,
    /// Slabs on shelves.
    pub idle: usize,
    /// Slabs that wait to be reset in the background.
    pub waiting: usize,
    /// Slabs taken for an instance so far.
    pub created: u64,
    /// Slabs that were reset and kept, so far.
    pub resets: u64,
    /// Bytes of address space of all slabs.
    pub address_space: u64,
    /// Mappings of all slabs, as reserved.
    pub mappings: usize,
    /// Bytes that slabs kept in memory at their last reset, page tables included.
    pub resident: usize,
    /// Bytes of machine code that components share with others.
    pub shared_text: usize,
}

impl Pool {
    /// Creates a pool without slabs.
    pub fn new(config: &PoolConfig) -> Arc<Pool> {
        Arc::new(Pool {
            config: config.clone(),
            counts: Mutex::default(),
            shelves: Mutex::new(Arc::new([])),
            resident: AtomicUsize::new(0),
            clock: AtomicU64::new(0),
            cleaner: cleaner::CleanerCell::default(),
            chunks: SharedChunks::default(),
        })
    }

    /// Returns whether components may map machine code that others have, too.
    pub fn shares_code(&self) -> bool {
        self.config.share_code
    }

    pub(crate) fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// Returns the parts of artifacts that the components share.
    pub(crate) fn chunks(&self) -> &SharedChunks {
        &self.chunks
    }

    /// Returns the system's means to tell which pages were written, unless it has none or they are
    /// switched off.
    pub(crate) fn pagemap(&self) -> Option<&'static Pagemap> {
        Pagemap::get().filter(|_| self.config.pagemap_scan)
    }

    /// Returns how slabs are reset.
    fn reset_options(&self) -> ResetOptions<'_> {
        ResetOptions {
            pagemap: self.pagemap(),
            keep_resident: self.config.keep_resident,
            page_fault_count: self.config.page_fault_count,
        }
    }

    /// Adds a component, and removes those that are gone.
    fn register(&self, shelf: &Arc<Shelf>) {
        let mut current = lock(&self.shelves).clone();
        loop {
            let alive = current
                .iter()
                .filter(|shelf| shelf.strong_count() > 0)
                .cloned();
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

    fn unregister(&self, history: History) {
        let mut counts = lock(&self.counts);
        counts.components -= 1;
        counts.history = counts.history.plus(history);
    }

    /// Returns the current numbers. Other threads may change them meanwhile, so they may differ by
    /// a few slabs from each other.
    pub fn metrics(&self) -> PoolMetrics {
        let shelves = lock(&self.shelves).clone();
        let shelves: Vec<_> = shelves.iter().filter_map(Weak::upgrade).collect();
        let idle = || shelves.iter().map(|shelf| shelf.idle()).sum();
        let (waiting, idle) = match self.cleaner.existing() {
            Some(cleaner) => cleaner.waiting_and_idle(idle),
            None => (0, idle()),
        };
        let counts = *lock(&self.counts);
        let history = shelves
            .iter()
            .fold(counts.history, |sum, shelf| sum.plus(shelf.history()));
        PoolMetrics {
            components: counts.components,
            live: counts.slabs.slabs.saturating_sub(idle + waiting),
            idle,
            waiting,
            created: counts.mapped + history.taken,
            resets: history.resets,
            address_space: counts.slabs.address_space,
            mappings: counts.slabs.mappings,
            resident: self.resident.load(Ordering::Relaxed),
            shared_text: self.chunks.text_bytes(),
        }
    }

    /// Counts another slab of a component, which takes `address_space` bytes and at most `mappings`
    /// mappings. Idle slabs are unmapped for it, those of the component itself last.
    ///
    /// # Errors
    ///
    /// If a limit is reached by slabs that are all in use. The error names the limit.
    fn claim(
        self: &Arc<Self>,
        shelf: &Shelf,
        address_space: u64,
        mappings: usize,
    ) -> Result<Claim, Error> {
        self.clock.fetch_add(1, Ordering::Relaxed);
        let more = SlabTotals {
            slabs: 1,
            address_space,
            mappings,
        };
        let mut nothing_idle = false;
        loop {
            let limit = {
                let mut counts = lock(&self.counts);
                let admitted = counts.admit(
                    &self.config,
                    shelf.usage().taken(),
                    more,
                    mappings::slab_mappings(),
                );
                match admitted.filter(|limit| !(nothing_idle && *limit == PoolLimit::Idle)) {
                    Some(limit) => limit,
                    // Another engine may have reserved mappings meanwhile.
                    None => match SlabMappings::reserve(mappings, mappings::max_slab_mappings()) {
                        Some(mappings) => {
                            return Ok(self.grant(&mut counts, shelf.usage(), more, mappings));
                        }
                        None => PoolLimit::Mappings,
                    },
                }
            };
            let own = |other: &Shelf| std::ptr::eq(other, shelf);
            let helped = || self.cleaner().is_some_and(|cleaner| cleaner.help());
            // Idle slabs of the component itself cannot be used instead: they have another image.
            if self.evict(|other| !own(other)) || helped() || self.evict(own) {
                continue;
            }
            if limit != PoolLimit::Idle {
                return Err(self.exceeded(limit, shelf, more));
            }
            nothing_idle = true;
        }
    }

    fn grant(
        self: &Arc<Self>,
        counts: &mut Counts,
        usage: &Arc<Usage>,
        more: SlabTotals,
        mappings: SlabMappings,
    ) -> Claim {
        counts.slabs = counts.slabs.plus(more);
        counts.mapped += 1;
        usage.set(usage.taken().plus(more));
        Claim::new(self.clone(), usage.clone(), more.address_space, mappings)
    }

    fn exceeded(&self, limit: PoolLimit, shelf: &Shelf, more: SlabTotals) -> Error {
        let counts = *lock(&self.counts);
        let gib = |bytes: u64| bytes.div_ceil(1 << 30);
        let PoolConfig {
            total_component_instances: total,
            total_address_space: space,
            ..
        } = self.config;
        let own = shelf.usage().taken();
        let error = match limit {
            PoolLimit::AddressSpace if more.address_space > space => limit!(
                AddressSpace,
                "an instance of the component takes {} of address space, more than the {} that \
                 `PoolConfig::total_address_space` allows for all instances together; raise it, or \
                 reduce `Config::memory_reservation` (for 64-bit memories, \
                 `Config::memory64_reservation`)",
                ByteSize(more.address_space),
                ByteSize(space)
            ),
            PoolLimit::AddressSpace => limit!(
                PoolFull,
                "the pool is full: {} slots take {} of address space, another one of {} would make \
                 it {}, and the limit is {}, enough for {} of this size; drop instances, raise \
                 `PoolConfig::total_address_space`, or reduce `Config::memory_reservation` (for \
                 64-bit memories, `Config::memory64_reservation`)",
                counts.slabs.slabs,
                ByteSize(counts.slabs.address_space),
                ByteSize(more.address_space),
                ByteSize(counts.slabs.plus(more).address_space),
                ByteSize(space),
                space / more.address_space.max(1)
            ),
            PoolLimit::Mappings => limit!(
                Mappings,
                "another instance of the component may take {} mappings of the process, and \
                 instances of all engines already take {} of the {} that they may have, seven \
                 eighths of `vm.max_map_count`; drop instances, use fewer component instances, \
                 tables and memories in the component, or raise `vm.max_map_count`",
                more.mappings,
                mappings::slab_mappings(),
                mappings::max_slab_mappings()
            ),
            PoolLimit::Share => limit!(
                PoolFull,
                "the component has {} of the pool's {total} slots, {} of its {} GiB of address \
                 space and {} of the {} mappings, and the rest is kept for the other {} \
                 components; raise `PoolConfig::total_component_instances`, \
                 `PoolConfig::total_address_space` or `vm.max_map_count`",
                own.slabs,
                gib(own.address_space),
                space >> 30,
                own.mappings,
                mappings::max_slab_mappings(),
                counts.components.saturating_sub(1)
            ),
            PoolLimit::Slots | PoolLimit::Idle => {
                let left = mappings::max_slab_mappings().saturating_sub(mappings::slab_mappings());
                let space_left = space.saturating_sub(counts.slabs.address_space);
                let slots = (space_left / more.address_space.max(1))
                    .min((left / more.mappings.max(1)) as u64);
                limit!(
                    PoolFull,
                    "the pool is full: all {total} slots are in use, with {} of address space; \
                     drop instances, or raise `PoolConfig::total_component_instances` (there are \
                     address space and mappings for {slots} more instances of the component)",
                    ByteSize(counts.slabs.address_space)
                )
            }
        };
        error.into()
    }

    /// Unmaps an idle slab of the least recently used component among the `eligible`. Returns
    /// whether there was one.
    fn evict(&self, eligible: impl Fn(&Shelf) -> bool) -> bool {
        let shelves = lock(&self.shelves).clone();
        let shelves = shelves.iter().filter_map(Weak::upgrade);
        let mut candidates: Vec<_> = shelves
            .filter(|shelf| shelf.idle() > 0 && eligible(shelf))
            .collect();
        candidates.sort_by_cached_key(|shelf| (shelf.last_used(), Reverse(shelf.idle())));
        // Another thread may have taken the slab meanwhile.
        candidates.iter().any(|shelf| shelf.pop().is_some())
    }

    /// Unmaps all idle slabs of all components, because the system has no address space, memory or
    /// mappings left. Returns whether there were any.
    pub(crate) fn evict_all(&self) -> bool {
        let mut any = false;
        while self.evict(|_| true) {
            any = true;
        }
        any
    }

    /// Describes what slabs take, for the error when the system refuses more.
    pub(crate) fn describe(&self) -> String {
        let counts = *lock(&self.counts);
        format!(
            "the pool has mapped {} slots with {} GiB of address space; {}",
            counts.slabs.slabs,
            counts.slabs.address_space.div_ceil(1 << 30),
            mappings::describe_limits()
        )
    }

    /// Returns the thread that resets slabs, if it is configured and the system gives one.
    fn cleaner(&self) -> Option<Arc<Cleaner>> {
        match self.config.background_reset {
            true => self.cleaner.get(),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests;
