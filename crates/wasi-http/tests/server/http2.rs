//! HTTP/2 without TLS: a client of hyper, and frames by hand.

use crate::client::Client;
use crate::common::{P2, P3, Serving, serve, serve_guest, serve_with, wait_until};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mintage_wasi_http::server::ServerConfig;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;

/// Runs a test on a runtime of its own, whose client goes on while the test waits.
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

type Sender = http2::SendRequest<RequestBody>;

type RequestBody = UnsyncBoxBody<Bytes, Infallible>;

async fn connect(serving: &Serving) -> Sender {
    let stream = TcpStream::connect(serving.address).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(async move {
        // How it ends is seen by the requests.
        let _ = connection.await;
    });
    sender
}

fn request(target: &str, body: impl Into<Bytes>) -> Request<RequestBody> {
    Request::post(format!("http://test{target}"))
        .body(Full::new(body.into()).boxed_unsync())
        .unwrap()
}

/// Servers of guests of both versions.
fn both() -> [Serving; 2] {
    [P2, P3].map(|guest| serve_guest(guest, |_| {}, |service| service))
}

#[test]
fn requests_of_one_connection_are_answered_at_once() {
    for (serving, trailer) in both().into_iter().zip(["x-sum", "x-trailer"]) {
        block_on(async {
            let mut sender = connect(&serving).await;
            let slow: Vec<_> = (0..20)
                .map(|_| tokio::spawn(sender.send_request(request("/sleep?300", ""))))
                .collect();
            let response = sender.send_request(request("/echo", "some text")).await;
            let response = response.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "some text");
            for slow in slow {
                assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::OK);
            }
            let large = vec![b'x'; 3 << 20];
            let response = sender.send_request(request("/echo", large.clone())).await;
            let body = response.unwrap().into_body().collect().await.unwrap();
            assert!(body.to_bytes() == large);
            let response = sender.send_request(request("/trailers", "")).await;
            let body = response.unwrap().into_body().collect().await.unwrap();
            let trailers = body.trailers().cloned().unwrap();
            assert!(trailers.contains_key(trailer), "{trailers:?}");
            let response = sender.send_request(request("/headers", "")).await;
            let body = response.unwrap().into_body().collect().await.unwrap();
            let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
            assert!(
                text.starts_with("Method::Post Some(Scheme::Http) Some(\"test\")"),
                "{text}"
            );
        });
        serving.wait_until_idle();
    }
}

/// A request body whose frames a test sends.
struct Fed(tokio::sync::mpsc::UnboundedReceiver<Frame<Bytes>>);

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

#[test]
fn streams_of_one_connection_go_both_ways_at_once() {
    for serving in both() {
        block_on(async {
            let mut sender = connect(&serving).await;
            let mut streams = Vec::new();
            for _ in 0..8 {
                let (feed, frames) = tokio::sync::mpsc::unbounded_channel();
                let request = Request::post("http://test/echo").body(Fed(frames).boxed_unsync());
                let response = sender.send_request(request.unwrap());
                streams.push((feed, tokio::spawn(response)));
            }
            let mut open = Vec::new();
            for (feed, response) in streams {
                feed.send(Frame::data("first".into())).unwrap();
                // The head is there before the request has ended.
                let mut body = response.await.unwrap().unwrap().into_body();
                let frame = body.frame().await.unwrap().unwrap();
                assert_eq!(frame.into_data().unwrap(), "first");
                open.push((feed, body));
            }
            for round in 0..20 {
                for (stream, (feed, body)) in open.iter_mut().enumerate() {
                    let text = format!("{stream}: {round}");
                    feed.send(Frame::data(text.clone().into())).unwrap();
                    let frame = body.frame().await.unwrap().unwrap();
                    assert_eq!(frame.into_data().unwrap(), text);
                }
            }
            for (feed, body) in open {
                drop(feed);
                assert_eq!(body.collect().await.unwrap().to_bytes(), "");
            }
        });
        serving.wait_until_idle();
    }
}

#[test]
fn trailers_of_requests_reach_the_guest() {
    let [_, serving] = both();
    block_on(async {
        let mut sender = connect(&serving).await;
        for (target, expected) in [
            ("/read-trailers", "5 bytes\nx-trailer: yes\n"),
            ("/read-some", "5 bytes, Ok(true)\n"),
        ] {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-trailer", "yes".parse().unwrap());
            let body = Full::new(Bytes::from("hello")).with_trailers(async { Some(Ok(trailers)) });
            let request = Request::post(format!("http://test{target}")).body(body.boxed_unsync());
            let response = sender.send_request(request.unwrap()).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, expected);
        }
        // Passed on unread, with its trailers.
        let mut trailers = HeaderMap::new();
        trailers.insert("x-trailer", "passed".parse().unwrap());
        let body = Full::new(Bytes::from("hello")).with_trailers(async { Some(Ok(trailers)) });
        let request = Request::post("http://test/pass").body(body.boxed_unsync());
        let response = sender.send_request(request.unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-trailer"], "passed");
        assert_eq!(body.to_bytes(), "hello");
    });
    serving.wait_until_idle();
}

#[test]
fn streams_share_an_instance_if_the_host_chooses_so() {
    let shared = |service: mintage_wasi_http::server::ProxyService<_>| {
        let service = service.max_instance_reuse_count(1000);
        service.max_instance_concurrent_reuse_count(100)
    };
    let serving = serve_guest(P3, |_| {}, shared);
    block_on(async {
        let mut sender = connect(&serving).await;
        let slow: Vec<_> = (0..20)
            .map(|_| tokio::spawn(sender.send_request(request("/sleep?300", ""))))
            .collect();
        let large = vec![b'x'; 3 << 20];
        for target in ["/echo", "/pass"] {
            let response = sender.send_request(request(target, large.clone())).await;
            let body = response.unwrap().into_body().collect().await.unwrap();
            assert!(body.to_bytes() == large);
        }
        for slow in slow {
            assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::OK);
        }
        assert_eq!(serving.engine.metrics().instances_created, 1);
        // A stream that is reset is a client that has gone away.
        let abandoned = sender.send_request(request("/never", ""));
        let abandoned = tokio::time::timeout(Duration::from_millis(100), abandoned);
        assert!(abandoned.await.is_err());
        let response = sender.send_request(request("/next", "")).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "1\n");
    });
    serving.wait_until_idle();
}

#[test]
fn a_trap_and_an_abandoned_request_hit_no_other() {
    for serving in both() {
        block_on(async {
            let mut sender = connect(&serving).await;
            let slow = tokio::spawn(sender.send_request(request("/sleep?300", "")));
            let response = sender.send_request(request("/trap-before", "")).await;
            let status = response.unwrap().status();
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            let response = sender.send_request(request("/trap-in", "")).await.unwrap();
            assert!(response.into_body().collect().await.is_err());
            let abandoned = sender.send_request(request("/never", ""));
            let abandoned = tokio::time::timeout(Duration::from_millis(100), abandoned);
            assert!(abandoned.await.is_err());
            let response = slow.await.unwrap().unwrap();
            assert_eq!(response.status(), StatusCode::OK);
        });
        serving.wait_until_idle();
    }
}

#[test]
fn a_server_that_shuts_down_tells_its_clients() {
    let mut serving = serve();
    block_on(async {
        let mut sender = connect(&serving).await;
        let slow = tokio::spawn(sender.send_request(request("/sleep?300", "")));
        wait_until("it runs", || serving.service.under_way() == 1);
        serving.running().shut_down();
        assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::OK);
        assert!(sender.send_request(request("/hello", "")).await.is_err());
    });
    let took = serving.shut_down();
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn connections_without_requests_are_closed() {
    let short = Duration::from_millis(200);
    let serving = serve_with(|config| _ = config.idle_timeout(short), |service| service);
    block_on(async {
        let mut sender = connect(&serving).await;
        let response = sender.send_request(request("/sleep?500", "")).await;
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    });
    // Its client has gone without a word, or is told to.
    wait_until("it is closed", || serving.running().connections() == 0);
}

#[test]
fn a_response_that_its_client_does_not_take_is_reset() {
    let short = Duration::from_millis(200);
    for guest in [P2, P3] {
        let set = |config: &mut ServerConfig| _ = config.write_timeout(short);
        let serving = serve_guest(guest, set, |service| service);
        block_on(async {
            let mut sender = connect(&serving).await;
            let response = sender.send_request(request("/endless", "")).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            // The guest ends, while the connection and its other streams go on.
            wait_until("it is reset", || serving.service.under_way() == 0);
            let other = sender.send_request(request("/hello", "")).await.unwrap();
            assert_eq!(other.status(), StatusCode::OK);
            assert!(response.into_body().collect().await.is_err());
            // One that takes its time, but goes on, is not reset, and neither is a slow guest.
            let slow = sender.send_request(request("/drip?30", "")).await.unwrap();
            let slow = slow.into_body().collect().await.unwrap();
            assert_eq!(slow.to_bytes().len(), 150);
        });
        assert!(!serving.answer("http://test/endless").2);
        serving.wait_until_idle();
    }
}

/// Returns a frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Connects and begins to speak HTTP/2.
fn begin(serving: &Serving) -> Client {
    let mut client = serving.client();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send(frame(SETTINGS, 0, 0, &[]));
    client
}

/// The headers of a request for `/never`, without compression.
fn head() -> Vec<u8> {
    // `:method: GET` and `:scheme: http` are in the table of HPACK.
    let mut bytes = vec![0x82, 0x86];
    for (name, value) in [(":path", "/never"), (":authority", "test")] {
        bytes.push(0);
        bytes.push(name.len() as u8);
        bytes.extend(name.as_bytes());
        bytes.push(value.len() as u8);
        bytes.extend(value.as_bytes());
    }
    bytes
}

/// Sends bytes again and again until the server closes the connection. Returns how often.
fn flood(client: &mut Client, mut next: impl FnMut(u32) -> Vec<u8>, most: u32) -> u32 {
    use std::io::Write;
    for i in 0..most {
        if client.stream.write_all(&next(i)).is_err() {
            return i;
        }
    }
    most
}

#[test]
fn requests_that_are_reset_at_once_do_not_pile_up() {
    let serving = serve();
    let mut client = begin(&serving);
    let flooded = flood(
        &mut client,
        |i| {
            let stream = 2 * i + 1;
            let mut bytes = frame(HEADERS, END_STREAM | END_HEADERS, stream, &head());
            bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
            bytes
        },
        20_000,
    );
    // The server may cut the client off; in any case it serves others, and nothing is left.
    assert!(flooded > 0);
    assert_eq!(serving.client().get("/hello").status, 200);
    drop(client);
    serving.wait_until_idle();
    wait_until("it is closed", || serving.running().connections() == 0);
}

#[test]
fn requests_beyond_the_limit_of_a_connection_are_refused() {
    let serving = serve_with(|config| _ = config.max_streams(10), |service| service);
    let mut client = begin(&serving);
    for i in 0..50 {
        client.send(frame(HEADERS, END_STREAM | END_HEADERS, 2 * i + 1, &head()));
    }
    wait_until("ten run", || serving.service.under_way() == 10);
    assert_eq!(serving.client().get("/hello").status, 200);
    assert_eq!(serving.service.under_way(), 10);
    drop(client);
    serving.wait_until_idle();
}

#[test]
fn headers_without_an_end_are_cut_off() {
    let serving = serve();
    let mut client = begin(&serving);
    client.send(frame(HEADERS, END_STREAM, 1, &head()));
    // Each adds a header of 1,000 bytes.
    let mut header = vec![0, 1, b'x', 0x7f];
    header.extend([0xe9, 0x06]);
    header.extend([b'y'; 1000]);
    let most = 100_000;
    let flooded = flood(&mut client, |_| frame(CONTINUATION, 0, 1, &header), most);
    assert!(flooded < most, "100 MB of headers were taken");
    assert_eq!(serving.client().get("/hello").status, 200);
    drop(client);
    serving.wait_until_idle();
}

#[test]
fn floods_of_empty_frames_and_pings_hit_no_other() {
    let serving = serve();
    for (kind, payload) in [(SETTINGS, &[][..]), (PING, &[0; 8]), (CONTINUATION, &[])] {
        let mut client = begin(&serving);
        // The client does not read what the server answers.
        client
            .stream
            .set_write_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        flood(&mut client, |_| frame(kind, 0, 0, payload), 100_000);
        assert_eq!(serving.client().get("/hello").status, 200, "{kind}");
    }
    wait_until("all are closed", || serving.running().connections() == 0);
}

#[test]
fn an_empty_body_has_its_end_in_the_head() {
    let serving = serve();
    block_on(async {
        let stream = TcpStream::connect(serving.address).await.unwrap();
        let io = TokioIo::new(stream);
        let handshake = http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io);
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("http://test/large?0").body(Empty::new());
        let response = sender.send_request(request.unwrap()).await.unwrap();
        assert!(http_body::Body::is_end_stream(response.body()));
    });
}
