//! The reset of a slab that an instance has left.

use super::Slab;
use super::leftover::Leftover;
use super::ranges::merge;
use crate::sys::pagemap::{Pagemap, State};
use std::io;
use std::mem;
use std::ops::Range;

/// Bytes that are put back by copying where the system does not tell which pages were written, at
/// the starts of the accessible parts in equal shares. Most guests have their stack and their data
/// there. More would mostly copy what nobody wrote.
const PREFIX: usize = 128 << 10;

/// How to reset a slab.
#[derive(Clone, Copy)]
pub struct ResetOptions<'a> {
    /// The way to learn which pages were written, if there is one.
    pub pagemap: Option<&'a Pagemap>,
    /// The most bytes that the slab may keep in memory.
    pub keep_resident: usize,
    /// Whether the thread's count of page faults may show that no new page was written.
    pub page_fault_count: bool,
}

impl Slab {
    /// Forgets which pages may have been written to: any may.
    pub fn forget_written(&mut self) {
        self.written = None;
    }

    /// Makes a slab that an instance has left as it was when it was mapped. Where it is known or
    /// the system tells which pages were written, only those are touched. `budget` gets the bytes
    /// of its page tables, which stay until it is unmapped, and of the pages that it would keep in
    /// memory; it returns how many bytes of these it may keep, or `None` if it must be unmapped.
    ///
    /// Returns whether the slab may be used again.
    ///
    /// # Errors
    ///
    /// When the system refuses. The slab must not be used any more.
    pub fn reset(
        &mut self,
        options: ResetOptions<'_>,
        budget: impl FnOnce(usize, usize) -> Option<usize>,
    ) -> io::Result<bool> {
        debug_assert!(
            self.unfilled.get_mut().is_empty(),
            "who uses a slab fills it first"
        );
        let pagemap = options.pagemap;
        let mut grown = self.grown.take();
        // Memories that grow by turns leave a part each time.
        grown.sort_by_key(|part| part.start);
        merge(&mut grown);
        let mut leftover = match (self.written.take(), pagemap) {
            (Some(pages), _) => Leftover::known(pages),
            (None, Some(pagemap)) => self.look(pagemap, &grown, options.keep_resident)?,
            (None, None) => self.guess(&grown),
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
        // Copying it back now would cost memory for an instance that may never be.
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

    /// Asks the system what the instance has left in memory, of which at most `limit` bytes are
    /// kept.
    fn look(
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

    /// What the instance may have left in memory, and what is worth keeping of it: the starts of
    /// parts.
    fn guess(&mut self, grown: &[Range<usize>]) -> Leftover {
        let parts = self.image.accessible();
        let base = self.base().as_ptr() as usize;
        for part in parts.iter().chain(grown) {
            self.tables.add(base + part.start..base + part.end);
        }
        self.tables.count();
        let each = PREFIX / parts.len().max(1);
        let mut leftover = Leftover::new(0);
        for part in parts {
            leftover.add_start(part.clone(), each);
        }
        leftover
    }

    /// Calls `present` with each range of addresses in an accessible part of the slab at which
    /// pages are in memory, and `found` with those that may differ from the image, as offsets, in
    /// order.
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
                State::File => {}
                State::Written => found(pages),
                // Zeros are what the image has, or the system has merged what was written there.
                State::Zero => self.image.pages_in(pages).into_iter().for_each(&mut found),
            }
        })
    }

    /// Writes the image, and zeros where it has nothing, over accessible pages.
    fn restore(&self, pages: Range<usize>) {
        let mut position = pages.start;
        for (start, bytes) in self.image.runs_in(pages.clone()) {
            self.restore_patches(position..start);
            self.write(start, bytes);
            position = start + bytes.len();
        }
        self.restore_patches(position..pages.end);
    }

    /// Writes zeros and patches over accessible pages.
    fn restore_patches(&self, pages: Range<usize>) {
        if pages.is_empty() {
            return;
        }
        // SAFETY: only pages of accessible parts are restored, and the instance that used them is
        // gone.
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
