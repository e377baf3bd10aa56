//! The resources of `wasi:http/types` other than bodies, and how a host makes them.

use super::bindings::http::types::{ErrorCode, Scheme};
use super::body::{HostIncomingBody, HyperIncomingBody, HyperOutgoingBody, empty};
use crate::counts::Slot;
use crate::hooks::SendRequestFuture;
use crate::{Error, FieldMap, RequestOptions, WasiHttpCtxView, WasiHttpHooks};
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, StatusCode, Uri, header};
use http_body::Body;
use mintage::{Resource, Result, ensure};
use mintage_wasi::p2::Pollable;
use mintage_wasi::runtime::{AbortOnDropJoinHandle, poll_noop, spawn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

crate::convert::conversions!(crate::p2::bindings::http::types);

/// Headers that become fields when a guest asks for them, which many do not.
#[derive(Debug)]
pub(crate) enum LazyFields {
    Headers(HeaderMap),
    Fields(FieldMap),
}

impl LazyFields {
    /// Returns the fields, without the headers that the hooks forbid.
    pub fn get(&mut self, hooks: &mut dyn WasiHttpHooks) -> FieldMap {
        match self {
            LazyFields::Headers(headers) => {
                let fields = FieldMap::new_immutable(hooks, std::mem::take(headers));
                *self = LazyFields::Fields(fields.clone());
                fields
            }
            LazyFields::Fields(fields) => fields.clone(),
        }
    }
}

/// An `incoming-request`.
#[derive(Debug)]
pub struct HostIncomingRequest {
    pub(crate) method: http::Method,
    pub(crate) uri: Uri,
    pub(crate) headers: LazyFields,
    pub(crate) scheme: Scheme,
    /// That of the header `host`, if the URI has none.
    pub(crate) host: Option<http::HeaderValue>,
    /// The body, until the guest consumes it.
    pub body: Option<HostIncomingBody>,
}

impl HostIncomingRequest {
    pub(crate) fn authority(&self) -> Option<&str> {
        match self.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => self.host.as_ref().and_then(|host| host.to_str().ok()),
        }
    }
}

impl WasiHttpCtxView<'_> {
    /// Adds a request that a guest is to handle. Its body is not read before the guest does.
    ///
    /// # Errors
    ///
    /// If the request has no authority, neither in its URI nor as the header `host`, or one that is
    /// not text; or if the table is full.
    pub fn new_incoming_request<B>(
        &mut self,
        scheme: Scheme,
        request: hyper::Request<B>,
    ) -> Result<Resource<HostIncomingRequest>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        let (parts, body) = request.into_parts();
        let host = match parts.uri.authority() {
            Some(_) => None,
            None => {
                let host = parts.headers.get(header::HOST).cloned();
                let is_text = host.as_ref().is_some_and(|host| host.to_str().is_ok());
                ensure!(
                    is_text,
                    "the request has no authority, neither in its URI nor as the header `host`"
                );
                host
            }
        };
        let body = HostIncomingBody::of_request(&parts.headers, body);
        let request = HostIncomingRequest {
            method: parts.method,
            uri: parts.uri,
            headers: LazyFields::Headers(parts.headers),
            scheme,
            host,
            body: Some(body),
        };
        Ok(self.table.push(request)?)
    }

    /// Adds what a guest sets its response by. The sender is dropped if the guest sets none.
    ///
    /// # Errors
    ///
    /// If the table is full.
    pub fn new_response_outparam(
        &mut self,
        sender: oneshot::Sender<Result<hyper::Response<HyperOutgoingBody>, ErrorCode>>,
    ) -> Result<Resource<HostResponseOutparam>> {
        Ok(self
            .table
            .push(HostResponseOutparam(Outparam::Sender(sender)))?)
    }

    /// Adds what a guest sets its response by. The callback is dropped if the guest sets none.
    ///
    /// # Errors
    ///
    /// If the table is full.
    pub fn new_response_outparam_from_callback(
        &mut self,
        callback: impl FnOnce(Result<hyper::Response<HyperOutgoingBody>, ErrorCode>)
        + Send
        + Sync
        + 'static,
    ) -> Result<Resource<HostResponseOutparam>> {
        let outparam = HostResponseOutparam(Outparam::Callback(Box::new(callback)));
        Ok(self.table.push(outparam)?)
    }
}

/// A `response-outparam`.
pub struct HostResponseOutparam(Outparam);

enum Outparam {
    Sender(oneshot::Sender<Result<hyper::Response<HyperOutgoingBody>, ErrorCode>>),
    Callback(Box<dyn FnOnce(Result<hyper::Response<HyperOutgoingBody>, ErrorCode>) + Send + Sync>),
}

impl HostResponseOutparam {
    pub(crate) fn send(self, response: Result<hyper::Response<HyperOutgoingBody>, ErrorCode>) {
        match self.0 {
            // A host that has stopped to wait for the response is no reason to trap.
            Outparam::Sender(sender) => drop(sender.send(response)),
            Outparam::Callback(callback) => callback(response),
        }
    }
}

/// An `outgoing-response`.
#[derive(Debug)]
pub struct HostOutgoingResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: FieldMap,
    /// The body, if the guest has asked for it.
    pub body: Option<HyperOutgoingBody>,
}

impl From<HostOutgoingResponse> for hyper::Response<HyperOutgoingBody> {
    fn from(outgoing: HostOutgoingResponse) -> Self {
        let mut response = hyper::Response::new(outgoing.body.unwrap_or_else(empty));
        *response.status_mut() = outgoing.status;
        *response.headers_mut() = outgoing.headers.into();
        response
    }
}

/// An `outgoing-request`.
#[derive(Debug)]
pub struct HostOutgoingRequest {
    /// The method.
    pub method: http::Method,
    /// The scheme, if the guest has set one.
    pub scheme: Option<http::uri::Scheme>,
    /// The authority, if the guest has set one.
    pub authority: Option<Authority>,
    /// The path and the query, if the guest has set them.
    pub path_with_query: Option<PathAndQuery>,
    /// The headers.
    pub headers: FieldMap,
    /// The body, if the guest has asked for it.
    pub body: Option<HyperOutgoingBody>,
}

/// An `incoming-response`.
#[derive(Debug)]
pub struct HostIncomingResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: FieldMap,
    /// The body, until the guest consumes it.
    pub body: Option<HostIncomingBody>,
    /// The request is counted as long as there is one of these.
    pub(crate) _slot: Option<Arc<Slot>>,
}

/// How an outgoing request is sent, in the form that Wasmtime's crate had up to version 47.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingRequestConfig {
    /// Whether TLS is used.
    pub use_tls: bool,
    /// How long it may take to connect.
    pub connect_timeout: Duration,
    /// How long it may take from then on until the head of the response has arrived.
    pub first_byte_timeout: Duration,
    /// How long it may take from one piece of the response's body to the next.
    pub between_bytes_timeout: Duration,
}

impl OutgoingRequestConfig {
    /// How long connecting may take if the guest does not say.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

    /// How long each other step may take if the guest does not say.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

    pub(crate) fn new(use_tls: bool, options: RequestOptions) -> Self {
        let or_default = |timeout: Option<Duration>| timeout.unwrap_or(Self::DEFAULT_TIMEOUT);
        OutgoingRequestConfig {
            use_tls,
            connect_timeout: options
                .connect_timeout
                .unwrap_or(Self::DEFAULT_CONNECT_TIMEOUT),
            first_byte_timeout: or_default(options.first_byte_timeout),
            between_bytes_timeout: or_default(options.between_bytes_timeout),
        }
    }

    /// Returns the timeouts.
    pub fn options(&self) -> RequestOptions {
        RequestOptions {
            connect_timeout: Some(self.connect_timeout),
            first_byte_timeout: Some(self.first_byte_timeout),
            between_bytes_timeout: Some(self.between_bytes_timeout),
        }
    }
}

/// A response that a host or the client has received for a guest.
#[derive(Debug)]
pub struct IncomingResponse {
    /// The response.
    pub resp: hyper::Response<HyperIncomingBody>,
    /// A task that goes on with what the body needs. It ends when the body is dropped.
    pub worker: Option<AbortOnDropJoinHandle<()>>,
}

/// The task that sends a request.
pub type FutureIncomingResponseHandle = AbortOnDropJoinHandle<Result<IncomingResponse, Error>>;

/// A `future-incoming-response`.
#[derive(Debug)]
pub struct HostFutureIncomingResponse {
    state: State,
    pub(crate) slot: Option<Arc<Slot>>,
}

#[derive(Debug)]
enum State {
    Pending(FutureIncomingResponseHandle),
    Ready(Result<IncomingResponse, Error>),
    Consumed,
}

impl HostFutureIncomingResponse {
    /// Creates one that waits for a task.
    pub fn pending(task: FutureIncomingResponseHandle) -> Self {
        HostFutureIncomingResponse {
            state: State::Pending(task),
            slot: None,
        }
    }

    /// Creates one that is ready.
    pub fn ready(result: Result<IncomingResponse, Error>) -> Self {
        HostFutureIncomingResponse {
            state: State::Ready(result),
            slot: None,
        }
    }

    /// Starts a task for a future of [`WasiHttpHooks::send_request`].
    pub fn spawn(future: SendRequestFuture) -> Self {
        Self::pending(spawn(async move {
            let (resp, io) = Box::into_pin(future).await?;
            let mut io = Box::into_pin(io);
            // Most need nothing, and then there is no task.
            let worker = match poll_noop(Pin::new(&mut io)) {
                Some(_) => None,
                None => Some(spawn(async move {
                    // The body has the same error.
                    let _ = io.await;
                })),
            };
            Ok(IncomingResponse { resp, worker })
        }))
    }

    /// Returns whether the response or its error is there, or has been taken.
    pub fn is_ready(&self) -> bool {
        !matches!(self.state, State::Pending(_))
    }

    /// Takes the response: `None` if it is not there yet, `Some(None)` if it has been taken.
    pub(crate) fn take(&mut self) -> Option<Option<Result<IncomingResponse, Error>>> {
        if let State::Pending(task) = &mut self.state
            && let Some(result) = poll_noop(Pin::new(task))
        {
            self.state = State::Ready(result);
        }
        match std::mem::replace(&mut self.state, State::Consumed) {
            State::Ready(result) => Some(Some(result)),
            State::Consumed => Some(None),
            pending @ State::Pending(_) => {
                self.state = pending;
                None
            }
        }
    }
}

#[async_trait::async_trait]
impl Pollable for HostFutureIncomingResponse {
    async fn ready(&mut self) {
        if let State::Pending(task) = &mut self.state {
            // A panic in it would be the host's own.
            let result = task.await;
            self.state = State::Ready(result);
        }
    }

    fn readiness(&self) -> mintage_wasi::io::Readiness<'_> {
        match &self.state {
            State::Pending(_) => mintage_wasi::io::Readiness::Future,
            _ => mintage_wasi::io::Readiness::Ready,
        }
    }
}
