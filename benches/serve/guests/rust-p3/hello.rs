//! Says hello by `wasi:http` 0.3, and to a POST how long its body was.

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response};
use wasip3::wit_bindgen::{StreamResult, spawn_local};
use wasip3::{wit_future, wit_stream};

struct Hello;

wasip3::http::service::export!(Hello);

impl Guest for Hello {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let text = match request.get_method() {
            Method::Post => format!("{} bytes\n", length(request).await),
            _ => "hello\n".to_string(),
        };
        let headers = Fields::new();
        headers
            .set("content-type", &[b"text/plain".to_vec()])
            .unwrap();
        let (mut writer, body) = wit_stream::new();
        // No trailers: the future says so when its writer is dropped.
        let (_, trailers) = wit_future::new(|| Ok(None));
        let (response, _) = Response::new(headers, Some(body), trailers);
        spawn_local(async move {
            writer.write_all(text.into_bytes()).await;
        });
        Ok(response)
    }
}

/// Reads the body of a request, and returns its number of bytes.
async fn length(request: Request) -> usize {
    let (_, received) = wit_future::new(|| Ok(()));
    let (mut body, _) = Request::consume_body(request, received);
    let mut length = 0;
    let mut buffer = Vec::with_capacity(65_536);
    loop {
        let (result, bytes) = body.read(buffer).await;
        length += bytes.len();
        buffer = bytes;
        buffer.clear();
        if let StreamResult::Dropped = result {
            return length;
        }
    }
}
