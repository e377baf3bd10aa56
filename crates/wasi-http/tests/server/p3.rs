//! Guests of `wasi:http` 0.3, in a server that takes those of 0.2 as well.

use crate::client::{Client, get};
use crate::common::{P3, Serving, guest_of, link, serve_guest, store, wait_until};
use http::Request;
use http::header::HOST;
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use mintage_wasi_http::server::{ProxyPre, warm_up};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

fn serve() -> Serving {
    serve_guest(P3, |_| {}, |service| service)
}

/// Creates a server whose guests have little time.
fn hasty() -> Serving {
    let timeout = Some(Duration::from_millis(300));
    serve_guest(P3, |_| {}, |service| service.timeout(timeout))
}

/// Asserts that other clients are served, and that nothing is left behind.
fn is_well(serving: &Serving) {
    let response = serving.client().get("/hello");
    assert_eq!((response.status, response.text()), (200, "Hello, world!\n"));
    serving.wait_until_idle();
}

/// Sends a request whose guest sends one to `url`, and returns the response.
fn aimed(client: &mut Client, target: &str, url: &str) -> crate::client::Response {
    client.send(format!(
        "GET {target} HTTP/1.1\r\nhost: test\r\nx-url: {url}\r\n\r\n"
    ));
    client.response().unwrap()
}

fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}

#[test]
fn a_guest_answers_each_request_by_an_instance_of_its_own() {
    let serving = serve();
    assert!(matches!(guest_of(P3), ProxyPre::P3(_)));
    let mut client = serving.client();
    for _ in 0..3 {
        let response = client.get("/hello");
        assert_eq!((response.status, response.text()), (200, "Hello, world!\n"));
        // The guest does not say it, but it is known.
        assert_eq!(response.header("content-length"), Some("14"));
        assert_eq!(response.header("content-type"), Some("text/plain"));
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
    for line in ["x-one: 1", "x-one: 2", "x-bytes: Ã¤", "x-empty: "] {
        assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
    }
    assert!(
        !text.contains("connection:") && !text.contains("host:"),
        "{text}"
    );
    client.send("BREW /headers HTTP/1.1\r\nhost: test\r\n\r\n");
    let response = client.response().unwrap();
    assert!(response.text().starts_with("Method::Other(\"BREW\")"));
    // A target that is none.
    client.send("GET /headers HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().unwrap().status, 400);
}

#[test]
fn statuses_are_those_of_the_guest() {
    let serving = serve();
    let mut client = serving.client();
    for status in [201, 404, 418, 500, 599] {
        let response = client.get(&format!("/status?{status}"));
        assert_eq!((response.status, response.text()), (status, "as asked\n"));
    }
    for status in [204, 304] {
        let response = client.get(&format!("/status?{status}"));
        assert_eq!((response.status, response.body.len()), (status, 0));
    }
    for status in [0, 99, 600, 1000] {
        let response = client.get(&format!("/status?{status}"));
        assert_eq!(response.text(), "no such status\n", "{status}");
    }
    // A guest can set these, but no final response has them.
    for status in [100, 101, 199] {
        let response = serving.client().get(&format!("/status?{status}"));
        assert_eq!(response.status, 502, "{status}");
    }
    // HEAD has no body, whatever the guest writes.
    client.send("HEAD /large?1000000 HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.get("/no-body").header("content-length"), Some("0"));
    is_well(&serving);
}

#[test]
fn bodies_of_all_sizes_pass() {
    let serving = serve();
    let mut client = serving.client();
    for len in [0, 1, 4095, 4096, 65_535, 65_536, 65_537, 1 << 20, 5_000_000] {
        let text = "y".repeat(len);
        for target in ["/echo", "/pass"] {
            let response = client.post(target, &text);
            assert_eq!(response.status, 200);
            assert!(response.text() == text, "{target}: {len}");
        }
        let response = client.get(&format!("/large?{len}"));
        assert_eq!(response.body.len(), len);
        let is_same = |(at, byte): (usize, &u8)| *byte == (at % 100_000) as u8;
        assert!(response.body.iter().enumerate().all(is_same), "{len}");
    }
    is_well(&serving);
}

#[test]
fn an_echo_streams_while_both_sides_go_on() {
    let serving = serve();
    for target in ["/echo", "/pass"] {
        let mut client = serving.client();
        client.send(format!(
            "POST {target} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n"
        ));
        client.send("5\r\nfirst\r\n");
        // The head and the first chunk are there before the request has ended.
        assert_eq!(client.head().unwrap().status, 200);
        assert_eq!(client.chunk().unwrap().unwrap(), b"first");
        for i in 0..20 {
            client.send(format!("3\r\n{i:03}\r\n"));
            let expected = format!("{i:03}");
            assert_eq!(client.chunk().unwrap().unwrap(), expected.as_bytes());
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.chunk().unwrap(), None);
    }
    is_well(&serving);
}

#[test]
fn back_pressure_reaches_both_sides() {
    // More than all buffers of the system hold.
    let len = 32 << 20;
    let serving = serve();
    for target in ["/echo", "/pass"] {
        let mut client = serving.client();
        let mut writer = client.stream.try_clone().unwrap();
        let sender = thread::spawn(move || {
            use std::io::Write;
            let head =
                format!("POST {target} HTTP/1.1\r\nhost: test\r\ncontent-length: {len}\r\n\r\n");
            writer.write_all(head.as_bytes()).unwrap();
            let block = vec![b'z'; 1 << 20];
            for _ in 0..len >> 20 {
                writer.write_all(&block).unwrap();
            }
        });
        // Nothing is taken until the server has had time to fill what it can.
        thread::sleep(Duration::from_millis(300));
        let resident = serving.engine.metrics().resident_bytes;
        let response = client.response().unwrap();
        assert_eq!(response.body.len(), len);
        assert!(resident < 16 << 20, "{target}: {resident}");
        sender.join().unwrap();
    }
    is_well(&serving);
}

#[test]
fn trailers_pass_in_both_directions() {
    let serving = serve();
    let mut client = serving.client();
    client.send("GET /trailers HTTP/1.1\r\nhost: test\r\nte: trailers\r\n\r\n");
    let response = client.response().unwrap();
    assert_eq!(response.text(), "with trailers\n");
    assert_eq!(response.trailers, ["x-trailer: yes"]);
    let chunked = "transfer-encoding: chunked\r\nte: trailers\r\n\r\n";
    client.send(format!(
        "POST /read-trailers HTTP/1.1\r\nhost: test\r\n{chunked}5\r\nhello\r\n0\r\nx-trailer: \
         yes\r\n\r\n"
    ));
    assert_eq!(
        client.response().unwrap().text(),
        "5 bytes\nx-trailer: yes\n"
    );
    assert_eq!(
        client.post("/read-trailers", "abc").text(),
        "3 bytes, none\n"
    );
    // A stream that is dropped is skipped, so that its end is known.
    client.send(format!(
        "POST /read-some HTTP/1.1\r\nhost: test\r\n{chunked}14\r\n01234567890123456789\r\n0\r\n\
         x-trailer: yes\r\n\r\n"
    ));
    assert_eq!(client.response().unwrap().text(), "10 bytes, Ok(true)\n");
    // A body that is not read does not disturb the connection.
    assert_eq!(client.post("/read-nothing", "abc").text(), "read nothing\n");
    is_well(&serving);
    assert_eq!(serving.errors.contents(), "sent: Ok(())\n");
}

#[test]
fn bodies_with_another_length_than_declared_are_broken_off() {
    for (target, starts) in [("/sized?10,5", "xxxxx"), ("/sized?3,10", "")] {
        let serving = serve();
        let mut client = serving.client();
        client.send(get(target));
        // Before or after the head, and not with other bytes.
        let text = client.rest();
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(starts.starts_with(body), "{text}");
        serving.wait_until_idle();
        assert!(!serving.answer(target).2);
        is_well(&serving);
    }
    let serving = serve();
    let mut client = serving.client();
    let response = client.get("/sized?7,7");
    assert_eq!(response.text(), "xxxxxxx");
    client.send(get("/broken-trailers"));
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.chunk().unwrap().unwrap(), b"a part");
    client.closed();
    // A request that is shorter than it says.
    let mut client = serving.client();
    client.send("POST /read-trailers HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nabc");
    client.end();
    let _ = client.rest();
    is_well(&serving);
}

#[test]
fn a_guest_learns_how_its_response_was_sent() {
    let serving = serve();
    assert_eq!(serving.client().get("/sent").text(), "sent\n");
    serving.wait_until_idle();
    assert_eq!(serving.errors.contents(), "sent: Ok(())\n");
}

#[test]
fn fields_options_and_requests_keep_their_rules() {
    let serving = serve();
    let mut client = serving.client();
    for target in ["/fields", "/options", "/requests"] {
        assert_eq!(client.get(target).text(), "ok\n", "{target}");
    }
    // 128 KiB of one, and 4 MiB of all.
    let response = client.get("/field-limits");
    let (one, all) = response.text().trim().split_once(' ').unwrap();
    assert_eq!(one, "13");
    assert!((300..500).contains(&all.parse().unwrap()), "{all}");
    is_well(&serving);
}

#[test]
fn a_guest_that_hoards_meets_a_limit() {
    let serving = serve();
    assert_eq!(serving.client().get("/hoard").status, 500);
    let failure = serving.failure("/hoard");
    assert!(failure.contains("the guest failed"), "{failure}");
    is_well(&serving);
}

#[test]
fn traps_end_the_request_and_nothing_else() {
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
    client.send(get("/trap-in"));
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.chunk().unwrap().unwrap(), b"a part");
    client.closed();
    assert!(serving.failure("/trap-in").contains("unreachable"));
    assert_eq!(serving.answer("/trap-in"), (Some(200), 6, false));
    let response = serving.client().get("/trap-after");
    assert_eq!((response.status, response.text()), (200, "all of it\n"));
    assert!(serving.failure("/trap-after").contains("unreachable"));
    is_well(&serving);
    assert_eq!(serving.engine.metrics().traps, 3);
}

#[test]
fn a_guest_that_computes_or_waits_for_ever_is_ended_in_time() {
    for target in ["/spin", "/never"] {
        let serving = hasty();
        assert_eq!(serving.client().get(target).status, 504, "{target}");
        let failure = serving.failure(target);
        assert!(failure.contains("timed out"), "{failure}");
        assert_eq!(serving.service.metrics().timed_out, 1);
        is_well(&serving);
    }
    // With a head that was sent already.
    for target in ["/no-end", "/spin-after"] {
        let serving = hasty();
        let mut client = serving.client();
        client.send(get(target));
        assert_eq!(client.head().unwrap().status, 200);
        let failure = serving.failure(target);
        assert!(failure.contains("timed out"), "{failure}");
        is_well(&serving);
    }
    let serving = hasty();
    let mut client = serving.client();
    client.send("POST /read-trailers HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf");
    assert_eq!(client.response().unwrap().status, 408);
    is_well(&serving);
}

#[test]
fn guests_that_compute_leave_time_to_others() {
    let serving = serve_guest(P3, |config| _ = config.threads(1), |service| service);
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
    drop(spinning);
    is_well(&serving);
}

#[test]
fn errors_of_the_guest_are_those_of_a_gateway() {
    let serving = serve();
    let mut client = serving.client();
    for (target, status, failure) in [
        ("/error", 502, "ConnectionRefused"),
        ("/timeout", 504, "ConnectionTimeout"),
    ] {
        assert_eq!(client.get(target).status, status, "{target}");
        let found = serving.failure(target);
        assert!(found.contains(failure), "{target}: {found}");
    }
    is_well(&serving);
}

#[test]
fn a_guest_goes_on_after_its_response() {
    let serving = serve();
    let mut client = serving.client();
    for _ in 0..2 {
        assert_eq!(client.get("/later?100").text(), "now\n");
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
    // In the middle of its response, and of its request.
    let mut client = serving.client();
    client.send(get("/endless"));
    assert_eq!(client.head().unwrap().status, 200);
    client.exactly(1 << 20).unwrap();
    drop(client);
    serving.wait_until_idle();
    assert!(!serving.answer("/endless").2);
    for target in ["/echo", "/pass", "/read-trailers"] {
        let mut client = serving.client();
        client.send(format!(
            "POST {target} HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf"
        ));
        wait_until("it runs", || serving.engine.metrics().instances_live == 1);
        drop(client);
        serving.wait_until_idle();
    }
    is_well(&serving);
}

#[test]
fn requests_that_are_too_large_are_refused() {
    let serving = serve_guest(P3, |_| {}, |service| service.max_request_body(10));
    let mut client = serving.client();
    assert_eq!(client.post("/echo", &"x".repeat(11)).status, 413);
    let mut client = serving.client();
    client.send(
        "POST /read-trailers HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n\
         10\r\n0123456789012345\r\n0\r\n\r\n",
    );
    let response = client.response().unwrap();
    // The guest learns of it, and answers.
    assert_eq!(response.status, 200);
    assert!(
        response.text().contains("HttpRequestBodySize"),
        "{}",
        response.text()
    );
    is_well(&serving);
}

#[test]
fn a_guest_sends_requests() {
    let (serving, upstream) = (serve(), serve());
    let mut client = serving.client();
    let to = |path: &str| url(upstream.address, path);
    let response = aimed(&mut client, "/send", &to("/hello"));
    assert_eq!(
        response.text(),
        "200 \"\" 14 \"Hello, world!\\n\" Ok(None)\n"
    );
    let response = aimed(&mut client, "/send", &to("/trailers"));
    assert_eq!(
        response.text(),
        "200 \"\" 14 \"with trailers\\n\" Ok(Some(\"yes\"))\n"
    );
    let response = aimed(&mut client, "/send", &to("/large?300000"));
    assert!(
        response.text().starts_with("200 \"\" 300000 "),
        "{}",
        response.text()
    );
    for len in [0, 1, 65_537, 3_000_000] {
        let response = aimed(&mut client, &format!("/upload?{len}"), &to("/echo"));
        let start = format!("200 \"\" {len} ");
        assert!(response.text().starts_with(&start), "{}", response.text());
    }
    let response = aimed(&mut client, "/upload-trailers", &to("/read-trailers"));
    assert!(
        response.text().contains("x-trailer: of the guest"),
        "{}",
        response.text()
    );
    let response = aimed(&mut client, "/download", &to("/large?3000000"));
    assert_eq!(response.body.len(), 3_000_000);
    let response = aimed(&mut client, "/download", &to("/trailers"));
    assert_eq!((response.status, response.text()), (200, "with trailers\n"));
    let response = aimed(&mut client, "/upload-short", &to("/echo"));
    let text = response.text();
    assert!(text.matches("HttpRequestBodySize").count() >= 1, "{text}");
    // The response ends before the body of the request.
    let response = aimed(&mut client, "/upload?30000000", &to("/read-nothing"));
    assert_eq!(response.status, 200);
    is_well(&serving);
    upstream.wait_until_idle();
}

#[test]
fn a_guest_forwards_requests_as_they_are() {
    let (serving, upstream) = (serve(), serve());
    let mut client = serving.client();
    for len in [0, 3, 2_000_000] {
        let body = "f".repeat(len);
        client.send(format!(
            "POST /forward HTTP/1.1\r\nhost: test\r\nx-url: {}\r\ncontent-length: {len}\r\n\r\n\
             {body}",
            url(upstream.address, "/echo")
        ));
        let response = client.response().unwrap();
        assert_eq!(response.status, 200);
        assert!(response.text() == body, "{len}");
    }
    client.send(format!(
        "POST /forward HTTP/1.1\r\nhost: test\r\nx-url: {}\r\ntrailer: x-trailer\r\n\
         transfer-encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\nx-trailer: yes\r\n\r\n",
        url(upstream.address, "/read-trailers")
    ));
    assert_eq!(
        client.response().unwrap().text(),
        "3 bytes\nx-trailer: yes\n"
    );
    is_well(&serving);
    upstream.wait_until_idle();
}

#[test]
fn a_body_that_is_passed_on_is_sent_to_its_end_after_the_response() {
    let serving = serve();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let (mut received, mut block) = (Vec::new(), [0; 1024]);
        let mut answered = false;
        while !received.ends_with(b"0\r\n\r\n") {
            match stream.read(&mut block).unwrap() {
                0 => break,
                count => received.extend_from_slice(&block[..count]),
            }
            if !answered {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .unwrap();
                answered = true;
            }
        }
        String::from_utf8(received).unwrap()
    });
    let mut client = serving.client();
    client.send(format!(
        "POST /forward HTTP/1.1\r\nhost: test\r\nx-url: {}\r\n\
         transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        url(address, "/")
    ));
    assert_eq!(client.response().unwrap().text(), "ok");
    client.send("3\r\ndef\r\n0\r\n\r\n");
    let received = upstream.join().unwrap();
    assert!(received.ends_with("\r\ndef\r\n0\r\n\r\n"), "{received}");
    is_well(&serving);
}

#[test]
fn requests_that_fail_have_error_codes() {
    let serving = serve();
    let mut client = serving.client();
    // Bound, and does not listen any more.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (target, code) in [
        (url(closed, "/"), "ConnectionRefused"),
        ("http://name.invalid/".into(), "DnsError"),
        ("gopher://localhost/".into(), "HttpProtocolError"),
    ] {
        let response = aimed(&mut client, "/send", &target);
        assert!(
            response.text().contains(code),
            "{target}: {}",
            response.text()
        );
    }
    let response = aimed(&mut client, "/upload?10", &url(closed, "/"));
    assert!(
        response.text().contains("ConnectionRefused"),
        "{}",
        response.text()
    );
    // A server that accepts and does not answer.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = url(silent.local_addr().unwrap(), "/");
    let response = aimed(&mut client, "/timeouts", &target);
    assert!(response.text().contains("Timeout"), "{}", response.text());
    let response = aimed(&mut client, "/cancel", &target);
    assert_eq!(response.text(), "given up: true\n");
    is_well(&serving);
    let errors = String::from_utf8(serving.errors.contents().to_vec()).unwrap();
    assert_eq!(errors, "sent: Err(ErrorCode::ConnectionRefused)\n");
}

#[test]
fn requests_at_a_time_have_a_limit() {
    let (serving, upstream) = (serve(), serve());
    let target = url(upstream.address, "/sleep?200");
    let response = aimed(&mut serving.client(), "/send-many?200", &target);
    assert_eq!(response.text(), "[128, 72, 0]\n");
    is_well(&serving);
}

#[test]
fn a_guest_that_is_warmed_up_goes_on_from_there() {
    let (guest, errors) = (guest_of(P3), MemoryOutputPipe::new(1000));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let warm = |target: &str| {
        let request = Request::get(target).header(HOST, "test");
        let request = request.body(String::new()).unwrap();
        runtime.block_on(warm_up(&guest, store(guest.engine(), &errors), request))
    };
    let (status, component) = warm("/next").unwrap();
    assert_eq!(status, 200);
    let serving = serve();
    serving.service.replace(link(&component));
    let mut client = serving.client();
    for _ in 0..3 {
        assert_eq!(client.get("/next").text(), "2\n");
    }
    assert_eq!(warm("/large?1000000").unwrap().0, 200);
    let error = format!("{:#}", warm("/trap-before").unwrap_err());
    assert!(error.contains("the guest failed"), "{error}");
    let error = format!("{:#}", warm("/error").unwrap_err());
    assert!(error.contains("ConnectionRefused"), "{error}");
    assert_eq!(client.post("/echo", "still").text(), "still");
}
