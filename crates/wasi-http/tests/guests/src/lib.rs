//! A component of `wasi:http/proxy` whose behavior depends on the path of the request.

use std::cell::{OnceCell, RefCell};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse,
    ResponseOutparam,
};
use wasip2::io::streams::{OutputStream, StreamError};

struct Component;

wasip2::http::proxy::export!(Component);

thread_local! {
    static COUNT: RefCell<u64> = const { RefCell::new(0) };
    static KEPT: OnceCell<Fields> = const { OnceCell::new() };
}

impl wasip2::exports::http::incoming_handler::Guest for Component {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let number: u64 = query.parse().unwrap_or(0);
        match path {
            "/hello" => text(out, 200, "Hello, world!\n"),
            "/status" => text(out, number as u16, "as asked\n"),
            "/headers" => headers(&request, out),
            "/count" => count(request, out),
            "/echo" => echo(request, out),
            "/large" => large(out, number),
            "/sized" => sized(out, number),
            "/trailers" => trailers(out),
            "/forbidden" => forbidden(out),
            "/short" => short(out),
            "/trap-before" => panic!("before the head"),
            "/trap-in" => {
                let (body, stream) = begin(out, 200, &[]);
                write(&stream, b"a part");
                // The client gets it.
                sleep(50);
                let _kept = (body, stream);
                panic!("in the body");
            }
            "/trap-after" => {
                text(out, 200, "all of it\n");
                panic!("after the response");
            }
            "/spin" => loop {
                std::hint::black_box(0);
            },
            "/never" => sleep(3_600_000),
            "/none" => {}
            "/dropped" => {
                drop(out);
                sleep(number);
            }
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::ConnectionRefused)),
            "/timeout" => ResponseOutparam::set(out, Err(ErrorCode::ConnectionTimeout)),
            "/later" => {
                text(out, 200, "now\n");
                sleep(number);
                eprintln!("and later");
            }
            "/sleep" => {
                sleep(number);
                text(out, 200, "awake\n");
            }
            "/drip" => {
                let (body, stream) = begin(out, 200, &[]);
                for _ in 0..number {
                    write(&stream, b"drop\n");
                    sleep(20);
                }
                drop(stream);
                OutgoingBody::finish(body, None).unwrap();
            }
            "/endless" => {
                let (_body, stream) = begin(out, 200, &[]);
                let block = [b'x'; 65536];
                while stream.blocking_write_and_flush(&block[..4096]).is_ok() {}
            }
            "/print" => {
                println!("to the output");
                print!("without an end");
                eprintln!("to the error\nand more");
                text(out, 200, "printed\n");
            }
            "/env" => text(out, 200, &std::env::var("GREETING").unwrap_or("none".into())),
            "/memory" => {
                let mut blocks: Vec<Vec<u8>> = Vec::new();
                loop {
                    blocks.push(vec![1; 1 << 20]);
                }
            }
            "/next" => {
                let next = COUNT.with_borrow_mut(|count| {
                    *count += 1;
                    *count
                });
                text(out, 200, &format!("{next}\n"));
            }
            "/keep" => {
                // A handle that outlives the request.
                std::mem::forget(Fields::new());
                text(out, 200, "kept\n");
            }
            "/reuse" => {
                let count = KEPT.with(|kept| kept.get_or_init(Fields::new).entries().len());
                text(out, 200, &format!("{count}\n"));
            }
            "/read-trailers" => read_trailers(request, out),
            "/long" => long(out),
            _ => text(out, 404, "no such path\n"),
        }
    }
}

/// Sends the head of a response.
fn begin(
    out: ResponseOutparam,
    status: u16,
    headers: &[(&str, &str)],
) -> (OutgoingBody, OutputStream) {
    let fields = Fields::new();
    for (name, value) in headers {
        fields.append(name, value.as_bytes()).unwrap();
    }
    let response = OutgoingResponse::new(fields);
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    (body, stream)
}

/// Writes bytes as far as the client takes them.
fn write(stream: &OutputStream, bytes: &[u8]) -> bool {
    bytes
        .chunks(4096)
        .all(|piece| stream.blocking_write_and_flush(piece).is_ok())
}

/// Sends a whole response.
fn text(out: ResponseOutparam, status: u16, text: &str) {
    let (body, stream) = begin(out, status, &[("content-type", "text/plain")]);
    write(&stream, text.as_bytes());
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

fn sleep(millis: u64) {
    subscribe_duration(millis * 1_000_000).block();
}

/// Reads a body to its end. Returns the number of bytes, or the text of an error.
fn read(body: &IncomingBody, mut each: impl FnMut(&[u8]) -> bool) -> Result<u64, String> {
    let stream = body.stream().unwrap();
    let mut sum = 0;
    loop {
        match stream.blocking_read(65536) {
            Ok(bytes) => {
                sum += bytes.len() as u64;
                if !each(&bytes) {
                    return Err("the client takes no more".into());
                }
            }
            Err(StreamError::Closed) => return Ok(sum),
            Err(StreamError::LastOperationFailed(error)) => {
                let code = wasip2::http::types::http_error_code(&error);
                return Err(format!("{code:?}"));
            }
        }
    }
}

fn headers(request: &IncomingRequest, out: ResponseOutparam) {
    let mut lines = format!(
        "{:?} {:?} {:?}\n",
        request.method(),
        request.scheme(),
        request.authority()
    );
    for (name, value) in request.headers().entries() {
        lines += &format!("{name}: {}\n", String::from_utf8_lossy(&value));
    }
    text(out, 200, &lines);
}

fn count(request: IncomingRequest, out: ResponseOutparam) {
    let body = request.consume().unwrap();
    match read(&body, |_| true) {
        Ok(sum) => text(out, 200, &format!("{sum} bytes\n")),
        // Without a response.
        Err(error) => {
            eprintln!("cannot read: {error}");
            drop(out);
        }
    }
}

fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let input = request.consume().unwrap();
    let (body, stream) = begin(out, 200, &[]);
    let result = read(&input, |bytes| write(&stream, bytes));
    drop(stream);
    match result {
        Ok(_) => OutgoingBody::finish(body, None).unwrap(),
        Err(_) => drop(body),
    }
}

fn large(out: ResponseOutparam, mut left: u64) {
    let (body, stream) = begin(out, 200, &[]);
    let block: Vec<u8> = (0..4096).map(|i| i as u8).collect();
    while left > 0 {
        let len = left.min(4096);
        if stream.blocking_write_and_flush(&block[..len as usize]).is_err() {
            return;
        }
        left -= len;
    }
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

/// A body whose length is declared.
fn sized(out: ResponseOutparam, len: u64) {
    let (body, stream) = begin(out, 200, &[("content-length", &len.to_string())]);
    let _ = write(&stream, &vec![b's'; len as usize]);
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

fn trailers(out: ResponseOutparam) {
    let (body, stream) = begin(out, 200, &[("trailer", "x-sum")]);
    write(&stream, b"some text\n");
    drop(stream);
    let trailers = Fields::new();
    trailers.append("x-sum", b"10").unwrap();
    OutgoingBody::finish(body, Some(trailers)).unwrap();
}

fn forbidden(out: ResponseOutparam) {
    let fields = Fields::new();
    let names = ["connection", "transfer-encoding", "host", "upgrade", "keep-alive", "a b"];
    let lines: Vec<String> = names
        .iter()
        .map(|name| format!("{name} {:?}\n", fields.append(name, b"x")))
        .collect();
    text(out, 200, &lines.concat());
}

/// Answers with the trailers of the request.
fn read_trailers(request: IncomingRequest, out: ResponseOutparam) {
    let body = request.consume().unwrap();
    let read = read(&body, |_| true);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let mut lines = format!("{read:?}\n");
    match trailers.get().unwrap().unwrap() {
        Ok(Some(fields)) => {
            for (name, value) in fields.entries() {
                lines += &format!("{name}: {}\n", String::from_utf8_lossy(&value));
            }
        }
        Ok(None) => lines += "none\n",
        Err(code) => lines += &format!("{code:?}\n"),
    }
    text(out, 200, &lines);
}

/// Tries to send a body that is longer than declared.
fn long(out: ResponseOutparam) {
    let (body, stream) = begin(out, 200, &[("content-length", "5")]);
    if write(&stream, b"1234567890") {
        eprintln!("all bytes were taken");
    }
    drop(stream);
    if OutgoingBody::finish(body, None).is_ok() {
        eprintln!("the body was accepted");
    }
}

/// A body that is shorter than declared.
fn short(out: ResponseOutparam) {
    let (body, stream) = begin(out, 200, &[("content-length", "10")]);
    write(&stream, b"short");
    drop(stream);
    sleep(50);
    let _ = OutgoingBody::finish(body, None);
}
