//! Conversions between addresses and those of `wasi:sockets`. The bindings of each version have
//! types of their own, which are equal.

/// Defines the conversions for the bindings `$types` that have the addresses.
macro_rules! addresses {
    ($types:path) => {
        const _: () = {
            use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
            use $crate::net::AddressFamily;
            use $types as of_guest;

            impl From<of_guest::IpAddressFamily> for AddressFamily {
                fn from(family: of_guest::IpAddressFamily) -> Self {
                    match family {
                        of_guest::IpAddressFamily::Ipv4 => AddressFamily::Ipv4,
                        of_guest::IpAddressFamily::Ipv6 => AddressFamily::Ipv6,
                    }
                }
            }

            impl From<AddressFamily> for of_guest::IpAddressFamily {
                fn from(family: AddressFamily) -> Self {
                    match family {
                        AddressFamily::Ipv4 => Self::Ipv4,
                        AddressFamily::Ipv6 => Self::Ipv6,
                    }
                }
            }

            impl From<IpAddr> for of_guest::IpAddress {
                fn from(ip: IpAddr) -> Self {
                    match ip {
                        IpAddr::V4(ip) => Self::Ipv4(ip.octets().into()),
                        IpAddr::V6(ip) => Self::Ipv6(ip.segments().into()),
                    }
                }
            }

            impl From<SocketAddr> for of_guest::IpSocketAddress {
                fn from(address: SocketAddr) -> Self {
                    match address {
                        SocketAddr::V4(address) => Self::Ipv4(of_guest::Ipv4SocketAddress {
                            port: address.port(),
                            address: address.ip().octets().into(),
                        }),
                        SocketAddr::V6(address) => Self::Ipv6(of_guest::Ipv6SocketAddress {
                            port: address.port(),
                            flow_info: address.flowinfo(),
                            address: address.ip().segments().into(),
                            scope_id: address.scope_id(),
                        }),
                    }
                }
            }

            impl From<of_guest::IpSocketAddress> for SocketAddr {
                fn from(address: of_guest::IpSocketAddress) -> Self {
                    match address {
                        of_guest::IpSocketAddress::Ipv4(address) => {
                            let ip = Ipv4Addr::from_octets(address.address.into());
                            SocketAddrV4::new(ip, address.port).into()
                        }
                        of_guest::IpSocketAddress::Ipv6(address) => {
                            let ip = Ipv6Addr::from_segments(address.address.into());
                            let (flow_info, scope) = (address.flow_info, address.scope_id);
                            SocketAddrV6::new(ip, address.port, flow_info, scope).into()
                        }
                    }
                }
            }
        };
    };
}

pub(crate) use addresses;
