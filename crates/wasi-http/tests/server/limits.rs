//! Limits: requests under way, connections, slow clients, and the end of the server.

use crate::client::get;
use crate::common::{serve, serve_with, wait_until};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use mintage_wasi_http::server::{Server, ServerConfig};

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn requests_beyond_the_limit_are_refused_at_once() {
    let serving = serve_with(|_| {}, |service| service.max_concurrent_requests(2));
    let mut busy: Vec<_> = (0..2)
        .map(|_| {
            let mut client = serving.client();
            client.send(get("/sleep?500"));
            client
        })
        .collect();
    wait_until("two run", || serving.service.under_way() == 2);
    let mut client = serving.client();
    let response = client.get("/hello");
    assert_eq!(
        (response.status, response.text()),
        (503, "503 Service Unavailable\n")
    );
    assert!(serving.failure("/hello").contains("too many requests"));
    for client in &mut busy {
        assert_eq!(client.response().unwrap().text(), "awake\n");
    }
    // The guest returns just after its client has the response.
    serving.wait_until_idle();
    assert_eq!(client.get("/hello").status, 200);
}

#[test]
fn connections_beyond_the_limit_are_refused() {
    let serving = serve_with(|config| _ = config.max_connections(2), |service| service);
    let mut first = serving.client();
    let mut second = serving.client();
    assert_eq!(first.get("/hello").status, 200);
    assert_eq!(second.get("/hello").status, 200);
    let mut third = serving.client();
    third.send(get("/hello"));
    let response = third.response().unwrap();
    assert_eq!(response.status, 503);
    assert_eq!(response.header("connection"), Some("close"));
    third.end();
    third.closed();
    assert_eq!(serving.running().connections(), 2);
    drop(first);
    wait_until("it is closed", || serving.running().connections() == 1);
    assert_eq!(serving.client().get("/hello").status, 200);
    assert_eq!(second.get("/hello").status, 200);
}

#[test]
fn connections_without_requests_are_closed() {
    let serving = serve_with(|config| _ = config.idle_timeout(SHORT), |service| service);
    let start = Instant::now();
    // One that has never sent anything, one that has, and one that began to speak HTTP/2.
    let mut silent = serving.client();
    let mut used = serving.client();
    let mut unfinished = serving.client();
    unfinished.send("PRI * H");
    assert_eq!(used.get("/hello").status, 200);
    silent.closed();
    used.closed();
    unfinished.closed();
    assert!(start.elapsed() >= SHORT);
    wait_until("all are closed", || serving.running().connections() == 0);
    // A request that takes longer is not idle.
    assert_eq!(serving.client().get("/sleep?600").status, 200);
    serving.wait_until_idle();
}

#[test]
fn slow_heads_are_cut_off() {
    let serving = serve_with(|config| _ = config.header_timeout(SHORT), |service| service);
    let mut client = serving.client();
    // A second request counts from its own first byte.
    assert_eq!(client.get("/hello").status, 200);
    thread::sleep(SHORT * 2);
    client.send("GET /hello HTTP/1.1\r\n");
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < Duration::from_secs(30) {
        use std::io::Write;
        if client.stream.write_all(b"x: y\r\n").is_err() {
            break;
        }
        sent += 1;
        thread::sleep(Duration::from_millis(10));
    }
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{sent} headers were taken"
    );
    assert_eq!(serving.engine.metrics().instances_created, 1);
    wait_until("it is closed", || serving.running().connections() == 0);
}

#[test]
fn clients_that_do_not_read_are_cut_off() {
    let serving = serve_with(|config| _ = config.write_timeout(SHORT), |service| service);
    let mut client = serving.client();
    client.send(get("/endless"));
    assert_eq!(client.head().unwrap().status, 200);
    wait_until("it is closed", || serving.running().connections() == 0);
    serving.wait_until_idle();
    // One that reads slowly, but goes on, is not.
    let mut client = serving.client();
    client.send(get("/drip?30"));
    assert_eq!(client.response().unwrap().body.len(), 150);
}

#[test]
fn a_server_that_shuts_down_finishes_what_it_has_begun() {
    let mut serving = serve();
    let mut running = serving.client();
    running.send(get("/drip?20"));
    let mut idle = serving.client();
    assert_eq!(idle.get("/hello").status, 200);
    wait_until("it runs", || serving.service.under_way() == 1);
    serving.running().shut_down();
    let response = running.response().unwrap();
    assert_eq!(response.body.len(), 100);
    running.closed();
    idle.closed();
    let took = serving.shut_down();
    assert!(took < Duration::from_secs(20), "{took:?}");
    let error = TcpStream::connect(serving.address).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    serving.wait_until_idle();
}

#[test]
fn a_server_that_shuts_down_does_not_wait_for_ever() {
    let mut serving = serve_with(
        |config| _ = config.shutdown_timeout(SHORT),
        |service| service,
    );
    for target in ["/never", "/spin"] {
        serving.client().stream.set_nodelay(true).unwrap();
        let mut client = serving.client();
        client.send(get(target));
        // It stays open until the server ends.
        std::mem::forget(client);
    }
    wait_until("both run", || serving.service.under_way() == 2);
    let took = serving.shut_down();
    assert!(took >= SHORT && took < Duration::from_secs(20), "{took:?}");
    serving.wait_until_idle();
}

#[test]
fn a_socket_that_listens_already_can_be_served() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let mut config = ServerConfig::new();
    config.threads(3);
    let server = Server::from_listener(&config, listener).unwrap();
    assert_eq!(server.local_addr(), address);
    let serving = serve();
    let running = server.start(serving.service.clone()).unwrap();
    for _ in 0..20 {
        assert_eq!(
            crate::client::Client::connect(address).get("/hello").status,
            200
        );
    }
    running.shut_down();
    running.join();
    let error = Server::bind(&config, serving.address).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}
