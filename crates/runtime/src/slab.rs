//! [`Slab`]: the address space of one instance, as its layout and image say.
//!
//! What to map is the same for all instances of a component: an [`Image`]. A slab is taken with
//! [`Slab::acquire`] and given back with [`Slab::release`], which makes it as it was and keeps it
//! for the next instance of the component. Nobody else maps or unmaps.
//!
//! Invariant: a slab that [`Slab::acquire`] gives and [`Slab::fill`] has seen to holds the image
//! and nothing else, but for control blocks, which its first user writes. Until then nothing of a
//! new one is in memory. Debug builds compare every byte when a slab is released.
//!
//! What a reset costs is proportional to what the instance has touched, and what an idle slab keeps
//! in memory counts in the pool, page tables included: [`crate::leftover`].

use crate::Code;
use crate::data::InstanceData;
use crate::image::{Image, merge, whole};
use crate::leftover::{Leftover, PageTables};
use crate::pool::{Claim, Shelf};
use crate::sys::mmap::Reservation;
use crate::sys::pagemap::{Pagemap, State};
use anyhow::{Context, Result};
use mintage_artifact::PAGE;
use mintage_environ::MemoryId;
use mintage_environ::layout::{HeapLayout, SlabLayout};
use std::cell::RefCell;
use std::io;
use std::iter;
use std::mem::{self, MaybeUninit};
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Bytes that are put back by copying where the system does not tell which pages were written, at
/// the starts of the accessible parts in equal shares. Most guests have their stack and their data
/// there. More would mostly copy what nobody wrote.
const PREFIX: usize = 128 << 10;

/// The address space of one instance, with the image in it.
pub struct Slab(Box<Inner>);

struct Inner {
    reservation: Reservation,
    /// What the slab holds when nobody uses it.
    image: Arc<Image>,
    /// Where what of the image is copied is missing.
    unfilled: RefCell<Vec<Range<usize>>>,
    /// The context pointer of each domain.
    contexts: Box<[*mut u8]>,
    /// The pages that a write to needs no page fault, while all of them are known.
    written: Option<Vec<Range<usize>>>,
    /// The page tables that the system keeps for it.
    tables: PageTables,
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
    /// No page for the first time: only one thread has used it, and had no page fault meanwhile.
    /// What the slab knew is still true.
    Known,
    /// Anything.
    Anything,
}

/// Room for the run-time data of an instance.
type Room = Box<MaybeUninit<InstanceData>>;

// SAFETY: the pointers are into the slab's own address space, which is of the process and not of a
// thread.
unsafe impl Send for Slab {}

impl Slab {
    /// A slab with `image` in it, which is one of `code`.
    ///
    /// # Errors
    ///
    /// When a limit of the pool is reached, or the operating system gives no address space or
    /// memory.
    pub fn acquire(code: &Code, image: &Arc<Image>) -> Result<Slab> {
        let shelf = code.shelf();
        // Only slabs of one image are kept: that of the start functions, as soon as there is one.
        let kept = Arc::ptr_eq(image, code.image());
        let take = || {
            shelf
                .take()
                .filter(|slab| kept && Arc::ptr_eq(&slab.0.image, image))
        };
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
            unfilled: RefCell::new(iter::once(0..image.size()).collect()),
            written: None,
            tables: PageTables::default(),
            grown: RefCell::default(),
            room: None,
            claim,
        })))
    }

    /// Copies what of the image is not mapped where it is missing: before the first access.
    pub fn fill(&self) {
        for part in self.0.unfilled.borrow_mut().drain(..) {
            for (start, bytes) in self.0.image.copied_in(part) {
                self.write(start, bytes);
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
                // SAFETY: nobody has seen the new reservation yet; the file does not change: it is
                // sealed, or `Code::open` demands it.
                unsafe { reservation.map_file(part.start, file, run.file_offset, part.len())? };
            }
        }
        Ok(reservation)
    }

    /// Gives the slab back, for the next instance of the same component. `written` tells of what
    /// may have been written to, control blocks aside.
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

    /// Whether it is known which pages may have been written to: then only a page fault can change
    /// that.
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

    /// The context pointer of each domain. The place of the list does not change when the slab is
    /// moved.
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
    pub fn grow_memory(
        &self,
        layout: &SlabLayout,
        id: MemoryId,
        old_size: u64,
        new_size: u64,
    ) -> io::Result<()> {
        let (old_end, new_end) = (
            old_size.next_multiple_of(PAGE),
            new_size.next_multiple_of(PAGE),
        );
        if old_end == new_end {
            return Ok(());
        }
        let start = layout.memory_start(id);
        self.grow((start + old_end) as usize..(start + new_end) as usize)
    }

    /// Makes both halves of an object heap accessible from `old_size` to `new_size`, at most its
    /// capacity.
    ///
    /// # Errors
    ///
    /// When the system gives no memory.
    pub fn grow_heap(
        &self,
        start: u64,
        heap: &HeapLayout,
        old_size: u64,
        new_size: u64,
    ) -> io::Result<()> {
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

    /// Makes a slab that an instance has left as it was when it was mapped; `None` when it would
    /// keep more in memory than it may, or the system refuses, and it is unmapped.
    pub fn reset(mut self, shelf: &Shelf) -> Option<Slab> {
        let pagemap = shelf.pool().pagemap();
        if !self.try_reset(shelf, pagemap).ok()? {
            return None;
        }
        debug_assert_eq!(
            self.difference(),
            None,
            "a slab that was reset differs from the image"
        );
        Some(self)
    }

    /// Makes the slab as it was when it was mapped. Where it is known or the system tells which
    /// pages were written, only those are touched. Whether the slab may be kept: its page tables
    /// stay until it is unmapped.
    fn try_reset(&mut self, shelf: &Shelf, pagemap: Option<&Pagemap>) -> io::Result<bool> {
        debug_assert!(
            self.0.unfilled.get_mut().is_empty(),
            "who uses a slab fills it first"
        );
        let config = shelf.pool().config();
        let mut grown = self.0.grown.take();
        // Memories that grow by turns leave a part each time.
        grown.sort_by_key(|part| part.start);
        merge(&mut grown);
        let mut leftover = match (self.0.written.take(), pagemap) {
            (Some(pages), _) => Leftover::known(pages),
            (None, Some(pagemap)) => self.look(pagemap, &grown, config.keep_resident)?,
            (None, None) => self.guess(&grown),
        };
        let tables = self.0.tables.bytes();
        let Some(budget) = self
            .0
            .claim
            .keep_resident(tables, leftover.kept_bytes(), shelf)
        else {
            return Ok(false);
        };
        leftover.limit(budget);
        for part in grown {
            // SAFETY: the instance that used the slab is gone.
            unsafe {
                self.0
                    .reservation
                    .make_inaccessible(part.start, part.len())?
            };
        }
        for pages in &leftover.kept {
            self.restore(pages.clone());
        }
        for pages in &leftover.discarded {
            // SAFETY: the instance that used the slab is gone.
            unsafe { self.0.reservation.discard(pages.start, pages.len())? };
        }
        let all_kept = leftover.discarded.is_empty();
        // Copying it back now would cost memory for an instance that may never be.
        self.0.unfilled.get_mut().extend(leftover.discarded);
        let stays_known = pagemap.is_some() && all_kept && config.page_fault_count;
        self.0.written = stays_known.then_some(leftover.kept);
        Ok(true)
    }

    /// Asks the system what the instance has left in memory, of which at most `limit` bytes are
    /// kept.
    fn look(
        &mut self,
        pagemap: &Pagemap,
        grown: &[Range<usize>],
        limit: usize,
    ) -> io::Result<Leftover> {
        let mut leftover = Leftover::new(limit);
        let mut tables = mem::take(&mut self.0.tables);
        for part in self.0.image.accessible() {
            leftover.begin_part(part.start);
            let present = |addresses| tables.add(addresses);
            self.written(pagemap, part.clone(), present, |pages| leftover.add(pages))?;
        }
        for part in grown {
            self.written(
                pagemap,
                part.clone(),
                |addresses| tables.add(addresses),
                |_| (),
            )?;
        }
        tables.count();
        self.0.tables = tables;
        Ok(leftover)
    }

    /// What the instance may have left in memory, and what is worth keeping of it: the starts of
    /// parts.
    fn guess(&mut self, grown: &[Range<usize>]) -> Leftover {
        let parts = self.0.image.accessible();
        let base = self.base().as_ptr() as usize;
        for part in parts.iter().chain(grown) {
            self.0.tables.add(base + part.start..base + part.end);
        }
        self.0.tables.count();
        let each = PREFIX / parts.len().max(1);
        let mut leftover = Leftover::new(0);
        for part in parts {
            leftover.add_start(part.clone(), each);
        }
        leftover
    }

    /// Calls `present` with each range of addresses in an accessible part of the slab at which
    /// pages are in memory, and `found` with those that may differ from the image, as offsets, in
    /// order.
    pub fn written(
        &self,
        pagemap: &Pagemap,
        part: Range<usize>,
        mut present: impl FnMut(Range<usize>),
        mut found: impl FnMut(Range<usize>),
    ) -> io::Result<()> {
        let base = self.base().as_ptr() as usize;
        pagemap.scan(base + part.start..base + part.end, |addresses, state| {
            let pages = addresses.start - base..addresses.end - base;
            present(addresses);
            match state {
                State::File => {}
                State::Written => found(pages),
                // Zeros are what the image has, or the system has merged what was written there.
                State::Zero => self
                    .0
                    .image
                    .pages_in(pages)
                    .into_iter()
                    .for_each(&mut found),
            }
        })
    }

    /// Writes the image, and zeros where it has nothing, over accessible pages.
    fn restore(&self, pages: Range<usize>) {
        let mut position = pages.start;
        for (start, bytes) in self.0.image.runs_in(pages.clone()) {
            self.restore_patches(position..start);
            self.write(start, bytes);
            position = start + bytes.len();
        }
        self.restore_patches(position..pages.end);
    }

    /// Writes zeros and patches over accessible pages.
    fn restore_patches(&self, pages: Range<usize>) {
        if pages.is_empty() {
            return;
        }
        // SAFETY: only pages of accessible parts are restored, and the instance that used them is
        // gone.
        unsafe {
            self.base()
                .as_ptr()
                .add(pages.start)
                .write_bytes(0, pages.len())
        };
        for (start, bytes) in self.0.image.patches_in(pages) {
            self.write(start, bytes);
        }
    }

    /// Writes a part of the image.
    fn write(&self, start: usize, bytes: &[u8]) {
        // SAFETY: `Image` has checked that its parts lie in accessible parts of the reservation,
        // which nobody else uses: either it is new or the instance that used it is gone.
        unsafe {
            let target = self.base().as_ptr().add(start);
            ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
    }

    /// The first offset at which the slab differs from the image, control blocks aside: the check
    /// of the reset, which shares no code with it.
    fn difference(&self) -> Option<usize> {
        const PAGE_SIZE: usize = PAGE as usize;
        let image = &self.0.image;
        if let Some(part) = self.0.grown.borrow().first() {
            return Some(part.start);
        }
        let unfilled = self.0.unfilled.borrow();
        let [mut runs, mut patches] =
            [image.runs(), image.patches()].map(|runs| runs.iter().peekable());
        let pages = image.accessible().iter();
        for page in pages.flat_map(|part| part.clone().step_by(PAGE_SIZE)) {
            let filled = !unfilled.iter().any(|part| part.contains(&page));
            let mut expected = [0; PAGE_SIZE];
            while runs.next_if(|run| whole(run).end <= page).is_some() {}
            if let Some(run) = runs.peek().filter(|run| whole(run).contains(&page))
                && (filled || image.file().is_some())
            {
                let source = run.file_offset as usize + page - whole(run).start;
                expected.copy_from_slice(&image.bytes()[source..source + PAGE_SIZE]);
            }
            while let Some(patch) = patches.next_if(|patch| whole(patch).start < page + PAGE_SIZE) {
                if filled {
                    let source = &image.bytes()[patch.file_offset as usize..][..patch.len as usize];
                    expected[whole(patch).start - page..][..source.len()].copy_from_slice(source);
                }
            }
            // SAFETY: the page is in an accessible part, and nobody writes to it.
            let found = unsafe { self.bytes(page..page + PAGE_SIZE) };
            let compared = PAGE_SIZE - image.control_bytes(page);
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
        // Two memories, of which one has long and short runs in its image, and tables on both sides
        // of the copy threshold.
        let (data, functions) = ("0123456789abcdef".repeat(3000), "$f ".repeat(3000));
        let component = format!(
            r#"(component
                 (core module $m
                   (memory 20) (memory 2) (memory 0)
                   (data (i32.const 100) "short") (data (i32.const 70000) "{data}") (data
                     (i32.const 200000) "{data}")
                   (data (memory 1) (i32.const 65530) "over a page")
                   (func $f) (table 3000 funcref) (table 5 funcref)
                   (elem (table 0) (i32.const 0) func {functions}) (elem (table 1)
                     (i32.const 4) func $f)
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
        let artifact = mintage_compile::compile(&bytes, &tunables, &NoProgress)
            .unwrap_or_else(|error| panic!("{error:?}"));
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
            (
                FileMapping::of_parts(artifact.len(), &whole, true).unwrap(),
                false,
            ),
            (
                FileMapping::of_parts(artifact.len(), &whole, false).unwrap(),
                true,
            ),
            (
                FileMapping::of_parts(artifact.len(), &whole, false).unwrap(),
                false,
            ),
        ] {
            let has_file = mapping.file().is_some();
            let pool = Pool::new(PoolConfig::new().keep_resident(KEEP).pagemap_scan(pagemap));
            // SAFETY: the compiler made the artifact.
            let code = unsafe { Code::publish(mapping, &check, &pool) }.unwrap();
            assert_eq!(!code.image().mapped().is_empty(), has_file);
            assert!(!code.image().runs().is_empty() && !code.image().patches().is_empty());
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
                            unsafe {
                                slab.base()
                                    .as_ptr()
                                    .add(part.start)
                                    .write_bytes(0x5a, part.len())
                            };
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
                assert!(count_mappings(&slab) <= code.image().mappings());
                slab = slab.reset(code.shelf()).unwrap();
                assert_eq!(slab.difference(), None, "seed {seed}");
                assert!(count_mappings(&slab) <= code.image().mappings());
                if let Some(pagemap) = pool.pagemap() {
                    let mut kept = 0;
                    let unfilled = slab.0.unfilled.borrow();
                    for part in code.image().accessible() {
                        slab.written(
                            pagemap,
                            part.clone(),
                            |_| (),
                            |pages| {
                                // Missing pages are in memory only because the comparison has read
                                // them.
                                if !unfilled.iter().any(|part| part.contains(&pages.start)) {
                                    kept += pages.len();
                                }
                            },
                        )
                        .unwrap();
                    }
                    assert!(
                        kept + slab.0.tables.bytes() <= KEEP,
                        "seed {seed}: {kept} bytes"
                    );
                }
                slab.fill();
                assert_eq!(slab.difference(), None, "seed {seed}, filled");
            }
            assert_eq!(known_uses > 0, pagemap && Pagemap::get().is_some());
        }
    }

    /// The system may merge pages of zeros with its own, as if nobody had written to them: here,
    /// pages that hold something in the image.
    #[test]
    fn pages_that_the_system_has_merged_count_as_written() {
        let data = "d".repeat(40_000);
        let text = format!(
            r#"(component (core module $m (memory 8) (data (i32.const 65536) "{data}") (data
              (i32.const 262144) "e"))
                 (core instance (instantiate $m)))"#
        );
        let artifact = mintage_compile::compile(
            &wat::parse_str(text).unwrap(),
            &Tunables::default(),
            &NoProgress,
        )
        .unwrap();
        for memfd in [true, false] {
            let pool = Pool::new(PoolConfig::new().memfd(memfd));
            // SAFETY: the compiler made the artifact.
            let code =
                unsafe { Code::from_bytes(&artifact, &LoadCheck::default(), &pool) }.unwrap();
            let slab = Slab::acquire(&code, code.image()).unwrap();
            slab.fill();
            let memory = code.layout().memory_start(MemoryId::from_u32(0)) as usize;
            for offset in [65536, 65536 + 8192, 262144] {
                let at = slab.base().as_ptr().wrapping_add(memory + offset).cast();
                // A new page of zeros, which is read: to the system it looks the same.
                // SAFETY: the page is of the slab, which the test alone has.
                unsafe {
                    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE);
                    let flags = flags | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
                    assert_eq!(libc::mmap(at, 4096, access, flags, -1, 0), at);
                    assert_eq!(at.cast::<u8>().read_volatile(), 0);
                }
            }
            let slab = slab.reset(code.shelf()).unwrap();
            slab.fill();
            assert_eq!(slab.difference(), None);
        }
    }

    /// Bytes that the slabs of the tests keep in memory.
    const KEEP: usize = 256 << 10;

    /// How many mappings the slab has, as the system lists them.
    fn count_mappings(slab: &Slab) -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let base = slab.base().as_ptr() as usize;
        let ranges = maps.lines().map(|line| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            [start, end].map(|address| usize::from_str_radix(address, 16).unwrap())
        });
        ranges
            .filter(|&[start, end]| start < base + slab.image().size() && base < end)
            .count()
    }

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

    /// Writes all over a slab, as guest and host may: single bytes, whole stretches, and what
    /// memories grow into.
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
            // SAFETY: the callers below stay within what is accessible, and the test alone has the
            // slab.
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
            let (mut size, start) = (
                code.layout().memories[id].minimum,
                code.layout().memory_start(id),
            );
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
        let bytes = wat::parse_str(
            "(component (core module $m (memory 1)) (core instance (instantiate $m)))",
        )
        .unwrap();
        let artifact = mintage_compile::compile(&bytes, &Tunables::default(), &NoProgress).unwrap();
        // SAFETY: the compiler made the artifact.
        let code = unsafe {
            Code::from_bytes(
                &artifact,
                &LoadCheck::default(),
                &Pool::new(&PoolConfig::new()),
            )
        }
        .unwrap();
        let slab = Slab::acquire(&code, code.image()).unwrap();
        let end = code.image().accessible().last().unwrap().end;
        // SAFETY: the byte is the last one of the memory.
        unsafe { slab.base().as_ptr().add(end - 1).write(1) };
        assert_eq!(slab.difference(), Some(end - PAGE as usize));
    }
}
