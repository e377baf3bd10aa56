//! Requests that guests send.

use crate::common::{Host, fetch, frames, full, get, post, run, serve, serve_connections, soon};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, Request, Response};
use mintage_wasi_http::{
    Destinations, Error, RequestOptions, SendRequestFuture, WasiBody, WasiHttpCtx, WasiHttpHooks,
    default_send_request,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(request: Request<Incoming>) -> Response<crate::common::ServerBody> {
    let body = request.into_body().map_err(|error| panic!("{error}"));
    Response::new(body.boxed_unsync())
}

#[tokio::test]
async fn heads_go_both_ways() {
    let server = serve(|request: Request<Incoming>| async move {
        let headers = request.headers();
        let text = format!(
            "{} {} host={} a={:?} length={:?}",
            request.method(),
            request.uri(),
            headers["host"].to_str().unwrap(),
            headers.get_all("a").iter().collect::<Vec<_>>(),
            headers.get("content-length"),
        );
        let response = Response::builder().status(418);
        let response = response
            .header("b", "1")
            .header("b", "2")
            .header("keep-alive", "x");
        response.body(full(text)).unwrap()
    })
    .await;
    let mut request = fetch(format!("http://{server}/path?query"));
    *request.method_mut() = Method::from_bytes(b"PURGE").unwrap();
    request
        .headers_mut()
        .append("a", HeaderValue::from_static("1"));
    request
        .headers_mut()
        .append("a", HeaderValue::from_static("2"));
    let answer = soon(run(Host::new(), request)).await.answer();
    let expected = format!(r#"PURGE /path?query host={server} a=["1", "2"] length=None"#);
    assert_eq!(answer.text(), expected);
    assert_eq!(answer.status, 418);
    assert_eq!(
        answer.headers.get_all("b").iter().collect::<Vec<_>>(),
        ["1", "2"]
    );
    assert!(!answer.headers.contains_key("keep-alive"));
}

#[tokio::test]
async fn parts_of_uris_are_checked() {
    let answer = run(Host::new(), get("/uris")).await.answer();
    assert_eq!(answer.text(), "Some(ErrorCode::HttpRequestUriInvalid)");
}

#[tokio::test]
async fn bodies_go_both_ways() {
    let server = serve(echo).await;
    for len in [0, 1, 100_000, 3_000_000] {
        let bytes: Vec<u8> = (0..len).map(|index| (index % 253) as u8).collect();
        let mut request = post("/fetch", bytes.clone());
        let url = format!("http://{server}/").parse().unwrap();
        request.headers_mut().insert("x-url", url);
        let answer = soon(run(Host::new(), request)).await.answer();
        assert!(answer.body.unwrap() == bytes, "{len}");
    }
}

#[tokio::test]
async fn trailers_go_both_ways() {
    let server = serve(echo).await;
    let (sender, body) = frames();
    let request = Request::post("http://a/fetch").header("x-url", format!("http://{server}/"));
    // HTTP/1.1 sends only trailers that the head announces, if the peer wants them.
    let request = request.header("trailer", "sum").header("te", "trailers");
    let outcome = tokio::spawn(run(Host::new(), request.body(body).unwrap()));
    sender
        .send(Ok(Frame::data(Bytes::from_static(b"abc"))))
        .await
        .unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", HeaderValue::from_static("3"));
    sender.send(Ok(Frame::trailers(trailers))).await.unwrap();
    drop(sender);
    let outcome = soon(outcome).await.unwrap();
    assert_eq!(outcome.stdout, "finish: Ok(())\n");
    assert_eq!(outcome.answer().text(), "abc");
}

#[tokio::test]
async fn a_request_of_a_wrong_size_is_broken_off() {
    let server = serve(|request: Request<Incoming>| async move {
        assert!(request.into_body().collect().await.is_err());
        Response::new(full("x"))
    })
    .await;
    let mut request = post("/fetch", "abc");
    let headers = request.headers_mut();
    headers.insert("x-url", format!("http://{server}/").parse().unwrap());
    headers.insert("content-length", HeaderValue::from_static("4"));
    let outcome = soon(run(Host::new(), request)).await;
    let code = "ErrorCode::HttpRequestBodySize(Some(3))";
    assert_eq!(outcome.stdout, format!("finish: Err({code})\n"));
    assert_eq!(outcome.answer().text(), code);
}

#[tokio::test]
async fn destinations_are_allowed_by_the_host() {
    let server = serve(|_| async { Response::new(full("hello")) }).await;
    let url = format!("http://{server}/");
    let denied = "ErrorCode::HttpRequestDenied";
    let answer = run(Host::with(WasiHttpCtx::new()), fetch(&url))
        .await
        .answer();
    assert_eq!((answer.status.as_u16(), answer.text()), (502, denied));
    let mut http = WasiHttpCtx::new();
    http.allow_destination("example.com").unwrap();
    let other = http.clone();
    http.allow_destination(&server.to_string()).unwrap();
    let answer = run(Host::with(http.clone()), fetch(&url)).await.answer();
    assert_eq!(answer.text(), "hello");
    let answer = run(Host::with(other), fetch(&url)).await.answer();
    assert_eq!(answer.text(), denied);
    http.set_destinations(Destinations::none());
    http.allow_destinations_if(|uri| uri.path() == "/yes");
    for (path, expected) in [("yes", "hello"), ("no", denied)] {
        let answer = run(Host::with(http.clone()), fetch(format!("{url}{path}")))
            .await
            .answer();
        assert_eq!(answer.text(), expected);
    }
}

/// Answers requests itself, but for those that it sends with a header.
struct Own;

impl WasiHttpHooks for Own {
    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> SendRequestFuture {
        Box::new(async move {
            let io = Box::new(std::future::ready(Ok(()))) as Box<dyn Future<Output = _> + Send>;
            match request.uri().path() {
                "/own" => {
                    let body = full("own").map_err(|never| match never {});
                    Ok((Response::new(body.boxed_unsync()), io))
                }
                "/fails" => Err(Error::LoopDetected),
                _ => {
                    request
                        .headers_mut()
                        .insert("key", HeaderValue::from_static("123"));
                    let (response, _) = default_send_request(request, options).await?;
                    Ok((response, io))
                }
            }
        })
    }
}

#[tokio::test]
async fn a_host_sends_requests_its_own_way() {
    let server = serve(|request: Request<Incoming>| async move {
        Response::new(full(format!("{:?}", request.headers()["key"])))
    })
    .await;
    for (url, expected) in [
        ("http://nowhere/own".to_string(), "own"),
        (
            "http://nowhere/fails".to_string(),
            "ErrorCode::LoopDetected",
        ),
        (format!("http://{server}/"), "\"123\""),
    ] {
        let mut host = Host::new();
        host.hooks = Some(Box::new(Own));
        assert_eq!(run(host, fetch(url)).await.answer().text(), expected);
    }
}

/// Answers each connection with these bytes, and closes it.
async fn serve_bytes(bytes: &'static [u8]) -> std::net::SocketAddr {
    serve_connections(move |mut stream: TcpStream| async move {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(bytes).await;
    })
    .await
}

#[tokio::test]
async fn failures_have_their_codes() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let large = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(200_000));
    let large: &'static [u8] = Vec::leak(large.into_bytes());
    for (url, expected) in [
        (format!("http://{closed}/"), "ErrorCode::ConnectionRefused"),
        ("http://name.invalid/".to_string(), "ErrorCode::DnsError("),
        ("ftp://a/".to_string(), "ErrorCode::HttpProtocolError"),
        (
            format!("http://{}/", serve_bytes(b"").await),
            "ErrorCode::HttpResponseIncomplete",
        ),
        (
            format!("http://{}/", serve_bytes(b"HTTP/1.1 200").await),
            "ErrorCode::HttpResponseIncomplete",
        ),
        (
            format!("http://{}/", serve_bytes(b"no HTTP\r\n\r\n").await),
            "ErrorCode::HttpProtocolError",
        ),
        (
            format!("http://{}/", serve_bytes(large).await),
            "ErrorCode::HttpResponseHeaderSectionSize(None)",
        ),
    ] {
        let answer = soon(run(Host::new(), fetch(&url))).await.answer();
        let text = answer.text();
        assert!(text.starts_with(expected), "{url}: {text}");
    }
    // In the middle of the body, the guest has a part.
    for (bytes, expected) in [
        (
            &b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart"[..],
            "partErrorCode::HttpResponseIncomplete",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
            "partErrorCode::HttpResponseIncomplete",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\nx\r\n",
            "partErrorCode::",
        ),
    ] {
        let url = format!("http://{}/", serve_bytes(bytes).await);
        let answer = soon(run(Host::new(), fetch(&url))).await.answer();
        let text = answer.text();
        assert!(text.starts_with(expected), "{text}");
    }
}

#[tokio::test]
async fn methods_that_need_a_tunnel_are_refused() {
    let mut request = fetch("http://127.0.0.1:1/");
    *request.method_mut() = Method::CONNECT;
    let answer = run(Host::new(), request).await.answer();
    assert_eq!(answer.text(), "ErrorCode::HttpRequestMethodInvalid");
}

#[tokio::test]
async fn each_step_has_a_timeout() {
    // Never answers.
    let silent = serve_connections(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut request = fetch(format!("http://{silent}/"));
    request
        .headers_mut()
        .insert("x-first-byte", HeaderValue::from_static("50"));
    let answer = soon(run(Host::new(), request)).await.answer();
    assert_eq!(answer.text(), "ErrorCode::ConnectionReadTimeout");
    // Answers with a part, and then nothing.
    let stops = serve_connections(|mut stream| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart")
            .await;
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut request = fetch(format!("http://{stops}/"));
    request
        .headers_mut()
        .insert("x-between-bytes", HeaderValue::from_static("50"));
    let answer = soon(run(Host::new(), request)).await.answer();
    assert_eq!(answer.text(), "partErrorCode::ConnectionReadTimeout");
    // A handshake of TLS that never ends is a part of connecting.
    let mut request = fetch(format!("https://{silent}/"));
    request
        .headers_mut()
        .insert("x-connect", HeaderValue::from_static("50"));
    let answer = soon(run(Host::new(), request)).await.answer();
    assert_eq!(answer.text(), "ErrorCode::ConnectionTimeout");
}

#[tokio::test]
async fn a_guest_sends_a_body_as_slowly_as_the_server_reads() {
    // Reads nothing until it is told to.
    let server = serve_connections(|mut stream| async move {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let mut bytes = vec![0; 1 << 16];
        let mut len = 0;
        while len < 20 << 20 {
            match stream.read(&mut bytes).await {
                Ok(read) if read > 0 => len += read,
                _ => return,
            }
        }
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await;
    })
    .await;
    let mut request = post("/fetch", vec![7; 20 << 20]);
    let url = format!("http://{server}/").parse().unwrap();
    request.headers_mut().insert("x-url", url);
    let answer = soon(run(Host::new(), request)).await.answer();
    assert_eq!(answer.text(), "ok");
}
