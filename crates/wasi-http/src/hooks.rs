//! [`WasiHttpHooks`]: what a host can do its own way.

use crate::fields::DEFAULT_FORBIDDEN_HEADERS;
use crate::p2::bindings::http::types::ErrorCode;
use crate::p2::types::{HostFutureIncomingResponse, OutgoingRequestConfig};
use crate::p2::{self, HttpResult};
use crate::p3;
use crate::p3::bindings::http::types::ErrorCode as P3ErrorCode;
use crate::{Error, RequestOptions, Result};
use bytes::Bytes;
use http::HeaderName;
use http::uri::Scheme;
use http_body_util::combinators::UnsyncBoxBody;

/// The body of a request or a response.
pub type WasiBody = UnsyncBoxBody<Bytes, Error>;

/// The future of [`WasiHttpHooks::send_request`]: a response, and a future that goes on with what
/// its body needs.
pub type SendRequestFuture = Box<
    dyn Future<
            Output = Result<(
                http::Response<WasiBody>,
                Box<dyn Future<Output = Result<()>> + Send>,
            )>,
        > + Send,
>;

/// What a host can do its own way. Each function has a default; [`default_hooks`] has no other.
///
/// ```
/// use mintage_wasi_http::{
///     DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, SendRequestFuture, WasiBody,
///     WasiHttpHooks, default_send_request,
/// };
///
/// /// Sends requests to one server alone, with a key of the host's.
/// struct OneServer;
///
/// impl WasiHttpHooks for OneServer {
///     fn is_forbidden_header(&mut self, name: &http::HeaderName) -> bool {
///         *name == http::header::AUTHORIZATION || DEFAULT_FORBIDDEN_HEADERS.contains(name)
///     }
///
///     fn send_request(
///         &mut self,
///         mut request: http::Request<WasiBody>,
///         options: Option<RequestOptions>,
///         _: Box<dyn Future<Output = Result<(), Error>> + Send>,
///     ) -> SendRequestFuture {
///         Box::new(async move {
///             if request.uri().host() != Some("api.example.com") {
///                 return Err(Error::HttpRequestDenied);
///             }
///             let key = http::HeaderValue::from_static("Bearer 123");
///             request.headers_mut().insert(http::header::AUTHORIZATION, key);
///             let (response, io) = default_send_request(request, options).await?;
///             Ok((response, Box::new(io) as Box<dyn Future<Output = _> + Send>))
///         })
///     }
/// }
/// ```
#[cfg_attr(
    not(feature = "default-send-request"),
    doc = "\n[`default_hooks`]: WasiHttpHooks"
)]
pub trait WasiHttpHooks: Send {
    /// Returns whether guests may neither set nor see a header. By default, these are the
    /// [`DEFAULT_FORBIDDEN_HEADERS`].
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    /// Returns whether requests can have a scheme. By default, these are `http` and `https`. For
    /// others, guests get `HTTP-protocol-error`.
    fn is_supported_scheme(&mut self, scheme: &Scheme) -> bool {
        *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS
    }

    /// Returns whether requests get the header `host` before they are passed to
    /// [`send_request`](Self::send_request). By default they do.
    fn set_host_header(&mut self) -> bool {
        true
    }

    /// Returns the scheme of requests for which the guest sets none, by default `https`. If there
    /// is none, guests get `HTTP-protocol-error`.
    fn default_scheme(&mut self) -> Option<Scheme> {
        Some(Scheme::HTTPS)
    }

    /// Sends a request. By default, the client of the context does so, if the context allows the
    /// destination. A host that passes its request on to `default_send_request` has both, too.
    ///
    /// The length of the request's body is checked; that of the response's is not. The future
    /// `processed` is ready when the guest has processed the response; with `wasi:http` 0.2, this
    /// is at once.
    ///
    /// The returned future runs as a task of tokio.
    #[cfg(feature = "default-send-request")]
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        processed: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> SendRequestFuture {
        drop(processed);
        Box::new(async move {
            let (response, io) = crate::default_send_request(request, options).await?;
            Ok((response, Box::new(io) as Box<dyn Future<Output = _> + Send>))
        })
    }

    /// Sends a request.
    ///
    /// The length of the request's body is checked; that of the response's is not. The future
    /// `processed` is ready when the guest has processed the response; with `wasi:http` 0.2, this
    /// is at once.
    ///
    /// The returned future runs as a task of tokio.
    #[cfg(not(feature = "default-send-request"))]
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        processed: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> SendRequestFuture;

    /// Handles a request that a guest of 0.3 passes on by its import `wasi:http/handler`, as a
    /// component of the world `wasi:http/middleware` does. That import is there for guests if the
    /// host adds it ([`p3::add_handler_to_linker`]). [`p3::forward`] has another guest handle the
    /// request. By default, guests get `HTTP-request-denied`.
    ///
    /// The parameters and the result are those of [`send_request`](Self::send_request), and so are
    /// the limits.
    fn handle_request(
        &mut self,
        request: http::Request<WasiBody>,
        processed: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> SendRequestFuture {
        drop((request, processed));
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }

    /// Sends a request, in the form of this function up to version 47 of Wasmtime's crate, where
    /// its name is `send_request`. By default, this calls [`send_request`](Self::send_request).
    ///
    /// # Errors
    ///
    /// An error code for the guest, or a trap.
    fn p2_send_request(
        &mut self,
        request: hyper::Request<p2::body::HyperOutgoingBody>,
        config: OutgoingRequestConfig,
    ) -> HttpResult<HostFutureIncomingResponse> {
        let processed = Box::new(std::future::ready(Ok(())));
        let future = self.send_request(request, Some(config.options()), processed);
        Ok(HostFutureIncomingResponse::spawn(future))
    }

    /// Returns how many pieces of
    /// [`p2_outgoing_body_chunk_size`](Self::p2_outgoing_body_chunk_size) an outgoing body keeps
    /// until they are sent. By default 1.
    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        p2::DEFAULT_OUTGOING_BODY_BUFFER_CHUNKS
    }

    /// Returns how many bytes a guest may write at once to an outgoing body. By default 64 KiB.
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        p2::DEFAULT_OUTGOING_BODY_CHUNK_SIZE
    }

    /// Returns the error code of an error of hyper.
    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        p2::error::hyper_code(error, ErrorCode::HttpResponseIncomplete)
    }

    /// Returns the error code of a connection that could not be made.
    fn p2_error_from_connect(&mut self, error: &std::io::Error) -> ErrorCode {
        p2::error::connect_code(error)
    }

    /// Returns the error code of a failure of TLS.
    fn p2_error_from_tls(&mut self, error: &std::io::Error) -> ErrorCode {
        p2::error::tls_code(error)
    }

    /// Returns the error code of a name that cannot be one of a server.
    #[cfg(feature = "default-send-request")]
    fn p2_error_from_dns(
        &mut self,
        error: &tokio_rustls::rustls::pki_types::InvalidDnsNameError,
    ) -> ErrorCode {
        p2::error::dns_error(error.to_string())
    }

    /// Returns how many bytes an outgoing body of 0.3 keeps until they are sent. By default 64 KiB.
    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        p3::DEFAULT_OUTGOING_BODY_CHUNK_SIZE
    }

    /// Returns the error code of 0.3 of an error of hyper. By default, it is that of 0.2.
    fn p3_error_from_hyper(&mut self, error: &hyper::Error) -> P3ErrorCode {
        p3::of_p2(self.p2_error_from_hyper(error))
    }

    /// Returns the error code of 0.3 of a connection that could not be made. By default, it is that
    /// of 0.2.
    fn p3_error_from_connect(&mut self, error: &std::io::Error) -> P3ErrorCode {
        p3::of_p2(self.p2_error_from_connect(error))
    }

    /// Returns the error code of 0.3 of a failure of TLS. By default, it is that of 0.2.
    fn p3_error_from_tls(&mut self, error: &std::io::Error) -> P3ErrorCode {
        p3::of_p2(self.p2_error_from_tls(error))
    }

    /// Returns the error code of 0.3 of a name that cannot be one of a server. By default, it is
    /// that of 0.2.
    #[cfg(feature = "default-send-request")]
    fn p3_error_from_dns(
        &mut self,
        error: &tokio_rustls::rustls::pki_types::InvalidDnsNameError,
    ) -> P3ErrorCode {
        p3::of_p2(self.p2_error_from_dns(error))
    }
}

/// Returns hooks that have nothing but the defaults.
#[cfg(feature = "default-send-request")]
pub fn default_hooks() -> &'static mut dyn WasiHttpHooks {
    // A slice of this length has no memory, so that it can be leaked any number of times.
    let hooks: &'static mut [DefaultHooks; 0] = &mut [];
    hooks
}

#[cfg(feature = "default-send-request")]
impl Default for &mut dyn WasiHttpHooks {
    fn default() -> Self {
        default_hooks()
    }
}

/// Makes the implementation below one that no one can name.
#[cfg(feature = "default-send-request")]
struct DefaultHooks;

#[cfg(feature = "default-send-request")]
impl WasiHttpHooks for [DefaultHooks; 0] {}
