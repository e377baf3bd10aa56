//! `wasi:sockets`, over the shared layer in [`crate::net`].
//!
//! Nothing here waits for the network. Only rules of a host can make a guest wait, and so the
//! functions that ask for them are asynchronous in hosts that call guests asynchronously.

/// Calls what never pends in a synchronous host.
macro_rules! run_now {
    ($future:expr) => {
        super::block($future)
    };
}

macro_rules! run_later {
    ($future:expr) => {
        $future.await
    };
}

mod convert;
mod tcp;
mod udp;

pub use crate::net::{IncomingDatagramStream, OutgoingDatagramStream, ResolveAddressStream};
pub use tcp::TcpSocket;
pub use udp::UdpSocket;

use super::bindings;
use super::bindings::sockets::network::{ErrorCode, IpAddress, IpAddressFamily};
use super::bindings::sockets::{
    instance_network, ip_name_lookup, network, tcp_create_socket, udp_create_socket,
};
use super::{DynPollable, IoError, subscribe};
use crate::error::reason;
use crate::io::wait::{Source, Sources};
use crate::net;
use crate::net::{WasiSockets, WasiSocketsCtxView, WasiSocketsView};
use crate::{TrappableError, WasiView};
use mintage::{Linker, Resource, Result};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The error of functions of `wasi:sockets`: a code for the guest, or a trap.
pub type SocketError = TrappableError<ErrorCode>;

/// The result of functions of `wasi:sockets`.
pub type SocketResult<T> = std::result::Result<T, SocketError>;

/// The right of a guest to use the network. What it may do there is up to the
/// [context](crate::WasiCtx).
#[derive(Debug)]
pub struct Network {
    _private: (),
}

/// Defines `wasi:sockets` for hosts that call guests synchronously.
///
/// # Errors
///
/// If an interface is already defined.
pub(super) fn add_to_linker_sync<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    options: &bindings::sync::LinkOptions,
) -> Result<()> {
    use bindings::sync::sockets::{tcp, udp};

    let features: bindings::sync::sockets::network::LinkOptions = options.into();
    add_nonblocking(linker, &features)?;
    tcp::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    udp::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    self::udp::add_in_place_sync(linker)
}

/// Defines `wasi:sockets` for hosts that call guests asynchronously.
///
/// # Errors
///
/// If an interface is already defined.
#[cfg(feature = "tokio")]
pub(super) fn add_to_linker_async<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    options: &bindings::LinkOptions,
) -> Result<()> {
    use bindings::sockets::{tcp, udp};

    add_nonblocking(linker, &options.into())?;
    tcp::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    udp::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    self::udp::add_in_place_async(linker)
}

/// Defines the interfaces that are the same for both kinds of hosts.
fn add_nonblocking<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    options: &network::LinkOptions,
) -> Result<()> {
    network::add_to_linker::<T, WasiSockets>(linker, options, T::sockets)?;
    instance_network::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    tcp_create_socket::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    udp_create_socket::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    ip_name_lookup::add_to_linker::<T, WasiSockets>(linker, T::sockets)
}

/// Waits on this thread for a host's own rules.
fn block<R: Send>(future: impl Future<Output = SocketResult<R>> + Send) -> SocketResult<R> {
    let mut future = pin!(future);
    // Without such rules it is ready.
    if let Poll::Ready(result) = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        return result;
    }
    let mut result = None;
    let source = Source::Future(Box::pin(async { result = Some(future.await) }));
    Sources::one(source).wait(None).map_err(SocketError::trap)?;
    result.unwrap_or(Err(ErrorCode::Unknown.into()))
}

impl WasiSocketsCtxView<'_> {
    /// Checks that the guest has the network. The handle says nothing more.
    fn check(&self, network: &Resource<Network>) -> SocketResult<()> {
        self.table.get(network)?;
        Ok(())
    }
}

impl network::Host for WasiSocketsCtxView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, error: Resource<IoError>) -> Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(reason(error).map(ErrorCode::from))
    }
}

impl network::HostNetwork for WasiSocketsCtxView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}

impl instance_network::Host for WasiSocketsCtxView<'_> {
    fn instance_network(&mut self) -> Result<Resource<Network>> {
        Ok(self.table.push(Network { _private: () })?)
    }
}

impl tcp_create_socket::Host for WasiSocketsCtxView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        let socket = net::TcpSocket::new(self.ctx, family.into())?;
        Ok(self.table.push(TcpSocket::new(socket))?)
    }
}

impl udp_create_socket::Host for WasiSocketsCtxView<'_> {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        let socket = net::UdpSocket::new(self.ctx, family.into())?;
        Ok(self.table.push(UdpSocket::new(socket))?)
    }
}

impl ip_name_lookup::Host for WasiSocketsCtxView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        self.check(&network)?;
        let stream = ResolveAddressStream::new(self.ctx, &name).map_err(ErrorCode::from)?;
        Ok(self.table.push(stream)?)
    }
}

impl ip_name_lookup::HostResolveAddressStream for WasiSocketsCtxView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        let next = self.table.get_mut(&stream)?.next()?;
        Ok(next.map_err(ErrorCode::from)?.map(IpAddress::from))
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Resource<DynPollable>> {
        subscribe(self.table, stream)
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
