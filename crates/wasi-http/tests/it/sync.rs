//! Hosts that call guests synchronously.

use crate::common::{ENGINE, GUEST, Host, fetch, full, get, post, serve};
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::{Request, Response};
use mintage::component::{Component, Linker};
use mintage::{Result, Store};
use mintage_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use mintage_wasi_http::p2::bindings::sync::ProxyPre;
use mintage_wasi_http::{WasiBody, WasiHttpView};
use std::sync::LazyLock;
use tokio::sync::oneshot;

static PROXY: LazyLock<ProxyPre<Host>> = LazyLock::new(|| {
    let mut linker = Linker::new(&ENGINE);
    // The guest's standard library needs all of WASI.
    mintage_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
    mintage_wasi_http::p2::add_only_http_to_linker_sync(&mut linker).unwrap();
    let component = Component::new(&ENGINE, GUEST).unwrap();
    ProxyPre::new(linker.instantiate_pre(&component).unwrap()).unwrap()
});

/// Runs a guest on this thread, while another one reads its response.
fn run<B>(request: Request<B>) -> Result<Bytes>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<mintage_wasi_http::Error>,
{
    let (sender, response) = oneshot::channel::<Result<Response<WasiBody>, ErrorCode>>();
    let reader = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let response = response.await.unwrap().unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        })
    });
    let mut store = Store::new(&ENGINE, Host::new());
    let request = store
        .data_mut()
        .http()
        .new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;
    let proxy = PROXY.instantiate(&mut store)?;
    proxy
        .wasi_http_incoming_handler()
        .call_handle(&mut store, request, out)?;
    Ok(reader.join().unwrap())
}

#[test]
fn bodies_go_both_ways_without_an_executor() {
    assert_eq!(run(get("/hello")).unwrap(), "hello");
    let bytes: Vec<u8> = (0..2_000_000).map(|index| (index % 251) as u8).collect();
    assert!(run(post("/echo", bytes.clone())).unwrap() == bytes);
    assert!(run(get("/bytes/2000000")).unwrap() == bytes);
}

#[test]
fn requests_are_sent_by_a_runtime_of_the_crate() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let _server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let address = serve(|request: Request<_>| async move {
                let body: hyper::body::Incoming = request.into_body();
                Response::new(full(body.collect().await.unwrap().to_bytes()))
            });
            sender.send(address.await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let url = format!("http://{}/", receiver.recv().unwrap());
    assert_eq!(run(fetch(url.clone())).unwrap(), "");
    let mut request = post("/fetch", vec![7; 500_000]);
    request.headers_mut().insert("x-url", url.parse().unwrap());
    assert!(run(request).unwrap() == vec![7; 500_000]);
}
