//! Bodies that guests receive: [`HostIncomingBody`], its stream, and its trailers.
//!
//! The body is polled when the guest asks for more, by the guest's own task. Nothing is read ahead
//! of it but the frame that it is reading, which is the back-pressure on the sender.

use super::HyperIncomingBody;
use crate::counts::Slot;
use crate::fields::content_length;
use crate::p2::error::hyper_request_error;
use crate::{Error, Result};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use mintage_wasi::io::Readiness;
use mintage_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};
use mintage_wasi::runtime::AbortOnDropJoinHandle;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Frames that are skipped in one poll, before others get their turn.
const FRAMES_AT_ONCE: usize = 64;

/// An `incoming-body`.
#[derive(Debug)]
pub struct HostIncomingBody {
    reader: Shared,
    has_stream: bool,
    /// Goes on with what the body needs.
    worker: Option<AbortOnDropJoinHandle<()>>,
    /// The request is counted as long as there is one of these.
    slot: Option<Arc<Slot>>,
}

impl HostIncomingBody {
    /// Creates a body of any size.
    pub fn new(body: HyperIncomingBody) -> Self {
        Self::of_reader(Reader {
            body: (!body.is_end_stream()).then_some(body),
            ..Reader::default()
        })
    }

    /// Creates the body of a request, whose size is checked.
    pub(crate) fn of_request<B>(headers: &HeaderMap, body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        // Without bytes it needs no memory.
        let boxed = (!body.is_end_stream()).then(|| {
            let body = body.map_err(|error| match error.into() {
                Error::Hyper(error) => hyper_request_error(error).into(),
                error => error,
            });
            body.boxed_unsync()
        });
        let mut reader = Reader {
            body: boxed,
            expected: content_length(headers).ok().flatten(),
            ..Reader::default()
        };
        if reader.body.is_none() {
            reader.end(None);
        }
        Self::of_reader(reader)
    }

    fn of_reader(reader: Reader) -> Self {
        HostIncomingBody {
            reader: Shared(Arc::new(Mutex::new(reader))),
            has_stream: false,
            worker: None,
            slot: None,
        }
    }

    /// Keeps a task until the body is dropped.
    pub fn retain_worker(&mut self, worker: AbortOnDropJoinHandle<()>) {
        self.worker = Some(worker);
    }

    pub(crate) fn retain_slot(&mut self, slot: Option<Arc<Slot>>) {
        self.slot = slot;
    }

    /// Returns the stream of the body's bytes, the first time.
    pub fn take_stream(&mut self) -> Option<HostIncomingBodyStream> {
        if self.has_stream {
            return None;
        }
        self.has_stream = true;
        Some(HostIncomingBodyStream(self.reader.clone()))
    }

    /// Skips the rest of the body, and waits for its trailers.
    pub fn into_future_trailers(self) -> HostFutureTrailers {
        HostFutureTrailers { body: Some(self) }
    }
}

/// What a body has still to read.
#[derive(Debug, Default)]
struct Reader {
    /// The body, until it has ended.
    body: Option<HyperIncomingBody>,
    /// Bytes that the guest has not read.
    buffer: Bytes,
    /// Why the body has failed. The stream reports it once.
    error: Option<Arc<Error>>,
    is_reported: bool,
    trailers: Option<HeaderMap>,
    /// The size that `content-length` of a request says.
    expected: Option<u64>,
    received: u64,
}

impl Reader {
    /// Is ready when there are bytes, or the body has ended.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.buffer.is_empty()
            && let Some(body) = &mut self.body
        {
            match std::task::ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.receive(bytes),
                    Err(frame) => self.end(frame.into_trailers().ok()),
                },
                Some(Err(error)) => self.fail(error),
                None => self.end(None),
            }
        }
        Poll::Ready(())
    }

    /// Reads what is there already.
    fn fill_now(&mut self) {
        // Whoever waits later polls again, with a waker of its own.
        let _ = self.poll_fill(&mut Context::from_waker(Waker::noop()));
    }

    fn receive(&mut self, bytes: Bytes) {
        self.received += bytes.len() as u64;
        match self.expected {
            Some(expected) if self.received > expected => self.fail_with_size(),
            _ => self.buffer = bytes,
        }
    }

    fn end(&mut self, trailers: Option<HeaderMap>) {
        self.body = None;
        self.trailers = trailers;
        if self
            .expected
            .is_some_and(|expected| self.received < expected)
        {
            self.fail_with_size();
        }
    }

    fn fail_with_size(&mut self) {
        self.fail(Error::HttpRequestBodySize(Some(self.received)));
    }

    fn fail(&mut self, error: Error) {
        self.body = None;
        self.trailers = None;
        self.error = Some(Arc::new(error));
    }

    fn is_ready(&self) -> bool {
        !self.buffer.is_empty() || self.body.is_none()
    }

    /// Returns how many bytes there are, 0 if none have arrived yet.
    fn available(&mut self) -> StreamResult<usize> {
        self.fill_now();
        if !self.buffer.is_empty() || self.body.is_some() {
            return Ok(self.buffer.len());
        }
        match &self.error {
            Some(error) if !self.is_reported => {
                self.is_reported = true;
                let error = BodyError(error.clone());
                Err(StreamError::LastOperationFailed(error.into()))
            }
            _ => Err(StreamError::Closed),
        }
    }

    /// Skips bytes, and is ready when the body has ended.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..FRAMES_AT_ONCE {
            self.buffer = Bytes::new();
            std::task::ready!(self.poll_fill(cx));
            if self.buffer.is_empty() {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The body of a stream, which is its child, and of trailers, which come after it. Only one of them
/// uses it at a time.
#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Reader>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Reader> {
        // A body that has panicked is polled no more than others: it is the host's.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a body, in the host's table while a guest has it.
#[derive(Clone, Debug)]
pub(crate) struct BodyError(pub Arc<Error>);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// The stream of an `incoming-body`.
#[derive(Debug)]
pub struct HostIncomingBodyStream(Shared);

#[async_trait::async_trait]
impl Pollable for HostIncomingBodyStream {
    async fn ready(&mut self) {
        poll_fn(|cx| self.0.lock().poll_fill(cx)).await;
    }

    fn readiness(&self) -> Readiness<'_> {
        let mut reader = self.0.lock();
        reader.fill_now();
        match reader.is_ready() {
            true => Readiness::Ready,
            false => Readiness::Future,
        }
    }
}

#[async_trait::async_trait]
impl InputStream for HostIncomingBodyStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut reader = self.0.lock();
        let available = reader.available()?;
        Ok(reader.buffer.split_to(available.min(size)))
    }

    fn available(&mut self, size: usize) -> Option<StreamResult<usize>> {
        let available = self.0.lock().available();
        Some(available.map(|available| available.min(size)))
    }

    fn read_into(&mut self, target: &mut [u8]) -> StreamResult<usize> {
        let mut reader = self.0.lock();
        let count = reader.available()?.min(target.len());
        reader.buffer.copy_to_slice(&mut target[..count]);
        Ok(count)
    }
}

/// A `future-trailers`.
#[derive(Debug)]
pub struct HostFutureTrailers {
    /// Until the trailers are taken.
    body: Option<HostIncomingBody>,
}

impl HostFutureTrailers {
    /// Takes the trailers: `None` if they are not there yet, `Some(None)` if they have been taken.
    #[allow(
        clippy::type_complexity,
        reason = "each layer is one of the specification's"
    )]
    pub(crate) fn take(&mut self) -> Option<Option<Result<Option<HeaderMap>, Arc<Error>>>> {
        let Some(body) = &self.body else {
            return Some(None);
        };
        let mut reader = body.reader.lock();
        let mut cx = Context::from_waker(Waker::noop());
        if reader.poll_end(&mut cx).is_pending() {
            return None;
        }
        let trailers = match reader.error.clone() {
            Some(error) => Err(error),
            None => Ok(reader.trailers.take()),
        };
        drop(reader);
        self.body = None;
        Some(Some(trailers))
    }
}

#[async_trait::async_trait]
impl Pollable for HostFutureTrailers {
    async fn ready(&mut self) {
        if let Some(body) = &self.body {
            poll_fn(|cx| body.reader.lock().poll_end(cx)).await;
        }
    }

    fn readiness(&self) -> Readiness<'_> {
        match &self.body {
            Some(body) if !body.reader.lock().is_at_end() => Readiness::Future,
            _ => Readiness::Ready,
        }
    }
}

impl Reader {
    fn is_at_end(&self) -> bool {
        self.body.is_none()
    }
}
