//! The resource `request`.

use super::bindings::http::types::{HostRequest, HostRequestWithStore, Method, Scheme};
use super::body::{Body, Trailers, Transmission};
use super::{MaybeMutable, Request};
use crate::convert::{parse_authority, parse_path};
use crate::{FieldMap, RequestOptions, WasiHttp, WasiHttpCtxView};
use mintage::component::{Access, FutureReader, StreamReader};
use mintage::{Resource, Result};

crate::convert::conversions!(crate::p3::bindings::http::types);

impl<T: Send> HostRequestWithStore<T> for WasiHttp {
    fn new(
        mut host: Access<'_, T, Self>,
        headers: Resource<FieldMap>,
        contents: Option<StreamReader<u8>>,
        trailers: FutureReader<Trailers>,
        options: Option<Resource<MaybeMutable<RequestOptions>>>,
    ) -> Result<(Resource<Request>, FutureReader<Transmission>)> {
        let getter = host.getter();
        let (body, sent) = Body::of_guest(&mut host, contents, trailers, getter)?;
        let table = host.get().table;
        let mut headers = table.delete(headers)?;
        headers.set_immutable();
        let options = options.map(|options| table.delete(options)).transpose()?;
        let request = table.push(Request {
            method: http::Method::GET,
            scheme: None,
            authority: None,
            path_with_query: None,
            without_slash: None,
            headers,
            options: options.map(MaybeMutable::into_arc),
            body,
        })?;
        Ok((request, sent))
    }

    fn consume_body(
        mut host: Access<'_, T, Self>,
        request: Resource<Request>,
        result: FutureReader<Transmission>,
    ) -> Result<(StreamReader<u8>, FutureReader<Trailers>)> {
        let getter = host.getter();
        let request = host.get().table.delete(request)?;
        request.body.consume(host, result, getter)
    }
}

/// Sets a part of a request if it was parsed.
fn set<T, E>(place: &mut T, parsed: Result<T, E>) -> Result<(), ()> {
    *place = parsed.map_err(|_| ())?;
    Ok(())
}

impl HostRequest for WasiHttpCtxView<'_> {
    fn get_method(&mut self, request: Resource<Request>) -> Result<Method> {
        Ok(self.table.get(&request)?.method.clone().into())
    }

    fn set_method(&mut self, request: Resource<Request>, method: Method) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        Ok(set(&mut request.method, http::Method::try_from(method)))
    }

    fn get_path_with_query(&mut self, request: Resource<Request>) -> Result<Option<String>> {
        let request = self.table.get(&request)?;
        // The host may have changed the path since.
        let is_without = request.without_slash == request.path_with_query;
        let path = request.path_with_query.as_ref();
        Ok(path.map(|path| path.as_str()[usize::from(is_without)..].to_string()))
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<Request>,
        path: Option<String>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let is_without = |path: &str| !path.is_empty() && !path.starts_with('/');
        let is_without = path.as_deref().is_some_and(is_without);
        // A relative path is resolved against the root (RFC 3986, section 5.2.3).
        let path = path.map(|path| match is_without {
            true => parse_path(&format!("/{path}")),
            false => parse_path(&path),
        });
        let parsed = set(&mut request.path_with_query, path.transpose());
        if parsed.is_ok() {
            let path = request.path_with_query.as_ref();
            request.without_slash = path.filter(|_| is_without).cloned();
        }
        Ok(parsed)
    }

    fn get_scheme(&mut self, request: Resource<Request>) -> Result<Option<Scheme>> {
        Ok(self.table.get(&request)?.scheme.as_ref().map(Scheme::from))
    }

    fn set_scheme(
        &mut self,
        request: Resource<Request>,
        scheme: Option<Scheme>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let scheme = scheme.map(http::uri::Scheme::try_from).transpose();
        Ok(set(&mut request.scheme, scheme))
    }

    fn get_authority(&mut self, request: Resource<Request>) -> Result<Option<String>> {
        let authority = self.table.get(&request)?.authority.as_ref();
        Ok(authority.map(|authority| authority.as_str().to_string()))
    }

    fn set_authority(
        &mut self,
        request: Resource<Request>,
        authority: Option<String>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let authority = authority.map(|authority| parse_authority(&authority));
        Ok(set(&mut request.authority, authority.transpose()))
    }

    fn get_options(
        &mut self,
        request: Resource<Request>,
    ) -> Result<Option<Resource<MaybeMutable<RequestOptions>>>> {
        let Some(options) = self.table.get(&request)?.options.clone() else {
            return Ok(None);
        };
        Ok(Some(self.table.push(MaybeMutable::Immutable(options))?))
    }

    fn get_headers(&mut self, request: Resource<Request>) -> Result<Resource<FieldMap>> {
        let headers = self.table.get(&request)?.headers.clone();
        Ok(self.table.push(headers)?)
    }

    fn drop(&mut self, request: Resource<Request>) -> Result<()> {
        self.table.delete(request)?;
        Ok(())
    }
}
