//! `udp-socket` of `wasi:sockets/types`.

use super::{SocketError, SocketResult, TURNS, ask, give_way};
use crate::Errno;
use crate::io::Interest;
use crate::io::waiting::SharedWatch;
use crate::net::{self, Datagram, SocketAddrUse, WasiSockets, WasiSocketsCtxView};
use crate::p3::bindings::sockets::types::{
    HostUdpSocket, HostUdpSocketWithStore, IpAddressFamily, IpSocketAddress,
};
use mintage::{Accessor, Resource, Result};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::task::{Poll, ready};

/// A UDP socket of a guest.
#[derive(Debug)]
pub struct UdpSocket {
    socket: net::UdpSocket,
    /// For calls that wait until something can be received.
    reads: SharedWatch,
    /// For calls that wait until something can be sent.
    writes: SharedWatch,
}

type Socket = Resource<UdpSocket>;

/// Defines functions for options of sockets.
macro_rules! options {
    ($($get:ident $set:ident: $ty:ty = $getter:ident $setter:ident;)*) => {$(
        fn $get(&mut self, socket: Socket) -> SocketResult<$ty> {
            Ok(self.udp_socket(&socket)?.socket().$getter()?)
        }

        fn $set(&mut self, socket: Socket, value: $ty) -> SocketResult<()> {
            Ok(self.udp_socket(&socket)?.socket().$setter(value)?)
        }
    )*};
}

/// Finds sockets of guests.
trait Sockets {
    fn udp_socket(&self, socket: &Socket) -> SocketResult<&net::UdpSocket>;
    fn udp_socket_mut(&mut self, socket: &Socket) -> SocketResult<&mut net::UdpSocket>;
}

impl Sockets for WasiSocketsCtxView<'_> {
    fn udp_socket(&self, socket: &Socket) -> SocketResult<&net::UdpSocket> {
        Ok(&self.table.get(socket)?.socket)
    }

    fn udp_socket_mut(&mut self, socket: &Socket) -> SocketResult<&mut net::UdpSocket> {
        Ok(&mut self.table.get_mut(socket)?.socket)
    }
}

impl HostUdpSocket for WasiSocketsCtxView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> SocketResult<Socket> {
        let socket = net::UdpSocket::new(self.ctx, family.into())?;
        Ok(self.table.push(UdpSocket {
            socket,
            reads: SharedWatch::default(),
            writes: SharedWatch::default(),
        })?)
    }

    async fn bind(&mut self, socket: Socket, address: IpSocketAddress) -> SocketResult<()> {
        let address = SocketAddr::from(address);
        self.udp_socket(&socket)?.check_bind(address)?;
        let rules = &self.ctx.rules;
        rules.check(address, SocketAddrUse::UdpBind).await?;
        Ok(self.udp_socket_mut(&socket)?.bind(address)?)
    }

    async fn connect(&mut self, socket: Socket, remote: IpSocketAddress) -> SocketResult<()> {
        let remote = SocketAddr::from(remote);
        self.udp_socket(&socket)?.check_connect(remote)?;
        let implicit = self.udp_socket(&socket)?.implicit();
        let rules = &self.ctx.rules;
        if let Some(address) = implicit {
            rules.check(address, SocketAddrUse::UdpBind).await?;
        }
        rules.check(remote, SocketAddrUse::UdpSend).await?;
        rules.check(remote, SocketAddrUse::UdpReceive).await?;
        let socket = self.udp_socket_mut(&socket)?;
        if let Some(address) = implicit {
            socket.bind(address)?;
        }
        Ok(socket.connect(Some(remote))?)
    }

    fn disconnect(&mut self, socket: Socket) -> SocketResult<()> {
        let socket = self.udp_socket_mut(&socket)?;
        socket.remote_address()?;
        Ok(socket.connect(None)?)
    }

    fn get_local_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        Ok(self.udp_socket(&socket)?.local_address()?.into())
    }

    fn get_remote_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        Ok(self.udp_socket(&socket)?.remote_address()?.into())
    }

    fn get_address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.socket.family().into())
    }

    fn get_unicast_hop_limit(&mut self, socket: Socket) -> SocketResult<u8> {
        let socket = self.udp_socket(&socket)?;
        Ok(socket.socket().hop_limit(socket.family())?)
    }

    fn set_unicast_hop_limit(&mut self, socket: Socket, value: u8) -> SocketResult<()> {
        let socket = self.udp_socket(&socket)?;
        Ok(socket.socket().set_hop_limit(socket.family(), value)?)
    }

    options! {
        get_receive_buffer_size set_receive_buffer_size: u64
            = receive_buffer_size set_receive_buffer_size;
        get_send_buffer_size set_send_buffer_size: u64
            = send_buffer_size set_send_buffer_size;
    }

    fn drop(&mut self, socket: Socket) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}

/// Does something with a socket until the system is ready for it.
async fn retry<T, R>(
    accessor: &Accessor<T, WasiSockets>,
    socket: &Socket,
    interest: Interest,
    mut f: impl FnMut(&net::UdpSocket) -> std::result::Result<R, Errno>,
) -> SocketResult<R> {
    poll_fn(|cx| {
        accessor.with(|mut access| -> Poll<SocketResult<R>> {
            let socket = access.get().table.get_mut(socket)?;
            let watch = match interest {
                Interest::Read => &mut socket.reads,
                Interest::Write => &mut socket.writes,
            };
            loop {
                match f(&socket.socket) {
                    Err(Errno::Again) => {}
                    result => return Poll::Ready(Ok(result?)),
                }
                let fd = socket.socket.socket().as_fd();
                ready!(watch.poll_fd(cx, fd, interest)).map_err(SocketError::trap)?;
            }
        })
    })
    .await
}

impl<T> HostUdpSocketWithStore<T> for WasiSockets {
    async fn send(
        accessor: &Accessor<T, Self>,
        socket: Socket,
        data: Vec<u8>,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<()> {
        let remote = remote.map(SocketAddr::from);
        let (target, implicit) = accessor.with(|mut access| -> SocketResult<_> {
            let view = access.get();
            let socket = view.udp_socket(&socket)?;
            Ok((socket.check_send(data.len(), remote)?, socket.implicit()))
        })?;
        ask(accessor, (target, SocketAddrUse::UdpSend))
            .wait()
            .await?;
        if let Some(address) = implicit {
            ask(accessor, (address, SocketAddrUse::UdpBind))
                .wait()
                .await?;
            accessor.with(|mut access| -> SocketResult<()> {
                let mut view = access.get();
                let socket = view.udp_socket_mut(&socket)?;
                match socket.implicit() {
                    Some(address) => Ok(socket.bind(address)?),
                    // Another call of the guest has bound it meanwhile.
                    None => Ok(()),
                }
            })?;
        }
        retry(accessor, &socket, Interest::Write, |socket| {
            // It may have been connected meanwhile.
            let target = socket.check_send(data.len(), Some(target))?;
            socket.send(&data, target)
        })
        .await
    }

    async fn receive(
        accessor: &Accessor<T, Self>,
        socket: Socket,
    ) -> SocketResult<(Vec<u8>, IpSocketAddress)> {
        let mut refused = 0;
        loop {
            let received = retry(accessor, &socket, Interest::Read, net::UdpSocket::receive);
            if let Some(Datagram { data, remote }) = received.await? {
                let permission = ask(accessor, (remote, SocketAddrUse::UdpReceive));
                if permission.wait().await.is_ok() {
                    return Ok((data, remote.into()));
                }
            }
            refused += 1;
            if refused % TURNS == 0 {
                give_way().await;
            }
        }
    }
}
