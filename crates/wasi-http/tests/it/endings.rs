//! How a guest ends otherwise than with a whole response.

use crate::common::{Host, get, run, soon, start};
use http_body_util::BodyExt;
use mintage::{Store, Trap};
use mintage_wasi_http::Error;
use mintage_wasi_http::p2::bindings::http::types::ErrorCode;
use std::time::Duration;

#[tokio::test]
async fn an_outparam_that_is_dropped_has_no_response() {
    let outcome = run(Host::new(), get("/drop")).await;
    outcome.result.unwrap();
    assert!(outcome.response.is_none());
}

#[tokio::test]
async fn an_error_arrives() {
    let outcome = run(Host::new(), get("/error")).await;
    outcome.result.unwrap();
    let code = outcome.response.unwrap().unwrap_err();
    let text = Some("as asked".to_string());
    assert!(matches!(code, ErrorCode::InternalError(reason) if reason == text));
}

#[tokio::test]
async fn a_trap_breaks_the_response_off() {
    let outcome = run(Host::new(), get("/trap/before")).await;
    assert!(outcome.response.is_none());
    assert_eq!(
        outcome.trap().downcast_ref(),
        Some(&Trap::UnreachableCodeReached)
    );
    for case in ["after", "body"] {
        let running = start(Host::new(), get(&format!("/trap/{case}")));
        let (result, _) = soon(running.guest).await.unwrap();
        assert!(result.is_err());
        let mut body = running.response.await.unwrap().unwrap().into_body();
        if case == "body" {
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "a part");
        }
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::HttpProtocolError));
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test]
async fn a_body_that_is_not_finished_is_broken_off() {
    let answer = run(Host::new(), get("/unfinished")).await.answer();
    assert!(matches!(answer.body, Err(Error::HttpProtocolError)));
}

#[tokio::test]
async fn the_size_of_a_response_is_checked() {
    let outcome = run(Host::new(), get("/length/exact")).await;
    assert_eq!(outcome.stdout, "finish: Ok(())\n");
    assert_eq!(outcome.answer().text(), "just right");
    let outcome = run(Host::new(), get("/length/short")).await;
    let code = "ErrorCode::HttpResponseBodySize(Some(5))";
    assert_eq!(outcome.stdout, format!("finish: Err({code})\n"));
    let error = outcome.answer().body.unwrap_err();
    assert!(matches!(error, Error::HttpResponseBodySize(Some(5))));
    let outcome = run(Host::new(), get("/length/long")).await;
    let code = "ErrorCode::HttpResponseBodySize(Some(13))";
    assert_eq!(
        outcome.stdout,
        format!("write: Some({code})\nfinish: Err({code})\n")
    );
    let error = outcome.answer().body.unwrap_err();
    assert!(matches!(error, Error::HttpResponseBodySize(Some(13))));
    let error = run(Host::new(), get("/length/none"))
        .await
        .answer()
        .body
        .unwrap_err();
    assert!(matches!(error, Error::HttpResponseBodySize(Some(0))));
}

#[tokio::test]
async fn resources_are_dropped_in_order() {
    let error = run(Host::new(), get("/trap/finish")).await.trap();
    let text = format!("{error:#}");
    assert!(
        text.contains("`outgoing-body` is dropped before what was made from it"),
        "{text}"
    );
    let error = run(Host::new(), get("/trap/write")).await.trap();
    assert!(format!("{error:#}").contains("more bytes than `check-write` allowed"));
}

#[tokio::test]
async fn a_guest_that_never_answers_is_dropped() {
    let running = start(Host::new(), get("/never"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!running.guest.is_finished());
    running.guest.abort();
    assert!(soon(running.response).await.is_err());
}

#[tokio::test]
async fn a_store_without_a_guest_leaves_nothing() {
    let store = Store::new(&crate::common::ENGINE, Host::new());
    assert!(store.data().table.is_empty());
}
