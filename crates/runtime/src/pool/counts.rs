//! [`Counts`]: what is mapped, and which limit stands against more.

use super::PoolConfig;
use crate::sys::mmap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What is mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Components that are loaded.
    pub components: usize,
    pub slabs: Taken,
}

/// What slabs take together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub slabs: usize,
    pub address_space: u64,
    /// Mappings of the process.
    pub mappings: usize,
}

/// What one component has mapped. Changed under the lock of the pool's counts.
#[derive(Default)]
pub struct Usage {
    pub slabs: AtomicUsize,
    pub address_space: AtomicU64,
    pub mappings: AtomicUsize,
}

/// The limit that the next slab would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
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
    pub fn plus(self, other: Taken) -> Taken {
        Taken {
            slabs: self.slabs + other.slabs,
            address_space: self.address_space.saturating_add(other.address_space),
            mappings: self.mappings.saturating_add(other.mappings),
        }
    }

    /// Whether it is more than `total` divided by `parts`, in any respect.
    pub fn exceeds(self, total: Taken, parts: usize) -> bool {
        self.slabs > total.slabs / parts
            || self.address_space > total.address_space / parts as u64
            || self.mappings > total.mappings / parts
    }
}

impl Counts {
    /// Checks that a component which has `own` may have `more`, while the slabs of all engines have
    /// `mappings`.
    pub fn admit(
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
    pub fn taken(&self) -> Taken {
        Taken {
            slabs: self.slabs.load(Ordering::Relaxed),
            address_space: self.address_space.load(Ordering::Relaxed),
            mappings: self.mappings.load(Ordering::Relaxed),
        }
    }

    pub fn set(&self, taken: Taken) {
        self.slabs.store(taken.slabs, Ordering::Relaxed);
        self.address_space
            .store(taken.address_space, Ordering::Relaxed);
        self.mappings.store(taken.mappings, Ordering::Relaxed);
    }
}
