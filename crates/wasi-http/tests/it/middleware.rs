//! Guests of the world `wasi:http/middleware`, whose next handler is the host's.

use crate::common::{ENGINE, Host, get, post};
use crate::p3::{SERVICE, handle_by, linker, sent};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use mintage::component::Component;
use mintage::{Result, Store};
use mintage_wasi_http::p3::bindings::ServicePre;
use mintage_wasi_http::p3::{add_handler_to_linker, forward};
use mintage_wasi_http::{Error, SendRequestFuture, WasiBody, WasiHttpHooks};
use std::path::Path;
use std::sync::LazyLock;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

static MIDDLEWARE: LazyLock<ServicePre<Host>> = LazyLock::new(|| {
    let mut module = wat::parse_str(include_str!("../guests/middleware.wat")).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/p3");
    resolve.push_dir(wit).unwrap();
    let mut packages = resolve.packages.iter();
    let package = packages.find(|(_, package)| package.name.name == "http");
    let package = package.unwrap().0;
    let world = resolve
        .select_world(&[package], Some("middleware"))
        .unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).unwrap();
    let component = Component::new(&ENGINE, encoder.encode().unwrap()).unwrap();
    let mut linker = linker();
    assert!(linker.instantiate_pre(&component).is_err());
    add_handler_to_linker(&mut linker).unwrap();
    ServicePre::new(linker.instantiate_pre(&component).unwrap()).unwrap()
});

/// Passes requests to the guest of the other tests.
struct Next;

impl WasiHttpHooks for Next {
    fn handle_request(
        &mut self,
        request: http::Request<WasiBody>,
        processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> SendRequestFuture {
        let store = Store::new(&ENGINE, Host::new());
        forward(SERVICE.clone(), store, request, processed)
    }
}

/// Answers requests itself.
struct Own;

impl WasiHttpHooks for Own {
    fn handle_request(
        &mut self,
        request: http::Request<WasiBody>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> SendRequestFuture {
        Box::new(async move {
            let uri = request.uri().to_string();
            let body = request.into_body().collect().await?.to_bytes();
            let text = [uri.as_bytes(), b" ", &body].concat();
            let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
            let io: Box<dyn Future<Output = _> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((http::Response::new(body.boxed_unsync()), io))
        })
    }
}

fn host(hooks: impl WasiHttpHooks + 'static) -> Host {
    let mut host = Host::new();
    host.hooks = Some(Box::new(hooks));
    host
}

#[tokio::test]
async fn a_request_goes_through_a_middleware_to_another_guest() {
    let by = &*MIDDLEWARE;
    let (answer, _, _) = handle_by(by, host(Next), get("/hello"), sent()).await;
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (200, "Hello, world!\n")
    );
    assert_eq!(answer.headers["content-type"], "text/plain");
    let large = "x".repeat(3_000_000);
    for target in ["/echo", "/pass"] {
        let request = post(target, large.clone());
        let (answer, received, _) = handle_by(by, host(Next), request, sent()).await;
        assert!(answer.unwrap().text() == large);
        received.unwrap();
    }
    let (answer, _, _) = handle_by(by, host(Next), get("/trailers"), sent()).await;
    let answer = answer.unwrap();
    assert_eq!(answer.text(), "with trailers\n");
    assert_eq!(answer.trailers.unwrap()["x-trailer"], "yes");
    let (answer, _, _) = handle_by(by, host(Next), get("/headers?a=b"), sent()).await;
    let answer = answer.unwrap();
    let start = "Method::Get Some(Scheme::Http) Some(\"example.com\")\n";
    assert!(answer.text().starts_with(start), "{}", answer.text());
    // The guest waits before it answers, and the middleware with it.
    let (answer, _, _) = handle_by(by, host(Next), get("/sleep?50"), sent()).await;
    assert_eq!(answer.unwrap().text(), "awake\n");
}

#[tokio::test]
async fn failures_of_the_next_handler_are_error_codes() {
    let by = &*MIDDLEWARE;
    for (target, code) in [
        ("/error", "ConnectionRefused"),
        ("/trap-before", "InternalError"),
    ] {
        let (answer, _, _) = handle_by(by, host(Next), get(target), sent()).await;
        let error = format!("{:?}", answer.unwrap_err());
        assert!(error.contains(code), "{error}");
    }
    let (answer, _, _) = handle_by(by, host(Next), get("/trap-in"), sent()).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status.as_u16(), 200);
    assert!(answer.body.is_err());
    // Hooks that say nothing refuse.
    let (answer, _, _) = handle_by(by, Host::new(), get("/hello"), sent()).await;
    let error = format!("{:?}", answer.unwrap_err());
    assert!(error.contains("HttpRequestDenied"), "{error}");
}

#[tokio::test]
async fn a_host_answers_for_the_next_handler() {
    let request = post("/a?b", "body");
    let (answer, _, _) = handle_by(&MIDDLEWARE, host(Own), request, sent()).await;
    assert_eq!(answer.unwrap().text(), "http://example.com/a?b body");
}
