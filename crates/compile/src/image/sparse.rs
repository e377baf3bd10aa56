//! [`Image`]: a sparse array of bytes.
//!
//! It stores only pages with non-zero bytes, and only the bytes of a page that is nearly empty. The
//! memory that a component takes while it is compiled is therefore proportional to the data that it
//! writes, not to the range of addresses that it writes to. There is a limit on the number of
//! pages: a data segment of one byte makes each instance write a page, and a small component can
//! fill large tables with a reference.

use anyhow::{Result, ensure};
use mintage_artifact::{PAGE, Piece, stretches};
use mintage_environ::limit;
use std::collections::BTreeMap;

/// The limit in bytes of an image's pages: four tables of the maximum initial size (128 MiB each),
/// or the data of a component that is far larger than any known one.
pub(super) const MAX_IMAGE: u64 = 512 << 20;
/// The size of a page in bytes.
const PAGE_SIZE: usize = PAGE as usize;
/// The maximum size in bytes of a page's notes. A page with more writes is stored as a whole.
const MAX_NOTES: usize = 512;

/// A sparse array of bytes. Absent pages are zero.
pub(crate) struct Image {
    /// The pages by number.
    pages: BTreeMap<u64, Page>,
    /// The limit of the size of all pages in bytes.
    limit: u64,
}

enum Page {
    /// The writes to the page, in order: for each, the offset and the length, of two bytes each,
    /// and the bytes.
    Notes(Vec<u8>),
    /// All bytes of the page.
    Whole(Box<[u8; PAGE_SIZE]>),
}

impl Page {
    /// Writes `chunk` at offset `within`. It must fit.
    fn write(&mut self, within: usize, chunk: &[u8]) {
        if let Page::Notes(notes) = self {
            if notes.len() + 4 + chunk.len() <= MAX_NOTES {
                notes.extend((within as u16).to_le_bytes());
                notes.extend((chunk.len() as u16).to_le_bytes());
                notes.extend(chunk);
                return;
            }
            *self = Page::Whole(self.whole());
        }
        if let Page::Whole(page) = self {
            page[within..within + chunk.len()].copy_from_slice(chunk);
        }
    }

    /// Returns all bytes of the page.
    fn whole(&self) -> Box<[u8; PAGE_SIZE]> {
        match self {
            Page::Whole(page) => page.clone(),
            Page::Notes(notes) => {
                let mut page = Box::new([0; PAGE_SIZE]);
                for (within, chunk) in notes_of(notes) {
                    page[within..within + chunk.len()].copy_from_slice(chunk);
                }
                page
            }
        }
    }

    /// Replaces notes by ones that are in order, do not overlap, and omit zeros.
    fn settle(&mut self) {
        if let Page::Notes(_) = self {
            let page = self.whole();
            *self = Page::Notes(Vec::new());
            for (within, chunk) in stretches(0, &page[..]) {
                self.write(within as usize, chunk);
            }
        }
    }

    /// Returns the non-zero bytes, with their offsets on the page.
    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let (notes, page) = match self {
            Page::Notes(notes) => (&notes[..], &[][..]),
            Page::Whole(page) => (&[][..], &page[..]),
        };
        let notes = notes_of(notes).map(|(within, chunk)| (within as u64, chunk));
        notes.chain(stretches(0, page))
    }
}

/// Decodes the notes on a page.
fn notes_of(mut notes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    std::iter::from_fn(move || {
        let (&[a, b, c, d], rest) = notes.split_first_chunk()?;
        let (chunk, rest) = rest.split_at_checked(u16::from_le_bytes([c, d]).into())?;
        notes = rest;
        Some((u16::from_le_bytes([a, b]).into(), chunk))
    })
}

impl Image {
    /// Makes an image of zeros, with a limit of the size of all pages in bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            pages: BTreeMap::new(),
            limit,
        }
    }

    /// Prepares the image for [`pieces`](Self::pieces), after all writes.
    pub(super) fn settled(mut self) -> Self {
        self.pages.values_mut().for_each(Page::settle);
        self
    }

    /// Returns the non-zero bytes of a settled image as pieces: in order, without overlap, each on
    /// one page.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.pages.iter().flat_map(|(number, page)| {
            let pieces = page.pieces();
            pieces.map(move |(within, bytes)| (number * PAGE + within, bytes))
        })
    }

    /// Writes `bytes` at slab offset `start`.
    pub(super) fn write(&mut self, start: u64, mut bytes: &[u8]) -> Result<()> {
        let mut position = start;
        while !bytes.is_empty() {
            let within = (position % PAGE) as usize;
            let (chunk, rest) = bytes.split_at(bytes.len().min(PAGE_SIZE - within));
            self.write_in_page(position / PAGE, within, chunk)?;
            position += chunk.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    fn write_in_page(&mut self, number: u64, within: usize, chunk: &[u8]) -> Result<()> {
        let count = self.pages.len() as u64;
        let page = match self.pages.get_mut(&number) {
            Some(page) => page,
            None if chunk.iter().all(|&byte| byte == 0) => return Ok(()),
            None => {
                ensure!(
                    (count + 1) * PAGE <= self.limit,
                    limit!(
                        ComponentSize,
                        "memories and tables start with more than {} bytes of pages that are not \
                         zero, which is the limit; initialize less of them",
                        self.limit
                    )
                );
                self.pages.entry(number).or_insert(Page::Notes(Vec::new()))
            }
        };
        page.write(within, chunk);
        Ok(())
    }

    /// Writes `word` `count` times, starting at slab offset `start`.
    pub(super) fn fill(&mut self, start: u64, word: u64, count: u64) -> Result<()> {
        self.repeat(start, &word.to_le_bytes(), count)
    }

    /// Writes `item` `count` times, starting at slab offset `start`. The length of `item` must be a
    /// power of two.
    pub(super) fn repeat(&mut self, start: u64, item: &[u8], count: u64) -> Result<()> {
        if item.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        let pattern: Vec<u8> = item.repeat(PAGE_SIZE / item.len());
        let (mut position, end) = (start, start + count * item.len() as u64);
        while position < end {
            let len = (end - position).min(PAGE);
            self.write(position, &pattern[..len as usize])?;
            position += len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the non-zero bytes of an image.
    fn bytes(image: Image) -> BTreeMap<u64, u8> {
        let image = image.settled();
        let mut found = BTreeMap::new();
        let mut last = 0;
        for (offset, bytes) in image.pieces() {
            assert!(last <= offset && offset / PAGE == (offset + bytes.len() as u64 - 1) / PAGE);
            last = offset + bytes.len() as u64;
            found.extend(
                (offset..)
                    .zip(bytes.iter().copied())
                    .filter(|&(_, byte)| byte != 0),
            );
        }
        found
    }

    #[test]
    fn only_pages_with_bytes_are_stored() {
        let mut image = Image::new(MAX_IMAGE);
        image.write(5, &[1]).unwrap();
        image.write((1 << 40) - 1, &[2, 3]).unwrap();
        image.write(1 << 30, &[0; 100_000]).unwrap();
        image.write(4 * PAGE, &[4]).unwrap();
        image.write(4 * PAGE, &[0]).unwrap();
        assert_eq!(
            bytes(image),
            [(5, 1), ((1 << 40) - 1, 2), (1 << 40, 3)].into()
        );
    }

    #[test]
    fn later_bytes_replace_earlier_ones_in_notes_and_on_whole_pages() {
        // Many repetitions exceed what notes can hold, few do not.
        for repeated in [600, 20] {
            let mut image = Image::new(MAX_IMAGE);
            let mut expected = BTreeMap::new();
            let mut write = |at: u64, bytes: &[u8]| {
                image.write(at, bytes).unwrap();
                expected.extend((at..).zip(bytes.iter().copied()));
            };
            write(PAGE - 100, &[9; 50]);
            write(PAGE - 16, &[1; 8].repeat(repeated));
            for at in (PAGE - 120..PAGE + 120).step_by(7) {
                write(at, &[0, at as u8, 0, 0]);
            }
            write(PAGE - 1, &[7, 0]);
            expected.retain(|_, byte| *byte != 0);
            assert_eq!(bytes(image), expected);
        }
    }

    /// A page with one byte takes much less than a page of memory.
    #[test]
    fn pages_that_are_nearly_empty_are_notes() {
        let mut image = Image::new(MAX_IMAGE);
        for page in 0..1000 {
            image.write(page * PAGE + page, &[1]).unwrap();
        }
        let len = |page: &Page| match page {
            Page::Notes(notes) => notes.len(),
            Page::Whole(_) => PAGE_SIZE,
        };
        assert_eq!(
            image.settled().pages.values().map(len).sum::<usize>(),
            1000 * 5
        );
    }

    #[test]
    fn too_many_pages_are_an_error() {
        let mut image = Image::new(1 << 20);
        image.fill(0, 1, (1 << 20) / 8).unwrap();
        image.write(17, &[1]).unwrap();
        let error = image.write(1 << 40, &[1]).unwrap_err().to_string();
        assert!(error.contains("limit"), "{error}");
    }
}
