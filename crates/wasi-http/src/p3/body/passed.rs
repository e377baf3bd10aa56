//! [`PassedBody`]: a body of the host that goes back to hyper, by way of a guest.

use super::filler::PassedEnd;
use crate::Error;
use crate::queue::StreamContext;
use crate::reader::Contents;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// A body of the host that goes back to hyper, without the guest's memory.
pub(super) struct PassedBody {
    /// The bytes, until they have ended.
    contents: Option<Contents>,
    trailers: PassedTrailers,
    context: StreamContext,
    expected: Option<u64>,
    sent: u64,
    is_polled: bool,
    outcome: Option<oneshot::Sender<crate::Result<()>>>,
}

/// What follows the bytes.
pub(super) enum PassedTrailers {
    /// The trailers of the body.
    Own,
    /// Those that the guest gives it.
    Guest(oneshot::Receiver<PassedEnd>),
    /// Nothing: all was sent, or the body was broken off.
    Nothing,
}

impl PassedBody {
    pub fn new(
        contents: Contents,
        trailers: PassedTrailers,
        (context, expected): (StreamContext, Option<u64>),
        outcome: oneshot::Sender<crate::Result<()>>,
    ) -> Self {
        PassedBody {
            contents: Some(contents),
            trailers,
            context,
            expected,
            sent: 0,
            is_polled: false,
            outcome: Some(outcome),
        }
    }

    /// Returns the next bytes, and none after the last ones.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<crate::Result<Bytes>> {
        let Some(contents) = &self.contents else {
            return Poll::Ready(Ok(Bytes::new()));
        };
        let mut body = contents.lock();
        ready!(body.poll_fill(cx));
        if let Some(error) = body.error() {
            return Poll::Ready(Err(error.copy()));
        }
        let bytes = body.take(usize::MAX);
        self.sent += bytes.len() as u64;
        let has_wrong_size = self
            .expected
            .is_some_and(|expected| match bytes.is_empty() {
                true => self.sent < expected,
                false => self.sent > expected,
            });
        Poll::Ready(match has_wrong_size {
            true => Err(self.context.as_body_size_error(self.sent).into()),
            false => Ok(bytes),
        })
    }

    /// Returns the trailers, after the last bytes.
    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<crate::Result<Option<HeaderMap>>> {
        let contents = self.contents.take();
        Poll::Ready(match &mut self.trailers {
            PassedTrailers::Nothing => Ok(None),
            PassedTrailers::Own => match contents {
                Some(contents) => contents
                    .lock()
                    .take_trailers()
                    .map_err(|error| error.copy()),
                None => Ok(None),
            },
            PassedTrailers::Guest(told) => {
                // The guest may have passed on the future of the body's own trailers. It waits
                // until no one has the bytes.
                drop(contents);
                match ready!(Pin::new(told).poll(cx)) {
                    Ok(trailers) => trailers.map(|trailers| trailers.map(HeaderMap::from)),
                    Err(_) => Err(Error::HttpProtocolError),
                }
            }
        })
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<crate::Result<Option<Frame<Bytes>>>> {
        let bytes = ready!(self.poll_bytes(cx))?;
        if !bytes.is_empty() {
            return Poll::Ready(Ok(Some(Frame::data(bytes))));
        }
        let trailers = ready!(self.poll_trailers(cx))?;
        self.trailers = PassedTrailers::Nothing;
        Poll::Ready(Ok(trailers.map(Frame::trailers)))
    }

    /// Returns whether hyper has all that it can take.
    fn is_sent(&self) -> bool {
        let is_whole = self.expected.is_none_or(|expected| expected == self.sent);
        match (&self.contents, &self.trailers) {
            (_, PassedTrailers::Nothing) => true,
            (Some(contents), PassedTrailers::Own) => is_whole && contents.lock().is_over(),
            (None, PassedTrailers::Own) => is_whole,
            // hyper does not ask for more than `content-length` says.
            (_, PassedTrailers::Guest(_)) => self.expected == Some(self.sent),
        }
    }

    fn tell(&mut self, result: crate::Result<()>) {
        if let Some(outcome) = self.outcome.take() {
            // If no one waits for it, no one wants to know.
            let _ = outcome.send(result);
        }
    }
}

impl Body for PassedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<crate::Result<Frame<Bytes>>>> {
        self.is_polled = true;
        let frame = ready!(self.poll_next(cx)).transpose();
        match &frame {
            Some(Err(error)) => {
                let error = error.copy();
                self.contents = None;
                self.trailers = PassedTrailers::Nothing;
                self.tell(Err(error));
            }
            None => self.tell(Ok(())),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self.trailers {
            PassedTrailers::Own => self.is_sent(),
            PassedTrailers::Guest(_) => false,
            PassedTrailers::Nothing => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let hint = match &self.contents {
            Some(contents) => contents.lock().size_hint(),
            None => SizeHint::with_exact(0),
        };
        match self.trailers {
            // A body with a length has no trailers in HTTP/1.1.
            PassedTrailers::Guest(_) if self.expected.is_none() => {
                let mut lower = SizeHint::new();
                lower.set_lower(hint.lower());
                lower
            }
            _ => hint,
        }
    }
}

impl Drop for PassedBody {
    fn drop(&mut self) {
        // Who takes no body at all does so for a reason of its own.
        let result = match self.is_sent() || !self.is_polled {
            true => Ok(()),
            false => Err(Error::ConnectionTerminated),
        };
        self.tell(result);
    }
}
