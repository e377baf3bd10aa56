//! Bodies that guests send: [`HostOutgoingBody`] and its stream, over a queue.

use super::HyperOutgoingBody;
use crate::counts::Slot;
use crate::p2::bindings::http::types::ErrorCode;
use crate::queue::{Queue, QueueParts, WriteError};
use crate::{Error, FieldMap};
use bytes::Bytes;
use mintage_wasi::io::Readiness;
use mintage_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use std::future::poll_fn;

pub use crate::queue::StreamContext;

/// An `outgoing-body`. If it is dropped before it is finished, the message is broken off.
#[derive(Debug)]
pub struct HostOutgoingBody {
    queue: Queue,
    has_stream: bool,
    /// Counts the body until the guest has ended it.
    _open: Option<Slot>,
}

impl HostOutgoingBody {
    /// Creates a body, and what hyper sends of it. `size` is what `content-length` says. The queue
    /// takes `buffer_chunks` times `chunk_size` bytes.
    pub fn new(
        context: StreamContext,
        size: Option<u64>,
        buffer_chunks: usize,
        chunk_size: usize,
    ) -> (Self, HyperOutgoingBody) {
        Self::new_counted(context, size, buffer_chunks, chunk_size, None, None)
    }

    pub(crate) fn new_counted(
        context: StreamContext,
        size: Option<u64>,
        buffer_chunks: usize,
        chunk_size: usize,
        slot: Option<Slot>,
        open: Option<Slot>,
    ) -> (Self, HyperOutgoingBody) {
        let (queue, body) = Queue::new(QueueParts {
            context,
            expected: size,
            capacity: buffer_chunks.saturating_mul(chunk_size),
            _slot: slot,
            outcome: None,
        });
        let outgoing = HostOutgoingBody {
            queue,
            has_stream: false,
            _open: open,
        };
        (outgoing, body)
    }

    /// Returns the stream of the body's bytes, the first time.
    pub fn take_output_stream(&mut self) -> Option<Box<dyn OutputStream>> {
        if self.has_stream {
            return None;
        }
        self.has_stream = true;
        Some(Box::new(OutgoingStream(self.queue.clone())))
    }

    /// Ends the body.
    ///
    /// # Errors
    ///
    /// If it has not the size that `content-length` says. Then the message is broken off.
    pub fn finish(self, trailers: Option<FieldMap>) -> Result<(), ErrorCode> {
        self.queue.finish(trailers)
    }

    /// Breaks the message off.
    pub fn abort(self) {
        drop(self);
    }
}

impl Drop for HostOutgoingBody {
    fn drop(&mut self) {
        self.queue.fail(Error::HttpProtocolError);
    }
}

impl From<WriteError> for StreamError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Closed => StreamError::Closed,
            WriteError::TooMany => {
                StreamError::trap("write: more bytes than `check-write` allowed")
            }
            WriteError::Size(error) => StreamError::LastOperationFailed(error.into()),
        }
    }
}

/// The stream of an `outgoing-body`.
#[derive(Debug)]
struct OutgoingStream(Queue);

#[async_trait::async_trait]
impl Pollable for OutgoingStream {
    async fn ready(&mut self) {
        // An error is found by the next write.
        let _ = poll_fn(|cx| self.0.poll_ready(cx)).await;
    }

    fn readiness(&self) -> Readiness<'_> {
        match self.0.check_write() {
            Ok(0) => Readiness::Future,
            _ => Readiness::Ready,
        }
    }
}

#[async_trait::async_trait]
impl OutputStream for OutgoingStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Ok(self.0.write(bytes)?)
    }

    fn write_from(&mut self, bytes: &[u8]) -> StreamResult<()> {
        Ok(self.0.write_from(bytes)?)
    }

    /// The queue is what a guest can know of: bytes in it are on their way.
    fn flush(&mut self) -> StreamResult<()> {
        Ok(self.0.check_write().map(|_| ())?)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.0.check_write()?)
    }
}
