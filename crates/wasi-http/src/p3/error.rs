//! Error codes: those that guests get, and which they are for errors of libraries.

use super::bindings::http::types::{ErrorCode, HeaderError as HeaderErrorCode};
use super::bindings::http::types::{Host, RequestOptionsError as OptionsErrorCode};
use crate::error::{Code, Library};
use crate::hooks::WasiHttpHooks;
use crate::p2::bindings::http::types as p2;
use crate::p2::error::passed_through;
use crate::{Error, FieldMapError, WasiHttpCtxView};
use mintage::Result;
use mintage_wasi::TrappableError;

/// The error of a host function: an error code for the guest, or a trap.
pub type HttpError = TrappableError<ErrorCode>;

/// The result of a host function.
pub type HttpResult<T> = std::result::Result<T, HttpError>;

/// The error of a host function of fields: an error for the guest, or a trap.
pub type HeaderError = TrappableError<HeaderErrorCode>;

/// The result of a host function of fields.
pub type HeaderResult<T> = std::result::Result<T, HeaderError>;

/// The error of a host function of request options: an error for the guest, or a trap.
pub type RequestOptionsError = TrappableError<OptionsErrorCode>;

impl Host for WasiHttpCtxView<'_> {
    fn convert_error_code(&mut self, error: HttpError) -> Result<ErrorCode> {
        error.downcast()
    }

    fn convert_header_error(&mut self, error: HeaderError) -> Result<HeaderErrorCode> {
        error.downcast()
    }

    fn convert_request_options_error(
        &mut self,
        error: RequestOptionsError,
    ) -> Result<OptionsErrorCode> {
        error.downcast()
    }
}

/// Converts an error of fields for the guest.
pub(super) fn header_error(error: FieldMapError) -> HeaderError {
    match error {
        FieldMapError::Immutable => HeaderErrorCode::Immutable.into(),
        FieldMapError::InvalidHeaderName | FieldMapError::InvalidHeaderValue => {
            HeaderErrorCode::InvalidSyntax.into()
        }
        FieldMapError::Forbidden => HeaderErrorCode::Forbidden.into(),
        FieldMapError::TooManyFields | FieldMapError::TotalSizeTooBig => {
            HeaderErrorCode::SizeExceeded.into()
        }
    }
}

/// Returns the error code of 0.3 that is the same as one of 0.2.
pub(crate) fn of_p2(code: p2::ErrorCode) -> ErrorCode {
    ErrorCode::of(&code.into()).unwrap_or(ErrorCode::InternalError(None))
}

/// Returns the error code of an error, that of a library as the hooks say.
pub(super) fn error_code(hooks: &mut dyn WasiHttpHooks, error: &Error) -> ErrorCode {
    match ErrorCode::of(error) {
        Ok(code) => code,
        Err(Library::Hyper(error)) => match passed_through(error) {
            Some(code) => of_p2(code),
            None => hooks.p3_error_from_hyper(error),
        },
        Err(Library::Connect(error)) => hooks.p3_error_from_connect(error),
        Err(Library::Tls(error)) => hooks.p3_error_from_tls(error),
        #[cfg(feature = "default-send-request")]
        Err(Library::Name(error)) => hooks.p3_error_from_dns(error),
    }
}
