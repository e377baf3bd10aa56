//! A server without guests, as the bound for `mintage serve`: `bare-hyper ADDRESS [THREADS]`.
//!
//! It answers as the guests in `benches/serve/guests` do: hello, and to a POST how long its body
//! was. Each thread has a listener and an executor of its own.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .context("usage: bare-hyper ADDRESS [THREADS]")?;
    let address: SocketAddr = address
        .parse()
        .with_context(|| format!("`{address}` is not an address such as 127.0.0.1:8080"))?;
    let threads = match arguments.next() {
        Some(text) => text
            .parse()
            .with_context(|| format!("`{text}` is not a number"))?,
        None => std::thread::available_parallelism()?.get(),
    };
    let servers: Vec<_> = (0..threads)
        .map(|_| std::thread::spawn(move || serve(address)))
        .collect();
    for server in servers {
        server.join().expect("a server does not panic")?;
    }
    Ok(())
}

/// Serves on one thread.
fn serve(address: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = listen(address).with_context(|| format!("cannot listen at {address}"))?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::task::spawn_local(async {
                let connection = hyper::server::conn::http1::Builder::new()
                    .pipeline_flush(true)
                    .serve_connection(TokioIo::new(stream), service_fn(answer));
                // Clients may close a connection at any time.
                let _ = connection.await;
            });
        }
    })
}

/// Listens at an address that other threads listen at, too: the system distributes connections.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn answer(request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let text = match *request.method() {
        Method::POST => {
            let body = request.into_body().collect().await?.to_bytes();
            Bytes::from(format!("{} bytes\n", body.len()))
        }
        _ => Bytes::from_static(b"hello\n"),
    };
    let mut response = Response::new(Full::new(text));
    let kind = header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
