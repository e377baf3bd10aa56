//! The resources of responses: `response-outparam`, `outgoing-response`, `incoming-response`,
//! `future-incoming-response`.

use super::HttpResult;
use super::bindings::http::types::{
    ErrorCode, HostFutureIncomingResponse as FutureIncomingResponseTrait,
    HostIncomingResponse as IncomingResponseTrait, HostOutgoingResponse as OutgoingResponseTrait,
    HostResponseOutparam as ResponseOutparamTrait, StatusCode,
};
use super::body::{HostIncomingBody, HostOutgoingBody, StreamContext};
use super::error::{HttpError, error_code};
use super::fields::delete;
use super::types::{
    HostFutureIncomingResponse, HostIncomingResponse, HostOutgoingResponse, HostResponseOutparam,
    IncomingResponse,
};
use crate::fields::content_length;
use crate::{FieldMap, WasiHttpCtxView};
use mintage::{Resource, Result, format_err};
use mintage_wasi::p2::{DynPollable, subscribe};

impl ResponseOutparamTrait for WasiHttpCtxView<'_> {
    fn send_informational(
        &mut self,
        _: Resource<HostResponseOutparam>,
        _: StatusCode,
        _: Resource<FieldMap>,
    ) -> HttpResult<()> {
        Err(HttpError::trap(format_err!(
            "wasi:http: `send-informational` is not supported, since hyper's server sends no \
             informational responses of its own"
        )))
    }

    fn set(
        &mut self,
        outparam: Resource<HostResponseOutparam>,
        response: Result<Resource<HostOutgoingResponse>, ErrorCode>,
    ) -> Result<()> {
        let response = response.map(|response| self.table.delete(response));
        let outparam = self.table.delete(outparam)?;
        outparam.send(match response {
            Ok(response) => Ok(with_size(response?).into()),
            Err(code) => Err(code),
        });
        Ok(())
    }

    fn drop(&mut self, outparam: Resource<HostResponseOutparam>) -> Result<()> {
        delete!(self, outparam, "response-outparam")?;
        Ok(())
    }
}

/// Breaks a response off whose headers promise a body that the guest never asked for, unless it is
/// the response of a request such as HEAD, whose body hyper does not look at.
fn with_size(mut response: HostOutgoingResponse) -> HostOutgoingResponse {
    let size = content_length(&response.headers).ok().flatten();
    if response.body.is_none() && size.is_some_and(|size| size > 0) {
        let (outgoing, body) = HostOutgoingBody::new(StreamContext::Response, size, 1, 1);
        // It has the wrong size, which the reader of the body learns.
        let _ = outgoing.finish(None);
        response.body = Some(body);
    }
    response
}

impl OutgoingResponseTrait for WasiHttpCtxView<'_> {
    fn new(&mut self, headers: Resource<FieldMap>) -> Result<Resource<HostOutgoingResponse>> {
        let mut headers = self.table.delete(headers)?;
        headers.set_immutable();
        Ok(self.table.push(HostOutgoingResponse {
            status: http::StatusCode::OK,
            headers,
            body: None,
        })?)
    }

    fn status_code(&mut self, response: Resource<HostOutgoingResponse>) -> Result<StatusCode> {
        Ok(self.table.get(&response)?.status.as_u16())
    }

    fn set_status_code(
        &mut self,
        response: Resource<HostOutgoingResponse>,
        status: StatusCode,
    ) -> Result<Result<(), ()>> {
        let response = self.table.get_mut(&response)?;
        Ok(match http::StatusCode::from_u16(status) {
            // One response comes after these, and this is the only one.
            Ok(status) if status.is_informational() => Err(()),
            Ok(status) => {
                response.status = status;
                Ok(())
            }
            Err(_) => Err(()),
        })
    }

    fn headers(&mut self, response: Resource<HostOutgoingResponse>) -> Result<Resource<FieldMap>> {
        let headers = self.table.get(&response)?.headers.clone();
        Ok(self.table.push(headers)?)
    }

    fn body(
        &mut self,
        response: Resource<HostOutgoingResponse>,
    ) -> Result<Result<Resource<HostOutgoingBody>, ()>> {
        let place = self.table.get(&response)?;
        if place.body.is_some() {
            return Ok(Err(()));
        }
        let headers = place.headers.clone();
        let (outgoing, body) = self.new_outgoing_body(StreamContext::Response, &headers)?;
        self.table.get_mut(&response)?.body = Some(body);
        Ok(Ok(outgoing))
    }

    fn drop(&mut self, response: Resource<HostOutgoingResponse>) -> Result<()> {
        delete!(self, response, "outgoing-response")?;
        Ok(())
    }
}

impl IncomingResponseTrait for WasiHttpCtxView<'_> {
    fn status(&mut self, response: Resource<HostIncomingResponse>) -> Result<StatusCode> {
        Ok(self.table.get(&response)?.status)
    }

    fn headers(&mut self, response: Resource<HostIncomingResponse>) -> Result<Resource<FieldMap>> {
        let headers = self.table.get(&response)?.headers.clone();
        Ok(self.table.push(headers)?)
    }

    fn consume(
        &mut self,
        response: Resource<HostIncomingResponse>,
    ) -> Result<Result<Resource<HostIncomingBody>, ()>> {
        match self.table.get_mut(&response)?.body.take() {
            Some(body) => Ok(Ok(self.table.push(body)?)),
            None => Ok(Err(())),
        }
    }

    fn drop(&mut self, response: Resource<HostIncomingResponse>) -> Result<()> {
        delete!(self, response, "incoming-response")?;
        Ok(())
    }
}

impl FutureIncomingResponseTrait for WasiHttpCtxView<'_> {
    fn subscribe(
        &mut self,
        future: Resource<HostFutureIncomingResponse>,
    ) -> Result<Resource<DynPollable>> {
        subscribe(self.table, future)
    }

    fn get(
        &mut self,
        future: Resource<HostFutureIncomingResponse>,
    ) -> Result<Option<Result<Result<Resource<HostIncomingResponse>, ErrorCode>, ()>>> {
        let future = self.table.get_mut(&future)?;
        let IncomingResponse { resp, worker } = match future.take() {
            None => return Ok(None),
            Some(None) => return Ok(Some(Err(()))),
            Some(Some(Ok(response))) => response,
            Some(Some(Err(error))) => {
                return Ok(Some(Ok(Err(error_code(self.hooks, &error)))));
            }
        };
        let slot = future.slot.take();
        let (head, body) = resp.into_parts();
        let mut headers = FieldMap::new_immutable(self.hooks, head.headers);
        if headers.count(self.ctx.counts()).is_err() {
            let size = u32::try_from(headers.size()).ok();
            return Ok(Some(Ok(Err(ErrorCode::HttpResponseHeaderSectionSize(
                size,
            )))));
        }
        let mut body = HostIncomingBody::new(body);
        if let Some(worker) = worker {
            body.retain_worker(worker);
        }
        body.retain_slot(slot.clone());
        let response = self.table.push(HostIncomingResponse {
            status: head.status.as_u16(),
            headers,
            body: Some(body),
            _slot: slot,
        })?;
        Ok(Some(Ok(Ok(response))))
    }

    fn drop(&mut self, future: Resource<HostFutureIncomingResponse>) -> Result<()> {
        delete!(self, future, "future-incoming-response")?;
        Ok(())
    }
}
