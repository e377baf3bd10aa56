//! Addresses and errors of the shared layer as those of `wasi:sockets`.

use crate::Errno;
use crate::net::LookupError;
use crate::p2::bindings::sockets::network::ErrorCode;

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

crate::error::codes!(ErrorCode);

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

crate::net::addresses!(crate::p2::bindings::sockets::network);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::p2::bindings::sockets::network::IpSocketAddress;
    use std::net::{SocketAddr, SocketAddrV6};

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
