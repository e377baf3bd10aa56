//! [`Slab`]: the address space of one instance, as its layout and image say.
//!
//! What to map is the same for all instances of a component, so it is worked out once, as a [`Plan`]. A slab is taken with
//! [`Slab::acquire`] and given back with [`Slab::release`], which makes it as it was and keeps it for the next instance of the
//! component. Nobody else maps or unmaps.
//!
//! Invariant: a slab that [`Slab::acquire`] gives holds the image and nothing else, but for control blocks, which whoever
//! acquires it writes. Debug builds compare every byte when a slab is released.

use crate::code::Code;
use crate::sys::mmap::{FileMapping, Reservation};
use crate::sys::pagemap::Pagemap;
use anyhow::{Context, Result, ensure};
use mintage_artifact::{Artifact, ImageRun, PAGE};
use mintage_environ::MemoryId;
use mintage_environ::layout::{HeapLayout, SlabLayout};
use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};

/// Image runs up to this size are copied rather than mapped: a mapping costs a call, a later page fault and its removal,
/// together more than copying a few pages.
const COPY: u64 = 2 * PAGE;

/// Bytes of written pages that a released slab keeps in memory, so that the next instance does not fault on them: 256 pages.
/// Copying a page back is one copy of 4 KiB, and a fault is an exception besides. What was written beyond that is given back to
/// the system.
const KEEP: usize = 1 << 20;

/// How to make a slab ready: the same for each instance of a component.
pub struct Plan {
    /// Address space in bytes.
    size: usize,
    /// The parts that are accessible at the start, in order, adjacent ones merged: slab offsets.
    accessible: Vec<Range<usize>>,
    /// Image parts that are mapped from the artifact's file, in order.
    mapped: Vec<ImageRun>,
    /// Image parts that are copied.
    copied: Vec<ImageRun>,
}

impl Plan {
    /// The plan for an artifact.
    ///
    /// # Errors
    ///
    /// When the image leaves what the layout makes accessible, or the file.
    pub fn new(artifact: &Artifact<FileMapping>) -> Result<Plan> {
        let metadata = artifact.metadata();
        let layout = &metadata.layout;
        let accessible = accessible(layout);
        for run in &metadata.image {
            let end = run
                .slab_offset
                .checked_add(run.len)
                .context("an image run is too long")?;
            let inside = accessible
                .iter()
                .any(|part| part.start as u64 <= run.slab_offset && end <= part.end as u64);
            ensure!(
                inside,
                "the image leaves the accessible parts of the slab at {:#x}",
                run.slab_offset
            );
            let file_end = run.file_offset.checked_add(run.len);
            ensure!(
                file_end.is_some_and(|end| end <= artifact.bytes().len() as u64),
                "the image leaves the file"
            );
            let aligned = [run.slab_offset, run.file_offset, run.len]
                .iter()
                .all(|offset| offset.is_multiple_of(PAGE));
            ensure!(aligned, "the image is not aligned to pages");
        }
        let heads: Vec<_> = layout.domains.values().map(|domain| domain.head..domain.ctx).collect();
        let (mapped, copied) = split(&metadata.image, &heads, artifact.owner().file().is_some());
        Ok(Plan {
            size: usize::try_from(layout.size)?,
            accessible,
            mapped,
            copied,
        })
    }
}

/// The parts of a slab that are accessible at the start.
fn accessible(layout: &SlabLayout) -> Vec<Range<usize>> {
    let whole_pages = |start: u64, len: u64| start as usize..start as usize + len.next_multiple_of(PAGE) as usize;
    let tables = layout
        .tables
        .iter()
        .map(|(id, table)| whole_pages(layout.table_start(id), u64::from(table.capacity) * 8));
    let heads = layout
        .domains
        .values()
        .map(|domain| whole_pages(domain.head, domain.ctx - domain.head));
    let memories = layout
        .memories
        .iter()
        .map(|(id, memory)| whole_pages(layout.memory_start(id), memory.minimum));
    let heaps = layout.heaps().flat_map(|(id, heap)| {
        let start = layout.heap_start(id, heap);
        heap.halves().map(|half| whole_pages(start + half, heap.minimum))
    });
    let mut parts: Vec<_> = tables
        .chain(heads)
        .chain(heaps)
        .chain(memories)
        .filter(|part| !part.is_empty())
        .collect();
    parts.sort_by_key(|part| part.start);
    parts.dedup_by(|next, last| {
        let adjacent = last.end >= next.start;
        if adjacent {
            last.end = last.end.max(next.end);
        }
        adjacent
    });
    parts
}

/// Splits the image into what is mapped and what is copied: heads, whose control blocks are written at once, and short runs.
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

/// The address space of one instance, with the image in it.
pub struct Slab {
    reservation: Reservation,
    /// What was made accessible since the slab was acquired: parts that memories grew into.
    grown: RefCell<Vec<Range<usize>>>,
}

impl Slab {
    /// A slab as it stands right after instantiation, control blocks aside, which hold nothing of meaning.
    ///
    /// # Errors
    ///
    /// When the operating system gives no address space or memory.
    pub fn acquire(code: &Code) -> Result<Slab> {
        match code.pool().take() {
            Some(slab) => Ok(slab),
            None => Slab::map(code),
        }
    }

    /// Gives the slab back, for the next instance of the same component. `touched` tells whether anybody may have written to
    /// it, control blocks aside.
    pub fn release(self, code: &Code, touched: bool) {
        // A slab that cannot be made clean is unmapped instead.
        if touched && self.reset(code, Pagemap::get()).is_err() {
            return;
        }
        debug_assert_eq!(self.difference(code), None, "a released slab differs from the image");
        code.pool().put(self);
    }

    fn map(code: &Code) -> Result<Slab> {
        let plan = code.plan();
        let what = || format!("cannot get a slab of {:#x} bytes of address space", plan.size);
        let reservation = Reservation::new(plan.size).with_context(what)?;
        for part in &plan.accessible {
            reservation.make_accessible(part.start, part.len()).with_context(what)?;
        }
        if let Some(file) = code.artifact().owner().file() {
            for run in &plan.mapped {
                // SAFETY: nobody has seen the new reservation yet; the file does not change, as `Code::open` demands.
                unsafe { reservation.map_file(run.slab_offset as usize, file, run.file_offset, run.len as usize) }
                    .with_context(|| format!("cannot map {:#x} bytes of a component's image", run.len))?;
            }
        }
        let slab = Slab {
            reservation,
            grown: RefCell::default(),
        };
        for run in &plan.copied {
            slab.copy(code, run, whole(run));
        }
        Ok(slab)
    }

    /// The first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.reservation.base()
    }

    /// The bytes of address space.
    pub fn len(&self) -> usize {
        self.reservation.len()
    }

    /// Whether an address is of this slab.
    pub fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.base().as_ptr() as usize) < self.reservation.len()
    }

    /// Makes the bytes from `old_size` to `new_size` of a memory accessible; at most its capacity.
    ///
    /// # Errors
    ///
    /// When the system gives no memory.
    pub fn grow_memory(&self, layout: &SlabLayout, id: MemoryId, old_size: u64, new_size: u64) -> io::Result<()> {
        let (old_end, new_end) = (old_size.next_multiple_of(PAGE), new_size.next_multiple_of(PAGE));
        if old_end == new_end {
            return Ok(());
        }
        let start = layout.memory_start(id);
        self.grow((start + old_end) as usize..(start + new_end) as usize)
    }

    /// Makes both halves of an object heap accessible from `old_size` to `new_size`, at most its capacity.
    ///
    /// # Errors
    ///
    /// When the system gives no memory.
    pub fn grow_heap(&self, start: u64, heap: &HeapLayout, old_size: u64, new_size: u64) -> io::Result<()> {
        for half in heap.halves() {
            self.grow((start + half + old_size) as usize..(start + half + new_size) as usize)?;
        }
        Ok(())
    }

    /// Makes a part accessible until the slab is reset.
    fn grow(&self, part: Range<usize>) -> io::Result<()> {
        // Noted first: a part that is made accessible in vain is made inaccessible all the same.
        let mut grown = self.grown.borrow_mut();
        match grown.last_mut() {
            Some(last) if last.end == part.start => last.end = part.end,
            _ => grown.push(part.clone()),
        }
        self.reservation.make_accessible(part.start, part.len())
    }

    /// Makes the slab as it was when it was mapped. With a `pagemap`, only what was written is touched.
    fn reset(&self, code: &Code, pagemap: Option<&Pagemap>) -> io::Result<()> {
        for part in self.grown.take() {
            // SAFETY: the instance that used the slab is gone.
            unsafe { self.reservation.make_inaccessible(part.start, part.len())? };
        }
        let base = self.base().as_ptr() as usize;
        let Some(pagemap) = pagemap else {
            for part in &code.plan().accessible {
                self.discard(code, part.clone())?;
            }
            return Ok(());
        };
        let mut written = Vec::new();
        for part in &code.plan().accessible {
            pagemap.written(base + part.start..base + part.end, |range| {
                written.push(range.start - base..range.end - base);
            })?;
        }
        let mut budget = KEEP;
        for range in written {
            let kept = range.start..range.start + range.len().min(budget);
            budget -= kept.len();
            self.restore(code, kept.clone());
            if kept.end < range.end {
                self.discard(code, kept.end..range.end)?;
            }
        }
        Ok(())
    }

    /// Gives pages back to the system, and copies what of the image is not mapped there.
    fn discard(&self, code: &Code, range: Range<usize>) -> io::Result<()> {
        // SAFETY: the instance that used the slab is gone.
        unsafe { self.reservation.discard(range.start, range.len())? };
        for run in &code.plan().copied {
            self.copy(code, run, range.clone());
        }
        Ok(())
    }

    /// Writes the image, and zeros where it has nothing, over accessible pages.
    fn restore(&self, code: &Code, range: Range<usize>) {
        let image = &code.metadata().image;
        let first = image.partition_point(|run| whole(run).end <= range.start);
        let mut position = range.start;
        let runs = image[first..].iter().take_while(|run| whole(run).start < range.end);
        for run in runs {
            self.zero(position..whole(run).start);
            self.copy(code, run, range.clone());
            position = whole(run).end;
        }
        self.zero(position..range.end);
    }

    /// Copies the part of an image run that lies in `range`, which is accessible.
    fn copy(&self, code: &Code, run: &ImageRun, range: Range<usize>) {
        let place = whole(run);
        let part = place.start.max(range.start)..place.end.min(range.end);
        if part.is_empty() {
            return;
        }
        let source = run.file_offset as usize + (part.start - place.start);
        let source = &code.bytes()[source..source + part.len()];
        // SAFETY: the plan has checked that the run lies in an accessible part of the reservation, which nobody else uses:
        // either it is new or the instance that used it is gone.
        unsafe {
            let target = self.base().as_ptr().add(part.start);
            ptr::copy_nonoverlapping(source.as_ptr(), target, source.len());
        }
    }

    /// Writes zeros over accessible bytes.
    fn zero(&self, range: Range<usize>) {
        if !range.is_empty() {
            // SAFETY: only pages of accessible parts are restored, and nobody else uses them, as above.
            unsafe { self.base().as_ptr().add(range.start).write_bytes(0, range.len()) };
        }
    }

    /// The first offset at which the slab differs from the image, control blocks aside: the check of the reset, which shares
    /// no code with it.
    fn difference(&self, code: &Code) -> Option<usize> {
        const CONTROL: usize = mintage_environ::ControlBlock::SIZE as usize;
        let image = &code.metadata().image;
        let ctxs: Vec<usize> = code
            .layout()
            .domains
            .values()
            .map(|domain| domain.ctx as usize)
            .collect();
        for page in code
            .plan()
            .accessible
            .iter()
            .flat_map(|part| part.clone().step_by(PAGE as usize))
        {
            let run = image
                .iter()
                .find(|run| (run.slab_offset..run.slab_offset + run.len).contains(&(page as u64)));
            // SAFETY: the page is in an accessible part, and nobody writes to it.
            let found = unsafe { std::slice::from_raw_parts(self.base().as_ptr().add(page), PAGE as usize) };
            let expected = run.map(|run| {
                &code.bytes()[(run.file_offset + page as u64 - run.slab_offset) as usize..][..PAGE as usize]
            });
            let compared = match ctxs.contains(&(page + PAGE as usize)) {
                true => PAGE as usize - CONTROL,
                false => PAGE as usize,
            };
            let same = match expected {
                Some(expected) => found[..compared] == expected[..compared],
                None => found[..compared].iter().all(|&byte| byte == 0),
            };
            if !same {
                return Some(page);
            }
        }
        None
    }
}

/// The slab offsets of an image run.
fn whole(run: &ImageRun) -> Range<usize> {
    run.slab_offset as usize..(run.slab_offset + run.len) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LoadCheck;
    use mintage_compile::NoProgress;
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
        let parts = accessible(&layout);
        // Two tables of one region each, then the guard, then head and memory.
        assert_eq!(parts.len(), 2, "{parts:?}");
        assert_eq!(parts[0].len(), 2 << 16);
        assert_eq!(parts[1].end as u64, layout.memory_start(main) + (2 << 16));
    }

    #[test]
    fn slabs_hold_the_image_and_are_reset_to_it() {
        // Two memories, of which one has long and short runs in its image, and tables on both sides of the copy threshold.
        let (data, functions) = ("0123456789abcdef".repeat(3000), "$f ".repeat(3000));
        let component = format!(
            r#"(component
                 (core module $m
                   (memory 20) (memory 2)
                   (data (i32.const 100) "short") (data (i32.const 70000) "{data}") (data (i32.const 200000) "{data}")
                   (data (memory 1) (i32.const 65530) "over a page")
                   (func $f) (table 3000 funcref) (table 5 funcref)
                   (elem (table 0) (i32.const 0) func {functions}) (elem (table 1) (i32.const 4) func $f)
                   (global (export "g") (mut i64) (i64.const -1))
                   (func (export "all") (drop (call_indirect 0 (result i32) (i32.const 0)))
                     (table.set 1 (i32.const 0) (table.get 0 (i32.const 0)))))
                 (core instance (instantiate $m)))"#
        );
        let tunables = Tunables {
            core_exports: true,
            ..Tunables::default()
        };
        let bytes = wat::parse_str(component).unwrap();
        let artifact =
            mintage_compile::compile(&bytes, &tunables, &NoProgress).unwrap_or_else(|error| panic!("{error:?}"));
        let check = LoadCheck {
            tunables,
            ..LoadCheck::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("artifact");
        std::fs::write(&path, &artifact).unwrap();
        for mapping in [
            // SAFETY: nobody else knows the file.
            unsafe { FileMapping::open(&path) }.unwrap(),
            FileMapping::copy_of(&artifact).unwrap(),
            FileMapping::anonymous_copy(&artifact).unwrap(),
        ] {
            let has_file = mapping.file().is_some();
            // SAFETY: the compiler made the artifact.
            let code = unsafe { Code::publish(mapping, &check) }.unwrap();
            assert_eq!(!code.plan().mapped.is_empty(), has_file);
            assert!(!code.plan().copied.is_empty());
            let slab = Slab::acquire(&code).unwrap();
            assert_eq!(slab.difference(&code), None);
            for seed in 0..40 {
                scribble(&code, &slab, seed);
                let pagemap = Pagemap::get().filter(|_| seed % 2 == 0);
                slab.reset(&code, pagemap).unwrap();
                assert_eq!(slab.difference(&code), None, "seed {seed}");
                assert!(slab.grown.borrow().is_empty());
            }
        }
    }

    /// Writes all over a slab, as guest and host may: single bytes, whole stretches, and what memories grow into.
    fn scribble(code: &Code, slab: &Slab, seed: u64) {
        let mut state = seed;
        let mut random = |below: usize| {
            // Knuth's generator; its high bits are good.
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        let write = |offset: usize, len: usize| {
            // SAFETY: the callers below stay within what is accessible, and the test alone has the slab.
            unsafe { slab.base().as_ptr().add(offset).write_bytes(0xa5, len) }
        };
        let plan = code.plan();
        for _ in 0..random(200) {
            let part = &plan.accessible[random(plan.accessible.len())];
            let offset = random(part.len());
            // Now and then more than a reset keeps in memory.
            let len = [1, 8, 5000, 2 * KEEP][random(4)].min(part.len() - offset);
            write(part.start + offset, len);
        }
        for id in code.layout().memories.keys() {
            let (mut size, start) = (code.layout().memories[id].minimum, code.layout().memory_start(id));
            for _ in 0..random(4) {
                let grown = size + (1 + random(3) as u64) * 65536;
                slab.grow_memory(code.layout(), id, size, grown).unwrap();
                write((start + size) as usize, (grown - size) as usize);
                size = grown;
            }
        }
    }

    #[test]
    fn differences_from_the_image_are_found() {
        let bytes = wat::parse_str("(component (core module $m (memory 1)) (core instance (instantiate $m)))").unwrap();
        let artifact = mintage_compile::compile(&bytes, &Tunables::default(), &NoProgress).unwrap();
        // SAFETY: the compiler made the artifact.
        let code = unsafe { Code::from_bytes(&artifact, &LoadCheck::default()) }.unwrap();
        let slab = Slab::acquire(&code).unwrap();
        let end = code.plan().accessible.last().unwrap().end;
        // SAFETY: the byte is the last one of the memory.
        unsafe { slab.base().as_ptr().add(end - 1).write(1) };
        assert_eq!(slab.difference(&code), Some(end - PAGE as usize));
    }
}
