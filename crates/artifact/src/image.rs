//! [`Plan`]: the division of an image into mapped pages and copied bytes.
//!
//! The input is a list of *pieces*: byte strings at slab offsets. A plan puts each piece either on
//! a *run* of whole pages, which every slab maps from the file, or into a *patch*, which is copied
//! when a slab is used for the first time.
//!
//! Runs are best for long pieces: all instances share their pages until they write to them.
//! However, each run costs every slab one of the 65,530 mappings that a process can have, and a
//! page takes 4,096 bytes of the file (65,536 for ARM) even if all but one are zero. Therefore,
//! these limits apply:
//!
//! - There are at most [`MAX_RUNS`] runs. To reduce their number, runs include zero pages between
//!   others.
//! - The pages of all runs take at most [`MAX_SPREAD`] bytes for each byte of the image, plus
//!   [`FREE`] bytes.
//!
//! Heads are always patches, since each instance that is used writes to them. Everything that is
//! not in a run is in patches. Their size needs no limit of its own: all these bytes are in the
//! component, too, and an instance that copies them stays within the memory that it may have at the
//! start.

use crate::ImageRun;
use mintage_environ::layout::{SlabLayout, SlabPart};
use std::cmp::Reverse;
use std::ops::Range;

/// The maximum number of runs.
pub const MAX_RUNS: usize = 128;
/// The maximum size in bytes of a run that is copied instead of mapped. A mapping costs a system
/// call, a page fault and its removal, which is more than copying a few pages.
const SHORT: u64 = 8 << 10;
/// The number of bytes that may be on copied pages before runs include zero pages to avoid that.
const FEW: u64 = 256 << 10;
/// The maximum number of consecutive zero pages that a run includes.
const MAX_GAP: u64 = 8;
/// The number of bytes that the pages of all runs may take regardless of the image's size.
const FREE: u64 = 1 << 20;
/// The number of further bytes that they may take for each byte of the image.
const MAX_SPREAD: u64 = 8;
/// The number of consecutive zeros, aligned to this number, at which a patch is split in two.
const ZEROS: usize = 16;

/// A part of an image: its slab offset, and its bytes, all on one page.
pub type Piece<'a> = (u64, &'a [u8]);

/// The division of an image into mapped pages and copied bytes.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// The pages that are mapped. File offsets are relative to the first run.
    pub runs: Vec<ImageRun>,
    /// The pieces on the pages of the runs.
    pages: Vec<Piece<'a>>,
    /// The bytes that are copied.
    pub patches: Vec<Piece<'a>>,
    /// The number of pages with patches, without those of heads.
    pub patched_pages: usize,
}

/// A page with pieces.
struct Page {
    number: u64,
    /// The number of bytes of its pieces.
    bytes: u64,
    /// The index of the slab's part that the page is in.
    part: usize,
}

impl<'a> Plan<'a> {
    /// Plans the image of a slab. The pieces must be in order, without overlap, and each on one
    /// page of [`PAGE`](crate::PAGE) bytes. Runs consist of whole pages of `size` bytes, a multiple
    /// of that.
    pub fn new(layout: &SlabLayout, pieces: &[Piece<'a>], size: u64) -> Plan<'a> {
        let parts = layout.parts();
        let pages = Pages::new(&parts, pieces, size);
        let mut plan = Plan::default();
        for mut run in pages.choose_runs() {
            run.file_offset = plan.pages_len();
            plan.runs.push(run);
        }
        let mut runs = plan.runs.iter().peekable();
        for &(offset, bytes) in pieces {
            while runs
                .next_if(|run| run.slab_offset + run.len <= offset)
                .is_some()
            {}
            match runs.peek() {
                Some(run) if run.slab_offset <= offset => plan.pages.push((offset, bytes)),
                _ => plan.patches.extend(stretches(offset, bytes)),
            }
        }
        plan.patched_pages = pages.pages.len() - pages.count(&plan.runs);
        plan
    }

    /// Returns the size in bytes of the pages of all runs.
    pub fn pages_len(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.file_offset + run.len)
    }

    /// Returns the pieces on the pages of the runs. The offset of each is relative to the first
    /// page.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &'a [u8])> + '_ {
        let mut runs = self.runs.iter().peekable();
        self.pages.iter().filter_map(move |&(offset, bytes)| {
            while runs
                .next_if(|run| run.slab_offset + run.len <= offset)
                .is_some()
            {}
            runs.peek()
                .map(|run| (run.file_offset + (offset - run.slab_offset), bytes))
        })
    }
}

/// The pages with pieces, without those of heads.
struct Pages {
    pages: Vec<Page>,
    /// The size of a page in bytes.
    size: u64,
}

impl Pages {
    fn new(parts: &[SlabPart], pieces: &[Piece<'_>], size: u64) -> Pages {
        let mut pages: Vec<Page> = Vec::new();
        let mut next_part = 0;
        for &(offset, bytes) in pieces {
            while parts
                .get(next_part)
                .is_some_and(|part| part.start <= offset)
            {
                next_part += 1;
            }
            if next_part
                .checked_sub(1)
                .is_some_and(|part| parts[part].copied)
            {
                continue;
            }
            let (number, bytes) = (offset / size, bytes.len() as u64);
            match pages.last_mut() {
                Some(page) if page.number == number => page.bytes += bytes,
                _ => pages.push(Page {
                    number,
                    bytes,
                    part: next_part,
                }),
            }
        }
        Pages { pages, size }
    }

    /// Returns the runs in order, without their file offsets.
    ///
    /// Longer and longer gaps of zero pages are included until there are few runs, as long as the
    /// limit of the file's size allows it. If even the pages alone exceed the limit, those that are
    /// nearly empty are not mapped.
    fn choose_runs(&self) -> Vec<ImageRun> {
        let limit = FREE + MAX_SPREAD * self.pages.iter().map(|page| page.bytes).sum::<u64>();
        let mut best = None;
        for minimum in [0, self.size / MAX_SPREAD] {
            for gap in [0, 1, 2, 4, MAX_GAP] {
                let runs = self.runs_over(minimum, gap);
                if runs.iter().map(|run| run.len).sum::<u64>() > limit {
                    break;
                }
                let copied = (self.pages.len() - self.count(&runs)) as u64 * self.size;
                let few = runs.len() <= MAX_RUNS && copied <= FEW;
                best = Some(runs);
                if few {
                    break;
                }
            }
            if best.is_some() {
                break;
            }
        }
        let mut runs = best.unwrap_or_default();
        runs.sort_by_key(|run| (Reverse(run.len), run.slab_offset));
        runs.truncate(MAX_RUNS);
        runs.sort_by_key(|run| run.slab_offset);
        runs
    }

    /// Returns runs over the pages with at least `minimum` bytes. A run includes gaps of up to
    /// `gap` pages, and stays within its part of the slab. Short runs are omitted.
    fn runs_over(&self, minimum: u64, gap: u64) -> Vec<ImageRun> {
        let mut runs: Vec<(Range<u64>, usize)> = Vec::new();
        for page in self.pages.iter().filter(|page| page.bytes >= minimum) {
            match runs.last_mut() {
                Some((run, part)) if *part == page.part && page.number - run.end <= gap => {
                    run.end = page.number + 1
                }
                _ => runs.push((page.number..page.number + 1, page.part)),
            }
        }
        let runs = runs.into_iter().map(|(run, _)| ImageRun {
            slab_offset: run.start * self.size,
            file_offset: 0,
            len: (run.end - run.start) * self.size,
        });
        runs.filter(|run| run.len > SHORT).collect()
    }

    /// Returns the number of pages that are in runs.
    fn count(&self, runs: &[ImageRun]) -> usize {
        let before = |offset: u64| {
            self.pages
                .partition_point(|page| page.number * self.size < offset)
        };
        let counts = runs
            .iter()
            .map(|run| before(run.slab_offset + run.len) - before(run.slab_offset));
        counts.sum()
    }
}

/// Splits `bytes`, at slab offset `offset`, into pieces that omit longer stretches of zeros.
pub fn stretches(offset: u64, bytes: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let is_zero = |chunk: &[u8]| match chunk.try_into() {
        Ok(chunk) => u128::from_ne_bytes(chunk) == 0,
        Err(_) => chunk.iter().all(|&byte| byte == 0),
    };
    let mut chunks = (0..).step_by(ZEROS).zip(bytes.chunks(ZEROS)).peekable();
    std::iter::from_fn(move || {
        let (start, first) = chunks.find(|(_, chunk)| !is_zero(chunk))?;
        let mut end = start + first.len();
        while let Some((_, chunk)) = chunks.next_if(|(_, chunk)| !is_zero(chunk)) {
            end += chunk.len();
        }
        let stretch = &bytes[start..end];
        let first = stretch.iter().position(|&byte| byte != 0)?;
        let last = stretch.iter().rposition(|&byte| byte != 0)?;
        Some((offset + (start + first) as u64, &stretch[first..=last]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PAGE;
    use mintage_environ::Tunables;
    use mintage_environ::layout::{MemoryShape, Shape, TableShape};
    use mintage_environ::{DomainId, MemoryId, TableId};
    use proptest::prelude::*;

    /// A domain with a memory of 256 MiB, after a small table.
    fn layout() -> SlabLayout {
        let domain = DomainId::from_u32(0);
        let mut shape = Shape::default();
        let main = shape.memories.push(MemoryShape {
            domain,
            minimum: 1 << 12,
            maximum: None,
            page_size_log2: 16,
            index64: false,
        });
        shape.domains.push(Some(main));
        for _ in 0..2 {
            shape.tables.push(TableShape {
                domain,
                minimum: 1 << 13,
                maximum: Some(1 << 13),
                index64: false,
            });
        }
        SlabLayout::compute(&shape, &Tunables::default()).unwrap()
    }

    /// Plans an image with `bytes` bytes on each of `pages` of the memory. Returns the first page
    /// and the end of each run, and the number of pages that are copied.
    fn plan(pages: impl Iterator<Item = u64>, bytes: usize) -> (Vec<(u64, u64)>, usize) {
        let layout = layout();
        let start = layout.memory_start(MemoryId::from_u32(0));
        let bytes = vec![1; bytes];
        let pieces: Vec<Piece<'_>> = pages
            .map(|page| (start + page * PAGE, &bytes[..]))
            .collect();
        let plan = Plan::new(&layout, &pieces, PAGE);
        check(&plan, &pieces);
        let runs = plan.runs.iter().map(|run| {
            let first = (run.slab_offset - start) / PAGE;
            (first, first + run.len / PAGE)
        });
        (runs.collect(), plan.patched_pages)
    }

    /// Checks that each byte is kept once, and that all limits hold.
    fn check(plan: &Plan<'_>, pieces: &[Piece<'_>]) {
        let bytes = |pieces: &[Piece<'_>]| {
            pieces
                .iter()
                .map(|(_, bytes)| bytes.len() as u64)
                .sum::<u64>()
        };
        assert!(plan.runs.len() <= MAX_RUNS);
        assert!(plan.pages_len() <= FREE + MAX_SPREAD * bytes(pieces));
        let mut file = vec![0; plan.pages_len() as usize];
        for (at, bytes) in plan.pages() {
            file[at as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        let mut kept: Vec<(u64, &[u8])> = plan.patches.clone();
        for run in &plan.runs {
            let pages = file[run.file_offset as usize..][..run.len as usize].chunks(PAGE as usize);
            for (offset, page) in (run.slab_offset..).step_by(PAGE as usize).zip(pages) {
                kept.extend(stretches(offset, page));
            }
        }
        kept.sort_by_key(|&(offset, _)| offset);
        let significant = |pieces: &[Piece<'_>]| {
            let bytes = pieces
                .iter()
                .flat_map(|&(offset, bytes)| (offset..).zip(bytes.iter().copied()));
            bytes.filter(|&(_, byte)| byte != 0).collect::<Vec<_>>()
        };
        assert!(significant(&kept) == significant(pieces));
    }

    #[test]
    fn long_runs_are_mapped_and_short_ones_copied() {
        assert_eq!(plan([3, 4, 5, 9, 20].into_iter(), 4096), (vec![(3, 6)], 2));
        assert_eq!(plan(0..1000, 4096), (vec![(0, 1000)], 0));
        // A few pages may be nearly empty.
        assert_eq!(plan(0..200, 1), (vec![(0, 200)], 0));
    }

    #[test]
    fn scattered_pages_do_not_exceed_the_limit_of_runs() {
        // Three of every four pages, and a page that is too far away.
        let pages = (0..4000).filter(|page| page % 4 < 3);
        assert_eq!(plan(pages.chain([5000]), 4000), (vec![(0, 3999)], 1));
        // Every other page.
        assert_eq!(
            plan((0..4000).filter(|page| page % 2 == 0), 4000),
            (vec![(0, 3999)], 0)
        );
        // The gaps are too long, so that only the longest runs are mapped.
        let (runs, copied) = plan(
            (0..20_000).filter(|page| page % 20 < 3 + page / 10_000),
            4096,
        );
        assert_eq!(
            (runs.len(), copied),
            (MAX_RUNS, 500 * 3 + (500 - MAX_RUNS) * 4)
        );
        assert_eq!(runs[0], (10_000, 10_004));
        assert_eq!(plan((0..60_000).step_by(20), 4096), (vec![], 3000));
    }

    #[test]
    fn bytes_scattered_over_many_pages_are_copied() {
        assert_eq!(plan((0..65_536).step_by(2), 1), (vec![], 32_768));
        // Those between full pages are mapped with them.
        let layout = layout();
        let start = layout.memory_start(MemoryId::from_u32(0));
        let full = vec![1; PAGE as usize];
        let page = |page: u64| match page {
            0..30 => (
                start + page * PAGE,
                if page.is_multiple_of(3) {
                    &full[..]
                } else {
                    &full[..1]
                },
            ),
            _ => (start + page * PAGE, &full[..1]),
        };
        let pieces: Vec<Piece<'_>> = (0..10_000).map(page).collect();
        let plan = Plan::new(&layout, &pieces, PAGE);
        check(&plan, &pieces);
        assert_eq!(
            (plan.runs.len(), plan.pages_len(), plan.patched_pages),
            (1, 28 * PAGE, 9972)
        );
    }

    #[test]
    fn runs_stay_in_their_parts_and_heads_are_copied() {
        let layout = layout();
        let page = vec![1; PAGE as usize];
        let tables = [0, 1].map(|id| layout.table_start(TableId::from_u32(id)));
        let head = layout.domains[DomainId::from_u32(0)].head;
        let memory = layout.memory_start(MemoryId::from_u32(0));
        // All pages of both tables, which are adjacent, and the first pages of head and memory.
        let mut starts = tables.to_vec();
        starts.extend([head, memory]);
        starts.sort();
        let pages = starts
            .iter()
            .flat_map(|start| (*start..).step_by(PAGE as usize).take(16));
        let pieces: Vec<Piece<'_>> = pages.map(|offset| (offset, &page[..])).collect();
        let plan = Plan::new(&layout, &pieces, PAGE);
        check(&plan, &pieces);
        let runs: Vec<_> = plan
            .runs
            .iter()
            .map(|run| (run.slab_offset, run.len))
            .collect();
        starts.retain(|&start| start != head);
        assert_eq!(
            runs,
            starts
                .iter()
                .map(|&start| (start, 16 * PAGE))
                .collect::<Vec<_>>()
        );
        assert_eq!((plan.patches.len(), plan.patched_pages), (16, 0));
    }

    proptest! {
        #[test]
        fn any_image(
            pages in prop::collection::btree_map(0u64..3000, (0usize..4096, 1usize..4096), 0..600),
        ) {
            let layout = layout();
            let start = layout.memory_start(MemoryId::from_u32(0));
            let bytes: Vec<u8> = (0..PAGE).map(|at| u8::from(at % 100 < 60)).collect();
            let piece = |(page, &(within, len)): (&u64, &(usize, usize))| {
                let end = (within + len).min(bytes.len());
                (start + page * PAGE + within as u64, &bytes[within..end])
            };
            let pieces: Vec<Piece<'_>> = pages.iter().map(piece).collect();
            check(&Plan::new(&layout, &pieces, PAGE), &pieces);
        }
    }
}
