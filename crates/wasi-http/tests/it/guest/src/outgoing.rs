//! Requests of the guest.

use crate::{read, respond, start, write};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingRequest, IncomingResponse,
    Method, OutgoingBody, OutgoingRequest, RequestOptions, ResponseOutparam, Scheme,
};

/// Makes the request that the header `x-url` names, with the headers and the method of `request`.
fn make(request: &IncomingRequest) -> OutgoingRequest {
    let headers = request.headers();
    let url = String::from_utf8(headers.get("x-url").remove(0)).unwrap();
    let own = headers.clone();
    own.delete("x-url").unwrap();
    let outgoing = OutgoingRequest::new(own);
    let (scheme, rest) = url.split_once("://").unwrap();
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_string()),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    outgoing.set_scheme(Some(&scheme)).unwrap();
    outgoing.set_authority(Some(authority)).unwrap();
    outgoing.set_path_with_query(Some(path)).unwrap();
    outgoing.set_method(&request.method()).unwrap();
    outgoing
}

/// Reads a timeout in milliseconds.
fn timeout(request: &IncomingRequest, name: &str) -> Option<u64> {
    let value = request.headers().get(name).pop()?;
    Some(str::from_utf8(&value).unwrap().parse::<u64>().unwrap() * 1_000_000)
}

fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    future.subscribe().block();
    let response = future.get().unwrap().unwrap();
    assert!(future.get().unwrap().is_err(), "it is there once");
    response
}

/// Sends a request with the body of this one, and answers with the response.
pub fn fetch(request: IncomingRequest, out: ResponseOutparam) {
    let outgoing = make(&request);
    let options = RequestOptions::new();
    options.set_connect_timeout(timeout(&request, "x-connect")).unwrap();
    options.set_first_byte_timeout(timeout(&request, "x-first-byte")).unwrap();
    options.set_between_bytes_timeout(timeout(&request, "x-between-bytes")).unwrap();
    assert_eq!(options.first_byte_timeout(), timeout(&request, "x-first-byte"));
    let body = outgoing.body().unwrap();
    let future = match outgoing_handler::handle(outgoing, Some(options)) {
        Ok(future) => future,
        Err(code) => return respond(out, 502, format!("{code:?}").as_bytes()),
    };
    let incoming = request.consume().unwrap();
    let input = incoming.stream().unwrap();
    let output = body.write().unwrap();
    while let Ok(Some(bytes)) = read(&input) {
        if write(&output, &bytes).is_err() {
            break;
        }
    }
    drop((input, output));
    let trailers = IncomingBody::finish(incoming);
    trailers.subscribe().block();
    let trailers = trailers.get().unwrap().unwrap().ok().flatten();
    let finished = OutgoingBody::finish(body, trailers.map(|trailers| trailers.clone()));
    println!("finish: {finished:?}");
    match wait(&future) {
        Ok(response) => pass_on(response, out),
        Err(code) => respond(out, 502, format!("{code:?}").as_bytes()),
    }
}

fn pass_on(response: IncomingResponse, out: ResponseOutparam) {
    let headers = response.headers().clone();
    headers.delete("content-length").unwrap();
    let outgoing = start(out, response.status(), headers);
    let incoming = response.consume().unwrap();
    assert!(response.consume().is_err(), "there is one body");
    let input = incoming.stream().unwrap();
    let output = outgoing.write().unwrap();
    loop {
        match read(&input) {
            Ok(Some(bytes)) => write(&output, &bytes).unwrap(),
            Ok(None) => break,
            Err(code) => {
                write(&output, format!("{code:?}").as_bytes()).unwrap();
                break;
            }
        }
    }
    drop((input, output));
    let trailers = IncomingBody::finish(incoming);
    trailers.subscribe().block();
    let trailers = trailers.get().unwrap().unwrap().ok().flatten();
    OutgoingBody::finish(outgoing, trailers.map(|trailers| trailers.clone())).unwrap();
}

/// Sends requests, and keeps the responses until it has `count` of them or one fails.
pub fn hold(request: &IncomingRequest, count: usize, out: ResponseOutparam) {
    let mut held = Vec::new();
    let mut code = None;
    while held.len() < count && code.is_none() {
        let outgoing = make(request);
        outgoing.set_method(&Method::Get).unwrap();
        match outgoing_handler::handle(outgoing, None) {
            Ok(future) => match wait(&future) {
                Ok(response) => held.push(response),
                Err(error) => code = Some(error),
            },
            Err(error) => code = Some(error),
        }
    }
    respond(out, 200, format!("{} {code:?}", held.len()).as_bytes());
}

/// Makes bodies, and keeps them.
pub fn bodies(count: usize, out: ResponseOutparam) {
    let bodies = (0..count).map(|_| {
        let request = OutgoingRequest::new(Fields::new());
        let body = request.body().unwrap();
        (request, body)
    });
    let bodies: Vec<_> = bodies.collect();
    respond(out, 200, bodies.len().to_string().as_bytes());
}

/// Checks the parts of URIs.
pub fn uris() -> String {
    let request = OutgoingRequest::new(Fields::new());
    for path in ["", "/", "/a?b=c%20d", "?a", "/%zz"] {
        assert!(request.set_path_with_query(Some(path)).is_ok(), "{path}");
    }
    for path in ["a", "@b/", "http://b/", "/a b", "/a\r\nb", "/a#b", "*"] {
        assert!(request.set_path_with_query(Some(path)).is_err(), "{path}");
    }
    for authority in ["a", "a.b:1", "[::1]", "[::1]:80", "127.0.0.1:65535", "u@a"] {
        assert!(request.set_authority(Some(authority)).is_ok(), "{authority}");
    }
    for authority in ["", "a:", "a:x", "a:65536", "a b", "a/b", "u@", "[::1]:x", "a\r\nb"] {
        assert!(request.set_authority(Some(authority)).is_err(), "{authority}");
    }
    for method in ["", "A B", "A\r\n", "Ä"] {
        let method = Method::Other(method.to_string());
        assert!(request.set_method(&method).is_err(), "{method:?}");
    }
    assert!(request.set_method(&Method::Other("PURGE".to_string())).is_ok());
    for scheme in ["", "a b", "1:"] {
        assert!(request.set_scheme(Some(&Scheme::Other(scheme.to_string()))).is_err());
    }
    assert!(request.set_scheme(None).is_ok() && request.scheme().is_none());
    assert!(request.set_authority(None).is_ok() && request.authority().is_none());
    let handled = outgoing_handler::handle(request, None);
    format!("{:?}", handled.err())
}
