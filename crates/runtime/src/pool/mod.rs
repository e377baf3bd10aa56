//! [`Pool`]: what all slabs of an engine may take together.
//!
//! ```text
//! Pool     one per engine       counts slabs, finds idle ones to give back             mod.rs
//! Shelf    one per component    its idle slabs                                          shelf.rs
//! Cleaner  one per pool         the thread that resets slabs, if that is wished         cleaner.rs
//! ```
//!
//! A slab counts from when it is mapped until it is unmapped ([`Claim`]), in use or idle: taking an
//! idle one and putting it back touches nothing that other components use. Only whoever maps a
//! slab, which takes system calls anyway, comes to the pool, and where a limit is reached there, it
//! unmaps an idle slab of the component that was used least recently.
//!
//! Architecture invariant: no lock is held across a system call, but for the one that is held while
//! the cleaner's thread is started. Slabs are unmapped, and memory for lists is allocated, before
//! or after.

mod cleaner;
mod config;
mod shelf;

pub use config::PoolConfig;
pub use shelf::Shelf;

use crate::slab::Slab;
use crate::sys::mmap::{self, SlabMappings};
use crate::sys::pagemap::Pagemap;
use anyhow::{Error, anyhow};
use cleaner::Cleaner;
use std::cmp::Reverse;
use std::mem;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Locks a mutex whose data is whole whenever it is unlocked, also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the slabs of an engine's components share.
pub struct Pool {
    config: PoolConfig,
    counts: Mutex<Counts>,
    /// The shelves of all components. The list is replaced rather than changed, so that it can be
    /// walked without the lock.
    shelves: Mutex<Arc<[Weak<Shelf>]>>,
    /// Bytes that slabs keep in memory.
    resident: AtomicUsize,
    /// Counts slabs that were mapped. Shelves that were used since the last one are all equally
    /// warm.
    clock: AtomicU64,
    cleaner: cleaner::Place,
}

/// What is mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Components that are loaded.
    components: usize,
    slabs: Taken,
}

/// What slabs take together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    slabs: usize,
    address_space: u64,
    /// Mappings of the process.
    mappings: usize,
}

/// What one component has mapped. Changed under the lock of the pool's counts.
#[derive(Default)]
struct Usage {
    slabs: AtomicUsize,
    address_space: AtomicU64,
    mappings: AtomicUsize,
}

/// The limit that the next slab would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Slots,
    AddressSpace,
    /// What the slabs of all engines may have of the process's mappings.
    Mappings,
    /// The component's share of any of these.
    Share,
    /// No limit for slabs in use: from here on idle ones are given back rather than more mappings
    /// taken.
    Idle,
}

impl Taken {
    fn plus(self, other: Taken) -> Taken {
        Taken {
            slabs: self.slabs + other.slabs,
            address_space: self.address_space.saturating_add(other.address_space),
            mappings: self.mappings.saturating_add(other.mappings),
        }
    }

    /// Whether it is more than `total` divided by `parts`, in any respect.
    fn exceeds(self, total: Taken, parts: usize) -> bool {
        self.slabs > total.slabs / parts
            || self.address_space > total.address_space / parts as u64
            || self.mappings > total.mappings / parts
    }
}

impl Counts {
    /// Checks that a component which has `own` may have `more`, while the slabs of all engines have
    /// `mappings`.
    fn admit(
        &self,
        config: &PoolConfig,
        own: Taken,
        more: Taken,
        mappings: usize,
    ) -> Option<Limit> {
        let total = Taken {
            slabs: config.total_component_instances,
            address_space: config.total_address_space,
            mappings: mmap::max_slab_mappings(),
        };
        let then = self.slabs.plus(more);
        let then = Taken {
            mappings: mappings.saturating_add(more.mappings),
            ..then
        };
        let last_quarter = Taken {
            slabs: total.slabs - total.slabs / 4,
            address_space: total.address_space - total.address_space / 4,
            mappings: total.mappings - total.mappings / 4,
        };
        let beyond_share = || own.plus(more).exceeds(total, self.components.max(1));
        if then.slabs > total.slabs {
            Some(Limit::Slots)
        } else if then.address_space > total.address_space {
            Some(Limit::AddressSpace)
        } else if then.mappings > total.mappings {
            Some(Limit::Mappings)
        } else if self.components > 1
            && own.slabs > 0
            && then.exceeds(last_quarter, 1)
            && beyond_share()
        {
            Some(Limit::Share)
        } else if then.mappings > mmap::max_idle_mappings() {
            Some(Limit::Idle)
        } else {
            None
        }
    }
}

impl Usage {
    fn taken(&self) -> Taken {
        Taken {
            slabs: self.slabs.load(Ordering::Relaxed),
            address_space: self.address_space.load(Ordering::Relaxed),
            mappings: self.mappings.load(Ordering::Relaxed),
        }
    }

    fn set(&self, taken: Taken) {
        self.slabs.store(taken.slabs, Ordering::Relaxed);
        self.address_space
            .store(taken.address_space, Ordering::Relaxed);
        self.mappings.store(taken.mappings, Ordering::Relaxed);
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
            cleaner: cleaner::Place::default(),
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

    fn unregister(&self) {
        lock(&self.counts).components -= 1;
    }

    /// Counts another slab of a component, which takes so many bytes of address space and at most
    /// so many mappings. Gives back idle slabs for it, those of the component itself last.
    ///
    /// # Errors
    ///
    /// When a limit is reached by slabs that are all in use; names the limit.
    fn claim(
        self: &Arc<Self>,
        shelf: &Shelf,
        address_space: u64,
        mappings: usize,
    ) -> Result<Claim, Error> {
        self.clock.fetch_add(1, Ordering::Relaxed);
        let more = Taken {
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
                    mmap::slab_mappings(),
                );
                match admitted.filter(|limit| !(nothing_idle && *limit == Limit::Idle)) {
                    Some(limit) => limit,
                    // Another engine may have been faster.
                    None => match SlabMappings::reserve(mappings, mmap::max_slab_mappings()) {
                        Some(mappings) => {
                            return Ok(self.grant(&mut counts, shelf.usage(), more, mappings));
                        }
                        None => Limit::Mappings,
                    },
                }
            };
            let own = |other: &Shelf| std::ptr::eq(other, shelf);
            let helped = || self.cleaner().is_some_and(|cleaner| cleaner.help());
            // Those of the component itself are of no use: they have another image.
            if self.evict(|other| !own(other)) || helped() || self.evict(own) {
                continue;
            }
            if limit != Limit::Idle {
                return Err(self.exceeded(limit, shelf, more));
            }
            nothing_idle = true;
        }
    }

    fn grant(
        self: &Arc<Self>,
        counts: &mut Counts,
        usage: &Arc<Usage>,
        more: Taken,
        mappings: SlabMappings,
    ) -> Claim {
        counts.slabs = counts.slabs.plus(more);
        usage.set(usage.taken().plus(more));
        Claim {
            pool: self.clone(),
            usage: usage.clone(),
            address_space: more.address_space,
            mappings,
            resident: 0,
        }
    }

    fn exceeded(&self, limit: Limit, shelf: &Shelf, more: Taken) -> Error {
        let counts = *lock(&self.counts);
        let gib = |bytes: u64| bytes.div_ceil(1 << 30);
        let total = self.config.total_component_instances;
        let own = shelf.usage().taken();
        match limit {
            Limit::AddressSpace => anyhow!(
                "the pool has no address space left: {} instances take {} GiB, another one takes \
                 {} GiB, and the limit is {} GiB; raise `PoolConfig::total_address_space`, or \
                 reduce `Config::memory_reservation` (for 64-bit memories, \
                 `Config::memory64_reservation`)",
                counts.slabs.slabs,
                gib(counts.slabs.address_space),
                gib(more.address_space),
                self.config.total_address_space >> 30
            ),
            Limit::Mappings => anyhow!(
                "another instance of the component may take {} mappings of the process, and \
                 instances of all engines already take {} of the {} that they may have, seven \
                 eighths of `vm.max_map_count`; drop instances, use fewer component instances, \
                 tables and memories in the component, or raise `vm.max_map_count`",
                more.mappings,
                mmap::slab_mappings(),
                mmap::max_slab_mappings()
            ),
            Limit::Share => anyhow!(
                "the component has {} of the pool's {total} slots, {} of its {} GiB of address \
                 space and {} of the {} mappings, and the rest is kept for the other {} \
                 components; raise `PoolConfig::total_component_instances`, \
                 `PoolConfig::total_address_space` or `vm.max_map_count`",
                own.slabs,
                gib(own.address_space),
                self.config.total_address_space >> 30,
                own.mappings,
                mmap::max_slab_mappings(),
                counts.components.saturating_sub(1)
            ),
            Limit::Slots | Limit::Idle => anyhow!(
                "the pool's {total} slots are all in use; drop instances, or raise \
                 `PoolConfig::total_component_instances`"
            ),
        }
    }

    /// Unmaps an idle slab of the component that was used least recently among the `eligible`.
    /// Whether there was one.
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

    /// Unmaps all idle slabs of all components: the system has no address space, memory or mappings
    /// left. Whether there were any.
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
            counts.slabs.slabs,
            counts.slabs.address_space.div_ceil(1 << 30),
            mmap::describe_limits()
        )
    }

    /// The thread that resets slabs, if that is wished and the system gives one.
    fn cleaner(&self) -> Option<Arc<Cleaner>> {
        match self.config.background_reset {
            true => self.cleaner.get(),
            false => None,
        }
    }
}

/// A mapped slab's part in the pool's counts, until it is dropped.
pub struct Claim {
    pool: Arc<Pool>,
    usage: Arc<Usage>,
    address_space: u64,
    mappings: SlabMappings,
    /// Bytes that the slab keeps in memory.
    resident: usize,
}

/// Bytes of page tables that an idle slab may keep, however little memory slabs are to keep:
/// without any it would have to be mapped again each time. Small components have about ten.
const MIN_PAGE_TABLES: usize = 64 << 10;

impl Claim {
    /// The pool.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Sets how much the slab keeps in memory: so many bytes of page tables, and at most `wanted`
    /// bytes of pages, as the limits allow: how many, or `None` when even the page tables are too
    /// much, so that the slab must be unmapped. Gives back idle slabs of components that were used
    /// less recently than `shelf` for it.
    pub fn keep_resident(
        &mut self,
        page_tables: usize,
        wanted: usize,
        shelf: &Shelf,
    ) -> Option<usize> {
        let limit = self.pool.config.keep_resident;
        if page_tables > limit.max(MIN_PAGE_TABLES) {
            return None;
        }
        let wanted = wanted.min(limit.saturating_sub(page_tables));
        self.reserve_resident(page_tables + wanted, shelf)
            .checked_sub(page_tables)
    }

    /// Sets how much the slab keeps in memory to `wanted` bytes, or fewer where the limit of all
    /// slabs does not allow these: how many.
    fn reserve_resident(&mut self, wanted: usize, shelf: &Shelf) -> usize {
        let Pool {
            config, resident, ..
        } = &*self.pool;
        while wanted > self.resident {
            let more = wanted - self.resident;
            let reserve = |total: usize| {
                total
                    .checked_add(more)
                    .filter(|&sum| sum <= config.total_keep_resident)
            };
            if resident
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve)
                .is_ok()
            {
                self.resident = wanted;
            } else if !self
                .pool
                .evict(|other| other.last_used() < shelf.last_used())
            {
                return self.resident;
            }
        }
        // Mostly it is what it was, and all threads use the word.
        if self.resident > wanted {
            resident.fetch_sub(self.resident - wanted, Ordering::Relaxed);
            self.resident = wanted;
        }
        wanted
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.pool
            .resident
            .fetch_sub(self.resident, Ordering::Relaxed);
        let mut counts = lock(&self.pool.counts);
        let without = |taken: Taken| Taken {
            slabs: taken.slabs - 1,
            address_space: taken.address_space - self.address_space,
            mappings: taken.mappings - self.mappings.count(),
        };
        counts.slabs = without(counts.slabs);
        self.usage.set(without(self.usage.taken()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Written;
    use crate::{Code, LoadCheck};
    use mintage_compile::NoProgress;
    use mintage_environ::Tunables;

    const MINIMAL: &str =
        "(component (core module $m (memory 1)) (core instance (instantiate $m)))";

    pub(super) fn code(pool: &Arc<Pool>, text: &str) -> Arc<Code> {
        let bytes = wat::parse_str(text).unwrap();
        let artifact = mintage_compile::compile(&bytes, &Tunables::default(), &NoProgress).unwrap();
        // SAFETY: the compiler made the artifact.
        unsafe { Code::from_bytes(&artifact, &LoadCheck::default(), pool) }.unwrap()
    }

    fn slab(code: &Code) -> anyhow::Result<Slab> {
        Slab::acquire(code, code.image())
    }

    fn counts(pool: &Pool) -> (usize, usize, usize) {
        let counts = *lock(&pool.counts);
        let resident = pool.resident.load(Ordering::Relaxed);
        (counts.components, counts.slabs.slabs, resident)
    }

    /// Waits until the background thread, if there is one, has done what it was given.
    fn settle(code: &Code, idle: usize) {
        for _ in 0..10_000 {
            if code.shelf().idle() == idle {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("{} idle slabs in place of {idle}", code.shelf().idle());
    }

    #[test]
    fn slabs_are_counted_until_they_are_unmapped() {
        for background in [false, true] {
            let pool = Pool::new(
                PoolConfig::new()
                    .max_unused_warm_slots(3)
                    .background_reset(background),
            );
            let code = code(&pool, MINIMAL);
            let slabs: Vec<Slab> = (0..5).map(|_| slab(&code).unwrap()).collect();
            assert_eq!(counts(&pool), (1, 5, 0));
            for slab in slabs {
                slab.fill();
                slab.release(&code, Written::Anything);
            }
            settle(&code, 3);
            for _ in 0..1000 {
                if counts(&pool).1 == 3 {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            let (components, slabs, resident) = counts(&pool);
            assert_eq!((components, slabs), (1, 3));
            // A page with the size of the memory, its page table, and two of the levels above. A
            // slab may lie on both sides of what one of these reaches.
            assert!(
                (3 * 4 * 4096..=3 * 7 * 4096).contains(&resident),
                "{resident} bytes"
            );
            assert_eq!(code.shelf().usage().slabs.load(Ordering::Relaxed), 3);
            drop(code);
            for _ in 0..1000 {
                if counts(&pool).0 == 0 {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            assert_eq!(counts(&pool), (0, 0, 0));
            assert_eq!(*lock(&pool.counts), Counts::default());
        }
    }

    #[test]
    fn the_coldest_component_gives_slabs_back_first() {
        let pool = Pool::new(PoolConfig::new().total_component_instances(8));
        let [cold, warm, new] = [(); 3].map(|()| code(&pool, MINIMAL));
        for code in [&cold, &warm] {
            let slabs = [(); 3].map(|()| slab(code).unwrap());
            slabs
                .into_iter()
                .for_each(|slab| slab.release(code, Written::Nothing));
        }
        let idle = || [&cold, &warm, &new].map(|code| code.shelf().idle());
        let mut used = vec![slab(&new).unwrap(), slab(&new).unwrap()];
        assert_eq!(idle(), [3, 3, 0]);
        // Beyond its share, so that a quarter of the slots becomes free again.
        used.push(slab(&new).unwrap());
        assert_eq!(idle(), [0, 3, 0]);
        // Whoever was used last is warm.
        slab(&cold).unwrap().release(&cold, Written::Nothing);
        used.push(slab(&new).unwrap());
        assert_eq!(idle(), [1, 1, 0]);
    }

    #[test]
    fn components_keep_to_their_share_when_slots_are_scarce() {
        let pool = Pool::new(PoolConfig::new().total_component_instances(8));
        let first = code(&pool, MINIMAL);
        // Alone it may have all.
        let all: Vec<Slab> = (0..8).map(|_| slab(&first).unwrap()).collect();
        let error = slab(&first).err().unwrap().to_string();
        assert_eq!(
            error,
            "the pool's 8 slots are all in use; drop instances, or raise \
             `PoolConfig::total_component_instances`"
        );
        drop(all);
        let second = code(&pool, MINIMAL);
        let most: Vec<Slab> = (0..6).map(|_| slab(&first).unwrap()).collect();
        let error = slab(&first).err().unwrap().to_string();
        assert!(
            error.starts_with("the component has 6 of the pool's 8 slots")
                && error.contains("other 1 components"),
            "{error}"
        );
        let rest: Vec<Slab> = (0..2).map(|_| slab(&second).unwrap()).collect();
        assert!(slab(&second).is_err());
        drop((most, rest));
        assert_eq!(counts(&pool), (2, 0, 0));
    }

    #[test]
    fn address_space_is_shared_likewise() {
        let pool = Pool::new(PoolConfig::new().total_address_space(50 << 30));
        let (first, second) = (code(&pool, MINIMAL), code(&pool, "(component)"));
        let slabs: Vec<Slab> = std::iter::from_fn(|| slab(&first).ok()).collect();
        // Six gigabytes each, up to three quarters.
        assert_eq!(slabs.len(), 6);
        let error = slab(&first).err().unwrap().to_string();
        assert!(
            error.contains("37 of its 50 GiB of address space"),
            "{error}"
        );
        let other = slab(&second).unwrap();
        drop(second);
        // The slab of a component that is gone still counts.
        let slabs: Vec<Slab> = slabs
            .into_iter()
            .chain(std::iter::from_fn(|| slab(&first).ok()))
            .collect();
        assert_eq!(slabs.len(), 8);
        let error = slab(&first).err().unwrap().to_string();
        assert!(
            error.contains("raise `PoolConfig::total_address_space`"),
            "{error}"
        );
        drop(other);
    }

    #[test]
    fn colder_slabs_make_room_for_what_warmer_ones_keep_in_memory() {
        let pool = Pool::new(
            PoolConfig::new()
                .total_keep_resident(40 << 10)
                .keep_resident(32 << 10),
        );
        let [cold, warm] = [(); 2].map(|()| code(&pool, MINIMAL));
        let mut slabs = [&cold, &warm].map(|code| slab(code).unwrap());
        let [first, second] = &mut slabs;
        let keep = |slab: &mut Slab, bytes: usize, code: &Code| {
            slab.claim_mut().keep_resident(4 << 10, bytes, code.shelf())
        };
        assert_eq!(keep(first, 100 << 10, &cold), Some(28 << 10));
        // The other one is in use.
        let before = counts(&pool).2;
        assert_eq!(keep(second, 28 << 10, &warm), None);
        assert_eq!(counts(&pool).2, before);
        let [first, mut second] = slabs;
        cold.shelf().put(first);
        assert_eq!(keep(&mut second, 28 << 10, &warm), Some(28 << 10));
        assert_eq!((cold.shelf().idle(), counts(&pool).2), (0, 32 << 10));
        assert_eq!(keep(&mut second, 1000, &warm), Some(1000));
        // Few page tables may be kept even so, and many are never kept.
        let mut tables = |bytes| {
            second
                .claim_mut()
                .keep_resident(bytes, 10 << 10, warm.shelf())
        };
        assert_eq!((tables(40 << 10), tables(65 << 10)), (Some(0), None));
        drop(second);
        assert_eq!(counts(&pool), (2, 0, 0));
    }

    /// Slabs that are about to be reset in the background are not in use.
    #[test]
    fn the_background_keeps_no_slot_from_others() {
        let mut config = PoolConfig::new();
        let pool = Pool::new(config.total_component_instances(1).background_reset(true));
        let codes = [(); 2].map(|()| code(&pool, MINIMAL));
        for round in 0..200 {
            let code = &codes[round / 2 % 2];
            let slab = slab(code).unwrap();
            slab.fill();
            slab.release(code, Written::Anything);
        }
    }

    #[test]
    fn threads_find_each_others_slabs() {
        let pool = Pool::new(PoolConfig::new().total_component_instances(4));
        let code = code(&pool, MINIMAL);
        // Four threads hold at most one slab each, so that there always is one, be it in another's
        // list.
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..500 {
                        let slab = slab(&code).unwrap();
                        let written =
                            [Written::Nothing, Written::Known, Written::Anything][round % 3];
                        if written != Written::Nothing {
                            slab.fill();
                        }
                        slab.release(&code, written);
                    }
                });
            }
        });
        assert!(code.shelf().idle() <= 4);
        assert_eq!(counts(&pool).1, code.shelf().idle());
    }

    #[test]
    fn limits_are_found_one_after_the_other() {
        let mut config = PoolConfig::new();
        config
            .total_component_instances(100)
            .total_address_space(1000);
        let taken = |slabs, address_space, mappings| Taken {
            slabs,
            address_space,
            mappings,
        };
        // Other engines have the same mappings.
        let admit = |components, all: Taken, own: Taken, more: Taken| {
            let counts = Counts {
                components,
                slabs: all,
            };
            counts.admit(&config, own, more, 2 * all.mappings)
        };
        let one = |address_space, mappings| taken(1, address_space, mappings);
        assert_eq!(admit(1, taken(99, 0, 0), taken(99, 0, 0), one(1, 10)), None);
        assert_eq!(
            admit(1, taken(100, 0, 0), taken(99, 0, 0), one(1, 10)),
            Some(Limit::Slots)
        );
        let space =
            |space, own, more| admit(1, taken(5, space, 0), taken(5, own, 0), one(more, 10));
        assert_eq!(space(990, 990, 11), Some(Limit::AddressSpace));
        assert_eq!(space(u64::MAX, 0, 1), Some(Limit::AddressSpace));
        assert_eq!(admit(2, taken(74, 0, 0), taken(74, 0, 0), one(1, 10)), None);
        assert_eq!(
            admit(2, taken(75, 0, 0), taken(75, 0, 0), one(1, 10)),
            Some(Limit::Share)
        );
        assert_eq!(admit(2, taken(75, 0, 0), taken(49, 0, 0), one(1, 10)), None);
        assert_eq!(
            admit(2, taken(5, 750, 0), taken(5, 750, 0), one(1, 10)),
            Some(Limit::Share)
        );
        assert_eq!(
            admit(2, taken(5, 750, 0), taken(5, 499, 0), one(1, 10)),
            None
        );
        // Everybody may have one.
        assert_eq!(
            admit(200, taken(99, 990, 0), taken(0, 0, 0), one(0, 10)),
            None
        );
        let most = mmap::max_slab_mappings() / 2;
        let mappings = |components, all, own, more| {
            admit(components, taken(9, 9, all), taken(3, 3, own), one(1, more))
        };
        assert_eq!(mappings(1, most, 9, 2), Some(Limit::Mappings));
        assert_eq!(mappings(1, 0, 0, usize::MAX), Some(Limit::Mappings));
        assert_eq!(mappings(2, most - 10, most + 1, 10), Some(Limit::Share));
        assert_eq!(mappings(2, most - 10, most - 10, 10), Some(Limit::Idle));
        assert_eq!(
            mappings(1, mmap::max_idle_mappings() / 2, 9, 2),
            Some(Limit::Idle)
        );
        assert_eq!(mappings(1, mmap::max_idle_mappings() / 2 - 1, 9, 2), None);
    }
}
