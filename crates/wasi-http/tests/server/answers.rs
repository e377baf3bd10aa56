//! Requests that are answered: methods, headers, connections.

use crate::client::{get, post};
use crate::common::{serve, wait_until};
use std::collections::HashSet;
use std::thread;
use std::time::Duration;

#[test]
fn a_guest_answers_each_request_by_an_instance_of_its_own() {
    let serving = serve();
    let mut client = serving.client();
    for _ in 0..3 {
        let response = client.get("/hello");
        assert_eq!((response.status, response.text()), (200, "Hello, world!\n"));
        // The guest does not say it, but it is known.
        assert_eq!(response.header("content-length"), Some("14"));
        assert_eq!(response.header("content-type"), Some("text/plain"));
        assert!(response.header("date").is_some());
        // An instance starts from the beginning.
        assert_eq!(client.get("/next").text(), "1\n");
    }
    assert_eq!(client.get("/nowhere").status, 404);
    serving.wait_until_idle();
    assert_eq!(serving.engine.metrics().instances_created, 7);
    let metrics = serving.service.metrics();
    assert_eq!(metrics.responses, [0, 6, 0, 1, 0]);
    assert_eq!((metrics.broken_off, metrics.abandoned), (0, 0));
    assert_eq!(serving.answer("/hello"), (Some(200), 14, true));
}

#[test]
fn a_guest_gets_the_request_as_it_was_sent() {
    let serving = serve();
    let mut client = serving.client();
    client.send(
        "PATCH /headers?a=b%20c HTTP/1.1\r\nHost: example.com:81\r\nX-One: 1\r\nx-one: 2\r\n\
         x-bytes: \u{e4}\r\nX-Empty:\r\nConnection: keep-alive\r\n\r\n",
    );
    let response = client.response().unwrap();
    let text = response.text();
    assert!(
        text.starts_with("Method::Patch Some(Scheme::Http) Some(\"example.com:81\")\n"),
        "{text}"
    );
    for line in ["x-one: 1", "x-one: 2", "x-bytes: \u{e4}", "x-empty: "] {
        assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
    }
    assert!(!text.contains("connection:"), "{text}");
    for method in ["GET", "DELETE", "OPTIONS", "BREW"] {
        client.send(format!("{method} /headers HTTP/1.1\r\nhost: test\r\n\r\n"));
        let response = client.response().unwrap();
        let method = match method {
            "BREW" => "Method::Other(\"BREW\")".to_string(),
            _ => format!("Method::{}{}", &method[..1], method[1..].to_lowercase()),
        };
        assert!(response.text().starts_with(&method), "{}", response.text());
    }
}

#[test]
fn statuses_are_those_of_the_guest() {
    let serving = serve();
    let mut client = serving.client();
    for status in [200, 201, 299, 301, 404, 418, 500, 503, 599] {
        let response = client.get(&format!("/status?{status}"));
        assert_eq!(response.status, status);
        assert_eq!(response.text(), "as asked\n");
    }
    // These have no body, whatever the guest writes.
    for status in [204, 304] {
        client.send(get(&format!("/status?{status}")));
        let response = client.head().unwrap();
        assert_eq!(response.status, status);
        assert_eq!(client.get("/hello").status, 200, "after {status}");
    }
    serving.wait_until_idle();
    assert_eq!(serving.service.metrics().broken_off, 0);
}

#[test]
fn a_head_request_has_no_body() {
    let serving = serve();
    let mut client = serving.client();
    for target in ["/hello", "/large?1000000", "/sized?5"] {
        client.send(format!("HEAD {target} HTTP/1.1\r\nhost: test\r\n\r\n"));
        let head = client.head().unwrap();
        assert_eq!(head.status, 200, "{target}");
        if target == "/sized?5" {
            assert_eq!(head.header("content-length"), Some("5"));
        }
        // What follows is the next response.
        assert_eq!(client.get("/hello").status, 200, "{target}");
    }
    serving.wait_until_idle();
    assert_eq!(serving.service.metrics().broken_off, 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let serving = serve();
    let mut client = serving.client();
    let requests = [
        get("/sleep?30"),
        post("/echo", "first"),
        get("/hello"),
        post("/count", "12345"),
        get("/large?100000"),
        get("/hello"),
    ];
    client.send(requests.concat());
    assert_eq!(client.response().unwrap().text(), "awake\n");
    assert_eq!(client.response().unwrap().text(), "first");
    assert_eq!(client.response().unwrap().text(), "Hello, world!\n");
    assert_eq!(client.response().unwrap().text(), "5 bytes\n");
    assert_eq!(client.response().unwrap().body.len(), 100_000);
    assert_eq!(client.response().unwrap().text(), "Hello, world!\n");
}

#[test]
fn connections_are_kept_as_clients_ask() {
    let serving = serve();
    let mut client = serving.client();
    client.send("GET /hello HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    assert_eq!(client.response().unwrap().status, 200);
    client.closed();

    let mut client = serving.client();
    client.send("GET /hello HTTP/1.0\r\nhost: test\r\n\r\n");
    let text = client.rest();
    assert!(text.starts_with("HTTP/1.0 200 OK\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\nHello, world!\n"), "{text}");

    let mut client = serving.client();
    for _ in 0..2 {
        client.send("GET /hello HTTP/1.0\r\nhost: test\r\nconnection: keep-alive\r\n\r\n");
        assert_eq!(client.response().unwrap().text(), "Hello, world!\n");
    }
}

#[test]
fn idle_connections_go_on() {
    let serving = serve();
    let rest = || thread::sleep(Duration::from_millis(1500));
    let mut client = serving.client();
    assert_eq!(client.get("/hello").text(), "Hello, world!\n");
    rest();
    assert_eq!(client.post("/echo", "first").text(), "first");
    rest();
    // The first part of a request that follows another one at once is kept.
    client.send(get("/hello") + "GET /hel");
    assert_eq!(client.response().unwrap().text(), "Hello, world!\n");
    rest();
    client.send("lo HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(client.response().unwrap().text(), "Hello, world!\n");
    rest();
    client.send("GET");
    rest();
    client.send(" /hello HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(client.response().unwrap().text(), "Hello, world!\n");
    // A client that goes away while its connection rests is noticed.
    rest();
    drop(client);
    wait_until("it is closed", || serving.running().connections() == 0);
}

#[test]
fn many_clients_at_once_get_their_own_answers() {
    let serving = serve();
    let threads: Vec<_> = (0..8)
        .map(|i| {
            let mut client = serving.client();
            thread::spawn(move || {
                for j in 0..50 {
                    let text = format!("text {j} of {i}");
                    assert_eq!(client.post("/echo", &text).text(), text);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    serving.wait_until_idle();
    assert_eq!(serving.service.metrics().responses, [0, 400, 0, 0, 0]);
    let answers = serving.told.answers.lock().unwrap();
    assert_eq!(answers.len(), 400);
    assert!(answers.iter().all(|(.., is_complete)| *is_complete));
    let lens: HashSet<u64> = answers.iter().map(|&(_, _, bytes, _)| bytes).collect();
    assert_eq!(lens, HashSet::from([11, 12]));
}

#[test]
fn long_headers_reach_the_guest() {
    let serving = serve();
    let mut client = serving.client();
    let value = "v".repeat(60_000);
    client.send(format!(
        "GET /headers HTTP/1.1\r\nhost: test\r\nx-long: {value}\r\n\r\n"
    ));
    let response = client.response().unwrap();
    assert_eq!(response.status, 200);
    assert!(response.text().contains(&format!("x-long: {value}\n")));
    let many: String = (0..90).map(|i| format!("x-{i}: {i}\r\n")).collect();
    client.send(format!("GET /headers HTTP/1.1\r\nhost: test\r\n{many}\r\n"));
    let response = client.response().unwrap();
    assert!(response.text().contains("x-0: 0\n") && response.text().contains("x-89: 89\n"));
}
