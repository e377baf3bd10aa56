//! [`Slab`]: the address space of one instance, laid out by its layout and filled from its image.
//!
//! All instances of a component map the same [`Image`]. A slab is mapped once and reset after each
//! instance that used it. [`crate::pool`] decides when, and keeps idle slabs. No other code maps or
//! unmaps.
//!
//! Invariant: after [`Slab::fill`], a slab that is new or reset holds the image and nothing else,
//! apart from control blocks, which its first user writes. Before that, no page of a new slab is in
//! memory. Debug builds compare every byte when a slab is reset ([`check`]).
//!
//! A reset costs time in proportion to what the instance has touched. What an idle slab keeps in
//! memory counts in the pool, page tables included: see [`leftover`] and [`page_tables`].

mod check;
pub mod image;
mod leftover;
mod page_tables;
mod ranges;
mod reset;
pub mod sizes;

pub use image::Image;
#[cfg(test)]
pub use reset::GUESSED_PREFIX;
pub use reset::ResetOptions;
pub use sizes::{HeapSize, Sizes};

use crate::sys::mmap::{Reservation, page_size};
use image::slab_range;
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
    /// The contents that the slab is reset to.
    image: Arc<Image>,
    /// The parts in which those bytes of the image are missing that are copied rather than mapped.
    unfilled: RefCell<Vec<Range<usize>>>,
    contexts: Contexts,
    /// The pages that can be written without a page fault, if all of them are known.
    written: Option<Vec<Range<usize>>>,
    /// The page tables that the system keeps for it.
    tables: PageTables,
    /// The parts that memories and heaps grew into since the last reset.
    grown: RefCell<Vec<Range<usize>>>,
}

/// Returns the number of bytes that are mapped, made accessible, kept or discarded together: a page
/// of the system, or a piece of images if that is larger.
fn unit() -> u64 {
    PAGE.max(page_size() as u64)
}

/// Writes to each page of `bytes` what is there, so that page faults are counted for the calling
/// thread. If `bytes` are of an instance, other threads and the system may then write to them
/// without the reset missing a page: the pages were among the known ones before, or the count has
/// changed and the reset does not rely on it.
pub fn touch_pages(bytes: &mut [u8]) {
    let mut rest = bytes;
    while let [first, ..] = rest {
        let place = ptr::from_mut(first);
        // SAFETY: the place is that of a byte which is borrowed mutably. The access is volatile, so
        // that it is not left out.
        unsafe { place.write_volatile(place.read_volatile()) };
        let in_page = PAGE as usize - place.addr() % PAGE as usize;
        rest = rest.get_mut(in_page..).unwrap_or_default();
    }
}

/// The context pointer of each domain.
struct Contexts(Box<[*mut u8]>);

// SAFETY: the pointers are into the slab's own address space, which belongs to the process and not
// to a thread. They give no access by themselves.
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
    /// If the system refuses.
    pub fn map(image: &Arc<Image>) -> io::Result<Slab> {
        let reservation = Slab::map_reservation(image)?;
        // SAFETY: context pointers are offsets in the slab (`Image` computes both from one layout).
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

    /// Copies the bytes of the image that are not mapped to where they are missing. This precedes
    /// the first access.
    pub fn fill(&self) {
        for part in self.unfilled.borrow_mut().drain(..) {
            for (start, bytes) in self.image.copied_in(part) {
                self.write(start, bytes);
            }
        }
    }

    fn map_reservation(image: &Image) -> io::Result<Reservation> {
        let reservation = Reservation::new(image.size())?;
        // The list of written pages is exact for small pages only.
        reservation.avoid_huge_pages()?;
        for part in image.accessible() {
            reservation.make_accessible(part.start, part.len())?;
        }
        if let Some(file) = image.file() {
            for run in image.mapped() {
                let part = slab_range(run);
                // SAFETY: the new reservation is not shared yet. The slab keeps the image, and with
                // it the mapping of the file, until the reservation is unmapped.
                unsafe { reservation.map_file(part.start, file, run.file_offset, part.len())? };
            }
        }
        Ok(reservation)
    }

    /// Returns whether all pages are known that can be written without a page fault.
    pub fn knows_written(&self) -> bool {
        self.written.is_some()
    }

    /// The contents that the slab is reset to.
    pub fn image(&self) -> &Arc<Image> {
        &self.image
    }

    /// Returns the address of the first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.reservation.base()
    }

    /// Returns the context pointer of each domain. The list stays in place when the slab is moved.
    pub fn contexts(&self) -> NonNull<[*mut u8]> {
        NonNull::from(&*self.contexts.0)
    }

    /// Returns whether an address is in this slab.
    pub fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.base().as_ptr() as usize) < self.reservation.len()
    }

    /// Returns bytes of the slab.
    ///
    /// # Safety
    ///
    /// The range is accessible, and no one writes to it as long as the result lives.
    pub unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        // SAFETY: as the caller promises.
        unsafe { std::slice::from_raw_parts(self.base().as_ptr().add(range.start), range.len()) }
    }

    /// Makes the bytes of a memory from `old_size` to `new_size`, which is at most its capacity,
    /// accessible.
    ///
    /// # Errors
    ///
    /// If the system gives no memory.
    pub fn grow_memory(
        &self,
        layout: &SlabLayout,
        id: MemoryId,
        old_size: u64,
        new_size: u64,
    ) -> io::Result<()> {
        let (old_end, new_end) = (
            old_size.next_multiple_of(unit()),
            new_size.next_multiple_of(unit()),
        );
        if old_end == new_end {
            return Ok(());
        }
        let start = layout.memory_start(id);
        self.grow((start + old_end) as usize..(start + new_end) as usize)
    }

    /// Makes both halves of a GC heap accessible from `old_size` to `new_size`, which is at most
    /// its capacity.
    ///
    /// # Errors
    ///
    /// If the system gives no memory.
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
        // The part is noted first. If making it accessible fails in the middle, it is made
        // inaccessible all the same.
        let mut grown = self.grown.borrow_mut();
        match grown.last_mut() {
            Some(last) if last.end == part.start => last.end = part.end,
            _ => grown.push(part.clone()),
        }
        self.reservation.make_accessible(part.start, part.len())
    }

    /// Writes a part of the image.
    fn write(&self, start: usize, bytes: &[u8]) {
        // SAFETY: `Image` has checked that its parts lie in accessible parts of the reservation. No
        // one uses the bytes: `fill` precedes the first access to them, and a reset follows the
        // last one.
        unsafe {
            let target = self.base().as_ptr().add(start);
            ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
    }
}

#[cfg(test)]
mod tests;
