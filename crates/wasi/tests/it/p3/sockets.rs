//! Sockets. The other side is often the test.

use super::{output, run_in, store};
use crate::common::block_on;
use mintage_wasi::WasiCtxBuilder;
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use mintage_wasi::sockets::SocketAddrUse;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

fn network(builder: &mut WasiCtxBuilder) {
    builder.inherit_network().allow_ip_name_lookup(true);
}

#[test]
fn a_client_echoes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut writer = stream.try_clone().unwrap();
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        let expected = bytes.clone();
        let write = std::thread::spawn(move || {
            writer.write_all(&bytes).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        write.join().unwrap();
        assert!(received == expected);
    });
    let printed = output(&["tcp-client", &address], network);
    assert_eq!(printed, "3000000\n");
    server.join().unwrap();
}

#[test]
fn a_server_echoes() {
    let stdout = MemoryOutputPipe::new(1000);
    let mut store = store(&["tcp-server"], |builder| {
        network(builder);
        builder.stdout(stdout.clone());
    });
    let output = stdout.clone();
    let client = std::thread::spawn(move || {
        let port = loop {
            let text = String::from_utf8(output.contents().to_vec()).unwrap();
            match text.strip_suffix('\n') {
                Some(port) => break port.parse::<u16>().unwrap(),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        for size in [0, 5, 1_000_000] {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let mut writer = stream.try_clone().unwrap();
            let write = std::thread::spawn(move || {
                writer.write_all(&vec![7; size]).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            assert_eq!(received, vec![7; size]);
            write.join().unwrap();
        }
    });
    block_on(run_in(&mut store)).unwrap().unwrap();
    client.join().unwrap();
    assert!(stdout.contents().ends_with(b"\nserved\n"));
}

#[test]
fn sockets_between_two_streams_of_one_guest() {
    assert_eq!(output(&["tcp-slow-accept"], network), "exchanged\n");
}

#[test]
fn options_and_states() {
    assert_eq!(output(&["tcp-options"], network), "options\n");
    assert_eq!(output(&["tcp-states"], network), "states\n");
}

#[test]
fn refused_connections_are_errors() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let printed = output(&["tcp-refused", &free.to_string()], network);
    assert_eq!(printed, "refused\n");
}

#[test]
fn a_connection_waits_until_there_are_fewer_sockets() {
    let printed = output(&["tcp-limit"], |builder| {
        builder.inherit_network().max_sockets(4);
    });
    assert_eq!(printed, "accepted\n");
}

#[test]
fn connections_that_are_reset_are_errors() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        // On a busy machine, the guest has not found out yet that it is connected.
        std::thread::sleep(Duration::from_millis(200));
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    });
    assert_eq!(output(&["tcp-reset", &address], network), "reset\n");
    server.join().unwrap();
}

#[test]
fn datagrams() {
    assert_eq!(output(&["udp"], network), "udp\n");
}

#[test]
fn datagrams_are_refused_by_rules() {
    let free = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for waits in [false, true] {
        let printed = output(&["udp-refused", &free.to_string()], |builder| {
            builder.socket_addr_check(move |address, usage| {
                let allowed = usage != SocketAddrUse::UdpReceive || address.port() == free;
                Box::pin(async move {
                    if waits {
                        tokio::task::yield_now().await;
                    }
                    allowed
                })
            });
        });
        assert_eq!(printed, "received\n");
    }
}

#[test]
fn rules_may_take_their_time() {
    for program in ["tcp-slow-accept", "udp"] {
        let printed = output(&[program], |builder| {
            builder.socket_addr_check(|_, _| {
                Box::pin(async {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    true
                })
            });
        });
        assert!(!printed.is_empty());
    }
}

#[test]
fn names_are_looked_up() {
    for name in ["localhost", "127.0.0.1", "[::1]"] {
        assert_eq!(
            output(&["lookup", name], network),
            "found, loopback: true\n",
            "{name}"
        );
    }
    let invalid = output(&["lookup", "not a name"], network);
    assert_eq!(invalid, "ErrorCode::InvalidArgument\n");
    let denied = output(&["lookup", "localhost"], |_| {});
    assert_eq!(denied, "ErrorCode::AccessDenied\n");
}

#[test]
fn nothing_is_allowed_by_default() {
    assert_eq!(output(&["denied", "127.0.0.1:80"], |_| {}), "denied\n");
}
