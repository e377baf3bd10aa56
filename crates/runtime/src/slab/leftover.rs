//! [`Leftover`]: the pages that an instance has written, and how much of them a slab keeps.

use super::unit;
use std::ops::Range;

/// The pages that an instance has written, as slab offsets in order. Some are restored and stay in
/// memory; the others are discarded, so that the system takes their memory back.
///
/// The lists are short: in each part of the slab, everything beyond the limit is one range,
/// including what was not written in between. Discarding it takes one call.
pub struct Leftover {
    /// The most bytes that may be kept.
    limit: usize,
    /// The start of the current part of the slab.
    part: usize,
    pub kept: Vec<Range<usize>>,
    pub discarded: Vec<Range<usize>>,
}

impl Leftover {
    /// An empty list, to which at most `limit` bytes can be added that are kept.
    pub fn new(limit: usize) -> Leftover {
        Leftover {
            limit: whole_pages(limit),
            part: 0,
            kept: Vec::new(),
            discarded: Vec::new(),
        }
    }

    /// A list of these pages, all of which may be kept.
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

    /// Adds a part of the slab whose first `len` bytes may be kept.
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

    /// Returns the bytes that would be kept.
    pub fn kept_bytes(&self) -> usize {
        self.kept.iter().map(Range::len).sum()
    }

    /// Reduces what is kept to at most `bytes`.
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
    let unit = unit() as usize;
    bytes / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_beyond_the_limit_are_one_range_per_part() {
        let page = unit() as usize;
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
}
