//! [`AddressFamily`], and which addresses a socket takes.

use super::Result;
use crate::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The family of the addresses of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AddressFamily {
    Ipv4,
    Ipv6,
}

impl AddressFamily {
    pub fn to_system(self) -> rustix::net::AddressFamily {
        match self {
            AddressFamily::Ipv4 => rustix::net::AddressFamily::INET,
            AddressFamily::Ipv6 => rustix::net::AddressFamily::INET6,
        }
    }

    /// Returns the address that a socket is bound to if the system chooses one.
    pub fn unspecified(self) -> SocketAddr {
        match self {
            AddressFamily::Ipv4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
            AddressFamily::Ipv6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
        }
    }

    /// Checks that a socket of this family takes an address. IPv4 addresses in the clothes of IPv6
    /// are refused, so that each address has one form, which rules are about.
    ///
    /// # Errors
    ///
    /// [`Errno::Invalid`] if it does not.
    pub fn check(self, address: SocketAddr) -> Result<()> {
        let fits = match (self, address.ip()) {
            (AddressFamily::Ipv4, IpAddr::V4(_)) => true,
            (AddressFamily::Ipv6, IpAddr::V6(ip)) => {
                ip.to_ipv4_mapped().is_none() && !is_ipv4_compatible(ip)
            }
            _ => false,
        };
        valid(fits)
    }
}

/// Returns whether it is an address of the deprecated form `::a.b.c.d`.
fn is_ipv4_compatible(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0, 0, 0, 0, 0, 0, _, _])
        && ip != Ipv6Addr::UNSPECIFIED
        && ip != Ipv6Addr::LOCALHOST
}

/// Checks that an address is that of one host.
///
/// # Errors
///
/// [`Errno::Invalid`] if it is one for multicast or broadcast.
pub(super) fn check_unicast(address: SocketAddr) -> Result<()> {
    valid(match address.ip() {
        IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_multicast(),
    })
}

/// Checks that something can be sent to an address.
///
/// # Errors
///
/// [`Errno::Invalid`] if it has no host or no port.
pub(super) fn check_remote(address: SocketAddr) -> Result<()> {
    valid(!address.ip().is_unspecified() && address.port() != 0)
}

fn valid(valid: bool) -> Result<()> {
    match valid {
        true => Ok(()),
        false => Err(Errno::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_sockets_take() {
        type Check = fn(SocketAddr) -> Result<()>;
        let ipv4: Check = |address| AddressFamily::Ipv4.check(address);
        let ipv6: Check = |address| AddressFamily::Ipv6.check(address);
        let cases: [(&str, Check, bool); 22] = [
            ("127.0.0.1:1", ipv4, true),
            ("0.0.0.0:0", ipv4, true),
            ("[::1]:1", ipv4, false),
            ("[::ffff:127.0.0.1]:1", ipv4, false),
            ("127.0.0.1:1", ipv6, false),
            ("[::1]:1", ipv6, true),
            ("[::]:0", ipv6, true),
            ("[::ffff:127.0.0.1]:1", ipv6, false),
            ("[::127.0.0.1]:1", ipv6, false),
            ("[::2]:1", ipv6, false),
            ("[2001:db8::1]:1", ipv6, true),
            ("127.0.0.1:1", check_unicast, true),
            ("0.0.0.0:1", check_unicast, true),
            ("224.0.0.1:1", check_unicast, false),
            ("255.255.255.255:1", check_unicast, false),
            ("[ff02::1]:1", check_unicast, false),
            ("[fe80::1]:1", check_unicast, true),
            ("127.0.0.1:1", check_remote, true),
            ("127.0.0.1:0", check_remote, false),
            ("0.0.0.0:1", check_remote, false),
            ("[::]:1", check_remote, false),
            ("[::1]:0", check_remote, false),
        ];
        for (address, check, expected) in cases {
            assert_eq!(
                check(address.parse().unwrap()).is_ok(),
                expected,
                "{address}"
            );
        }
    }
}
