//! Bodies that guests receive: [`HostIncomingBody`], its stream, and its trailers, over a reader.

use super::HyperIncomingBody;
use crate::Error;
use crate::counts::Slot;
use crate::reader::{Keeps, Reader, State};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use mintage_wasi::io::Readiness;
use mintage_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};
use mintage_wasi::runtime::AbortOnDropJoinHandle;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Waker};

/// An `incoming-body`.
#[derive(Debug)]
pub struct HostIncomingBody {
    reader: Reader,
    has_stream: bool,
    keeps: Keeps,
}

impl HostIncomingBody {
    /// Creates a body of any size.
    pub fn new(body: HyperIncomingBody) -> Self {
        Self::of_reader(Reader::new(body))
    }

    /// Creates the body of a request, whose size is checked.
    pub(crate) fn of_request<B>(headers: &HeaderMap, body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        Self::of_reader(Reader::of_request(headers, body))
    }

    fn of_reader(reader: Reader) -> Self {
        HostIncomingBody {
            reader,
            has_stream: false,
            keeps: Keeps::default(),
        }
    }

    /// Keeps a task until the body is dropped.
    pub fn retain_worker(&mut self, worker: AbortOnDropJoinHandle<()>) {
        self.keeps.worker = Some(worker);
    }

    pub(crate) fn retain_slot(&mut self, slot: Option<Arc<Slot>>) {
        self.keeps.slot = slot;
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

/// Returns how many bytes there are, 0 if none have arrived yet.
fn available(state: &mut State) -> StreamResult<usize> {
    state.fill_now();
    if state.buffered() > 0 || !state.is_at_end() {
        return Ok(state.buffered());
    }
    match state.report() {
        Some(error) => Err(StreamError::LastOperationFailed(BodyError(error).into())),
        None => Err(StreamError::Closed),
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
pub struct HostIncomingBodyStream(Reader);

#[async_trait::async_trait]
impl Pollable for HostIncomingBodyStream {
    async fn ready(&mut self) {
        poll_fn(|cx| self.0.lock().poll_fill(cx)).await;
    }

    fn readiness(&self) -> Readiness<'_> {
        let mut state = self.0.lock();
        state.fill_now();
        match state.is_ready() {
            true => Readiness::Ready,
            false => Readiness::Future,
        }
    }
}

#[async_trait::async_trait]
impl InputStream for HostIncomingBodyStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut state = self.0.lock();
        available(&mut state)?;
        Ok(state.take(size))
    }

    fn available(&mut self, size: usize) -> Option<StreamResult<usize>> {
        let available = available(&mut self.0.lock());
        Some(available.map(|available| available.min(size)))
    }

    fn read_into(&mut self, target: &mut [u8]) -> StreamResult<usize> {
        let mut state = self.0.lock();
        available(&mut state)?;
        let copied = state.copy_to(target);
        copied.map_err(|error| StreamError::LastOperationFailed(error.into()))
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
        let mut state = body.reader.lock();
        let mut cx = Context::from_waker(Waker::noop());
        if state.poll_end(&mut cx).is_pending() {
            return None;
        }
        let trailers = state.take_trailers();
        drop(state);
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
