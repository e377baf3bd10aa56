//! Limits on what a guest has.

use crate::common::{Host, fetch, full, get, run, serve};
use hyper::{Request, Response};
use mintage_wasi_http::{FieldMapError, WasiHttpCtx};

fn with(set: impl FnOnce(&mut WasiHttpCtx)) -> Host {
    let mut http = WasiHttpCtx::new();
    http.allow_all_destinations();
    set(&mut http);
    Host::with(http)
}

#[tokio::test]
async fn fields_are_limited() {
    for case in ["fields", "clones"] {
        let error = run(Host::new(), get(&format!("/trap/{case}"))).await.trap();
        let text = format!("{error:#}");
        assert!(
            text.contains(&FieldMapError::TotalSizeTooBig.to_string()),
            "{text}"
        );
    }
    let host = with(|http| {
        http.set_field_size_limit(1 << 30);
        http.set_total_field_size_limit(1 << 30);
    });
    // Now it is the number of names that is limited.
    let error = run(host, get("/trap/fields")).await.trap();
    assert_eq!(
        error.downcast_ref(),
        Some(&FieldMapError::TooManyFields),
        "{error:#}"
    );
}

#[tokio::test]
async fn outgoing_bodies_are_limited() {
    assert_eq!(
        run(Host::new(), get("/bodies/127")).await.answer().text(),
        "127"
    );
    let error = run(Host::new(), get("/bodies/129")).await.trap();
    assert!(
        format!("{error:#}").contains("more than 128 outgoing bodies"),
        "{error:#}"
    );
    let host = with(|http| http.set_max_outgoing_bodies(1));
    assert!(run(host, get("/hello")).await.answer().text() == "hello");
    let host = with(|http| http.set_max_outgoing_bodies(0));
    assert!(run(host, get("/hello")).await.result.is_err());
}

#[tokio::test]
async fn outgoing_requests_are_limited() {
    let server = serve(|_| async { Response::new(full("x")) }).await;
    let hold = |count: usize| {
        let mut request = fetch(format!("http://{server}/"));
        *request.uri_mut() = format!("http://a/hold/{count}").parse().unwrap();
        request
    };
    let three = || with(|http| http.set_max_outgoing_requests(3));
    assert_eq!(run(three(), hold(3)).await.answer().text(), "3 None");
    let text = "3 Some(ErrorCode::ConnectionLimitReached)";
    assert_eq!(run(three(), hold(4)).await.answer().text(), text);
    let none = with(|http| http.set_max_outgoing_requests(0));
    let answer = run(none, fetch(format!("http://{server}/"))).await.answer();
    assert_eq!(answer.text(), "ErrorCode::ConnectionLimitReached");
}

#[tokio::test]
async fn headers_of_responses_count() {
    let server = serve(|_: Request<_>| async {
        Response::builder()
            .header("large", "x".repeat(10_000))
            .body(full("x"))
            .unwrap()
    })
    .await;
    let host = with(|http| http.set_total_field_size_limit(5_000));
    let answer = run(host, fetch(format!("http://{server}/"))).await.answer();
    let text = answer.text();
    assert!(
        text.starts_with("ErrorCode::HttpResponseHeaderSectionSize(Some(10"),
        "{text}"
    );
}

#[tokio::test]
async fn resources_are_limited() {
    let host = with(|http| http.set_max_resources(4));
    let error = run(host, get("/bodies/10")).await.trap();
    assert!(format!("{error:#}").contains("no free keys"), "{error:#}");
}
