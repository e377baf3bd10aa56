//! Memory mappings: an artifact's bytes, and the address space of slabs.

use crate::arch;
use anyhow::{Context, Result, ensure};
use mintage_environ::artifact;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Returns the size of the host's pages in bytes.
pub fn page_size() -> usize {
    rustix::param::page_size()
}

/// An owned range of address space, unmapped on drop.
struct Region {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a region is memory of the process, not of a thread. Its owner decides who may read or
// write it.
unsafe impl Send for Region {}
// SAFETY: as above; the type itself gives no access.
unsafe impl Sync for Region {}

impl Region {
    /// Takes ownership of the result of `mmap`.
    fn from_mmap(base: *mut c_void, len: usize) -> Region {
        Region {
            base: NonNull::new(base.cast()).expect("mmap gives no null without MAP_FIXED"),
            len,
        }
    }

    /// Returns the address of an offset, after a check that `len` bytes from there are in the
    /// region.
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
        // SAFETY: the region is owned, and its owner, through which all borrows of it go, is being
        // dropped. Unmapping a whole region fails only if the kernel lacks memory, and then the
        // region leaks.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// The mapped bytes of an artifact. They are readable, executable where
/// [`make_executable`](Self::make_executable) was called, and never writable.
pub struct FileMapping {
    region: Region,
    /// The file behind the mapping; `None` if the bytes are a copy in anonymous memory.
    file: Option<Arc<OwnedFd>>,
    /// Whether the file never changes, even when the mapping is gone.
    is_immutable: bool,
    /// Whether the bytes were written here.
    is_copy: bool,
    /// The bytes that are mapped from other files, in order and without overlap. The file may lack
    /// them.
    replaced: Mutex<Vec<Replaced>>,
}

/// Whole pages of a [`FileMapping`] that are mapped from another file.
#[derive(Clone)]
struct Replaced {
    range: Range<usize>,
    /// A file that never changes.
    file: Arc<OwnedFd>,
    /// The place in that file.
    offset: usize,
}

impl Replaced {
    /// Returns what remains without the bytes before `start` and those from `end` on.
    fn cut(&self, start: usize, end: usize) -> Option<Replaced> {
        let range = self.range.start.max(start)..self.range.end.min(end);
        (!range.is_empty()).then(|| Replaced {
            offset: self.offset + (range.start - self.range.start),
            file: self.file.clone(),
            range,
        })
    }
}

/// Returns whether the process may write a file of `len` bytes. Beyond its limit the process gets a
/// signal that ends it, and handling that signal is not a library's business.
fn may_write_file(len: usize) -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    limit.is_none_or(|limit| len as u64 <= limit)
}

impl FileMapping {
    /// Maps the file at `path`.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or mapped, or is empty.
    ///
    /// # Safety
    ///
    /// No one changes the file while the mapping lives.
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
        unsafe { Self::map(file.into(), usize::try_from(len)?, false) }.with_context(what)
    }

    /// Maps the first `len` bytes of `file`.
    ///
    /// # Errors
    ///
    /// If the file is shorter, or cannot be mapped, or `len` is 0.
    ///
    /// # Safety
    ///
    /// No one ever changes the file.
    pub unsafe fn of_file(file: File, len: usize) -> io::Result<FileMapping> {
        // Access to pages after the end of a file is a signal.
        if file.metadata()?.len() < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: as the caller promises.
        unsafe { Self::map(file.into(), len, true) }
    }

    /// Maps `len` bytes, which is not 0, that hold the given parts at their offsets and zeros
    /// elsewhere. They are in a sealed anonymous file, or, if the system refuses one or `memfd` is
    /// false, in anonymous memory.
    ///
    /// # Errors
    ///
    /// If a part does not fit, or the system has no memory.
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
            let mapping = unsafe { Self::map(file, len, true) };
            let mut mapping = mapping.context("cannot map a file in memory")?;
            mapping.is_copy = true;
            return Ok(mapping);
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

    /// Copies the parts, which fit, to anonymous memory.
    fn anonymous_copy(len: usize, parts: &[(usize, &[u8])]) -> io::Result<FileMapping> {
        // The system rounds the length up to whole pages, here and when it unmaps. Only the bytes
        // themselves are visible.
        //
        // SAFETY: a new mapping at an address that the system chooses touches nothing that exists.
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
            // SAFETY: the part fits the region, which is writable and not shared yet.
            unsafe { ptr::copy_nonoverlapping(part.as_ptr(), target.cast(), part.len()) };
        }
        // SAFETY: the region is our own, and is not written from here on.
        unsafe { rustix::mm::mprotect(base, len, MprotectFlags::READ)? };
        Ok(FileMapping {
            region,
            file: None,
            is_immutable: true,
            is_copy: true,
            replaced: Mutex::default(),
        })
    }

    /// # Safety
    ///
    /// No one changes the file while the mapping lives, and no one ever if `is_immutable`.
    unsafe fn map(file: OwnedFd, len: usize, is_immutable: bool) -> io::Result<FileMapping> {
        // SAFETY: a new mapping at an address that the system chooses touches nothing that exists.
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
            file: Some(Arc::new(file)),
            is_immutable,
            is_copy: false,
            replaced: Mutex::default(),
        })
    }

    /// Maps bytes of the file behind `source` in place of those at `range`. Both start at a page
    /// boundary, and what follows on the last page is replaced, too.
    ///
    /// # Errors
    ///
    /// If the range leaves the mapping, the source has no such file or maps these bytes from
    /// another one, or the system refuses. Then the bytes at `range` may be inaccessible.
    ///
    /// # Safety
    ///
    /// No one reads the bytes during the call. `source` has the same bytes, or no one has read
    /// these. Its file never changes.
    pub unsafe fn replace(
        &self,
        range: Range<usize>,
        source: &FileMapping,
        offset: usize,
    ) -> io::Result<()> {
        let at = self.region.at(range.start, range.len())?;
        source.region.at(offset, range.len())?;
        let file = source.file.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
        if source.is_replaced(&(offset..offset + range.len())) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.note_replaced(Replaced {
            range: range.start..range.end.next_multiple_of(page_size()),
            file: file.clone(),
            offset,
        });
        // SAFETY: the pages are of this region. No one reads them meanwhile, and who reads them
        // later finds the bytes that were there, as the caller promises.
        unsafe {
            rustix::mm::mmap(
                at,
                range.len(),
                ProtFlags::READ,
                MapFlags::PRIVATE | MapFlags::FIXED,
                file,
                offset as u64,
            )?
        };
        Ok(())
    }

    fn note_replaced(&self, new: Replaced) {
        let mut replaced = self.replaced();
        let parts = replaced.iter().flat_map(|old| {
            [
                old.cut(0, new.range.start),
                old.cut(new.range.end, usize::MAX),
            ]
        });
        let mut parts: Vec<_> = parts.flatten().collect();
        parts.push(new);
        parts.sort_by_key(|part| part.range.start);
        *replaced = parts;
    }

    fn replaced(&self) -> MutexGuard<'_, Vec<Replaced>> {
        // Each change is one assignment.
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether some bytes of the range are mapped from another file.
    fn is_replaced(&self, range: &Range<usize>) -> bool {
        let cut = |other: &Replaced| other.cut(range.start, range.end);
        self.replaced().iter().any(|other| cut(other).is_some())
    }

    /// Returns the parts of a range, in order, each with the file that it is mapped from: this
    /// mapping's own or another one. `None` if this mapping has no file of its own.
    fn files(&self, range: Range<usize>) -> Option<Vec<Replaced>> {
        let own = self.file.as_ref()?;
        let of_own = |range: Range<usize>| Replaced {
            file: own.clone(),
            offset: range.start,
            range,
        };
        let mut files = Vec::new();
        let mut start = range.start;
        for part in self.replaced().iter() {
            if let Some(part) = part.cut(range.start, range.end) {
                if start < part.range.start {
                    files.push(of_own(start..part.range.start));
                }
                start = part.range.end;
                files.push(part);
            }
        }
        if start < range.end {
            files.push(of_own(start..range.end));
        }
        Some(files)
    }

    /// Returns the number of mappings that [`Reservation::map_file`] makes of a range of the bytes.
    pub fn count_files(&self, range: Range<usize>) -> usize {
        self.files(range).map_or(0, |files| files.len())
    }

    /// Makes the pages of `range`, which starts at a page boundary, executable besides readable.
    /// With `landing_pads`, calls and jumps through registers fault unless they lead to one.
    ///
    /// # Errors
    ///
    /// If the range leaves the mapping, or the system refuses.
    pub fn make_executable(&self, range: Range<usize>, landing_pads: bool) -> io::Result<()> {
        /// `PROT_BTI`, which only systems for ARM have, and only if the processor does.
        const LANDING_PADS: MprotectFlags = MprotectFlags::from_bits_retain(0x10);
        let mut flags = MprotectFlags::READ | MprotectFlags::EXEC;
        flags.set(LANDING_PADS, landing_pads && arch::has_landing_pads());
        let at = self.region.at(range.start, range.len())?;
        // SAFETY: the pages are ours; readable ones stay readable, and none becomes writable.
        unsafe { rustix::mm::mprotect(at, range.len(), flags)? };
        Ok(())
    }

    /// Returns whether there is a file behind the mapping that never changes, even when the mapping
    /// is gone.
    pub fn is_immutable(&self) -> bool {
        self.is_immutable && self.has_file()
    }

    /// Returns whether this process wrote the bytes. If not, they are those of a file that was made
    /// before, and the system takes care of the caches when it maps them.
    pub fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Returns whether there is a file behind the mapping. If so, [`Reservation::map_file`] can map
    /// parts of it elsewhere.
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }
}

impl AsRef<[u8]> for FileMapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the whole region is readable from construction to drop. No one writes it: it is
        // never writable here, and the file behind it does not change, since it is sealed or `open`
        // demands it.
        unsafe { std::slice::from_raw_parts(self.region.base.as_ptr(), self.region.len) }
    }
}

/// Reserved address space: inaccessible until parts of it are made accessible.
pub struct Reservation {
    region: Region,
}

impl Reservation {
    /// Reserves `len` bytes, which start at a page boundary.
    pub fn new(len: usize) -> io::Result<Reservation> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address that the system chooses touches nothing that exists.
        let base =
            unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), flags)? };
        Ok(Reservation {
            region: Region::from_mmap(base, len),
        })
    }

    /// Returns the address of the first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.region.base
    }

    /// Returns the size in bytes of address space.
    pub fn len(&self) -> usize {
        self.region.len
    }

    /// Tells the system not to use huge pages, neither at the first write nor later. With huge
    /// pages, pages become writable without a page fault although no one has written them.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn avoid_huge_pages(&self) -> io::Result<()> {
        let (base, len) = (self.region.base.as_ptr().cast(), self.region.len);
        // SAFETY: the pages are of this reservation, and the advice changes no contents.
        match unsafe { rustix::mm::madvise(base, len, Advice::LinuxNoHugepage) } {
            // A system without huge pages does not know the advice.
            Err(rustix::io::Errno::INVAL) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Makes whole pages readable and writable. Those that were inaccessible hold zeros.
    pub fn make_accessible(&self, offset: usize, len: usize) -> io::Result<()> {
        let at = self.region.at(offset, len)?;
        // SAFETY: the pages are of this reservation, and more access to them invalidates nothing.
        unsafe { rustix::mm::mprotect(at, len, MprotectFlags::READ | MprotectFlags::WRITE)? };
        Ok(())
    }

    /// Makes an access to whole pages a fault from now on, without a mapping of their own. They
    /// must be accessible and untouched. Returns `false` if the system cannot (before Linux 6.13).
    pub fn install_guard(&self, offset: usize, len: usize) -> io::Result<bool> {
        /// `MADV_GUARD_INSTALL`, which the `libc` crate does not have yet.
        const GUARD_INSTALL: libc::c_int = 102;
        let at = self.region.at(offset, len)?;
        // SAFETY: the pages are of this reservation. Nothing was written to them that could be
        // lost.
        if unsafe { libc::madvise(at, len, GUARD_INSTALL) } == 0 {
            return Ok(true);
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
            error => Err(error),
        }
    }

    /// Makes whole pages inaccessible and discards their contents.
    ///
    /// # Safety
    ///
    /// No one uses these pages.
    pub unsafe fn make_inaccessible(&self, offset: usize, len: usize) -> io::Result<()> {
        let at = self.region.at(offset, len)?;
        // SAFETY: the pages are of this reservation, and no one uses them, as the caller promises.
        unsafe {
            rustix::mm::madvise(at, len, Advice::LinuxDontNeed)?;
            rustix::mm::mprotect(at, len, MprotectFlags::empty())?;
        }
        Ok(())
    }

    /// Discards what was written to whole pages. They hold what was mapped there: zeros or the
    /// file's bytes.
    ///
    /// # Safety
    ///
    /// No one uses these pages.
    pub unsafe fn discard(&self, offset: usize, len: usize) -> io::Result<()> {
        let at = self.region.at(offset, len)?;
        // SAFETY: the pages are of this reservation, and no one uses them, as the caller promises.
        unsafe { rustix::mm::madvise(at, len, Advice::LinuxDontNeed)? };
        Ok(())
    }

    /// Maps whole pages of the file behind `source` to pages of the reservation, copy-on-write.
    /// Those that `source` maps from other files come from there.
    ///
    /// # Errors
    ///
    /// If the pages leave the reservation, there is no file, or the system refuses.
    ///
    /// # Safety
    ///
    /// No one uses these pages, and `source` lives as long as they are mapped, so that its files do
    /// not change.
    pub unsafe fn map_file(
        &self,
        offset: usize,
        source: &FileMapping,
        file_offset: u64,
        len: usize,
    ) -> io::Result<()> {
        let start = usize::try_from(file_offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        source.region.at(start, len)?;
        let files = source.files(start..start + len);
        for part in files.ok_or(io::ErrorKind::InvalidInput)? {
            let len = part.range.len();
            let at = self.region.at(offset + (part.range.start - start), len)?;
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            let flags = MapFlags::PRIVATE | MapFlags::FIXED;
            // SAFETY: the pages are of this reservation, and no one uses them, as the caller
            // promises.
            unsafe {
                rustix::mm::mmap(at, len, protection, flags, &part.file, part.offset as u64)?
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the permissions of the mapping that holds `address`, as the system lists them.
    fn permissions(address: *const u8) -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            (usize::from_str_radix(start, 16).unwrap()..usize::from_str_radix(end, 16).unwrap())
                .contains(&(address as usize))
        });
        line.unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    /// Makes the mapping in a file and in anonymous memory.
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
            copy.make_executable(page_size()..2 * page_size(), true)
                .unwrap();
            let start = copy.as_ref().as_ptr();
            assert_eq!(permissions(start), "r--p");
            assert_eq!(permissions(start.wrapping_add(page_size())), "r-xp");
            assert_eq!(permissions(start.wrapping_add(2 * page_size())), "r--p");
            assert!(
                copy.make_executable(2 * page_size()..4 * page_size(), true)
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
    fn replaced_bytes_are_not_taken_for_those_of_the_file() {
        let page = page_size();
        let [first, second, third] = [1, 2, 3].map(|byte| {
            FileMapping::of_parts(3 * page, &[(0, &vec![byte; 3 * page])], true).unwrap()
        });
        // SAFETY: no one has read the bytes, and sealed files do not change.
        unsafe { second.replace(page..2 * page, &first, 0).unwrap() };
        assert_eq!([0, page, 2 * page].map(|at| second.as_ref()[at]), [2, 1, 2]);
        // SAFETY: as above.
        unsafe {
            third.replace(0..page, &second, 2 * page).unwrap();
            assert!(third.replace(page..2 * page, &second, page).is_err());
            assert!(third.replace(page..3 * page, &second, page).is_err());
            assert!(third.replace(page..3 * page, &second, 2 * page).is_err());
        }
        assert_eq!(third.as_ref()[0], 2);
        assert!(third.as_ref()[page..].iter().all(|&byte| byte == 3));
    }

    #[test]
    fn reservations_map_each_page_from_its_file() {
        let page = page_size();
        let [first, second, third] = [1, 2, 3].map(|byte| {
            FileMapping::of_parts(6 * page, &[(0, &vec![byte; 6 * page])], true).unwrap()
        });
        // SAFETY: no one has read the bytes, and sealed files do not change.
        unsafe {
            // Of the last page, one byte is replaced, and so all others are.
            third.replace(page..4 * page + 1, &first, page).unwrap();
            third.replace(2 * page..3 * page, &second, 0).unwrap();
        }
        let expected = [3, 1, 2, 1, 1, 3];
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(|at| third.as_ref()[at * page + 1]),
            expected
        );
        assert_eq!(third.count_files(0..6 * page), 5);
        assert_eq!(third.count_files(3 * page..5 * page), 1);
        let reservation = Reservation::new(6 * page).unwrap();
        // SAFETY: no one uses the pages, and the files are sealed and outlive the reservation.
        unsafe {
            reservation.map_file(0, &third, 0, 2 * page).unwrap();
            let rest = 2 * page;
            reservation
                .map_file(rest, &third, rest as u64, 4 * page)
                .unwrap();
            assert!(
                reservation
                    .map_file(0, &third, page as u64, 6 * page)
                    .is_err()
            );
        }
        // SAFETY: all pages are mapped, and no one writes to them.
        let bytes =
            unsafe { std::slice::from_raw_parts(reservation.base().as_ptr(), reservation.len()) };
        assert_eq!([0, 1, 2, 3, 4, 5].map(|at| bytes[at * page + 1]), expected);
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
        // SAFETY: no one uses the page, and the file is sealed and outlives the reservation.
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
