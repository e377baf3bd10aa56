//! `wasi:sockets/tcp`.

use super::{Network, SocketResult};
use crate::io::{Pollable, Readiness};
use crate::net::{self, SocketAddrUse, WasiSocketsCtxView};
use crate::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use crate::p2::bindings::{sockets, sync};
use crate::p2::{DynInputStream, DynOutputStream, DynPollable, subscribe};
use mintage::{Resource, Result};
use rustix::net::Shutdown;
use std::net::SocketAddr;

/// A TCP socket of a guest, with what it has started to do with it.
#[derive(Debug)]
pub struct TcpSocket {
    socket: net::TcpSocket,
    started: Option<Operation>,
}

/// An operation that the guest has started and not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Bind,
    Connect,
    Listen,
}

impl TcpSocket {
    pub(super) fn new(socket: net::TcpSocket) -> Self {
        TcpSocket {
            socket,
            started: None,
        }
    }

    /// Checks that the guest has finished what it has started.
    fn idle(&self) -> SocketResult<&net::TcpSocket> {
        match self.started {
            None => Ok(&self.socket),
            Some(_) => Err(ErrorCode::ConcurrencyConflict.into()),
        }
    }

    /// Checks that the guest has started this.
    fn started(&self, operation: Operation) -> SocketResult<()> {
        match self.started == Some(operation) {
            true => Ok(()),
            false => Err(ErrorCode::NotInProgress.into()),
        }
    }

    fn finish(&mut self, operation: Operation) -> SocketResult<()> {
        self.started(operation)?;
        self.started = None;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        if self.started != Some(Operation::Listen) {
            self.socket.ready().await;
        }
    }

    fn readiness(&self) -> Readiness<'_> {
        match self.started {
            // It is done, and the guest may say so.
            Some(Operation::Listen) => Readiness::Ready,
            _ => self.socket.readiness(),
        }
    }
}

type Socket = Resource<TcpSocket>;

impl WasiSocketsCtxView<'_> {
    fn tcp(&self, socket: &Socket) -> SocketResult<&net::TcpSocket> {
        Ok(&self.table.get(socket)?.socket)
    }

    /// Returns the socket of the system, for its options.
    fn tcp_system(&self, socket: &Socket) -> SocketResult<&net::Socket> {
        Ok(self.tcp(socket)?.socket()?)
    }

    async fn tcp_start_bind(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.check(&network)?;
        let address = SocketAddr::from(address);
        self.table.get(&socket)?.idle()?.check_bind(address)?;
        let rules = &self.ctx.rules;
        rules.check(address, SocketAddrUse::TcpBind).await?;
        let socket = self.table.get_mut(&socket)?;
        socket.socket.bind(address)?;
        socket.started = Some(Operation::Bind);
        Ok(())
    }

    async fn tcp_start_connect(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.check(&network)?;
        let address = SocketAddr::from(address);
        let implicit = self.table.get(&socket)?.idle()?.check_connect(address)?;
        let rules = &self.ctx.rules;
        if let Some((address, usage)) = implicit {
            rules.check(address, usage).await?;
        }
        rules.check(address, SocketAddrUse::TcpConnect).await?;
        let socket = self.table.get_mut(&socket)?;
        socket.socket.start_connect(address);
        socket.started = Some(Operation::Connect);
        Ok(())
    }

    async fn tcp_start_listen(&mut self, socket: Socket) -> SocketResult<()> {
        let address = self.table.get(&socket)?.idle()?.check_listen()?;
        let rules = &self.ctx.rules;
        rules.check(address, SocketAddrUse::TcpListen).await?;
        let socket = self.table.get_mut(&socket)?;
        socket.socket.listen()?;
        socket.started = Some(Operation::Listen);
        Ok(())
    }

    /// Adds the streams of a connection to the table.
    fn push_streams(
        &mut self,
        socket: &Socket,
        (input, output): (net::TcpInput, net::TcpOutput),
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let (input, output): (DynInputStream, DynOutputStream) =
            (Box::new(input), Box::new(output));
        let input = self.table.push_child(input, socket)?;
        let output = self.table.push_child(output, socket)?;
        Ok((input, output))
    }
}

/// Implements the traits of `$tcp`. What asks for rules is `$async`, and is run by `$run`.
macro_rules! hosts {
    ($tcp:path, [$($async:ident)?], $run:ident) => {
        const _: () = {
            use $tcp as traits;

            impl traits::Host for WasiSocketsCtxView<'_> {}

            impl traits::HostTcpSocket for WasiSocketsCtxView<'_> {
                $($async)? fn start_bind(
                    &mut self,
                    socket: Socket,
                    network: Resource<Network>,
                    address: IpSocketAddress,
                ) -> SocketResult<()> {
                    $run!(self.tcp_start_bind(socket, network, address))
                }

                fn finish_bind(&mut self, socket: Socket) -> SocketResult<()> {
                    self.table.get_mut(&socket)?.finish(Operation::Bind)
                }

                $($async)? fn start_connect(
                    &mut self,
                    socket: Socket,
                    network: Resource<Network>,
                    address: IpSocketAddress,
                ) -> SocketResult<()> {
                    $run!(self.tcp_start_connect(socket, network, address))
                }

                fn finish_connect(
                    &mut self,
                    socket: Socket,
                ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
                    let connecting = self.table.get_mut(&socket)?;
                    connecting.started(Operation::Connect)?;
                    match connecting.socket.finish_connect() {
                        Err(crate::Errno::Again) => Err(ErrorCode::WouldBlock.into()),
                        result => {
                            connecting.started = None;
                            self.push_streams(&socket, result?)
                        }
                    }
                }

                $($async)? fn start_listen(&mut self, socket: Socket) -> SocketResult<()> {
                    $run!(self.tcp_start_listen(socket))
                }

                fn finish_listen(&mut self, socket: Socket) -> SocketResult<()> {
                    self.table.get_mut(&socket)?.finish(Operation::Listen)
                }

                fn accept(
                    &mut self,
                    socket: Socket,
                ) -> SocketResult<(Socket, Resource<DynInputStream>, Resource<DynOutputStream>)>
                {
                    let listening = self.table.get_mut(&socket)?;
                    if listening.started.is_some() {
                        return Err(ErrorCode::InvalidState.into());
                    }
                    let (accepted, input, output) = listening.socket.accept(self.ctx)?;
                    let accepted = self.table.push(TcpSocket::new(accepted))?;
                    let (input, output) = self.push_streams(&accepted, (input, output))?;
                    Ok((accepted, input, output))
                }

                fn local_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
                    Ok(self.tcp(&socket)?.local_address()?.into())
                }

                fn remote_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
                    Ok(self.tcp(&socket)?.remote_address()?.into())
                }

                fn is_listening(&mut self, socket: Socket) -> Result<bool> {
                    Ok(self.table.get(&socket)?.socket.is_listening())
                }

                fn address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
                    Ok(self.table.get(&socket)?.socket.family().into())
                }

                fn set_listen_backlog_size(
                    &mut self,
                    socket: Socket,
                    value: u64,
                ) -> SocketResult<()> {
                    Ok(self.table.get_mut(&socket)?.socket.set_backlog(value)?)
                }

                fn keep_alive_enabled(&mut self, socket: Socket) -> SocketResult<bool> {
                    Ok(self.tcp_system(&socket)?.keep_alive_enabled()?)
                }

                fn set_keep_alive_enabled(
                    &mut self,
                    socket: Socket,
                    value: bool,
                ) -> SocketResult<()> {
                    Ok(self.tcp_system(&socket)?.set_keep_alive_enabled(value)?)
                }

                fn keep_alive_idle_time(&mut self, socket: Socket) -> SocketResult<u64> {
                    Ok(self.tcp_system(&socket)?.keep_alive_idle_time()?)
                }

                fn set_keep_alive_idle_time(
                    &mut self,
                    socket: Socket,
                    value: u64,
                ) -> SocketResult<()> {
                    Ok(self.tcp_system(&socket)?.set_keep_alive_idle_time(value)?)
                }

                fn keep_alive_interval(&mut self, socket: Socket) -> SocketResult<u64> {
                    Ok(self.tcp_system(&socket)?.keep_alive_interval()?)
                }

                fn set_keep_alive_interval(
                    &mut self,
                    socket: Socket,
                    value: u64,
                ) -> SocketResult<()> {
                    Ok(self.tcp_system(&socket)?.set_keep_alive_interval(value)?)
                }

                fn keep_alive_count(&mut self, socket: Socket) -> SocketResult<u32> {
                    Ok(self.tcp_system(&socket)?.keep_alive_count()?)
                }

                fn set_keep_alive_count(&mut self, socket: Socket, value: u32) -> SocketResult<()> {
                    Ok(self.tcp_system(&socket)?.set_keep_alive_count(value)?)
                }

                fn hop_limit(&mut self, socket: Socket) -> SocketResult<u8> {
                    let socket = self.tcp(&socket)?;
                    Ok(socket.socket()?.hop_limit(socket.family())?)
                }

                fn set_hop_limit(&mut self, socket: Socket, value: u8) -> SocketResult<()> {
                    let socket = self.tcp(&socket)?;
                    Ok(socket.socket()?.set_hop_limit(socket.family(), value)?)
                }

                fn receive_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
                    Ok(self.tcp_system(&socket)?.receive_buffer_size()?)
                }

                fn set_receive_buffer_size(
                    &mut self,
                    socket: Socket,
                    value: u64,
                ) -> SocketResult<()> {
                    Ok(self.tcp_system(&socket)?.set_receive_buffer_size(value)?)
                }

                fn send_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
                    Ok(self.tcp_system(&socket)?.send_buffer_size()?)
                }

                fn set_send_buffer_size(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
                    Ok(self.tcp_system(&socket)?.set_send_buffer_size(value)?)
                }

                fn subscribe(&mut self, socket: Socket) -> Result<Resource<DynPollable>> {
                    subscribe(self.table, socket)
                }

                fn shutdown(
                    &mut self,
                    socket: Socket,
                    how: traits::ShutdownType,
                ) -> SocketResult<()> {
                    let how = match how {
                        traits::ShutdownType::Receive => Shutdown::Read,
                        traits::ShutdownType::Send => Shutdown::Write,
                        traits::ShutdownType::Both => Shutdown::Both,
                    };
                    Ok(self.tcp(&socket)?.shutdown(how)?)
                }

                fn drop(&mut self, socket: Socket) -> Result<()> {
                    self.table.delete(socket)?;
                    Ok(())
                }
            }
        };
    };
}

hosts!(sync::sockets::tcp, [], run_now);
hosts!(sockets::tcp, [async], run_later);
