//! Open files as streams: [`FileInputStream`] and [`FileOutputStream`]. They are always ready, and
//! read and write on the thread of the guest.

use super::open::OpenFile;
use super::types::Result;
use crate::Errno;
use crate::io::{
    InputStream, MAX_PIECE, OutputStream, Pollable, Readiness, StreamError, StreamResult,
};
use crate::limit::Slot;
use bytes::Bytes;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

/// The bytes of an open file, from an offset on.
#[derive(Debug)]
pub struct FileInputStream {
    file: OpenFile,
    offset: u64,
    closed: bool,
    _slot: Arc<Slot>,
}

impl FileInputStream {
    /// Creates a stream that starts at `offset`.
    ///
    /// # Errors
    ///
    /// - As [`OpenFile::check_read`].
    /// - [`Errno::TooManyFiles`] if the guest has too much open.
    pub fn new(file: &OpenFile, offset: u64) -> Result<FileInputStream> {
        file.check_read()?;
        Ok(FileInputStream {
            _slot: file.open_slot()?,
            file: file.clone(),
            offset,
            closed: false,
        })
    }

    fn advance(&mut self, result: Result<usize>, wanted: usize) -> StreamResult<usize> {
        match result {
            Ok(0) if wanted > 0 => {
                self.closed = true;
                Err(StreamError::Closed)
            }
            Ok(count) => {
                self.offset += count as u64;
                Ok(count)
            }
            Err(error) => {
                self.closed = true;
                Err(StreamError::LastOperationFailed(error.into()))
            }
        }
    }

    fn check(&self) -> StreamResult<()> {
        match self.closed {
            true => Err(StreamError::Closed),
            false => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for FileInputStream {
    async fn ready(&mut self) {}

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Ready
    }
}

#[async_trait::async_trait]
impl InputStream for FileInputStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.check()?;
        let bytes = self.file.read_copy(size as u64, self.offset);
        let count = bytes.as_ref().map(Vec::len).map_err(|error| *error);
        self.advance(count, size)?;
        Ok(bytes.unwrap_or_default().into())
    }

    fn available(&mut self, size: usize) -> Option<StreamResult<usize>> {
        match self.closed {
            true => None,
            false => self.file.size_of_read(size as u64, self.offset).map(Ok),
        }
    }

    fn read_into(&mut self, buffer: &mut [u8]) -> StreamResult<usize> {
        self.check()?;
        let wanted = buffer.len();
        let result = self
            .file
            .read_at(&mut [IoSliceMut::new(buffer)], self.offset);
        self.advance(result, wanted)
    }

    fn read_available(&mut self, buffer: &mut [u8]) -> StreamResult<usize> {
        self.read_into(buffer)
    }
}

/// Where a [`FileOutputStream`] writes.
#[derive(Clone, Copy, Debug)]
enum Position {
    Offset(u64),
    End,
}

/// An open file as the target of a stream.
#[derive(Debug)]
pub struct FileOutputStream {
    file: OpenFile,
    position: Position,
    /// The error of a write that the guest has not seen yet.
    failed: Option<Errno>,
    closed: bool,
    _slot: Arc<Slot>,
}

impl FileOutputStream {
    /// Creates a stream that writes from `offset` on.
    ///
    /// # Errors
    ///
    /// - As [`OpenFile::check_write`].
    /// - [`Errno::TooManyFiles`] if the guest has too much open.
    pub fn write_at(file: &OpenFile, offset: u64) -> Result<FileOutputStream> {
        Self::new(file, Position::Offset(offset))
    }

    /// Creates a stream that writes at the end of the file.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at).
    pub fn append(file: &OpenFile) -> Result<FileOutputStream> {
        Self::new(file, Position::End)
    }

    fn new(file: &OpenFile, position: Position) -> Result<FileOutputStream> {
        file.check_write()?;
        Ok(FileOutputStream {
            _slot: file.open_slot()?,
            file: file.clone(),
            position,
            failed: None,
            closed: false,
        })
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let buffers = [IoSlice::new(bytes)];
            let count = match &mut self.position {
                Position::Offset(offset) => {
                    let count = self.file.write_at(&buffers, *offset)?;
                    *offset += count as u64;
                    count
                }
                Position::End => self.file.append(&buffers)?,
            };
            match bytes.get(count..) {
                Some(rest) if count > 0 => bytes = rest,
                // A host's file system that breaks the contract.
                _ => return Err(Errno::Io),
            }
        }
        Ok(())
    }

    /// Returns the error of an earlier write, once. Then the stream is closed.
    fn check(&mut self) -> StreamResult<()> {
        match self.failed.take() {
            Some(error) => {
                self.closed = true;
                Err(StreamError::LastOperationFailed(error.into()))
            }
            None if self.closed => Err(StreamError::Closed),
            None => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for FileOutputStream {
    async fn ready(&mut self) {}

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Ready
    }
}

#[async_trait::async_trait]
impl OutputStream for FileOutputStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_from(&bytes)
    }

    fn write_from(&mut self, bytes: &[u8]) -> StreamResult<()> {
        self.check()?;
        if bytes.len() > MAX_PIECE {
            return Err(StreamError::trap(
                "write: more bytes than `check-write` allowed",
            ));
        }
        self.write_all(bytes).map_err(|error| {
            self.closed = true;
            StreamError::LastOperationFailed(error.into())
        })
    }

    fn is_unbuffered(&self) -> bool {
        true
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.check()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.check()?;
        Ok(MAX_PIECE)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_from(&bytes)
    }
}
