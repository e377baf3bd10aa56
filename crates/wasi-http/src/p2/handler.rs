//! `wasi:http/outgoing-handler`.

use super::bindings::http::outgoing_handler::Host;
use super::bindings::http::types::ErrorCode;
use super::body::{HyperOutgoingBody, empty};
use super::error::{HttpError, HttpResult};
use super::http_request_error;
use super::types::{HostFutureIncomingResponse, HostOutgoingRequest, OutgoingRequestConfig};
use crate::fields::content_length;
use crate::{RequestOptions, WasiHttpCtxView};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Uri, header};
use mintage::Resource;
use std::sync::Arc;

impl Host for WasiHttpCtxView<'_> {
    fn handle(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> HttpResult<Resource<HostFutureIncomingResponse>> {
        let request = self.table.delete(request).map_err(HttpError::trap)?;
        let options = options
            .map(|options| self.table.delete(options))
            .transpose();
        let options = options.map_err(HttpError::trap)?.unwrap_or_default();
        let Some(slot) = self.ctx.counts().request() else {
            return Err(ErrorCode::ConnectionLimitReached.into());
        };
        let request = self.make_request(request)?;
        let use_tls = request.uri().scheme() == Some(&Scheme::HTTPS);
        let config = OutgoingRequestConfig::new(use_tls, options);
        let mut future = self.hooks.p2_send_request(request, config)?;
        future.slot = Some(Arc::new(slot));
        self.table.push(future).map_err(HttpError::trap)
    }
}

impl WasiHttpCtxView<'_> {
    /// Makes what a guest has set a request of hyper.
    fn make_request(
        &mut self,
        request: HostOutgoingRequest,
    ) -> Result<hyper::Request<HyperOutgoingBody>, ErrorCode> {
        let scheme = match request.scheme {
            Some(scheme) => scheme,
            None => {
                let scheme = self.hooks.default_scheme();
                scheme.ok_or(ErrorCode::HttpProtocolError)?
            }
        };
        if !self.hooks.is_supported_scheme(&scheme) {
            return Err(ErrorCode::HttpProtocolError);
        }
        let authority = request.authority.ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let host = HeaderValue::from_str(authority.as_str());
        let host = host.map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        let size = content_length(&request.headers);
        let size = size.map_err(|_| ErrorCode::HttpRequestBodySize(None))?;
        if request.body.is_none() && size.is_some_and(|size| size > 0) {
            return Err(ErrorCode::HttpRequestBodySize(Some(0)));
        }
        let path = request.path_with_query;
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")))
            .build()
            .map_err(http_request_error)?;
        let mut outgoing = hyper::Request::new(request.body.unwrap_or_else(empty));
        *outgoing.method_mut() = request.method;
        *outgoing.uri_mut() = uri;
        let mut headers = HeaderMap::from(request.headers);
        if self.hooks.set_host_header() {
            headers.insert(header::HOST, host);
        }
        *outgoing.headers_mut() = headers;
        #[cfg(feature = "default-send-request")]
        crate::client::set_route(&mut outgoing, self.ctx);
        Ok(outgoing)
    }
}
