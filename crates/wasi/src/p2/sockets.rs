//! `wasi:sockets`, over the shared layer in [`net`](crate::net).

use super::bindings::sockets::network::ErrorCode;
use crate::TrappableError;

/// The error of functions of `wasi:sockets`: a code for the guest, or a trap.
pub type SocketError = TrappableError<ErrorCode>;

/// The result of functions of `wasi:sockets`.
pub type SocketResult<T> = Result<T, SocketError>;
