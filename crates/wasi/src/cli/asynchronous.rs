//! Standard input and output for hosts that write them with tokio.

use super::{IsTerminal, StdinStream, StdoutStream};
use crate::io::{
    AsyncReadStream, AsyncWriteStream, InputStream, OutputStream, Pollable, StreamError,
    StreamResult,
};
use bytes::Bytes;
use std::future::poll_fn;
use std::io::{Error, Result};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Standard input from what implements [`AsyncRead`]. Each stream that the guest takes reads where
/// the others stopped.
#[derive(Clone, Debug)]
pub struct AsyncStdinStream(Arc<Mutex<AsyncReadStream>>);

/// Standard output to what implements [`AsyncWrite`].
#[derive(Clone, Debug)]
pub struct AsyncStdoutStream(Arc<Mutex<AsyncWriteStream>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncStdinStream {
    /// Creates standard input; see [`AsyncReadStream::new`].
    pub fn new(reader: impl AsyncRead + Send + Sync + 'static) -> Self {
        AsyncStdinStream(Arc::new(Mutex::new(AsyncReadStream::new(reader))))
    }
}

impl AsyncStdoutStream {
    /// Creates standard output; see [`AsyncWriteStream::new`].
    pub fn new(budget: usize, writer: impl AsyncWrite + Send + Sync + 'static) -> Self {
        AsyncStdoutStream(Arc::new(Mutex::new(AsyncWriteStream::new(budget, writer))))
    }
}

impl IsTerminal for AsyncStdinStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl IsTerminal for AsyncStdoutStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for AsyncStdinStream {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl StdoutStream for AsyncStdoutStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for AsyncStdinStream {
    async fn ready(&mut self) {
        poll_fn(|cx| lock(&self.0).poll_ready(cx)).await;
    }
}

#[async_trait::async_trait]
impl Pollable for AsyncStdoutStream {
    async fn ready(&mut self) {
        poll_fn(|cx| lock(&self.0).poll_ready(cx)).await;
    }
}

impl InputStream for AsyncStdinStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        lock(&self.0).read(size)
    }
}

impl OutputStream for AsyncStdoutStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        lock(&self.0).write(bytes)
    }

    fn write_from(&mut self, bytes: &[u8]) -> StreamResult<()> {
        lock(&self.0).write_from(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        lock(&self.0).flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        lock(&self.0).check_write()
    }
}

/// Returns the error of a stream for tokio, which knows the end as no bytes.
fn error_of<T: Default>(error: StreamError) -> Result<T> {
    match error {
        StreamError::Closed => Ok(T::default()),
        error => Err(Error::other(error)),
    }
}

impl AsyncRead for AsyncStdinStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let mut stream = lock(&self.0);
        stream
            .poll_ready(cx)
            .map(|()| match stream.read(buffer.remaining()) {
                Ok(bytes) => {
                    buffer.put_slice(&bytes);
                    Ok(())
                }
                Err(error) => error_of(error),
            })
    }
}

impl AsyncWrite for AsyncStdoutStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let mut stream = lock(&self.0);
        stream.poll_ready(cx).map(|()| {
            let written = stream.check_write().and_then(|free| {
                let count = free.min(bytes.len());
                stream.write_from(&bytes[..count])?;
                Ok(count)
            });
            written.or_else(error_of)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // What the stream has taken is written by its task. It is flushed once it takes more.
        let mut stream = lock(&self.0);
        stream.poll_ready(cx).map(|()| match stream.flush() {
            Ok(()) => Ok(()),
            Err(error) => error_of(error),
        })
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_flush(cx)
    }
}

/// Implements the traits for tokio's own handles as for those of the standard library.
macro_rules! same_as {
    ($($name:ident($async:ident, $stream:ident) for $ty:ty = $other:expr;)*) => {$(
        impl $name for $ty {
            fn async_stream(&self) -> Box<dyn $async + Send + Sync> {
                $name::async_stream(&$other)
            }

            fn p2_stream(&self) -> Box<dyn $stream> {
                $name::p2_stream(&$other)
            }
        }
    )*};
}

same_as! {
    StdinStream(AsyncRead, InputStream) for tokio::io::Stdin = std::io::stdin();
    StdoutStream(AsyncWrite, OutputStream) for tokio::io::Stdout = std::io::stdout();
    StdoutStream(AsyncWrite, OutputStream) for tokio::io::Stderr = std::io::stderr();
    StdinStream(AsyncRead, InputStream) for tokio::io::Empty = std::io::empty();
    StdoutStream(AsyncWrite, OutputStream) for tokio::io::Empty = std::io::empty();
}

macro_rules! same_terminal {
    ($($ty:ty = $other:expr;)*) => {$(
        impl IsTerminal for $ty {
            fn is_terminal(&self) -> bool {
                IsTerminal::is_terminal(&$other)
            }
        }
    )*};
}

same_terminal! {
    tokio::io::Stdin = std::io::stdin();
    tokio::io::Stdout = std::io::stdout();
    tokio::io::Stderr = std::io::stderr();
    tokio::io::Empty = std::io::empty();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn streams_share_one_end() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let stdin = AsyncStdinStream::new(&b"the quick brown fox"[..]);
            let (mut one, mut other) = (stdin.p2_stream(), stdin.p2_stream());
            assert_eq!(one.blocking_read(4).await.unwrap(), "the ");
            assert_eq!(other.blocking_read(6).await.unwrap(), "quick ");
            let mut rest = String::new();
            let mut reader = Pin::from(stdin.async_stream());
            reader.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, "brown fox");
            let (writer, mut reader) = tokio::io::duplex(4);
            let stdout = AsyncStdoutStream::new(2, writer);
            let written = async {
                let mut output = Pin::from(stdout.async_stream());
                output.write_all(b"a long text").await.unwrap();
                output.flush().await.unwrap();
                stdout
                    .p2_stream()
                    .blocking_write_and_flush("!".into())
                    .await
                    .unwrap();
            };
            let mut read = [0; 12];
            let ((), read_all) = tokio::join!(written, reader.read_exact(&mut read));
            read_all.unwrap();
            assert_eq!(&read, b"a long text!");
        });
    }
}
