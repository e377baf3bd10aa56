//! [`Counts`]: the number of mapped slabs and what they take, and the limits of more.

use super::PoolConfig;
use crate::sys::mappings;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The counts of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of loaded components.
    pub components: usize,
    pub slabs: SlabTotals,
    /// The slabs that were mapped so far.
    pub mapped: u64,
    /// The totals of shelves whose components are gone.
    pub history: History,
}

/// Totals of a shelf since its component was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Idle slabs that were taken.
    pub taken: u64,
    /// Slabs that came back reset.
    pub resets: u64,
}

impl History {
    pub fn plus(self, other: History) -> History {
        History {
            taken: self.taken + other.taken,
            resets: self.resets + other.resets,
        }
    }
}

/// The totals of a number of slabs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlabTotals {
    pub slabs: usize,
    pub address_space: u64,
    /// Mappings of the process.
    pub mappings: usize,
}

/// The slabs of one component. Changed under the lock of the pool's counts.
#[derive(Default)]
pub struct Usage {
    pub slabs: AtomicUsize,
    pub address_space: AtomicU64,
    pub mappings: AtomicUsize,
}

/// The limit that another slab would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolLimit {
    Slots,
    AddressSpace,
    /// The mappings that the slabs of all engines may have.
    Mappings,
    /// The component's share of any of the above.
    Share,
    /// The limit beyond which idle slabs are unmapped before more mappings are taken. It does not
    /// limit slabs in use.
    Idle,
}

impl SlabTotals {
    pub fn plus(self, other: SlabTotals) -> SlabTotals {
        SlabTotals {
            slabs: self.slabs + other.slabs,
            address_space: self.address_space.saturating_add(other.address_space),
            mappings: self.mappings.saturating_add(other.mappings),
        }
    }

    /// Returns whether any number is more than `total` divided by `parts`.
    pub fn exceeds(self, total: SlabTotals, parts: usize) -> bool {
        self.slabs > total.slabs / parts
            || self.address_space > total.address_space / parts as u64
            || self.mappings > total.mappings / parts
    }
}

impl Counts {
    /// Checks whether a component with `own` may have `more`, while the slabs of all engines have
    /// `mappings`. Returns the limit that forbids it.
    pub fn admit(
        &self,
        config: &PoolConfig,
        own: SlabTotals,
        more: SlabTotals,
        mappings: usize,
    ) -> Option<PoolLimit> {
        let total = SlabTotals {
            slabs: config.total_component_instances,
            address_space: config.total_address_space,
            mappings: mappings::max_slab_mappings(),
        };
        let then = self.slabs.plus(more);
        let then = SlabTotals {
            mappings: mappings.saturating_add(more.mappings),
            ..then
        };
        let last_quarter = SlabTotals {
            slabs: total.slabs - total.slabs / 4,
            address_space: total.address_space - total.address_space / 4,
            mappings: total.mappings - total.mappings / 4,
        };
        let beyond_share = || own.plus(more).exceeds(total, self.components.max(1));
        if then.slabs > total.slabs {
            Some(PoolLimit::Slots)
        } else if then.address_space > total.address_space {
            Some(PoolLimit::AddressSpace)
        } else if then.mappings > total.mappings {
            Some(PoolLimit::Mappings)
        } else if self.components > 1
            && own.slabs > 0
            && then.exceeds(last_quarter, 1)
            && beyond_share()
        {
            Some(PoolLimit::Share)
        } else if then.mappings > mappings::max_idle_mappings() {
            Some(PoolLimit::Idle)
        } else {
            None
        }
    }
}

impl Usage {
    // Relaxed, here and below: changed under the pool's lock, and otherwise read for reports, which
    // may mix old and new numbers.
    pub fn taken(&self) -> SlabTotals {
        SlabTotals {
            slabs: self.slabs.load(Ordering::Relaxed),
            address_space: self.address_space.load(Ordering::Relaxed),
            mappings: self.mappings.load(Ordering::Relaxed),
        }
    }

    pub fn set(&self, taken: SlabTotals) {
        self.slabs.store(taken.slabs, Ordering::Relaxed);
        self.address_space
            .store(taken.address_space, Ordering::Relaxed);
        self.mappings.store(taken.mappings, Ordering::Relaxed);
    }
}
