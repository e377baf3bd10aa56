//! [`Empty`]: input that has ended, and output that is thrown away.

use super::{IsTerminal, StdinStream, StdoutStream};
use crate::io::{InputStream, OutputStream, Pollable, Readiness, StreamError, StreamResult};
use bytes::Bytes;

/// Input that has ended, and output that takes everything and throws it away: the null device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

impl IsTerminal for Empty {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Empty {
    #[cfg(feature = "tokio")]
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(Empty)
    }
}

impl StdoutStream for Empty {
    #[cfg(feature = "tokio")]
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Empty)
    }
}

#[async_trait::async_trait]
impl Pollable for Empty {
    async fn ready(&mut self) {}

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Ready
    }
}

impl InputStream for Empty {
    fn read(&mut self, _size: usize) -> StreamResult<Bytes> {
        Err(StreamError::Closed)
    }
}

impl OutputStream for Empty {
    fn write(&mut self, _bytes: Bytes) -> StreamResult<()> {
        Ok(())
    }

    fn write_from(&mut self, _bytes: &[u8]) -> StreamResult<()> {
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        // As much as fits into any guest.
        Ok(u32::MAX as usize)
    }

    fn write_zeroes(&mut self, _size: usize) -> StreamResult<()> {
        Ok(())
    }
}
