//! The reset of a slab that an instance has left.

use super::Slab;
use super::leftover::Leftover;
use super::ranges::merge;
use crate::sys::pagemap::{PageState, Pagemap};
use std::io;
use std::mem;
use std::ops::Range;

/// Bytes that are restored if the system does not tell which pages were written, in equal shares at
/// the starts of the accessible parts. Most guests have their stack and their data there. A larger
/// part would mostly copy what no one wrote.
pub const GUESSED_PREFIX: usize = 128 << 10;

/// Options of a reset.
#[derive(Clone, Copy)]
pub struct ResetOptions<'a> {
    /// The system's answer to which pages were written, if it gives one.
    pub pagemap: Option<&'a Pagemap>,
    /// The most bytes that the slab may keep in memory.
    pub keep_resident: usize,
    /// Whether the thread's count of page faults may prove that no other page was written.
    pub page_fault_count: bool,
}

impl Slab {
    /// Marks all pages as possibly written.
    pub fn forget_written(&mut self) {
        self.written = None;
    }

    /// Restores the contents that the slab had when it was mapped, after an instance has used it.
    /// If the written pages are known or the system tells them, only these are touched.
    ///
    /// `budget` gets two numbers: the bytes of the slab's page tables, which stay until it is
    /// unmapped, and the bytes of pages that it would keep in memory. It returns how many bytes of
    /// pages may be kept, or `None` if the slab must be unmapped.
    ///
    /// Returns whether the slab may be used again.
    ///
    /// # Errors
    ///
    /// If the system refuses. The slab must not be used any more.
    pub fn reset(
        &mut self,
        options: ResetOptions<'_>,
        budget: impl FnOnce(usize, usize) -> Option<usize>,
    ) -> io::Result<bool> {
        debug_assert!(
            self.unfilled.get_mut().is_empty(),
            "a slab is filled before it is used"
        );
        let pagemap = options.pagemap;
        let mut grown = self.grown.take();
        // Memories that grow in turns leave a part each time.
        grown.sort_by_key(|part| part.start);
        merge(&mut grown);
        let mut leftover = match (self.written.take(), pagemap) {
            (Some(pages), _) => Leftover::known(pages),
            (None, Some(pagemap)) => self.scan_leftover(pagemap, &grown, options.keep_resident)?,
            (None, None) => self.guess_leftover(&grown),
        };
        let tables = self.tables.bytes();
        let Some(kept) = budget(tables, leftover.kept_bytes()) else {
            return Ok(false);
        };
        leftover.limit(kept);
        for part in grown {
            // SAFETY: the instance that used the slab is gone.
            unsafe { self.reservation.make_inaccessible(part.start, part.len())? };
        }
        for pages in &leftover.kept {
            self.restore(pages.clone());
        }
        for pages in &leftover.discarded {
            // SAFETY: the instance that used the slab is gone.
            unsafe { self.reservation.discard(pages.start, pages.len())? };
        }
        let all_kept = leftover.discarded.is_empty();
        // Copying it back now would take memory for an instance that may never exist.
        self.unfilled.get_mut().extend(leftover.discarded);
        let stays_known = pagemap.is_some() && all_kept && options.page_fault_count;
        self.written = stays_known.then_some(leftover.kept);
        debug_assert_eq!(
            self.difference(),
            None,
            "a slab that was reset differs from the image"
        );
        Ok(true)
    }

    /// Asks the system which pages the instance has left in memory, of which at most `limit` bytes
    /// are kept.
    fn scan_leftover(
        &mut self,
        pagemap: &Pagemap,
        grown: &[Range<usize>],
        limit: usize,
    ) -> io::Result<Leftover> {
        let mut leftover = Leftover::new(limit);
        let mut tables = mem::take(&mut self.tables);
        for part in self.image.accessible() {
            leftover.begin_part(part.start);
            let present = |addresses| tables.add(addresses);
            self.scan_written(pagemap, part.clone(), present, |pages| leftover.add(pages))?;
        }
        for part in grown {
            self.scan_written(
                pagemap,
                part.clone(),
                |addresses| tables.add(addresses),
                |_| (),
            )?;
        }
        tables.count();
        self.tables = tables;
        Ok(leftover)
    }

    /// Assumes that the instance has written all pages, and keeps the starts of parts.
    fn guess_leftover(&mut self, grown: &[Range<usize>]) -> Leftover {
        let parts = self.image.accessible();
        let base = self.base().as_ptr() as usize;
        for part in parts.iter().chain(grown) {
            self.tables.add(base + part.start..base + part.end);
        }
        self.tables.count();
        let each = GUESSED_PREFIX / parts.len().max(1);
        let mut leftover = Leftover::new(0);
        for part in parts {
            leftover.add_start(part.clone(), each);
        }
        leftover
    }

    /// Scans an accessible part of the slab. Calls `present` with each range of addresses whose
    /// pages are in memory, and `found` with those that may differ from the image, as slab offsets,
    /// in order.
    pub fn scan_written(
        &self,
        pagemap: &Pagemap,
        part: Range<usize>,
        mut present: impl FnMut(Range<usize>),
        mut found: impl FnMut(Range<usize>),
    ) -> io::Result<()> {
        let base = self.base().as_ptr() as usize;
        pagemap.scan(base + part.start..base + part.end, |addresses, state| {
            let pages = addresses.start - base..addresses.end - base;
            present(addresses);
            match state {
                PageState::File => {}
                PageState::Written => found(pages),
                // The image has zeros there, or the system has merged what was written.
                PageState::Zero => self.image.pages_in(pages).into_iter().for_each(&mut found),
            }
        })
    }

    /// Writes the image, and zeros elsewhere, over accessible pages.
    fn restore(&self, pages: Range<usize>) {
        let mut position = pages.start;
        for (start, bytes) in self.image.runs_in(pages.clone()) {
            self.restore_patches(position..start);
            self.write(start, bytes);
            position = start + bytes.len();
        }
        self.restore_patches(position..pages.end);
    }

    /// Writes patches, and zeros elsewhere, over accessible pages.
    fn restore_patches(&self, pages: Range<usize>) {
        if pages.is_empty() {
            return;
        }
        // SAFETY: `reset` restores pages of accessible parts only, and the instance that used them
        // is gone.
        unsafe {
            self.base()
                .as_ptr()
                .add(pages.start)
                .write_bytes(0, pages.len())
        };
        for (start, bytes) in self.image.patches_in(pages) {
            self.write(start, bytes);
        }
    }
}
