//! [`Image`]: the initial contents of a slab, and how to map them.
//!
//! A component has one image from its artifact: the state of its instances before start functions
//! run. If these change nothing outside the slab and do not depend on anything outside,
//! [`Image::capture`] keeps the slab as the first instance left it, and later instances start with
//! that state. The host may also capture an image at any later time.

use super::ranges::merge;
use super::sizes::{HeapSize, Sizes};
use super::{Slab, unit};
use crate::sys::mmap::FileMapping;
use crate::sys::pagemap::Pagemap;
use anyhow::{Context, Result, ensure};
use mintage_artifact::{Artifact, ImageRun, MAX_RUNS, PAGE, Piece, Plan, stretches};
use mintage_environ::ControlBlock;
use mintage_environ::layout::{HeapLayout, REGION_ALIGN, SlabLayout};
use std::ops::Range;
use std::sync::Arc;

/// The most pages, those of heads aside, that a captured image may have as patches.
const MAX_KEPT_PATCHES: usize = 256;

/// The bytes of an image.
enum ImageSource {
    /// In the artifact.
    Artifact(Arc<Artifact<FileMapping>>),
    /// In a file or in memory of their own.
    Kept(FileMapping),
}

/// The initial contents of a slab, which all instances of a component share.
pub struct Image {
    source: ImageSource,
    /// Whole pages, in order. They are mapped if there is a file, and copied otherwise.
    runs: Vec<ImageRun>,
    /// Bytes on other pages, in order. They are copied.
    patches: Vec<ImageRun>,
    /// Slab offsets of the accessible parts, in order, with adjacent ones merged.
    accessible: Vec<Range<usize>>,
    /// The slab offset of each domain's context pointer, in order. Its control block ends there.
    contexts: Vec<usize>,
    /// The sizes of memories, tables and GC heaps.
    sizes: Sizes,
    /// Address space in bytes.
    size: usize,
    /// The most mappings of the process that a slab takes.
    mappings: usize,
    /// Whether there are no start functions that would have to run.
    started: bool,
}

impl Image {
    /// The most bytes of pages that a captured image may have. The host pays for them in addition
    /// to what it allows a store. If a guest writes more, its start functions run for each
    /// instance.
    pub(crate) const MAX_KEPT: u64 = 64 << 20;

    /// Returns the image of an artifact.
    ///
    /// # Errors
    ///
    /// If it leaves the file or what the layout makes accessible.
    pub(crate) fn of_artifact(artifact: &Arc<Artifact<FileMapping>>) -> Result<Image> {
        let metadata = artifact.metadata();
        let sizes = Sizes::declared(&metadata.layout);
        let accessible = accessible(&metadata.layout, &sizes);
        let mut runs = metadata.image.clone();
        runs.iter_mut()
            .for_each(|run| shorten(run, &accessible, metadata.page()));
        let image = Image::new(
            &metadata.layout,
            sizes,
            [runs, metadata.patches.clone()],
            ImageSource::Artifact(artifact.clone()),
            metadata.interface.initializers.is_empty(),
        )?;
        image.check()?;
        Ok(image)
    }

    fn new(
        layout: &SlabLayout,
        sizes: Sizes,
        [runs, patches]: [Vec<ImageRun>; 2],
        source: ImageSource,
        started: bool,
    ) -> Result<Image> {
        let places = runs
            .iter()
            .map(|run| run.file_offset..run.file_offset + run.len);
        let mapped: usize = places
            .map(|place| {
                source
                    .mapping()
                    .count_files(place.start as usize..place.end as usize)
            })
            .sum();
        Ok(Image {
            accessible: accessible(layout, &sizes),
            contexts: layout
                .domains
                .values()
                .map(|domain| domain.ctx as usize)
                .collect(),
            size: usize::try_from(layout.size)?,
            // Each mapping of the file is one more, and may divide the one around it.
            mappings: count_mappings(&accessible(layout, &sizes.grown(layout)), layout.size)
                + 2 * mapped,
            source,
            runs,
            patches,
            sizes,
            started,
        })
    }

    /// Checks what mapping and copying rely on.
    fn check(&self) -> Result<()> {
        let file_len = self.bytes().len() as u64;
        for run in self.runs.iter().chain(&self.patches) {
            let end = run
                .slab_offset
                .checked_add(run.len)
                .context("an image run is too long")?;
            let part = self
                .accessible
                .partition_point(|part| part.end as u64 <= run.slab_offset);
            let part = self.accessible.get(part);
            ensure!(
                part.is_some_and(
                    |part| part.start as u64 <= run.slab_offset && end <= part.end as u64
                ),
                "the image leaves the accessible parts of the slab at {:#x}",
                run.slab_offset
            );
            let file_end = run.file_offset.checked_add(run.len);
            ensure!(
                file_end.is_some_and(|end| end <= file_len),
                "the image leaves the file"
            );
        }
        for run in &self.runs {
            let aligned = [run.slab_offset, run.file_offset, run.len]
                .iter()
                .all(|offset| offset.is_multiple_of(unit()));
            ensure!(aligned, "the image is not aligned to pages");
        }
        let within_page = |patch: &ImageRun| patch.slab_offset % PAGE + patch.len <= PAGE;
        ensure!(
            self.patches.iter().all(within_page),
            "a patch of the image crosses pages"
        );
        let ordered = |runs: &[ImageRun]| {
            runs.is_sorted_by(|run, next| slab_range(run).end <= slab_range(next).start)
        };
        ensure!(
            ordered(&self.runs) && ordered(&self.patches) && self.runs.len() <= MAX_RUNS,
            "the image is out of order"
        );
        Ok(())
    }

    /// Captures the present contents of `slab`, whose memories, tables and heaps have the given
    /// sizes. `slab` was made from `self`, its start functions have run, and no one uses it
    /// meanwhile. Returns `None` if the contents are too large or too scattered.
    ///
    /// # Errors
    ///
    /// If the system gives no memory.
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
        let (mut pages, mut pieces) = (0, Vec::new());
        for page in candidates
            .into_iter()
            .flat_map(|range| range.step_by(PAGE as usize))
        {
            // SAFETY: the page is in an accessible part, and no one writes to it, as the caller
            // promises.
            let bytes = unsafe { slab.bytes(page..page + PAGE as usize) };
            // Control blocks are not part of an image.
            let significant = bytes.len() - self.control_bytes(page);
            let before = pieces.len();
            pieces.extend(stretches(page as u64, &bytes[..significant]));
            pages += u64::from(pieces.len() > before);
            if pages * PAGE > Image::MAX_KEPT {
                return Ok(None);
            }
        }
        let plan = Plan::new(layout, &pieces, unit());
        if plan.pages_len() > Image::MAX_KEPT || plan.patched_pages > MAX_KEPT_PATCHES {
            return Ok(None);
        }
        let mut places: Vec<_> = plan
            .pages()
            .map(|(at, bytes)| (at as usize, bytes))
            .collect();
        let mut len = plan.pages_len();
        let mut patches = Vec::with_capacity(plan.patches.len());
        for &(slab_offset, bytes) in &plan.patches {
            places.push((len as usize, bytes));
            patches.push(ImageRun {
                slab_offset,
                file_offset: len,
                len: bytes.len() as u64,
            });
            len += bytes.len() as u64;
        }
        let mapping = FileMapping::of_parts(len.max(unit()) as usize, &places, memfd)?;
        let image = Image::new(
            layout,
            sizes,
            [plan.runs, patches],
            ImageSource::Kept(mapping),
            true,
        )?;
        image.check()?;
        Ok(Some(image))
    }

    /// Returns the pages that may not be zero: those that were written, and those of this image,
    /// from which the slab was made.
    fn candidates(
        &self,
        slab: &Slab,
        accessible: &[Range<usize>],
        pagemap: Option<&Pagemap>,
    ) -> Result<Vec<Range<usize>>> {
        let Some(pagemap) = pagemap else {
            return Ok(accessible.to_vec());
        };
        let mut found = self.pages_in(0..self.size);
        for part in accessible {
            slab.scan_written(pagemap, part.clone(), |_| (), |pages| found.push(pages))?;
        }
        found.sort_by_key(|range| range.start);
        merge(&mut found);
        Ok(found)
    }

    /// Returns the file whose parts are mapped, if there is one.
    pub(crate) fn file(&self) -> Option<&FileMapping> {
        Some(self.source.mapping()).filter(|mapping| mapping.has_file())
    }

    /// Returns the bytes that the file offsets of runs and patches refer to.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.source {
            ImageSource::Artifact(artifact) => artifact.bytes(),
            ImageSource::Kept(mapping) => mapping.as_ref(),
        }
    }

    /// Returns all bytes that are not zero, with their slab offsets, in order. No piece crosses a
    /// page.
    pub(crate) fn pieces(&self) -> Vec<Piece<'_>> {
        let pages = self.runs.iter().flat_map(|run| {
            let pages = self.source(run, slab_range(run)).chunks(PAGE as usize);
            (run.slab_offset..).step_by(PAGE as usize).zip(pages)
        });
        let pages = pages.filter(|(_, page)| page.iter().any(|&byte| byte != 0));
        let patches = self.patches.iter();
        let mut pieces: Vec<_> = pages
            .chain(patches.map(|patch| (patch.slab_offset, self.source(patch, slab_range(patch)))))
            .collect();
        pieces.sort_by_key(|&(offset, _)| offset);
        pieces
    }

    /// Returns the runs of pages that are mapped from [`file`](Self::file).
    pub(crate) fn mapped(&self) -> &[ImageRun] {
        match self.file() {
            Some(_) => &self.runs,
            None => &[],
        }
    }

    /// Returns what is copied in a part of the slab: slab offsets and bytes.
    pub(crate) fn copied_in(&self, part: Range<usize>) -> impl Iterator<Item = (usize, &[u8])> {
        let runs = if self.file().is_none() {
            &self.runs[..]
        } else {
            &[]
        };
        self.contents_in(runs, part.clone())
            .chain(self.contents_in(&self.patches, part))
    }

    /// Returns the whole pages in a part of the slab, mapped or not: slab offsets and bytes.
    pub(crate) fn runs_in(&self, part: Range<usize>) -> impl Iterator<Item = (usize, &[u8])> {
        self.contents_in(&self.runs, part)
    }

    /// Returns the patches in a part of the slab: slab offsets and bytes.
    pub(crate) fn patches_in(&self, part: Range<usize>) -> impl Iterator<Item = (usize, &[u8])> {
        self.contents_in(&self.patches, part)
    }

    /// Returns the pages in a part of the slab, which consists of whole pages, that are not zero,
    /// in order.
    pub(crate) fn pages_in(&self, part: Range<usize>) -> Vec<Range<usize>> {
        let unit = unit() as usize;
        let contents = self.runs_in(part.clone()).chain(self.patches_in(part));
        let mut pages: Vec<_> = contents
            .map(|(start, bytes)| start / unit * unit..(start + bytes.len()).next_multiple_of(unit))
            .collect();
        pages.sort_by_key(|pages| pages.start);
        merge(&mut pages);
        pages
    }

    /// Returns the contents of runs or patches in a part of the slab.
    fn contents_in<'a>(
        &'a self,
        runs: &'a [ImageRun],
        part: Range<usize>,
    ) -> impl Iterator<Item = (usize, &'a [u8])> {
        let first = runs.partition_point(|run| slab_range(run).end <= part.start);
        let runs = runs[first..].iter();
        runs.map_while(move |run| {
            let place = slab_range(run);
            let common = place.start.max(part.start)..place.end.min(part.end);
            (!common.is_empty()).then(|| (common.start, self.source(run, common)))
        })
    }

    /// Returns the bytes of a part of a run.
    fn source(&self, run: &ImageRun, part: Range<usize>) -> &[u8] {
        let start = run.file_offset as usize + (part.start - run.slab_offset as usize);
        &self.bytes()[start..start + part.len()]
    }

    /// Returns all runs of whole pages, mapped or not.
    pub(crate) fn runs(&self) -> &[ImageRun] {
        &self.runs
    }

    /// Returns all patches: bytes on other pages.
    pub(crate) fn patches(&self) -> &[ImageRun] {
        &self.patches
    }

    /// Returns the accessible parts of a slab, in order.
    pub(crate) fn accessible(&self) -> &[Range<usize>] {
        &self.accessible
    }

    /// Returns the slab offsets of the domains' context pointers.
    pub(crate) fn contexts(&self) -> &[usize] {
        &self.contexts
    }

    /// Returns how many bytes at the end of a page belong to a control block.
    pub(crate) fn control_bytes(&self, page: usize) -> usize {
        match self.contexts.binary_search(&(page + PAGE as usize)) {
            Ok(_) => ControlBlock::SIZE as usize,
            Err(_) => 0,
        }
    }

    /// Returns the initial sizes of memories, tables and GC heaps.
    pub(crate) fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// Returns the bytes of address space that a slab takes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Returns whether the image is the artifact's.
    pub(crate) fn is_of_artifact(&self) -> bool {
        matches!(self.source, ImageSource::Artifact(_))
    }

    /// Returns whether instances need no start functions to run.
    pub(crate) fn started(&self) -> bool {
        self.started
    }

    /// Returns the most mappings of the process that a slab takes, whatever grows in it.
    pub(crate) fn mappings(&self) -> usize {
        self.mappings
    }
}

impl ImageSource {
    fn mapping(&self) -> &FileMapping {
        match self {
            ImageSource::Artifact(artifact) => artifact.owner(),
            ImageSource::Kept(mapping) => mapping,
        }
    }
}

/// Returns the parts of a slab that are accessible when memories and GC heaps have these sizes.
fn accessible(layout: &SlabLayout, sizes: &Sizes) -> Vec<Range<usize>> {
    let whole_pages = |start: u64, len: u64| {
        start as usize..start as usize + len.next_multiple_of(unit()) as usize
    };
    let tables = layout
        .tables
        .iter()
        // Up to the next table, which would otherwise be another mapping.
        .map(|(id, table)| {
            let size = (u64::from(table.capacity) * 8).next_multiple_of(REGION_ALIGN);
            whole_pages(layout.table_start(id), size)
        });
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
             statics,
             half: size,
         }| {
            let heap = layout.domains[domain].heap.as_ref();
            let parts = heap.map(|heap| {
                let start = layout.heap_start(domain, heap);
                let [first, second] = heap.halves().map(|half| whole_pages(start + half, size));
                [
                    whole_pages(start + HeapLayout::FIRST, statics),
                    first,
                    second,
                ]
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

/// Returns how many mappings divide a slab of `size` bytes into accessible and inaccessible parts.
fn count_mappings(accessible: &[Range<usize>], size: u64) -> usize {
    let mut end = 0;
    let mut count = 0;
    for part in accessible {
        count += 1 + usize::from(part.start > end);
        end = part.end;
    }
    count + usize::from((end as u64) < size)
}

/// Ends a run where its accessible part ends, if that is on the last page of `page` bytes: of a
/// memory that is smaller than a page, less may be accessible where the system's pages are smaller.
fn shorten(run: &mut ImageRun, accessible: &[Range<usize>], page: u64) {
    let part = accessible.partition_point(|part| part.end as u64 <= run.slab_offset);
    let Some(part) = accessible.get(part) else {
        return;
    };
    let most = (part.end as u64).saturating_sub(run.slab_offset);
    if run.len > most && run.len - most < page {
        run.len = most;
    }
}

/// Returns the slab offsets of an image run.
pub fn slab_range(run: &ImageRun) -> Range<usize> {
    run.slab_offset as usize..(run.slab_offset + run.len) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use mintage_environ::layout::{MemoryShape, Shape, TableShape};
    use mintage_environ::{DomainId, Tunables};

    /// An artifact for pages of 64 KiB, on a system with pages of 4 KiB.
    #[test]
    fn runs_end_with_their_part() {
        let accessible = [0x1_0000..0x1_1000, 0x3_0000..0x5_2000];
        let shortened = |slab_offset, len| {
            let mut run = ImageRun {
                slab_offset,
                file_offset: 0,
                len,
            };
            shorten(&mut run, &accessible, 64 << 10);
            run.len
        };
        assert_eq!(shortened(0x1_0000, 0x1_0000), 0x1000);
        assert_eq!(shortened(0x3_0000, 0x2_0000), 0x2_0000);
        assert_eq!(shortened(0x4_0000, 0x2_0000), 0x1_2000);
        // These leave the part in earnest, which is an error.
        assert_eq!(shortened(0x1_0000, 0x2_0000), 0x2_0000);
        assert_eq!(shortened(0x6_0000, 0x1_0000), 0x1_0000);
        assert_eq!(shortened(0x3_0000, u64::MAX), u64::MAX);
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
                minimum: 7,
                maximum: Some(7),
                index64: false,
            });
        }
        let layout = SlabLayout::compute(&shape, &Tunables::default()).unwrap();
        let mut sizes = Sizes::declared(&layout);
        let parts = accessible(&layout, &sizes);
        // Two small tables, which are one part nevertheless, then the guard, then head and memory.
        assert_eq!(parts.len(), 2, "{parts:?}");
        assert_eq!(parts[0].len(), 2 << 16);
        assert_eq!(parts[1].end as u64, layout.memory_start(main) + (2 << 16));
        assert_eq!(count_mappings(&parts, layout.size), 4);
        assert_eq!(count_mappings(&parts[1..], parts[1].end as u64), 2);
        sizes.memories[main] += 1;
        assert_eq!(
            accessible(&layout, &sizes)[1].end,
            parts[1].end + PAGE as usize
        );
    }
}
