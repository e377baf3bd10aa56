//! [`PooledSlab`]: a slab with its part in the pool's counts, from when it is mapped until it is
//! unmapped.

use super::Shelf;
use super::claim::Claim;
use crate::slab::{Image, Slab};
use anyhow::{Context, Result};
use mintage_environ::limit;
use std::any::Any;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A mapped slab. Its fields are dropped in this order: it counts until it is unmapped.
pub struct PooledSlab(Box<Pooled>);

struct Pooled {
    slab: Slab,
    /// Room on the heap for the run-time data of the slab's instance; not here while one lives.
    room: Option<Room>,
    claim: Claim,
}

/// Room for a value of a type that this folder does not know. There is no value in it.
struct Room(Box<dyn Any>);

// SAFETY: a `Room` holds a `MaybeUninit` (see `put_room`), which is bytes without a value: nothing
// in it is bound to a thread, and dropping it only frees them.
unsafe impl Send for Room {}

/// What of a slab an instance may have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Nothing: nobody has used it.
    Nothing,
    /// No page for the first time: only one thread has used it, and had no page fault meanwhile.
    /// What the slab knew is still true.
    Known,
    /// Anything.
    Anything,
}

impl PooledSlab {
    /// Maps a slab with `image` in it. If the system refuses, all idle slabs are unmapped first.
    ///
    /// # Errors
    ///
    /// When the system gives no address space or memory.
    pub(super) fn map(image: &Arc<Image>, claim: Claim) -> Result<PooledSlab> {
        let pool = claim.pool();
        let slab = match Slab::map(image) {
            Err(_) if pool.evict_all() => Slab::map(image),
            result => result,
        };
        let what = || {
            let size = image.size().div_ceil(1 << 30);
            limit!(
                AddressSpace,
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

    /// Resets a slab that an instance has left. `None` when it would keep more in memory than it
    /// may, or the system refuses: then it is unmapped.
    pub fn reset(mut self, shelf: &Shelf) -> Option<PooledSlab> {
        let Pooled { slab, claim, .. } = &mut *self.0;
        let options = shelf.pool().reset_options();
        let usable = slab.reset(options, |page_tables, pages| {
            claim.keep_resident(page_tables, pages, shelf)
        });
        usable.ok()?.then_some(self)
    }

    /// Takes room for the run-time data of the slab's instance, which is allocated once for all of
    /// them.
    #[inline]
    pub fn take_room<T: 'static>(&mut self) -> Box<MaybeUninit<T>> {
        let room = self.0.room.take().and_then(|room| room.0.downcast().ok());
        room.unwrap_or_else(Box::new_uninit)
    }

    /// Gives back what [`take_room`](Self::take_room) returned. Whatever is in it is forgotten.
    #[inline]
    pub fn put_room<T: 'static>(&mut self, room: Box<MaybeUninit<T>>) {
        self.0.room = Some(Room(room));
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
