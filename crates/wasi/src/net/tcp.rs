//! [`TcpSocket`]: the states of a TCP socket.

use super::address::{check_remote, check_unicast};
use super::allow::Permission;
use super::connection::{Connection, TcpInput, TcpOutput};
use super::{AddressFamily, Result, Socket, SocketAddrUse, WasiSocketsCtx, bind};
use crate::Errno;
use crate::io::fd::wait_for;
use crate::io::wait::is_fd_ready;
use crate::io::{Interest, Pollable, Readiness};
use rustix::net::{Shutdown, SocketFlags, SocketType, sockopt};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::AsFd;
#[cfg(feature = "tokio")]
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// How many connections wait to be accepted if the guest does not say.
const DEFAULT_BACKLOG: i32 = 128;

/// How many connections that are refused one call looks at, so that others cannot keep a guest's
/// host busy.
const MAX_REFUSED: usize = 64;

/// A TCP socket of a guest.
#[derive(Debug)]
pub struct TcpSocket {
    state: State,
    family: AddressFamily,
    backlog: i32,
    /// Whether the guest has bound it, or the system has.
    is_bound: bool,
}

#[derive(Debug)]
enum State {
    /// It may be bound.
    New(Socket),
    /// The system is connecting it, or has refused to.
    Connecting(Result<Socket>),
    Listening(Listener),
    Connected(Arc<Connection>),
    /// It could not be connected.
    Failed(Errno),
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Arc<Socket>,
    family: AddressFamily,
    /// A connection that the host has not decided about.
    undecided: Option<(Socket, Permission)>,
}

impl TcpSocket {
    /// Creates a socket.
    ///
    /// # Errors
    ///
    /// - [`Errno::Access`] if the guest may have none.
    /// - [`Errno::TooManyFiles`] if it has as many as it may.
    pub(crate) fn new(ctx: &WasiSocketsCtx, family: AddressFamily) -> Result<Self> {
        if !ctx.rules.tcp() {
            return Err(Errno::Access);
        }
        let socket = Socket::new(ctx.new_socket()?, family, SocketType::STREAM)?;
        Ok(TcpSocket {
            state: State::New(socket),
            family,
            backlog: DEFAULT_BACKLOG,
            is_bound: false,
        })
    }

    pub(crate) fn family(&self) -> AddressFamily {
        self.family
    }

    pub(crate) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }

    /// Returns the socket, if it is neither bound beyond return nor used.
    fn unused(&self) -> Result<&Socket> {
        match &self.state {
            State::New(socket) => Ok(socket),
            _ => Err(Errno::IsConnected),
        }
    }

    /// Returns the socket for its options.
    pub(crate) fn socket(&self) -> Result<&Socket> {
        match &self.state {
            State::New(socket) => Ok(socket),
            State::Listening(listener) => Ok(&listener.socket),
            State::Connected(connection) => Ok(connection.socket()),
            State::Connecting(_) => Err(Errno::NotConnected),
            State::Failed(error) => Err(*error),
        }
    }

    /// Checks that the socket can be bound to an address. Then [`SocketAddrUse::TcpBind`] has to be
    /// allowed.
    ///
    /// # Errors
    ///
    /// - [`Errno::IsConnected`] if it is bound.
    /// - [`Errno::Invalid`] if it is no address for it.
    pub(crate) fn check_bind(&self, address: SocketAddr) -> Result<()> {
        self.unused()?;
        if self.is_bound {
            return Err(Errno::IsConnected);
        }
        check_unicast(address)?;
        self.family.check(address)
    }

    /// Binds the socket.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`.
    pub(crate) fn bind(&mut self, address: SocketAddr) -> Result<()> {
        let socket = self.unused()?;
        // Connections that are closed do not keep the address for minutes.
        sockopt::set_socket_reuseaddr(socket, true)?;
        bind(socket, address)?;
        self.is_bound = true;
        Ok(())
    }

    /// Checks that the socket can be connected to an address. Returns what has to be allowed
    /// besides [`SocketAddrUse::TcpConnect`].
    ///
    /// # Errors
    ///
    /// - [`Errno::IsConnected`] if it is in use.
    /// - [`Errno::Invalid`] if it is no address to connect to.
    pub(crate) fn check_connect(
        &self,
        address: SocketAddr,
    ) -> Result<Option<(SocketAddr, SocketAddrUse)>> {
        self.unused()?;
        check_unicast(address)?;
        check_remote(address)?;
        self.family.check(address)?;
        let implicit = (self.family.unspecified(), SocketAddrUse::TcpBind);
        Ok((!self.is_bound).then_some(implicit))
    }

    /// Starts to connect the socket. If that fails, [`finish_connect`](Self::finish_connect) says
    /// so.
    pub(crate) fn start_connect(&mut self, address: SocketAddr) {
        let failed = State::Failed(Errno::NotConnected);
        self.state = match std::mem::replace(&mut self.state, failed) {
            State::New(socket) => {
                State::Connecting(match rustix::net::connect(&socket, &address) {
                    Ok(()) | Err(rustix::io::Errno::INPROGRESS | rustix::io::Errno::INTR) => {
                        Ok(socket)
                    }
                    Err(rustix::io::Errno::AFNOSUPPORT) => Err(Errno::Invalid),
                    Err(error) => Err(error.into()),
                })
            }
            state => state,
        };
    }

    /// Returns the streams of the connection.
    ///
    /// # Errors
    ///
    /// - [`Errno::Again`] while the system is connecting.
    /// - The reason why that has failed. The socket is of no use then.
    pub(crate) fn finish_connect(&mut self) -> Result<(TcpInput, TcpOutput)> {
        match &self.state {
            State::Connecting(Ok(socket)) if !is_fd_ready(socket.as_fd(), Interest::Write) => {
                return Err(Errno::Again);
            }
            State::Connecting(_) => {}
            _ => return Err(Errno::NotConnected),
        }
        let failed = State::Failed(Errno::NotConnected);
        let State::Connecting(result) = std::mem::replace(&mut self.state, failed) else {
            return Err(Errno::NotConnected);
        };
        let connected = result.and_then(|socket| {
            sockopt::socket_error(&socket)??;
            Ok(socket)
        });
        match connected {
            Ok(socket) => {
                let connection = Connection::new(socket);
                self.state = State::Connected(connection.clone());
                self.is_bound = true;
                Ok(connection.streams())
            }
            Err(error) => {
                self.state = State::Failed(error);
                Err(error)
            }
        }
    }

    /// Returns the address that the socket is bound to if it is used and was not bound.
    #[cfg(feature = "tokio")]
    pub(crate) fn implicit(&self) -> Option<SocketAddr> {
        (!self.is_bound).then(|| self.family.unspecified())
    }

    /// Returns the socket while the system is connecting it.
    ///
    /// # Errors
    ///
    /// [`Errno::NotConnected`] if it is not.
    #[cfg(feature = "tokio")]
    pub(crate) fn connecting(&self) -> Result<BorrowedFd<'_>> {
        match &self.state {
            State::Connecting(Ok(socket)) => Ok(socket.as_fd()),
            _ => Err(Errno::NotConnected),
        }
    }

    /// Checks that the socket can listen. Returns the address for which
    /// [`SocketAddrUse::TcpListen`] has to be allowed.
    ///
    /// # Errors
    ///
    /// - [`Errno::IsConnected`] if it is in use.
    /// - [`Errno::NotConnected`] if it is not bound.
    pub(crate) fn check_listen(&self) -> Result<SocketAddr> {
        let socket = self.unused()?;
        match self.is_bound {
            true => socket.local_address(),
            false => Err(Errno::NotConnected),
        }
    }

    /// Makes the socket listen.
    ///
    /// # Errors
    ///
    /// Those of `listen(2)`.
    pub(crate) fn listen(&mut self) -> Result<()> {
        rustix::net::listen(self.unused()?, self.backlog)?;
        let failed = State::Failed(Errno::NotConnected);
        self.state = match std::mem::replace(&mut self.state, failed) {
            State::New(socket) => State::Listening(Listener {
                socket: Arc::new(socket),
                family: self.family,
                undecided: None,
            }),
            state => state,
        };
        Ok(())
    }

    /// Returns what accepts the connections of the socket, independently of it.
    ///
    /// # Errors
    ///
    /// [`Errno::NotConnected`] if the socket does not listen.
    #[cfg(feature = "tokio")]
    pub(crate) fn listener(&self) -> Result<Listener> {
        match &self.state {
            State::Listening(listener) => Ok(Listener {
                socket: listener.socket.clone(),
                family: listener.family,
                undecided: None,
            }),
            _ => Err(Errno::NotConnected),
        }
    }

    /// Accepts a connection.
    ///
    /// # Errors
    ///
    /// - [`Errno::Again`] if there is none, or the host has not decided about it.
    /// - [`Errno::NotConnected`] if the socket does not listen.
    /// - [`Errno::TooManyFiles`] if the guest has as many sockets as it may. The connection waits.
    pub(crate) fn accept(
        &mut self,
        ctx: &WasiSocketsCtx,
    ) -> Result<(TcpSocket, TcpInput, TcpOutput)> {
        match &mut self.state {
            State::Listening(listener) => listener.accept(ctx),
            _ => Err(Errno::NotConnected),
        }
    }

    /// Returns the address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// [`Errno::NotConnected`] if it is not.
    pub(crate) fn local_address(&self) -> Result<SocketAddr> {
        let socket = self.socket()?;
        match self.is_bound {
            true => socket.local_address(),
            false => Err(Errno::NotConnected),
        }
    }

    /// Returns the address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// [`Errno::NotConnected`] if it is not.
    pub(crate) fn remote_address(&self) -> Result<SocketAddr> {
        let socket = self.connection()?.socket();
        let address = rustix::net::getpeername(socket)?.ok_or(Errno::NotConnected)?;
        address.try_into().map_err(|_| Errno::AddressFamily)
    }

    fn connection(&self) -> Result<&Connection> {
        match &self.state {
            State::Connected(connection) => Ok(connection),
            State::Failed(error) => Err(*error),
            _ => Err(Errno::NotConnected),
        }
    }

    /// Ends one direction of the connection, or both.
    ///
    /// # Errors
    ///
    /// [`Errno::NotConnected`] if there is none.
    pub(crate) fn shutdown(&self, how: Shutdown) -> Result<()> {
        match &self.state {
            State::Connected(connection) => {
                connection.shutdown(how);
                Ok(())
            }
            _ => Err(Errno::NotConnected),
        }
    }

    /// Sets how many connections wait to be accepted. The system has limits of its own.
    ///
    /// # Errors
    ///
    /// - [`Errno::Invalid`] if it is 0.
    /// - [`Errno::IsConnected`] if the socket is connected, or is being.
    pub(crate) fn set_backlog(&mut self, value: u64) -> Result<()> {
        if value == 0 {
            return Err(Errno::Invalid);
        }
        let value = i32::try_from(value).unwrap_or(i32::MAX);
        match &self.state {
            State::New(_) => {}
            State::Listening(listener) => {
                let changed = rustix::net::listen(&listener.socket, value);
                changed.map_err(|_| Errno::NotSupported)?;
            }
            State::Connecting(_) | State::Connected(_) => return Err(Errno::IsConnected),
            State::Failed(error) => return Err(*error),
        }
        self.backlog = value;
        Ok(())
    }
}

impl Listener {
    /// Accepts a connection.
    ///
    /// # Errors
    ///
    /// As [`TcpSocket::accept`].
    pub fn accept(&mut self, ctx: &WasiSocketsCtx) -> Result<(TcpSocket, TcpInput, TcpOutput)> {
        for _ in 0..MAX_REFUSED {
            let (connected, mut permission) = match self.undecided.take() {
                Some(undecided) => undecided,
                None => accept(&self.socket, ctx)?,
            };
            match permission.now() {
                Some(true) => {
                    let connection = Connection::new(connected);
                    let (input, output) = connection.streams();
                    let accepted = TcpSocket {
                        state: State::Connected(connection),
                        family: self.family,
                        backlog: DEFAULT_BACKLOG,
                        is_bound: true,
                    };
                    return Ok((accepted, input, output));
                }
                Some(false) => reset(connected),
                None => {
                    self.undecided = Some((connected, permission));
                    return Err(Errno::Again);
                }
            }
        }
        Err(Errno::Again)
    }
}

#[async_trait::async_trait]
impl Pollable for Listener {
    async fn ready(&mut self) {
        if let Some((_, permission)) = &mut self.undecided {
            poll_fn(|cx| permission.poll(cx)).await;
            return;
        }
        wait_for(self.readiness()).await;
    }

    fn readiness(&self) -> Readiness<'_> {
        match &self.undecided {
            Some((_, Permission::Asked(_))) => Readiness::Future,
            Some(_) => Readiness::Ready,
            None => Readiness::Fd(self.socket.as_fd(), Interest::Read),
        }
    }
}

/// Takes the next connection of a listening socket, and asks for the permission to accept it.
fn accept(socket: &Socket, ctx: &WasiSocketsCtx) -> Result<(Socket, Permission)> {
    use rustix::io::Errno as System;
    let slot = ctx.new_socket()?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    match rustix::net::acceptfrom_with(socket, flags) {
        Ok((fd, address)) => {
            // Only a connection that is over has no address.
            let address = address.and_then(|address| SocketAddr::try_from(address).ok());
            let address = address.ok_or(Errno::ConnectionAborted)?;
            let permission = ctx.rules.ask(address, SocketAddrUse::TcpAccept);
            Ok((Socket { fd, _slot: slot }, permission))
        }
        Err(System::INTR) => Err(Errno::Again),
        // Linux reports what has happened to the connection since.
        Err(
            System::CONNRESET
            | System::NETRESET
            | System::HOSTUNREACH
            | System::HOSTDOWN
            | System::NETDOWN
            | System::NETUNREACH
            | System::PROTO
            | System::NOPROTOOPT
            | System::NONET
            | System::OPNOTSUPP,
        ) => Err(Errno::ConnectionAborted),
        Err(error) => Err(error.into()),
    }
}

/// Closes a connection so that the other side sees that it is refused.
fn reset(socket: Socket) {
    // Without it, the other side sees an end instead.
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
    drop(socket);
}

#[async_trait::async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        match &mut self.state {
            State::Listening(listener) => listener.ready().await,
            _ => wait_for(self.readiness()).await,
        }
    }

    fn readiness(&self) -> Readiness<'_> {
        match &self.state {
            State::Connecting(Ok(socket)) => Readiness::Fd(socket.as_fd(), Interest::Write),
            State::Listening(listener) => listener.readiness(),
            State::New(_) | State::Connecting(Err(_)) | State::Connected(_) | State::Failed(_) => {
                Readiness::Ready
            }
        }
    }
}
