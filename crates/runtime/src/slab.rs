//! [`Slab`]: the address space of one instance, as its layout and image say.
//!
//! What to map is the same for all instances of a component: an [`Image`]. A slab is taken with [`Slab::acquire`] and given
//! back with [`Slab::release`], which makes it as it was and keeps it for the next instance of the component. Nobody else maps
//! or unmaps.
//!
//! Invariant: a slab that [`Slab::acquire`] gives and [`Slab::fill`] has seen to holds the image and nothing else, but for control
//! blocks, which its first user writes. Until then nothing of a new one is in memory. Debug builds compare every byte when a
//! slab is released.

use crate::Code;
use crate::data::InstanceData;
use crate::image::{Image, whole};
use crate::pool::{Claim, Shelf};
use crate::sys::mmap::Reservation;
use crate::sys::pagemap::Pagemap;
use anyhow::{Context, Result};
use mintage_artifact::{ImageRun, PAGE};
use mintage_environ::layout::{HeapLayout, SlabLayout};
use mintage_environ::{ControlBlock, MemoryId};
use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Bytes that are put back by copying where the system does not tell which pages were written, at the starts of the accessible
/// parts in equal shares. Most guests have their stack and their data there. More would mostly copy what nobody wrote.
const PREFIX: usize = 128 << 10;

/// The address space of one instance, with the image in it.
pub struct Slab(Box<Inner>);

struct Inner {
    reservation: Reservation,
    /// What the slab holds when nobody uses it.
    image: Arc<Image>,
    /// Whether what of the image is copied is there.
    filled: Cell<bool>,
    /// The context pointer of each domain.
    contexts: Box<[*mut u8]>,
    /// The pages that a write to needs no page fault, while all of them are known.
    written: Option<Vec<Range<usize>>>,
    /// What was made accessible since the slab was acquired: parts that memories grew into.
    grown: RefCell<Vec<Range<usize>>>,
    /// Room on the heap for the run-time data of the instance; not here while one lives.
    room: Option<Room>,
    claim: Claim,
}

/// What of a slab an instance may have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Nothing: nobody has used it.
    Nothing,
    /// No page for the first time: only one thread has used it, and had no page fault meanwhile. What the slab knew is still true.
    Known,
    /// Anything.
    Anything,
}

/// Room for the run-time data of an instance.
type Room = Box<MaybeUninit<InstanceData>>;

// SAFETY: the pointers are into the slab's own address space, which is of the process and not of a thread.
unsafe impl Send for Slab {}

impl Slab {
    /// A slab with `image` in it, which is one of `code`.
    ///
    /// # Errors
    ///
    /// When a limit of the pool is reached, or the operating system gives no address space or memory.
    pub fn acquire(code: &Code, image: &Arc<Image>) -> Result<Slab> {
        let shelf = code.shelf();
        // Only slabs of one image are kept: that of the start functions, as soon as there is one.
        let kept = Arc::ptr_eq(image, code.image());
        let take = || shelf.take().filter(|slab| kept && Arc::ptr_eq(&slab.0.image, image));
        if kept && let Some(slab) = take() {
            return Ok(slab);
        }
        let claim = match shelf.claim(image.size() as u64, image.mappings()) {
            Ok(claim) => claim,
            // Another thread may have put one back meanwhile.
            Err(error) => return take().ok_or(error),
        };
        Slab::map(image, claim)
    }

    fn map(image: &Arc<Image>, claim: Claim) -> Result<Slab> {
        let pool = claim.pool().clone();
        let reservation = match Slab::map_reservation(image) {
            Err(_) if pool.evict_all() => Slab::map_reservation(image),
            result => result,
        };
        let what = || {
            let size = image.size().div_ceil(1 << 30);
            format!(
                "the system gives no slab of {size} GiB of address space: {}",
                pool.describe()
            )
        };
        let reservation = reservation.with_context(what)?;
        // SAFETY: context pointers are offsets in the slab.
        let context = |&ctx: &usize| unsafe { reservation.base().as_ptr().add(ctx) };
        Ok(Slab(Box::new(Inner {
            contexts: image.contexts().iter().map(context).collect(),
            reservation,
            image: image.clone(),
            filled: Cell::new(image.copied().is_empty()),
            written: None,
            grown: RefCell::default(),
            room: None,
            claim,
        })))
    }

    /// Copies what of the image is not mapped, if nobody has done so: before the first access.
    pub fn fill(&self) {
        if !self.0.filled.replace(true) {
            for run in self.0.image.copied() {
                self.copy(run, whole(run));
            }
        }
    }

    fn map_reservation(image: &Image) -> io::Result<Reservation> {
        let reservation = Reservation::new(image.size())?;
        // What is known of written pages holds for small ones.
        reservation.avoid_huge_pages()?;
        for part in image.accessible() {
            reservation.make_accessible(part.start, part.len())?;
        }
        if let Some(file) = image.file() {
            for run in image.mapped() {
                let part = whole(run);
                // SAFETY: nobody has seen the new reservation yet; the file does not change: it is sealed, or `Code::open`
                // demands it.
                unsafe { reservation.map_file(part.start, file, run.file_offset, part.len())? };
            }
        }
        Ok(reservation)
    }

    /// Gives the slab back, for the next instance of the same component. `written` tells of what may have been written to, control
    /// blocks aside.
    pub fn release(mut self, code: &Code, written: Written) {
        let shelf = code.shelf();
        if !Arc::ptr_eq(&self.0.image, code.image()) {
            // No other instance wants this one.
            return;
        }
        match written {
            Written::Nothing => {
                debug_assert_eq!(
                    self.difference(),
                    None,
                    "a slab that nobody touched differs from the image"
                );
                shelf.put(self);
            }
            Written::Known => shelf.put_dirty(self),
            Written::Anything => {
                self.0.written = None;
                shelf.put_dirty(self);
            }
        }
    }

    /// Whether it is known which pages may have been written to: then only a page fault can change that.
    pub fn knows_written(&self) -> bool {
        self.0.written.is_some()
    }

    /// What the slab holds when nobody uses it.
    pub fn image(&self) -> &Arc<Image> {
        &self.0.image
    }

    #[cfg(test)]
    pub fn claim_mut(&mut self) -> &mut Claim {
        &mut self.0.claim
    }

    /// The first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.0.reservation.base()
    }

    /// The context pointer of each domain. The place of the list does not change when the slab is moved.
    pub fn contexts(&self) -> NonNull<[*mut u8]> {
        NonNull::from(&*self.0.contexts)
    }

    /// Room for the run-time data of the slab's instance, which is allocated once for all of them.
    #[inline]
    pub fn take_room(&mut self) -> Room {
        self.0.room.take().unwrap_or_else(Box::new_uninit)
    }

    /// Gives back what [`take_room`](Self::take_room) gave, with nothing in it.
    #[inline]
    pub fn put_room(&mut self, room: Room) {
        self.0.room = Some(room);
    }

    /// Whether an address is of this slab.
    pub fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.base().as_ptr() as usize) < self.0.reservation.len()
    }

    /// Bytes of the slab.
    ///
    /// # Safety
    ///
    /// The range is accessible, and nobody writes to it as long as the result lives.
    pub unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        // SAFETY: as the caller promises.
        unsafe { std::slice::from_raw_parts(self.base().as_ptr().add(range.start), range.len()) }
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
        let mut grown = self.0.grown.borrow_mut();
        match grown.last_mut() {
            Some(last) if last.end == part.start => last.end = part.end,
            _ => grown.push(part.clone()),
        }
        self.0.reservation.make_accessible(part.start, part.len())
    }

    /// Makes a slab that an instance has left as it was when it was mapped; `None` when the system refuses, and it is unmapped.
    pub fn reset(mut self, shelf: &Shelf) -> Option<Slab> {
        let pagemap = shelf.pool().pagemap();
        self.try_reset(shelf, pagemap).ok()?;
        debug_assert_eq!(self.difference(), None, "a slab that was reset differs from the image");
        Some(self)
    }

    /// Makes the slab as it was when it was mapped. Where it is known or the system tells which pages were written, only those
    /// are touched.
    fn try_reset(&mut self, shelf: &Shelf, pagemap: Option<&Pagemap>) -> io::Result<()> {
        for part in self.0.grown.take() {
            // SAFETY: the instance that used the slab is gone.
            unsafe { self.0.reservation.make_inaccessible(part.start, part.len())? };
        }
        let image = self.0.image.clone();
        let whole_pages = |bytes: usize| bytes / PAGE as usize * PAGE as usize;
        let (ranges, each) = match (self.0.written.take(), pagemap) {
            (Some(ranges), _) => (ranges, usize::MAX),
            (None, Some(pagemap)) => {
                let mut ranges = Vec::new();
                for part in image.accessible() {
                    self.written(pagemap, part.clone(), |range| ranges.push(range))?;
                }
                (ranges, usize::MAX)
            }
            (None, None) => {
                let parts = image.accessible().to_vec();
                let each = PREFIX / parts.len().max(1);
                (parts, whole_pages(each))
            }
        };
        let wanted = ranges.iter().map(|range| range.len().min(each)).sum();
        let mut budget = whole_pages(self.0.claim.keep_resident(wanted, shelf));
        let mut all_kept = true;
        for range in &ranges {
            let kept = range.start..range.start + range.len().min(each).min(budget);
            budget -= kept.len();
            self.restore(kept.clone());
            if kept.end < range.end {
                self.discard(kept.end..range.end)?;
                all_kept = false;
            }
        }
        let stays_known = pagemap.is_some() && all_kept && shelf.pool().config().page_fault_count;
        self.0.written = stays_known.then_some(ranges);
        Ok(())
    }

    /// Calls `found` with each part of an accessible range that was written since the slab was mapped.
    pub fn written(
        &self,
        pagemap: &Pagemap,
        range: Range<usize>,
        mut found: impl FnMut(Range<usize>),
    ) -> io::Result<()> {
        let base = self.base().as_ptr() as usize;
        pagemap.written(base + range.start..base + range.end, |range| {
            found(range.start - base..range.end - base);
        })
    }

    /// Gives pages back to the system, and copies what of the image is not mapped there.
    fn discard(&self, range: Range<usize>) -> io::Result<()> {
        // SAFETY: the instance that used the slab is gone.
        unsafe { self.0.reservation.discard(range.start, range.len())? };
        for run in self.0.image.copied() {
            self.copy(run, range.clone());
        }
        Ok(())
    }

    /// Writes the image, and zeros where it has nothing, over accessible pages.
    fn restore(&self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let runs = self.0.image.runs();
        let first = runs.partition_point(|run| whole(run).end <= range.start);
        let mut position = range.start;
        for run in runs[first..].iter().take_while(|run| whole(run).start < range.end) {
            self.zero(position..whole(run).start);
            self.copy(run, range.clone());
            position = whole(run).end;
        }
        self.zero(position..range.end);
    }

    /// Copies the part of an image run that lies in `range`, which is accessible.
    fn copy(&self, run: &ImageRun, range: Range<usize>) {
        let place = whole(run);
        let part = place.start.max(range.start)..place.end.min(range.end);
        if part.is_empty() {
            return;
        }
        let source = run.file_offset as usize + (part.start - place.start);
        let source = &self.0.image.bytes()[source..source + part.len()];
        // SAFETY: `Image` has checked that the run lies in an accessible part of the reservation, which nobody else uses:
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
    fn difference(&self) -> Option<usize> {
        const PAGE_SIZE: usize = PAGE as usize;
        let image = &self.0.image;
        if let Some(part) = self.0.grown.borrow().first() {
            return Some(part.start);
        }
        let runs = match self.0.filled.get() {
            true => image.runs(),
            false => image.mapped(),
        };
        let mut runs = runs.iter().peekable();
        let pages = image.accessible().iter();
        for page in pages.flat_map(|part| part.clone().step_by(PAGE_SIZE)) {
            while runs.next_if(|run| whole(run).end <= page).is_some() {}
            let expected = match runs.peek() {
                Some(run) if whole(run).contains(&page) => {
                    &image.bytes()[run.file_offset as usize + page - whole(run).start..][..PAGE_SIZE]
                }
                _ => &[0; PAGE_SIZE],
            };
            // SAFETY: the page is in an accessible part, and nobody writes to it.
            let found = unsafe { self.bytes(page..page + PAGE_SIZE) };
            let compared = match image.contexts().contains(&(page + PAGE_SIZE)) {
                true => PAGE_SIZE - ControlBlock::SIZE as usize,
                false => PAGE_SIZE,
            };
            if found[..compared] != expected[..compared] {
                return Some(page);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::mmap::FileMapping;
    use crate::{LoadCheck, Pool, PoolConfig};
    use mintage_compile::NoProgress;
    use mintage_environ::Tunables;

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
        let whole = [(0, &artifact[..])];
        for (mapping, pagemap) in [
            // SAFETY: nobody else knows the file.
            (unsafe { FileMapping::open(&path) }.unwrap(), true),
            (FileMapping::of_parts(artifact.len(), &whole, true).unwrap(), false),
            (FileMapping::of_parts(artifact.len(), &whole, false).unwrap(), true),
            (FileMapping::of_parts(artifact.len(), &whole, false).unwrap(), false),
        ] {
            let has_file = mapping.file().is_some();
            let pool = Pool::new(PoolConfig::new().keep_resident(KEEP).pagemap_scan(pagemap));
            // SAFETY: the compiler made the artifact.
            let code = unsafe { Code::publish(mapping, &check, &pool) }.unwrap();
            assert_eq!(!code.image().mapped().is_empty(), has_file);
            assert!(!code.image().copied().is_empty());
            let mut slab = Slab::acquire(&code, code.image()).unwrap();
            assert_eq!(slab.difference(), None);
            slab.fill();
            assert_eq!(slab.difference(), None);
            let mut known_uses = 0;
            for seed in 0..30 {
                match slab.0.written.clone() {
                    Some(known) if seed % 3 > 0 => {
                        known_uses += 1;
                        for part in known {
                            // SAFETY: the part is accessible, and the test alone has it.
                            unsafe { slab.base().as_ptr().add(part.start).write_bytes(0x5a, part.len()) };
                        }
                    }
                    _ => {
                        scribble(&code, &slab, seed);
                        slab.0.written = None;
                    }
                }
                if seed % 4 == 3 {
                    swap_out(&slab);
                }
                slab = slab.reset(code.shelf()).unwrap();
                assert_eq!(slab.difference(), None, "seed {seed}");
                if let Some(pagemap) = pool.pagemap() {
                    let mut kept = 0;
                    for part in code.image().accessible() {
                        slab.written(pagemap, part.clone(), |range| kept += range.len())
                            .unwrap();
                    }
                    // What was discarded is copied where it is not mapped.
                    let copied = code.image().copied().iter().map(|run| run.len as usize);
                    assert!(kept <= KEEP + copied.sum::<usize>(), "seed {seed}: {kept} bytes");
                }
            }
            assert_eq!(known_uses > 0, pagemap && Pagemap::get().is_some());
        }
    }

    /// Bytes that the slabs of the tests keep in memory.
    const KEEP: usize = 256 << 10;

    /// Moves what is written to swap space, if there is any.
    fn swap_out(slab: &Slab) {
        for part in slab.image().accessible() {
            // SAFETY: the range is of the slab, and its contents do not change.
            let result = unsafe {
                let start = slab.base().as_ptr().add(part.start);
                libc::madvise(start.cast(), part.len(), libc::MADV_PAGEOUT)
            };
            assert_eq!(result, 0);
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
        let accessible = code.image().accessible();
        // Every other time more than a reset keeps in memory.
        let (writes, lengths) = match seed % 2 {
            0 => (8, &[1, 8, 5000][..]),
            _ => (200, &[1, 8, 5000, 2 * KEEP][..]),
        };
        for _ in 0..random(writes) {
            let part = &accessible[random(accessible.len())];
            let offset = random(part.len());
            let len = lengths[random(lengths.len())].min(part.len() - offset);
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
        let code =
            unsafe { Code::from_bytes(&artifact, &LoadCheck::default(), &Pool::new(&PoolConfig::new())) }.unwrap();
        let slab = Slab::acquire(&code, code.image()).unwrap();
        let end = code.image().accessible().last().unwrap().end;
        // SAFETY: the byte is the last one of the memory.
        unsafe { slab.base().as_ptr().add(end - 1).write(1) };
        assert_eq!(slab.difference(), Some(end - PAGE as usize));
    }
}
