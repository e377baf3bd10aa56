//! [`Claim`]: a mapped slab's share of the pool's counts.

use super::counts::{SlabTotals, Usage};
use super::{Pool, Shelf, lock};
use crate::sys::mappings::SlabMappings;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A mapped slab's share of the pool's counts, until it is dropped.
pub struct Claim {
    pool: Arc<Pool>,
    usage: Arc<Usage>,
    address_space: u64,
    mappings: SlabMappings,
    /// Bytes that the slab keeps in memory.
    resident: usize,
}

/// Bytes of page tables that an idle slab may keep, however small `PoolConfig::keep_resident` is.
/// Without any, it would have to be mapped again each time. Slabs of small components have about
/// ten page tables.
const MIN_PAGE_TABLES: usize = 64 << 10;

impl Claim {
    pub fn new(
        pool: Arc<Pool>,
        usage: Arc<Usage>,
        address_space: u64,
        mappings: SlabMappings,
    ) -> Claim {
        Claim {
            pool,
            usage,
            address_space,
            mappings,
            resident: 0,
        }
    }

    /// Returns the pool.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Sets how much the slab keeps in memory: `page_tables` bytes of page tables, and up to
    /// `wanted` bytes of pages, as the limits allow. Idle slabs of components that were used less
    /// recently than `shelf` are unmapped for it.
    ///
    /// Returns the bytes of pages, or `None` if even the page tables exceed a limit, so that the
    /// slab must be unmapped.
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

    /// Sets how much the slab keeps in memory to `wanted` bytes, or to fewer if the limit of all
    /// slabs does not allow more. Returns the number of bytes.
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
            // Relaxed, here and where it is given back: only the sum matters.
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
        // The number seldom changes, and all threads use the word.
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
        let without = |taken: SlabTotals| SlabTotals {
            slabs: taken.slabs - 1,
            address_space: taken.address_space - self.address_space,
            mappings: taken.mappings - self.mappings.count(),
        };
        counts.slabs = without(counts.slabs);
        self.usage.set(without(self.usage.taken()));
    }
}
