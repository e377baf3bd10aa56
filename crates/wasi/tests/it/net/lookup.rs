//! Name look-up.

use super::{Guest, again, code};
use mintage::component::Resource;
use mintage_wasi::p2::SocketResult;
use mintage_wasi::p2::bindings::sockets::ip_name_lookup::{Host, HostResolveAddressStream};
use mintage_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress};
use mintage_wasi::p2::sockets::ResolveAddressStream;

impl Guest {
    fn resolve(&mut self, name: &str) -> SocketResult<Resource<ResolveAddressStream>> {
        let network = self.network();
        self.view().resolve_addresses(network, name.to_string())
    }

    fn addresses(&mut self, stream: &Resource<ResolveAddressStream>) -> Vec<IpAddress> {
        let pollable = self.view().subscribe(again(stream)).unwrap();
        self.block(pollable);
        let mut found = Vec::new();
        while let Some(address) = self.view().resolve_next_address(again(stream)).unwrap() {
            found.push(address);
        }
        found
    }
}

fn is_loopback(address: &IpAddress) -> bool {
    match address {
        IpAddress::Ipv4(address) => address.0 == 127,
        IpAddress::Ipv6(address) => *address == (0, 0, 0, 0, 0, 0, 0, 1),
    }
}

#[test]
fn names_have_addresses() {
    let mut guest = Guest::new();
    let stream = guest.resolve("localhost").unwrap();
    let found = guest.addresses(&stream);
    assert!(!found.is_empty());
    assert!(found.iter().all(is_loopback), "{found:?}");
    HostResolveAddressStream::drop(&mut guest.view(), stream).unwrap();
    // One that is dropped is no longer waited for.
    let stream = guest.resolve("localhost").unwrap();
    HostResolveAddressStream::drop(&mut guest.view(), stream).unwrap();
}

#[test]
fn addresses_are_names_of_themselves() {
    let mut guest = Guest::new();
    let stream = guest.resolve("127.0.0.1").unwrap();
    let found = guest.addresses(&stream);
    assert!(
        matches!(found[..], [IpAddress::Ipv4((127, 0, 0, 1))]),
        "{found:?}"
    );
    let stream = guest.resolve("[::1]").unwrap();
    let found = guest.addresses(&stream);
    assert!(found.len() == 1 && is_loopback(&found[0]), "{found:?}");
}

#[test]
fn names_that_are_none() {
    let mut guest = Guest::new();
    for name in [
        "",
        " ",
        "a b",
        "127.0.0.1:80",
        "[::]:80",
        "http://example.com/",
        "a\0b",
    ] {
        assert_eq!(
            code(guest.resolve(name)),
            ErrorCode::InvalidArgument,
            "{name:?}"
        );
    }
    let missing = guest.resolve("a.name.that.is.invalid").unwrap();
    let pollable = guest.view().subscribe(again(&missing)).unwrap();
    guest.block(pollable);
    // Which of them depends on whether there is a network.
    let expected = [
        ErrorCode::NameUnresolvable,
        ErrorCode::TemporaryResolverFailure,
        ErrorCode::PermanentResolverFailure,
    ];
    for _ in 0..2 {
        let failed = code(guest.view().resolve_next_address(again(&missing)));
        assert!(expected.contains(&failed), "{failed:?}");
    }
}

#[test]
fn names_are_looked_up_only_if_that_is_allowed() {
    let mut guest = Guest::with(|builder| {
        builder.inherit_network();
    });
    let denied = guest.resolve("localhost");
    assert_eq!(code(denied), ErrorCode::PermanentResolverFailure);
    let mut guest = Guest::with(|builder| {
        builder.allow_ip_name_lookup(true).max_name_lookups(0);
    });
    let beyond = guest.resolve("localhost");
    assert_eq!(code(beyond), ErrorCode::TemporaryResolverFailure);
}
