//! Requests that do not end well: guests that trap, never answer or send nothing, and clients that
//! go away.

use crate::client::get;
use crate::common::{Serving, guest, link, serve, serve_with, store, wait_until};
use http::Request;
use http::header::HOST;
use mintage::{Engine, Store};
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use mintage_wasi_http::server::warm_up;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

/// Asserts that other clients are served, and that nothing is left behind.
fn is_well(serving: &Serving) {
    let response = serving.client().get("/hello");
    assert_eq!((response.status, response.text()), (200, "Hello, world!\n"));
    serving.wait_until_idle();
}

/// Creates a server whose guests have little time.
fn hasty() -> Serving {
    serve_with(
        |_| {},
        |service| service.timeout(Some(Duration::from_millis(300))),
    )
}

#[test]
fn a_trap_before_the_head_is_an_error_that_says_nothing() {
    let serving = serve();
    let mut client = serving.client();
    let response = client.get("/trap-before");
    assert_eq!(response.status, 500);
    assert_eq!(response.text(), "500 Internal Server Error\n");
    // The connection goes on.
    assert_eq!(client.get("/hello").status, 200);
    let failure = serving.failure("/trap-before");
    for part in ["the guest failed", "unreachable", "wasm backtrace"] {
        assert!(failure.contains(part), "{failure}");
    }
    assert_eq!(serving.engine.metrics().traps, 1);
    is_well(&serving);
}

#[test]
fn a_trap_in_the_body_breaks_the_response_off() {
    let serving = serve();
    let mut client = serving.client();
    client.send(get("/trap-in"));
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.chunk().unwrap().unwrap(), b"a part");
    client.closed();
    assert!(serving.failure("/trap-in").contains("unreachable"));
    assert_eq!(serving.answer("/trap-in"), (Some(200), 6, false));
    is_well(&serving);
    assert_eq!(serving.service.metrics().broken_off, 1);
}

#[test]
fn a_trap_after_the_response_is_not_the_clients_concern() {
    let serving = serve();
    let response = serving.client().get("/trap-after");
    assert_eq!((response.status, response.text()), (200, "all of it\n"));
    assert!(serving.failure("/trap-after").contains("unreachable"));
    is_well(&serving);
}

#[test]
fn a_guest_that_computes_or_waits_for_ever_is_ended_in_time() {
    for target in ["/spin", "/never", "/dropped?3600000"] {
        let serving = hasty();
        let status = serving.client().get(target).status;
        // A guest that dropped its out-parameter has no answer to wait for.
        let expected = match target {
            "/dropped?3600000" => 502,
            _ => 504,
        };
        assert_eq!(status, expected, "{target}");
        is_well(&serving);
        if expected == 504 {
            let failure = serving.failure(target);
            assert!(failure.contains("timed out"), "{failure}");
            assert!(failure.contains("wasm backtrace"), "{failure}");
            assert_eq!(serving.service.metrics().timed_out, 1);
        }
    }
}

#[test]
fn a_guest_that_wants_all_memory_is_refused_it() {
    let serving = serve();
    assert_eq!(serving.client().get("/memory").status, 500);
    is_well(&serving);
}

#[test]
fn guests_that_compute_leave_time_to_others() {
    let serving = serve_with(|config| _ = config.threads(1), |service| service);
    let spinning: Vec<_> = (0..3)
        .map(|_| {
            let mut client = serving.client();
            client.send(get("/spin"));
            client
        })
        .collect();
    wait_until("they compute", || serving.service.under_way() == 3);
    for _ in 0..5 {
        assert_eq!(serving.client().get("/hello").status, 200);
    }
    assert_eq!(serving.service.under_way(), 3, "they have ended");
    // Their clients go away, which is noticed although they compute.
    drop(spinning);
    is_well(&serving);
}

#[test]
fn a_client_that_does_not_send_its_body_in_time_is_told() {
    let serving = hasty();
    let mut client = serving.client();
    client.send("POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf");
    let response = client.response().unwrap();
    assert_eq!(
        (response.status, response.text()),
        (408, "408 Request Timeout\n")
    );
    is_well(&serving);
}

#[test]
fn a_guest_without_a_response_or_with_an_error_is_a_bad_gateway() {
    let serving = serve();
    let mut client = serving.client();
    for (target, status, failure) in [
        ("/none", 502, "without a response"),
        ("/dropped?20", 502, "without a response"),
        ("/error", 502, "ConnectionRefused"),
        ("/timeout", 504, "ConnectionTimeout"),
    ] {
        let response = client.get(target);
        assert_eq!(response.status, status, "{target}");
        let found = serving.failure(target);
        assert!(found.contains(failure), "{target}: {found}");
    }
    is_well(&serving);
}

#[test]
fn a_body_with_another_length_than_declared_is_broken_off() {
    let serving = serve();
    let mut client = serving.client();
    client.send(get("/short"));
    let head = client.head().unwrap();
    assert_eq!(head.header("content-length"), Some("10"));
    assert_eq!(client.rest(), "short");
    assert!(!serving.answer("/short").2);
    is_well(&serving);
}

#[test]
fn a_body_that_is_longer_than_declared_is_refused_in_the_guest() {
    let serving = serve();
    let mut client = serving.client();
    client.send(get("/long"));
    // The response is broken off, before or after its head, and not with other bytes.
    let text = client.rest();
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    assert!("12345".starts_with(body), "{text}");
    assert!(!serving.answer("/long").2);
    serving.wait_until_idle();
    // What the guest prints if it could.
    assert_eq!(serving.errors.contents(), "");
    is_well(&serving);
}

#[test]
fn forbidden_headers_are_refused_in_the_guest() {
    let serving = serve();
    let response = serving.client().get("/forbidden");
    for name in [
        "connection",
        "transfer-encoding",
        "host",
        "upgrade",
        "keep-alive",
    ] {
        let line = format!("{name} Err(HeaderError::Forbidden)");
        assert!(response.text().contains(&line), "{}", response.text());
    }
    assert!(
        response
            .text()
            .contains("a b Err(HeaderError::InvalidSyntax)")
    );
}

#[test]
fn a_guest_goes_on_after_its_response() {
    let serving = serve();
    let mut client = serving.client();
    for _ in 0..2 {
        let response = client.get("/later?100");
        assert_eq!(response.text(), "now\n");
    }
    drop(client);
    serving.wait_until_idle();
    assert_eq!(serving.errors.contents(), "and later\nand later\n");
    assert!(serving.told.failures.lock().unwrap().is_empty());
}

#[test]
fn the_guest_of_a_client_that_goes_away_ends() {
    let serving = serve();
    for target in ["/never", "/sleep?3600000"] {
        let mut client = serving.client();
        client.send(get(target));
        wait_until("it runs", || serving.engine.metrics().instances_live == 1);
        drop(client);
        serving.wait_until_idle();
        assert_eq!(serving.answer(target), (None, 0, false));
    }
    assert_eq!(serving.service.metrics().abandoned, 2);
    // In the middle of its response, and of its request.
    let mut client = serving.client();
    client.send(get("/endless"));
    assert_eq!(client.head().unwrap().status, 200);
    client.exactly(1 << 20).unwrap();
    drop(client);
    serving.wait_until_idle();
    assert!(!serving.answer("/endless").2);

    let mut client = serving.client();
    client.send("POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf");
    wait_until("it runs", || serving.engine.metrics().instances_live == 1);
    client.stream.shutdown(Shutdown::Both).unwrap();
    drop(client);
    is_well(&serving);
}

#[test]
fn a_guest_is_replaced_without_losing_a_request() {
    let serving = serve();
    let mut before = serving.client();
    before.send(get("/sleep?200"));
    let mut idle = serving.client();
    assert_eq!(idle.get("/hello").status, 200);
    wait_until("it runs", || serving.engine.metrics().instances_live == 1);
    let new = guest();
    let engine: Engine = new.engine().clone();
    serving.service.replace(new);
    // Also on a connection that was open before.
    assert_eq!(idle.get("/hello").status, 200);
    assert_eq!(serving.client().get("/hello").status, 200);
    assert_eq!(engine.metrics().instances_created, 2);
    assert_eq!(before.response().unwrap().text(), "awake\n");
    serving.wait_until_idle();
}

#[test]
fn a_guest_that_is_warmed_up_goes_on_from_there() {
    let (guest, errors) = (guest(), MemoryOutputPipe::new(1000));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let warm = |target: &str| {
        let request = Request::get(target).header(HOST, "test");
        let request = request.body(String::new()).unwrap();
        let store: Store<_> = store(guest.engine(), &errors);
        runtime.block_on(warm_up(&guest, store, request))
    };
    let (status, component) = warm("/next").unwrap();
    assert_eq!(status, 200);
    let serving = serve();
    serving.service.replace(link(&component));
    let mut client = serving.client();
    for _ in 0..3 {
        assert_eq!(client.get("/next").text(), "2\n");
    }
    // Larger than what is kept until someone reads it.
    assert_eq!(warm("/large?1000000").unwrap().0, 200);
    // Handles that outlive the request do not matter as long as the guest does not use them.
    let (_, component) = warm("/reuse").unwrap();
    serving.service.replace(link(&component));
    let mut client = serving.client();
    assert_eq!(client.get("/keep").text(), "kept\n");
    assert_eq!(client.get("/reuse").status, 500);
    assert_eq!(client.get("/keep").text(), "kept\n");
    let error = format!("{:#}", warm("/trap-before").unwrap_err());
    assert!(error.contains("the guest failed"), "{error}");
    let error = format!("{:#}", warm("/none").unwrap_err());
    assert!(error.contains("without a response"), "{error}");
    drop(guest);
    thread::yield_now();
}
