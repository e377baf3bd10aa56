//! `wasi:sockets`, over the shared layer in [`crate::net`].

mod tcp;
mod udp;

pub use tcp::TcpSocket;
pub use udp::UdpSocket;

use super::bindings::sockets::ip_name_lookup::{self, ErrorCode as LookupErrorCode};
use super::bindings::sockets::types::{self, ErrorCode, IpAddress};
use crate::io::waiting::Waiting;
use crate::net::{
    LookupError, Permission, ResolveAddressStream, SocketAddrUse, WasiSockets, WasiSocketsCtxView,
    WasiSocketsView,
};
use crate::{Errno, TrappableError};
use mintage::component::Access;
use mintage::{Accessor, Linker, Result};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;

/// The error of functions of `wasi:sockets`: a code for the guest, or a trap.
pub type SocketError = TrappableError<ErrorCode>;

/// The result of functions of `wasi:sockets`.
pub type SocketResult<T> = std::result::Result<T, SocketError>;

/// How often something is tried before others have a turn.
const TURNS: u32 = 64;

/// Defines `wasi:sockets`.
///
/// # Errors
///
/// If an interface is already defined.
pub fn add_to_linker<T: WasiSocketsView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    types::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    ip_name_lookup::add_to_linker::<T, WasiSockets>(linker, T::sockets)
}

impl From<Errno> for ErrorCode {
    fn from(error: Errno) -> ErrorCode {
        match error {
            Errno::Access | Errno::NotPermitted | Errno::NotCapable => ErrorCode::AccessDenied,
            Errno::AddressFamily
            | Errno::NoProtocolOption
            | Errno::NoSystemCall
            | Errno::NotSupported
            | Errno::ProtocolNotSupported
            | Errno::ProtocolType => ErrorCode::NotSupported,
            Errno::AddressInUse => ErrorCode::AddressInUse,
            Errno::AddressNotAvailable => ErrorCode::AddressNotBindable,
            Errno::Already | Errno::IsConnected | Errno::NotConnected => ErrorCode::InvalidState,
            Errno::ConnectionAborted => ErrorCode::ConnectionAborted,
            Errno::ConnectionRefused => ErrorCode::ConnectionRefused,
            Errno::ConnectionReset | Errno::NetworkReset => ErrorCode::ConnectionReset,
            Errno::DestinationRequired | Errno::Invalid => ErrorCode::InvalidArgument,
            Errno::HostUnreachable | Errno::NetworkDown | Errno::NetworkUnreachable => {
                ErrorCode::RemoteUnreachable
            }
            Errno::MessageSize => ErrorCode::DatagramTooLarge,
            Errno::NoBufferSpace | Errno::NoMemory => ErrorCode::OutOfMemory,
            Errno::Pipe => ErrorCode::ConnectionBroken,
            Errno::TimedOut => ErrorCode::Timeout,
            error => ErrorCode::Other(Some(error.to_string())),
        }
    }
}

crate::error::codes!(ErrorCode);

crate::net::addresses!(crate::p3::bindings::sockets::types);

impl From<LookupError> for LookupErrorCode {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Denied => Self::AccessDenied,
            LookupError::Invalid => Self::InvalidArgument,
            LookupError::Unresolvable => Self::NameUnresolvable,
            LookupError::Temporary => Self::TemporaryResolverFailure,
            LookupError::Permanent => Self::PermanentResolverFailure,
        }
    }
}

impl types::Host for WasiSocketsCtxView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> Result<ErrorCode> {
        error.downcast()
    }
}

/// Asks for a use of an address.
fn ask<T>(
    accessor: &Accessor<T, WasiSockets>,
    (address, usage): (SocketAddr, SocketAddrUse),
) -> Permission {
    accessor.with(|mut access| access.get().ctx.rules.ask(address, usage))
}

/// Does the same as [`ask`], with the store.
fn ask_with<T>(
    host: &mut Access<'_, T, WasiSockets>,
    (address, usage): (SocketAddr, SocketAddrUse),
) -> Permission {
    host.get().ctx.rules.ask(address, usage)
}

/// Gives others a turn.
async fn give_way() {
    let mut has_waited = false;
    poll_fn(|cx| match has_waited {
        true => Poll::Ready(()),
        false => {
            has_waited = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

impl ip_name_lookup::Host for WasiSocketsCtxView<'_> {}

impl<T> ip_name_lookup::HostWithStore<T> for WasiSockets {
    async fn resolve_addresses(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> Result<std::result::Result<Vec<IpAddress>, LookupErrorCode>> {
        let stream = accessor.with(|mut access| ResolveAddressStream::new(access.get().ctx, &name));
        let mut stream = match stream {
            Ok(stream) => Waiting::new(stream),
            Err(error) => return Ok(Err(error.into())),
        };
        let mut addresses = Vec::new();
        loop {
            match stream
                .idle()
                .map_or(Err(Errno::Again), ResolveAddressStream::next)
            {
                Ok(Ok(Some(address))) => addresses.push(address.into()),
                Ok(Ok(None)) if addresses.is_empty() => {
                    return Ok(Err(LookupErrorCode::NameUnresolvable));
                }
                Ok(Ok(None)) => return Ok(Ok(addresses)),
                Ok(Err(error)) => return Ok(Err(error.into())),
                Err(_) => poll_fn(|cx| stream.poll_ready(cx)).await?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_sockets_has_a_code() {
        let known = Errno::ALL
            .iter()
            .filter(|error| !matches!(ErrorCode::from(**error), ErrorCode::Other(_)));
        assert_eq!(known.count(), 28);
    }
}
