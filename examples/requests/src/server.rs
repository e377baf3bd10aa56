//! Connections. A request is a line `PATH LENGTH` and so many bytes; its answer is a line
//! `STATUS LENGTH` and so many bytes. A connection has any number of requests, one after the other.

use crate::service::{Failure, Request, Response, Service};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The most bytes of a line, and of a body.
const MAX_LINE: u64 = 4 << 10;
const MAX_BODY: usize = 1 << 20;

/// Accepts connections until the future is dropped.
///
/// # Errors
///
/// If the listener fails.
pub async fn serve(listener: TcpListener, service: Arc<Service>) -> io::Result<()> {
    loop {
        let (stream, client) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            if let Err(error) = connection(stream, &service).await {
                eprintln!("{client}: {error}");
            }
        });
    }
}

/// Answers the requests of one connection.
async fn connection(stream: TcpStream, service: &Service) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await? {
        let response = tokio::select! {
            answered = service.handle(&request) => answered.unwrap_or_else(failed),
            // Dropping the request's future cancels it.
            gone = client_is_gone(&mut stream) => return gone,
        };
        let head = format!("{} {}\n", response.status, response.body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&response.body).await?;
        stream.flush().await?;
    }
    Ok(())
}

fn failed(failure: Failure) -> Response {
    let status = match failure {
        Failure::TooLate => 504,
        Failure::Stopped(_) => 500,
    };
    let body = failure.to_string().into_bytes();
    Response { status, body }
}

/// Ends when the client has closed the connection. A client that already sends its next request
/// is not looked at any further.
async fn client_is_gone(stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    match stream.fill_buf().await {
        Ok([]) => Ok(()),
        Ok(_) => std::future::pending().await,
        Err(error) => Err(error),
    }
}

/// Reads a request; `None` is the end of the connection.
async fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.take(MAX_LINE).read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let bad = || {
        let expected = format!("expected `PATH LENGTH` with at most {MAX_BODY} bytes");
        io::Error::new(ErrorKind::InvalidData, expected)
    };
    let (path, length) = line.trim_end().split_once(' ').ok_or_else(bad)?;
    let length: usize = length.parse().map_err(|_| bad())?;
    if length > MAX_BODY {
        return Err(bad());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let path = path.to_string();
    Ok(Some(Request { path, body }))
}
