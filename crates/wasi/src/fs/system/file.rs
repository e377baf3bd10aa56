//! A file of the system.

use super::super::traits::File;
use super::super::types::{Advice, FileType, Result, SetTimes, Stat, Sync as SyncWhat};
use super::convert;
use rustix::fd::OwnedFd;
use rustix::fs::{self, FallocateFlags};
use rustix::io::{self, Errno, ReadWriteFlags};
use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroU64;

/// Most buffers of one system call (`IOV_MAX`).
const MAX_BUFFERS: usize = 1024;

#[derive(Debug)]
pub(super) struct SystemFile {
    fd: OwnedFd,
    /// If the system was asked when the file was opened.
    kind: Option<FileType>,
}

impl SystemFile {
    pub fn new(fd: OwnedFd, kind: Option<FileType>) -> SystemFile {
        SystemFile { fd, kind }
    }
}

/// Waits until a file's changes are on the device.
pub(super) fn sync(fd: &OwnedFd, what: SyncWhat) -> Result<()> {
    match what {
        SyncWhat::None => Ok(()),
        SyncWhat::Data => Ok(fs::fdatasync(fd)?),
        SyncWhat::All => Ok(fs::fsync(fd)?),
    }
}

/// Makes a system call again if a signal interrupted it.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> Result<T> {
    Ok(io::retry_on_intr(&mut call)?)
}

impl File for SystemFile {
    fn stat(&self) -> Result<Stat> {
        Ok(convert::stat(&fs::fstat(&self.fd)?))
    }

    fn read_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
        match buffers {
            [] => Ok(0),
            [buffer] => uninterrupted(|| io::pread(&self.fd, &mut **buffer, offset)),
            buffers => {
                let count = buffers.len().min(MAX_BUFFERS);
                uninterrupted(|| io::preadv(&self.fd, &mut buffers[..count], offset))
            }
        }
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize> {
        match buffers {
            [] => Ok(0),
            [buffer] => uninterrupted(|| io::pwrite(&self.fd, buffer, offset)),
            buffers => {
                let count = buffers.len().min(MAX_BUFFERS);
                uninterrupted(|| io::pwritev(&self.fd, &buffers[..count], offset))
            }
        }
    }

    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<usize> {
        let buffers = &buffers[..buffers.len().min(MAX_BUFFERS)];
        let flags = ReadWriteFlags::APPEND;
        match io::retry_on_intr(|| io::pwritev2(&self.fd, buffers, 0, flags)) {
            // Old systems do not know the flag. Then two that append at the same time can overwrite
            // what the other has written.
            Err(Errno::NOTSUP | Errno::NOSYS) => self.write_at(buffers, self.stat()?.size),
            result => Ok(result?),
        }
    }

    fn set_size(&self, size: u64) -> Result<()> {
        uninterrupted(|| fs::ftruncate(&self.fd, size))
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        uninterrupted(|| fs::fallocate(&self.fd, FallocateFlags::empty(), offset, len))
    }

    fn set_times(&self, times: &SetTimes) -> Result<()> {
        Ok(fs::futimens(&self.fd, &convert::timestamps(times))?)
    }

    fn sync(&self, what: SyncWhat) -> Result<()> {
        sync(&self.fd, what)
    }

    fn advise(&self, offset: u64, len: u64, advice: Advice) -> Result<()> {
        let len = NonZeroU64::new(len);
        Ok(fs::fadvise(&self.fd, offset, len, convert::advice(advice))?)
    }

    fn kind(&self) -> Result<FileType> {
        match self.kind {
            Some(kind) => Ok(kind),
            None => Ok(self.stat()?.kind),
        }
    }
}
