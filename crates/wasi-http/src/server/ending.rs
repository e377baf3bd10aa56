//! [`Ending`]: counts and reports a request when it ends, however it ends.

use super::body::ResponseBody;
use super::failure::Failure;
use super::metrics::Counters;
use super::record::{Answer, Observer, RequestInfo};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use std::sync::Arc;
use std::time::Instant;

/// A request from its head to the end of its response, or until its client goes away. Dropping this
/// counts the request and tells the observer of it.
pub(super) struct Ending {
    reporter: Reporter,
    start: Instant,
    /// The status of the response, once there is one.
    status: Option<StatusCode>,
    /// Set if the method and the status allow a response body.
    has_body: bool,
    /// Bytes of the body so far.
    bytes: u64,
    /// Set when the body has ended.
    is_complete: bool,
}

/// Tells the host of failures.
#[derive(Clone)]
pub(super) struct Reporter {
    pub info: RequestInfo,
    pub counters: Arc<Counters>,
    pub observer: Option<Arc<dyn Observer>>,
}

impl Reporter {
    /// Tells of a failure.
    pub fn failed(&self, failure: &Failure) {
        if let Failure::TimedOut { .. } = failure {
            self.counters.timed_out();
        }
        if let Some(observer) = &self.observer {
            observer.failed(&self.info, failure);
        }
    }
}

impl Ending {
    pub fn new(reporter: Reporter, start: Instant) -> Ending {
        Ending {
            start,
            status: None,
            has_body: reporter.info.method != Method::HEAD,
            bytes: 0,
            is_complete: false,
            reporter,
        }
    }

    pub fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// Tells of a failure, and returns the response to it, which says nothing of its reason.
    pub fn fail(&self, failure: &Failure) -> Response<ResponseBody> {
        self.reporter.failed(failure);
        let status = failure.status();
        let mut response = Response::new(ResponseBody::text(text(status)));
        *response.status_mut() = status;
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        response
    }

    /// Sets the status of the response.
    pub fn answer(&mut self, status: StatusCode) {
        self.status = Some(status);
        let has_none = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        self.has_body &= !has_none;
    }

    /// Returns whether the response has a body, by the method and the status.
    pub fn has_body(&self) -> bool {
        self.has_body
    }

    /// Counts bytes of the body.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Notes that all of the body was sent.
    pub fn complete(&mut self) {
        self.is_complete = true;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let took = self.start.elapsed();
        let is_complete = self.is_complete || (self.status.is_some() && !self.has_body);
        match self.status {
            Some(status) => self.reporter.counters.response(status, took, is_complete),
            None => self.reporter.counters.abandoned(),
        }
        if let Some(observer) = &self.reporter.observer {
            let answer = Answer {
                status: self.status,
                bytes: self.bytes,
                took,
                is_complete,
            };
            observer.answered(&self.reporter.info, answer);
        }
    }
}

/// Returns the text of a response of the service's own.
fn text(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "400 Bad Request\n",
        StatusCode::REQUEST_TIMEOUT => "408 Request Timeout\n",
        StatusCode::PAYLOAD_TOO_LARGE => "413 Payload Too Large\n",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "431 Request Header Fields Too Large\n",
        StatusCode::NOT_IMPLEMENTED => "501 Not Implemented\n",
        StatusCode::BAD_GATEWAY => "502 Bad Gateway\n",
        StatusCode::SERVICE_UNAVAILABLE => "503 Service Unavailable\n",
        StatusCode::GATEWAY_TIMEOUT => "504 Gateway Timeout\n",
        _ => "500 Internal Server Error\n",
    }
}
