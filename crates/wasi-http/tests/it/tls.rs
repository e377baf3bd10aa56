//! TLS, and HTTP/2 over it.

use crate::common::{Host, fetch, full, run, serve_connections, soon};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mintage_wasi_http::{Client, WasiHttpCtx};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A server with a certificate of its own for these names.
struct Server {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    accepted: Arc<AtomicUsize>,
}

async fn serve(names: &[&str], protocols: &[&[u8]]) -> Server {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let key = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = key.cert.der().clone();
    let secret = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], secret)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let accepted = Arc::<AtomicUsize>::default();
    let accepts = accepted.clone();
    let address = serve_connections(move |stream| {
        accepts.fetch_add(1, SeqCst);
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let stream = TokioIo::new(stream);
            let service = service_fn(answer);
            let _ = match is_http2 {
                true => {
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(stream, service)
                        .await
                }
                false => {
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(stream, service)
                        .await
                }
            };
        }
    })
    .await;
    Server {
        address,
        certificate,
        accepted,
    }
}

/// Says how the request came. With HTTP/2, there are trailers.
async fn answer(
    request: Request<Incoming>,
) -> Result<Response<crate::common::ServerBody>, Infallible> {
    let authority = request.uri().authority().map(ToString::to_string);
    let host = request.headers().get("host").cloned();
    let text = format!(
        "{:?} {} {}",
        request.version(),
        authority.is_some(),
        host.is_some()
    );
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", "1".parse().unwrap());
    let frames = [Frame::data(Bytes::from(text)), Frame::trailers(trailers)];
    let stream = Frames(frames.into_iter().map(Ok).collect());
    Ok(match request.version() {
        hyper::Version::HTTP_2 => Response::new(StreamBody::new(stream).boxed_unsync()),
        _ => Response::new(full(frames_text(stream))),
    })
}

/// Frames that are all there.
struct Frames(std::collections::VecDeque<Result<Frame<Bytes>, Infallible>>);

impl futures_core::Stream for Frames {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

fn frames_text(mut frames: Frames) -> Bytes {
    frames.0.pop_front().unwrap().unwrap().into_data().unwrap()
}

fn host(client: Client) -> Host {
    let mut http = WasiHttpCtx::new();
    http.allow_all_destinations();
    http.set_client(client);
    Host::with(http)
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}/", server.address.port())
}

#[tokio::test]
async fn the_newest_protocol_of_both_is_used() {
    for (protocols, http2, expected) in [
        (&[&b"h2"[..], b"http/1.1"][..], true, "HTTP/2.0 true false"),
        (&[b"h2", b"http/1.1"], false, "HTTP/1.1 false true"),
        (&[b"http/1.1"], true, "HTTP/1.1 false true"),
        (&[], true, "HTTP/1.1 false true"),
    ] {
        let server = serve(&["localhost"], protocols).await;
        let client = Client::builder().root_certificates([server.certificate.clone()]);
        let client = client.http2(http2).build();
        let answer = soon(run(host(client), fetch(url(&server)))).await.answer();
        assert_eq!(answer.text(), expected);
        assert_eq!(answer.trailers.is_some(), expected.starts_with("HTTP/2"));
    }
}

#[tokio::test]
async fn requests_share_a_connection_of_http2() {
    let server = serve(&["localhost"], &[b"h2"]).await;
    let client = Client::builder()
        .root_certificates([server.certificate.clone()])
        .build();
    for _ in 0..3 {
        soon(run(host(client.clone()), fetch(url(&server))))
            .await
            .answer();
    }
    let send = || soon(run(host(client.clone()), fetch(url(&server))));
    let (first, second, third) = tokio::join!(send(), send(), send());
    for outcome in [first, second, third] {
        assert_eq!(outcome.answer().text(), "HTTP/2.0 true false");
    }
    assert_eq!(server.accepted.load(SeqCst), 1);
}

#[tokio::test]
async fn certificates_are_checked() {
    let code = "ErrorCode::TlsCertificateError";
    let server = serve(&["localhost"], &[]).await;
    // Unknown to Mozilla.
    let answer = soon(run(host(Client::default()), fetch(url(&server))))
        .await
        .answer();
    assert_eq!(answer.text(), code);
    // For another name, and for an address.
    let server = serve(&["example.com"], &[]).await;
    let trusting = Client::builder()
        .root_certificates([server.certificate.clone()])
        .build();
    let answer = soon(run(host(trusting.clone()), fetch(url(&server))))
        .await
        .answer();
    assert_eq!(answer.text(), code);
    let by_address = format!("https://{}/", server.address);
    let answer = soon(run(host(trusting), fetch(by_address))).await.answer();
    assert_eq!(answer.text(), code);
    let nothing = Client::builder().root_certificates([]).build();
    let answer = soon(run(host(nothing), fetch(url(&server)))).await.answer();
    assert!(
        answer.text().contains("no root certificates"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_server_without_tls_violates_its_protocol() {
    let server = crate::common::serve(|_| async { Response::new(full("x")) }).await;
    let url = format!("https://localhost:{}/", server.port());
    let answer = soon(run(host(Client::default()), fetch(url)))
        .await
        .answer();
    assert_eq!(answer.text(), "ErrorCode::TlsProtocolError");
}
