//! `wasi:http` 0.3 without a server: what hosts pass to guests and get from them. The tests of the
//! server have the rest.

use crate::common::{Answer, ENGINE, Host, collect, get, post};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use mintage::component::{Component, Linker};
use mintage::{Result, Store};
use mintage_wasi::WasiCtx;
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use mintage_wasi_http::p3::Request;
use mintage_wasi_http::p3::bindings::ServicePre;
use mintage_wasi_http::{
    Error, RequestOptions, SendRequestFuture, WasiBody, WasiHttpCtx, WasiHttpHooks, default_hooks,
};
use std::future::poll_fn;
use std::sync::LazyLock;
use tokio::sync::oneshot;

const GUEST: &[u8] = include_bytes!("../guests/p3/service.wasm");

pub static SERVICE: LazyLock<ServicePre<Host>> = LazyLock::new(|| {
    let component = Component::new(&ENGINE, GUEST).unwrap();
    ServicePre::new(linker().instantiate_pre(&component).unwrap()).unwrap()
});

pub fn linker() -> Linker<Host> {
    let mut linker = Linker::new(&ENGINE);
    // The guest's standard library needs 0.2.
    mintage_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    mintage_wasi::p3::add_to_linker(&mut linker).unwrap();
    mintage_wasi_http::p3::add_to_linker(&mut linker).unwrap();
    linker
}

/// What becomes of a response.
pub enum Reader {
    /// It is read to its end, and was sent with this result.
    Sent(Result<(), Error>),
    /// It is dropped after its first frame.
    Leaves,
}

/// Has the guest handle a request, as [`handle_by`] does.
async fn handle<B>(
    host: Host,
    request: http::Request<B>,
    reader: Reader,
) -> (Result<Answer>, Result<(), Error>, String)
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Error>,
{
    handle_by(&SERVICE, host, request, reader).await
}

/// Has a guest handle a request, to its end. Returns the response, how the guest has received the
/// request, and what the guest has printed.
pub async fn handle_by<B>(
    service: &ServicePre<Host>,
    mut host: Host,
    request: http::Request<B>,
    reader: Reader,
) -> (Result<Answer>, Result<(), Error>, String)
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Error>,
{
    let stderr = MemoryOutputPipe::new(1 << 16);
    host.wasi = WasiCtx::builder().stderr(stderr.clone()).build();
    let (request, received) = Request::from_http(default_hooks(), request);
    let mut store = Store::new(&ENGINE, host);
    let service = service.instantiate_async(&mut store).await.unwrap();
    let running = store.run_concurrent(async |accessor| {
        let response = service.handle(accessor, request).await??;
        let (sent, leaves) = match reader {
            Reader::Sent(sent) => (sent, false),
            Reader::Leaves => (Ok(()), true),
        };
        let sent = std::future::ready(sent);
        let mut response = accessor.with(|store| response.into_http(store, sent))?;
        if leaves {
            response.body_mut().frame().await.unwrap().unwrap();
            *response.body_mut() = Full::default()
                .map_err(|never| match never {})
                .boxed_unsync();
        }
        let answer = collect(response).await;
        poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        Ok(answer)
    });
    let answer = running.await.and_then(|answer| answer);
    drop(store);
    let printed = String::from_utf8(stderr.contents().to_vec()).unwrap();
    (answer, received.await, printed)
}

pub fn sent() -> Reader {
    Reader::Sent(Ok(()))
}

#[tokio::test]
async fn a_guest_learns_how_its_response_was_sent() {
    for (target, code) in [
        ("/sized?10,5", "HttpResponseBodySize(Some(5))"),
        ("/sized?3,10", "HttpResponseBodySize(Some(10))"),
        ("/broken-trailers", "LoopDetected"),
    ] {
        let (answer, _, printed) = handle(Host::new(), get(target), sent()).await;
        let error = answer.unwrap().body.unwrap_err();
        assert_eq!(
            printed,
            format!("sent: Err(ErrorCode::{code})\n"),
            "{error}"
        );
    }
    let (answer, _, printed) = handle(Host::new(), get("/trailers"), sent()).await;
    let answer = answer.unwrap();
    assert_eq!(answer.text(), "with trailers\n");
    assert_eq!(answer.trailers.unwrap()["x-trailer"], "yes");
    assert_eq!(printed, "sent: Ok(())\n");
    // The host has the last word.
    let late = Reader::Sent(Err(Error::HttpResponseTimeout));
    let (_, _, printed) = handle(Host::new(), get("/sent"), late).await;
    assert_eq!(printed, "sent: Err(ErrorCode::HttpResponseTimeout)\n");
    let (_, _, printed) = handle(Host::new(), get("/endless"), Reader::Leaves).await;
    assert_eq!(printed, "stopped: Err(ErrorCode::ConnectionTerminated)\n");
}

#[tokio::test]
async fn the_host_learns_how_its_request_was_received() {
    for target in ["/echo", "/pass", "/read-nothing"] {
        let (answer, received, _) = handle(Host::new(), post(target, "body"), sent()).await;
        let expected = match target {
            "/read-nothing" => "read nothing\n",
            _ => "body",
        };
        assert_eq!(answer.unwrap().text(), expected);
        received.unwrap();
    }
}

#[tokio::test]
async fn the_limits_of_the_context_hold() {
    let mut request = get("/send");
    let url = "http://localhost:1/".parse().unwrap();
    request.headers_mut().insert("x-url", url);
    let (answer, _, _) = handle(Host::with(WasiHttpCtx::new()), request, sent()).await;
    assert_eq!(answer.unwrap().text(), "ErrorCode::HttpRequestDenied\n");
    let mut ctx = WasiHttpCtx::new();
    ctx.set_max_outgoing_bodies(0);
    let (answer, _, _) = handle(Host::with(ctx), get("/hello"), sent()).await;
    let error = answer.unwrap_err().to_string();
    assert!(error.contains("set_max_outgoing_bodies"), "{error}");
}

/// Answers requests without a network, and tells when the guest has dealt with the response.
struct Hooks(Option<oneshot::Sender<Result<(), Error>>>);

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> SendRequestFuture {
        let tell = self.0.take().unwrap();
        tokio::spawn(async move { drop(tell.send(Box::into_pin(processed).await)) });
        Box::new(async move {
            let body = request.into_body().collect().await?.to_bytes();
            let body = Full::new(body).map_err(|never| match never {});
            let response = http::Response::new(body.boxed_unsync());
            let io: Box<dyn Future<Output = _> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((response, io))
        })
    }
}

#[tokio::test]
async fn hooks_send_requests() {
    let (tell, told) = oneshot::channel();
    let mut host = Host::new();
    host.hooks = Some(Box::new(Hooks(Some(tell))));
    let mut request = get("/upload?100000");
    let url = "http://example.com/".parse().unwrap();
    request.headers_mut().insert("x-url", url);
    let (answer, _, printed) = handle(host, request, sent()).await;
    let answer = answer.unwrap();
    assert!(
        answer.text().starts_with("200 \"\" 100000 "),
        "{}",
        answer.text()
    );
    assert_eq!(printed, "sent: Ok(())\n");
    told.await.unwrap().unwrap();
}
