//! [`PageTables`]: the page tables that the system keeps for a slab.

use super::ranges::merge;
use crate::arch::page_table::{ENTRIES_LOG2, LEVELS};
use mintage_artifact::PAGE;
use std::ops::Range;

/// The page tables of a slab. The system makes one for each 2 MiB of addresses in which a page is
/// read or written, and may keep it until the addresses are unmapped, even without any page.
#[derive(Debug, Default)]
pub struct PageTables {
    /// Numbers of the 2 MiB pieces of the address space that have one, in order.
    tables: Vec<Range<usize>>,
    /// Bytes of all page tables.
    bytes: usize,
}

impl PageTables {
    /// Adds addresses at which pages are, or may be, in memory.
    pub fn add(&mut self, addresses: Range<usize>) {
        let shift = PAGE.trailing_zeros() + ENTRIES_LOG2;
        let tables = addresses.start >> shift..((addresses.end - 1) >> shift) + 1;
        match self.tables.last_mut() {
            Some(last) if last.start <= tables.start && tables.start <= last.end => {
                last.end = last.end.max(tables.end);
            }
            _ => self.tables.push(tables),
        }
    }

    /// Counts the page tables of all addresses that were added.
    pub fn count(&mut self) {
        self.tables.sort_by_key(|tables| tables.start);
        merge(&mut self.tables);
        let mut pages = 0;
        // The last level, and those above it up to the one that the whole process shares.
        for level in 0..LEVELS {
            let mut counted = 0;
            for tables in &self.tables {
                let end = ((tables.end - 1) >> (level * ENTRIES_LOG2)) + 1;
                let start = (tables.start >> (level * ENTRIES_LOG2)).max(counted);
                pages += end - start.min(end);
                counted = end;
            }
        }
        self.bytes = pages * PAGE as usize;
    }

    /// Returns the bytes of all page tables that were counted.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

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
        // Out of order, and in three pieces of 1 GiB.
        assert_eq!(
            count(&[
                5000 * MIB..5001 * MIB,
                100 * MIB..101 * MIB,
                1024 * MIB..1028 * MIB
            ]),
            8
        );
        // The page tables of four memories of 4 GiB.
        assert_eq!(
            count(std::slice::from_ref(&(0..16384 * MIB))),
            8192 + 16 + 1
        );
    }
}
