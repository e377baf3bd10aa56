//! [`Queue`]: the body of a message that a guest sends.
//!
//! The guest's bytes are copied once, into a queue of limited size, which hyper takes whole. A
//! guest that finds the queue full waits until hyper has taken it.

use crate::counts::Slot;
use crate::hooks::WasiBody;
use crate::p2::bindings::http::types::ErrorCode;
use crate::{Error, FieldMap};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::oneshot;

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

/// The guest's side of a body.
#[derive(Clone, Debug)]
pub(crate) struct Queue(Arc<Mutex<State>>);

/// What a queue begins with.
#[derive(Debug)]
pub(crate) struct QueueParts {
    /// What the body belongs to.
    pub context: StreamContext,
    /// The size that `content-length` says.
    pub expected: Option<u64>,
    /// How many bytes the queue takes.
    pub capacity: usize,
    /// Counts the body.
    pub _slot: Option<Slot>,
    /// Is told how the transmission has ended.
    pub outcome: Option<oneshot::Sender<Result<(), Error>>>,
}

/// What the guest has written and hyper not taken yet.
#[derive(Debug)]
struct State {
    /// Bytes that need not be copied, before those in `tail`.
    front: Bytes,
    tail: BytesMut,
    end: End,
    /// Hyper takes no more.
    is_closed: bool,
    /// Hyper has asked for a frame.
    is_polled: bool,
    written: u64,
    reader: Option<Waker>,
    writer: Option<Waker>,
    parts: QueueParts,
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

/// Why a queue does not take bytes.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The body has ended, or is not read any more.
    Closed,
    /// They are more than there is room for.
    TooMany,
    /// They are more than `content-length` says.
    Size(ErrorCode),
}

impl State {
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
        self.parts.capacity.saturating_sub(self.len())
    }

    /// Returns how many bytes may be written, 0 if it is better to wait.
    fn check_write(&self) -> Result<usize, WriteError> {
        match self.end {
            End::Open if !self.is_closed => {}
            _ => return Err(WriteError::Closed),
        }
        match self.free() {
            free if free >= LEAST.min(self.parts.capacity) => Ok(free),
            _ => Ok(0),
        }
    }

    /// Counts bytes that are written.
    ///
    /// # Errors
    ///
    /// If the queue or the body does not take them.
    fn count(&mut self, bytes: usize) -> Result<(), WriteError> {
        self.check_write()?;
        if bytes > self.free() {
            return Err(WriteError::TooMany);
        }
        self.written += bytes as u64;
        if self
            .parts
            .expected
            .is_some_and(|expected| self.written > expected)
        {
            return Err(WriteError::Size(self.fail_with_size()));
        }
        Ok(())
    }

    fn fail_with_size(&mut self) -> ErrorCode {
        let error = self.parts.context.as_body_size_error(self.written);
        self.end(End::Failed(error.clone().into()));
        error
    }

    fn tell(&mut self, result: Result<(), Error>) {
        if let Some(outcome) = self.parts.outcome.take() {
            // If no one waits for it, no one wants to know.
            let _ = outcome.send(result);
        }
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

impl Queue {
    /// Creates a body, and what hyper sends of it.
    pub fn new(parts: QueueParts) -> (Self, WasiBody) {
        let queue = Queue(Arc::new(Mutex::new(State {
            front: Bytes::new(),
            tail: BytesMut::new(),
            end: End::Open,
            is_closed: false,
            is_polled: false,
            written: 0,
            reader: None,
            writer: None,
            parts: QueueParts {
                capacity: parts.capacity.max(1),
                ..parts
            },
        })));
        let body = QueuedBody(queue.clone()).boxed_unsync();
        (queue, body)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked that leaves it inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many bytes may be written, 0 if it is better to wait.
    ///
    /// # Errors
    ///
    /// If the body has ended, or is not read any more.
    pub fn check_write(&self) -> Result<usize, WriteError> {
        self.lock().check_write()
    }

    /// Waits until bytes may be written, or none any more.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<usize, WriteError>> {
        let mut state = self.lock();
        match state.check_write() {
            Ok(0) => {
                register(&mut state.writer, cx);
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }

    /// Writes bytes that need not be copied.
    ///
    /// # Errors
    ///
    /// If the queue or the body does not take them.
    pub fn write(&self, bytes: Bytes) -> Result<(), WriteError> {
        let mut state = self.lock();
        state.count(bytes.len())?;
        match state.len() {
            0 => state.front = bytes,
            _ => state.tail.extend_from_slice(&bytes),
        }
        wake(&mut state.reader);
        Ok(())
    }

    /// Copies bytes into the queue.
    ///
    /// # Errors
    ///
    /// If the queue or the body does not take them.
    pub fn write_from(&self, bytes: &[u8]) -> Result<(), WriteError> {
        let mut state = self.lock();
        state.count(bytes.len())?;
        state.tail.extend_from_slice(bytes);
        wake(&mut state.reader);
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    ///
    /// If it has not the size that `content-length` says. Then the message is broken off.
    pub fn finish(&self, trailers: Option<FieldMap>) -> Result<(), ErrorCode> {
        let mut state = self.lock();
        if let End::Failed(_) = state.end {
            return Err(state.parts.context.as_body_size_error(state.written));
        }
        // Who takes no body, such as the response of a request with the method HEAD, has no size.
        let expected = state.parts.expected;
        if !state.is_closed && expected.is_some_and(|expected| expected != state.written) {
            return Err(state.fail_with_size());
        }
        state.end(match trailers {
            Some(trailers) => End::Trailers(trailers.into()),
            None => End::Done,
        });
        Ok(())
    }

    /// Breaks the message off, unless the body has ended.
    pub fn fail(&self, error: Error) {
        let mut state = self.lock();
        if let End::Open = state.end {
            state.end(End::Failed(error));
        }
    }
}

/// What hyper sends.
#[derive(Debug)]
struct QueuedBody(Queue);

impl Body for QueuedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.0.lock();
        state.is_polled = true;
        let bytes = match state.front.is_empty() {
            true => state.tail.split().freeze(),
            false => std::mem::take(&mut state.front),
        };
        if !bytes.is_empty() {
            wake(&mut state.writer);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let End::Open = state.end {
            register(&mut state.reader, cx);
            return Poll::Pending;
        }
        Poll::Ready(match std::mem::replace(&mut state.end, End::Done) {
            End::Open | End::Done => None,
            End::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            End::Failed(error) => {
                state.tell(Err(error.copy()));
                Some(Err(error))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.lock();
        matches!(state.end, End::Done) && state.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.0.lock();
        let len = state.len() as u64;
        match (&state.end, state.parts.expected) {
            (End::Done, _) => SizeHint::with_exact(len),
            (End::Open, Some(expected)) => {
                SizeHint::with_exact((expected + len).saturating_sub(state.written))
            }
            _ => {
                let mut hint = SizeHint::new();
                hint.set_lower(len);
                hint
            }
        }
    }
}

impl Drop for QueuedBody {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        let result = match &state.end {
            End::Failed(error) => Err(error.copy()),
            // Who takes no body at all does so for a reason of its own.
            _ if !state.is_polled => Ok(()),
            _ if state.len() > 0 => Err(Error::ConnectionTerminated),
            End::Done => Ok(()),
            // hyper does not ask for more than `content-length` says.
            _ if state.parts.expected == Some(state.written) => Ok(()),
            _ => Err(Error::ConnectionTerminated),
        };
        state.tell(result);
        state.front = Bytes::new();
        state.tail = BytesMut::new();
        wake(&mut state.writer);
    }
}
