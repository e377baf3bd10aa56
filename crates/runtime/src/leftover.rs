//! [`Leftover`] and [`PageTables`]: what an instance leaves in memory, and how much of it a slab
//! keeps.

use crate::image::merge;
use mintage_artifact::PAGE;
use std::ops::Range;

/// The pages that an instance has written, divided into those that are put back to what they were,
/// and those that are given back to the system. Offsets in the slab, in order.
///
/// Its own size is bounded by what may be kept: of a part of the slab, all that is beyond the limit
/// is one range, with what was not written in between, so that giving it back is one call.
pub struct Leftover {
    /// The most bytes that may be kept.
    limit: usize,
    /// Where the current part of the slab starts.
    part: usize,
    pub kept: Vec<Range<usize>>,
    pub discarded: Vec<Range<usize>>,
}

impl Leftover {
    /// Nothing, of which `limit` bytes may be kept.
    pub fn new(limit: usize) -> Leftover {
        Leftover {
            limit: whole_pages(limit),
            part: 0,
            kept: Vec::new(),
            discarded: Vec::new(),
        }
    }

    /// These pages, all of which may be kept.
    pub fn known(pages: Vec<Range<usize>>) -> Leftover {
        Leftover {
            kept: pages,
            ..Leftover::new(0)
        }
    }

    /// Begins another part of the slab.
    pub fn begin_part(&mut self, start: usize) {
        self.part = start;
    }

    /// Adds written pages.
    pub fn add(&mut self, pages: Range<usize>) {
        let kept = pages.start..pages.start + pages.len().min(self.limit);
        self.limit -= kept.len();
        self.discard(kept.end..pages.end);
        if !kept.is_empty() {
            self.kept.push(kept);
        }
    }

    /// Adds a part of the slab, whose first `len` bytes may be kept.
    pub fn add_start(&mut self, part: Range<usize>, len: usize) {
        self.begin_part(part.start);
        self.limit = whole_pages(len);
        self.add(part);
    }

    fn discard(&mut self, pages: Range<usize>) {
        match self.discarded.last_mut() {
            _ if pages.is_empty() => {}
            Some(last) if last.start >= self.part => last.end = pages.end,
            _ => self.discarded.push(pages),
        }
    }

    /// Bytes that would be kept.
    pub fn kept_bytes(&self) -> usize {
        self.kept.iter().map(Range::len).sum()
    }

    /// Keeps at most so many bytes.
    pub fn limit(&mut self, bytes: usize) {
        let mut surplus = self.kept_bytes().saturating_sub(whole_pages(bytes));
        while surplus > 0
            && let Some(last) = self.kept.last_mut()
        {
            let cut = last.end - surplus.min(last.len());
            let pages = cut..last.end;
            last.end = cut;
            if last.start == last.end {
                self.kept.pop();
            }
            surplus -= pages.len();
            self.discarded.push(pages);
        }
    }
}

fn whole_pages(bytes: usize) -> usize {
    bytes / PAGE as usize * PAGE as usize
}

/// The page tables of a slab. The system makes one for each 2 MiB of addresses in which a page is
/// read or written, and may keep it until the addresses are unmapped, without any page.
#[derive(Debug, Default)]
pub struct PageTables {
    /// Numbers of the pieces of 2 MiB of the address space that have one, in order.
    tables: Vec<Range<usize>>,
    /// Bytes of all.
    bytes: usize,
}

impl PageTables {
    /// Addresses for which one page has room: 512 pages, or tables of the next level.
    const FACTOR_LOG2: u32 = 9;

    /// Notes that pages at these addresses are, or may be, in memory.
    pub fn add(&mut self, addresses: Range<usize>) {
        let shift = PAGE.trailing_zeros() + Self::FACTOR_LOG2;
        let tables = addresses.start >> shift..((addresses.end - 1) >> shift) + 1;
        match self.tables.last_mut() {
            Some(last) if last.start <= tables.start && tables.start <= last.end => {
                last.end = last.end.max(tables.end);
            }
            _ => self.tables.push(tables),
        }
    }

    /// Counts what was added.
    pub fn count(&mut self) {
        self.tables.sort_by_key(|tables| tables.start);
        merge(&mut self.tables);
        let mut pages = 0;
        // The last level, and those above it, up to the one that the whole process shares.
        for level in 0..3 {
            let mut counted = 0;
            for tables in &self.tables {
                let end = ((tables.end - 1) >> (level * Self::FACTOR_LOG2)) + 1;
                let start = (tables.start >> (level * Self::FACTOR_LOG2)).max(counted);
                pages += end - start.min(end);
                counted = end;
            }
        }
        self.bytes = pages * PAGE as usize;
    }

    /// Bytes of all that are counted.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn what_is_beyond_the_limit_is_one_range_of_each_part() {
        let page = PAGE as usize;
        let mut leftover = Leftover::new(5 * page + 100);
        leftover.begin_part(0);
        leftover.add(0..2 * page);
        leftover.begin_part(10 * page);
        leftover.add(10 * page..11 * page);
        leftover.add(12 * page..15 * page);
        leftover.add(20 * page..21 * page);
        leftover.add(30 * page..31 * page);
        leftover.begin_part(40 * page);
        leftover.add(41 * page..42 * page);
        leftover.add(43 * page..44 * page);
        let kept = [0..2 * page, 10 * page..11 * page, 12 * page..14 * page];
        let discarded = vec![14 * page..31 * page, 41 * page..44 * page];
        assert_eq!(
            (&leftover.kept[..], &leftover.discarded),
            (&kept[..], &discarded)
        );
        leftover.limit(usize::MAX);
        assert_eq!(leftover.kept_bytes(), 5 * page);
        leftover.limit(2 * page - 1);
        assert_eq!(leftover.kept, std::slice::from_ref(&(0..page)));
        assert_eq!(
            leftover.discarded[2..],
            [12 * page..14 * page, 10 * page..11 * page, page..2 * page]
        );
        leftover.limit(0);
        assert!(leftover.kept.is_empty());
    }

    #[test]
    fn page_tables_of_all_levels_are_counted_once() {
        let count = |addresses: &[Range<usize>]| {
            let mut tables = PageTables::default();
            for addresses in addresses {
                tables.add(addresses.clone());
            }
            tables.count();
            let first = tables.bytes();
            addresses
                .iter()
                .for_each(|addresses| tables.add(addresses.clone()));
            tables.count();
            assert_eq!(tables.bytes(), first);
            first / PAGE as usize
        };
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[0..4096, 4096..8192, MIB..2 * MIB]), 3);
        // The end of one piece and the start of the next.
        assert_eq!(count(std::slice::from_ref(&(2 * MIB - 1..2 * MIB + 1))), 4);
        // In no order, and in three pieces of 1 GiB.
        assert_eq!(
            count(&[
                5000 * MIB..5001 * MIB,
                100 * MIB..101 * MIB,
                1024 * MIB..1028 * MIB
            ]),
            8
        );
        // All that four memories of 4 GiB have.
        assert_eq!(
            count(std::slice::from_ref(&(0..16384 * MIB))),
            8192 + 16 + 1
        );
    }
}
