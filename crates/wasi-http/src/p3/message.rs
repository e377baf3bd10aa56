//! [`Request`] and [`Response`].

use super::HttpResult;
use super::body::{Body, BodyParts, Getter, Released};
use super::error::{HttpError, error_code};
use crate::fields::content_length;
use crate::hooks::WasiBody;
use crate::outgoing::RequestHead;
use crate::queue::StreamContext;
use crate::reader::{Keeps, Reader};
use crate::{Error, FieldMap, RequestOptions, WasiHttpHooks, WasiHttpView};
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use mintage::{AsContextMut, Result};
use std::fmt;
use std::sync::Arc;

/// A `request`.
pub struct Request {
    /// The method.
    pub method: Method,
    /// The scheme, if there is one.
    pub scheme: Option<Scheme>,
    /// The authority, if there is one.
    pub authority: Option<Authority>,
    /// The path and the query, if there are any. A path that a guest has set without its first
    /// slash has one here.
    pub path_with_query: Option<PathAndQuery>,
    /// The path and the query, if the guest has set a path without its first slash.
    pub(super) without_slash: Option<PathAndQuery>,
    /// The headers.
    pub headers: FieldMap,
    /// The timeouts of an outgoing request.
    pub options: Option<Arc<RequestOptions>>,
    pub(super) body: Body,
}

/// A `response`.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: FieldMap,
    pub(super) body: Body,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path_with_query", &self.path_with_query)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Creates a request. The length of its body is not checked.
    ///
    /// The future says what whoever handles the request says of its body: it is ready when the body
    /// was received, or the request is dropped.
    pub fn new<B>(
        method: Method,
        scheme: Option<Scheme>,
        authority: Option<Authority>,
        path_with_query: Option<PathAndQuery>,
        headers: impl Into<FieldMap>,
        options: Option<Arc<RequestOptions>>,
        body: B,
    ) -> (
        Self,
        impl Future<Output = crate::Result<()>> + Send + 'static,
    )
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        let body = body.map_err(Into::into).boxed_unsync();
        let (body, received) = Body::of_host(Reader::new(body));
        let request = Request {
            method,
            scheme,
            authority,
            path_with_query,
            without_slash: None,
            headers: headers.into(),
            options,
            body,
        };
        (request, received)
    }

    /// Makes a request of one of the crate `http`, without the headers that the hooks forbid. Its
    /// authority is that of the header `host` if the URI has none. The length of its body is
    /// checked against `content-length`.
    ///
    /// The future is that of [`new`](Self::new).
    pub fn from_http<B>(
        hooks: &mut dyn WasiHttpHooks,
        request: http::Request<B>,
    ) -> (
        Self,
        impl Future<Output = crate::Result<()>> + Send + 'static,
    )
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        let (head, body) = request.into_parts();
        let (body, received) = Body::of_host(Reader::of_request(&head.headers, body));
        let uri = head.uri.into_parts();
        let authority = uri.authority.or_else(|| {
            let host = head.headers.get(header::HOST)?;
            Authority::try_from(host.as_bytes()).ok()
        });
        let request = Request {
            method: head.method,
            scheme: uri.scheme,
            authority,
            path_with_query: uri.path_and_query,
            without_slash: None,
            headers: FieldMap::new_immutable(hooks, head.headers),
            options: None,
            body,
        };
        (request, received)
    }

    /// Makes this a request of the crate `http`, which a client can send. Its body needs the store
    /// to run.
    ///
    /// Whoever made the request gets the result of `sent` after its body was sent.
    ///
    /// # Errors
    ///
    /// An error code for the guest, or a trap.
    pub fn into_http<T: WasiHttpView + 'static>(
        self,
        store: impl AsContextMut<Data = T>,
        sent: impl Future<Output = crate::Result<()>> + Send + 'static,
    ) -> HttpResult<(http::Request<WasiBody>, Option<Arc<RequestOptions>>)> {
        self.into_http_with_getter(store, sent, T::http)
    }

    /// Does the same as [`into_http`](Self::into_http), in a store whose data is no
    /// [`WasiHttpView`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn into_http_with_getter<T: 'static>(
        self,
        store: impl AsContextMut<Data = T>,
        sent: impl Future<Output = crate::Result<()>> + Send + 'static,
        getter: Getter<T>,
    ) -> HttpResult<(http::Request<WasiBody>, Option<Arc<RequestOptions>>)> {
        let (request, options, _) = self.into_hyper(store, sent, getter)?;
        Ok((request, options))
    }

    /// Does the same as [`into_http`](Self::into_http). Returns a future as well, which is ready
    /// when the body does not need the store any more.
    pub(super) fn into_hyper<T: 'static>(
        self,
        mut store: impl AsContextMut<Data = T>,
        sent: impl Future<Output = crate::Result<()>> + Send + 'static,
        getter: Getter<T>,
    ) -> HttpResult<(
        http::Request<WasiBody>,
        Option<Arc<RequestOptions>>,
        Released,
    )> {
        let head = RequestHead {
            method: self.method,
            scheme: self.scheme,
            authority: self.authority,
            path_with_query: self.path_with_query,
            headers: self.headers,
        };
        let body = self.body;
        let request = head.content_length().and_then(|expected| {
            // The body is not piped before the head is known to be good.
            let mut store = store.as_context_mut();
            let empty = http_body_util::Empty::new().map_err(|never| match never {});
            let request = head.into_request(&mut getter(store.data_mut()), empty.boxed_unsync())?;
            Ok((request, expected))
        });
        let (request, expected) = request.map_err(|error| {
            let mut store = store.as_context_mut();
            error_code(getter(store.data_mut()).hooks, &error)
        })?;
        let parts = BodyParts {
            context: StreamContext::Request,
            expected,
            outcome: sent,
        };
        let body = body.into_hyper(store, parts, getter);
        let (body, released) = body.map_err(HttpError::trap)?;
        Ok((request.map(|_| body), self.options, released))
    }
}

impl Response {
    /// Makes a response of one of the crate `http`, without the headers that the hooks forbid.
    ///
    /// The future says what whoever gets the response says of its body: it is ready when the body
    /// was received, or the response is dropped.
    pub fn from_http<B>(
        hooks: &mut dyn WasiHttpHooks,
        response: http::Response<B>,
    ) -> (
        Self,
        impl Future<Output = crate::Result<()>> + Send + 'static,
    )
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        let response = response.map(|body| body.map_err(Into::into).boxed_unsync());
        Self::kept(hooks, response, Keeps::default())
    }

    /// Does the same as [`from_http`](Self::from_http), and keeps something as long as the body is
    /// used.
    pub(super) fn kept(
        hooks: &mut dyn WasiHttpHooks,
        response: http::Response<WasiBody>,
        keeps: Keeps,
    ) -> (
        Self,
        impl Future<Output = crate::Result<()>> + Send + 'static,
    ) {
        let (head, body) = response.into_parts();
        let reader = Reader::new(body);
        reader.lock().keep(keeps);
        let (body, received) = Body::of_host(reader);
        let response = Response {
            status: head.status,
            headers: FieldMap::new_immutable(hooks, head.headers),
            body,
        };
        (response, received)
    }

    /// Makes this a response of the crate `http`, which a server can send. Its body needs the store
    /// to run.
    ///
    /// Whoever made the response gets the result of `sent` after its body was sent.
    ///
    /// # Errors
    ///
    /// If the guest has too many bodies, or its headers say a length that is not a number.
    pub fn into_http<T: WasiHttpView + 'static>(
        self,
        store: impl AsContextMut<Data = T>,
        sent: impl Future<Output = crate::Result<()>> + Send + 'static,
    ) -> Result<http::Response<WasiBody>> {
        self.into_http_with_getter(store, sent, T::http)
    }

    /// Does the same as [`into_http`](Self::into_http), in a store whose data is no
    /// [`WasiHttpView`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn into_http_with_getter<T: 'static>(
        self,
        store: impl AsContextMut<Data = T>,
        sent: impl Future<Output = crate::Result<()>> + Send + 'static,
        getter: Getter<T>,
    ) -> Result<http::Response<WasiBody>> {
        let (response, _) = self.into_hyper(store, sent, getter)?;
        Ok(response)
    }

    /// Does the same as [`into_http`](Self::into_http). Returns a future as well, which is ready
    /// when the body does not need the store any more.
    pub(crate) fn into_hyper<T: 'static>(
        self,
        store: impl AsContextMut<Data = T>,
        sent: impl Future<Output = crate::Result<()>> + Send + 'static,
        getter: Getter<T>,
    ) -> Result<(http::Response<WasiBody>, Released)> {
        let parts = BodyParts {
            context: StreamContext::Response,
            expected: content_length(&self.headers)?,
            outcome: sent,
        };
        let (body, released) = self.body.into_hyper(store, parts, getter)?;
        let mut response = http::Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.into();
        Ok((response, released))
    }
}
