//! [`PooledSlab`]: a slab with its share of the pool's counts, which it has while it is mapped.

use super::Shelf;
use super::claim::Claim;
use crate::slab::{Image, Slab};
use anyhow::{Context, Result};
use mintage_environ::limit;
use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A mapped slab with its share of the pool's counts.
pub struct PooledSlab(Box<Pooled>);

// In this order: the slab counts until it is unmapped.
struct Pooled {
    slab: Slab,
    /// Allocations that the slab keeps from one instance to the next; `None` while one lives.
    room: Option<Box<dyn Any + Send>>,
    claim: Claim,
}

/// The pages of a slab that an instance may have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// None: no one has used the slab.
    Nothing,
    /// Only pages that the slab knows to be written: only one thread has used it, without a page
    /// fault.
    Known,
    /// Any.
    Anything,
}

impl PooledSlab {
    /// Maps a slab with `image` in it. If the system refuses, all idle slabs are unmapped and it is
    /// tried again.
    ///
    /// # Errors
    ///
    /// If the system gives no address space or memory.
    pub(super) fn map(image: &Arc<Image>, claim: Claim) -> Result<PooledSlab> {
        let pool = claim.pool();
        let slab = match Slab::map(image) {
            Err(_) if pool.evict_all() => Slab::map(image),
            result => result,
        };
        let what = || {
            let size = image.size().div_ceil(1 << 30);
            limit!(
                PoolFull,
                "the system gives no slab of {size} GiB of address space: {}",
                pool.describe()
            )
        };
        let slab = slab.with_context(what)?;
        Ok(PooledSlab(Box::new(Pooled {
            slab,
            room: None,
            claim,
        })))
    }

    /// Resets a slab that an instance has left. Returns `None` if it would keep more in memory than
    /// it may, or the system refuses. Then it is unmapped.
    pub fn reset(mut self, shelf: &Shelf) -> Option<PooledSlab> {
        let Pooled { slab, claim, .. } = &mut *self.0;
        let options = shelf.pool().reset_options();
        let usable = slab.reset(options, |page_tables, pages| {
            claim.keep_resident(page_tables, pages, shelf)
        });
        usable.ok()?.then_some(self)
    }

    /// Takes the allocations of the previous instance.
    #[inline]
    pub fn take_room<T: Any + Send>(&mut self) -> Option<Box<T>> {
        self.0.room.take().and_then(|room| room.downcast().ok())
    }

    /// Keeps allocations for the next instance.
    #[inline]
    pub fn put_room<T: Any + Send>(&mut self, room: Box<T>) {
        self.0.room = Some(room);
    }

    #[cfg(test)]
    pub fn claim_mut(&mut self) -> &mut Claim {
        &mut self.0.claim
    }
}

impl Deref for PooledSlab {
    type Target = Slab;

    #[inline]
    fn deref(&self) -> &Slab {
        &self.0.slab
    }
}

impl DerefMut for PooledSlab {
    #[inline]
    fn deref_mut(&mut self) -> &mut Slab {
        &mut self.0.slab
    }
}
