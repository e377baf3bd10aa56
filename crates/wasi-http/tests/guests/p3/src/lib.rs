//! A component of `wasi:http/service` whose behavior depends on the path of the request. What finds
//! something wrong panics.

mod fields;
mod outgoing;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::Poll;
use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};
use wasip3::{wit_future, wit_stream};

struct Service;

wasip3::http::service::export!(Service);

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static KEPT: RefCell<Vec<Fields>> = const { RefCell::new(Vec::new()) };
}

type Trailers = FutureReader<Result<Option<Fields>, ErrorCode>>;
type Handled = Result<Response, ErrorCode>;

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Handled {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let number: u64 = query.parse().unwrap_or(0);
        Ok(match path {
            "/hello" => text(200, "Hello, world!\n"),
            "/status" => status(number as u16),
            "/headers" => headers(&request),
            "/next" => {
                COUNT.set(COUNT.get() + 1);
                text(200, &format!("{}\n", COUNT.get()))
            }
            "/echo" => echo(request),
            "/pass" => pass(request).await,
            "/large" => large(number),
            "/sized" => sized(query),
            "/no-body" => begin(200, &[], None, no_trailers()).0,
            "/trailers" => trailers(),
            "/broken-trailers" => broken_trailers(),
            "/read-trailers" => read_trailers(request).await,
            "/read-nothing" => {
                drop(request);
                text(200, "read nothing\n")
            }
            "/read-some" => read_some(request).await,
            "/sent" => sent(),
            "/fields" => fields::fields(&request),
            "/field-limits" => fields::limits(),
            "/options" => fields::options(),
            "/requests" => fields::requests(),
            "/trap-before" => panic!("before the head"),
            "/trap-in" => {
                let (mut body, response) = streamed();
                spawn_local(async move {
                    write(&mut body, "a part").await;
                    // The client gets it.
                    sleep(50).await;
                    panic!("in the body");
                });
                response
            }
            "/trap-after" => {
                spawn_local(async {
                    sleep(20).await;
                    panic!("after the response");
                });
                text(200, "all of it\n")
            }
            "/spin" => loop {
                std::hint::black_box(0);
            },
            "/spin-after" => {
                spawn_local(async {
                    sleep(20).await;
                    loop {
                        std::hint::black_box(0);
                    }
                });
                text(200, "spins\n")
            }
            "/never" => {
                sleep(3_600_000).await;
                text(200, "late\n")
            }
            "/no-end" => {
                let (mut body, response) = streamed();
                spawn_local(async move {
                    write(&mut body, "a part").await;
                    sleep(3_600_000).await;
                });
                response
            }
            "/error" => return Err(ErrorCode::ConnectionRefused),
            "/timeout" => return Err(ErrorCode::ConnectionTimeout),
            "/later" => {
                spawn_local(async move {
                    sleep(number).await;
                    eprintln!("and later");
                });
                text(200, "now\n")
            }
            "/sleep" => {
                sleep(number).await;
                text(200, "awake\n")
            }
            "/drip" => {
                let (mut body, response) = streamed();
                spawn_local(async move {
                    for _ in 0..number {
                        write(&mut body, "drop\n").await;
                        sleep(20).await;
                    }
                });
                response
            }
            "/endless" => endless(),
            "/keep" => {
                // A handle that outlives the request.
                KEPT.with_borrow_mut(|kept| kept.push(Fields::new()));
                text(200, "kept\n")
            }
            "/hoard" => hoard(),
            "/send" => return outgoing::send(request).await,
            "/forward" => return outgoing::forward(request).await,
            "/upload" => return outgoing::upload(&request, number).await,
            "/upload-short" => return outgoing::upload_short(&request).await,
            "/upload-trailers" => return outgoing::upload_trailers(&request).await,
            "/download" => return outgoing::download(&request).await,
            "/send-many" => return outgoing::send_many(&request, number).await,
            "/cancel" => return outgoing::cancel(&request).await,
            "/timeouts" => return outgoing::timeouts(&request).await,
            _ => text(404, "no such path\n"),
        })
    }
}

async fn sleep(milliseconds: u64) {
    wait_for(milliseconds * 1_000_000).await;
}

/// Trailers that are none.
fn no_trailers() -> Trailers {
    // Its default is written when the writer is dropped.
    wit_future::new(|| Ok(None)).1
}

/// Makes a response, and the future that tells how it was sent.
fn begin(
    status: u16,
    headers: &[(String, Vec<u8>)],
    contents: Option<StreamReader<u8>>,
    trailers: Trailers,
) -> (Response, FutureReader<Result<(), ErrorCode>>) {
    let headers = Fields::from_list(headers).unwrap();
    let (response, sent) = Response::new(headers, contents, trailers);
    response.set_status_code(status).unwrap();
    (response, sent)
}

/// Makes a response whose body is still to come.
fn streamed() -> (StreamWriter<u8>, Response) {
    let (writer, reader) = wit_stream::new();
    (writer, begin(200, &[], Some(reader), no_trailers()).0)
}

/// Writes text to a body. A client that has gone away is no reason to trap.
async fn write(body: &mut StreamWriter<u8>, text: &str) {
    body.write_all(text.as_bytes().to_vec()).await;
}

fn text(status: u16, text: &str) -> Response {
    let (mut writer, reader) = wit_stream::new();
    let kind = ("content-type".to_string(), b"text/plain".to_vec());
    let (response, _) = begin(status, &[kind], Some(reader), no_trailers());
    let text = text.as_bytes().to_vec();
    spawn_local(async move {
        writer.write_all(text).await;
    });
    response
}

fn status(status: u16) -> Response {
    let response = text(200, "as asked\n");
    match response.set_status_code(status) {
        Ok(()) => response,
        Err(()) => text(500, "no such status\n"),
    }
}

/// Answers by what the request says.
fn headers(request: &Request) -> Response {
    let mut lines = format!(
        "{:?} {:?} {:?}\n",
        request.get_method(),
        request.get_scheme(),
        request.get_authority()
    );
    for (name, value) in request.get_headers().copy_all() {
        let value: String = value.iter().copied().map(char::from).collect();
        lines += &format!("{name}: {value}\n");
    }
    text(200, &lines)
}

/// Passes the bytes of the request on through the guest's memory.
fn echo(request: Request) -> Response {
    let (mut body, received) = consume(request);
    let (mut writer, response) = streamed();
    spawn_local(async move {
        loop {
            let (result, bytes) = body.read(Vec::with_capacity(1 << 16)).await;
            if !bytes.is_empty() && !writer.write_all(bytes).await.is_empty() {
                return;
            }
            if let StreamResult::Dropped = result {
                break;
            }
        }
        if let Err(code) = received.await {
            eprintln!("received: {code:?}");
        }
    });
    response
}

/// Takes the body of a request, which is received well.
fn consume(request: Request) -> (StreamReader<u8>, Trailers) {
    let (told, tells) = wit_future::new(|| Ok(()));
    drop(told);
    Request::consume_body(request, tells)
}

/// Passes the body of the request on as it is, with its trailers.
async fn pass(request: Request) -> Response {
    let (body, trailers) = consume(request);
    begin(200, &[], Some(body), trailers).0
}

fn large(bytes: u64) -> Response {
    let (mut writer, response) = streamed();
    spawn_local(async move {
        let mut left = bytes as usize;
        while left > 0 {
            let block: Vec<u8> = (0..left.min(100_000)).map(|at| at as u8).collect();
            left -= block.len();
            if !writer.write_all(block).await.is_empty() {
                return;
            }
        }
    });
    response
}

/// Writes as many bytes as the second number says, where `content-length` says the first.
fn sized(query: &str) -> Response {
    let (says, writes) = query.split_once(',').unwrap();
    let (mut writer, reader) = wit_stream::new();
    let length = ("content-length".to_string(), says.as_bytes().to_vec());
    let (response, sent) = begin(200, &[length], Some(reader), no_trailers());
    let bytes = vec![b'x'; writes.parse().unwrap()];
    spawn_local(async move {
        writer.write_all(bytes).await;
        drop(writer);
        eprintln!("sent: {:?}", sent.await);
    });
    response
}

fn trailers() -> Response {
    let (mut writer, reader) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    // HTTP/1.1 has them only if they are announced.
    let announced = ("trailer".to_string(), b"x-trailer".to_vec());
    let (response, sent) = begin(200, &[announced], Some(reader), trailers);
    spawn_local(async move {
        write(&mut writer, "with trailers\n").await;
        drop(writer);
        let fields = Fields::from_list(&[("x-trailer".into(), b"yes".to_vec())]).unwrap();
        assert!(end.write(Ok(Some(fields))).await.is_ok());
        eprintln!("sent: {:?}", sent.await);
    });
    response
}

/// Breaks the body off by the result of its trailers.
fn broken_trailers() -> Response {
    let (mut writer, reader) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    let (response, sent) = begin(200, &[], Some(reader), trailers);
    spawn_local(async move {
        write(&mut writer, "a part").await;
        sleep(20).await;
        let _ = end.write(Err(ErrorCode::LoopDetected)).await;
        eprintln!("sent: {:?}", sent.await);
    });
    response
}

async fn read_trailers(request: Request) -> Response {
    let (body, trailers) = consume(request);
    let bytes = body.collect().await;
    match trailers.await {
        Ok(Some(trailers)) => {
            let lines: Vec<String> = trailers
                .copy_all()
                .into_iter()
                .map(|(name, value)| format!("{name}: {}", String::from_utf8(value).unwrap()))
                .collect();
            let changed = trailers.append("x-more", b"1");
            assert!(changed.is_err(), "the trailers can be changed");
            text(
                200,
                &format!("{} bytes\n{}\n", bytes.len(), lines.join("\n")),
            )
        }
        Ok(None) => text(200, &format!("{} bytes, none\n", bytes.len())),
        Err(code) => text(200, &format!("{} bytes, {code:?}\n", bytes.len())),
    }
}

/// Reads a part of the body, and then waits for its end.
async fn read_some(request: Request) -> Response {
    let (mut body, trailers) = consume(request);
    let (_, bytes) = body.read(Vec::with_capacity(10)).await;
    drop(body);
    let end = trailers.await.map(|trailers| trailers.is_some());
    text(200, &format!("{} bytes, {end:?}\n", bytes.len()))
}

/// Tells how a response was sent.
fn sent() -> Response {
    let (mut writer, reader) = wit_stream::new();
    let (response, sent) = begin(200, &[], Some(reader), no_trailers());
    spawn_local(async move {
        write(&mut writer, "sent\n").await;
        drop(writer);
        eprintln!("sent: {:?}", sent.await);
    });
    response
}

fn endless() -> Response {
    let (mut writer, reader) = wit_stream::new();
    let (response, sent) = begin(200, &[], Some(reader), no_trailers());
    spawn_local(async move {
        while writer.write_all(vec![b'x'; 65536]).await.is_empty() {}
        eprintln!("stopped: {:?}", sent.await);
    });
    response
}

/// Makes requests with bodies that nothing sends, until the host has enough.
fn hoard() -> Response {
    let mut kept = Vec::new();
    loop {
        let (writer, reader) = wit_stream::new::<u8>();
        let made = Request::new(Fields::new(), Some(reader), no_trailers(), None);
        kept.push((writer, made));
    }
}

/// Lets others run.
async fn yield_now() {
    let mut is_first = true;
    poll_fn(|cx| match std::mem::take(&mut is_first) {
        true => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        false => Poll::Ready(()),
    })
    .await;
}
