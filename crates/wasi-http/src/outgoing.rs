//! [`RequestHead`]: the head of a request that a guest sends.

use crate::convert::uri_to_send;
use crate::fields::content_length;
use crate::hooks::WasiBody;
use crate::{Error, FieldMap, Result, WasiHttpCtxView};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, header};

/// What a guest has set of a request.
pub(crate) struct RequestHead {
    pub method: http::Method,
    pub scheme: Option<Scheme>,
    pub authority: Option<Authority>,
    pub path_with_query: Option<PathAndQuery>,
    pub headers: FieldMap,
}

impl RequestHead {
    /// Returns the size of the body that `content-length` says.
    ///
    /// # Errors
    ///
    /// If it is not a number.
    pub fn content_length(&self) -> Result<Option<u64>> {
        content_length(&self.headers).map_err(|_| Error::HttpRequestBodySize(None))
    }

    /// Makes a request of hyper, with the rules of the hooks and the route of the context.
    ///
    /// # Errors
    ///
    /// If the hooks do not know the scheme, the URI is invalid, or its authority is missing or has
    /// a user.
    pub fn into_request(
        self,
        view: &mut WasiHttpCtxView<'_>,
        body: WasiBody,
    ) -> Result<http::Request<WasiBody>> {
        let scheme = match self.scheme {
            Some(scheme) => scheme,
            None => {
                let scheme = view.hooks.default_scheme();
                scheme.ok_or(Error::HttpProtocolError)?
            }
        };
        if !view.hooks.is_supported_scheme(&scheme) {
            return Err(Error::HttpProtocolError);
        }
        let authority = self.authority.ok_or(Error::HttpRequestUriInvalid)?;
        let host = HeaderValue::from_str(authority.as_str());
        let host = host.map_err(|_| Error::HttpRequestUriInvalid)?;
        let uri = uri_to_send(scheme, authority, self.path_with_query);
        let uri = uri.map_err(|_| Error::HttpRequestUriInvalid)?;
        let mut outgoing = http::Request::new(body);
        *outgoing.method_mut() = self.method;
        *outgoing.uri_mut() = uri;
        let mut headers = HeaderMap::from(self.headers);
        if view.hooks.set_host_header() {
            headers.insert(header::HOST, host);
        }
        *outgoing.headers_mut() = headers;
        #[cfg(feature = "default-send-request")]
        crate::client::set_route(&mut outgoing, view.ctx);
        Ok(outgoing)
    }
}
