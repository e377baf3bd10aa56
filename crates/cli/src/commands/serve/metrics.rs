//! [`Page`]: the page with numbers for Prometheus.

use super::host::Host;
use super::listen::explain;
use mintage::error::{Context, Result};
use mintage_wasi_http::server::{ProxyService, ServerHandle};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that one client may take.
const TIME: Duration = Duration::from_secs(2);

/// The most bytes that one client may send.
const MAX_REQUEST: usize = 8 << 10;

/// The page, bound to its address.
pub(super) struct Page(TcpListener);

impl Page {
    /// Binds the page to an address.
    ///
    /// # Errors
    ///
    /// If the address cannot be used.
    pub fn bind(address: SocketAddr) -> Result<Page> {
        let listener = TcpListener::bind(address);
        listener
            .map(Page)
            .map_err(|error| explain(error, address, "--metrics"))
    }

    /// Serves the page in a thread of its own, one client after the other, so that numbers are
    /// there also when the server's threads are busy.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn start(self, service: ProxyService<Host>, server: ServerHandle) -> Result<()> {
        let run = move || {
            for stream in self.0.incoming() {
                let text = || {
                    let engine = service.engine().metrics();
                    let connections = Some(server.connections());
                    service.metrics().to_prometheus(&engine, connections)
                };
                // What goes wrong is the client's concern.
                match stream {
                    Ok(stream) => _ = answer(stream, text),
                    Err(_) => thread::sleep(Duration::from_millis(50)),
                }
            }
        };
        let started = thread::Builder::new().name("metrics".into()).spawn(run);
        started.context("the system does not start a thread for `--metrics`")?;
        Ok(())
    }
}

/// Answers one request, whatever it asks for.
fn answer(mut stream: TcpStream, text: impl FnOnce() -> String) -> io::Result<()> {
    let (start, mut request) = (Instant::now(), Vec::new());
    stream.set_write_timeout(Some(TIME))?;
    while !request.ends_with(b"\r\n\r\n") && request.len() < MAX_REQUEST {
        let left = TIME.saturating_sub(start.elapsed());
        // A time-out of zero would be none.
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let text = text();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    stream.write_all(&[head.as_bytes(), text.as_bytes()].concat())
}
