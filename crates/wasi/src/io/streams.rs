//! [`InputStream`] and [`OutputStream`]: streams of bytes that never block, and say when they are
//! ready.

use super::{Pollable, Readiness};
use bytes::Bytes;
use mintage::ResourceTableError;
use std::fmt;

/// How often a stream may be ready and yet do nothing, before it counts as broken.
pub(crate) const MAX_ATTEMPTS: u32 = 10;

/// Zeros that are written at once.
const ZEROS: &[u8] = &[0; 4096];

/// The result of an operation on a stream.
pub type StreamResult<T> = Result<T, StreamError>;

/// An input stream of a guest, in the host's table.
pub type DynInputStream = Box<dyn InputStream>;

/// An output stream of a guest, in the host's table.
pub type DynOutputStream = Box<dyn OutputStream>;

/// The reason why an operation on a stream failed.
#[derive(Debug)]
pub enum StreamError {
    /// The stream has ended or is closed.
    Closed,
    /// The last operation failed. The stream is closed from now on.
    LastOperationFailed(mintage::Error),
    /// The guest used the stream in a way that ends its call.
    Trap(mintage::Error),
}

impl StreamError {
    /// Creates a trap with a message.
    pub fn trap(message: &str) -> StreamError {
        StreamError::Trap(mintage::format_err!("{message}"))
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Closed => f.write_str("the stream is closed"),
            StreamError::LastOperationFailed(error) => {
                write!(f, "the last operation on the stream failed: {error}")
            }
            StreamError::Trap(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StreamError::Closed => None,
            StreamError::LastOperationFailed(error) | StreamError::Trap(error) => error.source(),
        }
    }
}

impl From<ResourceTableError> for StreamError {
    fn from(error: ResourceTableError) -> Self {
        StreamError::Trap(error.into())
    }
}

impl From<std::io::Error> for StreamError {
    /// Converts an error of the system. If the other end is gone, the stream is closed.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => StreamError::Closed,
            _ => StreamError::LastOperationFailed(error.into()),
        }
    }
}

impl From<rustix::io::Errno> for StreamError {
    fn from(error: rustix::io::Errno) -> Self {
        std::io::Error::from(error).into()
    }
}

/// A stream of bytes that a guest reads.
///
/// `read` never blocks. Besides it, a stream can say how much it has
/// ([`available`](Self::available)) and write it straight to where it is wanted
/// ([`read_into`](Self::read_into)): then bytes reach the guest's memory without a copy.
#[async_trait::async_trait]
pub trait InputStream: Pollable {
    /// Reads at most `size` bytes, and none if there are none yet.
    ///
    /// # Errors
    ///
    /// [`StreamError::Closed`] at the end.
    fn read(&mut self, size: usize) -> StreamResult<Bytes>;

    /// Returns at most how many bytes [`read_into`](Self::read_into) would now read into `size`
    /// bytes: 0 if there are none yet, or `None`, the default, if the stream has no `read_into` of
    /// its own.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn available(&mut self, size: usize) -> Option<StreamResult<usize>> {
        let _ = size;
        None
    }

    /// Reads into `buffer`, and returns how many bytes. This does not block after `available` has
    /// returned more than 0.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn read_into(&mut self, buffer: &mut [u8]) -> StreamResult<usize> {
        copy_into(&self.read(buffer.len())?, buffer)
    }

    /// Reads into `buffer` what there is, without blocking, and returns how many bytes: 0 if there
    /// are none yet. By default this reads as [`available`](Self::available) says.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn read_available(&mut self, buffer: &mut [u8]) -> StreamResult<usize> {
        match self.available(buffer.len()) {
            Some(Ok(0)) => Ok(0),
            Some(Ok(count)) => {
                let count = count.min(buffer.len());
                self.read_into(&mut buffer[..count])
            }
            Some(Err(error)) => Err(error),
            None => copy_into(&self.read(buffer.len())?, buffer),
        }
    }

    /// Reads as [`read`](Self::read) does, after waiting until the stream is ready.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        for _ in 0..=MAX_ATTEMPTS {
            self.ready().await;
            let bytes = self.read(size)?;
            if size == 0 || !bytes.is_empty() {
                return Ok(bytes);
            }
        }
        Err(StreamError::trap(
            "a stream says that it is ready, and reads nothing",
        ))
    }

    /// Skips at most `size` bytes, and returns how many.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn skip(&mut self, size: usize) -> StreamResult<usize> {
        Ok(self.read(size)?.len())
    }

    /// Skips as [`skip`](Self::skip) does, after waiting until the stream is ready.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    async fn blocking_skip(&mut self, size: usize) -> StreamResult<usize> {
        Ok(self.blocking_read(size).await?.len())
    }

    /// Ends what the stream does in the background, before it is dropped.
    async fn cancel(&mut self) {}
}

/// Copies what a stream has read to where it is wanted.
fn copy_into(bytes: &[u8], buffer: &mut [u8]) -> StreamResult<usize> {
    let Some(target) = buffer.get_mut(..bytes.len()) else {
        return Err(StreamError::trap(
            "a stream has read more than was asked for",
        ));
    };
    target.copy_from_slice(bytes);
    Ok(bytes.len())
}

/// A stream of bytes that a guest writes, with back-pressure: [`check_write`](Self::check_write)
/// says how many bytes `write` takes.
#[async_trait::async_trait]
pub trait OutputStream: Pollable {
    /// Writes all of `bytes`, or takes them into a buffer, without blocking.
    ///
    /// # Errors
    ///
    /// [`StreamError::Closed`] if the other end is gone, and a trap if there are more bytes than
    /// [`check_write`](Self::check_write) allowed.
    fn write(&mut self, bytes: Bytes) -> StreamResult<()>;

    /// Writes all of `bytes` as [`write`](Self::write) does, straight from where they are. By
    /// default, this copies them.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn write_from(&mut self, bytes: &[u8]) -> StreamResult<()> {
        self.write(Bytes::copy_from_slice(bytes))
    }

    /// Writes as [`write_from`](Self::write_from) does, but never waits, whatever a guest passes.
    /// By default this is the same. A stream whose `write_from` waits (see
    /// [`is_unbuffered`](Self::is_unbuffered)) overrides it.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn write_allowed(&mut self, bytes: &[u8]) -> StreamResult<()> {
        self.write_from(bytes)
    }

    /// Writes as many of `bytes` as is possible without blocking, and returns how many: 0 if the
    /// stream is not ready. By default these are as many as [`check_write`](Self::check_write)
    /// allows.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn write_available(&mut self, bytes: &[u8]) -> StreamResult<usize> {
        let count = self.check_write()?.min(bytes.len());
        if count > 0 {
            self.write_from(&bytes[..count])?;
        }
        Ok(count)
    }

    /// Returns whether [`write_from`](Self::write_from) has handed all bytes to where they go when
    /// it returns, and waits by itself if it must, as a write to a blocking file descriptor does.
    /// Then there is nothing to wait for after [`flush`](Self::flush), and a synchronous host that
    /// waits anyway need not ask [`check_write`](Self::check_write). By default it has not.
    fn is_unbuffered(&self) -> bool {
        false
    }

    /// Returns whether the stream has taken bytes that it has not handed on yet, so that there is
    /// something to wait for after [`flush`](Self::flush). By default this is so unless the stream
    /// is [unbuffered](Self::is_unbuffered).
    fn needs_flush(&self) -> bool {
        !self.is_unbuffered()
    }

    /// Starts to write all that is in buffers. Until that is done,
    /// [`check_write`](Self::check_write) returns 0.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn flush(&mut self) -> StreamResult<()>;

    /// Returns how many bytes can be written now; 0 if the stream is not ready.
    ///
    /// # Errors
    ///
    /// If the stream is closed, or an earlier operation has failed.
    fn check_write(&mut self) -> StreamResult<usize>;

    /// Writes all of `bytes`, and waits until they are written.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    async fn blocking_write_and_flush(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        loop {
            let allowed = self.write_ready().await?;
            let piece = bytes.split_to(bytes.len().min(allowed));
            self.write(piece)?;
            if bytes.is_empty() {
                break;
            }
        }
        unless_closed(self.flush())?;
        unless_closed(self.write_ready().await.map(|_| ()))
    }

    /// Writes `size` zeros.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn write_zeroes(&mut self, mut size: usize) -> StreamResult<()> {
        if size > self.check_write()? {
            return Err(StreamError::trap(
                "write-zeroes: more bytes than `check-write` allowed",
            ));
        }
        while size > 0 {
            let piece = &ZEROS[..size.min(ZEROS.len())];
            self.write(Bytes::from_static(piece))?;
            size -= piece.len();
        }
        Ok(())
    }

    /// Waits until the stream can be written, and returns how many bytes it takes.
    ///
    /// # Errors
    ///
    /// As [`check_write`](Self::check_write).
    async fn write_ready(&mut self) -> StreamResult<usize> {
        for _ in 0..=MAX_ATTEMPTS {
            self.ready().await;
            let allowed = self.check_write()?;
            if allowed > 0 {
                return Ok(allowed);
            }
        }
        Err(StreamError::trap(
            "a stream says that it is ready, and takes nothing",
        ))
    }

    /// Ends what the stream does in the background, before it is dropped.
    async fn cancel(&mut self) {}
}

/// All bytes were taken, so it does not matter that the other end is gone by now.
fn unless_closed(result: StreamResult<()>) -> StreamResult<()> {
    match result {
        Err(StreamError::Closed) => Ok(()),
        result => result,
    }
}

#[async_trait::async_trait]
impl Pollable for DynInputStream {
    async fn ready(&mut self) {
        (**self).ready().await;
    }

    fn readiness(&self) -> Readiness<'_> {
        (**self).readiness()
    }
}

#[async_trait::async_trait]
impl Pollable for DynOutputStream {
    async fn ready(&mut self) {
        (**self).ready().await;
    }

    fn readiness(&self) -> Readiness<'_> {
        (**self).readiness()
    }
}
