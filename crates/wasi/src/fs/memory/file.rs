//! A file in memory.

use super::super::traits::File;
use super::super::types::{FileType, Result, SetTimes, Stat};
use super::tree::Times;
use super::{NodeSlot, Usage};
use crate::Errno;
use std::io::{IoSlice, IoSliceMut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The largest offset and size of a file, as on Linux.
const MAX_OFFSET: u64 = i64::MAX as u64;

/// A file. It is there until it has no name and is not open any more.
#[derive(Debug)]
pub(super) struct FileNode {
    device: u64,
    pub inode: u64,
    pub links: AtomicU64,
    body: RwLock<Body>,
    usage: Arc<Usage>,
    _slot: NodeSlot,
}

#[derive(Debug)]
struct Body {
    bytes: Vec<u8>,
    times: Times,
}

impl FileNode {
    /// Creates an empty file that has one name.
    pub fn new(device: u64, inode: u64, usage: &Arc<Usage>) -> Result<FileNode> {
        Ok(FileNode {
            _slot: usage.take_node()?,
            device,
            inode,
            links: AtomicU64::new(1),
            body: RwLock::new(Body {
                bytes: Vec::new(),
                times: Times::now(),
            }),
            usage: usage.clone(),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Body> {
        self.body.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the body for a change.
    fn change(&self) -> Result<RwLockWriteGuard<'_, Body>> {
        self.usage.check_writable()?;
        Ok(self.body.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The number of names has changed.
    pub fn changed(&self) {
        let mut body = self.body.write().unwrap_or_else(PoisonError::into_inner);
        body.times.change();
    }

    /// Makes a file longer by zeros, at most up to `end`, and returns its new end.
    ///
    /// # Errors
    ///
    /// If the limit of bytes does not allow it to be longer than `least`.
    fn extend(&self, body: &mut Body, least: u64, end: u64) -> Result<u64> {
        let old = body.bytes.len() as u64;
        if end <= old {
            return Ok(end);
        }
        let taken = self.usage.take_some(end - old);
        let end = old + taken;
        if end <= least {
            self.usage.give_back(taken);
            return Err(Errno::NoSpace);
        }
        if body.bytes.try_reserve(taken as usize).is_err() {
            self.usage.give_back(taken);
            return Err(Errno::NoMemory);
        }
        body.bytes.resize(end as usize, 0);
        Ok(end)
    }

    /// Writes the buffers from an offset on, as much as the limit of bytes allows.
    fn write(&self, body: &mut Body, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize> {
        let wanted: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        if wanted == 0 {
            return Ok(0);
        }
        let end = offset.checked_add(wanted as u64);
        let end = end.filter(|&end| end <= MAX_OFFSET);
        let end = self.extend(body, offset, end.ok_or(Errno::FileTooLarge)?)?;
        let mut target = &mut body.bytes[offset as usize..end as usize];
        let room = target.len();
        for buffer in buffers {
            let count = buffer.len().min(target.len());
            target[..count].copy_from_slice(&buffer[..count]);
            target = &mut target[count..];
        }
        body.times.modify();
        Ok(room)
    }
}

impl Drop for FileNode {
    fn drop(&mut self) {
        self.usage.give_back(self.read().bytes.len() as u64);
    }
}

fn check_offset(offset: u64) -> Result<()> {
    match offset <= MAX_OFFSET {
        true => Ok(()),
        false => Err(Errno::Invalid),
    }
}

impl File for FileNode {
    fn stat(&self) -> Result<Stat> {
        let body = self.read();
        let links = self.links.load(Relaxed);
        let size = body.bytes.len() as u64;
        let kind = FileType::RegularFile;
        Ok(body.times.stat(kind, self.device, self.inode, links, size))
    }

    fn read_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
        check_offset(offset)?;
        let body = self.read();
        let mut rest = body.bytes.get(offset as usize..).unwrap_or_default();
        let mut total = 0;
        for buffer in buffers {
            let count = buffer.len().min(rest.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            total += count;
        }
        Ok(total)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize> {
        check_offset(offset)?;
        self.write(&mut *self.change()?, buffers, offset)
    }

    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<usize> {
        let mut body = self.change()?;
        let end = body.bytes.len() as u64;
        self.write(&mut body, buffers, end)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        check_offset(size)?;
        let mut body = self.change()?;
        let old = body.bytes.len() as u64;
        if size > old {
            self.extend(&mut body, size - 1, size)?;
        } else {
            body.bytes.truncate(size as usize);
            // Gives memory back to the host where that is worth it.
            if body.bytes.capacity() / 2 > body.bytes.len() {
                body.bytes.shrink_to_fit();
            }
            self.usage.give_back(old - size);
        }
        body.times.modify();
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        if len == 0 {
            return Err(Errno::Invalid);
        }
        let end = offset.checked_add(len);
        let end = end.filter(|&end| end <= MAX_OFFSET);
        let end = end.ok_or(Errno::FileTooLarge)?;
        let mut body = self.change()?;
        self.extend(&mut body, end - 1, end)?;
        body.times.change();
        Ok(())
    }

    fn set_times(&self, times: &SetTimes) -> Result<()> {
        self.change()?.times.set(times);
        Ok(())
    }

    fn kind(&self) -> Result<FileType> {
        Ok(FileType::RegularFile)
    }
}
