//! Bodies that guests send: [`HostOutgoingBody`] and its stream.
//!
//! The guest's bytes are copied once, into a queue of limited size, which hyper takes whole. A
//! guest that finds the queue full waits until hyper has taken it.

use super::HyperOutgoingBody;
use crate::counts::Slot;
use crate::p2::bindings::http::types::ErrorCode;
use crate::{Error, FieldMap};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use mintage_wasi::io::Readiness;
use mintage_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The queue is full when it takes less than this.
const LEAST: usize = 4096;

/// What a body belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamContext {
    /// A request.
    Request,
    /// A response.
    Response,
}

impl StreamContext {
    /// Returns the error code of a body with a wrong size.
    pub fn as_body_size_error(&self, size: u64) -> ErrorCode {
        match self {
            StreamContext::Request => ErrorCode::HttpRequestBodySize(Some(size)),
            StreamContext::Response => ErrorCode::HttpResponseBodySize(Some(size)),
        }
    }
}

/// An `outgoing-body`. If it is dropped before it is finished, the message is broken off.
#[derive(Debug)]
pub struct HostOutgoingBody {
    shared: Shared,
    has_stream: bool,
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
        Self::new_counted(context, size, buffer_chunks, chunk_size, None)
    }

    pub(crate) fn new_counted(
        context: StreamContext,
        size: Option<u64>,
        buffer_chunks: usize,
        chunk_size: usize,
        slot: Option<Slot>,
    ) -> (Self, HyperOutgoingBody) {
        let shared = Shared(Arc::new(Mutex::new(Queue {
            front: Bytes::new(),
            tail: BytesMut::new(),
            capacity: buffer_chunks.saturating_mul(chunk_size).max(1),
            end: End::Open,
            is_closed: false,
            context,
            expected: size,
            written: 0,
            reader: None,
            writer: None,
            _slot: slot,
        })));
        let body = OutgoingBody(shared.clone()).boxed_unsync();
        let outgoing = HostOutgoingBody {
            shared,
            has_stream: false,
        };
        (outgoing, body)
    }

    /// Returns the stream of the body's bytes, the first time.
    pub fn take_output_stream(&mut self) -> Option<Box<dyn OutputStream>> {
        if self.has_stream {
            return None;
        }
        self.has_stream = true;
        Some(Box::new(OutgoingStream(self.shared.clone())))
    }

    /// Ends the body.
    ///
    /// # Errors
    ///
    /// If it has not the size that `content-length` says. Then the message is broken off.
    pub fn finish(self, trailers: Option<FieldMap>) -> Result<(), ErrorCode> {
        let mut queue = self.shared.lock();
        if let End::Failed(_) = queue.end {
            return Err(queue.context.as_body_size_error(queue.written));
        }
        // Who takes no body, such as the response of a request with the method HEAD, has no size.
        if !queue.is_closed
            && queue
                .expected
                .is_some_and(|expected| expected != queue.written)
        {
            let error = queue.context.as_body_size_error(queue.written);
            queue.end(End::Failed(error.clone().into()));
            return Err(error);
        }
        queue.end(match trailers {
            Some(trailers) => End::Trailers(trailers.into()),
            None => End::Done,
        });
        Ok(())
    }

    /// Breaks the message off.
    pub fn abort(self) {
        drop(self);
    }
}

impl Drop for HostOutgoingBody {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        if let End::Open = queue.end {
            queue.end(End::Failed(Error::HttpProtocolError));
        }
    }
}

/// What the guest has written and hyper not taken yet.
#[derive(Debug)]
struct Queue {
    /// Bytes that need not be copied, before those in `tail`.
    front: Bytes,
    tail: BytesMut,
    capacity: usize,
    end: End,
    /// Hyper takes no more.
    is_closed: bool,
    context: StreamContext,
    expected: Option<u64>,
    written: u64,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Counts the body.
    _slot: Option<Slot>,
}

/// How a body ends, after the bytes in the queue.
#[derive(Debug)]
enum End {
    /// It has not ended yet.
    Open,
    Done,
    Trailers(HeaderMap),
    Failed(Error),
}

impl Queue {
    fn len(&self) -> usize {
        self.front.len() + self.tail.len()
    }

    fn end(&mut self, end: End) {
        self.end = end;
        wake(&mut self.reader);
        wake(&mut self.writer);
    }

    /// Returns how many bytes the queue takes.
    fn free(&self) -> usize {
        self.capacity.saturating_sub(self.len())
    }

    fn check_write(&self) -> StreamResult<usize> {
        match self.end {
            End::Open if !self.is_closed => {}
            _ => return Err(StreamError::Closed),
        }
        match self.free() {
            free if free >= LEAST.min(self.capacity) => Ok(free),
            _ => Ok(0),
        }
    }

    /// Counts bytes that are written.
    ///
    /// # Errors
    ///
    /// If the queue or the body does not take them.
    fn count(&mut self, bytes: usize) -> StreamResult<()> {
        self.check_write()?;
        if bytes > self.free() {
            return Err(StreamError::trap(
                "write: more bytes than `check-write` allowed",
            ));
        }
        let written = self.written + bytes as u64;
        if self.expected.is_some_and(|expected| written > expected) {
            self.written = written;
            let error = self.context.as_body_size_error(written);
            self.end(End::Failed(error.clone().into()));
            return Err(StreamError::LastOperationFailed(error.into()));
        }
        self.written = written;
        Ok(())
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn register(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Queue>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is locked that leaves it inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream of an `outgoing-body`.
#[derive(Debug)]
struct OutgoingStream(Shared);

#[async_trait::async_trait]
impl Pollable for OutgoingStream {
    async fn ready(&mut self) {
        poll_fn(|cx| {
            let mut queue = self.0.lock();
            match queue.check_write() {
                Ok(0) => {
                    register(&mut queue.writer, cx);
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
        .await;
    }

    fn readiness(&self) -> Readiness<'_> {
        match self.0.lock().check_write() {
            Ok(0) => Readiness::Future,
            _ => Readiness::Ready,
        }
    }
}

#[async_trait::async_trait]
impl OutputStream for OutgoingStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut queue = self.0.lock();
        queue.count(bytes.len())?;
        match queue.len() {
            0 => queue.front = bytes,
            _ => queue.tail.extend_from_slice(&bytes),
        }
        wake(&mut queue.reader);
        Ok(())
    }

    fn write_from(&mut self, bytes: &[u8]) -> StreamResult<()> {
        let mut queue = self.0.lock();
        queue.count(bytes.len())?;
        queue.tail.extend_from_slice(bytes);
        wake(&mut queue.reader);
        Ok(())
    }

    /// The queue is what a guest can know of: bytes in it are on their way.
    fn flush(&mut self) -> StreamResult<()> {
        self.0.lock().check_write().map(|_| ())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.0.lock().check_write()
    }
}

/// What hyper sends.
#[derive(Debug)]
struct OutgoingBody(Shared);

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut queue = self.0.lock();
        let bytes = match queue.front.is_empty() {
            true => queue.tail.split().freeze(),
            false => std::mem::take(&mut queue.front),
        };
        if !bytes.is_empty() {
            wake(&mut queue.writer);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let End::Open = queue.end {
            register(&mut queue.reader, cx);
            return Poll::Pending;
        }
        Poll::Ready(match std::mem::replace(&mut queue.end, End::Done) {
            End::Open | End::Done => None,
            End::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            End::Failed(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        let queue = self.0.lock();
        matches!(queue.end, End::Done) && queue.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        let queue = self.0.lock();
        let len = queue.len() as u64;
        match (&queue.end, queue.expected) {
            (End::Done, _) => SizeHint::with_exact(len),
            (End::Open, Some(expected)) => {
                SizeHint::with_exact((expected + len).saturating_sub(queue.written))
            }
            _ => {
                let mut hint = SizeHint::new();
                hint.set_lower(len);
                hint
            }
        }
    }
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.is_closed = true;
        queue.front = Bytes::new();
        queue.tail = BytesMut::new();
        wake(&mut queue.writer);
    }
}
