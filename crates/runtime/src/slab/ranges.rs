//! Lists of ranges.

use std::ops::Range;

/// Merges ranges that touch or overlap. They are sorted by their starts.
pub(crate) fn merge(ranges: &mut Vec<Range<usize>>) {
    ranges.dedup_by(|next, last| {
        let adjacent = last.end >= next.start;
        if adjacent {
            last.end = last.end.max(next.end);
        }
        adjacent
    });
}
