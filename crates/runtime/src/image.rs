//! [`Image`]: what a slab holds when nobody has used it, and how to map that.
//!
//! A component has one image from its artifact, as its instances stand before its start functions. Where these change nothing but
//! the slab, and nothing outside has a say in what they do, [`Image::capture`] keeps the slab as the first of them left it, and
//! later instances start from there. A host may ask for the same at any later time.

use crate::slab::Slab;
use crate::sys::mmap::FileMapping;
use crate::sys::pagemap::Pagemap;
use anyhow::{Context, Result, ensure};
use mintage_artifact::{Artifact, ImageRun, PAGE};
use mintage_environ::layout::{HeapLayout, SlabLayout};
use mintage_environ::{ControlBlock, DomainId, IndexVec, MemoryId, TableId};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// Image runs up to this size are copied rather than mapped: a mapping costs a call, a later page fault and its removal,
/// together more than copying a few pages.
const COPY: u64 = 2 * PAGE;
/// The most mapped runs of a captured image: each is a mapping in every slab, of the 65,530 that a process has.
const MAX_KEPT_RUNS: usize = 128;
/// The longest stretch of zeros that a run of a captured image takes in, so that there are fewer runs.
const MAX_GAP: u64 = 32 << 10;

/// The size of each memory in bytes, of each table in entries, and of each object heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub memories: IndexVec<MemoryId, u64>,
    pub tables: IndexVec<TableId, u64>,
    pub heaps: Vec<HeapSize>,
}

/// The bytes of an object heap that are accessible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapSize {
    pub domain: DomainId,
    /// Of the objects that never move.
    pub fixed: u64,
    /// Of each half.
    pub half: u64,
}

impl HeapSize {
    /// The size of the heap of `domain` whose halves have `half` bytes each.
    pub fn new(domain: DomainId, heap: &HeapLayout, half: u64) -> HeapSize {
        let fixed = heap.static_size();
        HeapSize { domain, fixed, half }
    }
}

impl Sizes {
    /// The sizes that memories, tables and object heaps start with.
    fn declared(layout: &SlabLayout) -> Sizes {
        let tables = layout.tables.values();
        Sizes {
            memories: layout.memories.values().map(|memory| memory.minimum).collect(),
            tables: tables.map(|table| u64::from(table.minimum)).collect(),
            heaps: layout
                .heaps()
                .map(|(id, heap)| HeapSize::new(id, heap, heap.minimum))
                .collect(),
        }
    }
}

impl Sizes {
    /// Makes these the sizes that memories, tables and object heaps start with.
    pub(crate) fn declare(&self, layout: &mut SlabLayout) {
        for (id, &size) in self.memories.iter() {
            layout.memories[id].minimum = size;
        }
        for (id, &size) in self.tables.iter() {
            layout.tables[id].minimum = size as u32;
        }
        for size in &self.heaps {
            if let Some(heap) = &mut layout.domains[size.domain].heap {
                heap.minimum = size.half;
            }
        }
    }
}

/// Where the bytes of an image are.
enum Source {
    /// In the artifact.
    Artifact(Arc<Artifact<FileMapping>>),
    /// In a file or memory of its own.
    Kept(FileMapping),
}

/// What a new slab holds: the same for all instances of a component.
pub struct Image {
    source: Source,
    /// All parts that are not zero, in order.
    runs: Vec<ImageRun>,
    /// Those that are mapped from the file.
    mapped: Vec<ImageRun>,
    /// Those that are copied.
    copied: Vec<ImageRun>,
    /// The parts of a slab that are accessible, in order, adjacent ones merged: slab offsets.
    accessible: Vec<Range<usize>>,
    /// The slab offset that each domain's context pointer points to; its control block ends there.
    contexts: Vec<usize>,
    /// How large memories and tables are.
    sizes: Sizes,
    /// Address space in bytes.
    size: usize,
    /// Whether the start functions have run, if there are any.
    started: bool,
}

impl Image {
    /// The most bytes of pages that a captured image may have. The host pays for them on top of what it allows a store, so a
    /// guest that fills more runs its start functions each time.
    pub(crate) const MAX_KEPT: u64 = 64 << 20;

    /// The image of an artifact.
    ///
    /// # Errors
    ///
    /// When it leaves what the layout makes accessible, or the file.
    pub(crate) fn of_artifact(artifact: &Arc<Artifact<FileMapping>>) -> Result<Image> {
        let metadata = artifact.metadata();
        let image = Image::new(
            &metadata.layout,
            Sizes::declared(&metadata.layout),
            metadata.image.clone(),
            Source::Artifact(artifact.clone()),
            metadata.interface.initializers.is_empty(),
        )?;
        image.check()?;
        Ok(image)
    }

    fn new(layout: &SlabLayout, sizes: Sizes, runs: Vec<ImageRun>, source: Source, started: bool) -> Result<Image> {
        let heads: Vec<_> = layout.domains.values().map(|domain| domain.head..domain.ctx).collect();
        let (mapped, copied) = split(&runs, &heads, source.mapping().file().is_some());
        Ok(Image {
            accessible: accessible(layout, &sizes),
            contexts: layout.domains.values().map(|domain| domain.ctx as usize).collect(),
            size: usize::try_from(layout.size)?,
            source,
            runs,
            mapped,
            copied,
            sizes,
            started,
        })
    }

    /// Checks what mapping and copying rely on.
    fn check(&self) -> Result<()> {
        let file_len = self.bytes().len() as u64;
        for run in &self.runs {
            let end = run
                .slab_offset
                .checked_add(run.len)
                .context("an image run is too long")?;
            let mut parts = self.accessible.iter();
            ensure!(
                parts.any(|part| part.start as u64 <= run.slab_offset && end <= part.end as u64),
                "the image leaves the accessible parts of the slab at {:#x}",
                run.slab_offset
            );
            let file_end = run.file_offset.checked_add(run.len);
            ensure!(file_end.is_some_and(|end| end <= file_len), "the image leaves the file");
            let aligned = [run.slab_offset, run.file_offset, run.len]
                .iter()
                .all(|offset| offset.is_multiple_of(PAGE));
            ensure!(aligned, "the image is not aligned to pages");
        }
        Ok(())
    }

    /// The image of `slab` as it stands, whose memories and tables have the given sizes, or `None` when it is too large or too
    /// scattered. `slab` was made from `self`, its start functions have run, and nobody uses it meanwhile.
    ///
    /// # Errors
    ///
    /// When the system gives no memory.
    pub(crate) fn capture(
        &self,
        layout: &SlabLayout,
        slab: &Slab,
        sizes: Sizes,
        pagemap: Option<&Pagemap>,
        memfd: bool,
    ) -> Result<Option<Image>> {
        slab.fill();
        let candidates = self.candidates(slab, &accessible(layout, &sizes), pagemap)?;
        let mut contents = Contents::default();
        for page in candidates.into_iter().flat_map(|range| range.step_by(PAGE as usize)) {
            // SAFETY: the page is of an accessible part, and nobody writes to it, as the caller promises.
            let bytes = unsafe { slab.bytes(page..page + PAGE as usize) };
            // Control blocks are no part of an image.
            let control = self.contexts.contains(&(page + bytes.len()));
            let significant = bytes.len() - if control { ControlBlock::SIZE as usize } else { 0 };
            if bytes[..significant].iter().any(|&byte| byte != 0) {
                contents.pages.push((page, &bytes[..significant]));
            }
            if contents.pages.len() as u64 * PAGE > Image::MAX_KEPT {
                return Ok(None);
            }
        }
        let runs = match contents.runs(&accessible(layout, &sizes)) {
            Some(runs) if runs.iter().map(|run| run.len).sum::<u64>() <= Image::MAX_KEPT => runs,
            _ => return Ok(None),
        };
        let places = contents.places(&runs);
        let len = runs.iter().map(|run| run.len as usize).sum::<usize>();
        let mapping = FileMapping::of_parts(len.max(PAGE as usize), &places, memfd)?;
        let image = Image::new(layout, sizes, runs, Source::Kept(mapping), true)?;
        image.check()?;
        Ok(Some(image))
    }

    /// The pages that may hold something: those that were written, and those that this image, which they were made from, has.
    fn candidates(
        &self,
        slab: &Slab,
        accessible: &[Range<usize>],
        pagemap: Option<&Pagemap>,
    ) -> Result<Vec<Range<usize>>> {
        let Some(pagemap) = pagemap else {
            return Ok(accessible.to_vec());
        };
        let mut found: Vec<_> = self.runs.iter().map(whole).collect();
        for part in accessible {
            slab.written(pagemap, part.clone(), |range| found.push(range))?;
        }
        found.sort_by_key(|range| range.start);
        merge(&mut found);
        Ok(found)
    }

    /// The file whose parts are mapped, if there is one.
    pub(crate) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.source.mapping().file()
    }

    /// What the runs' file offsets count in.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.source {
            Source::Artifact(artifact) => artifact.bytes(),
            Source::Kept(mapping) => mapping.as_ref(),
        }
    }

    /// All parts that are not zero, in order.
    pub(crate) fn runs(&self) -> &[ImageRun] {
        &self.runs
    }

    /// Slab offset and bytes of each page of the runs.
    pub(crate) fn pages(&self) -> Vec<(u64, &[u8; PAGE as usize])> {
        let pages = self.runs.iter().flat_map(|run| {
            let bytes = &self.bytes()[run.file_offset as usize..][..run.len as usize];
            let offsets = (run.slab_offset..).step_by(PAGE as usize);
            offsets.zip(bytes.as_chunks().0)
        });
        pages.collect()
    }

    /// The parts that are mapped from [`file`](Self::file).
    pub(crate) fn mapped(&self) -> &[ImageRun] {
        &self.mapped
    }

    /// The parts that are copied.
    pub(crate) fn copied(&self) -> &[ImageRun] {
        &self.copied
    }

    /// The accessible parts of a slab, in order.
    pub(crate) fn accessible(&self) -> &[Range<usize>] {
        &self.accessible
    }

    /// The slab offsets of the domains' context pointers.
    pub(crate) fn contexts(&self) -> &[usize] {
        &self.contexts
    }

    /// How large memories and tables are at the start.
    pub(crate) fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// The bytes of address space that a slab takes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Whether it is the artifact's.
    pub(crate) fn is_of_artifact(&self) -> bool {
        matches!(self.source, Source::Artifact(_))
    }

    /// Whether nothing is left of instantiation but taking a slab.
    pub(crate) fn started(&self) -> bool {
        self.started
    }

    /// About how many of the process's mappings a slab takes: a change of protection or file starts another.
    pub(crate) fn mappings(&self) -> usize {
        1 + 2 * self.accessible.len() + 2 * self.mapped.len()
    }
}

impl Source {
    fn mapping(&self) -> &FileMapping {
        match self {
            Source::Artifact(artifact) => artifact.owner(),
            Source::Kept(mapping) => mapping,
        }
    }
}

/// The pages of an image that is being made.
#[derive(Default)]
struct Contents<'a> {
    /// Slab offset and bytes, up to the last that belongs to the image, in order.
    pages: Vec<(usize, &'a [u8])>,
}

impl<'a> Contents<'a> {
    /// The pages as runs, none of which leaves its accessible part. Where pages are scattered, runs take in zeros between them;
    /// `None` when there are too many runs even so.
    fn runs(&self, accessible: &[Range<usize>]) -> Option<Vec<ImageRun>> {
        let mut gap = 0;
        loop {
            let runs = self.runs_over(gap, accessible);
            if runs.iter().filter(|run| run.len > COPY).count() <= MAX_KEPT_RUNS {
                return Some(runs);
            }
            if gap == MAX_GAP {
                return None;
            }
            gap = (2 * gap).max(PAGE);
        }
    }

    /// The pages as runs that take in up to `gap` bytes of zeros between pages.
    fn runs_over(&self, gap: u64, accessible: &[Range<usize>]) -> Vec<ImageRun> {
        let mut runs: Vec<ImageRun> = Vec::new();
        let mut parts = accessible.iter().peekable();
        let mut file_offset = 0;
        for &(page, _) in &self.pages {
            let new_part = parts.next_if(|part| part.end <= page).is_some();
            while parts.next_if(|part| part.end <= page).is_some() {}
            let page = page as u64;
            file_offset += match runs.last_mut() {
                Some(run) if !new_part && page - (run.slab_offset + run.len) <= gap => {
                    let more = page + PAGE - (run.slab_offset + run.len);
                    run.len += more;
                    more
                }
                _ => {
                    runs.push(ImageRun {
                        slab_offset: page,
                        file_offset,
                        len: PAGE,
                    });
                    PAGE
                }
            };
        }
        runs
    }

    /// The pages with their file offsets.
    fn places(&self, runs: &[ImageRun]) -> Vec<(usize, &'a [u8])> {
        let mut runs = runs.iter().peekable();
        let mut places = Vec::with_capacity(self.pages.len());
        for &(page, bytes) in &self.pages {
            while runs.next_if(|run| whole(run).end <= page).is_some() {}
            if let Some(run) = runs.peek() {
                places.push((run.file_offset as usize + page - run.slab_offset as usize, bytes));
            }
        }
        places
    }
}

/// The parts of a slab that are accessible when memories and object heaps have these sizes.
fn accessible(layout: &SlabLayout, sizes: &Sizes) -> Vec<Range<usize>> {
    let whole_pages = |start: u64, len: u64| start as usize..start as usize + len.next_multiple_of(PAGE) as usize;
    let tables = layout
        .tables
        .iter()
        .map(|(id, table)| whole_pages(layout.table_start(id), u64::from(table.capacity) * 8));
    let heads = layout
        .domains
        .values()
        .map(|domain| whole_pages(domain.head, domain.ctx - domain.head));
    let memories = sizes
        .memories
        .iter()
        .map(|(id, &size)| whole_pages(layout.memory_start(id), size));
    let heaps = sizes.heaps.iter().flat_map(
        |&HeapSize {
             domain,
             fixed,
             half: size,
         }| {
            let heap = layout.domains[domain].heap.as_ref();
            let parts = heap.map(|heap| {
                let start = layout.heap_start(domain, heap);
                let [first, second] = heap.halves().map(|half| whole_pages(start + half, size));
                [whole_pages(start + HeapLayout::FIRST, fixed), first, second]
            });
            parts.into_iter().flatten()
        },
    );
    let mut parts: Vec<_> = tables
        .chain(heads)
        .chain(heaps)
        .chain(memories)
        .filter(|part| !part.is_empty())
        .collect();
    parts.sort_by_key(|part| part.start);
    merge(&mut parts);
    parts
}

/// Makes one of ranges that touch or overlap; they are in order of their starts.
fn merge(ranges: &mut Vec<Range<usize>>) {
    ranges.dedup_by(|next, last| {
        let adjacent = last.end >= next.start;
        if adjacent {
            last.end = last.end.max(next.end);
        }
        adjacent
    });
}

/// Splits the image into what is mapped and what is copied: heads, whose control blocks are written by their first user, and short runs.
fn split(image: &[ImageRun], heads: &[Range<u64>], has_file: bool) -> (Vec<ImageRun>, Vec<ImageRun>) {
    let (mut mapped, mut copied) = (Vec::new(), Vec::new());
    let mut place = |run: ImageRun, in_head: bool| match has_file && !in_head && run.len > COPY {
        true => mapped.push(run),
        false => copied.push(run),
    };
    for &(mut run) in image {
        for head in heads {
            // A run that covers a head and what lies on either side of it is cut there.
            for cut in [head.start, head.end] {
                if (run.slab_offset + 1..run.slab_offset + run.len).contains(&cut) {
                    let len = cut - run.slab_offset;
                    place(ImageRun { len, ..run }, cut == head.end);
                    run = ImageRun {
                        slab_offset: cut,
                        file_offset: run.file_offset + len,
                        len: run.len - len,
                    };
                }
            }
        }
        let in_head = heads.iter().any(|head| head.contains(&run.slab_offset));
        place(run, in_head);
    }
    (mapped, copied)
}

/// The slab offsets of an image run.
pub fn whole(run: &ImageRun) -> Range<usize> {
    run.slab_offset as usize..(run.slab_offset + run.len) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use mintage_environ::layout::{MemoryShape, Shape, TableShape};
    use mintage_environ::{DomainId, Tunables};

    fn run(slab_pages: u64, file_pages: u64, pages: u64) -> ImageRun {
        ImageRun {
            slab_offset: slab_pages * PAGE,
            file_offset: file_pages * PAGE,
            len: pages * PAGE,
        }
    }

    #[test]
    fn heads_and_short_runs_are_copied() {
        // A run before a head, one over a head with pages on both sides, a short one; the head takes pages 10 to 12.
        let image = [run(0, 100, 5), run(6, 200, 20), run(40, 300, 2)];
        let heads = std::slice::from_ref(&(10 * PAGE..12 * PAGE));
        let (mapped, copied) = split(&image, heads, true);
        assert_eq!(mapped, [run(0, 100, 5), run(6, 200, 4), run(12, 206, 14)]);
        assert_eq!(copied, [run(10, 204, 2), run(40, 300, 2)]);
        let (mapped, copied) = split(&image, heads, false);
        assert_eq!((mapped.len(), copied.len()), (0, 5));
    }

    #[test]
    fn adjacent_parts_are_one() {
        let domain = DomainId::from_u32(0);
        let mut shape = Shape::default();
        let memory = MemoryShape {
            domain,
            minimum: 2,
            maximum: None,
            page_size_log2: 16,
            index64: false,
        };
        let main = shape.memories.push(memory);
        shape.domains.push(Some(main));
        for _ in 0..2 {
            shape.tables.push(TableShape {
                domain,
                minimum: 1 << 13,
                maximum: Some(1 << 13),
                index64: false,
            });
        }
        let layout = SlabLayout::compute(&shape, &Tunables::default()).unwrap();
        let mut sizes = Sizes::declared(&layout);
        let parts = accessible(&layout, &sizes);
        // Two tables of one region each, then the guard, then head and memory.
        assert_eq!(parts.len(), 2, "{parts:?}");
        assert_eq!(parts[0].len(), 2 << 16);
        assert_eq!(parts[1].end as u64, layout.memory_start(main) + (2 << 16));
        sizes.memories[main] += 1;
        assert_eq!(accessible(&layout, &sizes)[1].end, parts[1].end + PAGE as usize);
    }

    #[test]
    fn pages_become_runs_and_scattered_ones_not_too_many() {
        let page = PAGE as usize;
        let bytes = [1u8; PAGE as usize];
        let contents = |pages: &mut dyn Iterator<Item = usize>| Contents {
            pages: pages.map(|number| (number * page, &bytes[..])).collect(),
        };
        let whole_slab = 0..10_000 * page;
        let everything = std::slice::from_ref(&whole_slab);
        let few = contents(&mut [3, 4, 5, 9, 20].into_iter());
        let runs = few.runs(everything).unwrap();
        assert_eq!(runs, [run(3, 0, 3), run(9, 3, 1), run(20, 4, 1)]);
        let places: Vec<usize> = few.places(&runs).iter().map(|place| place.0 / page).collect();
        assert_eq!(places, [0, 1, 2, 3, 4]);

        // Three of every four, and a page that is too far away.
        let many = contents(&mut (0..4000).filter(|number| number % 4 < 3).chain([5000]));
        let runs = many.runs(everything).unwrap();
        assert_eq!(runs, [run(0, 0, 3999), run(5000, 3999, 1)]);
        let places = many.places(&runs);
        assert_eq!(places.len(), 3001);
        assert!(
            places[..3000]
                .iter()
                .zip(&many.pages)
                .all(|(place, page)| place.0 == page.0)
        );
        assert_eq!(places[3000].0, 3999 * page);
        // No run leaves its part, however near the next one is.
        let runs = many.runs(&[0..2003 * page, 2004 * page..10_000 * page]).unwrap();
        assert_eq!(runs, [run(0, 0, 2003), run(2004, 2003, 1995), run(5000, 3998, 1)]);

        // Three of every twenty are too many runs, and too far from each other.
        assert_eq!(
            contents(&mut (0..9000).filter(|number| number % 20 < 3)).runs(everything),
            None
        );
    }
}
