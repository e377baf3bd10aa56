//! A server that gives each request an instance of its own: `http-host FILE ADDRESS` serves the
//! component in a file, for example `http-host app.wasm 127.0.0.1:8080`. Without arguments, it
//! serves a small component that is part of the example, asks it something, and ends.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mintage::component::{Component, Linker};
use mintage::error::{bail, ensure};
use mintage::{Engine, Result, Store};
use mintage_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
use mintage_wasi_http::p2::bindings::ProxyPre;
use mintage_wasi_http::p2::bindings::http::types::Scheme;
use mintage_wasi_http::{
    Client, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpView, default_hooks,
};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Echoes bodies of requests to `/echo`, and does more: see its source.
const GUEST: &[u8] = include_bytes!("../tests/it/guest/guest.wasm");

/// The data of a store.
struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: default_hooks(),
        }
    }
}

/// What all requests share.
struct Server {
    proxy: ProxyPre<Host>,
    /// Cloned for each request. The guest may send requests to one server alone.
    http: WasiHttpCtx,
}

impl Server {
    fn new(engine: &Engine, component: &Component) -> Result<Server> {
        let mut linker = Linker::new(engine);
        // The guest's standard library needs all of WASI.
        mintage_wasi::p2::add_to_linker_async(&mut linker)?;
        mintage_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        let proxy = ProxyPre::new(linker.instantiate_pre(component)?)?;
        let mut http = WasiHttpCtx::new();
        http.allow_destination("https://api.example.com")?;
        Ok(Server { proxy, http })
    }

    /// Handles a request. The guest goes on after this with the body of its response.
    async fn handle(&self, request: Request<Incoming>) -> Result<Response<WasiBody>> {
        let host = Host {
            wasi: WasiCtx::builder().inherit_stderr().build(),
            http: self.http.clone(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(self.proxy.engine(), host);
        let (sender, receiver) = oneshot::channel();
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request)?;
        let out = http.new_response_outparam(sender)?;
        let proxy = self.proxy.instantiate_async(&mut store).await?;
        let guest = tokio::spawn(async move {
            let handler = proxy.wasi_http_incoming_handler();
            handler.call_handle(&mut store, request, out).await
        });
        match receiver.await {
            Ok(response) => Ok(response?),
            Err(_) => match guest.await? {
                Ok(()) => bail!("the guest has set no response"),
                Err(error) => Err(error),
            },
        }
    }
}

async fn serve(server: Arc<Server>, listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(server.clone(), stream));
    }
}

async fn connection(server: Arc<Server>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let server = server.clone();
        async move {
            Ok::<_, Infallible>(server.handle(request).await.unwrap_or_else(|error| {
                eprintln!("a request failed: {error:#}");
                // The client learns nothing of the inside.
                let body = Full::default().map_err(|never| match never {});
                let mut response = Response::new(body.boxed_unsync());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }))
        }
    });
    let builder = hyper::server::conn::http1::Builder::new();
    if let Err(error) = builder
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        eprintln!("a connection failed: {error}");
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [file, address] => {
            let server = Server::new(&engine, &Component::from_file(&engine, file)?)?;
            serve(Arc::new(server), TcpListener::bind(address).await?).await
        }
        [] => {
            let server = Server::new(&engine, &Component::new(&engine, GUEST)?)?;
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let uri = format!("http://{}/echo", listener.local_addr()?);
            tokio::spawn(serve(Arc::new(server), listener));
            let body = Full::new(Bytes::from("is anyone there?"));
            let body = body.map_err(|never| match never {}).boxed_unsync();
            let response = Client::shared()
                .send(Request::post(uri).body(body)?, None)
                .await?;
            let bytes = response.into_body().collect().await?.to_bytes();
            ensure!(
                bytes == "is anyone there?",
                "the guest has answered {bytes:?}"
            );
            println!(
                "the guest has answered: {}",
                String::from_utf8_lossy(&bytes)
            );
            Ok(())
        }
        _ => bail!("usage: http-host [FILE ADDRESS]"),
    }
}
