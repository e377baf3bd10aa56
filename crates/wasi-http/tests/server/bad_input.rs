//! Requests that are not HTTP, or that mean different things to different servers.

use crate::common::{Serving, serve};

/// Sends bytes on a connection of their own, and returns what the server sends until it closes it.
fn raw(serving: &Serving, bytes: &[u8]) -> String {
    let mut client = serving.client();
    client.send(bytes);
    client.end();
    client.rest()
}

fn status(text: &str) -> Option<u16> {
    text.split(' ').nth(1)?.parse().ok()
}

#[test]
fn requests_with_two_meanings_are_refused() {
    let serving = serve();
    let smuggled = "GET /next HTTP/1.1\r\nhost: test\r\n\r\n";
    let len = smuggled.len();
    for (name, request) in [
        (
            "both lengths",
            format!(
                "POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: {len}\r\n\
                 transfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
            ),
        ),
        (
            "two lengths",
            format!(
                "POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\
                 content-length: {len}\r\n\r\n{smuggled}"
            ),
        ),
        (
            "a list of lengths",
            format!(
                "POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: 0, {len}\r\n\r\n{smuggled}"
            ),
        ),
        (
            "a negative length",
            format!("POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: -1\r\n\r\n{smuggled}"),
        ),
        (
            "a signed length",
            "POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: +5\r\n\r\nhello".to_string(),
        ),
        (
            "a length that is too large",
            "POST /count HTTP/1.1\r\nhost: test\r\ncontent-length: 99999999999999999999\r\n\r\n"
                .into(),
        ),
        (
            "an encoding before chunked that is not known",
            "POST /count HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked, identity\r\n\r\n\
             0\r\n\r\n"
                .into(),
        ),
        (
            "an encoding of HTTP/1.0",
            "POST /count HTTP/1.0\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
                .into(),
        ),
        (
            "obsolete folding",
            "GET /hello HTTP/1.1\r\nhost: test\r\nx-folded: a\r\n b\r\n\r\n".into(),
        ),
        (
            "a space before the colon",
            "POST /count HTTP/1.1\r\nhost: test\r\ncontent-length : 5\r\n\r\nhello".into(),
        ),
        (
            "a line feed in a name",
            "GET /hello HTTP/1.1\r\nhost: test\r\nx\ny: z\r\n\r\n".into(),
        ),
        (
            "a zero in a value",
            "GET /hello HTTP/1.1\r\nhost: test\r\nx: \0\r\n\r\n".into(),
        ),
        (
            "a carriage return in a value",
            "GET /hello HTTP/1.1\r\nhost: test\r\nx: a\rb\r\n\r\n".into(),
        ),
    ] {
        let text = raw(&serving, request.as_bytes());
        let is_refused = text.is_empty() || status(&text) == Some(400);
        // Both lengths: hyper takes the body as chunked, and forgets the length, as RFC 9112 (6.3)
        // allows. Then the connection must not be used again.
        let is_chunked = name == "both lengths" && text.contains("0 bytes\n");
        assert!(is_refused || is_chunked, "{name}: {text}");
        assert!(!text.contains("\r\n\r\n1\n"), "{name} was smuggled: {text}");
    }
    serving.wait_until_idle();
}

#[test]
fn bad_chunks_end_the_connection_and_the_guest() {
    let serving = serve();
    for chunk in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5",
        "5\r\nhel",
    ] {
        let request = format!(
            "POST /count HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n{chunk}\
             GET /next HTTP/1.1\r\nhost: test\r\n\r\n"
        );
        let text = raw(&serving, request.as_bytes());
        assert!(status(&text) != Some(200), "{chunk:?}: {text}");
        assert!(!text.contains("1\n"), "{chunk:?} was smuggled: {text}");
    }
    serving.wait_until_idle();
    assert_eq!(serving.client().get("/hello").status, 200);
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let serving = serve();
    let long = "x".repeat(100_000);
    let many: String = (0..500).map(|i| format!("x-{i}: {i}\r\n")).collect();
    for (name, head) in [
        (
            "target",
            format!("GET /{long} HTTP/1.1\r\nhost: test\r\n\r\n"),
        ),
        (
            "value",
            format!("GET /hello HTTP/1.1\r\nhost: test\r\nx: {long}\r\n\r\n"),
        ),
        (
            "name",
            format!("GET /hello HTTP/1.1\r\nhost: test\r\n{long}: x\r\n\r\n"),
        ),
        (
            "count",
            format!("GET /hello HTTP/1.1\r\nhost: test\r\n{many}\r\n"),
        ),
    ] {
        let mut client = serving.client();
        // The server may close the connection before all is sent.
        use std::io::Write;
        let _ = client.stream.write_all(head.as_bytes());
        let text = client.rest();
        let status = status(&text);
        assert!(
            text.is_empty() || matches!(status, Some(400 | 414 | 431)),
            "{name}: {text}"
        );
    }
    assert_eq!(serving.engine.metrics().instances_created, 0);
    assert_eq!(serving.client().get("/hello").status, 200);
}

#[test]
fn what_is_no_request_is_refused() {
    let serving = serve();
    for bytes in [
        &b"\r\n\r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /hello\r\n\r\n",
        b"GET /hello HTTP/9.9\r\nhost: test\r\n\r\n",
        b"GET  HTTP/1.1\r\nhost: test\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nhost: test\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot frames at all, but text",
        b"P",
        b"",
    ] {
        let text = raw(&serving, bytes);
        assert!(!text.contains(" 200 "), "{bytes:?}: {text}");
    }
    assert_eq!(serving.engine.metrics().instances_created, 0);
    assert_eq!(serving.client().get("/hello").status, 200);
}

#[test]
fn hosts_are_required_and_connect_is_not_supported() {
    let serving = serve();
    for (request, expected) in [
        ("GET /hello HTTP/1.1\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (
            "CONNECT example.com:80 HTTP/1.1\r\nhost: example.com:80\r\n\r\n",
            501,
        ),
        (
            "GET http://example.com/hello HTTP/1.1\r\nhost: test\r\n\r\n",
            200,
        ),
    ] {
        let mut client = serving.client();
        client.send(request);
        assert_eq!(client.response().unwrap().status, expected, "{request}");
    }
    assert_eq!(serving.engine.metrics().instances_created, 1);
}

#[test]
fn targets_are_passed_on_as_they_are() {
    let serving = serve();
    for target in ["/%", "/%zz", "/%00", "/%c3%28", "/..%2f..", "//", "/?%"] {
        let response = serving.client().get(target);
        assert_eq!(response.status, 404, "{target}");
    }
    assert_eq!(serving.client().get("/status?200").status, 200);
    serving.wait_until_idle();
}
