//! [`ResponseBody`]: the body of a response, which gives its connection back.

use super::pool::Lease;
use crate::Error;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

pub(super) struct ResponseBody {
    body: Incoming,
    lease: Lease,
    /// How long to wait for a frame.
    timeout: Duration,
    /// The timer of the next frame, once something waits for it.
    timer: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl ResponseBody {
    /// # Panics
    ///
    /// Outside of a runtime of tokio.
    pub fn new(body: Incoming, lease: Lease, timeout: Duration) -> Self {
        let mut body = ResponseBody {
            body,
            lease,
            timeout,
            timer: Box::pin(sleep(timeout)),
            is_waiting: false,
        };
        body.give_back_at_end();
        body
    }

    fn give_back_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.lease.give_back();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.is_waiting = false;
            match &frame {
                Some(Ok(_)) => this.give_back_at_end(),
                Some(Err(_)) => {}
                None => this.lease.give_back(),
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::Hyper)));
        }
        if !this.is_waiting {
            this.is_waiting = true;
            let now = Instant::now();
            // A time that the clock does not know is never.
            let at = now.checked_add(this.timeout);
            let far = Duration::from_secs(86400 * 365);
            this.timer.as_mut().reset(at.unwrap_or(now + far));
        }
        std::task::ready!(this.timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
