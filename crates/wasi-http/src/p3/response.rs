//! The resource `response`.

use super::Response;
use super::bindings::http::types::{HostResponse, HostResponseWithStore, StatusCode};
use super::body::{Body, Trailers, Transmission};
use crate::{FieldMap, WasiHttp, WasiHttpCtxView};
use mintage::component::{Access, FutureReader, StreamReader};
use mintage::{Resource, Result};

impl<T: Send> HostResponseWithStore<T> for WasiHttp {
    fn new(
        mut host: Access<'_, T, Self>,
        headers: Resource<FieldMap>,
        contents: Option<StreamReader<u8>>,
        trailers: FutureReader<Trailers>,
    ) -> Result<(Resource<Response>, FutureReader<Transmission>)> {
        let getter = host.getter();
        let (body, sent) = Body::of_guest(&mut host, contents, trailers, getter)?;
        let table = host.get().table;
        let mut headers = table.delete(headers)?;
        headers.set_immutable();
        let response = table.push(Response {
            status: http::StatusCode::OK,
            headers,
            body,
        })?;
        Ok((response, sent))
    }

    fn consume_body(
        mut host: Access<'_, T, Self>,
        response: Resource<Response>,
        result: FutureReader<Transmission>,
    ) -> Result<(StreamReader<u8>, FutureReader<Trailers>)> {
        let getter = host.getter();
        let response = host.get().table.delete(response)?;
        response.body.consume(host, result, getter)
    }
}

impl HostResponse for WasiHttpCtxView<'_> {
    fn get_status_code(&mut self, response: Resource<Response>) -> Result<StatusCode> {
        Ok(self.table.get(&response)?.status.as_u16())
    }

    fn set_status_code(
        &mut self,
        response: Resource<Response>,
        status: StatusCode,
    ) -> Result<Result<(), ()>> {
        let response = self.table.get_mut(&response)?;
        // Those are all that RFC 9110 has, section 15.
        Ok(match http::StatusCode::from_u16(status) {
            Ok(parsed) if status < 600 => {
                response.status = parsed;
                Ok(())
            }
            _ => Err(()),
        })
    }

    fn get_headers(&mut self, response: Resource<Response>) -> Result<Resource<FieldMap>> {
        let headers = self.table.get(&response)?.headers.clone();
        Ok(self.table.push(headers)?)
    }

    fn drop(&mut self, response: Resource<Response>) -> Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}
