//! A host, its guest, bodies and a server.

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mintage::component::{Component, Linker};
use mintage::{Engine, Error, Result, Store};
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use mintage_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
use mintage_wasi_http::p2::bindings::ProxyPre;
use mintage_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use mintage_wasi_http::p2::body::HyperOutgoingBody;
use mintage_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView, default_hooks};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub const GUEST: &[u8] = include_bytes!("guest/guest.wasm");

/// The data of a store.
pub struct Host {
    pub wasi: WasiCtx,
    pub http: WasiHttpCtx,
    pub table: ResourceTable,
    pub hooks: Option<Box<dyn WasiHttpHooks>>,
    pub stdout: MemoryOutputPipe,
}

impl Host {
    /// Creates a host whose guest may send requests everywhere.
    pub fn new() -> Host {
        let mut http = WasiHttpCtx::new();
        http.allow_all_destinations();
        Host::with(http)
    }

    pub fn with(http: WasiHttpCtx) -> Host {
        let stdout = MemoryOutputPipe::new(1 << 20);
        Host {
            wasi: WasiCtx::builder().stdout(stdout.clone()).build(),
            http,
            table: ResourceTable::new(),
            hooks: None,
            stdout,
        }
    }
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
            hooks: match &mut self.hooks {
                Some(hooks) => &mut **hooks,
                None => default_hooks(),
            },
        }
    }
}

pub static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

static PROXY: LazyLock<ProxyPre<Host>> = LazyLock::new(|| {
    let mut linker = Linker::new(&ENGINE);
    // The guest's standard library needs all of WASI.
    mintage_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    mintage_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
    let component = Component::new(&ENGINE, GUEST).unwrap();
    ProxyPre::new(linker.instantiate_pre(&component).unwrap()).unwrap()
});

/// A guest that handles a request.
pub struct Running {
    pub response: oneshot::Receiver<Result<Response<HyperOutgoingBody>, ErrorCode>>,
    pub guest: JoinHandle<(Result<()>, Host)>,
}

/// Starts a guest.
pub fn start<B>(mut host: Host, request: Request<B>) -> Running
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<mintage_wasi_http::Error>,
{
    let (sender, response) = oneshot::channel();
    let mut http = host.http();
    let request = http.new_incoming_request(Scheme::Http, request).unwrap();
    let out = http.new_response_outparam(sender).unwrap();
    let guest = tokio::spawn(async move {
        let mut store = Store::new(&ENGINE, host);
        let handled = async {
            let proxy = PROXY.instantiate_async(&mut store).await?;
            let handler = proxy.wasi_http_incoming_handler();
            handler.call_handle(&mut store, request, out).await
        };
        let result = handled.await;
        let mut host = store.into_data();
        // What a guest that has trapped leaves goes with its store.
        host.table = ResourceTable::new();
        (result, host)
    });
    Running { response, guest }
}

/// What a guest has done.
#[derive(Debug)]
pub struct Outcome {
    /// The response, unless the guest has set none.
    pub response: Option<Result<Answer, ErrorCode>>,
    pub result: Result<()>,
    pub stdout: String,
}

impl Outcome {
    /// Returns the response of a guest that has succeeded.
    #[track_caller]
    pub fn answer(self) -> Answer {
        self.result.unwrap();
        self.response.unwrap().unwrap()
    }

    /// Returns the error of a guest that has trapped.
    #[track_caller]
    pub fn trap(self) -> Error {
        self.result.unwrap_err()
    }
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The whole body, or why it was broken off.
    pub body: Result<Vec<u8>, mintage_wasi_http::Error>,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().unwrap()).unwrap()
    }
}

/// Runs a guest to its end, and reads its response.
pub async fn run<B>(host: Host, request: Request<B>) -> Outcome
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<mintage_wasi_http::Error>,
{
    let Running { response, guest } = start(host, request);
    let response = async {
        match response.await {
            Ok(Ok(response)) => Some(Ok(collect(response).await)),
            Ok(Err(code)) => Some(Err(code)),
            Err(_) => None,
        }
    };
    let (response, guest) = tokio::join!(response, guest);
    let (result, host) = guest.unwrap();
    let stdout = String::from_utf8(host.stdout.contents().to_vec()).unwrap();
    Outcome {
        response,
        result,
        stdout,
    }
}

pub async fn collect(response: Response<HyperOutgoingBody>) -> Answer {
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    let mut trailers = None;
    let body = loop {
        match body.frame().await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
            Some(Err(error)) => break Err(error),
            None => break Ok(bytes),
        }
    };
    Answer {
        status: head.status,
        headers: head.headers,
        body,
        trailers,
    }
}

pub fn get(path: &str) -> Request<Empty<Bytes>> {
    let uri = format!("http://example.com{path}");
    Request::get(uri).body(Empty::new()).unwrap()
}

pub fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let uri = format!("http://example.com{path}");
    Request::post(uri).body(Full::new(body.into())).unwrap()
}

/// A request that makes the guest send one to `url`.
pub fn fetch(url: impl Into<String>) -> Request<Empty<Bytes>> {
    let mut request = get("/fetch");
    let url = url.into().parse().unwrap();
    request.headers_mut().insert("x-url", url);
    request
}

/// A body whose frames come from a channel.
pub struct Frames(pub mpsc::Receiver<Result<Frame<Bytes>, mintage_wasi_http::Error>>);

pub type FrameSender = mpsc::Sender<Result<Frame<Bytes>, mintage_wasi_http::Error>>;

pub fn frames() -> (FrameSender, Frames) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Frames(receiver))
}

impl Body for Frames {
    type Data = Bytes;
    type Error = mintage_wasi_http::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx)
    }
}

pub type ServerBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

pub fn full(bytes: impl Into<Bytes>) -> ServerBody {
    Full::new(bytes.into()).boxed_unsync()
}

/// Starts a server of HTTP/1.1, and returns its address.
pub async fn serve<F, R>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<ServerBody>> + Send + 'static,
{
    serve_connections(move |stream| {
        let answer = answer.clone();
        async move {
            let service = service_fn(move |request| {
                let response = answer(request);
                async move { Ok::<_, Infallible>(response.await) }
            });
            let builder = hyper::server::conn::http1::Builder::new();
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    })
    .await
}

/// Starts a server that has a function for each connection, and returns its address.
pub async fn serve_connections<F, R>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Ends a test that hangs.
pub async fn soon<F: Future>(future: F) -> F::Output {
    let most = Duration::from_secs(60);
    let output = tokio::time::timeout(most, future).await;
    output.expect("this should not take so long")
}
