//! Bodies, both ways.

use crate::common::{Host, Running, frames, get, post, run, soon, start};
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request};
use std::pin::Pin;
use std::task::{Context, Poll};

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

#[tokio::test]
async fn bodies_of_all_sizes_are_echoed() {
    for len in [0, 1, 4095, 4096, 65_536, 65_537, 1_000_000, 5_000_000] {
        let bytes = pattern(len);
        let answer = soon(run(Host::new(), post("/echo", bytes.clone())))
            .await
            .answer();
        assert!(answer.body.unwrap() == bytes, "{len}");
        assert!(answer.trailers.is_none());
    }
}

#[tokio::test]
async fn bodies_of_all_sizes_are_sent() {
    for len in [0, 1, 64_255, 64_256, 3_000_000] {
        let answer = soon(run(Host::new(), get(&format!("/bytes/{len}"))))
            .await
            .answer();
        let body = answer.body.unwrap();
        // The guest begins its pattern again after a whole number of rounds.
        assert!(body == pattern(len), "{len}");
    }
}

/// A body of any size that takes no memory.
struct Zeros(u64);

impl Body for Zeros {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        const BLOCK: &[u8] = &[0; 32 << 10];
        let len = self.0.min(BLOCK.len() as u64);
        self.0 -= len;
        Poll::Ready((len > 0).then(|| Ok(Frame::data(Bytes::from_static(&BLOCK[..len as usize])))))
    }
}

#[tokio::test]
async fn a_large_body_goes_through_little_memory() {
    const LEN: u64 = 256 << 20;
    let request = Request::post("http://a/echo").body(Zeros(LEN)).unwrap();
    let Running { response, guest } = start(Host::new(), request);
    let mut body = response.await.unwrap().unwrap().into_body();
    let mut len = 0;
    let before = resident();
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        // Nothing is in the queue beyond its limit.
        assert!(data.len() <= 64 << 10);
        len += data.len() as u64;
    }
    assert_eq!(len, LEN);
    assert!(
        resident() < before + (32 << 20),
        "memory grows with the body"
    );
    guest.await.unwrap().0.unwrap();
}

/// Returns the bytes of memory that this process has.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn an_echo_streams_both_ways_at_once() {
    let (sender, body) = frames();
    let request = Request::post("http://a/echo").body(body).unwrap();
    let Running { response, guest } = start(Host::new(), request);
    let mut response = soon(response).await.unwrap().unwrap().into_body();
    for round in 0..20u8 {
        let bytes = Bytes::from(vec![round; usize::from(round) * 100 + 1]);
        sender.send(Ok(Frame::data(bytes.clone()))).await.unwrap();
        let mut back = Vec::new();
        while back.len() < bytes.len() {
            let frame = soon(response.frame()).await.unwrap().unwrap();
            back.extend_from_slice(&frame.into_data().unwrap());
        }
        assert_eq!(back, bytes);
    }
    let mut trailers = HeaderMap::new();
    trailers.append("sum", HeaderValue::from_static("12"));
    trailers.append("sum", HeaderValue::from_static("\t34"));
    trailers.append("connection", HeaderValue::from_static("close"));
    sender.send(Ok(Frame::trailers(trailers))).await.unwrap();
    let frame = soon(response.frame()).await.unwrap().unwrap();
    let trailers = frame.into_trailers().unwrap();
    assert_eq!(
        trailers.get_all("sum").iter().collect::<Vec<_>>(),
        ["12", "\t34"]
    );
    assert_eq!(trailers.len(), 2);
    assert!(soon(response.frame()).await.is_none());
    guest.await.unwrap().0.unwrap();
}

#[tokio::test]
async fn a_guest_answers_before_it_reads() {
    let (sender, body) = frames();
    let request = Request::post("http://a/early").body(body).unwrap();
    let Running { response, guest } = start(Host::new(), request);
    let mut response = soon(response).await.unwrap().unwrap().into_body();
    let first = soon(response.frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "early ");
    for _ in 0..10 {
        let bytes = Bytes::from_static(&[1; 1000]);
        sender.send(Ok(Frame::data(bytes))).await.unwrap();
    }
    drop(sender);
    let rest = soon(response.collect()).await.unwrap().to_bytes();
    assert_eq!(rest, "10000");
    guest.await.unwrap().0.unwrap();
}

#[tokio::test]
async fn a_guest_waits_until_someone_reads() {
    let running = start(Host::new(), get("/bytes/1000000"));
    let response = soon(running.response).await.unwrap().unwrap();
    // It cannot go on, however often it is asked to.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!running.guest.is_finished());
    let body = response.into_body();
    assert!(body.size_hint().lower() <= 64 << 10);
    let bytes = soon(body.collect()).await.unwrap().to_bytes();
    assert_eq!(bytes.len(), 1_000_000);
    running.guest.await.unwrap().0.unwrap();
}

#[tokio::test]
async fn a_small_body_needs_no_reader() {
    let running = start(Host::new(), get("/bytes/60000"));
    soon(running.guest).await.unwrap().0.unwrap();
    let body = running.response.await.unwrap().unwrap().into_body();
    // Its size is known now.
    assert_eq!(body.size_hint().exact(), Some(60_000));
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 60_000);
    let running = start(Host::new(), get("/bytes/0"));
    soon(running.guest).await.unwrap().0.unwrap();
    assert!(
        running
            .response
            .await
            .unwrap()
            .unwrap()
            .into_body()
            .is_end_stream()
    );
}

#[tokio::test]
async fn a_guest_learns_that_no_one_reads() {
    for path in ["/bytes/100000000", "/alive"] {
        let running = start(Host::new(), get(path));
        drop(soon(running.response).await.unwrap().unwrap());
        let (result, host) = soon(running.guest).await.unwrap();
        result.unwrap();
        assert_eq!(host.stdout.contents(), "the reader is gone\n");
    }
}

#[tokio::test]
async fn a_body_that_fails_fails_in_the_guest() {
    let (sender, body) = frames();
    let request = Request::post("http://a/count").body(body).unwrap();
    let outcome = tokio::spawn(run(Host::new(), request));
    sender
        .send(Ok(Frame::data(Bytes::from_static(b"abc"))))
        .await
        .unwrap();
    let error = mintage_wasi_http::Error::ConnectionReadTimeout;
    sender.send(Err(error)).await.unwrap();
    let answer = soon(outcome).await.unwrap().answer();
    let code = "Err(ErrorCode::ConnectionReadTimeout)";
    assert_eq!(answer.text(), format!("{code} {code}"));
}

#[tokio::test]
async fn the_size_of_a_request_is_checked() {
    for (length, expected) in [
        ("3", "Ok(3) Ok(None)".to_string()),
        ("2", size_error(3)),
        ("5", size_error(3)),
    ] {
        let mut request = post("/count", "abc");
        request
            .headers_mut()
            .insert("content-length", HeaderValue::from_static(length));
        let answer = run(Host::new(), request).await.answer();
        assert_eq!(answer.text(), expected, "{length}");
    }
    let mut request = get("/count");
    request
        .headers_mut()
        .insert("content-length", HeaderValue::from_static("1"));
    let answer = run(Host::new(), request).await.answer();
    assert_eq!(answer.text(), size_error(0));
}

fn size_error(size: u64) -> String {
    let code = format!("Err(ErrorCode::HttpRequestBodySize(Some({size})))");
    format!("{code} {code}")
}
