//! [`Error`]: the reason why a request or a response failed.

use crate::{p2, p3};
use std::fmt;
use std::io;

/// The result of an operation on requests, responses and bodies.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Converts between [`Error`] and the error codes of one version of `wasi:http`.
macro_rules! codes {
    (
        $($types:ident)::+,
        plain { $($plain:ident)* }
        values { $($valued:ident)* }
        sizes { $($sized:ident)* }
    ) => {
        impl From<$($types)::+::ErrorCode> for Error {
            fn from(code: $($types)::+::ErrorCode) -> Self {
                use $($types)::+::{
                    DnsErrorPayload, ErrorCode, FieldSizePayload, TlsAlertReceivedPayload,
                };
                match code {
                    ErrorCode::DnsError(DnsErrorPayload { rcode, info_code }) => {
                        Error::DnsError { rcode, info_code }
                    }
                    ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
                        alert_id,
                        alert_message,
                    }) => Error::TlsAlertReceived { alert_id, alert_message },
                    ErrorCode::HttpRequestHeaderSize(size) => Error::HttpRequestHeaderSize {
                        field_size: size.as_ref().and_then(|size| size.field_size),
                        field_name: size.and_then(|size| size.field_name),
                    },
                    $(ErrorCode::$plain => Error::$plain,)*
                    $(ErrorCode::$valued(value) => Error::$valued(value),)*
                    $(ErrorCode::$sized(FieldSizePayload { field_name, field_size }) => {
                        Error::$sized { field_name, field_size }
                    })*
                }
            }
        }

        impl Code for $($types)::+::ErrorCode {
            fn of(error: &Error) -> std::result::Result<Self, Library<'_>> {
                use $($types)::+::{
                    DnsErrorPayload, ErrorCode, FieldSizePayload, TlsAlertReceivedPayload,
                };
                Ok(match error {
                    Error::Hyper(error) => return Err(Library::Hyper(error)),
                    Error::Connect(error) => return Err(Library::Connect(error)),
                    Error::Tls(error) => return Err(Library::Tls(error)),
                    #[cfg(feature = "default-send-request")]
                    Error::InvalidDnsNameError(error) => return Err(Library::Name(error)),
                    Error::DnsError { rcode, info_code } => ErrorCode::DnsError(DnsErrorPayload {
                        rcode: rcode.clone(),
                        info_code: *info_code,
                    }),
                    Error::TlsAlertReceived { alert_id, alert_message } => {
                        ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
                            alert_id: *alert_id,
                            alert_message: alert_message.clone(),
                        })
                    }
                    Error::HttpRequestHeaderSize { field_name: None, field_size: None } => {
                        ErrorCode::HttpRequestHeaderSize(None)
                    }
                    Error::HttpRequestHeaderSize { field_name, field_size } => {
                        ErrorCode::HttpRequestHeaderSize(Some(FieldSizePayload {
                            field_name: field_name.clone(),
                            field_size: *field_size,
                        }))
                    }
                    $(Error::$plain => ErrorCode::$plain,)*
                    $(Error::$valued(value) => ErrorCode::$valued(value.clone()),)*
                    $(Error::$sized { field_name, field_size } => {
                        ErrorCode::$sized(FieldSizePayload {
                            field_name: field_name.clone(),
                            field_size: *field_size,
                        })
                    })*
                })
            }
        }
    };
}

/// Makes [`Error`] from the error codes of `wasi:http`, in groups by what they carry.
macro_rules! errors {
    (
        plain { $($plain:ident: $plain_text:literal,)* }
        values { $($valued:ident($value:ty): $value_text:literal,)* }
        sizes { $($sized:ident: $sized_text:literal,)* }
    ) => {
        /// The reason why a request or a response failed: an error of a library, or one of the
        /// error codes of `wasi:http`.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum Error {
            /// hyper failed.
            Hyper(hyper::Error),
            /// A connection could not be made.
            Connect(io::Error),
            /// TLS failed.
            Tls(io::Error),
            /// The name of the server cannot be one of a certificate.
            #[cfg(feature = "default-send-request")]
            InvalidDnsNameError(tokio_rustls::rustls::pki_types::InvalidDnsNameError),
            /// A name could not be looked up.
            DnsError {
                /// The reason, in words or as a name of DNS.
                rcode: Option<String>,
                /// The code of an extended DNS error.
                info_code: Option<u16>,
            },
            /// The peer sent an alert of TLS.
            TlsAlertReceived {
                /// The number of the alert.
                alert_id: Option<u8>,
                /// Its description.
                alert_message: Option<String>,
            },
            /// A header of the request is too large. Both are `None` if nothing is known of it.
            HttpRequestHeaderSize {
                /// The header's name.
                field_name: Option<String>,
                /// Its size in bytes.
                field_size: Option<u32>,
            },
            $(#[doc = concat!("The error code `", stringify!($plain), "`: ", $plain_text, ".")]
            $plain,)*
            $(#[doc = concat!("The error code `", stringify!($valued), "`: ", $value_text, ".")]
            $valued($value),)*
            $(#[doc = concat!("The error code `", stringify!($sized), "`: ", $sized_text, ".")]
            $sized {
                /// The field's name.
                field_name: Option<String>,
                /// Its size in bytes.
                field_size: Option<u32>,
            },)*
        }

        codes! {
            p2::bindings::http::types,
            plain { $($plain)* }
            values { $($valued)* }
            sizes { $($sized)* }
        }

        codes! {
            p3::bindings::http::types,
            plain { $($plain)* }
            values { $($valued)* }
            sizes { $($sized)* }
        }

        impl Error {
            /// Returns the text without what the error carries.
            fn text(&self) -> &'static str {
                match self {
                    Error::Hyper(_) => "HTTP failed",
                    Error::Connect(_) => "cannot connect",
                    Error::Tls(_) => "TLS failed",
                    #[cfg(feature = "default-send-request")]
                    Error::InvalidDnsNameError(_) => "the name cannot be one of a certificate",
                    Error::DnsError { .. } => "the name cannot be looked up",
                    Error::TlsAlertReceived { .. } => "the peer sent an alert of TLS",
                    Error::HttpRequestHeaderSize { .. } => "a header of the request is too large",
                    $(Error::$plain => $plain_text,)*
                    $(Error::$valued(_) => $value_text,)*
                    $(Error::$sized { .. } => $sized_text,)*
                }
            }
        }
    };
}

errors! {
    plain {
        DnsTimeout: "looking up the name took too long",
        DestinationNotFound: "the destination was not found",
        DestinationUnavailable: "the destination is unavailable",
        DestinationIpProhibited: "the destination's address is prohibited",
        DestinationIpUnroutable: "the destination's address cannot be reached",
        ConnectionRefused: "the connection was refused",
        ConnectionTerminated: "the connection was terminated",
        ConnectionTimeout: "connecting took too long",
        ConnectionReadTimeout: "the peer sent nothing for too long",
        ConnectionWriteTimeout: "the peer took nothing for too long",
        ConnectionLimitReached: "there are too many connections or requests",
        TlsProtocolError: "the peer violated the protocol of TLS",
        TlsCertificateError: "the peer's certificate is not accepted",
        HttpRequestDenied: "the host does not allow the request",
        HttpRequestLengthRequired: "the request needs a length",
        HttpRequestMethodInvalid: "the method of the request is invalid",
        HttpRequestUriInvalid: "the URI of the request is invalid",
        HttpRequestUriTooLong: "the URI of the request is too long",
        HttpResponseIncomplete: "the response is incomplete",
        HttpResponseTimeout: "the response took too long",
        HttpUpgradeFailed: "the protocol could not be upgraded",
        HttpProtocolError: "the peer violated the protocol of HTTP",
        LoopDetected: "the request went round in a loop",
        ConfigurationError: "the host's configuration does not allow the request",
    }
    values {
        HttpRequestBodySize(Option<u64>): "the body of the request has a wrong size",
        HttpRequestHeaderSectionSize(Option<u32>): "the headers of the request are too large",
        HttpRequestTrailerSectionSize(Option<u32>): "the trailers of the request are too large",
        HttpResponseHeaderSectionSize(Option<u32>): "the headers of the response are too large",
        HttpResponseBodySize(Option<u64>): "the body of the response has a wrong size",
        HttpResponseTrailerSectionSize(Option<u32>): "the trailers of the response are too large",
        HttpResponseTransferCoding(Option<String>): "the transfer coding is not supported",
        HttpResponseContentCoding(Option<String>): "the content coding is not supported",
        InternalError(Option<String>): "an internal error",
    }
    sizes {
        HttpRequestTrailerSize: "a trailer of the request is too large",
        HttpResponseHeaderSize: "a header of the response is too large",
        HttpResponseTrailerSize: "a trailer of the response is too large",
    }
}

/// An error code of one version of `wasi:http`.
pub(crate) trait Code: Sized {
    /// Returns the code of an error.
    ///
    /// # Errors
    ///
    /// If it is an error of a library.
    fn of(error: &Error) -> std::result::Result<Self, Library<'_>>;
}

impl Error {
    /// Returns a second error that is the same to a guest.
    pub(crate) fn copy(&self) -> Error {
        use p2::bindings::http::types::ErrorCode;
        use p2::error::{connect_code, hyper_code, tls_code};
        let code = ErrorCode::of(self).unwrap_or_else(|library| match library {
            Library::Hyper(error) => hyper_code(error, ErrorCode::HttpResponseIncomplete),
            Library::Connect(error) => connect_code(error),
            Library::Tls(error) => tls_code(error),
            #[cfg(feature = "default-send-request")]
            Library::Name(error) => p2::error::dns_error(error.to_string()),
        });
        code.into()
    }
}

/// An error of a library, whose error code the hooks of the host choose.
pub(crate) enum Library<'a> {
    Hyper(&'a hyper::Error),
    Connect(&'a io::Error),
    Tls(&'a io::Error),
    #[cfg(feature = "default-send-request")]
    Name(&'a tokio_rustls::rustls::pki_types::InvalidDnsNameError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match self {
            Error::Hyper(error) => write!(f, ": {error}"),
            Error::Connect(error) | Error::Tls(error) => write!(f, ": {error}"),
            Error::DnsError {
                rcode: Some(detail),
                ..
            }
            | Error::TlsAlertReceived {
                alert_message: Some(detail),
                ..
            }
            | Error::InternalError(Some(detail))
            | Error::HttpResponseTransferCoding(Some(detail))
            | Error::HttpResponseContentCoding(Some(detail))
            | Error::HttpRequestHeaderSize {
                field_name: Some(detail),
                ..
            }
            | Error::HttpRequestTrailerSize {
                field_name: Some(detail),
                ..
            }
            | Error::HttpResponseHeaderSize {
                field_name: Some(detail),
                ..
            }
            | Error::HttpResponseTrailerSize {
                field_name: Some(detail),
                ..
            } => {
                write!(f, ": {detail}")
            }
            Error::HttpRequestBodySize(Some(size)) | Error::HttpResponseBodySize(Some(size)) => {
                write!(f, ": {size} bytes")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Hyper(error) => Some(error),
            Error::Connect(error) | Error::Tls(error) => Some(error),
            _ => None,
        }
    }
}

impl From<hyper::Error> for Error {
    fn from(error: hyper::Error) -> Self {
        Error::Hyper(error)
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(feature = "default-send-request")]
impl From<tokio_rustls::rustls::pki_types::InvalidDnsNameError> for Error {
    fn from(error: tokio_rustls::rustls::pki_types::InvalidDnsNameError) -> Self {
        Error::InvalidDnsNameError(error)
    }
}

/// Returns the error of this crate among an error's causes, if it was passed through a library.
pub(crate) fn find_cause<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
