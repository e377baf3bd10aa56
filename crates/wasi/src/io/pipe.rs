//! Pipes in memory, and streams that are closed or take everything.

use super::{InputStream, MAX_PIECE, OutputStream, Pollable, Readiness, StreamError, StreamResult};
use bytes::{Buf, Bytes, BytesMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "tokio")]
pub use super::{AsyncReadStream, AsyncWriteStream};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code of others runs while it is locked, so a panic leaves nothing inconsistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Input from memory. Clones read where the others stopped.
///
/// ```
/// use mintage_wasi::p2::InputStream;
/// use mintage_wasi::p2::pipe::MemoryInputPipe;
///
/// let mut input = MemoryInputPipe::new("some text");
/// assert_eq!(input.clone().read(4).unwrap(), "some");
/// assert_eq!(input.read(100).unwrap(), " text");
/// assert!(input.read(100).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct MemoryInputPipe {
    bytes: Arc<Mutex<Bytes>>,
}

impl MemoryInputPipe {
    /// Creates input of these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        MemoryInputPipe {
            bytes: Arc::new(Mutex::new(bytes.into())),
        }
    }

    /// Returns whether everything has been read.
    pub fn is_empty(&self) -> bool {
        lock(&self.bytes).is_empty()
    }
}

impl InputStream for MemoryInputPipe {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut bytes = lock(&self.bytes);
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        let size = size.min(bytes.len());
        Ok(bytes.split_to(size))
    }

    fn available(&mut self, size: usize) -> Option<StreamResult<usize>> {
        Some(match lock(&self.bytes).len() {
            0 => Err(StreamError::Closed),
            len => Ok(len.min(size)),
        })
    }

    fn read_into(&mut self, buffer: &mut [u8]) -> StreamResult<usize> {
        let mut bytes = lock(&self.bytes);
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        let count = buffer.len().min(bytes.len());
        bytes.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }

    fn read_available(&mut self, buffer: &mut [u8]) -> StreamResult<usize> {
        self.read_into(buffer)
    }
}

/// Output to memory, up to a capacity. Clones write to the same memory.
///
/// ```
/// use mintage_wasi::p2::OutputStream;
/// use mintage_wasi::p2::pipe::MemoryOutputPipe;
///
/// let output = MemoryOutputPipe::new(16);
/// output.clone().write("some text".into()).unwrap();
/// assert_eq!(output.contents(), "some text");
/// assert_eq!(output.clone().check_write().unwrap(), 7);
/// ```
#[derive(Clone, Debug)]
pub struct MemoryOutputPipe {
    capacity: usize,
    bytes: Arc<Mutex<BytesMut>>,
}

impl MemoryOutputPipe {
    /// Creates output of at most `capacity` bytes. Then it is closed.
    pub fn new(capacity: usize) -> Self {
        MemoryOutputPipe {
            capacity,
            bytes: Arc::default(),
        }
    }

    /// Returns a copy of everything that has been written.
    pub fn contents(&self) -> Bytes {
        Bytes::copy_from_slice(&lock(&self.bytes))
    }

    /// Returns everything that has been written, or `None` while there are other clones.
    pub fn try_into_inner(self) -> Option<BytesMut> {
        let bytes = Arc::into_inner(self.bytes)?;
        Some(bytes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl OutputStream for MemoryOutputPipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_from(&bytes)
    }

    fn write_from(&mut self, bytes: &[u8]) -> StreamResult<()> {
        let mut written = lock(&self.bytes);
        if bytes.len() > self.capacity.saturating_sub(written.len()) {
            return Err(StreamError::trap(
                "write: more bytes than `check-write` allowed",
            ));
        }
        written.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match self.capacity.saturating_sub(lock(&self.bytes).len()) {
            0 => Err(StreamError::Closed),
            free => Ok(free),
        }
    }
}

/// Output that takes everything and throws it away.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinkOutputStream;

impl OutputStream for SinkOutputStream {
    fn write(&mut self, _bytes: Bytes) -> StreamResult<()> {
        Ok(())
    }

    fn write_from(&mut self, _bytes: &[u8]) -> StreamResult<()> {
        Ok(())
    }

    fn is_unbuffered(&self) -> bool {
        true
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_PIECE)
    }

    fn write_zeroes(&mut self, _size: usize) -> StreamResult<()> {
        Ok(())
    }
}

/// Input that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClosedInputStream;

impl InputStream for ClosedInputStream {
    fn read(&mut self, _size: usize) -> StreamResult<Bytes> {
        Err(StreamError::Closed)
    }
}

/// Output whose other end is gone.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClosedOutputStream;

impl OutputStream for ClosedOutputStream {
    fn write(&mut self, _bytes: Bytes) -> StreamResult<()> {
        Err(StreamError::Closed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Err(StreamError::Closed)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Err(StreamError::Closed)
    }
}

macro_rules! always_ready {
    ($($stream:ty),*) => {$(
        #[async_trait::async_trait]
        impl Pollable for $stream {
            async fn ready(&mut self) {}

            fn readiness(&self) -> Readiness<'_> {
                Readiness::Ready
            }
        }
    )*};
}

always_ready!(
    MemoryInputPipe,
    MemoryOutputPipe,
    SinkOutputStream,
    ClosedInputStream,
    ClosedOutputStream
);

/// The same pipes for hosts that read and write with tokio.
#[cfg(feature = "tokio")]
mod tokio_traits {
    use super::{ClosedOutputStream, MemoryInputPipe, MemoryOutputPipe};
    use crate::io::{InputStream, OutputStream};
    use std::io::{Error, ErrorKind, Result};
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    impl AsyncRead for MemoryInputPipe {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<Result<()>> {
            // No bytes are the end.
            let bytes = self.read(buffer.remaining()).unwrap_or_default();
            buffer.put_slice(&bytes);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for MemoryOutputPipe {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<Result<usize>> {
            let count = self.check_write().unwrap_or(0).min(bytes.len());
            let written = self.write_from(&bytes[..count]);
            Poll::Ready(written.map(|()| count).map_err(Error::other))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for ClosedOutputStream {
        fn poll_write(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            _bytes: &[u8],
        ) -> Poll<Result<usize>> {
            Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_once() {
        let mut input = MemoryInputPipe::new("abcdef");
        let mut other = input.clone();
        assert_eq!(input.read(2).unwrap(), "ab");
        let mut buffer = [0; 3];
        assert!(matches!(other.available(100), Some(Ok(4))));
        assert_eq!(other.read_into(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer, b"cde");
        assert_eq!(input.skip(100).unwrap(), 1);
        assert!(input.is_empty());
        assert!(matches!(input.available(1), Some(Err(StreamError::Closed))));
        assert!(matches!(other.read(1), Err(StreamError::Closed)));
    }

    #[test]
    fn memory_is_written_up_to_its_capacity() {
        let mut output = MemoryOutputPipe::new(5);
        output.write("abc".into()).unwrap();
        assert_eq!(output.check_write().unwrap(), 2);
        assert!(matches!(
            output.write("def".into()),
            Err(StreamError::Trap(_))
        ));
        assert!(matches!(output.write_zeroes(3), Err(StreamError::Trap(_))));
        output.write_zeroes(2).unwrap();
        assert!(matches!(output.check_write(), Err(StreamError::Closed)));
        assert!(output.clone().try_into_inner().is_none());
        assert_eq!(output.contents(), "abc\0\0");
        assert_eq!(output.try_into_inner().unwrap(), "abc\0\0");
    }
}
