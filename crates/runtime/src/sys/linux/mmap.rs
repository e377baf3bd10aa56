//! Mappings: an artifact's bytes, and the address space of slabs.

use anyhow::{Context, Result, ensure};
use mintage_environ::artifact;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The size of the host's pages in bytes.
pub fn page_size() -> usize {
    rustix::param::page_size()
}

/// How many mappings the system lets the process have.
pub fn max_mappings() -> usize {
    static MAX: OnceLock<usize> = OnceLock::new();
    *MAX.get_or_init(|| {
        let setting = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        // What Linux has unless it is set otherwise.
        setting
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(65530)
    })
}

/// Mappings that the slabs of all engines have or may need.
static SLAB_MAPPINGS: AtomicUsize = AtomicUsize::new(0);

/// How many mappings the slabs of all engines may have together: seven eighths of what the process
/// may have. The rest is the host's: without any, no thread starts and no memory is allocated.
pub fn max_slab_mappings() -> usize {
    max_mappings() / 8 * 7
}

/// How many mappings the slabs of all engines may have while any of them is idle: three quarters of
/// what the process may have.
pub fn max_idle_mappings() -> usize {
    max_mappings() / 4 * 3
}

/// How many mappings the slabs of all engines have or may need.
pub fn slab_mappings() -> usize {
    SLAB_MAPPINGS.load(Ordering::Relaxed)
}

/// A slab's part in the count of mappings, until it is dropped.
#[derive(Debug)]
pub struct SlabMappings(usize);

impl SlabMappings {
    /// Counts so many mappings, if the slabs of all engines together then have at most `limit`.
    pub fn reserve(count: usize, limit: usize) -> Option<SlabMappings> {
        let add = |total: usize| total.checked_add(count).filter(|&total| total <= limit);
        let result = SLAB_MAPPINGS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        result.is_ok().then_some(SlabMappings(count))
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.0
    }
}

impl Drop for SlabMappings {
    fn drop(&mut self) {
        SLAB_MAPPINGS.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// What limits the process's address space and mappings, for errors.
pub fn describe_limits() -> String {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    let space = match limit {
        Some(bytes) => format!(
            "the process's limit of address space is {} MiB (`ulimit -v`)",
            bytes >> 20
        ),
        None => "the process's address space has no limit of its own".to_owned(),
    };
    match count_mappings() {
        Ok(count) => format!(
            "{space}; it has {count} of the {} mappings that `vm.max_map_count` allows",
            max_mappings()
        ),
        Err(_) => format!(
            "{space}; `vm.max_map_count` allows {} mappings",
            max_mappings()
        ),
    }
}

/// How many mappings the process has: lines of a file, which is read piece by piece, since there
/// may be no memory left.
fn count_mappings() -> io::Result<usize> {
    let mut file = File::open("/proc/self/maps")?;
    let mut piece = [0; 4096];
    let mut lines = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(lines),
            len => lines += piece[..len].iter().filter(|&&byte| byte == b'\n').count(),
        }
    }
}

/// An owned range of address space, unmapped on drop.
struct Region {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a region is memory of the process, not of a thread; who may read or write it is its
// owner's rule.
unsafe impl Send for Region {}
// SAFETY: as above; the type itself gives no access.
unsafe impl Sync for Region {}

impl Region {
    /// Takes ownership of what `mmap` gave.
    fn from_mmap(base: *mut c_void, len: usize) -> Region {
        Region {
            base: NonNull::new(base.cast()).expect("mmap gives no null without MAP_FIXED"),
            len,
        }
    }

    /// The pointer to `range`, which is checked.
    fn at(&self, offset: usize, len: usize) -> io::Result<*mut c_void> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        // SAFETY: the offset is within the region, which is one mapping.
        Ok(unsafe { self.base.as_ptr().add(offset) }.cast())
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the region is owned, and whoever borrowed from it did so through its owner, which
        // is being dropped. Unmapping a whole region of our own cannot fail but for lack of kernel
        // memory, and then only leaks.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// The bytes of an artifact, mapped: readable, and executable where
/// [`make_executable`](Self::make_executable) said so; never writable.
pub struct FileMapping {
    region: Region,
    /// The file behind the mapping; none when the bytes are a copy in anonymous memory.
    file: Option<OwnedFd>,
}

/// Whether the process may write a file of `len` bytes. Beyond the limit it would get a signal that
/// ends it, and that a library has no business to handle.
fn may_write_file(len: usize) -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    limit.is_none_or(|limit| len as u64 <= limit)
}

impl FileMapping {
    /// Maps the file at `path`.
    ///
    /// # Safety
    ///
    /// Nobody changes the file as long as the mapping lives.
    pub unsafe fn open(path: &Path) -> Result<FileMapping> {
        let file = File::open(path)
            .with_context(|| format!("cannot open the artifact {}", path.display()))?;
        let what = || format!("cannot map the artifact {}", path.display());
        let len = file.metadata().with_context(what)?.len();
        ensure!(
            len > 0,
            artifact!(NotAnArtifact, "the artifact {} is empty", path.display())
        );
        // SAFETY: as the caller promises.
        unsafe { Self::map(file.into(), usize::try_from(len)?) }.with_context(what)
    }

    /// Maps `len` bytes, more than 0, that hold the given parts at their offsets and are zero
    /// elsewhere: of an anonymous file that nobody can write any more, or, where the system gives
    /// none or `memfd` is false, of anonymous memory.
    ///
    /// # Errors
    ///
    /// When a part does not fit, or the system gives no memory.
    pub fn of_parts(len: usize, parts: &[(usize, &[u8])], memfd: bool) -> Result<FileMapping> {
        ensure!(
            parts
                .iter()
                .all(|(start, part)| *start <= len && part.len() <= len - start),
            "a part does not fit {len} bytes"
        );
        if memfd
            && may_write_file(len)
            && let Ok(file) = Self::sealed_file(len, parts)
        {
            // SAFETY: the file is sealed against writing.
            return unsafe { Self::map(file, len) }.context("cannot map a file in memory");
        }
        Self::anonymous_copy(len, parts)
            .with_context(|| format!("cannot get {len} bytes of memory"))
    }

    fn sealed_file(len: usize, parts: &[(usize, &[u8])]) -> io::Result<OwnedFd> {
        let fd =
            rustix::fs::memfd_create("mintage", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let file = File::from(fd);
        file.set_len(len as u64)?;
        for &(start, part) in parts {
            file.write_all_at(part, start as u64)?;
        }
        let fd = OwnedFd::from(file);
        rustix::fs::fcntl_add_seals(
            &fd,
            SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
        )?;
        Ok(fd)
    }

    /// The parts, which fit, in anonymous memory.
    fn anonymous_copy(len: usize, parts: &[(usize, &[u8])]) -> io::Result<FileMapping> {
        // The system rounds up to whole pages, here and when it unmaps; what is seen is exactly the
        // bytes. SAFETY: a new mapping at a place of the system's choice touches nothing that
        // exists.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        let region = Region::from_mmap(base, len);
        for &(start, part) in parts {
            let target = region.at(start, part.len())?;
            // SAFETY: the part fits the region, which is writable, and which nobody else has.
            unsafe { ptr::copy_nonoverlapping(part.as_ptr(), target.cast(), part.len()) };
        }
        // SAFETY: the region is our own; it is not written from here on.
        unsafe { rustix::mm::mprotect(base, len, MprotectFlags::READ)? };
        Ok(FileMapping { region, file: None })
    }

    /// # Safety
    ///
    /// Nobody changes the file as long as the mapping lives.
    unsafe fn map(file: OwnedFd, len: usize) -> io::Result<FileMapping> {
        // SAFETY: a new mapping at a place of the system's choice touches nothing that exists.
        let base = unsafe {
            rustix::mm::mmap(
                ptr::null_mut(),
                len,
                ProtFlags::READ,
                MapFlags::PRIVATE,
                &file,
                0,
            )?
        };
        Ok(FileMapping {
            region: Region::from_mmap(base, len),
            file: Some(file),
        })
    }

    /// Makes the pages of `range` executable besides readable. The range starts at a page.
    ///
    /// # Errors
    ///
    /// When the range leaves the mapping or the system refuses.
    pub fn make_executable(&self, range: Range<usize>) -> io::Result<()> {
        let at = self.region.at(range.start, range.len())?;
        // SAFETY: the pages are ours; readable ones stay readable, and none becomes writable.
        unsafe {
            rustix::mm::mprotect(at, range.len(), MprotectFlags::READ | MprotectFlags::EXEC)?
        };
        Ok(())
    }

    /// Whether there is a file behind the mapping, of which [`Reservation::map_file`] maps parts
    /// elsewhere.
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }
}

impl AsRef<[u8]> for FileMapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the whole region is readable from construction to drop, and nobody writes it: it
        // is never writable here, and a file behind it does not change (`open`'s condition, or
        // sealed).
        unsafe { std::slice::from_raw_parts(self.region.base.as_ptr(), self.region.len) }
    }
}

/// Reserved address space: inaccessible until parts of it are made accessible.
pub struct Reservation {
    region: Region,
}

impl Reservation {
    /// Reserves `len` bytes, which start at a page.
    pub fn new(len: usize) -> io::Result<Reservation> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at a place of the system's choice touches nothing that exists.
        let base =
            unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), flags)? };
        Ok(Reservation {
            region: Region::from_mmap(base, len),
        })
    }

    /// The first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.region.base
    }

    /// The bytes of address space.
    pub fn len(&self) -> usize {
        self.region.len
    }

    /// Keeps the system from putting huge pages in the place of small ones, on its own account or
    /// at the first write: with these, pages become writable that nobody has written.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn avoid_huge_pages(&self) -> io::Result<()> {
        let (base, len) = (self.region.base.as_ptr().cast(), self.region.len);
        // SAFETY: the pages are of this reservation, and the advice changes nothing that can be
        // read.
        match unsafe { rustix::mm::madvise(base, len, Advice::LinuxNoHugepage) } {
            // A system without huge pages does not know the advice.
            Err(rustix::io::Errno::INVAL) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Makes whole pages readable and writable; those that were inaccessible hold zeros.
    pub fn make_accessible(&self, offset: usize, len: usize) -> io::Result<()> {
        let at = self.region.at(offset, len)?;
        // SAFETY: the pages are of this reservation. Making them accessible takes nothing from
        // anyone.
        unsafe { rustix::mm::mprotect(at, len, MprotectFlags::READ | MprotectFlags::WRITE)? };
        Ok(())
    }

    /// Makes whole pages inaccessible, and forgets what is in them.
    ///
    /// # Safety
    ///
    /// Nobody uses what is at these pages.
    pub unsafe fn make_inaccessible(&self, offset: usize, len: usize) -> io::Result<()> {
        let at = self.region.at(offset, len)?;
        // SAFETY: the pages are of this reservation, and the caller promises that nobody uses them.
        unsafe {
            rustix::mm::madvise(at, len, Advice::LinuxDontNeed)?;
            rustix::mm::mprotect(at, len, MprotectFlags::empty())?;
        }
        Ok(())
    }

    /// Forgets what was written to whole pages: they are as they were mapped, zero or the file's.
    ///
    /// # Safety
    ///
    /// Nobody uses what is at these pages.
    pub unsafe fn discard(&self, offset: usize, len: usize) -> io::Result<()> {
        let at = self.region.at(offset, len)?;
        // SAFETY: the pages are of this reservation, and the caller promises that nobody uses them.
        unsafe { rustix::mm::madvise(at, len, Advice::LinuxDontNeed)? };
        Ok(())
    }

    /// Maps whole pages of the file behind `source` to pages of the reservation: readable, and
    /// writable without effect on the file.
    ///
    /// # Errors
    ///
    /// When the pages leave the reservation, there is no file, or the system refuses.
    ///
    /// # Safety
    ///
    /// Nobody uses what was at these pages before, and `source` lives as long as they are mapped,
    /// so that its file does not change.
    pub unsafe fn map_file(
        &self,
        offset: usize,
        source: &FileMapping,
        file_offset: u64,
        len: usize,
    ) -> io::Result<()> {
        let at = self.region.at(offset, len)?;
        let file = source.file.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the pages are of this reservation, and the caller promises that nobody uses them.
        unsafe {
            rustix::mm::mmap(
                at,
                len,
                protection,
                MapFlags::PRIVATE | MapFlags::FIXED,
                file,
                file_offset,
            )?
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The permissions of the mapping that `address` lies in, as the system lists them.
    fn permissions(address: *const u8) -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            (usize::from_str_radix(start, 16).unwrap()..usize::from_str_radix(end, 16).unwrap())
                .contains(&(address as usize))
        });
        line.unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    /// In a file and in anonymous memory.
    fn both(len: usize, parts: &[(usize, &[u8])]) -> [FileMapping; 2] {
        [true, false].map(|memfd| {
            let mapping = FileMapping::of_parts(len, parts, memfd).unwrap();
            assert_eq!(mapping.has_file(), memfd);
            mapping
        })
    }

    #[test]
    fn copies_are_read_only_until_made_executable() {
        let bytes: Vec<u8> = (0..3 * page_size()).map(|i| (i % 251) as u8).collect();
        for copy in both(bytes.len(), &[(0, &bytes)]) {
            assert_eq!(copy.as_ref(), bytes);
            copy.make_executable(page_size()..2 * page_size()).unwrap();
            let start = copy.as_ref().as_ptr();
            assert_eq!(permissions(start), "r--p");
            assert_eq!(permissions(start.wrapping_add(page_size())), "r-xp");
            assert_eq!(permissions(start.wrapping_add(2 * page_size())), "r--p");
            assert!(
                copy.make_executable(2 * page_size()..4 * page_size())
                    .is_err()
            );
        }
    }

    #[test]
    fn parts_are_at_their_offsets() {
        for copy in both(9, &[(1, b"ab"), (7, b"cd")]) {
            assert_eq!(copy.as_ref(), b"\0ab\0\0\0\0cd");
        }
        assert!(FileMapping::of_parts(9, &[(8, b"ab")], false).is_err());
        assert!(FileMapping::of_parts(9, &[(10, b"")], true).is_err());
    }

    #[test]
    fn a_copy_in_a_file_cannot_be_written() {
        let copy = FileMapping::of_parts(5, &[(0, b"bytes")], true).unwrap();
        let file = copy.file.as_ref().expect("this system has anonymous files");
        let file = File::from(file.try_clone().unwrap());
        assert!(file.write_all_at(b"other", 0).is_err());
    }

    #[test]
    fn reservations_are_inaccessible_then_zero_then_file() {
        let page = page_size();
        let reservation = Reservation::new(4 * page).unwrap();
        assert_eq!(permissions(reservation.base().as_ptr()), "---p");
        reservation.make_accessible(page, 2 * page).unwrap();
        let file = FileMapping::of_parts(page, &[(0, &vec![7; page])], true).unwrap();
        // SAFETY: nobody uses the page, and the file is sealed.
        unsafe { reservation.map_file(2 * page, &file, 0, page).unwrap() };
        // SAFETY: the two pages are accessible, and the test alone has them.
        let pages = unsafe {
            std::slice::from_raw_parts_mut(reservation.base().as_ptr().add(page), 2 * page)
        };
        assert!(
            pages[..page].iter().all(|&byte| byte == 0)
                && pages[page..].iter().all(|&byte| byte == 7)
        );
        pages.fill(1);
        assert!(
            file.as_ref().iter().all(|&byte| byte == 7),
            "writes to a private mapping reached the file"
        );
        assert!(reservation.make_accessible(3 * page, 2 * page).is_err());
    }
}
