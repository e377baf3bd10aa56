//! `wasi:http/outgoing-handler`.

use super::bindings::http::outgoing_handler::Host;
use super::bindings::http::types::ErrorCode;
use super::body::{HyperOutgoingBody, empty};
use super::error::{HttpError, HttpResult, error_code};
use super::types::{HostFutureIncomingResponse, HostOutgoingRequest, OutgoingRequestConfig};
use crate::outgoing::RequestHead;
use crate::{Error, RequestOptions, WasiHttpCtxView};
use http::uri::Scheme;
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
        let request = self.make_request(request);
        let request = request.map_err(|error| error_code(self.hooks, &error))?;
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
    ) -> Result<hyper::Request<HyperOutgoingBody>, Error> {
        let head = RequestHead {
            method: request.method,
            scheme: request.scheme,
            authority: request.authority,
            path_with_query: request.path_with_query,
            headers: request.headers,
        };
        let size = head.content_length()?;
        if request.body.is_none() && size.is_some_and(|size| size > 0) {
            return Err(Error::HttpRequestBodySize(Some(0)));
        }
        head.into_request(self, request.body.unwrap_or_else(empty))
    }
}
