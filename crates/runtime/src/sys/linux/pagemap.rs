//! Asks the system which pages of private memory are present, and which of them were written:
//! `PAGEMAP_SCAN` (Linux 6.7).

use super::process;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::OnceLock;

/// `PAGEMAP_SCAN`: `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::Ioctl = 0xc060_6610_u32 as libc::Ioctl;
/// The page is of a file or of shared memory. No one has written to it through a private mapping.
const PAGE_IS_FILE: u64 = 1 << 2;
/// The page is in memory.
const PAGE_IS_PRESENT: u64 = 1 << 3;
/// The page is in swap space.
const PAGE_IS_SWAPPED: u64 = 1 << 4;
/// The page is the common page of zeros. It was only read, or the system has merged what was
/// written (KSM).
const PAGE_IS_PFNZERO: u64 = 1 << 5;

/// Regions that one call reports. If there are more, the call is repeated.
const REGIONS: usize = 256;

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct ScanArguments {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

const _: () = assert!(size_of::<ScanArguments>() == 0x60);

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// The state of a page that is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// It is the file's: no one has written to it.
    File,
    /// It holds zeros, whether it was written to or not.
    Zero,
    /// It was written to, or is in swap space.
    Written,
}

/// The process's page table.
pub struct Pagemap {
    file: OwnedFd,
    /// The process whose pages the file describes. After a `fork` that is still the parent.
    process: u64,
}

impl Pagemap {
    /// Returns the page table of this process. `None` if the system does not give access: an older
    /// kernel, a restricted container, or a child that was forked after the first use.
    pub fn get() -> Option<&'static Pagemap> {
        static PAGEMAP: OnceLock<Option<Pagemap>> = OnceLock::new();
        let pagemap = PAGEMAP.get_or_init(|| {
            let file = File::open("/proc/self/pagemap").ok()?.into();
            let process = process::id();
            let pagemap = Pagemap { file, process };
            // An empty range shows whether the kernel knows the call.
            pagemap.scan(0..0, |_, _| {}).ok()?;
            Some(pagemap)
        });
        pagemap
            .as_ref()
            .filter(|pagemap| pagemap.process == process::id())
    }

    /// Calls `found` with each range of addresses in `range` whose pages are present: accessed
    /// since they were mapped or discarded. `range` consists of whole pages of private mappings.
    /// Pages in swap space count as written.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn scan(
        &self,
        range: Range<usize>,
        mut found: impl FnMut(Range<usize>, PageState),
    ) -> io::Result<()> {
        let mut regions = [PageRegion::default(); REGIONS];
        let mut start = range.start as u64;
        loop {
            let mut arguments = ScanArguments {
                size: size_of::<ScanArguments>() as u64,
                start,
                end: range.end as u64,
                regions: regions.as_mut_ptr() as u64,
                regions_len: REGIONS as u64,
                category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
                return_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
                ..ScanArguments::default()
            };
            // SAFETY: the call writes `walk_end` of the arguments and at most `regions_len`
            // regions, both of which are ours. It changes no page, since no flag asks for that.
            let count =
                unsafe { libc::ioctl(self.file.as_raw_fd(), PAGEMAP_SCAN, &raw mut arguments) };
            if count < 0 {
                return Err(io::Error::last_os_error());
            }
            for region in &regions[..count as usize] {
                let state = match region.categories {
                    categories if categories & PAGE_IS_FILE != 0 => PageState::File,
                    categories if categories & PAGE_IS_PFNZERO != 0 => PageState::Zero,
                    _ => PageState::Written,
                };
                found(region.start as usize..region.end as usize, state);
            }
            if arguments.walk_end >= range.end as u64 {
                return Ok(());
            }
            start = arguments.walk_end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::mmap::{FileMapping, Reservation, page_size};

    #[test]
    fn the_scan_distinguishes_written_and_read_pages() {
        let Some(pagemap) = Pagemap::get() else {
            eprintln!("this system does not tell which pages were written");
            return;
        };
        let page = page_size();
        let file = FileMapping::of_parts(600 * page, &[(0, &vec![7; 600 * page])], true).unwrap();
        let reservation = Reservation::new(1200 * page).unwrap();
        reservation.make_accessible(0, 1200 * page).unwrap();
        // SAFETY: no one uses the pages, and the file is sealed and outlives the reservation.
        unsafe { reservation.map_file(0, &file, 0, 600 * page).unwrap() };
        let base = reservation.base().as_ptr();
        // More regions than one call reports, in both halves. All other pages but the last are
        // read.
        let state = |number: usize| match number {
            _ if number % 3 == 1 => PageState::Written,
            0..600 => PageState::File,
            _ => PageState::Zero,
        };
        let expected: Vec<_> = (0..1199).map(|number| (number, state(number))).collect();
        for number in 0..1199 {
            // SAFETY: the page is accessible, and the test alone has it.
            unsafe {
                let place = base.add(number * page);
                std::hint::black_box(place.read_volatile());
                if number % 3 == 1 {
                    place.write_volatile(1);
                }
            }
        }
        let mut found = Vec::new();
        let start = base as usize;
        pagemap
            .scan(start..start + 1200 * page, |range, state| {
                found.extend(range.step_by(page).map(|at| ((at - start) / page, state)))
            })
            .unwrap();
        assert_eq!(found, expected);
    }

    /// `MADV_GUARD_INSTALL` (Linux 6.13).
    const MADV_GUARD_INSTALL: libc::c_int = 102;

    /// The scan reports a guard page like one in swap space, which not every system has.
    #[test]
    fn pages_in_swap_space_are_found() {
        let Some(pagemap) = Pagemap::get() else {
            return;
        };
        let page = page_size();
        let reservation = Reservation::new(3 * page).unwrap();
        reservation.make_accessible(0, 3 * page).unwrap();
        let start = reservation.base().as_ptr() as usize;
        // SAFETY: no one uses the page.
        if unsafe { libc::madvise((start + page) as *mut _, page, MADV_GUARD_INSTALL) } != 0 {
            eprintln!("this system has no guard pages");
            return;
        }
        let mut found = Vec::new();
        pagemap
            .scan(start..start + 3 * page, |range, state| {
                found.push((range, state))
            })
            .unwrap();
        assert_eq!(
            found,
            [(start + page..start + 2 * page, PageState::Written)]
        );
    }
}
