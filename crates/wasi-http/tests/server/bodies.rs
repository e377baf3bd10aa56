//! Bodies in both directions.

use crate::client::get;
use crate::common::{serve, serve_with};
use std::thread;

#[test]
fn bodies_of_all_sizes_pass() {
    let serving = serve();
    let mut client = serving.client();
    for len in [0, 1, 4095, 4096, 65_536, 65_537, 1 << 20, 5_000_000] {
        let text = "y".repeat(len);
        assert_eq!(
            client.post("/count", &text).text(),
            format!("{len} bytes\n")
        );
        let response = client.get(&format!("/large?{len}"));
        assert_eq!(response.body.len(), len);
        let expected = (0..len).all(|i| response.body[i] == (i % 4096) as u8);
        assert!(expected, "{len}");
        let response = client.get(&format!("/sized?{len}"));
        assert_eq!(response.header("content-length"), Some(&*len.to_string()));
        assert_eq!(response.body.len(), len);
    }
}

#[test]
fn an_echo_streams_while_both_sides_go_on() {
    let serving = serve();
    let mut client = serving.client();
    client.send("POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send("5\r\nfirst\r\n");
    // The head and the first chunk are there before the request has ended.
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.chunk().unwrap().unwrap(), b"first");
    for i in 0..20 {
        client.send(format!("3\r\n{i:03}\r\n"));
        assert_eq!(
            client.chunk().unwrap().unwrap(),
            format!("{i:03}").as_bytes()
        );
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk().unwrap(), None);
}

#[test]
fn back_pressure_reaches_both_sides() {
    // More than all buffers of the system hold.
    let len = 64 << 20;
    let serving = serve();
    let mut client = serving.client();
    let mut writer = client.stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        use std::io::Write;
        let head = format!("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: {len}\r\n\r\n");
        writer.write_all(head.as_bytes()).unwrap();
        let block = vec![b'z'; 1 << 20];
        for _ in 0..len >> 20 {
            writer.write_all(&block).unwrap();
        }
    });
    // Nothing is taken until the server has had time to fill what it can.
    thread::sleep(std::time::Duration::from_millis(300));
    let resident = serving.engine.metrics().resident_bytes;
    let response = client.response().unwrap();
    assert_eq!(response.body.len(), len);
    assert!(resident < 16 << 20, "{resident}");
    sender.join().unwrap();
}

#[test]
fn chunks_with_extensions_and_trailers_are_read() {
    let serving = serve();
    let mut client = serving.client();
    client.send(
        "POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n\
         5;name=\"value\"\r\nhello\r\nA\r\n and again\r\n0\r\nx-trailer: yes\r\n\r\n",
    );
    assert_eq!(client.response().unwrap().text(), "hello and again");
    assert_eq!(client.get("/hello").status, 200);
}

#[test]
fn trailers_of_a_client_reach_the_guest() {
    let serving = serve();
    let mut client = serving.client();
    let head = "POST /read-trailers HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n";
    for (end, text) in [
        ("x-sum: 5\r\nx-other: a b\r\n", "x-sum: 5\nx-other: a b\n"),
        ("", "none\n"),
    ] {
        client.send(format!(
            "{head}trailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\n{end}\r\n"
        ));
        assert_eq!(client.response().unwrap().text(), format!("Ok(5)\n{text}"));
    }
    // A body of known length has none.
    let response = client.post("/read-trailers", "hello");
    assert_eq!(response.text(), "Ok(5)\nnone\n");
}

#[test]
fn trailers_of_a_guest_reach_the_client() {
    let serving = serve();
    let mut client = serving.client();
    client.send("GET /trailers HTTP/1.1\r\nhost: test\r\nte: trailers\r\n\r\n");
    let response = client.response().unwrap();
    assert_eq!(response.text(), "some text\n");
    assert_eq!(response.trailers, ["x-sum: 10"]);
    // A client that does not ask for trailers gets none.
    client.send(get("/trailers"));
    let response = client.response().unwrap();
    assert_eq!(response.text(), "some text\n");
    assert!(response.trailers.is_empty());
}

#[test]
fn a_client_that_expects_100_continue_gets_it_when_the_body_is_wanted() {
    let serving = serve();
    let mut client = serving.client();
    let head = |target| {
        format!(
            "POST {target} HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\
             expect: 100-continue\r\n\r\n"
        )
    };
    client.send(head("/count"));
    assert_eq!(client.head().unwrap().status, 100);
    client.send("hello");
    assert_eq!(client.response().unwrap().text(), "5 bytes\n");
    // A guest that does not read the body answers at once.
    client.send(head("/hello"));
    let response = client.response().unwrap();
    assert_eq!((response.status, response.text()), (200, "Hello, world!\n"));
}

#[test]
fn a_guest_that_answers_before_it_reads_the_body_is_heard() {
    let serving = serve();
    let mut client = serving.client();
    client.send("POST /hello HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\nstart");
    let response = client.response().unwrap();
    assert_eq!((response.status, response.text()), (200, "Hello, world!\n"));
    serving.wait_until_idle();
}

#[test]
fn bodies_that_are_too_large_are_refused() {
    let serving = serve_with(|_| {}, |service| service.max_request_body(1000));
    let mut client = serving.client();
    assert_eq!(
        client.post("/count", &"x".repeat(1000)).text(),
        "1000 bytes\n"
    );
    // By what the client says.
    let response = client.post("/count", &"x".repeat(1001));
    assert_eq!(
        (response.status, response.text()),
        (413, "413 Payload Too Large\n")
    );
    assert_eq!(serving.engine.metrics().instances_created, 1);

    // By what it sends.
    let mut client = serving.client();
    client.send("POST /count HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send(format!("400\r\n{}\r\n0\r\n\r\n", "x".repeat(0x400)));
    assert_eq!(client.response().unwrap().status, 413);
    serving.wait_until_idle();
    assert!(serving.failure("/count").contains("too large"));
}
