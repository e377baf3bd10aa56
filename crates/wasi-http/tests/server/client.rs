//! [`Client`]: a client of HTTP/1.1 over a raw socket, which sends what a test says.

use crate::common::PATIENCE;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// A connection.
pub struct Client {
    pub stream: TcpStream,
    /// Bytes that were received and not used yet.
    buffer: Vec<u8>,
}

/// A response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The lines of the head after the first, in lower case.
    pub headers: Vec<String>,
    pub body: Vec<u8>,
    /// The lines after the last chunk.
    pub trailers: Vec<String>,
}

impl Response {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Returns a request without a body.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n")
}

/// Returns a request with a body.
pub fn post(target: &str, body: &str) -> String {
    let len = body.len();
    format!("POST {target} HTTP/1.1\r\nhost: test\r\ncontent-length: {len}\r\n\r\n{body}")
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Says that nothing more will be sent.
    pub fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Sends a request without a body, and returns the response.
    pub fn get(&mut self, target: &str) -> Response {
        self.send(get(target));
        self.response().unwrap()
    }

    /// Sends a request with a body, and returns the response.
    pub fn post(&mut self, target: &str, body: &str) -> Response {
        self.send(post(target, body));
        self.response().unwrap()
    }

    /// Receives more bytes.
    fn more(&mut self) -> io::Result<()> {
        let mut bytes = [0; 65536];
        match self.stream.read(&mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => {
                self.buffer.extend_from_slice(&bytes[..len]);
                Ok(())
            }
        }
    }

    /// Receives a line, without its end.
    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Ok(line);
            }
            self.more()?;
        }
    }

    /// Receives exactly `len` bytes.
    pub fn exactly(&mut self, len: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < len {
            self.more()?;
        }
        Ok(self.buffer.drain(..len).collect())
    }

    /// Receives lines until an empty one.
    fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            match self.line()? {
                line if line.is_empty() => return Ok(lines),
                line => lines.push(line.to_lowercase()),
            }
        }
    }

    /// Receives the head of a response.
    pub fn head(&mut self) -> io::Result<Response> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|text| text.parse().ok());
        Ok(Response {
            status: status.unwrap_or_else(|| panic!("not a response: {first}")),
            headers: self.lines()?,
            body: Vec::new(),
            trailers: Vec::new(),
        })
    }

    /// Receives a chunk of a body; `None` at its end.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let len = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("no size: {line}"));
        if len == 0 {
            return Ok(None);
        }
        let bytes = self.exactly(len)?;
        assert_eq!(self.exactly(2)?, b"\r\n");
        Ok(Some(bytes))
    }

    /// Receives a response.
    pub fn response(&mut self) -> io::Result<Response> {
        let mut response = self.head()?;
        if let Some(len) = response.header("content-length") {
            let len = len.parse().unwrap();
            response.body = self.exactly(len)?;
        } else if response.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk()? {
                response.body.extend(chunk);
            }
            response.trailers = self.lines()?;
        }
        Ok(response)
    }

    /// Receives all until the server closes the connection.
    pub fn rest(&mut self) -> String {
        while self.more().is_ok() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }

    /// Waits until the server closes the connection, which it must do without another byte.
    pub fn closed(&mut self) {
        let error = self.more().expect_err("the server has sent something");
        let kind = error.kind();
        let is_closed =
            kind == io::ErrorKind::UnexpectedEof || kind == io::ErrorKind::ConnectionReset;
        assert!(is_closed && self.buffer.is_empty(), "{error:?}");
    }
}
