//! The client by itself: its pool of connections.

use crate::common::{full, serve_connections, soon};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use mintage_wasi_http::{Client, ClientBuilder, Error, WasiBody, default_send_request};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server that counts its connections.
struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

async fn server() -> Server {
    let (accepted, open) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (accepts, opens) = (accepted.clone(), open.clone());
    let address = serve_connections(move |stream| {
        accepts.fetch_add(1, SeqCst);
        opens.fetch_add(1, SeqCst);
        let opens = opens.clone();
        async move {
            let service = service_fn(|request: Request<Incoming>| async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(Response::new(full(body)))
            });
            let builder = hyper::server::conn::http1::Builder::new();
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
            opens.fetch_sub(1, SeqCst);
        }
    })
    .await;
    Server {
        address,
        accepted,
        open,
    }
}

fn request(address: SocketAddr, body: &'static str) -> Request<WasiBody> {
    let body = Full::new(Bytes::from_static(body.as_bytes()));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    Request::post(format!("http://{address}/"))
        .body(body)
        .unwrap()
}

async fn send(client: &Client, address: SocketAddr) -> Result<Response<WasiBody>, Error> {
    soon(client.send(request(address, "abc"), None)).await
}

async fn read(response: Response<WasiBody>) -> Bytes {
    soon(response.into_body().collect())
        .await
        .unwrap()
        .to_bytes()
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = server().await;
    let client = Client::default();
    for _ in 0..20 {
        assert_eq!(
            read(send(&client, server.address).await.unwrap()).await,
            "abc"
        );
        // The connection's task ends the exchange.
        tokio::task::yield_now().await;
    }
    assert_eq!(server.accepted.load(SeqCst), 1);
    // Of several at once, each has its own, and all stay.
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(send(&client, server.address).await.unwrap());
    }
    assert_eq!(server.accepted.load(SeqCst), 5);
    for response in all.drain(..) {
        read(response).await;
    }
    tokio::task::yield_now().await;
    for _ in 0..5 {
        all.push(send(&client, server.address).await.unwrap());
    }
    assert_eq!(server.accepted.load(SeqCst), 5);
    // One whose body is not read to its end is not used again.
    drop(all.pop());
    wait_for(&server.open, 4).await;
}

/// Waits until there are so many.
async fn wait_for(counter: &AtomicUsize, count: usize) {
    soon(async {
        while counter.load(SeqCst) != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let server = server().await;
    let client = Client::builder()
        .idle_timeout(Duration::from_millis(50))
        .build();
    read(send(&client, server.address).await.unwrap()).await;
    assert_eq!(server.open.load(SeqCst), 1);
    wait_for(&server.open, 0).await;
    read(send(&client, server.address).await.unwrap()).await;
    assert_eq!(server.accepted.load(SeqCst), 2);
    // Those of a client that is dropped, too.
    drop(client);
    wait_for(&server.open, 0).await;
}

#[tokio::test]
async fn a_client_may_keep_no_connections() {
    let server = server().await;
    let client = Client::builder().max_idle_per_host(0).build();
    for _ in 0..3 {
        read(send(&client, server.address).await.unwrap()).await;
    }
    assert_eq!(server.accepted.load(SeqCst), 3);
    wait_for(&server.open, 0).await;
}

async fn with_limit(builder: ClientBuilder) {
    let server = server().await;
    let client = builder.build();
    let first = send(&client, server.address).await.unwrap();
    let second = send(&client, server.address).await.unwrap();
    let error = send(&client, server.address).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionLimitReached));
    // There is room again once one is idle or closed.
    read(first).await;
    drop(second);
    wait_for(&server.open, 1).await;
    let first = send(&client, server.address).await.unwrap();
    let second = send(&client, server.address).await.unwrap();
    drop((first, second));
}

#[tokio::test]
async fn connections_are_limited() {
    with_limit(Client::builder().max_connections(2)).await;
    with_limit(Client::builder().max_connections_per_host(2)).await;
}

#[tokio::test]
async fn idle_connections_make_room_for_others() {
    let (first, second) = (server().await, server().await);
    let client = Client::builder().max_connections(1).build();
    read(send(&client, first.address).await.unwrap()).await;
    // The idle one is closed, though it counts until its task has ended.
    read(send(&client, second.address).await.unwrap()).await;
    wait_for(&first.open, 0).await;
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_no_failure() {
    // Answers one request a connection, and says nothing of closing it.
    let accepted = Arc::<AtomicUsize>::default();
    let accepts = accepted.clone();
    let address = serve_connections(move |mut stream| {
        accepts.fetch_add(1, SeqCst);
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc")
                .await;
        }
    })
    .await;
    let client = Client::default();
    for _ in 0..10 {
        assert_eq!(read(send(&client, address).await.unwrap()).await, "abc");
    }
    assert!(accepted.load(SeqCst) >= 10);
}

#[tokio::test]
async fn addresses_are_checked_after_the_look_up() {
    let server = server().await;
    let client = Client::builder()
        .check_address(|address| !address.ip().is_loopback())
        .build();
    for host in ["127.0.0.1", "localhost"] {
        let uri = format!("http://{host}:{}/", server.address.port());
        let mut request = request(server.address, "");
        *request.uri_mut() = uri.parse().unwrap();
        let error = soon(client.send(request, None)).await.unwrap_err();
        assert!(matches!(error, Error::DestinationIpProhibited), "{error}");
    }
}

#[tokio::test]
async fn names_are_looked_up() {
    let server = server().await;
    let mut request = request(server.address, "abc");
    let uri = format!("http://LOCALHOST:{}/", server.address.port());
    *request.uri_mut() = uri.parse().unwrap();
    // There may be an address of IPv6, which refuses.
    let response = soon(Client::shared().send(request, None)).await.unwrap();
    assert_eq!(read(response).await, "abc");
}

#[tokio::test]
async fn uris_that_lead_nowhere_are_refused() {
    for uri in ["/", "http://user@a/", "ftp://a/", "*"] {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = Request::get(uri).body(body).unwrap();
        let error = Client::shared().send(request, None).await.unwrap_err();
        assert!(
            matches!(error, Error::HttpRequestUriInvalid),
            "{uri}: {error}"
        );
    }
}

#[test]
fn runtimes_share_no_connections() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (servers, first) = (runtime(), runtime());
    let server = servers.block_on(server());
    let thread = std::thread::spawn(move || servers.block_on(std::future::pending::<()>()));
    let client = Client::default();
    let exchange = || async { read(send(&client, server.address).await.unwrap()).await };
    assert_eq!(first.block_on(exchange()), "abc");
    // The first runtime runs nothing now.
    assert_eq!(runtime().block_on(exchange()), "abc");
    assert_eq!(runtime().block_on(exchange()), "abc");
    assert_eq!(server.accepted.load(SeqCst), 3);
    assert_eq!(first.block_on(exchange()), "abc");
    assert_eq!(server.accepted.load(SeqCst), 3);
    assert!(!thread.is_finished());
}

#[tokio::test]
async fn a_host_sends_requests_of_its_own() {
    let server = server().await;
    let (response, io) = default_send_request(request(server.address, "x"), None)
        .await
        .unwrap();
    io.await.unwrap();
    assert_eq!(read(response).await, "x");
}
