//! [`Observer`]: tells a host of each answered request and each failure.

use super::Failure;
use http::{Method, StatusCode, Uri, Version};
use std::net::SocketAddr;
use std::time::Duration;

/// The identity of a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestInfo {
    /// A number that no other request of the service has.
    pub number: u64,
    /// The address of the client, if it is known.
    pub peer: Option<SocketAddr>,
    /// The method.
    pub method: Method,
    /// The target, as the client has sent it.
    pub uri: Uri,
    /// The version of HTTP.
    pub version: Version,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The status, or `None` if the client went away before there was one.
    pub status: Option<StatusCode>,
    /// Bytes of the body that were passed on to the connection.
    pub bytes: u64,
    /// The time from the head of the request to the end of the response.
    pub took: Duration,
    /// Set if the response was sent to its end.
    pub is_complete: bool,
}

/// Learns of each request and each failure. Both functions are called on the thread that serves
/// the request, so they must not block.
pub trait Observer: Send + Sync + 'static {
    /// A request was answered, or its client went away.
    fn answered(&self, request: &RequestInfo, answer: Answer) {
        let _ = (request, answer);
    }

    /// A request failed, before, with or after the head of its response.
    fn failed(&self, request: &RequestInfo, failure: &Failure) {
        let _ = (request, failure);
    }
}
