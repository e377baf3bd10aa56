//! Mappings: an artifact's bytes, and the address space of slabs.

use anyhow::{Context, Result, ensure};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::ptr::{self, NonNull};

/// The size of the host's pages in bytes.
pub fn page_size() -> usize {
    rustix::param::page_size()
}

/// An owned range of address space, unmapped on drop.
struct Region {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a region is memory of the process, not of a thread; who may read or write it is its owner's rule.
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
        // SAFETY: the region is owned, and whoever borrowed from it did so through its owner, which is being dropped.
        // Unmapping a whole region of our own cannot fail but for lack of kernel memory, and then only leaks.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// The bytes of an artifact, mapped: readable, and executable where [`make_executable`](Self::make_executable) said so;
/// never writable.
pub struct FileMapping {
    region: Region,
    /// The file behind the mapping; none when the bytes are a copy in anonymous memory.
    file: Option<OwnedFd>,
}

impl FileMapping {
    /// Maps the file at `path`.
    ///
    /// # Safety
    ///
    /// Nobody changes the file as long as the mapping lives.
    pub unsafe fn open(path: &Path) -> Result<FileMapping> {
        let file = File::open(path).with_context(|| format!("cannot open the artifact {}", path.display()))?;
        let what = || format!("cannot map the artifact {}", path.display());
        let len = file.metadata().with_context(what)?.len();
        ensure!(len > 0, "the artifact {} is empty", path.display());
        // SAFETY: as the caller promises.
        unsafe { Self::map(file.into(), usize::try_from(len)?) }.with_context(what)
    }

    /// Maps a copy of `bytes`: of an anonymous file that nobody can write any more, or, where the system gives none, of
    /// anonymous memory.
    pub fn copy_of(bytes: &[u8]) -> Result<FileMapping> {
        ensure!(!bytes.is_empty(), "the artifact is empty");
        match Self::sealed_file(bytes) {
            // SAFETY: the file is sealed against writing.
            Ok(file) => unsafe { Self::map(file, bytes.len()) }.context("cannot map the artifact's copy"),
            Err(_) => Self::anonymous_copy(bytes).context("cannot get memory for the artifact's copy"),
        }
    }

    fn sealed_file(bytes: &[u8]) -> io::Result<OwnedFd> {
        let fd = rustix::fs::memfd_create("mintage", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut file = File::from(fd);
        file.write_all(bytes)?;
        let fd = OwnedFd::from(file);
        rustix::fs::fcntl_add_seals(
            &fd,
            SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
        )?;
        Ok(fd)
    }

    /// The copy in anonymous memory, where [`copy_of`](Self::copy_of) finds that there are no anonymous files.
    pub fn anonymous_copy(bytes: &[u8]) -> io::Result<FileMapping> {
        // The system rounds up to whole pages, here and when it unmaps; what is seen is exactly the bytes.
        let len = bytes.len();
        // SAFETY: a new mapping at a place of the system's choice touches nothing that exists.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        let region = Region::from_mmap(base, len);
        // SAFETY: the region is at least as long as the bytes, writable, and nobody else has it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), region.base.as_ptr(), bytes.len()) };
        // SAFETY: the region is our own; it is not written from here on.
        unsafe { rustix::mm::mprotect(base, len, MprotectFlags::READ)? };
        Ok(FileMapping { region, file: None })
    }

    /// # Safety
    ///
    /// Nobody changes the file as long as the mapping lives.
    unsafe fn map(file: OwnedFd, len: usize) -> io::Result<FileMapping> {
        // SAFETY: a new mapping at a place of the system's choice touches nothing that exists.
        let base = unsafe { rustix::mm::mmap(ptr::null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE, &file, 0)? };
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
        unsafe { rustix::mm::mprotect(at, range.len(), MprotectFlags::READ | MprotectFlags::EXEC)? };
        Ok(())
    }

    /// The file behind the mapping, to map parts of it elsewhere.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }
}

impl AsRef<[u8]> for FileMapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the whole region is readable from construction to drop, and nobody writes it: it is never writable here, and
        // a file behind it does not change (`open`'s condition, or sealed).
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
        let base = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), flags)? };
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

    /// Makes whole pages readable and writable; those that were inaccessible hold zeros.
    pub fn make_accessible(&self, offset: usize, len: usize) -> io::Result<()> {
        let at = self.region.at(offset, len)?;
        // SAFETY: the pages are of this reservation. Making them accessible takes nothing from anyone.
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

    /// Maps whole pages of a file to pages of the reservation: readable, and writable without effect on the file.
    ///
    /// # Safety
    ///
    /// Nobody uses what was at these pages before, and nobody changes the file as long as the reservation lives.
    pub unsafe fn map_file(&self, offset: usize, file: BorrowedFd<'_>, file_offset: u64, len: usize) -> io::Result<()> {
        let at = self.region.at(offset, len)?;
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

    #[test]
    fn copies_are_read_only_until_made_executable() {
        let bytes: Vec<u8> = (0..3 * page_size()).map(|i| (i % 251) as u8).collect();
        for copy in [
            FileMapping::copy_of(&bytes).unwrap(),
            FileMapping::anonymous_copy(&bytes).unwrap(),
        ] {
            assert_eq!(&copy.as_ref()[..bytes.len()], bytes);
            copy.make_executable(page_size()..2 * page_size()).unwrap();
            let start = copy.as_ref().as_ptr();
            assert_eq!(permissions(start), "r--p");
            assert_eq!(permissions(start.wrapping_add(page_size())), "r-xp");
            assert_eq!(permissions(start.wrapping_add(2 * page_size())), "r--p");
            assert!(copy.make_executable(2 * page_size()..4 * page_size()).is_err());
        }
    }

    #[test]
    fn copies_are_as_long_as_the_bytes() {
        for copy in [
            FileMapping::copy_of(b"bytes").unwrap(),
            FileMapping::anonymous_copy(b"bytes").unwrap(),
        ] {
            assert_eq!(copy.as_ref(), b"bytes");
        }
    }

    #[test]
    fn a_copy_in_a_file_cannot_be_written() {
        let copy = FileMapping::copy_of(b"bytes").unwrap();
        let mut file = File::from(
            copy.file()
                .expect("this system has anonymous files")
                .try_clone_to_owned()
                .unwrap(),
        );
        assert!(file.write_all(b"other").is_err());
    }

    #[test]
    fn reservations_are_inaccessible_then_zero_then_file() {
        let page = page_size();
        let reservation = Reservation::new(4 * page).unwrap();
        assert_eq!(permissions(reservation.base().as_ptr()), "---p");
        reservation.make_accessible(page, 2 * page).unwrap();
        let file = FileMapping::copy_of(&vec![7; page]).unwrap();
        // SAFETY: nobody uses the page, and the file is sealed.
        unsafe { reservation.map_file(2 * page, file.file().unwrap(), 0, page).unwrap() };
        // SAFETY: the two pages are accessible, and the test alone has them.
        let pages = unsafe { std::slice::from_raw_parts_mut(reservation.base().as_ptr().add(page), 2 * page) };
        assert!(pages[..page].iter().all(|&byte| byte == 0) && pages[page..].iter().all(|&byte| byte == 7));
        pages.fill(1);
        assert!(
            file.as_ref().iter().all(|&byte| byte == 7),
            "writes to a private mapping reached the file"
        );
        assert!(reservation.make_accessible(3 * page, 2 * page).is_err());
    }
}
