//! Says hello, and to a POST how long its body was.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::StreamError;

struct Hello;

wasip2::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let text = match request.method() {
            Method::Post => format!("{} bytes\n", length(&request)),
            _ => "hello\n".to_string(),
        };
        let headers = Fields::new();
        headers.set("content-type", &[b"text/plain".to_vec()]).unwrap();
        let response = OutgoingResponse::new(headers);
        let body = response.body().unwrap();
        ResponseOutparam::set(outparam, Ok(response));
        let stream = body.write().unwrap();
        stream.blocking_write_and_flush(text.as_bytes()).unwrap();
        drop(stream);
        OutgoingBody::finish(body, None).unwrap();
    }
}

/// Reads the body of a request, and returns its number of bytes.
fn length(request: &IncomingRequest) -> usize {
    let body = request.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut length = 0;
    loop {
        match stream.blocking_read(65_536) {
            Ok(bytes) => length += bytes.len(),
            Err(StreamError::Closed) => return length,
            Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
        }
    }
}
