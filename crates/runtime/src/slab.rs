//! [`Slab`]: the address space of one instance, as its layout and image say.
//!
//! What to map is the same for all instances of a component, so it is worked out once, as a [`Plan`]. A slab is taken with
//! [`Slab::acquire`] and given back by dropping it; nobody else maps or unmaps, so that a pool of slabs is a change here only.

use crate::code::Code;
use crate::sys::mmap::{FileMapping, Reservation};
use anyhow::{Context, Result, ensure};
use mintage_artifact::{Artifact, ImageRun, PAGE};
use mintage_environ::MemoryId;
use mintage_environ::layout::SlabLayout;
use std::ops::Range;
use std::ptr::{self, NonNull};

/// Image runs up to this size are copied rather than mapped: a mapping costs a call, a later page fault and its removal,
/// together more than copying a few pages.
const COPY: u64 = 2 * PAGE;

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
    let mut parts: Vec<_> = tables
        .chain(heads)
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
}

impl Slab {
    /// A slab as it stands right after instantiation, control blocks aside, which are zero.
    ///
    /// # Errors
    ///
    /// When the operating system gives no address space or memory.
    pub fn acquire(code: &Code) -> Result<Slab> {
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
        for run in &plan.copied {
            let source = &code.bytes()[run.file_offset as usize..][..run.len as usize];
            // SAFETY: the plan has checked that the run lies in an accessible part of the reservation, which is our own.
            unsafe {
                let target = reservation.base().as_ptr().add(run.slab_offset as usize);
                ptr::copy_nonoverlapping(source.as_ptr(), target, source.len());
            }
        }
        Ok(Slab { reservation })
    }

    /// The first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.reservation.base()
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
    pub fn grow_memory(&self, layout: &SlabLayout, id: MemoryId, old_size: u64, new_size: u64) -> std::io::Result<()> {
        let (old_end, new_end) = (old_size.next_multiple_of(PAGE), new_size.next_multiple_of(PAGE));
        if old_end == new_end {
            return Ok(());
        }
        self.reservation.make_accessible(
            (layout.memory_start(id) + old_end) as usize,
            (new_end - old_end) as usize,
        )
    }
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

    /// Compares a slab with the image, byte for byte, by the metadata alone.
    fn check_slab(code: &Code, slab: &Slab) {
        for part in accessible(code.layout()) {
            // SAFETY: the part is accessible, and the test alone has the slab.
            let bytes = unsafe { std::slice::from_raw_parts(slab.base().as_ptr().add(part.start), part.len()) };
            for (page, bytes) in bytes.chunks(PAGE as usize).enumerate() {
                let offset = part.start as u64 + page as u64 * PAGE;
                let run = code
                    .metadata()
                    .image
                    .iter()
                    .find(|run| (run.slab_offset..run.slab_offset + run.len).contains(&offset));
                match run {
                    Some(run) => {
                        let start = (run.file_offset + offset - run.slab_offset) as usize;
                        assert!(*bytes == code.bytes()[start..start + bytes.len()], "at {offset:#x}");
                    }
                    None => assert!(bytes.iter().all(|&byte| byte == 0), "at {offset:#x}"),
                }
            }
        }
    }

    #[test]
    fn slabs_hold_the_image_with_and_without_a_file() {
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
        for mapping in [
            FileMapping::copy_of(&artifact).unwrap(),
            FileMapping::anonymous_copy(&artifact).unwrap(),
        ] {
            let has_file = mapping.file().is_some();
            // SAFETY: the compiler made the artifact.
            let code = unsafe { Code::publish(mapping, &check) }.unwrap();
            assert_eq!(!code.plan().mapped.is_empty(), has_file);
            assert!(!code.plan().copied.is_empty());
            check_slab(&code, &Slab::acquire(&code).unwrap());
        }
    }
}
