//! Error codes: those that guests get, and which they are for errors of libraries.

use super::bindings::http::types::{DnsErrorPayload, ErrorCode, HeaderError as HeaderErrorCode};
use crate::error::{Code, Library, find_cause};
use crate::hooks::WasiHttpHooks;
use crate::p3::bindings::http::types as p3;
use crate::{Error, FieldMapError};
use mintage_wasi::TrappableError;
use std::io;

/// The error of a host function: an error code for the guest, or a trap.
pub type HttpError = TrappableError<ErrorCode>;

/// The result of a host function.
pub type HttpResult<T, E = HttpError> = Result<T, E>;

/// The error of a host function of fields: an error for the guest, or a trap.
pub type HeaderError = TrappableError<HeaderErrorCode>;

/// The result of a host function of fields.
pub type HeaderResult<T, E = HeaderError> = Result<T, E>;

/// Converts an error of fields for the guest. There is none for too many of them: these trap.
pub(super) fn header_error(error: FieldMapError) -> HeaderError {
    match error {
        FieldMapError::Immutable => HeaderErrorCode::Immutable.into(),
        FieldMapError::InvalidHeaderName | FieldMapError::InvalidHeaderValue => {
            HeaderErrorCode::InvalidSyntax.into()
        }
        FieldMapError::Forbidden => HeaderErrorCode::Forbidden.into(),
        FieldMapError::TooManyFields | FieldMapError::TotalSizeTooBig => HeaderError::trap(error),
    }
}

/// Returns the error code of an error, that of a library as the hooks say.
pub(super) fn error_code(hooks: &mut dyn WasiHttpHooks, error: &Error) -> ErrorCode {
    match ErrorCode::of(error) {
        Ok(code) => code,
        Err(Library::Hyper(error)) => {
            passed_through(error).unwrap_or_else(|| hooks.p2_error_from_hyper(error))
        }
        Err(Library::Connect(error)) => hooks.p2_error_from_connect(error),
        Err(Library::Tls(error)) => hooks.p2_error_from_tls(error),
        #[cfg(feature = "default-send-request")]
        Err(Library::Name(error)) => hooks.p2_error_from_dns(error),
    }
}

/// Returns the error code that a body of this crate or of the host has failed with, inside of an
/// error of hyper.
pub(crate) fn passed_through(error: &hyper::Error) -> Option<ErrorCode> {
    if let Some(code) = find_cause::<ErrorCode>(error) {
        return Some(code.clone());
    }
    if let Some(code) = find_cause::<p3::ErrorCode>(error) {
        return ErrorCode::of(&code.clone().into()).ok();
    }
    ErrorCode::of(find_cause::<Error>(error)?).ok()
}

/// Returns the error code of an error of hyper.
pub(crate) fn hyper_code(error: &hyper::Error, incomplete: ErrorCode) -> ErrorCode {
    if let Some(code) = passed_through(error) {
        return code;
    }
    if error.is_timeout() {
        return ErrorCode::HttpResponseTimeout;
    }
    if error.is_incomplete_message() {
        return incomplete;
    }
    // Only hyper's server has a function for this.
    if error.is_parse() && error.to_string().contains("too large") {
        return ErrorCode::HttpResponseHeaderSectionSize(None);
    }
    if error.is_canceled() || error.is_closed() || error.is_body_write_aborted() {
        return ErrorCode::ConnectionTerminated;
    }
    match find_cause::<io::Error>(error) {
        Some(error) => match error.kind() {
            io::ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
            // This is what TLS without an end of its own is.
            io::ErrorKind::UnexpectedEof => incomplete,
            _ => ErrorCode::ConnectionTerminated,
        },
        None => ErrorCode::HttpProtocolError,
    }
}

/// Returns the error code of a connection that could not be made.
pub(crate) fn connect_code(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ErrorCode::DestinationIpUnroutable
        }
        io::ErrorKind::NetworkDown => ErrorCode::DestinationUnavailable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            ErrorCode::ConnectionTerminated
        }
        io::ErrorKind::AddrNotAvailable => dns_error("address not available"),
        io::ErrorKind::PermissionDenied => ErrorCode::DestinationIpProhibited,
        _ => ErrorCode::ConnectionRefused,
    }
}

/// Returns the error code of a failure of TLS.
#[cfg(feature = "default-send-request")]
pub(crate) fn tls_code(error: &io::Error) -> ErrorCode {
    use super::bindings::http::types::TlsAlertReceivedPayload;
    use tokio_rustls::rustls;

    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            ErrorCode::TlsCertificateError
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
                alert_id: Some(u8::from(*alert)),
                alert_message: Some(format!("{alert:?}")),
            })
        }
        Some(_) => ErrorCode::TlsProtocolError,
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => ErrorCode::ConnectionTerminated,
            _ => ErrorCode::TlsProtocolError,
        },
    }
}

/// Returns the error code of a failure of TLS.
#[cfg(not(feature = "default-send-request"))]
pub(crate) fn tls_code(_: &io::Error) -> ErrorCode {
    ErrorCode::TlsProtocolError
}

pub(crate) fn dns_error(reason: impl Into<String>) -> ErrorCode {
    ErrorCode::DnsError(DnsErrorPayload {
        rcode: Some(reason.into()),
        info_code: None,
    })
}

/// Returns the error code of an error of [`http`] in a request.
pub fn http_request_error(error: http::Error) -> ErrorCode {
    if error.is::<http::uri::InvalidUri>() || error.is::<http::uri::InvalidUriParts>() {
        return ErrorCode::HttpRequestUriInvalid;
    }
    if error.is::<http::method::InvalidMethod>() {
        return ErrorCode::HttpRequestMethodInvalid;
    }
    ErrorCode::HttpProtocolError
}

/// Returns the error code of an error of hyper in a request that was received.
pub fn hyper_request_error(error: hyper::Error) -> ErrorCode {
    hyper_code(&error, ErrorCode::ConnectionTerminated)
}

/// Returns the error code of an error of hyper in a response that was received.
pub fn hyper_response_error(error: hyper::Error) -> ErrorCode {
    hyper_code(&error, ErrorCode::HttpResponseIncomplete)
}

impl From<hyper::Error> for ErrorCode {
    fn from(error: hyper::Error) -> Self {
        hyper_response_error(error)
    }
}
