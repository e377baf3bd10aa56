//! [`Reader`]: the body of a message that a guest receives.
//!
//! The body is polled when the guest asks for more, by the guest's own task. Nothing is read ahead
//! of it but the frame that it is reading, which is the back-pressure on the sender.

use crate::counts::Slot;
use crate::fields::content_length;
use crate::hooks::WasiBody;
use crate::p2::hyper_request_error;
use crate::{Error, Result};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, SizeHint};
use http_body_util::BodyExt;
use mintage_wasi::runtime::AbortOnDropJoinHandle;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Frames that are skipped in one poll, before others get their turn.
const FRAMES_AT_ONCE: usize = 64;

/// A body that several resources of a guest share: the stream of its bytes, and its trailers, which
/// come after it. Only one of them uses it at a time.
#[derive(Clone, Debug)]
pub(crate) struct Reader(Arc<Mutex<State>>);

/// What a body has still to read.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The body, until it has ended.
    body: Option<WasiBody>,
    /// Bytes that the guest has not read.
    buffer: Bytes,
    /// Why the body has failed. A stream of 0.2 reports it once.
    error: Option<Arc<Error>>,
    is_reported: bool,
    trailers: Option<HeaderMap>,
    /// The size that `content-length` of a request says.
    expected: Option<u64>,
    received: u64,
    /// What lives as long as the body is used.
    keeps: Keeps,
    /// Set while a stream of 0.3 has the bytes, so that trailers wait for it.
    has_stream: bool,
    /// What waits for the end of that stream.
    waiting: Option<Waker>,
}

/// What lives as long as a body is used.
#[derive(Debug, Default)]
pub(crate) struct Keeps {
    /// A task that goes on with what the body needs.
    pub worker: Option<AbortOnDropJoinHandle<()>>,
    /// The request that the body is a response to.
    pub slot: Option<Arc<Slot>>,
}

impl Reader {
    /// Creates a body of any size.
    pub fn new(body: WasiBody) -> Self {
        Self::of(State {
            body: (!body.is_end_stream()).then_some(body),
            ..State::default()
        })
    }

    /// Creates the body of a request, whose size is checked.
    pub fn of_request<B>(headers: &HeaderMap, body: B) -> Self
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
        let mut state = State {
            body: boxed,
            expected: content_length(headers).ok().flatten(),
            ..State::default()
        };
        if state.body.is_none() {
            state.end(None);
        }
        Self::of(state)
    }

    fn of(state: State) -> Self {
        Reader(Arc::new(Mutex::new(state)))
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        // A body that has panicked is polled no more than others: it is the host's.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps something until the body is not used any more.
    pub fn keep(&mut self, keeps: Keeps) {
        self.keeps = keeps;
    }

    /// Is ready when there are bytes, or the body has ended.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.buffer.is_empty()
            && let Some(body) = &mut self.body
        {
            match std::task::ready!(std::pin::Pin::new(body).poll_frame(cx)) {
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
    pub fn fill_now(&mut self) {
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

    /// Returns whether there are bytes, or the body has ended.
    pub fn is_ready(&self) -> bool {
        !self.buffer.is_empty() || self.body.is_none()
    }

    /// Returns whether the body has ended, beyond the bytes that are there.
    pub fn is_at_end(&self) -> bool {
        self.body.is_none()
    }

    /// Returns whether nothing follows: no bytes, no trailers and no error.
    pub fn is_over(&self) -> bool {
        self.is_at_end()
            && self.buffer.is_empty()
            && self.trailers.is_none()
            && self.error.is_none()
    }

    /// Returns what is known of the number of bytes that are left.
    pub fn size_hint(&self) -> SizeHint {
        let buffered = self.buffer.len() as u64;
        let rest = match &self.body {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        };
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(buffered)) {
            hint.set_upper(upper);
        }
        hint.set_lower(rest.lower().saturating_add(buffered));
        hint
    }

    /// Returns how many bytes there are.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Takes bytes that are there.
    pub fn take(&mut self, most: usize) -> Bytes {
        self.buffer.split_to(most.min(self.buffer.len()))
    }

    /// Copies bytes that are there. Returns how many `target` takes.
    ///
    /// # Errors
    ///
    /// Those of `target`.
    pub fn copy_to(&mut self, mut target: impl io::Write) -> io::Result<usize> {
        let count = target.write(&self.buffer)?;
        self.buffer.advance(count);
        Ok(count)
    }

    /// Returns the error of the body, if it has failed and there are no bytes before that.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_deref().filter(|_| self.buffer.is_empty())
    }

    /// Returns the error of the body, the first time.
    pub fn report(&mut self) -> Option<Arc<Error>> {
        match self.is_reported {
            true => None,
            false => {
                self.is_reported = self.error.is_some();
                self.error.clone()
            }
        }
    }

    /// Skips bytes, and is ready when the body has ended.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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

    /// Takes the trailers of a body that has ended.
    ///
    /// # Errors
    ///
    /// If the body has failed.
    pub fn take_trailers(&mut self) -> Result<Option<HeaderMap>, Arc<Error>> {
        match self.error.clone() {
            Some(error) => Err(error),
            None => Ok(self.trailers.take()),
        }
    }
}

/// The bytes of a body, as a stream of 0.3 has them. When this is dropped, the rest is skipped.
#[derive(Debug)]
pub(crate) struct Contents(Reader);

impl Contents {
    pub fn new(reader: Reader) -> Self {
        reader.lock().has_stream = true;
        Contents(reader)
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        let mut state = self.lock();
        state.has_stream = false;
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

impl State {
    /// Waits for the trailers of a body: until its [`Contents`] are dropped, and all of it is read.
    ///
    /// # Errors
    ///
    /// If the body has failed.
    pub fn poll_trailers(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<HeaderMap>, Arc<Error>>> {
        if self.has_stream {
            self.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        std::task::ready!(self.poll_end(cx));
        Poll::Ready(self.take_trailers())
    }
}
