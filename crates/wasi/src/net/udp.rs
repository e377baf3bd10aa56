//! [`UdpSocket`], and its streams of datagrams.

use super::address::check_remote;
use super::allow::Permission;
use super::{AddressFamily, Result, Socket, SocketAddrUse, WasiSocketsCtx, bind};
use crate::Errno;
use crate::io::fd::wait_for;
use crate::io::wait::is_fd_ready;
use crate::io::{Interest, Pollable, Readiness};
use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendFlags, SocketType};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

/// The most datagrams that a guest sends or receives at once.
pub(crate) const MAX_DATAGRAMS: usize = 16;

/// The most bytes of a datagram. IP allows a little less.
const MAX_DATAGRAM_SIZE: usize = u16::MAX as usize;

/// When so many bytes have been received at once, no further datagram is.
const ENOUGH_BYTES: usize = 1 << 16;

/// How many datagrams that are refused one call looks at, so that others cannot keep a guest's host
/// busy.
const MAX_REFUSED: usize = 64;

/// A UDP socket of a guest.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Arc<Socket>,
    family: AddressFamily,
    /// The address that it is bound to.
    bound: Option<SocketAddr>,
    /// Where its streams send to and receive from, if not everywhere.
    remote: Option<SocketAddr>,
}

impl UdpSocket {
    /// Creates a socket.
    ///
    /// # Errors
    ///
    /// - [`Errno::Access`] if the guest may have none.
    /// - [`Errno::TooManyFiles`] if it has as many as it may.
    pub(crate) fn new(ctx: &WasiSocketsCtx, family: AddressFamily) -> Result<Self> {
        if !ctx.rules.udp() {
            return Err(Errno::Access);
        }
        let socket = Socket::new(ctx.new_socket()?, family, SocketType::DGRAM)?;
        Ok(UdpSocket {
            socket: Arc::new(socket),
            family,
            bound: None,
            remote: None,
        })
    }

    pub(crate) fn family(&self) -> AddressFamily {
        self.family
    }

    /// Returns the socket for its options.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Checks that the socket can be bound to an address. Then [`SocketAddrUse::UdpBind`] has to be
    /// allowed.
    ///
    /// # Errors
    ///
    /// - [`Errno::IsConnected`] if it is bound.
    /// - [`Errno::Invalid`] if it is no address for it.
    pub(crate) fn check_bind(&self, address: SocketAddr) -> Result<()> {
        match self.bound {
            Some(_) => Err(Errno::IsConnected),
            None => self.family.check(address),
        }
    }

    /// Binds the socket.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`.
    pub(crate) fn bind(&mut self, address: SocketAddr) -> Result<()> {
        bind(&self.socket, address)?;
        self.bound = Some(self.socket.local_address()?);
        Ok(())
    }

    /// Checks that streams can be made that send to and receive from an address, or everywhere.
    /// Then [`SocketAddrUse::UdpSend`] and [`SocketAddrUse::UdpReceive`] have to be allowed for the
    /// address.
    ///
    /// # Errors
    ///
    /// - [`Errno::NotConnected`] if the socket is not bound.
    /// - [`Errno::Invalid`] if it is no address to send to.
    pub(crate) fn check_streams(&self, remote: Option<SocketAddr>) -> Result<()> {
        if self.bound.is_none() {
            return Err(Errno::NotConnected);
        }
        match remote {
            Some(remote) => {
                self.family.check(remote)?;
                check_remote(remote)
            }
            None => Ok(()),
        }
    }

    /// Returns streams that send to and receive from an address, or everywhere.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`.
    pub(crate) fn streams(
        &mut self,
        remote: Option<SocketAddr>,
    ) -> Result<(IncomingDatagramStream, OutgoingDatagramStream)> {
        self.connect(remote)?;
        let incoming = IncomingDatagramStream {
            socket: self.socket.clone(),
            remote,
            undecided: None,
            failed: None,
        };
        let outgoing = OutgoingDatagramStream {
            socket: self.socket.clone(),
            family: self.family,
            remote,
            permit: 0,
        };
        Ok((incoming, outgoing))
    }

    /// Makes the socket one for a remote address, or for all.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`.
    pub(crate) fn connect(&mut self, remote: Option<SocketAddr>) -> Result<()> {
        if self.remote.take().is_some() {
            self.disconnect()?;
        }
        if let Some(remote) = remote {
            match rustix::net::connect(&self.socket, &remote) {
                Err(rustix::io::Errno::AFNOSUPPORT) => return Err(Errno::Invalid),
                result => result?,
            }
        }
        self.remote = remote;
        Ok(())
    }

    /// Makes the socket one for all remote addresses again.
    fn disconnect(&self) -> Result<()> {
        rustix::net::connect_unspec(&self.socket)?;
        // Linux forgets a port that it has chosen itself.
        match self.bound {
            Some(bound) if self.socket.local_address()? != bound => bind(&self.socket, bound),
            _ => Ok(()),
        }
    }

    /// Returns the address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// [`Errno::NotConnected`] if it is not.
    pub(crate) fn local_address(&self) -> Result<SocketAddr> {
        match self.bound {
            Some(_) => self.socket.local_address(),
            None => Err(Errno::NotConnected),
        }
    }

    /// Returns where the streams send to.
    ///
    /// # Errors
    ///
    /// [`Errno::NotConnected`] if that is everywhere.
    pub(crate) fn remote_address(&self) -> Result<SocketAddr> {
        self.remote.ok_or(Errno::NotConnected)
    }
}

/// What guests of WASI 0.3 do with a socket, without streams.
#[cfg(feature = "tokio")]
impl UdpSocket {
    /// Returns the address that the socket is bound to if it is used and was not bound. Then
    /// [`SocketAddrUse::UdpBind`] has to be allowed for it.
    pub(crate) fn implicit(&self) -> Option<SocketAddr> {
        self.bound.is_none().then(|| self.family.unspecified())
    }

    /// Checks that the socket can be made one for a remote address. Then
    /// [`SocketAddrUse::UdpSend`] and [`SocketAddrUse::UdpReceive`] have to be allowed for it.
    ///
    /// # Errors
    ///
    /// [`Errno::Invalid`] if it is no address to send to.
    pub(crate) fn check_connect(&self, remote: SocketAddr) -> Result<()> {
        self.family.check(remote)?;
        check_remote(remote)
    }

    /// Returns where a datagram goes; see [`OutgoingDatagramStream::check`].
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn check_send(&self, size: usize, remote: Option<SocketAddr>) -> Result<SocketAddr> {
        target(self.family, self.remote, size, remote)
    }

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// - [`Errno::Again`] if the system does not take it now.
    /// - What the system has to say about it, or about those before.
    pub(crate) fn send(&self, data: &[u8], remote: SocketAddr) -> Result<()> {
        send(&self.socket, self.remote, data, remote)
    }

    /// Receives a datagram, or `None` if it is one from elsewhere that came before the socket was
    /// connected. Then [`SocketAddrUse::UdpReceive`] has to be allowed.
    ///
    /// # Errors
    ///
    /// - [`Errno::NotConnected`] if the socket is not bound.
    /// - [`Errno::Again`] if there is none.
    /// - What the system has to say about datagrams sent before.
    pub(crate) fn receive(&self) -> Result<Option<Datagram>> {
        if self.bound.is_none() {
            return Err(Errno::NotConnected);
        }
        let datagram = receive(&self.socket, &mut Vec::new())?;
        let is_foreign = self.remote.is_some_and(|remote| remote != datagram.remote);
        Ok((!is_foreign).then_some(datagram))
    }
}

/// Returns where a datagram goes from a socket that is connected to `own`, or not connected.
fn target(
    family: AddressFamily,
    own: Option<SocketAddr>,
    size: usize,
    remote: Option<SocketAddr>,
) -> Result<SocketAddr> {
    if size > MAX_DATAGRAM_SIZE {
        return Err(Errno::MessageSize);
    }
    if let Some(remote) = remote {
        check_remote(remote)?;
        family.check(remote)?;
    }
    match (remote, own) {
        (Some(remote), Some(own)) if remote != own => Err(Errno::Invalid),
        (Some(remote), _) | (None, Some(remote)) => Ok(remote),
        (None, None) => Err(Errno::Invalid),
    }
}

/// Sends a datagram from a socket that is connected to `own`, or not connected.
fn send(socket: &Socket, own: Option<SocketAddr>, data: &[u8], remote: SocketAddr) -> Result<()> {
    match own {
        Some(_) => rustix::net::send(socket, data, SendFlags::NOSIGNAL)?,
        None => rustix::net::sendto(socket, data, SendFlags::NOSIGNAL, &remote)?,
    };
    Ok(())
}

/// Receives a datagram. The buffer is for the next one as well.
fn receive(socket: &Socket, buffer: &mut Vec<u8>) -> Result<Datagram> {
    buffer.clear();
    buffer.reserve_exact(MAX_DATAGRAM_SIZE);
    let (_, _, remote) = rustix::net::recvfrom(socket, spare_capacity(buffer), RecvFlags::empty())?;
    let remote = remote.ok_or(Errno::Io)?;
    Ok(Datagram {
        data: buffer.as_slice().to_vec(),
        remote: remote.try_into().map_err(|_| Errno::AddressFamily)?,
    })
}

/// A datagram that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub data: Vec<u8>,
    pub remote: SocketAddr,
}

/// The datagrams that a guest receives.
#[derive(Debug)]
pub struct IncomingDatagramStream {
    socket: Arc<Socket>,
    remote: Option<SocketAddr>,
    /// A datagram that the host has not decided about.
    undecided: Option<(Datagram, Permission)>,
    /// An error that came after datagrams, which the guest gets next.
    failed: Option<Errno>,
}

impl IncomingDatagramStream {
    /// Returns at most `max` datagrams, and at most [`MAX_DATAGRAMS`]. If there are none, there are
    /// none in the list.
    ///
    /// # Errors
    ///
    /// What the system has to say about datagrams sent before.
    pub(crate) fn receive(&mut self, ctx: &WasiSocketsCtx, max: u64) -> Result<Vec<Datagram>> {
        let max = usize::try_from(max).map_or(MAX_DATAGRAMS, |max| max.min(MAX_DATAGRAMS));
        let mut received = Vec::new();
        let mut bytes = 0;
        let mut buffer = Vec::new();
        let mut refused = 0;
        while received.len() < max && bytes < ENOUGH_BYTES && refused < MAX_REFUSED {
            match self.receive_one(ctx, &mut buffer) {
                Ok(Some(datagram)) => {
                    bytes += datagram.data.len();
                    received.push(datagram);
                }
                Ok(None) => refused += 1,
                Err(Errno::Again) => break,
                Err(error) if received.is_empty() => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(received)
    }

    /// Receives a datagram, or `None` if it is refused.
    ///
    /// # Errors
    ///
    /// [`Errno::Again`] if there is none, or the host has not decided about it.
    fn receive_one(
        &mut self,
        ctx: &WasiSocketsCtx,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Datagram>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let (datagram, mut permission) = match self.undecided.take() {
            Some(undecided) => undecided,
            None => {
                let datagram = receive(&self.socket, buffer)?;
                // The system keeps what had come before the socket was connected.
                if self.remote.is_some_and(|remote| remote != datagram.remote) {
                    return Ok(None);
                }
                let permission = ctx.rules.ask(datagram.remote, SocketAddrUse::UdpReceive);
                (datagram, permission)
            }
        };
        match permission.now() {
            Some(true) => Ok(Some(datagram)),
            Some(false) => Ok(None),
            None => {
                self.undecided = Some((datagram, permission));
                Err(Errno::Again)
            }
        }
    }
}

#[async_trait::async_trait]
impl Pollable for IncomingDatagramStream {
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
            None if self.failed.is_some() => Readiness::Ready,
            None => Readiness::Fd(self.socket.as_fd(), Interest::Read),
        }
    }
}

/// The datagrams that a guest sends.
#[derive(Debug)]
pub struct OutgoingDatagramStream {
    socket: Arc<Socket>,
    family: AddressFamily,
    remote: Option<SocketAddr>,
    /// How many datagrams the guest may send.
    permit: usize,
}

impl OutgoingDatagramStream {
    /// Returns how many datagrams the guest may send now.
    pub(crate) fn check_send(&mut self) -> usize {
        self.permit = match is_fd_ready(self.socket.as_fd(), Interest::Write) {
            true => MAX_DATAGRAMS,
            false => 0,
        };
        self.permit
    }

    /// Uses up what [`check_send`](Self::check_send) has allowed. Returns whether that was so many
    /// datagrams.
    pub(crate) fn take_permit(&mut self, count: usize) -> bool {
        let permit = std::mem::take(&mut self.permit);
        count <= permit
    }

    /// Returns where a datagram goes, for which [`SocketAddrUse::UdpSend`] has to be allowed.
    ///
    /// # Errors
    ///
    /// - [`Errno::MessageSize`] if it is too large.
    /// - [`Errno::Invalid`] if it goes nowhere, or elsewhere than the stream.
    pub(crate) fn check(&self, size: usize, remote: Option<SocketAddr>) -> Result<SocketAddr> {
        target(self.family, self.remote, size, remote)
    }

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// - [`Errno::Again`] if the system does not take it now.
    /// - What the system has to say about it, or about those before.
    pub(crate) fn send(&self, data: &[u8], remote: SocketAddr) -> Result<()> {
        send(&self.socket, self.remote, data, remote)
    }
}

#[async_trait::async_trait]
impl Pollable for OutgoingDatagramStream {
    async fn ready(&mut self) {
        wait_for(self.readiness()).await;
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Fd(self.socket.as_fd(), Interest::Write)
    }
}
