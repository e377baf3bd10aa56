//! Programs that send requests: the server that answers them, and their host. Programs that handle
//! requests, by a host that forbids a header.

use crate::{Host, World};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mintage::component::{Component, Linker};
use mintage::error::{Context, Result, ensure};
use mintage::{Engine, Store};
use mintage_wasi::{WasiCtx, WasiCtxView, WasiView, p2, p3};
use mintage_wasi_http::server::{ProxyPre, ProxyService};
use mintage_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, SendRequestFuture, WasiBody, WasiHttpCtx,
    WasiHttpCtxView, WasiHttpHooks, WasiHttpView, default_send_request,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// The ends of names of programs whose server knows only HTTP/2.
const HTTP2: &[&str] = &["_invalid_header", "_invalid_version"];

/// A header that guests neither see nor set.
const FORBIDDEN: &str = "custom-forbidden-header";

/// Authorities that answer every request without a connection.
const NO_SERVER: &[&str] = &["p3-test", "example.com"];

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

#[derive(Clone, Default)]
struct Hooks {
    /// The headers of the last request to `NO_SERVER`.
    sent: Arc<Mutex<Option<HeaderMap>>>,
}

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name) || name == FORBIDDEN
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> SendRequestFuture {
        let authority = request.uri().authority();
        let is_to_no_server = authority.is_some_and(|it| NO_SERVER.contains(&it.as_str()));
        if is_to_no_server {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            *sent = Some(request.headers().clone());
        }
        Box::new(async move {
            if is_to_no_server {
                let body = WasiBody::new(Empty::new().map_err(|never| match never {}));
                let io = Box::new(async { Ok(()) });
                return Ok((
                    Response::new(body),
                    io as Box<dyn Future<Output = _> + Send>,
                ));
            }
            let (response, io) = default_send_request(request, options).await?;
            Ok((response, Box::new(io) as Box<dyn Future<Output = _> + Send>))
        })
    }
}

/// Makes a linker with both versions of WASI.
fn linker(engine: &Engine) -> Result<Linker<HttpHost>> {
    let mut linker = Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    mintage_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    mintage_wasi_http::p3::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Runs a program that sends requests.
pub async fn run(engine: &Engine, name: &str, path: &Path) -> Result<()> {
    let is_http2 = HTTP2.iter().any(|end| name.ends_with(end));
    let address = serve(is_http2).await?;
    let mut world = World::new(name)?;
    world
        .builder
        .env("HTTP_SERVER", format!("localhost:{}", address.port()));
    let mut http = WasiHttpCtx::new();
    http.allow_all_destinations();
    let host = HttpHost {
        host: Host::new(world.builder.build()),
        http,
        hooks: Hooks::default(),
    };
    let outcome = start(engine, name, path, host).await;
    world.check(name, outcome)
}

/// Runs a command, which must end well.
async fn start(engine: &Engine, name: &str, path: &Path, host: HttpHost) -> Result<()> {
    let component = Component::from_file(engine, path)?;
    let linker = linker(engine)?;
    let mut store = Store::new(engine, host);
    let outcome = if name.starts_with("p3_") {
        let command = p3::bindings::Command::instantiate_async(&mut store, &component, &linker);
        let command = command.await?;
        let running =
            store.run_concurrent(async |accessor| command.wasi_cli_run().call_run(accessor).await);
        running.await??
    } else {
        let command = p2::bindings::Command::instantiate_async(&mut store, &component, &linker);
        command.await?.wasi_cli_run().call_run(&mut store).await?
    };
    outcome.map_err(|()| mintage::format_err!("the program says that it failed"))
}

/// Has a program handle a request with headers that it must neither see nor pass on.
pub async fn handle(engine: &Engine, name: &str, path: &Path) -> Result<()> {
    let component = Component::from_file(engine, path)?;
    let guest = ProxyPre::new(linker(engine)?.instantiate_pre(&component)?)?;
    let hooks = Hooks::default();
    let sent = hooks.sent.clone();
    let service = ProxyService::new(guest, move |engine, _| {
        let host = HttpHost {
            host: Host::new(WasiCtx::builder().build()),
            http: WasiHttpCtx::new(),
            hooks: hooks.clone(),
        };
        Ok(Store::new(engine, host))
    });
    let request = Request::get("http://localhost/")
        .header(HOST, "victim.internal")
        .header(CONNECTION, "close")
        .header(FORBIDDEN, "yes")
        .header("foo", "bar");
    let response = service.respond(request.body(Empty::<Bytes>::new())?).await;
    let status = response.status();
    ensure!(status == StatusCode::OK, "the status is {status}");
    if name.starts_with("p3_") {
        let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        let headers = sent.as_ref().context("it sends no request")?;
        let is_hidden = |name: &HeaderName| !headers.contains_key(name);
        ensure!(
            headers.get(HOST).is_none_or(|host| host == "p3-test")
                && is_hidden(&CONNECTION)
                && is_hidden(&HeaderName::from_static(FORBIDDEN))
                && headers.get("foo").is_some_and(|value| value == "bar"),
            "it sends {headers:?}"
        );
    }
    Ok(())
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
