//! UDP.

use super::{Guest, address, again, code, families, trap};
use mintage::component::Resource;
use mintage_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use mintage_wasi::p2::bindings::sockets::udp_create_socket::Host as _;
use mintage_wasi::p2::bindings::sync::sockets::udp::{
    HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, OutgoingDatagram,
};
use mintage_wasi::p2::sockets::{IncomingDatagramStream, OutgoingDatagramStream};
use mintage_wasi::p2::{SocketResult, UdpSocket};
use std::net::SocketAddr;

type Socket = Resource<UdpSocket>;
type Streams = (
    Resource<IncomingDatagramStream>,
    Resource<OutgoingDatagramStream>,
);

impl Guest {
    pub fn udp(&mut self, family: IpAddressFamily) -> Socket {
        self.view().create_udp_socket(family).unwrap()
    }

    pub fn bind_udp(&mut self, socket: &Socket, at: IpSocketAddress) -> SocketResult<()> {
        let network = self.network();
        HostUdpSocket::start_bind(&mut self.view(), again(socket), network, at)?;
        HostUdpSocket::finish_bind(&mut self.view(), again(socket))
    }

    fn stream(&mut self, socket: &Socket, to: Option<SocketAddr>) -> SocketResult<Streams> {
        self.view()
            .stream(again(socket), to.map(IpSocketAddress::from))
    }

    fn udp_address(&mut self, socket: &Socket) -> SocketAddr {
        HostUdpSocket::local_address(&mut self.view(), again(socket))
            .unwrap()
            .into()
    }

    /// Makes a socket that is bound, its address and its streams.
    fn bound_udp(&mut self) -> (Socket, SocketAddr, Streams) {
        let socket = self.udp(IpAddressFamily::Ipv4);
        self.bind_udp(&socket, address("127.0.0.1:0")).unwrap();
        let at = self.udp_address(&socket);
        let streams = self.stream(&socket, None).unwrap();
        (socket, at, streams)
    }

    fn send(
        &mut self,
        (_, outgoing): &Streams,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> SocketResult<u64> {
        let datagram = OutgoingDatagram {
            data: data.to_vec(),
            remote_address: to.map(IpSocketAddress::from),
        };
        self.view().check_send(again(outgoing))?;
        HostOutgoingDatagramStream::send(&mut self.view(), again(outgoing), vec![datagram])
    }

    /// Waits for datagrams.
    fn receive(&mut self, (incoming, _): &Streams, max: u64) -> Vec<(Vec<u8>, SocketAddr)> {
        let pollable =
            HostIncomingDatagramStream::subscribe(&mut self.view(), again(incoming)).unwrap();
        self.block(pollable);
        let received = self
            .view()
            .receive(again(incoming), max)
            .unwrap()
            .into_iter();
        received
            .map(|datagram| (datagram.data, datagram.remote_address.into()))
            .collect()
    }

    fn drop_udp_streams(&mut self, (incoming, outgoing): Streams) {
        HostIncomingDatagramStream::drop(&mut self.view(), incoming).unwrap();
        HostOutgoingDatagramStream::drop(&mut self.view(), outgoing).unwrap();
    }
}

#[test]
fn datagrams_come_and_go() {
    for (family, at) in families() {
        let mut guest = Guest::new();
        let [one, other] = [(); 2].map(|()| {
            let socket = guest.udp(family);
            guest.bind_udp(&socket, at).unwrap();
            let address = guest.udp_address(&socket);
            let streams = guest.stream(&socket, None).unwrap();
            (socket, address, streams)
        });
        let found = HostUdpSocket::address_family(&mut guest.view(), again(&one.0)).unwrap();
        assert_eq!(found, family);
        let nothing = guest.view().receive(again(&one.2.0), 5).unwrap();
        assert!(nothing.is_empty());
        assert_eq!(guest.send(&one.2, b"a question", Some(other.1)).unwrap(), 1);
        assert_eq!(
            guest.receive(&other.2, 5),
            [(b"a question".to_vec(), one.1)]
        );
        assert_eq!(guest.send(&other.2, b"", Some(one.1)).unwrap(), 1);
        assert_eq!(guest.receive(&one.2, 5), [(Vec::new(), other.1)]);
    }
}

#[test]
fn a_stream_with_a_remote_address_knows_no_other() {
    let mut guest = Guest::new();
    let (socket, here, streams) = guest.bound_udp();
    let (_far, there, far_streams) = guest.bound_udp();
    let (_stranger, elsewhere, strangers) = guest.bound_udp();
    // It comes before the socket has a remote address.
    guest.send(&strangers, b"spam", Some(here)).unwrap();
    guest.drop_udp_streams(streams);
    let streams = guest.stream(&socket, Some(there)).unwrap();
    let remote = HostUdpSocket::remote_address(&mut guest.view(), again(&socket)).unwrap();
    assert_eq!(SocketAddr::from(remote), there);
    guest.send(&far_streams, b"ham", Some(here)).unwrap();
    assert_eq!(guest.receive(&streams, 5), [(b"ham".to_vec(), there)]);
    guest.send(&streams, b"thanks", None).unwrap();
    guest.send(&streams, b"again", Some(there)).unwrap();
    let received = guest.receive(&far_streams, 1);
    assert_eq!(received, [(b"thanks".to_vec(), here)]);
    let other = guest.send(&streams, b"x", Some(elsewhere));
    assert_eq!(code(other), ErrorCode::InvalidArgument);

    // Without one, it is what it was before: the same port, and all can send to it.
    guest.drop_udp_streams(streams);
    let streams = guest.stream(&socket, None).unwrap();
    assert_eq!(guest.udp_address(&socket), here);
    let remote = HostUdpSocket::remote_address(&mut guest.view(), again(&socket));
    assert_eq!(code(remote), ErrorCode::InvalidState);
    guest.send(&strangers, b"hello", Some(here)).unwrap();
    assert_eq!(guest.receive(&streams, 5), [(b"hello".to_vec(), elsewhere)]);
    guest.drop_udp_streams(streams);
    guest.stream(&socket, Some(elsewhere)).unwrap();
    assert_eq!(guest.udp_address(&socket), here);
}

#[test]
fn operations_that_a_state_does_not_allow() {
    let mut guest = Guest::new();
    let network = guest.network();
    let socket = guest.udp(IpAddressFamily::Ipv4);
    let at = address("127.0.0.1:0");
    {
        let mut view = guest.view();
        let finished = HostUdpSocket::finish_bind(&mut view, again(&socket));
        assert_eq!(code(finished), ErrorCode::NotInProgress);
        let local = HostUdpSocket::local_address(&mut view, again(&socket));
        assert_eq!(code(local), ErrorCode::InvalidState);
        let streams = view.stream(again(&socket), None);
        assert_eq!(code(streams), ErrorCode::InvalidState);
        HostUdpSocket::start_bind(&mut view, again(&socket), again(&network), at).unwrap();
        let twice = HostUdpSocket::start_bind(&mut view, again(&socket), again(&network), at);
        assert_eq!(code(twice), ErrorCode::ConcurrencyConflict);
        HostUdpSocket::finish_bind(&mut view, again(&socket)).unwrap();
        let twice = HostUdpSocket::start_bind(&mut view, again(&socket), again(&network), at);
        assert_eq!(code(twice), ErrorCode::InvalidState);
    }
    for (to, expected) in [
        ("127.0.0.1:0", ErrorCode::InvalidArgument),
        ("0.0.0.0:9", ErrorCode::InvalidArgument),
        ("[::1]:9", ErrorCode::InvalidArgument),
    ] {
        let to: SocketAddr = to.parse().unwrap();
        assert_eq!(code(guest.stream(&socket, Some(to))), expected, "{to}");
    }
    let streams = guest.stream(&socket, None).unwrap();
    for (to, expected) in [
        (None, ErrorCode::InvalidArgument),
        (Some("127.0.0.1:0"), ErrorCode::InvalidArgument),
        (Some("0.0.0.0:9"), ErrorCode::InvalidArgument),
        (Some("[::ffff:127.0.0.1]:9"), ErrorCode::InvalidArgument),
    ] {
        let to = to.map(|to| to.parse().unwrap());
        assert_eq!(code(guest.send(&streams, b"x", to)), expected, "{to:?}");
    }
    let twice = trap(guest.stream(&socket, None));
    assert!(twice.contains("has streams already"), "{twice}");
    let rep = socket.rep();
    let early = HostUdpSocket::drop(&mut guest.view(), socket).unwrap_err();
    assert!(early.to_string().contains("child"), "{early}");
    guest.drop_udp_streams(streams);
    HostUdpSocket::drop(&mut guest.view(), Resource::new_own(rep)).unwrap();
}

#[test]
fn a_guest_sends_what_it_was_allowed_to() {
    let mut guest = Guest::new();
    let (_socket, at, streams) = guest.bound_udp();
    let datagrams = |count: usize| -> Vec<OutgoingDatagram> {
        (0..count)
            .map(|number| OutgoingDatagram {
                data: vec![number as u8],
                remote_address: Some(at.into()),
            })
            .collect()
    };
    let send = |guest: &mut Guest, count| {
        let outgoing = again(&streams.1);
        HostOutgoingDatagramStream::send(&mut guest.view(), outgoing, datagrams(count))
    };
    assert_eq!(send(&mut guest, 0).unwrap(), 0);
    assert!(trap(send(&mut guest, 1)).contains("check-send"));
    let allowed = guest.view().check_send(again(&streams.1)).unwrap();
    assert!((1..=16).contains(&allowed));
    assert_eq!(send(&mut guest, allowed as usize).unwrap(), allowed);
    assert!(trap(send(&mut guest, 1)).contains("check-send"));
    let allowed = guest.view().check_send(again(&streams.1)).unwrap();
    assert!(trap(send(&mut guest, allowed as usize + 1)).contains("check-send"));
    // The first datagram that fails ends it, and the others do not count.
    let mut mixed = datagrams(3);
    mixed[1].data = vec![0; 65536];
    guest.view().check_send(again(&streams.1)).unwrap();
    let sent = HostOutgoingDatagramStream::send(&mut guest.view(), again(&streams.1), mixed);
    assert_eq!(sent.unwrap(), 1);
}

#[test]
fn datagrams_have_sizes_and_numbers() {
    let mut guest = Guest::new();
    let (_socket, at, streams) = guest.bound_udp();
    for size in [65508, 65536, 1 << 20] {
        let sent = guest.send(&streams, &vec![7; size], Some(at));
        assert_eq!(code(sent), ErrorCode::DatagramTooLarge, "{size}");
    }
    let largest = vec![7; 65507];
    guest.send(&streams, &largest, Some(at)).unwrap();
    assert_eq!(guest.receive(&streams, 1 << 63), [(largest.clone(), at)]);
    for number in 0..40 {
        guest.send(&streams, &[number], Some(at)).unwrap();
    }
    assert_eq!(guest.receive(&streams, 0), []);
    assert_eq!(guest.receive(&streams, u64::MAX).len(), 16);
    assert_eq!(guest.receive(&streams, 3).len(), 3);
    // One call takes no more than about 64 KiB.
    let (_socket, at, streams) = guest.bound_udp();
    for _ in 0..3 {
        guest.send(&streams, &vec![7; 40_000], Some(at)).unwrap();
    }
    assert_eq!(guest.receive(&streams, u64::MAX).len(), 2);
    assert_eq!(guest.receive(&streams, u64::MAX).len(), 1);
}

#[test]
fn datagrams_that_no_one_takes_are_refused() {
    let mut guest = Guest::new();
    let (socket, _, streams) = guest.bound_udp();
    let free = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    guest.drop_udp_streams(streams);
    let streams = guest.stream(&socket, Some(free)).unwrap();
    guest.send(&streams, b"x", None).unwrap();
    let incoming = &streams.0;
    let pollable =
        HostIncomingDatagramStream::subscribe(&mut guest.view(), again(incoming)).unwrap();
    guest.block(pollable);
    let refused = guest.view().receive(again(incoming), 5);
    assert_eq!(code(refused), ErrorCode::ConnectionRefused);
}

#[test]
fn options_are_kept_and_checked() {
    for (family, _) in families() {
        let mut guest = Guest::new();
        let socket = guest.udp(family);
        let mut view = guest.view();
        view.set_unicast_hop_limit(again(&socket), 42).unwrap();
        assert_eq!(view.unicast_hop_limit(again(&socket)).unwrap(), 42);
        let none = view.set_unicast_hop_limit(again(&socket), 0);
        assert_eq!(code(none), ErrorCode::InvalidArgument);
        HostUdpSocket::set_receive_buffer_size(&mut view, again(&socket), 16384).unwrap();
        let size = HostUdpSocket::receive_buffer_size(&mut view, again(&socket)).unwrap();
        assert_eq!(size, 16384);
        HostUdpSocket::set_send_buffer_size(&mut view, again(&socket), 16384).unwrap();
        let size = HostUdpSocket::send_buffer_size(&mut view, again(&socket)).unwrap();
        assert_eq!(size, 16384);
        let none = HostUdpSocket::set_send_buffer_size(&mut view, again(&socket), 0);
        assert_eq!(code(none), ErrorCode::InvalidArgument);
        HostUdpSocket::set_receive_buffer_size(&mut view, again(&socket), u64::MAX).unwrap();
    }
}
