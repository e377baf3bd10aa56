//! Sockets: TCP, UDP and name look-up, for preview 1 and `wasi:sockets` alike.
//!
//! All sockets are non-blocking ones of the system. Nothing here waits: what is not possible yet
//! fails with [`Errno::Again`], and says by its [`Readiness`](crate::io::Readiness) what to wait
//! for. An operation that the state of a socket does not allow fails with [`Errno::IsConnected`] if
//! the socket is beyond that state already, and with [`Errno::NotConnected`] if it has not reached
//! it.
//!
//! What a guest may do is decided by the rules in `allow`. Operations come in two parts, so that a
//! host's own rules can take their time: a check of the arguments, which says what has to be
//! allowed, and the operation itself.

mod address;
mod allow;
mod connection;
mod convert;
mod leftover;
mod lookup;
mod name;
mod options;
mod tcp;
mod udp;

pub use allow::{AddressRange, AllowList, ParseAddressRangeError, SocketAddrUse};
pub use lookup::{LookupError, ResolveAddressStream};
pub use tcp::TcpSocket;
pub use udp::{IncomingDatagramStream, OutgoingDatagramStream, UdpSocket};

pub(crate) use address::AddressFamily;
pub(crate) use allow::NetworkRules;
#[cfg(feature = "tokio")]
pub(crate) use allow::Permission;
pub(crate) use connection::{TcpInput, TcpOutput};
pub(crate) use convert::addresses;
#[cfg(feature = "tokio")]
pub(crate) use tcp::Listener;
pub(crate) use udp::Datagram;

use crate::Errno;
use crate::limit::{DescriptorLimit, Slot};
use mintage::{HasData, ResourceTable};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The result of an operation on sockets.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

/// The default for how many names a guest may look up at a time. Each takes a thread.
const DEFAULT_MAX_LOOKUPS: usize = 8;

/// What a guest can do with the network. By default nothing.
#[derive(Clone, Debug)]
pub struct WasiSocketsCtx {
    pub(crate) rules: NetworkRules,
    sockets: Arc<DescriptorLimit>,
    lookups: Arc<DescriptorLimit>,
}

impl Default for WasiSocketsCtx {
    fn default() -> Self {
        let lookups = DescriptorLimit::default();
        lookups.set_max(DEFAULT_MAX_LOOKUPS);
        WasiSocketsCtx {
            rules: NetworkRules::default(),
            sockets: Arc::default(),
            lookups: Arc::new(lookups),
        }
    }
}

impl WasiSocketsCtx {
    /// Sets how many sockets the guest may have at a time. Accepted ones count as well.
    pub fn set_max_sockets(&mut self, max: usize) {
        self.sockets.set_max(max);
    }

    /// Sets how many names the guest may look up at a time.
    pub fn set_max_name_lookups(&mut self, max: usize) {
        self.lookups.set_max(max);
    }

    /// Counts one more socket, until the slot is dropped.
    ///
    /// # Errors
    ///
    /// [`Errno::TooManyFiles`] if there are as many as there may be.
    pub(crate) fn new_socket(&self) -> Result<Arc<Slot>> {
        self.sockets.open()
    }
}

/// The sockets of a guest, with the table that has them.
#[derive(Debug)]
pub struct WasiSocketsCtxView<'a> {
    /// What the guest can do with the network.
    pub ctx: &'a mut WasiSocketsCtx,
    /// The guest's sockets and streams.
    pub table: &'a mut ResourceTable,
}

/// Data of a store that has the sockets of a guest.
pub trait WasiSocketsView: Send {
    /// Returns the sockets and the table.
    fn sockets(&mut self) -> WasiSocketsCtxView<'_>;
}

/// The type parameter `D` of functions of bindings that add `wasi:sockets` to a linker.
///
/// ```
/// use mintage::{Engine, Linker, ResourceTable};
/// use mintage_wasi::p2::bindings::sockets::tcp;
/// use mintage_wasi::sockets::{WasiSockets, WasiSocketsCtx, WasiSocketsCtxView};
///
/// struct Host {
///     sockets: WasiSocketsCtx,
///     table: ResourceTable,
/// }
///
/// # fn main() -> mintage::Result<()> {
/// let mut linker = Linker::new(&Engine::default());
/// tcp::add_to_linker::<Host, WasiSockets>(&mut linker, |host| WasiSocketsCtxView {
///     ctx: &mut host.sockets,
///     table: &mut host.table,
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WasiSockets;

impl HasData for WasiSockets {
    type Data<'a> = WasiSocketsCtxView<'a>;
}

/// A socket of the system, which is counted while it is open.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    _slot: Arc<Slot>,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// Creates a socket.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`.
    fn new(
        slot: Arc<Slot>,
        family: AddressFamily,
        kind: rustix::net::SocketType,
    ) -> Result<Socket> {
        use rustix::net::{SocketFlags, socket_with, sockopt};

        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(family.to_system(), kind, flags, None)?;
        if family == AddressFamily::Ipv6 {
            // Dual-stack sockets would let IPv4 addresses past rules for IPv6.
            sockopt::set_ipv6_v6only(&fd, true)?;
        }
        Ok(Socket { fd, _slot: slot })
    }

    /// Returns the address that the socket is bound to.
    fn local_address(&self) -> Result<std::net::SocketAddr> {
        rustix::net::getsockname(self)?
            .try_into()
            .map_err(|_| Errno::AddressFamily)
    }
}

/// Binds a socket.
fn bind(socket: &Socket, address: std::net::SocketAddr) -> Result<()> {
    match rustix::net::bind(socket, &address) {
        Err(rustix::io::Errno::AFNOSUPPORT) => Err(Errno::Invalid),
        result => Ok(result?),
    }
}
