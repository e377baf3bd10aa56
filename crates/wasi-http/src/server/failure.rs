//! [`Failure`]: the reason why a guest did not answer a request, and the status for its client.

use crate::p2::bindings::http::types::ErrorCode;
use http::StatusCode;
use mintage::{Error, ErrorKind, LimitKind, Trap};
use std::fmt;

/// The reason why a request got no response of its guest, or only a part of one.
///
/// The client learns the status alone. The rest is for the host's log.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The request is not one that a guest can be given; the text says why. Answered by 400, by 501
    /// for the method `CONNECT`, or by 431 if its head is larger than 64 KiB.
    BadRequest(&'static str),
    /// The body of the request is larger than
    /// [`max_request_body`](super::ProxyService::max_request_body) allows. Answered by 413.
    RequestTooLarge,
    /// As many requests are under way as may be
    /// ([`max_concurrent_requests`](super::ProxyService::max_concurrent_requests)). Answered by
    /// 503.
    Busy,
    /// The engine has no room for another instance or call; the error says which limit was reached.
    /// Answered by 503.
    NoRoom(Error),
    /// The guest took longer than [`timeout`](super::ProxyService::timeout). The error has its
    /// backtrace. Answered by 504, or by 408 if it waited for the body of the request.
    TimedOut {
        /// The trap that ended the guest.
        error: Error,
        /// Set if the guest was waiting for the request body from its client.
        waited_for_client: bool,
    },
    /// The guest trapped, or a host function failed. Answered by 500.
    Failed(Error),
    /// The guest returned without a response. Answered by 502.
    NoResponse,
    /// The guest sent an error in place of a response. Answered by 502, or by 504 for time-outs of
    /// requests that the guest has made.
    Refused(ErrorCode),
    /// The guest sent a response that HTTP does not allow; the text says why. Answered by 502.
    InvalidResponse(&'static str),
}

impl Failure {
    /// Sorts the error of a guest's call.
    pub(super) fn of_call(error: Error, timed_out: bool, waited_for_client: bool) -> Failure {
        let no_room = match error.kind() {
            ErrorKind::Limit(limit) => matches!(
                limit,
                LimitKind::PoolFull | LimitKind::Mappings | LimitKind::Stacks
            ),
            _ => false,
        };
        if no_room {
            Failure::NoRoom(error)
        } else if timed_out && error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
            Failure::TimedOut {
                error,
                waited_for_client,
            }
        } else {
            Failure::Failed(error)
        }
    }

    /// Returns the status that the client gets, if no head of a response was sent before.
    pub fn status(&self) -> StatusCode {
        match self {
            Failure::BadRequest(reason) if *reason == CONNECT => StatusCode::NOT_IMPLEMENTED,
            Failure::BadRequest(reason) if *reason == LARGE_HEAD => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Failure::BadRequest(_) => StatusCode::BAD_REQUEST,
            Failure::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::Busy | Failure::NoRoom(_) => StatusCode::SERVICE_UNAVAILABLE,
            Failure::TimedOut {
                waited_for_client: true,
                ..
            } => StatusCode::REQUEST_TIMEOUT,
            Failure::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            Failure::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Failure::Refused(
                ErrorCode::DnsTimeout
                | ErrorCode::ConnectionTimeout
                | ErrorCode::ConnectionReadTimeout
                | ErrorCode::ConnectionWriteTimeout
                | ErrorCode::HttpResponseTimeout,
            ) => StatusCode::GATEWAY_TIMEOUT,
            Failure::NoResponse | Failure::Refused(_) | Failure::InvalidResponse(_) => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    /// Returns the error with its backtrace, if the guest was stopped by one.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Failure::NoRoom(error) | Failure::TimedOut { error, .. } | Failure::Failed(error) => {
                Some(error)
            }
            _ => None,
        }
    }
}

/// The reason why the method `CONNECT` is not served: a guest has no means to be a tunnel.
pub(super) const CONNECT: &str = "the method CONNECT is not supported";

/// The reason why a request is not passed on whose head is larger than [`MAX_HEAD`].
pub(super) const LARGE_HEAD: &str = "the head of the request is larger than 64 KiB";

/// The most bytes of the head of a request: its target, and its headers as HTTP/1.1 has them.
pub(super) const MAX_HEAD: usize = 64 << 10;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::BadRequest(reason) => f.write_str(reason),
            Failure::RequestTooLarge => f.write_str("the body of the request is too large"),
            Failure::Busy => f.write_str("too many requests are under way"),
            Failure::NoRoom(_) => f.write_str("there is no room for another instance"),
            Failure::TimedOut {
                waited_for_client: true,
                ..
            } => f.write_str("timed out: the client did not send the body of its request in time"),
            Failure::TimedOut { .. } => f.write_str("timed out"),
            Failure::Failed(_) => f.write_str("the guest failed"),
            Failure::NoResponse => f.write_str("the guest returned without a response"),
            Failure::Refused(code) => {
                write!(f, "the guest answered with an error: {code:?}")
            }
            Failure::InvalidResponse(reason) => {
                write!(f, "the guest's response is invalid: {reason}")
            }
        }
    }
}
