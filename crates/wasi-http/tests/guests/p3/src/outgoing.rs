//! Requests that the guest sends. The header `x-url` says where to.

use crate::{Handled, begin, no_trailers, sleep, text, write, yield_now};
use futures_util::future::{Either, join_all, select};
use std::pin::pin;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme};
use wasip3::wit_bindgen::{FutureReader, spawn_local};
use wasip3::{wit_future, wit_stream};

/// Points a request at the URL that the header says.
fn aim(request: &Request, headers: &Fields) {
    let url = String::from_utf8(headers.get("x-url").remove(0)).unwrap();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_string()),
    };
    request.set_scheme(Some(&scheme)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    // The host puts the slash before it.
    request.set_path_with_query(Some(path)).unwrap();
}

fn empty_request(incoming: &Request) -> Request {
    let headers = Fields::from_list(&[("te".into(), b"trailers".to_vec())]).unwrap();
    let (request, _) = Request::new(headers, None, no_trailers(), None);
    aim(&request, &incoming.get_headers());
    request
}

fn received() -> FutureReader<Result<(), ErrorCode>> {
    wit_future::new(|| Ok(())).1
}

/// Reads a response, and answers by what it says.
async fn report(response: Response) -> Handled {
    let status = response.get_status_code();
    let header = response.get_headers().get("x-header");
    let (body, trailers) = Response::consume_body(response, received());
    let bytes = body.collect().await;
    let trailers = trailers.await.map(|trailers| {
        trailers.map(|trailers| String::from_utf8(trailers.get("x-trailer").concat()).unwrap())
    });
    let header = String::from_utf8(header.concat()).unwrap();
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
    Ok(text(
        200,
        &format!(
            "{status} {header:?} {} {start:?} {trailers:?}\n",
            bytes.len()
        ),
    ))
}

/// Sends the request as it is, apart from where to.
pub async fn forward(request: Request) -> Handled {
    aim(&request, &request.get_headers());
    client::send(request).await
}

/// Sends a request without a body, and answers by the error if there is one.
pub async fn send(incoming: Request) -> Handled {
    match client::send(empty_request(&incoming)).await {
        Ok(response) => report(response).await,
        Err(code) => Ok(text(200, &format!("{code:?}\n"))),
    }
}

/// Sends a number of bytes, and answers by the response.
pub async fn upload(incoming: &Request, bytes: u64) -> Handled {
    let (mut writer, reader) = wit_stream::new();
    let (request, sent) = Request::new(Fields::new(), Some(reader), no_trailers(), None);
    request.set_method(&Method::Post).unwrap();
    aim(&request, &incoming.get_headers());
    spawn_local(async move {
        let mut left = bytes as usize;
        while left > 0 {
            let block = vec![b'u'; left.min(70_000)];
            left -= block.len();
            if !writer.write_all(block).await.is_empty() {
                break;
            }
        }
        drop(writer);
        eprintln!("sent: {:?}", sent.await);
    });
    match client::send(request).await {
        Ok(response) => report(response).await,
        Err(code) => Ok(text(200, &format!("{code:?}\n"))),
    }
}

/// Sends fewer bytes than `content-length` says.
pub async fn upload_short(incoming: &Request) -> Handled {
    let (mut writer, reader) = wit_stream::new();
    let headers = Fields::from_list(&[("content-length".into(), b"10".to_vec())]).unwrap();
    let (request, sent) = Request::new(headers, Some(reader), no_trailers(), None);
    request.set_method(&Method::Post).unwrap();
    aim(&request, &incoming.get_headers());
    let send = async {
        let result = client::send(request).await;
        result.map(|response| response.get_status_code())
    };
    let writing = async {
        write(&mut writer, "short").await;
        drop(writer);
        sent.await
    };
    let both = futures_util::future::join(send, writing).await;
    Ok(text(200, &format!("{both:?}\n")))
}

pub async fn upload_trailers(incoming: &Request) -> Handled {
    let (mut writer, reader) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    let headers = Fields::from_list(&[("trailer".into(), b"x-trailer".to_vec())]).unwrap();
    let (request, _) = Request::new(headers, Some(reader), trailers, None);
    request.set_method(&Method::Put).unwrap();
    aim(&request, &incoming.get_headers());
    spawn_local(async move {
        let fields = Fields::from_list(&[("x-trailer".into(), b"of the guest".to_vec())]);
        // They may be there before the bytes.
        let end = end.write(Ok(Some(fields.unwrap())));
        let body = async {
            write(&mut writer, "body").await;
            drop(writer);
        };
        let _ = futures_util::future::join(end.into_future(), body).await;
    });
    report(client::send(request).await?).await
}

/// Passes a response on, with its status, some of its headers, its body and its trailers.
pub async fn download(incoming: &Request) -> Handled {
    let response = client::send(empty_request(incoming)).await?;
    let status = response.get_status_code();
    let header = response.get_headers().get("x-header");
    let headers: Vec<_> = header
        .into_iter()
        .map(|value| ("x-header".into(), value))
        .collect();
    let (body, trailers) = Response::consume_body(response, received());
    Ok(begin(status, &headers, Some(body), trailers).0)
}

/// Sends requests at a time, and counts how they end.
pub async fn send_many(incoming: &Request, number: u64) -> Handled {
    let requests = (0..number).map(|_| client::send(empty_request(incoming)));
    let mut counts = [0, 0, 0];
    for result in join_all(requests).await {
        let place = match result {
            Ok(_) => 0,
            Err(ErrorCode::ConnectionLimitReached) => 1,
            Err(_) => 2,
        };
        counts[place] += 1;
    }
    Ok(text(200, &format!("{counts:?}\n")))
}

/// Gives a request up that the server does not answer.
pub async fn cancel(incoming: &Request) -> Handled {
    let sending = pin!(client::send(empty_request(incoming)));
    let given_up = match select(sending, pin!(sleep(50))).await {
        Either::Left(_) => false,
        Either::Right(_) => true,
    };
    yield_now().await;
    Ok(text(200, &format!("given up: {given_up}\n")))
}

/// Sends a request whose response must begin soon.
pub async fn timeouts(incoming: &Request) -> Handled {
    let options = RequestOptions::new();
    options.set_first_byte_timeout(Some(30_000_000)).unwrap();
    let (request, _) = Request::new(Fields::new(), None, no_trailers(), Some(options));
    aim(&request, &incoming.get_headers());
    let result = client::send(request).await;
    Ok(text(200, &format!("{:?}\n", result.map(|_| ()))))
}
