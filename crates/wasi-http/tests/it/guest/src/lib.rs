//! Does what the path of a request says.

mod fields;
mod outgoing;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse,
    ResponseOutparam, http_error_code,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

struct Guest;

wasip2::http::proxy::export!(Guest);

impl wasip2::exports::http::incoming_handler::Guest for Guest {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (name, argument) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        match name {
            "hello" => respond(out, 200, b"hello"),
            "head" => head(&request, out),
            "status" => respond(out, argument.parse().unwrap(), b""),
            "echo" => echo(request, out),
            "count" => count(request, out),
            "early" => early(request, out),
            "bytes" => bytes(argument.parse().unwrap(), out),
            "fields" => respond(out, 200, fields::check(argument).as_bytes()),
            "drop" => drop(out),
            "error" => ResponseOutparam::set(
                out,
                Err(ErrorCode::InternalError(Some("as asked".to_string()))),
            ),
            "trap" => trap(argument, out),
            "unfinished" => drop(start(out, 200, Fields::new())),
            "length" => length(argument, out),
            "never" => subscribe_duration(3600 * 1_000_000_000).block(),
            "alive" => alive(out),
            "fetch" => outgoing::fetch(request, out),
            "hold" => outgoing::hold(&request, argument.parse().unwrap(), out),
            "bodies" => outgoing::bodies(argument.parse().unwrap(), out),
            "uris" => respond(out, 200, outgoing::uris().as_bytes()),
            _ => respond(out, 404, b"no such path"),
        }
    }
}

/// Sets the head of a response, and returns its body.
fn start(out: ResponseOutparam, status: u16, headers: Fields) -> OutgoingBody {
    let response = OutgoingResponse::new(headers);
    if response.set_status_code(status).is_err() {
        response.set_status_code(599).unwrap();
    }
    let body = response.body().unwrap();
    assert!(response.body().is_err(), "there is one body");
    ResponseOutparam::set(out, Ok(response));
    body
}

fn respond(out: ResponseOutparam, status: u16, bytes: &[u8]) {
    let body = start(out, status, Fields::new());
    if !bytes.is_empty() {
        let stream = body.write().unwrap();
        write(&stream, bytes).unwrap();
    }
    OutgoingBody::finish(body, None).unwrap();
}

/// Writes as fast as the stream takes it.
fn write(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let allowed = stream.check_write()? as usize;
        if allowed == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(allowed.min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    Ok(())
}

/// Returns the next bytes, or `None` at the end.
fn read(stream: &InputStream) -> Result<Option<Vec<u8>>, ErrorCode> {
    match stream.blocking_read(64 << 10) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(StreamError::Closed) => Ok(None),
        Err(StreamError::LastOperationFailed(error)) => Err(http_error_code(&error).unwrap()),
    }
}

/// Answers with what the head of the request has.
fn head(request: &IncomingRequest, out: ResponseOutparam) {
    let mut text = format!(
        "{:?} {:?} {:?} {:?}\n",
        request.method(),
        request.path_with_query(),
        request.scheme(),
        request.authority(),
    );
    let headers = request.headers();
    assert!(headers.append("x", b"y").is_err(), "they are immutable");
    for (name, value) in headers.entries() {
        text += &format!("{name}: {}\n", value.escape_ascii());
    }
    respond(out, 200, text.as_bytes());
}

/// Sends each piece of the body as it comes, and then the trailers.
fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let incoming = request.consume().unwrap();
    assert!(request.consume().is_err(), "there is one body");
    let input = incoming.stream().unwrap();
    assert!(incoming.stream().is_err(), "there is one stream");
    let headers = Fields::new();
    if let Some(kind) = request.headers().get("content-type").first() {
        headers.set("content-type", &[kind.clone()]).unwrap();
    }
    let outgoing = start(out, 200, headers);
    let output = outgoing.write().unwrap();
    assert!(outgoing.write().is_err(), "there is one stream");
    while let Some(bytes) = read(&input).unwrap() {
        if write(&output, &bytes).is_err() {
            println!("the reader is gone");
            return;
        }
    }
    drop((input, output));
    let future = IncomingBody::finish(incoming);
    future.subscribe().block();
    let trailers = future.get().unwrap().unwrap().unwrap();
    assert!(future.get().unwrap().is_err(), "they are there once");
    let trailers = trailers.map(|trailers| {
        println!("trailers: {:?}", trailers.entries());
        trailers.clone()
    });
    OutgoingBody::finish(outgoing, trailers).unwrap();
}

/// Answers with the length of the body, or with the error that it has.
fn count(request: IncomingRequest, out: ResponseOutparam) {
    let incoming = request.consume().unwrap();
    let input = incoming.stream().unwrap();
    let mut len = 0;
    let result = loop {
        match read(&input) {
            Ok(Some(bytes)) => len += bytes.len(),
            Ok(None) => break Ok(len),
            Err(code) => break Err(code),
        }
    };
    drop(input);
    let future = IncomingBody::finish(incoming);
    future.subscribe().block();
    let trailers = future.get().unwrap().unwrap();
    let trailers = trailers.map(|trailers| trailers.map(|trailers| trailers.entries().len()));
    respond(out, 200, format!("{result:?} {trailers:?}").as_bytes());
}

/// Answers before it reads the body.
fn early(request: IncomingRequest, out: ResponseOutparam) {
    let outgoing = start(out, 200, Fields::new());
    let output = outgoing.write().unwrap();
    write(&output, b"early ").unwrap();
    let incoming = request.consume().unwrap();
    let input = incoming.stream().unwrap();
    let mut len = 0;
    while let Some(bytes) = read(&input).unwrap() {
        len += bytes.len();
    }
    write(&output, len.to_string().as_bytes()).unwrap();
    drop(output);
    OutgoingBody::finish(outgoing, None).unwrap();
}

/// Answers with bytes that have a pattern.
fn bytes(mut len: usize, out: ResponseOutparam) {
    let body = start(out, 200, Fields::new());
    let stream = body.write().unwrap();
    let block: Vec<u8> = (0..251 * 256).map(|index| (index % 251) as u8).collect();
    while len > 0 {
        let now = len.min(block.len());
        if write(&stream, &block[..now]).is_err() {
            println!("the reader is gone");
            return;
        }
        len -= now;
    }
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

/// Traps before the head of the response, after it, after a part of the body, or in a way that the
/// host has to see.
fn trap(when: &str, out: ResponseOutparam) {
    match when {
        "before" => panic!("as asked"),
        "after" => {
            let _body = start(out, 200, Fields::new());
            panic!("as asked");
        }
        "body" => {
            let body = start(out, 200, Fields::new());
            write(&body.write().unwrap(), b"a part").unwrap();
            panic!("as asked");
        }
        // The stream is still there.
        "finish" => {
            let body = start(out, 200, Fields::new());
            let stream = body.write().unwrap();
            let _ = OutgoingBody::finish(body, None);
            drop(stream);
        }
        "write" => {
            let body = start(out, 200, Fields::new());
            let stream = body.write().unwrap();
            let _ = stream.write(&vec![0; stream.check_write().unwrap() as usize + 1]);
        }
        "fields" => {
            let fields = Fields::new();
            for index in 0.. {
                fields.append(&format!("name-{index}"), &[b'x'; 100]).unwrap();
            }
        }
        "clones" => {
            let fields = Fields::new();
            fields.append("name", &vec![b'x'; 100_000]).unwrap();
            let clones: Vec<Fields> = (0..1000)
                .map(|_| {
                    let clone = fields.clone();
                    clone.append("other", b"y").unwrap();
                    clone
                })
                .collect();
            drop(clones);
        }
        _ => unreachable!(),
    }
}

/// Sends a body that is shorter or longer than its `content-length`, or has none.
fn length(case: &str, out: ResponseOutparam) {
    let headers = Fields::new();
    headers.append("content-length", b"10").unwrap();
    if case == "none" {
        let response = OutgoingResponse::new(headers);
        return ResponseOutparam::set(out, Ok(response));
    }
    let body = start(out, 200, headers);
    let stream = body.write().unwrap();
    match case {
        "short" => write(&stream, b"short").unwrap(),
        "exact" => write(&stream, b"just right").unwrap(),
        "long" => {
            write(&stream, b"just").unwrap();
            match write(&stream, b" too long") {
                Err(StreamError::LastOperationFailed(error)) => {
                    println!("write: {:?}", http_error_code(&error));
                }
                result => println!("write: {result:?}"),
            }
        }
        _ => unreachable!(),
    }
    drop(stream);
    println!("finish: {:?}", OutgoingBody::finish(body, None));
}

/// Writes until no one reads.
fn alive(out: ResponseOutparam) {
    let body = start(out, 200, Fields::new());
    let stream = body.write().unwrap();
    loop {
        if stream.blocking_write_and_flush(b"alive\n").is_err() {
            println!("the reader is gone");
            return;
        }
        subscribe_duration(1_000_000).block();
    }
}
