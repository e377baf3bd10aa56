//! [`Slab`]: the address space of one instance, as its layout and image say.
//!
//! What to map is the same for all instances of a component: an [`Image`]. A slab is mapped once
//! and reset after each instance that used it; [`crate::pool`] decides when, and keeps those that
//! are idle. Nobody else maps or unmaps.
//!
//! Invariant: a slab that is new or reset, and that [`Slab::fill`] has seen to, holds the image and
//! nothing else, but for control blocks, which its first user writes. Until then nothing of a new
//! one is in memory. Debug builds compare every byte when a slab is reset ([`check`]).
//!
//! What a reset costs is proportional to what the instance has touched, and what an idle slab keeps
//! in memory counts in the pool, page tables included: [`leftover`], [`page_tables`].

mod check;
pub mod image;
mod leftover;
mod page_tables;
mod ranges;
mod reset;
pub mod sizes;

pub use image::Image;
pub use reset::ResetOptions;
pub use sizes::{HeapSize, Sizes};

use crate::sys::mmap::Reservation;
use image::whole;
use mintage_artifact::PAGE;
use mintage_environ::MemoryId;
use mintage_environ::layout::{HeapLayout, SlabLayout};
use page_tables::PageTables;
use std::cell::RefCell;
use std::io;
use std::iter;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// The address space of one instance, with the image in it.
pub struct Slab {
    reservation: Reservation,
    /// What the slab holds when nobody uses it.
    image: Arc<Image>,
    /// Where what of the image is copied is missing.
    unfilled: RefCell<Vec<Range<usize>>>,
    contexts: Contexts,
    /// The pages that a write to needs no page fault, while all of them are known.
    written: Option<Vec<Range<usize>>>,
    /// The page tables that the system keeps for it.
    tables: PageTables,
    /// What was made accessible since the last reset: parts that memories grew into.
    grown: RefCell<Vec<Range<usize>>>,
}

/// The context pointer of each domain.
struct Contexts(Box<[*mut u8]>);

// SAFETY: the pointers are into the slab's own address space, which is of the process and not of a
// thread. They give no access by themselves.
unsafe impl Send for Contexts {}

const _: () = {
    const fn moves_between_threads<T: Send>() {}
    moves_between_threads::<Slab>();
};

impl Slab {
    /// Maps a slab with `image` in it.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn map(image: &Arc<Image>) -> io::Result<Slab> {
        let reservation = Slab::map_reservation(image)?;
        // SAFETY: context pointers are offsets in the slab.
        let context = |&ctx: &usize| unsafe { reservation.base().as_ptr().add(ctx) };
        Ok(Slab {
            contexts: Contexts(image.contexts().iter().map(context).collect()),
            reservation,
            image: image.clone(),
            unfilled: RefCell::new(iter::once(0..image.size()).collect()),
            written: None,
            tables: PageTables::default(),
            grown: RefCell::default(),
        })
    }

    /// Copies what of the image is not mapped where it is missing: before the first access.
    pub fn fill(&self) {
        for part in self.unfilled.borrow_mut().drain(..) {
            for (start, bytes) in self.image.copied_in(part) {
                self.write(start, bytes);
            }
        }
    }

    fn map_reservation(image: &Image) -> io::Result<Reservation> {
        let reservation = Reservation::new(image.size())?;
        // What is known of written pages holds for small ones.
        reservation.avoid_huge_pages()?;
        for part in image.accessible() {
            reservation.make_accessible(part.start, part.len())?;
        }
        if let Some(file) = image.file() {
            for run in image.mapped() {
                let part = whole(run);
                // SAFETY: nobody has seen the new reservation yet. The slab keeps the image, and
                // with it the mapping of the file, until the reservation is unmapped.
                unsafe { reservation.map_file(part.start, file, run.file_offset, part.len())? };
            }
        }
        Ok(reservation)
    }

    /// Whether it is known which pages may have been written to: then only a page fault can change
    /// that.
    pub fn knows_written(&self) -> bool {
        self.written.is_some()
    }

    /// What the slab holds when nobody uses it.
    pub fn image(&self) -> &Arc<Image> {
        &self.image
    }

    /// The first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.reservation.base()
    }

    /// The context pointer of each domain. The place of the list does not change when the slab is
    /// moved.
    pub fn contexts(&self) -> NonNull<[*mut u8]> {
        NonNull::from(&*self.contexts.0)
    }

    /// Whether an address is of this slab.
    pub fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.base().as_ptr() as usize) < self.reservation.len()
    }

    /// Bytes of the slab.
    ///
    /// # Safety
    ///
    /// The range is accessible, and nobody writes to it as long as the result lives.
    pub unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        // SAFETY: as the caller promises.
        unsafe { std::slice::from_raw_parts(self.base().as_ptr().add(range.start), range.len()) }
    }

    /// Makes the bytes from `old_size` to `new_size` of a memory accessible; at most its capacity.
    ///
    /// # Errors
    ///
    /// When the system gives no memory.
    pub fn grow_memory(
        &self,
        layout: &SlabLayout,
        id: MemoryId,
        old_size: u64,
        new_size: u64,
    ) -> io::Result<()> {
        let (old_end, new_end) = (
            old_size.next_multiple_of(PAGE),
            new_size.next_multiple_of(PAGE),
        );
        if old_end == new_end {
            return Ok(());
        }
        let start = layout.memory_start(id);
        self.grow((start + old_end) as usize..(start + new_end) as usize)
    }

    /// Makes both halves of an object heap accessible from `old_size` to `new_size`, at most its
    /// capacity.
    ///
    /// # Errors
    ///
    /// When the system gives no memory.
    pub fn grow_heap(
        &self,
        start: u64,
        heap: &HeapLayout,
        old_size: u64,
        new_size: u64,
    ) -> io::Result<()> {
        for half in heap.halves() {
            self.grow((start + half + old_size) as usize..(start + half + new_size) as usize)?;
        }
        Ok(())
    }

    /// Makes a part accessible until the slab is reset.
    fn grow(&self, part: Range<usize>) -> io::Result<()> {
        // Noted first: a part that is made accessible in vain is made inaccessible all the same.
        let mut grown = self.grown.borrow_mut();
        match grown.last_mut() {
            Some(last) if last.end == part.start => last.end = part.end,
            _ => grown.push(part.clone()),
        }
        self.reservation.make_accessible(part.start, part.len())
    }

    /// Writes a part of the image.
    fn write(&self, start: usize, bytes: &[u8]) {
        // SAFETY: `Image` has checked that its parts lie in accessible parts of the reservation,
        // which nobody else uses: either it is new or the instance that used it is gone.
        unsafe {
            let target = self.base().as_ptr().add(start);
            ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
    }
}

#[cfg(test)]
mod tests;
