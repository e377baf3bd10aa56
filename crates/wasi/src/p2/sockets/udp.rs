//! `wasi:sockets/udp`.

use super::{Network, SocketError, SocketResult, block};
use crate::WasiView;
use crate::io::{Pollable, Readiness};
use crate::net::{
    self, Datagram, IncomingDatagramStream, OutgoingDatagramStream, SocketAddrUse,
    WasiSocketsCtxView, WasiSocketsView,
};
use crate::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use crate::p2::bindings::{sockets, sync};
use crate::p2::{DynPollable, VERSION, subscribe};
use mintage::component::{ComponentType, Lift};
use mintage::{Linker, LinkerInstance, Resource, Result, StoreContextMut, WasmList};
use std::any::Any;
use std::net::SocketAddr;

/// A UDP socket of a guest, with what it has started to do with it.
#[derive(Debug)]
pub struct UdpSocket {
    socket: net::UdpSocket,
    /// Whether the guest has started to bind it and not finished.
    is_binding: bool,
}

impl UdpSocket {
    pub(super) fn new(socket: net::UdpSocket) -> Self {
        UdpSocket {
            socket,
            is_binding: false,
        }
    }
}

#[async_trait::async_trait]
impl Pollable for UdpSocket {
    async fn ready(&mut self) {}

    fn readiness(&self) -> Readiness<'_> {
        // Whatever is started is done at once.
        Readiness::Ready
    }
}

type Socket = Resource<UdpSocket>;
type Incoming = Resource<IncomingDatagramStream>;
type Outgoing = Resource<OutgoingDatagramStream>;

impl WasiSocketsCtxView<'_> {
    fn udp(&self, socket: &Socket) -> SocketResult<&net::UdpSocket> {
        Ok(&self.table.get(socket)?.socket)
    }

    async fn udp_start_bind(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.check(&network)?;
        let address = SocketAddr::from(address);
        let binding = self.table.get(&socket)?;
        if binding.is_binding {
            return Err(ErrorCode::ConcurrencyConflict.into());
        }
        binding.socket.check_bind(address)?;
        let rules = &self.ctx.rules;
        rules.check(address, SocketAddrUse::UdpBind).await?;
        let socket = self.table.get_mut(&socket)?;
        socket.socket.bind(address)?;
        socket.is_binding = true;
        Ok(())
    }

    fn udp_finish_bind(&mut self, socket: Socket) -> SocketResult<()> {
        match std::mem::take(&mut self.table.get_mut(&socket)?.is_binding) {
            true => Ok(()),
            false => Err(ErrorCode::NotInProgress.into()),
        }
    }

    async fn udp_streams(
        &mut self,
        socket: Socket,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<(Incoming, Outgoing)> {
        let is_stream = |child: &(dyn Any + Send)| {
            child.is::<IncomingDatagramStream>() || child.is::<OutgoingDatagramStream>()
        };
        if self.table.iter_children(&socket)?.any(is_stream) {
            return Err(SocketError::trap(mintage::format_err!(
                "wasi:sockets/udp: a socket has streams already; the guest must drop them before \
                 it asks for others"
            )));
        }
        let remote = remote.map(SocketAddr::from);
        self.udp(&socket)?.check_streams(remote)?;
        if let Some(remote) = remote {
            let rules = &self.ctx.rules;
            rules.check(remote, SocketAddrUse::UdpSend).await?;
            rules.check(remote, SocketAddrUse::UdpReceive).await?;
        }
        let (incoming, outgoing) = self.table.get_mut(&socket)?.socket.streams(remote)?;
        let incoming = self.table.push_child(incoming, &socket)?;
        let outgoing = self.table.push_child(outgoing, &socket)?;
        Ok((incoming, outgoing))
    }

    fn udp_receive(&mut self, stream: &Incoming, max: u64) -> SocketResult<Vec<Datagram>> {
        Ok(self.table.get_mut(stream)?.receive(self.ctx, max)?)
    }

    /// Uses up what `check-send` has allowed.
    ///
    /// # Errors
    ///
    /// A trap if it did not allow so many datagrams.
    fn udp_take_permit(&mut self, stream: &Outgoing, count: usize) -> Result<()> {
        mintage::ensure!(
            count == 0 || self.table.get_mut(stream)?.take_permit(count),
            "wasi:sockets/udp: `send` has more datagrams than the last `check-send` allowed"
        );
        Ok(())
    }

    /// Returns where a datagram goes, if the guest may send it there.
    async fn udp_target(
        &mut self,
        stream: &Outgoing,
        size: usize,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<SocketAddr> {
        let remote = remote.map(SocketAddr::from);
        let target = self.table.get(stream)?.check(size, remote)?;
        self.ctx.rules.check(target, SocketAddrUse::UdpSend).await?;
        Ok(target)
    }
}

/// Counts the datagrams that are sent, one result after the other. Returns how many, once no more
/// is to be sent. After the first one there are no errors.
fn count_sent(sent: &mut u64, result: SocketResult<()>) -> SocketResult<Option<u64>> {
    let Err(error) = result else {
        *sent += 1;
        return Ok(None);
    };
    match error.downcast_ref() {
        Some(ErrorCode::WouldBlock) => Ok(Some(*sent)),
        Some(_) if *sent > 0 => Ok(Some(*sent)),
        _ => Err(error),
    }
}

/// Implements the traits of `$udp`. What asks for rules is `$async`, and is run by `$run`.
macro_rules! hosts {
    ($udp:path, [$($async:ident)?], $run:ident) => {
        const _: () = {
            use $udp as traits;

            impl traits::Host for WasiSocketsCtxView<'_> {}

            impl traits::HostUdpSocket for WasiSocketsCtxView<'_> {
                $($async)? fn start_bind(
                    &mut self,
                    socket: Socket,
                    network: Resource<Network>,
                    address: IpSocketAddress,
                ) -> SocketResult<()> {
                    $run!(self.udp_start_bind(socket, network, address))
                }

                fn finish_bind(&mut self, socket: Socket) -> SocketResult<()> {
                    self.udp_finish_bind(socket)
                }

                $($async)? fn stream(
                    &mut self,
                    socket: Socket,
                    remote: Option<IpSocketAddress>,
                ) -> SocketResult<(Incoming, Outgoing)> {
                    $run!(self.udp_streams(socket, remote))
                }

                fn local_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
                    Ok(self.udp(&socket)?.local_address()?.into())
                }

                fn remote_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
                    Ok(self.udp(&socket)?.remote_address()?.into())
                }

                fn address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
                    Ok(self.table.get(&socket)?.socket.family().into())
                }

                fn unicast_hop_limit(&mut self, socket: Socket) -> SocketResult<u8> {
                    let socket = self.udp(&socket)?;
                    Ok(socket.socket().hop_limit(socket.family())?)
                }

                fn set_unicast_hop_limit(&mut self, socket: Socket, value: u8) -> SocketResult<()> {
                    let socket = self.udp(&socket)?;
                    Ok(socket.socket().set_hop_limit(socket.family(), value)?)
                }

                fn receive_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
                    Ok(self.udp(&socket)?.socket().receive_buffer_size()?)
                }

                fn set_receive_buffer_size(
                    &mut self,
                    socket: Socket,
                    value: u64,
                ) -> SocketResult<()> {
                    Ok(self.udp(&socket)?.socket().set_receive_buffer_size(value)?)
                }

                fn send_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
                    Ok(self.udp(&socket)?.socket().send_buffer_size()?)
                }

                fn set_send_buffer_size(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
                    Ok(self.udp(&socket)?.socket().set_send_buffer_size(value)?)
                }

                fn subscribe(&mut self, socket: Socket) -> Result<Resource<DynPollable>> {
                    subscribe(self.table, socket)
                }

                fn drop(&mut self, socket: Socket) -> Result<()> {
                    self.table.delete(socket)?;
                    Ok(())
                }
            }

            impl traits::HostIncomingDatagramStream for WasiSocketsCtxView<'_> {
                fn receive(
                    &mut self,
                    stream: Incoming,
                    max: u64,
                ) -> SocketResult<Vec<traits::IncomingDatagram>> {
                    let received = self.udp_receive(&stream, max)?.into_iter();
                    Ok(received
                        .map(|Datagram { data, remote }| traits::IncomingDatagram {
                            data,
                            remote_address: remote.into(),
                        })
                        .collect())
                }

                fn subscribe(&mut self, stream: Incoming) -> Result<Resource<DynPollable>> {
                    subscribe(self.table, stream)
                }

                fn drop(&mut self, stream: Incoming) -> Result<()> {
                    self.table.delete(stream)?;
                    Ok(())
                }
            }

            impl traits::HostOutgoingDatagramStream for WasiSocketsCtxView<'_> {
                fn check_send(&mut self, stream: Outgoing) -> SocketResult<u64> {
                    Ok(self.table.get_mut(&stream)?.check_send() as u64)
                }

                $($async)? fn send(
                    &mut self,
                    stream: Outgoing,
                    datagrams: Vec<traits::OutgoingDatagram>,
                ) -> SocketResult<u64> {
                    self.udp_take_permit(&stream, datagrams.len()).map_err(SocketError::trap)?;
                    let mut sent = 0;
                    for datagram in datagrams {
                        let traits::OutgoingDatagram { data, remote_address } = datagram;
                        let target = self.udp_target(&stream, data.len(), remote_address);
                        let result = match $run!(target) {
                            Ok(target) => {
                                let stream = self.table.get(&stream)?;
                                stream.send(&data, target).map_err(SocketError::from)
                            }
                            Err(error) => Err(error),
                        };
                        if let Some(sent) = count_sent(&mut sent, result)? {
                            return Ok(sent);
                        }
                    }
                    Ok(sent)
                }

                fn subscribe(&mut self, stream: Outgoing) -> Result<Resource<DynPollable>> {
                    subscribe(self.table, stream)
                }

                fn drop(&mut self, stream: Outgoing) -> Result<()> {
                    self.table.delete(stream)?;
                    Ok(())
                }
            }
        };
    };
}

hosts!(sync::sockets::udp, [], run_now);
hosts!(sockets::udp, [async], run_later);

/// A datagram in guest memory.
#[derive(ComponentType, Lift)]
#[component(record)]
struct GuestDatagram {
    data: WasmList<u8>,
    #[component(name = "remote-address")]
    remote_address: Option<IpSocketAddress>,
}

const SEND: &str = "[method]outgoing-datagram-stream.send";

/// The instance whose `send` is defined anew: so that bytes are not copied in the host, and a list
/// that is too long is refused before the host has any of it.
fn instance<T>(linker: &mut Linker<T>) -> Result<LinkerInstance<'_, T>> {
    let mut instance = linker.instance(&format!("wasi:sockets/udp@{VERSION}"))?;
    instance.allow_shadowing(true);
    Ok(instance)
}

/// Defines `send` for hosts that call guests synchronously, in place of what the bindings define.
pub(super) fn add_in_place_sync<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    instance(linker)?.func_wrap(
        SEND,
        |store: StoreContextMut<'_, T>,
         (stream, datagrams): (Outgoing, WasmList<GuestDatagram>)| {
            Ok((for_guest(block(send(store, stream, datagrams)))?,))
        },
    )
}

/// Defines `send` for hosts that call guests asynchronously, in place of what the bindings define.
#[cfg(feature = "tokio")]
pub(super) fn add_in_place_async<T: WasiView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    instance(linker)?.func_wrap_async(
        SEND,
        |store: StoreContextMut<'_, T>,
         (stream, datagrams): (Outgoing, WasmList<GuestDatagram>)| {
            Box::new(async move { Ok((for_guest(send(store, stream, datagrams).await)?,)) })
        },
    )
}

/// Sends datagrams from guest memory.
async fn send<T: WasiView + 'static>(
    mut store: StoreContextMut<'_, T>,
    stream: Outgoing,
    datagrams: WasmList<GuestDatagram>,
) -> SocketResult<u64> {
    let mut view = store.data_mut().sockets();
    view.udp_take_permit(&stream, datagrams.len())
        .map_err(SocketError::trap)?;
    let mut sent = 0;
    for index in 0..datagrams.len() {
        let Some(datagram) = datagrams.get(&mut store, index) else {
            break;
        };
        let GuestDatagram {
            data,
            remote_address,
        } = datagram.map_err(SocketError::trap)?;
        let mut view = store.data_mut().sockets();
        let target = view.udp_target(&stream, data.len(), remote_address).await;
        let result = match target {
            Ok(target) => {
                let (bytes, data) = data.slice_and_data(&mut store).map_err(SocketError::trap)?;
                let stream = data.sockets().table.get(&stream)?;
                stream.send(bytes, target).map_err(SocketError::from)
            }
            Err(error) => Err(error),
        };
        if let Some(sent) = count_sent(&mut sent, result)? {
            return Ok(sent);
        }
    }
    Ok(sent)
}

/// Makes a result one for the guest.
///
/// # Errors
///
/// If it is a trap.
fn for_guest<R>(result: SocketResult<R>) -> Result<std::result::Result<R, ErrorCode>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => error.downcast().map(Err),
    }
}
