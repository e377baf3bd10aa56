//! Heads of requests and responses, and fields.

use crate::common::{Host, get, run};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request};
use mintage_wasi_http::WasiHttpHooks;
use mintage_wasi_http::WasiHttpView;
use mintage_wasi_http::p2::bindings::http::types::Scheme;

#[tokio::test]
async fn methods_and_uris_arrive() {
    for method in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PURGE",
    ] {
        let mut request = get("/head/?a=%20&b");
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = run(Host::new(), request).await.answer();
        let text = answer.text().to_string();
        let first = text.lines().next().unwrap();
        let name = first.split(' ').next().unwrap();
        let expected = match method {
            "PURGE" => "Method::Other(\"PURGE\")".to_string(),
            method => {
                let (first, rest) = method.split_at(1);
                format!("Method::{first}{}", rest.to_lowercase())
            }
        };
        assert_eq!(name, expected);
        assert!(
            first.ends_with("Some(\"/head/?a=%20&b\") Some(Scheme::Http) Some(\"example.com\")")
        );
    }
}

#[tokio::test]
async fn headers_arrive_but_forbidden_ones() {
    let mut request = get("/head");
    let headers = request.headers_mut();
    headers.append("b", HeaderValue::from_static("1"));
    headers.append("a", HeaderValue::from_static("2"));
    headers.append("b", HeaderValue::from_static(""));
    headers.append("binary", HeaderValue::from_bytes(b"\x80\xff\t").unwrap());
    headers.append("connection", HeaderValue::from_static("close"));
    headers.append("host", HeaderValue::from_static("example.com"));
    let long = HeaderValue::from_bytes(&[b'x'; 50_000]).unwrap();
    headers.append("long", long);
    let answer = run(Host::new(), request).await.answer();
    let lines: Vec<&str> = answer.text().lines().skip(1).collect();
    assert_eq!(lines[..4], ["b: 1", "b: ", "a: 2", "binary: \\x80\\xff\\t"]);
    assert_eq!(lines[4].len(), 50_000 + "long: ".len());
    assert_eq!(lines.len(), 5);
}

struct Forbids;

impl WasiHttpHooks for Forbids {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        name == "secret"
    }
}

#[tokio::test]
async fn a_host_forbids_headers_of_its_own() {
    let mut host = Host::new();
    host.hooks = Some(Box::new(Forbids));
    let mut request = get("/head");
    request
        .headers_mut()
        .append("secret", HeaderValue::from_static("1"));
    request
        .headers_mut()
        .append("host", HeaderValue::from_static("example.com"));
    let answer = run(host, request).await.answer();
    assert_eq!(
        answer.text().lines().skip(1).collect::<Vec<_>>(),
        ["host: example.com"]
    );
}

#[tokio::test]
async fn the_authority_is_that_of_the_uri_or_of_the_header() {
    let request = Request::get("/head").header("host", "from.header:81");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let answer = run(Host::new(), request).await.answer();
    assert!(answer.text().contains("Some(\"from.header:81\")"));
    let mut host = Host::new();
    let request = || Request::get("/head").body(Empty::<Bytes>::new());
    let error = host
        .http()
        .new_incoming_request(Scheme::Http, request().unwrap());
    assert!(error.unwrap_err().to_string().contains("no authority"));
    let mut bad = request().unwrap();
    bad.headers_mut()
        .insert("host", HeaderValue::from_bytes(b"\xff").unwrap());
    assert!(host.http().new_incoming_request(Scheme::Http, bad).is_err());
}

#[tokio::test]
async fn fields_follow_their_rules() {
    for case in ["syntax", "order", "clone", "long"] {
        let answer = run(Host::new(), get(&format!("/fields/{case}")))
            .await
            .answer();
        assert_eq!(answer.text(), "ok", "{case}");
    }
}

#[tokio::test]
async fn statuses_are_those_of_a_final_response() {
    for (status, expected) in [(200, 200), (204, 204), (404, 404), (999, 999)] {
        let answer = run(Host::new(), get(&format!("/status/{status}")))
            .await
            .answer();
        assert_eq!(answer.status, expected);
        assert_eq!(answer.text(), "");
    }
    // The guest is told, and uses another one.
    for status in [0, 99, 100, 101, 199, 1000, 65535] {
        let answer = run(Host::new(), get(&format!("/status/{status}")))
            .await
            .answer();
        assert_eq!(answer.status, 599, "{status}");
    }
}
