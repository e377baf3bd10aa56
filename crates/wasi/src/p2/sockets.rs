//! `wasi:sockets`, over the shared layer in [`crate::net`].

use super::bindings;
use super::bindings::sockets::network::ErrorCode;
use crate::{TrappableError, WasiView};
use mintage::{Linker, Result};

/// The error of functions of `wasi:sockets`: a code for the guest, or a trap.
pub type SocketError = TrappableError<ErrorCode>;

/// The result of functions of `wasi:sockets`.
pub type SocketResult<T> = Result<T, SocketError>;

/// Defines `wasi:sockets` for hosts that call guests synchronously.
///
/// # Errors
///
/// If an interface is already defined.
pub(super) fn add_to_linker_sync<T: WasiView + 'static>(
    _linker: &mut Linker<T>,
    _options: &bindings::sync::LinkOptions,
) -> Result<()> {
    Ok(())
}

/// Defines `wasi:sockets` for hosts that call guests asynchronously.
///
/// # Errors
///
/// If an interface is already defined.
#[cfg(feature = "tokio")]
pub(super) fn add_to_linker_async<T: WasiView + 'static>(
    _linker: &mut Linker<T>,
    _options: &bindings::LinkOptions,
) -> Result<()> {
    Ok(())
}
