//! Programs that use sockets.

use crate::{join, say};
use futures_util::future::{Either, select};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::sockets::ip_name_lookup;
use wasip3::sockets::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket, UdpSocket,
};
use wasip3::wit_bindgen::StreamResult;
use wasip3::wit_stream;

/// Returns an address of the loopback interface.
fn local(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port,
        address: (127, 0, 0, 1),
    })
}

fn port(address: IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(address) => address.port,
        IpSocketAddress::Ipv6(address) => address.port,
    }
}

fn parse(text: &str) -> IpSocketAddress {
    match text.parse().unwrap() {
        SocketAddr::V4(address) => {
            let [a, b, c, d] = address.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress {
                port: address.port(),
                address: (a, b, c, d),
            })
        }
        SocketAddr::V6(_) => panic!("an IPv4 address was expected"),
    }
}

fn tcp() -> TcpSocket {
    TcpSocket::create(IpAddressFamily::Ipv4).unwrap()
}

/// Sends all that is read from a server back to it, until it ends.
pub async fn client(address: &str) {
    let socket = tcp();
    socket.connect(parse(address)).await.unwrap();
    assert_eq!(
        port(socket.get_remote_address().unwrap()),
        port(parse(address))
    );
    assert_ne!(port(socket.get_local_address().unwrap()), 0);
    let (mut input, input_ended) = socket.receive();
    let (mut writer, reader) = wit_stream::new();
    let output_ended = socket.send(reader);
    // Each direction has one stream.
    assert!(matches!(
        socket.receive().1.await,
        Err(ErrorCode::InvalidState)
    ));
    let (_other, reader) = wit_stream::new();
    assert!(matches!(
        socket.send(reader).await,
        Err(ErrorCode::InvalidState)
    ));
    // The connection is that of its streams.
    drop(socket);
    let mut count = 0;
    loop {
        let (result, bytes) = input.read(Vec::with_capacity(5000)).await;
        count += bytes.len();
        assert!(writer.write_all(bytes).await.is_empty());
        if result == StreamResult::Dropped {
            break;
        }
    }
    drop(writer);
    let (input_ended, output_ended) = join(input_ended, output_ended).await;
    input_ended.unwrap();
    output_ended.unwrap();
    say(format!("{count}\n")).await;
}

/// Answers three connections with what they send, one after the other.
pub async fn server() {
    let socket = tcp();
    socket.bind(local(0)).unwrap();
    let mut connections = socket.listen().unwrap();
    assert!(socket.get_is_listening());
    say(format!("{}\n", port(socket.get_local_address().unwrap()))).await;
    for _ in 0..3 {
        let connection = connections.next().await.unwrap();
        assert_eq!(
            port(connection.get_local_address().unwrap()),
            port(socket.get_local_address().unwrap())
        );
        let (input, ended) = connection.receive();
        connection.send(input).await.unwrap();
        ended.await.unwrap();
    }
    drop(connections);
    say("served\n").await;
}

/// Accepts only later.
pub async fn slow_accept() {
    let socket = tcp();
    // It is bound by listening.
    let mut connections = socket.listen().unwrap();
    let own = port(socket.get_local_address().unwrap());
    {
        let next = pin!(connections.next());
        let wait = pin!(wait_for(10_000_000));
        assert!(matches!(select(next, wait).await, Either::Right(_)));
    }
    let other = tcp();
    other.connect(local(own)).await.unwrap();
    let (result, _) = connections.read(Vec::new()).await;
    assert_eq!(result, StreamResult::Complete(0));
    let accepted = connections.next().await.unwrap();
    assert_eq!(
        port(accepted.get_remote_address().unwrap()),
        port(other.get_local_address().unwrap())
    );
    // Both sides write and read at the same time.
    let exchange = async |socket: &TcpSocket, byte: u8| {
        let (mut writer, reader) = wit_stream::new();
        let (input, input_ended) = socket.receive();
        let ended = socket.send(reader);
        let write = async move {
            assert!(writer.write_all(vec![byte; 1 << 20]).await.is_empty());
            drop(writer);
        };
        let (received, ()) = join(input.collect(), write).await;
        input_ended.await.unwrap();
        ended.await.unwrap();
        received
    };
    let (one, two) = join(exchange(&accepted, 1), exchange(&other, 2)).await;
    assert_eq!((one.len(), two.len()), (1 << 20, 1 << 20));
    assert!(one.iter().all(|byte| *byte == 2) && two.iter().all(|byte| *byte == 1));
    say("exchanged\n").await;
}

/// Has as many sockets as it may, so that a connection waits until there are fewer.
pub async fn limit() {
    let socket = tcp();
    let mut connections = socket.listen().unwrap();
    let own = port(socket.get_local_address().unwrap());
    let clients = [tcp(), tcp()];
    for client in &clients {
        client.connect(local(own)).await.unwrap();
    }
    let first = connections.next().await.unwrap();
    let more = TcpSocket::create(IpAddressFamily::Ipv4);
    assert!(matches!(more, Err(ErrorCode::Other(Some(_)))));
    {
        let next = pin!(connections.next());
        let wait = pin!(wait_for(50_000_000));
        assert!(matches!(select(next, wait).await, Either::Right(_)));
    }
    drop(first);
    connections.next().await.unwrap();
    say("accepted\n").await;
}

/// Has a connection that the other side resets.
pub async fn reset(address: &str) {
    let socket = tcp();
    socket.connect(parse(address)).await.unwrap();
    let (input, ended) = socket.receive();
    assert!(input.collect().await.is_empty());
    let ended = ended.await;
    assert!(
        matches!(ended, Err(ErrorCode::ConnectionReset)),
        "{ended:?}"
    );
    let (mut writer, reader) = wit_stream::new();
    let ended = socket.send(reader);
    assert!(!writer.write_all(vec![1; 1 << 20]).await.is_empty());
    let ended = ended.await;
    assert!(
        matches!(ended, Err(ErrorCode::ConnectionBroken)),
        "{ended:?}"
    );
    say("reset\n").await;
}

pub async fn options() {
    let socket = tcp();
    assert_eq!(socket.get_address_family(), IpAddressFamily::Ipv4);
    assert!(!socket.get_keep_alive_enabled().unwrap());
    socket.set_keep_alive_enabled(true).unwrap();
    assert!(socket.get_keep_alive_enabled().unwrap());
    socket.set_keep_alive_idle_time(5_000_000_000).unwrap();
    assert_eq!(socket.get_keep_alive_idle_time().unwrap(), 5_000_000_000);
    socket.set_keep_alive_interval(7_000_000_000).unwrap();
    assert_eq!(socket.get_keep_alive_interval().unwrap(), 7_000_000_000);
    socket.set_keep_alive_count(3).unwrap();
    assert_eq!(socket.get_keep_alive_count().unwrap(), 3);
    socket.set_hop_limit(42).unwrap();
    assert_eq!(socket.get_hop_limit().unwrap(), 42);
    socket.set_receive_buffer_size(10_000).unwrap();
    assert_eq!(socket.get_receive_buffer_size().unwrap(), 10_000);
    socket.set_send_buffer_size(10_000).unwrap();
    assert_eq!(socket.get_send_buffer_size().unwrap(), 10_000);
    socket.set_listen_backlog_size(10).unwrap();
    for zero in [
        socket.set_hop_limit(0),
        socket.set_keep_alive_count(0),
        socket.set_keep_alive_idle_time(0),
        socket.set_send_buffer_size(0),
        socket.set_listen_backlog_size(0),
    ] {
        assert!(matches!(zero, Err(ErrorCode::InvalidArgument)));
    }
    say("options\n").await;
}

/// Does what sockets do not do in the states that they have.
pub async fn states() {
    let invalid_state = |result: Result<(), ErrorCode>| {
        assert!(matches!(result, Err(ErrorCode::InvalidState)), "{result:?}");
    };
    let socket = tcp();
    invalid_state(socket.get_local_address().map(|_| ()));
    invalid_state(socket.get_remote_address().map(|_| ()));
    invalid_state(socket.receive().1.await);
    let (mut writer, reader) = wit_stream::new();
    invalid_state(socket.send(reader).await);
    assert_eq!(writer.write_one(1).await, Some(1));
    socket.bind(local(0)).unwrap();
    invalid_state(socket.bind(local(0)));
    let _connections = socket.listen().unwrap();
    invalid_state(socket.listen().map(|_| ()));
    invalid_state(socket.connect(local(1)).await);
    invalid_state(socket.receive().1.await);
    let other = tcp();
    assert!(matches!(
        other.connect(local(0)).await,
        Err(ErrorCode::InvalidArgument)
    ));
    let address = socket.get_local_address().unwrap();
    other.connect(address).await.unwrap();
    invalid_state(other.connect(address).await);
    invalid_state(other.listen().map(|_| ()));
    invalid_state(other.set_listen_backlog_size(5));
    say("states\n").await;
}

/// Connects to a port that nothing listens at.
pub async fn refused(address: &str) {
    let socket = tcp();
    let refused = socket.connect(parse(address)).await;
    assert!(
        matches!(refused, Err(ErrorCode::ConnectionRefused)),
        "{refused:?}"
    );
    let again = socket.connect(parse(address)).await;
    assert!(matches!(again, Err(ErrorCode::InvalidState)), "{again:?}");
    say("refused\n").await;
}

pub async fn udp() {
    let create = || UdpSocket::create(IpAddressFamily::Ipv4).unwrap();
    let (one, other) = (create(), create());
    assert!(matches!(one.receive().await, Err(ErrorCode::InvalidState)));
    assert!(matches!(one.disconnect(), Err(ErrorCode::InvalidState)));
    one.bind(local(0)).unwrap();
    assert!(matches!(one.bind(local(0)), Err(ErrorCode::InvalidState)));
    let own = one.get_local_address().unwrap();
    // Sending binds.
    other.send(b"first".to_vec(), Some(own)).await.unwrap();
    let (data, from) = one.receive().await.unwrap();
    assert_eq!(data, b"first");
    assert_eq!(port(from), port(other.get_local_address().unwrap()));
    // One waits while the other sends.
    let (received, sent) = join(one.receive(), async {
        wait_for(5_000_000).await;
        other.send(b"second".to_vec(), Some(own)).await
    })
    .await;
    assert_eq!(received.unwrap().0, b"second");
    sent.unwrap();
    let nowhere = other.send(b"x".to_vec(), None).await;
    assert!(matches!(nowhere, Err(ErrorCode::InvalidArgument)));
    other.connect(own).unwrap();
    assert_eq!(port(other.get_remote_address().unwrap()), port(own));
    other.send(b"third".to_vec(), None).await.unwrap();
    assert_eq!(one.receive().await.unwrap().0, b"third");
    let elsewhere = other.send(b"x".to_vec(), Some(local(1))).await;
    assert!(matches!(elsewhere, Err(ErrorCode::InvalidArgument)));
    other.disconnect().unwrap();
    assert!(matches!(
        other.get_remote_address(),
        Err(ErrorCode::InvalidState)
    ));
    let large = other.send(vec![0; 65_536], Some(own)).await;
    assert!(
        matches!(large, Err(ErrorCode::DatagramTooLarge)),
        "{large:?}"
    );
    other.set_unicast_hop_limit(9).unwrap();
    assert_eq!(other.get_unicast_hop_limit().unwrap(), 9);
    other.set_receive_buffer_size(8000).unwrap();
    assert_eq!(other.get_receive_buffer_size().unwrap(), 8000);
    // A call that is dropped is cancelled, and loses nothing.
    {
        let receive = pin!(one.receive());
        let wait = pin!(wait_for(5_000_000));
        assert!(matches!(select(receive, wait).await, Either::Right(_)));
    }
    other.send(b"fourth".to_vec(), Some(own)).await.unwrap();
    assert_eq!(one.receive().await.unwrap().0, b"fourth");
    say("udp\n").await;
}

/// Receives only what its host allows.
pub async fn udp_refused(allowed: &str) {
    let create = || {
        let socket = UdpSocket::create(IpAddressFamily::Ipv4).unwrap();
        socket.bind(local(0)).unwrap();
        socket
    };
    let socket = UdpSocket::create(IpAddressFamily::Ipv4).unwrap();
    socket.bind(local(allowed.parse().unwrap())).unwrap();
    let (one, other) = (create(), socket);
    let own = one.get_local_address().unwrap();
    for _ in 0..100 {
        create().send(b"no".to_vec(), Some(own)).await.unwrap();
    }
    other.send(b"yes".to_vec(), Some(own)).await.unwrap();
    assert_eq!(one.receive().await.unwrap().0, b"yes");
    say("received\n").await;
}

pub async fn lookup(name: &str) {
    let text = match ip_name_lookup::resolve_addresses(name.into()).await {
        Ok(addresses) => {
            let loopback = addresses.iter().all(|address| match address {
                IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(*a, *b, *c, *d).is_loopback(),
                IpAddress::Ipv6(address) => address.7 == 1,
            });
            format!("found, loopback: {loopback}\n")
        }
        Err(error) => format!("{error:?}\n"),
    };
    say(text).await;
}

/// Finds that it may not use the network.
pub async fn denied(address: &str) {
    let denied = |result: Result<(), ErrorCode>| {
        assert!(matches!(result, Err(ErrorCode::AccessDenied)), "{result:?}");
    };
    let address = parse(address);
    denied(tcp().connect(address).await);
    denied(tcp().bind(local(0)));
    denied(tcp().listen().map(|_| ()));
    let udp = || UdpSocket::create(IpAddressFamily::Ipv4).unwrap();
    denied(udp().bind(local(0)));
    denied(udp().connect(address));
    denied(udp().send(b"x".to_vec(), Some(address)).await);
    say("denied\n").await;
}
