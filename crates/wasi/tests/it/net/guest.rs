//! A guest that talks to itself, over TCP and UDP.

use crate::common::{cause, output};
use mintage_wasi::sockets::SocketAddrUse;
use std::time::Duration;

/// The guest: imports, and `$tcp` and `$udp`.
const SOCKETS: &str = include_str!("sockets.wat");

#[test]
fn a_guest_talks_to_itself() {
    let fields = format!(
        "{SOCKETS}
        (func $run (result i32) (call $tcp) (call $udp) (i32.const 0))"
    );
    let printed = output(&fields, |builder| {
        builder.inherit_network();
    });
    assert_eq!(printed, "through TCP\nby UDP\n");
}

/// The host decides with a timer of tokio, which synchronous hosts have no runtime for.
#[test]
fn a_guest_waits_for_the_rules_of_its_host() {
    let fields = format!(
        "{SOCKETS}
        (func $run (result i32) (call $tcp) (call $udp) (i32.const 0))"
    );
    let printed = output(&fields, |builder| {
        builder.socket_addr_check(|_, usage| {
            // The guest does not expect to wait here.
            let is_slow = !matches!(usage, SocketAddrUse::TcpAccept | SocketAddrUse::UdpReceive);
            Box::pin(async move {
                if is_slow {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                true
            })
        });
    });
    assert_eq!(printed, "through TCP\nby UDP\n");
}

#[test]
fn a_guest_without_the_network_gets_an_error() {
    let fields = format!(
        "{SOCKETS}
        (func $run (result i32)
            (call $create-tcp (i32.const 0) (i32.const 16))
            (call $ok (i32.const 16))
            (call $start-bind-tcp (i32.load (i32.const 20)))
            (call $print-number (i64.load8_u (i32.const 16)))
            (call $print-number (i64.load8_u (i32.const 17)))
            (i32.const 0))"
    );
    // The second code of the list is `access-denied`.
    assert_eq!(output(&fields, |_| {}), "1\n1\n");
}

/// The host refuses a list that is too long before it lifts any of it.
#[test]
fn a_guest_that_sends_too_many_datagrams_traps() {
    let fields = format!(
        "{SOCKETS}
        (func $run (result i32)
            (local $socket i32) (local $outgoing i32)
            (call $bound-udp)
            (local.set $socket (i32.load (i32.const 200)))
            (call $stream (local.get $socket))
            (local.set $outgoing (i32.load (i32.const 24)))
            (call $check-send (local.get $outgoing) (i32.const 16))
            (call $ok (i32.const 16))
            ;; As many as fit into the memory, and each as long as that.
            (call $send (local.get $outgoing) (i32.const 0) (i32.const 5000) (i32.const 16))
            (i32.const 0))"
    );
    let trap = cause(&fields, |builder| {
        builder.inherit_network();
    });
    assert!(
        trap.contains("than the last `check-send` allowed"),
        "{trap}"
    );
}
