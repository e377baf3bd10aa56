//! The resources of requests: `incoming-request`, `outgoing-request`, `request-options`, and the
//! bodies.

use super::HttpResult;
use super::bindings::http::types::ErrorCode;
use super::bindings::http::types::{
    Duration, HostFutureTrailers as FutureTrailersTrait, HostIncomingBody as IncomingBodyTrait,
    HostIncomingRequest as IncomingRequestTrait, HostOutgoingBody as OutgoingBodyTrait,
    HostOutgoingRequest as OutgoingRequestTrait, HostRequestOptions, Method, Scheme, Trailers,
};
use super::body::{
    HostFutureTrailers, HostIncomingBody, HostOutgoingBody, HyperOutgoingBody, StreamContext,
};
use super::error::{HttpError, error_code};
use super::fields::delete;
use super::types::{HostIncomingRequest, HostOutgoingRequest};
use crate::convert::{nanoseconds, parse_authority, parse_path};
use crate::fields::content_length;
use crate::{FieldMap, RequestOptions, WasiHttpCtxView};
use mintage::{Resource, Result, format_err};
use mintage_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, subscribe};

impl IncomingRequestTrait for WasiHttpCtxView<'_> {
    fn method(&mut self, request: Resource<HostIncomingRequest>) -> Result<Method> {
        Ok(self.table.get(&request)?.method.clone().into())
    }

    fn path_with_query(
        &mut self,
        request: Resource<HostIncomingRequest>,
    ) -> Result<Option<String>> {
        let path = self.table.get(&request)?.uri.path_and_query();
        Ok(path.map(|path| path.as_str().to_string()))
    }

    fn scheme(&mut self, request: Resource<HostIncomingRequest>) -> Result<Option<Scheme>> {
        Ok(Some(self.table.get(&request)?.scheme.clone()))
    }

    fn authority(&mut self, request: Resource<HostIncomingRequest>) -> Result<Option<String>> {
        let authority = self.table.get(&request)?.authority();
        Ok(authority.map(str::to_string))
    }

    fn headers(&mut self, request: Resource<HostIncomingRequest>) -> Result<Resource<FieldMap>> {
        let request = self.table.get_mut(&request)?;
        let headers = request.headers.get(self.hooks);
        Ok(self.table.push(headers)?)
    }

    fn consume(
        &mut self,
        request: Resource<HostIncomingRequest>,
    ) -> Result<Result<Resource<HostIncomingBody>, ()>> {
        match self.table.get_mut(&request)?.body.take() {
            Some(body) => Ok(Ok(self.table.push(body)?)),
            None => Ok(Err(())),
        }
    }

    fn drop(&mut self, request: Resource<HostIncomingRequest>) -> Result<()> {
        delete!(self, request, "incoming-request")?;
        Ok(())
    }
}

impl WasiHttpCtxView<'_> {
    /// Creates an outgoing body for a request or response with these headers.
    ///
    /// # Errors
    ///
    /// If the guest has too many bodies, or the table is full.
    pub(super) fn new_outgoing_body(
        &mut self,
        context: StreamContext,
        headers: &FieldMap,
    ) -> Result<(Resource<HostOutgoingBody>, HyperOutgoingBody)> {
        let counts = self.ctx.counts();
        let open = counts.open();
        let slot = counts.body().ok_or_else(|| {
            format_err!(
                "the guest has more than {} outgoing bodies that are not sent yet; see \
                 `WasiHttpCtx::set_max_outgoing_bodies`",
                counts.limits.outgoing_bodies
            )
        })?;
        let (outgoing, body) = HostOutgoingBody::new_counted(
            context,
            content_length(headers)?,
            self.hooks.p2_outgoing_body_buffer_chunks(),
            self.hooks.p2_outgoing_body_chunk_size(),
            Some(slot),
            Some(open),
        );
        Ok((self.table.push(outgoing)?, body))
    }
}

impl OutgoingRequestTrait for WasiHttpCtxView<'_> {
    fn new(&mut self, headers: Resource<FieldMap>) -> Result<Resource<HostOutgoingRequest>> {
        let mut headers = self.table.delete(headers)?;
        headers.set_immutable();
        Ok(self.table.push(HostOutgoingRequest {
            method: http::Method::GET,
            scheme: None,
            authority: None,
            path_with_query: None,
            headers,
            body: None,
        })?)
    }

    fn body(
        &mut self,
        request: Resource<HostOutgoingRequest>,
    ) -> Result<Result<Resource<HostOutgoingBody>, ()>> {
        let place = self.table.get(&request)?;
        if place.body.is_some() {
            return Ok(Err(()));
        }
        let headers = place.headers.clone();
        let (outgoing, body) = self.new_outgoing_body(StreamContext::Request, &headers)?;
        self.table.get_mut(&request)?.body = Some(body);
        Ok(Ok(outgoing))
    }

    fn method(&mut self, request: Resource<HostOutgoingRequest>) -> Result<Method> {
        Ok(self.table.get(&request)?.method.clone().into())
    }

    fn set_method(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        method: Method,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        Ok(set(&mut request.method, http::Method::try_from(method)))
    }

    fn path_with_query(
        &mut self,
        request: Resource<HostOutgoingRequest>,
    ) -> Result<Option<String>> {
        let path = self.table.get(&request)?.path_with_query.as_ref();
        Ok(path.map(|path| path.as_str().to_string()))
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        path: Option<String>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let path = path.map(|path| parse_path(&path)).transpose();
        Ok(set(&mut request.path_with_query, path))
    }

    fn scheme(&mut self, request: Resource<HostOutgoingRequest>) -> Result<Option<Scheme>> {
        Ok(self.table.get(&request)?.scheme.as_ref().map(Scheme::from))
    }

    fn set_scheme(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        scheme: Option<Scheme>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let scheme = scheme.map(http::uri::Scheme::try_from).transpose();
        Ok(set(&mut request.scheme, scheme))
    }

    fn authority(&mut self, request: Resource<HostOutgoingRequest>) -> Result<Option<String>> {
        let authority = self.table.get(&request)?.authority.as_ref();
        Ok(authority.map(|authority| authority.as_str().to_string()))
    }

    fn set_authority(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        authority: Option<String>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let authority = authority.map(|authority| parse_authority(&authority));
        Ok(set(&mut request.authority, authority.transpose()))
    }

    fn headers(&mut self, request: Resource<HostOutgoingRequest>) -> Result<Resource<FieldMap>> {
        let headers = self.table.get(&request)?.headers.clone();
        Ok(self.table.push(headers)?)
    }

    fn drop(&mut self, request: Resource<HostOutgoingRequest>) -> Result<()> {
        delete!(self, request, "outgoing-request")?;
        Ok(())
    }
}

/// Sets a part of a request if it was parsed.
fn set<T, E>(place: &mut T, parsed: Result<T, E>) -> Result<(), ()> {
    *place = parsed.map_err(|_| ())?;
    Ok(())
}

impl HostRequestOptions for WasiHttpCtxView<'_> {
    fn new(&mut self) -> Result<Resource<RequestOptions>> {
        Ok(self.table.push(RequestOptions::default())?)
    }

    fn connect_timeout(&mut self, options: Resource<RequestOptions>) -> Result<Option<Duration>> {
        Ok(self.table.get(&options)?.connect_timeout.map(nanoseconds))
    }

    fn set_connect_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        timeout: Option<Duration>,
    ) -> Result<Result<(), ()>> {
        let timeout = timeout.map(std::time::Duration::from_nanos);
        self.table.get_mut(&options)?.connect_timeout = timeout;
        Ok(Ok(()))
    }

    fn first_byte_timeout(
        &mut self,
        options: Resource<RequestOptions>,
    ) -> Result<Option<Duration>> {
        Ok(self
            .table
            .get(&options)?
            .first_byte_timeout
            .map(nanoseconds))
    }

    fn set_first_byte_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        timeout: Option<Duration>,
    ) -> Result<Result<(), ()>> {
        let timeout = timeout.map(std::time::Duration::from_nanos);
        self.table.get_mut(&options)?.first_byte_timeout = timeout;
        Ok(Ok(()))
    }

    fn between_bytes_timeout(
        &mut self,
        options: Resource<RequestOptions>,
    ) -> Result<Option<Duration>> {
        Ok(self
            .table
            .get(&options)?
            .between_bytes_timeout
            .map(nanoseconds))
    }

    fn set_between_bytes_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        timeout: Option<Duration>,
    ) -> Result<Result<(), ()>> {
        let timeout = timeout.map(std::time::Duration::from_nanos);
        self.table.get_mut(&options)?.between_bytes_timeout = timeout;
        Ok(Ok(()))
    }

    fn drop(&mut self, options: Resource<RequestOptions>) -> Result<()> {
        delete!(self, options, "request-options")?;
        Ok(())
    }
}

impl IncomingBodyTrait for WasiHttpCtxView<'_> {
    fn stream(
        &mut self,
        body: Resource<HostIncomingBody>,
    ) -> Result<Result<Resource<DynInputStream>, ()>> {
        match self.table.get_mut(&body)?.take_stream() {
            Some(stream) => {
                let stream: DynInputStream = Box::new(stream);
                Ok(Ok(self.table.push_child(stream, &body)?))
            }
            None => Ok(Err(())),
        }
    }

    fn finish(&mut self, body: Resource<HostIncomingBody>) -> Result<Resource<HostFutureTrailers>> {
        let body = delete!(self, body, "incoming-body")?;
        Ok(self.table.push(body.into_future_trailers())?)
    }

    fn drop(&mut self, body: Resource<HostIncomingBody>) -> Result<()> {
        delete!(self, body, "incoming-body")?;
        Ok(())
    }
}

impl FutureTrailersTrait for WasiHttpCtxView<'_> {
    fn subscribe(
        &mut self,
        trailers: Resource<HostFutureTrailers>,
    ) -> Result<Resource<DynPollable>> {
        subscribe(self.table, trailers)
    }

    fn get(
        &mut self,
        trailers: Resource<HostFutureTrailers>,
    ) -> Result<Option<Result<Result<Option<Resource<Trailers>>, ErrorCode>, ()>>> {
        let trailers = match self.table.get_mut(&trailers)?.take() {
            None => return Ok(None),
            Some(None) => return Ok(Some(Err(()))),
            Some(Some(trailers)) => trailers,
        };
        Ok(Some(Ok(match trailers {
            Ok(Some(trailers)) => {
                let trailers = FieldMap::new_immutable(self.hooks, trailers);
                Ok(Some(self.table.push(trailers)?))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error_code(self.hooks, &error)),
        })))
    }

    fn drop(&mut self, trailers: Resource<HostFutureTrailers>) -> Result<()> {
        delete!(self, trailers, "future-trailers")?;
        Ok(())
    }
}

impl OutgoingBodyTrait for WasiHttpCtxView<'_> {
    fn write(
        &mut self,
        body: Resource<HostOutgoingBody>,
    ) -> Result<Result<Resource<DynOutputStream>, ()>> {
        match self.table.get_mut(&body)?.take_output_stream() {
            Some(stream) => Ok(Ok(self.table.push_child(stream, &body)?)),
            None => Ok(Err(())),
        }
    }

    fn finish(
        &mut self,
        body: Resource<HostOutgoingBody>,
        trailers: Option<Resource<Trailers>>,
    ) -> HttpResult<()> {
        let body = delete!(self, body, "outgoing-body").map_err(HttpError::trap)?;
        let trailers = trailers.map(|trailers| self.table.delete(trailers));
        let trailers = trailers.transpose().map_err(HttpError::trap)?;
        Ok(body.finish(trailers)?)
    }

    fn drop(&mut self, body: Resource<HostOutgoingBody>) -> Result<()> {
        delete!(self, body, "outgoing-body")?.abort();
        Ok(())
    }
}
