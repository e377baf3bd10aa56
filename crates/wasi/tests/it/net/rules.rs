//! What hosts allow.

use super::{Guest, again, code};
use mintage_wasi::p2::SocketResult;
use mintage_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use mintage_wasi::p2::bindings::sockets::tcp_create_socket::Host as _;
use mintage_wasi::p2::bindings::sockets::udp_create_socket::Host as _;
use mintage_wasi::p2::bindings::sync::sockets::tcp::HostTcpSocket;
use mintage_wasi::p2::bindings::sync::sockets::udp::{
    HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, OutgoingDatagram,
};
use mintage_wasi::sockets::{AllowList, SocketAddrUse};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

const V4: IpAddressFamily = IpAddressFamily::Ipv4;

/// Tries each use of an address at `127.0.0.1`. Returns those that are allowed.
fn allowed(guest: &mut Guest) -> Vec<SocketAddrUse> {
    let mut allowed = Vec::new();
    let mut note = |usage, result: SocketResult<()>| match result {
        Ok(()) => allowed.push(usage),
        Err(error) => assert_eq!(error.downcast().unwrap(), ErrorCode::AccessDenied),
    };
    let network = guest.network();
    let at: IpSocketAddress = super::address("127.0.0.1:0");
    if let Ok(socket) = guest.view().create_tcp_socket(V4) {
        let mut view = guest.view();
        let bound = HostTcpSocket::start_bind(&mut view, again(&socket), again(&network), at);
        let is_bound = bound.is_ok();
        note(SocketAddrUse::TcpBind, bound);
        if is_bound {
            HostTcpSocket::finish_bind(&mut view, again(&socket)).unwrap();
            note(SocketAddrUse::TcpListen, view.start_listen(again(&socket)));
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let socket = guest.tcp(V4);
        let connected = guest.start_connect(&socket, to.into());
        note(SocketAddrUse::TcpConnect, connected);
    }
    if let Ok(socket) = guest.view().create_udp_socket(V4) {
        let bound = guest.bind_udp(&socket, at);
        let is_bound = bound.is_ok();
        note(SocketAddrUse::UdpBind, bound);
        if is_bound {
            let (_, outgoing) = guest.view().stream(again(&socket), None).unwrap();
            let mut view = guest.view();
            view.check_send(again(&outgoing)).unwrap();
            let datagram = OutgoingDatagram {
                data: vec![1],
                remote_address: Some(super::address("127.0.0.1:9")),
            };
            let sent = HostOutgoingDatagramStream::send(&mut view, outgoing, vec![datagram]);
            note(SocketAddrUse::UdpSend, sent.map(|_| ()));
        }
    }
    allowed
}

#[test]
fn what_is_not_allowed_is_denied() {
    use SocketAddrUse::*;
    let loopback = "127.0.0.0/8".parse().unwrap();
    let mut connect = AllowList::new();
    connect.tcp_connect(loopback);
    let mut listen = AllowList::new();
    listen.tcp_listen("127.0.0.1:*".parse().unwrap());
    let mut datagrams = AllowList::new();
    datagrams
        .udp_listen("127.0.0.1:0".parse().unwrap())
        .udp_connect("127.0.0.1:9".parse().unwrap());
    let mut elsewhere = AllowList::new();
    elsewhere
        .tcp_connect("10.0.0.0/8".parse().unwrap())
        .tcp_listen("10.0.0.1".parse().unwrap());
    type Configure = Box<dyn Fn(&mut mintage_wasi::WasiCtxBuilder)>;
    let list = |list: AllowList| -> Configure {
        Box::new(move |builder| {
            builder.socket_addr_list(list.clone());
        })
    };
    let all = [TcpBind, TcpListen, TcpConnect, UdpBind, UdpSend];
    let cases: [(&str, Configure, &[SocketAddrUse]); 9] = [
        ("nothing", Box::new(|_| {}), &[]),
        (
            "protocols without addresses",
            Box::new(|builder| {
                builder.allow_tcp(true).allow_udp(true);
            }),
            &[],
        ),
        (
            "everything",
            Box::new(|builder| {
                builder.inherit_network();
            }),
            &all,
        ),
        (
            "all but TCP",
            Box::new(|builder| {
                builder.inherit_network().allow_tcp(false);
            }),
            &[UdpBind, UdpSend],
        ),
        (
            "only TCP",
            Box::new(|builder| {
                builder.inherit_network().allow_tcp(true);
            }),
            &[TcpBind, TcpListen, TcpConnect],
        ),
        ("connections", list(connect), &[TcpConnect]),
        ("a listener", list(listen), &[TcpBind, TcpListen]),
        ("datagrams", list(datagrams), &[UdpBind, UdpSend]),
        ("other addresses", list(elsewhere), &[]),
    ];
    for (name, configure, expected) in cases {
        assert_eq!(allowed(&mut Guest::with(configure)), expected, "{name}");
    }
    let mut guest = Guest::with(|builder| {
        builder.allow_udp(true);
    });
    let tcp = guest.view().create_tcp_socket(V4);
    assert_eq!(code(tcp), ErrorCode::AccessDenied);
}

#[test]
fn a_host_is_asked_for_each_use() {
    let asked = Arc::<Mutex<Vec<(SocketAddr, SocketAddrUse)>>>::default();
    let list = asked.clone();
    let mut guest = Guest::with(|builder| {
        builder.socket_addr_check(move |address, usage| {
            list.lock().unwrap().push((address, usage));
            Box::pin(async { true })
        });
    });
    let everything = allowed(&mut guest);
    assert_eq!(everything.len(), 5);
    let asked = asked.lock().unwrap();
    let uses: Vec<SocketAddrUse> = asked.iter().map(|(_, usage)| *usage).collect();
    use SocketAddrUse::*;
    // The local address of a connection is one of the system's choice.
    let expected = [TcpBind, TcpListen, TcpBind, TcpConnect, UdpBind, UdpSend];
    assert_eq!(uses, expected);
    assert_eq!(asked[0].0, "127.0.0.1:0".parse().unwrap());
    assert_ne!(asked[1].0.port(), 0);
    assert_eq!(asked[2].0, "0.0.0.0:0".parse().unwrap());
}

/// An answer that takes its time.
struct Later {
    answer: bool,
    asked_before: bool,
}

impl Future for Later {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        if std::mem::replace(&mut self.asked_before, true) {
            return Poll::Ready(self.answer);
        }
        let waker = cx.waker().clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(10));
            waker.wake();
        });
        Poll::Pending
    }
}

fn later(answer: bool) -> Pin<Box<Later>> {
    Box::pin(Later {
        answer,
        asked_before: false,
    })
}

#[test]
fn a_host_takes_its_time() {
    let mut guest = Guest::with(|builder| {
        builder.socket_addr_check(|_, _| later(true));
    });
    assert_eq!(allowed(&mut guest).len(), 5);
    let mut guest = Guest::with(|builder| {
        builder.socket_addr_check(|_, _| later(false));
    });
    assert_eq!(allowed(&mut guest), []);
}

#[test]
fn connections_and_datagrams_that_are_refused_do_not_arrive() {
    for is_slow in [false, true] {
        let refuse = Arc::new(AtomicBool::new(true));
        let refuses = refuse.clone();
        let mut guest = Guest::with(|builder| {
            builder.socket_addr_check(move |_, usage| {
                let from_others =
                    matches!(usage, SocketAddrUse::TcpAccept | SocketAddrUse::UdpReceive);
                let answer = !(from_others && refuses.load(Relaxed));
                match from_others && is_slow {
                    true => later(answer),
                    false => Box::pin(async move { answer }),
                }
            });
        });
        let network = guest.network();
        let at = super::address("127.0.0.1:0");
        let listener = guest.tcp(V4);
        let mut view = guest.view();
        HostTcpSocket::start_bind(&mut view, again(&listener), network, at).unwrap();
        HostTcpSocket::finish_bind(&mut view, again(&listener)).unwrap();
        view.start_listen(again(&listener)).unwrap();
        view.finish_listen(again(&listener)).unwrap();
        let there = HostTcpSocket::local_address(&mut view, again(&listener)).unwrap();
        let mut refused = TcpStream::connect(SocketAddr::from(there)).unwrap();
        let wait = |guest: &mut Guest| {
            let pollable = HostTcpSocket::subscribe(&mut guest.view(), again(&listener)).unwrap();
            guest.block(pollable);
        };
        wait(&mut guest);
        let none = guest.view().accept(again(&listener));
        assert_eq!(code(none), ErrorCode::WouldBlock);
        if is_slow {
            wait(&mut guest);
            let none = guest.view().accept(again(&listener));
            assert_eq!(code(none), ErrorCode::WouldBlock);
        }
        let reset = refused.read(&mut [0; 1]).unwrap_err();
        assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
        refuse.store(false, Relaxed);
        let _client = TcpStream::connect(SocketAddr::from(there)).unwrap();
        wait(&mut guest);
        if is_slow {
            let not_yet = guest.view().accept(again(&listener));
            assert_eq!(code(not_yet), ErrorCode::WouldBlock);
            wait(&mut guest);
        }
        guest.view().accept(again(&listener)).unwrap();

        let socket = guest.udp(V4);
        guest.bind_udp(&socket, at).unwrap();
        let there = HostUdpSocket::local_address(&mut guest.view(), again(&socket)).unwrap();
        let (incoming, _outgoing) = guest.view().stream(again(&socket), None).unwrap();
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let receive = |guest: &mut Guest| {
            let mut view = guest.view();
            let pollable =
                HostIncomingDatagramStream::subscribe(&mut view, again(&incoming)).unwrap();
            guest.block(pollable);
            guest.view().receive(again(&incoming), 5).unwrap()
        };
        refuse.store(true, Relaxed);
        far.send_to(b"spam", SocketAddr::from(there)).unwrap();
        assert!(receive(&mut guest).is_empty());
        if is_slow {
            assert!(receive(&mut guest).is_empty());
        }
        refuse.store(false, Relaxed);
        far.send_to(b"ham", SocketAddr::from(there)).unwrap();
        if is_slow {
            assert!(receive(&mut guest).is_empty());
        }
        let received = receive(&mut guest);
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].data, b"ham");
    }
}
