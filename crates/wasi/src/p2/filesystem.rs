//! `wasi:filesystem`, over the shared layer in [`fs`](crate::fs).

use super::bindings::filesystem::types::ErrorCode;
use crate::TrappableError;

/// The error of functions of `wasi:filesystem`: a code for the guest, or a trap.
pub type FsError = TrappableError<ErrorCode>;

/// The result of functions of `wasi:filesystem`.
pub type FsResult<T> = Result<T, FsError>;
