//! Programs that send requests: the server that answers them, and their host.

use crate::{Host, World};
use http::header::CONTENT_LENGTH;
use http::{HeaderName, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mintage::component::{Component, Linker};
use mintage::error::Result;
use mintage::{Engine, Store};
use mintage_wasi::p2::{self, bindings::Command};
use mintage_wasi::{WasiCtxView, WasiView};
use mintage_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tokio::net::TcpListener;

/// Programs whose server knows only HTTP/2.
const HTTP2: &[&str] = &[
    "p2_http_outbound_request_invalid_header",
    "p2_http_outbound_request_invalid_version",
];

/// The data of a store.
struct HttpHost {
    host: Host,
    http: WasiHttpCtx,
    hooks: Hooks,
}

impl WasiView for HttpHost {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.host.ctx()
    }
}

impl WasiHttpView for HttpHost {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.host.table,
            hooks: &mut self.hooks,
        }
    }
}

struct Hooks;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name) || name == "custom-forbidden-header"
    }
}

/// Runs a program that sends requests.
pub async fn run(engine: &Engine, name: &str, path: &Path) -> Result<()> {
    let address = serve(HTTP2.contains(&name)).await?;
    let mut world = World::new(name)?;
    world
        .builder
        .env("HTTP_SERVER", format!("localhost:{}", address.port()));
    let mut http = WasiHttpCtx::new();
    http.allow_all_destinations();
    let host = HttpHost {
        host: Host::new(world.builder.build()),
        http,
        hooks: Hooks,
    };
    let outcome = start(engine, path, host).await;
    world.check(name, outcome)
}

/// Runs a command, which must end well.
async fn start(engine: &Engine, path: &Path, host: HttpHost) -> Result<()> {
    let component = Component::from_file(engine, path)?;
    let mut linker = Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    mintage_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    let mut store = Store::new(engine, host);
    let command = Command::instantiate_async(&mut store, &component, &linker).await?;
    let outcome = command.wasi_cli_run().call_run(&mut store).await?;
    outcome.map_err(|()| mintage::format_err!("the program says that it failed"))
}

/// Starts a server, which runs as long as the runtime. Returns its address.
async fn serve(is_http2: bool) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = TokioIo::new(stream);
            // Some programs break their connection off.
            tokio::spawn(async move {
                if is_http2 {
                    let server = http2::Builder::new(TokioExecutor::new());
                    _ = server.serve_connection(stream, service_fn(answer)).await;
                } else {
                    let server = http1::Builder::new();
                    _ = server.serve_connection(stream, service_fn(answer)).await;
                }
            });
        }
    });
    Ok(address)
}

/// Answers with method and URI of the request as headers, and with its body.
async fn answer(request: Request<Incoming>) -> http::Result<Response<Incoming>> {
    let (head, body) = request.into_parts();
    let mut response = Response::builder()
        .header("x-wasmtime-test-method", head.method.as_str())
        .header("x-wasmtime-test-uri", head.uri.to_string());
    if let Some(length) = head.headers.get(CONTENT_LENGTH) {
        response = response.header(CONTENT_LENGTH, length);
    }
    response.body(body)
}
