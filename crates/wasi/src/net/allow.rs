//! [`NetworkRules`]: what a guest may do with the network, and [`AllowList`]: a list of addresses
//! for it.

use super::Result;
use crate::Errno;
use crate::io::wait::in_runtime;
use std::fmt;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What an address is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketAddrUse {
    /// To bind a TCP socket to a local address. Where the system chooses the address, as for most
    /// connections, it is asked about the unspecified address and port 0.
    TcpBind,
    /// To listen for TCP connections on a local address.
    TcpListen,
    /// To accept a TCP connection from a remote address. One that is refused is reset, and the
    /// guest does not see it.
    TcpAccept,
    /// To connect to a remote address by TCP.
    TcpConnect,
    /// To bind a UDP socket to a local address.
    UdpBind,
    /// To send a datagram to a remote address.
    UdpSend,
    /// To receive a datagram from a remote address. One that is refused is dropped.
    UdpReceive,
}

/// IP addresses with ports: those of one host, or of a network.
///
/// | text | stands for |
/// |---|---|
/// | `127.0.0.1:80` | one port of one address |
/// | `[::1]:8000-8999` | some ports of one address |
/// | `10.0.0.0/8:443` | one port of all addresses of a network |
/// | `192.0.2.1`, `192.0.2.1:*` | all ports of one address |
/// | `2001:db8::/32`, `[2001:db8::]/32:*` | all ports of all addresses of a network |
/// | `*:443` | one port of all addresses |
/// | `*` | everything |
///
/// ```
/// use mintage_wasi::sockets::AddressRange;
///
/// # fn main() -> mintage::Result<()> {
/// let range: AddressRange = "10.0.0.0/8:8000-8999".parse()?;
/// assert!(range.contains("10.1.2.3:8080".parse()?));
/// assert!(!range.contains("10.1.2.3:80".parse()?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// All addresses of both families if it is `None`.
    network: Option<Network>,
    ports: RangeInclusive<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    fn contains(self, ip: IpAddr) -> bool {
        // A shift by the whole width leaves nothing to compare.
        match (self.address, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let different = own.to_bits() ^ ip.to_bits();
                different
                    .checked_shr(32 - u32::from(self.prefix))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let different = own.to_bits() ^ ip.to_bits();
                different
                    .checked_shr(128 - u32::from(self.prefix))
                    .unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }
}

impl AddressRange {
    /// All addresses and ports.
    pub const ALL: AddressRange = AddressRange {
        network: None,
        ports: 0..=u16::MAX,
    };

    /// Returns whether an address is one of these.
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.ports.contains(&address.port())
            && self
                .network
                .is_none_or(|network| network.contains(address.ip()))
    }
}

impl From<SocketAddr> for AddressRange {
    /// Returns one port of one address.
    fn from(address: SocketAddr) -> Self {
        AddressRange {
            network: Some(Network {
                address: address.ip(),
                prefix: if address.is_ipv4() { 32 } else { 128 },
            }),
            ports: address.port()..=address.port(),
        }
    }
}

/// The reason why a text is not an [`AddressRange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseAddressRangeError {
    text: String,
    problem: &'static str,
}

impl fmt::Display for ParseAddressRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a range of addresses: {}; expected for example `127.0.0.1:80`, \
             `[::1]:8000-8999`, `10.0.0.0/8:443`, `192.0.2.1` or `*:443`",
            self.text, self.problem
        )
    }
}

impl std::error::Error for ParseAddressRangeError {}

impl FromStr for AddressRange {
    type Err = ParseAddressRangeError;

    fn from_str(text: &str) -> std::result::Result<Self, ParseAddressRangeError> {
        parse_range(text).map_err(|problem| ParseAddressRangeError {
            text: text.to_string(),
            problem,
        })
    }
}

fn parse_range(text: &str) -> std::result::Result<AddressRange, &'static str> {
    let (network, ports) = match text.rsplit_once(':') {
        // The colons of an address without brackets.
        Some((network, _)) if !text.contains('[') && network.contains(':') => (text, "*"),
        // Those of one in brackets.
        Some((network, _)) if network.contains('[') && !network.contains(']') => (text, "*"),
        Some(split) => split,
        None => (text, "*"),
    };
    Ok(AddressRange {
        network: match network {
            "*" => None,
            network => Some(parse_network(network)?),
        },
        ports: match ports {
            "*" => 0..=u16::MAX,
            ports => parse_ports(ports)?,
        },
    })
}

fn parse_network(text: &str) -> std::result::Result<Network, &'static str> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let bare = address
        .strip_prefix('[')
        .and_then(|address| address.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => address.parse().ok(),
    };
    let address = address.ok_or("it has no IP address")?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => width,
        Some(prefix) => prefix
            .parse()
            .ok()
            .filter(|prefix| *prefix <= width)
            .ok_or("the length after the `/` is not that of a prefix of the address")?,
    };
    Ok(Network { address, prefix })
}

fn parse_ports(text: &str) -> std::result::Result<RangeInclusive<u16>, &'static str> {
    let port = |text: &str| {
        text.parse()
            .map_err(|_| "its port is not a number up to 65535")
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    match first <= last {
        true => Ok(first..=last),
        false => Err("its last port is below its first one"),
    }
}

/// A list of what a guest may do with which addresses. What is not in it is refused.
///
/// ```
/// use mintage_wasi::WasiCtxBuilder;
/// use mintage_wasi::sockets::AllowList;
///
/// # fn main() -> mintage::Result<()> {
/// let mut list = AllowList::new();
/// list.tcp_connect("10.0.0.0/8:443".parse()?)
///     .tcp_listen("127.0.0.1:8080".parse()?);
/// let ctx = WasiCtxBuilder::new().socket_addr_list(list).build();
/// # drop(ctx);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList {
    allowed: Vec<(SocketAddrUse, AddressRange)>,
}

impl AllowList {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows one use of addresses.
    pub fn allow(&mut self, usage: SocketAddrUse, range: AddressRange) -> &mut Self {
        self.allowed.push((usage, range));
        self
    }

    /// Allows TCP connections to remote addresses, from a local address that the system chooses.
    pub fn tcp_connect(&mut self, range: AddressRange) -> &mut Self {
        self.allow(SocketAddrUse::TcpConnect, range)
            .bind_to_any(SocketAddrUse::TcpBind)
    }

    /// Allows to listen for TCP connections on local addresses, and to accept those of everyone.
    pub fn tcp_listen(&mut self, range: AddressRange) -> &mut Self {
        self.allow(SocketAddrUse::TcpBind, range.clone())
            .allow(SocketAddrUse::TcpListen, range)
            .allow(SocketAddrUse::TcpAccept, AddressRange::ALL)
    }

    /// Allows to send datagrams to remote addresses and to receive them from there, at a local
    /// address that the system chooses.
    pub fn udp_connect(&mut self, range: AddressRange) -> &mut Self {
        self.allow(SocketAddrUse::UdpSend, range.clone())
            .allow(SocketAddrUse::UdpReceive, range)
            .bind_to_any(SocketAddrUse::UdpBind)
    }

    /// Allows to receive the datagrams of everyone at local addresses. To answer them,
    /// [`udp_connect`](Self::udp_connect) has to allow where they come from.
    pub fn udp_listen(&mut self, range: AddressRange) -> &mut Self {
        self.allow(SocketAddrUse::UdpBind, range)
            .allow(SocketAddrUse::UdpReceive, AddressRange::ALL)
    }

    /// Allows a socket whose local address the system chooses.
    fn bind_to_any(&mut self, usage: SocketAddrUse) -> &mut Self {
        self.allow(usage, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())
            .allow(usage, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())
    }

    /// Returns whether the list allows a use of an address.
    pub fn allows(&self, address: SocketAddr, usage: SocketAddrUse) -> bool {
        let mut allowed = self.allowed.iter();
        allowed.any(|(allowed, range)| *allowed == usage && range.contains(address))
    }
}

type Answer = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;
type HostCheck = dyn Fn(SocketAddr, SocketAddrUse) -> Answer + Send + Sync;

/// Which addresses a guest may use.
#[derive(Clone, Default)]
enum Addresses {
    #[default]
    None,
    All,
    List(Arc<AllowList>),
    /// The host decides each time.
    Host(Arc<HostCheck>),
}

/// What a guest may do with the network. By default nothing.
#[derive(Clone, Default)]
pub(crate) struct NetworkRules {
    addresses: Addresses,
    tcp: Option<bool>,
    udp: Option<bool>,
    name_lookup: bool,
}

impl fmt::Debug for NetworkRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = match &self.addresses {
            Addresses::None => "none",
            Addresses::All => "all",
            Addresses::List(_) => "list",
            Addresses::Host(_) => "host",
        };
        f.debug_struct("NetworkRules")
            .field("addresses", &addresses)
            .field("tcp", &self.tcp())
            .field("udp", &self.udp())
            .field("name_lookup", &self.name_lookup)
            .finish()
    }
}

impl NetworkRules {
    pub fn allow_all(&mut self) {
        self.addresses = Addresses::All;
    }

    pub fn set_list(&mut self, list: AllowList) {
        self.addresses = Addresses::List(Arc::new(list));
    }

    pub fn set_check<F>(&mut self, check: F)
    where
        F: Fn(SocketAddr, SocketAddrUse) -> Answer + Send + Sync + 'static,
    {
        self.addresses = Addresses::Host(Arc::new(check));
    }

    pub fn set_tcp(&mut self, allow: bool) {
        self.tcp = Some(allow);
    }

    pub fn set_udp(&mut self, allow: bool) {
        self.udp = Some(allow);
    }

    pub fn set_name_lookup(&mut self, allow: bool) {
        self.name_lookup = allow;
    }

    /// Returns whether the guest may have TCP sockets. A protocol that the host has said nothing of
    /// is allowed, unless it has allowed only the other one.
    pub fn tcp(&self) -> bool {
        self.tcp.unwrap_or(self.udp != Some(true))
    }

    /// Returns whether the guest may have UDP sockets, by the same rule.
    pub fn udp(&self) -> bool {
        self.udp.unwrap_or(self.tcp != Some(true))
    }

    pub fn name_lookup(&self) -> bool {
        self.name_lookup
    }

    /// Asks for a use of an address.
    pub fn ask(&self, address: SocketAddr, usage: SocketAddrUse) -> Permission {
        match &self.addresses {
            Addresses::None => Permission::Known(false),
            Addresses::All => Permission::Known(true),
            Addresses::List(list) => Permission::Known(list.allows(address, usage)),
            Addresses::Host(check) => Permission::Asked(check(address, usage)),
        }
    }

    /// Waits for the permission to use an address.
    ///
    /// # Errors
    ///
    /// [`Errno::Access`] if it is refused.
    pub async fn check(&self, address: SocketAddr, usage: SocketAddrUse) -> Result<()> {
        self.ask(address, usage).wait().await
    }
}

/// The permission to use an address, which a host may take its time for.
pub(crate) enum Permission {
    Known(bool),
    Asked(Answer),
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Permission::Known(true) => "allowed",
            Permission::Known(false) => "refused",
            Permission::Asked(_) => "asked",
        })
    }
}

impl Permission {
    /// Returns whether it is given. Once that is known, it stays so.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if let Permission::Asked(answer) = self {
            match in_runtime(|| answer.as_mut().poll(cx)) {
                Poll::Ready(allowed) => *self = Permission::Known(allowed),
                Poll::Pending => {}
            }
        }
        match self {
            Permission::Known(allowed) => Poll::Ready(*allowed),
            Permission::Asked(_) => Poll::Pending,
        }
    }

    /// Waits for the permission.
    ///
    /// # Errors
    ///
    /// [`Errno::Access`] if it is refused.
    pub async fn wait(mut self) -> Result<()> {
        match poll_fn(|cx| self.poll(cx)).await {
            true => Ok(()),
            false => Err(Errno::Access),
        }
    }

    /// Returns whether it is given, or `None` if that is not known yet.
    pub fn now(&mut self) -> Option<bool> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(allowed) => Some(allowed),
            Poll::Pending => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn ranges_contain_addresses() {
        let cases = [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "[::1]:80", false),
            ("[::1]:80", "[::1]:80", true),
            ("[::1]:80", "[::2]:80", false),
            ("::1", "[::1]:9", true),
            ("[::1]", "[::1]:9", true),
            ("10.0.0.0/8:443", "10.255.0.1:443", true),
            ("10.0.0.0/8:443", "11.0.0.1:443", false),
            ("10.0.0.0/8", "10.0.0.1:9", true),
            ("10.1.2.3/8", "10.9.9.9:9", true),
            ("0.0.0.0/0:1", "255.1.1.1:1", true),
            ("0.0.0.0/0:1", "[::1]:1", false),
            ("2001:db8::/32", "[2001:db8:1::5]:9", true),
            ("2001:db8::/32", "[2001:db9::]:9", false),
            ("[2001:db8::]/32:9", "[2001:db8:1::5]:9", true),
            ("[2001:db8::]/32:9", "[2001:db8:1::5]:8", false),
            ("[::]/0:*", "[2001:db8::]:9", true),
            ("192.0.2.1:10-12", "192.0.2.1:12", true),
            ("192.0.2.1:10-12", "192.0.2.1:13", false),
            ("*:443", "192.0.2.1:443", true),
            ("*:443", "[::1]:443", true),
            ("*:443", "[::1]:444", false),
            ("*", "[::1]:444", true),
        ];
        for (text, address, expected) in cases {
            let contains = range(text).contains(address.parse().unwrap());
            assert_eq!(contains, expected, "{text} {address}");
        }
    }

    #[test]
    fn texts_that_are_no_ranges_are_explained() {
        let cases = [
            ("", "no IP address"),
            (":80", "no IP address"),
            ("localhost:80", "no IP address"),
            ("127.0.0.1.:80", "no IP address"),
            ("[127.0.0.1]:80", "no IP address"),
            ("[::1:80", "no IP address"),
            ("127.0.0.1:", "number up to 65535"),
            ("127.0.0.1:65536", "number up to 65535"),
            ("127.0.0.1:-1", "number up to 65535"),
            ("127.0.0.1:9-8", "below its first"),
            ("127.0.0.1/33:9", "prefix of the address"),
            ("[::1]/129:9", "prefix of the address"),
            ("[::1]/:9", "prefix of the address"),
        ];
        for (text, expected) in cases {
            let error = AddressRange::from_str(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn protocols_that_are_not_named() {
        let cases = [
            (None, None, true, true),
            (Some(true), None, true, false),
            (None, Some(true), false, true),
            (Some(false), None, false, true),
            (None, Some(false), true, false),
            (Some(true), Some(true), true, true),
            (Some(false), Some(false), false, false),
        ];
        for (tcp, udp, expected_tcp, expected_udp) in cases {
            let rules = NetworkRules {
                tcp,
                udp,
                ..NetworkRules::default()
            };
            let allowed = (rules.tcp(), rules.udp());
            assert_eq!(allowed, (expected_tcp, expected_udp), "{tcp:?} {udp:?}");
        }
    }

    #[test]
    fn lists_allow_what_is_in_them() {
        use SocketAddrUse::*;
        let mut list = AllowList::new();
        list.tcp_connect(range("10.0.0.0/8:443"))
            .udp_listen(range("127.0.0.1:53"));
        let cases = [
            ("10.0.0.1:443", TcpConnect, true),
            ("10.0.0.1:80", TcpConnect, false),
            ("10.0.0.1:443", TcpBind, false),
            ("10.0.0.1:443", TcpListen, false),
            ("10.0.0.1:443", TcpAccept, false),
            ("0.0.0.0:0", TcpBind, true),
            ("[::]:0", TcpBind, true),
            ("0.0.0.0:80", TcpBind, false),
            ("127.0.0.1:53", UdpBind, true),
            ("0.0.0.0:0", UdpBind, false),
            ("192.0.2.1:9", UdpReceive, true),
            ("192.0.2.1:9", UdpSend, false),
        ];
        for (address, usage, expected) in cases {
            let allowed = list.allows(address.parse().unwrap(), usage);
            assert_eq!(allowed, expected, "{address} {usage:?}");
        }
    }
}
