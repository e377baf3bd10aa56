//! A file in memory.

use super::super::traits::File;
use super::super::types::{FileType, Result, SetTimes, Stat};
use super::tree::Times;
use super::{NodeSlot, Usage};
use crate::Errno;
use std::collections::BTreeMap;
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

/// What is in a file.
#[derive(Debug)]
struct Body {
    size: u64,
    chunks: Chunks,
    times: Times,
}

/// Bytes by their position in a file, in chunks of up to [`CHUNK`] bytes. Bytes that are not there
/// are zeros, so that a long file of which little was written takes little memory and no time.
#[derive(Debug, Default)]
struct Chunks(BTreeMap<u64, Vec<u8>>);

/// Most bytes of a chunk.
const CHUNK: u64 = 64 << 10;

impl Chunks {
    /// Copies the bytes at `offset`.
    fn read(&self, mut offset: u64, mut target: &mut [u8]) {
        while !target.is_empty() {
            let (index, at) = (offset / CHUNK, (offset % CHUNK) as usize);
            let count = target.len().min(CHUNK as usize - at);
            let (part, rest) = target.split_at_mut(count);
            let chunk = self.0.get(&index).and_then(|chunk| chunk.get(at..));
            let chunk = chunk.unwrap_or_default();
            let there = count.min(chunk.len());
            part[..there].copy_from_slice(&chunk[..there]);
            part[there..].fill(0);
            target = rest;
            offset += count as u64;
        }
    }

    /// Writes bytes at `offset`, up to the end of the chunk there. Returns how many.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<usize> {
        let (index, at) = (offset / CHUNK, (offset % CHUNK) as usize);
        let count = bytes.len().min(CHUNK as usize - at);
        let chunk = self.0.entry(index).or_default();
        if chunk.len() < at + count {
            let more = at + count - chunk.len();
            chunk.try_reserve(more).map_err(|_| Errno::NoMemory)?;
            chunk.resize(at + count, 0);
        }
        chunk[at..at + count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// Removes all bytes from `size` on.
    fn truncate(&mut self, size: u64) {
        drop(self.0.split_off(&size.div_ceil(CHUNK)));
        if let Some(last) = self.0.get_mut(&(size / CHUNK)) {
            last.truncate((size % CHUNK) as usize);
            last.shrink_to_fit();
        }
    }
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
                size: 0,
                chunks: Chunks::default(),
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

    /// Makes a file longer by zeros, at most up to `end`. Returns the end, or less if the limit of
    /// bytes does not allow it.
    ///
    /// # Errors
    ///
    /// If the limit does not allow the file to be longer than `least`.
    fn extend(&self, body: &mut Body, least: u64, end: u64) -> Result<u64> {
        if end <= body.size {
            return Ok(end);
        }
        let taken = self.usage.take_some(end - body.size);
        let end = body.size + taken;
        if end <= least {
            self.usage.give_back(taken);
            return Err(Errno::NoSpace);
        }
        body.size = end;
        Ok(end)
    }

    /// Makes a file as long as `size`, if it is not already.
    fn extend_to(&self, body: &mut Body, size: u64) -> Result<()> {
        self.extend(body, size - 1, size).map(|_| ())
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
        let mut at = offset;
        for buffer in buffers {
            let room = usize::try_from(end - at).unwrap_or(usize::MAX);
            let mut rest = &buffer[..buffer.len().min(room)];
            while !rest.is_empty() {
                let count = body.chunks.write(at, rest)?;
                at += count as u64;
                rest = &rest[count..];
            }
        }
        body.times.modify();
        Ok((end - offset) as usize)
    }
}

impl Drop for FileNode {
    fn drop(&mut self) {
        self.usage.give_back(self.read().size);
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
        let kind = FileType::RegularFile;
        Ok(body
            .times
            .stat(kind, self.device, self.inode, links, body.size))
    }

    fn read_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize> {
        check_offset(offset)?;
        let body = self.read();
        let mut at = offset;
        for buffer in buffers {
            let rest = body.size.saturating_sub(at);
            let count = buffer
                .len()
                .min(usize::try_from(rest).unwrap_or(usize::MAX));
            body.chunks.read(at, &mut buffer[..count]);
            at += count as u64;
        }
        Ok((at - offset) as usize)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize> {
        check_offset(offset)?;
        self.write(&mut *self.change()?, buffers, offset)
    }

    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<usize> {
        let mut body = self.change()?;
        let end = body.size;
        self.write(&mut body, buffers, end)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        check_offset(size)?;
        let mut body = self.change()?;
        if size > body.size {
            self.extend_to(&mut body, size)?;
        } else {
            body.chunks.truncate(size);
            self.usage.give_back(body.size - size);
            body.size = size;
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
        self.extend_to(&mut body, end)?;
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
