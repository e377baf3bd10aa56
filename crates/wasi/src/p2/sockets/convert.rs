//! Addresses and errors of the shared layer as those of `wasi:sockets`.

use super::SocketError;
use crate::Errno;
use crate::net::{AddressFamily, LookupError};
use crate::p2::bindings::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4Address, Ipv4SocketAddress,
    Ipv6Address, Ipv6SocketAddress,
};
use mintage::ResourceTableError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

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
            Errno::Again | Errno::Interrupted => ErrorCode::WouldBlock,
            Errno::Already => ErrorCode::ConcurrencyConflict,
            Errno::ConnectionAborted => ErrorCode::ConnectionAborted,
            Errno::ConnectionRefused => ErrorCode::ConnectionRefused,
            Errno::ConnectionReset | Errno::NetworkReset => ErrorCode::ConnectionReset,
            Errno::DestinationRequired | Errno::IsConnected | Errno::NotConnected => {
                ErrorCode::InvalidState
            }
            Errno::HostUnreachable | Errno::NetworkDown | Errno::NetworkUnreachable => {
                ErrorCode::RemoteUnreachable
            }
            Errno::Invalid => ErrorCode::InvalidArgument,
            Errno::MessageSize => ErrorCode::DatagramTooLarge,
            Errno::NoBufferSpace | Errno::NoMemory => ErrorCode::OutOfMemory,
            Errno::TimedOut => ErrorCode::Timeout,
            Errno::TooManyFiles | Errno::TooManyFilesInSystem => ErrorCode::NewSocketLimit,
            _ => ErrorCode::Unknown,
        }
    }
}

impl From<std::io::Error> for ErrorCode {
    fn from(error: std::io::Error) -> ErrorCode {
        Errno::from(error).into()
    }
}

impl From<LookupError> for ErrorCode {
    fn from(error: LookupError) -> ErrorCode {
        match error {
            // As programs know it from other hosts.
            LookupError::Denied | LookupError::Permanent => ErrorCode::PermanentResolverFailure,
            LookupError::Invalid => ErrorCode::InvalidArgument,
            LookupError::Unresolvable => ErrorCode::NameUnresolvable,
            LookupError::Temporary => ErrorCode::TemporaryResolverFailure,
        }
    }
}

impl From<Errno> for SocketError {
    fn from(error: Errno) -> SocketError {
        ErrorCode::from(error).into()
    }
}

impl From<std::io::Error> for SocketError {
    fn from(error: std::io::Error) -> SocketError {
        ErrorCode::from(error).into()
    }
}

impl From<ResourceTableError> for SocketError {
    fn from(error: ResourceTableError) -> SocketError {
        SocketError::trap(error)
    }
}

impl From<IpAddressFamily> for AddressFamily {
    fn from(family: IpAddressFamily) -> Self {
        match family {
            IpAddressFamily::Ipv4 => AddressFamily::Ipv4,
            IpAddressFamily::Ipv6 => AddressFamily::Ipv6,
        }
    }
}

impl From<AddressFamily> for IpAddressFamily {
    fn from(family: AddressFamily) -> Self {
        match family {
            AddressFamily::Ipv4 => IpAddressFamily::Ipv4,
            AddressFamily::Ipv6 => IpAddressFamily::Ipv6,
        }
    }
}

fn ipv4(ip: Ipv4Addr) -> Ipv4Address {
    ip.octets().into()
}

fn ipv6(ip: Ipv6Addr) -> Ipv6Address {
    ip.segments().into()
}

impl From<IpAddr> for IpAddress {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => IpAddress::Ipv4(ipv4(ip)),
            IpAddr::V6(ip) => IpAddress::Ipv6(ipv6(ip)),
        }
    }
}

impl From<SocketAddr> for IpSocketAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => IpSocketAddress::Ipv4(Ipv4SocketAddress {
                port: address.port(),
                address: ipv4(*address.ip()),
            }),
            SocketAddr::V6(address) => IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: address.port(),
                flow_info: address.flowinfo(),
                address: ipv6(*address.ip()),
                scope_id: address.scope_id(),
            }),
        }
    }
}

impl From<IpSocketAddress> for SocketAddr {
    fn from(address: IpSocketAddress) -> Self {
        match address {
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }) => {
                let ip = Ipv4Addr::from_octets(address.into());
                SocketAddrV4::new(ip, port).into()
            }
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port,
                flow_info,
                address,
                scope_id,
            }) => {
                let ip = Ipv6Addr::from_segments(address.into());
                SocketAddrV6::new(ip, port, flow_info, scope_id).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_to_the_guest_and_back() {
        let scoped = SocketAddrV6::new("fe80::1".parse().unwrap(), 9, 7, 3);
        let addresses: [SocketAddr; 3] = [
            "192.0.2.1:80".parse().unwrap(),
            "[2001:db8::5]:443".parse().unwrap(),
            scoped.into(),
        ];
        for address in addresses {
            assert_eq!(SocketAddr::from(IpSocketAddress::from(address)), address);
        }
        let IpSocketAddress::Ipv4(address) = addresses[0].into() else {
            panic!("an address has changed its family");
        };
        assert_eq!((address.address, address.port), ((192, 0, 2, 1), 80));
    }

    #[test]
    fn each_error_of_sockets_has_a_code() {
        let known = Errno::ALL
            .iter()
            .filter(|error| !matches!(ErrorCode::from(**error), ErrorCode::Unknown));
        assert_eq!(known.count(), 31);
    }
}
