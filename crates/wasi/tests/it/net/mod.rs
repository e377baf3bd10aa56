//! Sockets: what the functions of `wasi:sockets` do, called by the host and by a guest.

mod guest;
mod lookup;
mod rules;
mod tcp;
mod udp;

use crate::common::Host;
use mintage::component::Resource;
use mintage_wasi::p2::bindings::sockets::instance_network::Host as _;
use mintage_wasi::p2::bindings::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use mintage_wasi::p2::bindings::sync::io::poll::{Host as _, HostPollable as _};
use mintage_wasi::p2::{DynPollable, Network, Pollable, SocketResult};
use mintage_wasi::sockets::{WasiSocketsCtxView, WasiSocketsView};
use mintage_wasi::{WasiCtx, WasiCtxBuilder};
use std::net::SocketAddr;

/// A guest whose functions the host calls itself.
struct Guest {
    host: Host,
    network: Resource<Network>,
}

impl Guest {
    /// A guest that may use everything.
    fn new() -> Guest {
        Guest::with(|builder| {
            builder.inherit_network().allow_ip_name_lookup(true);
        })
    }

    fn with(configure: impl FnOnce(&mut WasiCtxBuilder)) -> Guest {
        let mut builder = WasiCtx::builder();
        configure(&mut builder);
        let mut host = Host::new(builder.build());
        let network = host.sockets().instance_network().unwrap();
        Guest { host, network }
    }

    fn view(&mut self) -> WasiSocketsCtxView<'_> {
        self.host.sockets()
    }

    fn network(&self) -> Resource<Network> {
        again(&self.network)
    }

    fn subscribe<T: Pollable>(&mut self, resource: &Resource<T>) -> Resource<DynPollable> {
        mintage_wasi::p2::subscribe(&mut self.host.table, again(resource)).unwrap()
    }

    /// Waits for a pollable, and drops it.
    fn block(&mut self, pollable: Resource<DynPollable>) {
        self.host.table.block(again(&pollable)).unwrap();
        self.drop_pollable(pollable);
    }

    fn is_ready(&mut self, pollable: &Resource<DynPollable>) -> bool {
        self.host.table.ready(again(pollable)).unwrap()
    }

    /// Returns the places of those that are ready.
    fn poll(&mut self, pollables: &[&Resource<DynPollable>]) -> Vec<u32> {
        let pollables = pollables.iter().map(|pollable| again(pollable)).collect();
        self.host.table.poll(pollables).unwrap()
    }

    fn drop_pollable(&mut self, pollable: Resource<DynPollable>) {
        use mintage_wasi::p2::bindings::sync::io::poll::HostPollable;
        HostPollable::drop(&mut self.host.table, pollable).unwrap();
    }
}

/// Returns another handle of a resource.
fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

/// Returns the error that the guest gets.
fn code<R: std::fmt::Debug>(result: SocketResult<R>) -> ErrorCode {
    result.unwrap_err().downcast().unwrap()
}

/// Returns the message of a trap.
fn trap<R: std::fmt::Debug>(result: SocketResult<R>) -> String {
    result.unwrap_err().downcast().unwrap_err().to_string()
}

fn address(text: &str) -> IpSocketAddress {
    text.parse::<SocketAddr>().unwrap().into()
}

/// Families with a loopback address on this machine, and that address with a port of the system's
/// choice.
fn families() -> Vec<(IpAddressFamily, IpSocketAddress)> {
    let families = [
        (IpAddressFamily::Ipv4, "127.0.0.1:0"),
        (IpAddressFamily::Ipv6, "[::1]:0"),
    ];
    let there = families.into_iter().filter(|(_, address)| {
        let bound = std::net::UdpSocket::bind(address);
        if bound.is_err() {
            eprintln!("skipped: this machine has no {address}");
        }
        bound.is_ok()
    });
    there
        .map(|(family, text)| (family, address(text)))
        .collect()
}

fn port(address: &IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(Ipv4SocketAddress { port, .. }) => *port,
        IpSocketAddress::Ipv6(Ipv6SocketAddress { port, .. }) => *port,
    }
}
