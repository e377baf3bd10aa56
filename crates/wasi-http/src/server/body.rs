//! The bodies of requests, limited, and of responses, which end their guests with them.

use super::ending::Ending;
use crate::Error;
use crate::p2::body::HyperOutgoingBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, yield_now};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Facts about a request body that outlive its move into the guest's store.
#[derive(Debug, Default)]
pub(super) struct RequestBodyState {
    /// Set when the body exceeds its limit.
    pub is_too_large: AtomicBool,
    /// Set while the guest waits for the client to send more.
    pub waits: AtomicBool,
}

/// The body of a request, of which no more than a number of bytes are read.
pub(super) struct RequestBody<B> {
    inner: B,
    left: u64,
    limit: u64,
    state: Arc<RequestBodyState>,
}

impl<B> RequestBody<B> {
    pub fn new(inner: B, limit: u64, state: Arc<RequestBodyState>) -> Self {
        RequestBody {
            inner,
            left: limit,
            limit,
            state,
        }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        this.state.waits.store(polled.is_pending(), Relaxed);
        polled.map(|frame| match frame? {
            Ok(frame) => {
                let len = frame.data_ref().map_or(0, |data| data.len() as u64);
                match this.left.checked_sub(len) {
                    Some(left) => {
                        this.left = left;
                        Some(Ok(frame))
                    }
                    None => {
                        this.state.is_too_large.store(true, Relaxed);
                        Some(Err(Error::HttpRequestBodySize(Some(this.limit))))
                    }
                }
            }
            Err(error) => Some(Err(request_error(error.into()))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Converts an error of the client's body to the error that the guest gets.
fn request_error(error: BoxError) -> Error {
    match error.downcast::<hyper::Error>() {
        Ok(error) => Error::Hyper(*error),
        Err(_) => Error::ConnectionTerminated,
    }
}

/// The body of a response. If it is dropped before its end, because the client went away, its guest
/// ends.
pub struct ResponseBody {
    content: Content,
    /// Set when the guest broke the body off.
    has_failed: bool,
    /// Ends with the body. Boxed, because the response is moved several times.
    ending: Option<Box<Ending>>,
}

enum Content {
    /// All that is left.
    Whole(Bytes),
    /// Frames that were already taken of the guest's body, and that body.
    Guest {
        taken: SmallVec<[Taken; 2]>,
        rest: HyperOutgoingBody,
        /// The guest, if it goes on. It ends if the body is dropped before its end.
        guest: Option<AbortHandle>,
    },
}

type Taken = Result<Frame<Bytes>, <HyperOutgoingBody as Body>::Error>;

impl ResponseBody {
    fn new(content: Content) -> Self {
        ResponseBody {
            content,
            has_failed: false,
            ending: None,
        }
    }

    /// Creates a body of the service's own.
    pub(super) fn text(text: &'static str) -> Self {
        Self::new(Content::Whole(Bytes::from_static(text.as_bytes())))
    }

    /// Creates the body of a guest that goes on.
    pub(super) fn running(rest: HyperOutgoingBody, guest: AbortHandle) -> Self {
        Self::new(Content::Guest {
            taken: SmallVec::new(),
            rest,
            guest: Some(guest),
        })
    }

    /// Creates the body of a guest that has returned. If all of it is there in one piece, its
    /// length is known, and the response needs no chunks.
    pub(super) async fn finished(mut rest: HyperOutgoingBody) -> Self {
        let mut taken: SmallVec<[Taken; 2]> = SmallVec::new();
        let is_whole = poll_fn(|cx| {
            Poll::Ready(loop {
                if rest.is_end_stream() {
                    break true;
                }
                match Pin::new(&mut rest).poll_frame(cx) {
                    Poll::Ready(None) => break true,
                    Poll::Ready(Some(frame)) => {
                        let is_last = frame.is_err() || !taken.is_empty();
                        taken.push(frame);
                        if is_last {
                            break false;
                        }
                    }
                    Poll::Pending => break false,
                }
            })
        });
        let is_whole = is_whole.await;
        if is_whole && taken.is_empty() {
            return Self::new(Content::Whole(Bytes::new()));
        }
        if is_whole
            && taken.len() == 1
            && let Some(Ok(frame)) = taken.first_mut()
            && let Some(data) = frame.data_mut()
        {
            return Self::new(Content::Whole(mem::take(data)));
        }
        Self::new(Content::Guest {
            taken,
            rest,
            guest: None,
        })
    }

    /// Returns whether all of the body is there.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.content, Content::Whole(_))
    }

    /// Sets the value that ends with the body.
    pub(super) fn set_ending(&mut self, ending: Box<Ending>) {
        self.ending = Some(ending);
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => Some(Ok(Frame::data(mem::take(bytes)))),
            Content::Guest { taken, .. } if !taken.is_empty() => Some(taken.remove(0)),
            Content::Guest { rest, guest, .. } => match Pin::new(rest).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(frame) => {
                    if frame.is_none() {
                        // The guest may go on after its response.
                        *guest = None;
                    }
                    frame
                }
            },
        };
        self.has_failed |= matches!(frame, Some(Err(_)));
        // hyper does not ask for the end of a body that says that it is there.
        let is_complete = match &frame {
            None => true,
            Some(Ok(_)) => self.is_end_stream(),
            Some(Err(_)) => false,
        };
        if let Some(ending) = &mut self.ending {
            if let Some(Ok(frame)) = &frame {
                ending.sent(frame.data_ref().map_or(0, Bytes::len));
            }
            if is_complete {
                ending.complete();
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Guest { taken, rest, .. } => taken.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Guest { taken, rest, .. } if taken.is_empty() => rest.size_hint(),
            Content::Guest { .. } => SizeHint::default(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let ends = self.is_end_stream() && !self.has_failed;
        let has_body = self.ending.as_ref().is_none_or(|ending| ending.has_body());
        if ends && let Some(ending) = &mut self.ending {
            ending.complete();
        }
        if let Content::Guest { guest, .. } = &mut self.content
            && let Some(guest) = guest.take()
            && has_body
            && !ends
        {
            abort(guest, self.has_failed);
        }
    }
}

/// Ends a guest. One that has broken its body off may have failed: its task reports that first.
fn abort(guest: AbortHandle, has_failed: bool) {
    match Handle::try_current() {
        Ok(runtime) if has_failed => drop(runtime.spawn(async move {
            yield_now().await;
            guest.abort();
        })),
        _ => guest.abort(),
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
