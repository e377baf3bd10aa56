//! [`Connector`]: looks up a name, connects to one of its addresses, and shakes hands.

use super::AddressCheck;
use super::pool::Key;
use super::tls::Roots;
use crate::hooks::WasiBody;
use crate::{Error, Result};
use hyper::client::conn::{http1, http2};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// How long one address is tried before the next one is, too.
const HEAD_START: Duration = Duration::from_millis(250);

/// The most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 16;

/// The most names that are looked up at a time. A look-up is a thread, which nothing can end.
const MAX_LOOKUPS: usize = 32;

/// The most bytes of a response that are read ahead of the guest, and the most that its head may
/// have.
const BUFFER: usize = 128 << 10;

/// The most bytes that a server may send ahead in one stream of HTTP/2, and in all of a connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

pub(super) struct Connector {
    roots: Roots,
    use_http2: bool,
    check: Option<AddressCheck>,
    /// Made from `roots` once it is needed.
    tls: OnceLock<Arc<ClientConfig>>,
    lookups: Arc<Semaphore>,
}

/// A connection, and what must run for it.
pub(super) struct Connection {
    pub sender: Sender,
    pub driver: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// What sends requests over a connection.
pub(super) enum Sender {
    Http1(http1::SendRequest<WasiBody>),
    Http2(http2::SendRequest<WasiBody>),
}

impl Connector {
    pub fn new(roots: Roots, use_http2: bool, check: Option<AddressCheck>) -> Self {
        Connector {
            roots,
            use_http2,
            check,
            tls: OnceLock::new(),
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }

    /// Connects to a server.
    pub async fn connect(&self, key: &Key, host: &str) -> Result<Connection> {
        let tls = match key.is_tls {
            true => Some((self.tls()?, ServerName::try_from(host.to_string())?)),
            false => None,
        };
        let addresses = self.addresses(host, key.port).await?;
        let stream = connect_to_any(addresses).await?;
        // Heads are written whole, and bodies as guests flush them.
        stream.set_nodelay(true).map_err(Error::Connect)?;
        let Some((config, name)) = tls else {
            return http1(TokioIo::new(stream)).await;
        };
        let connecting = TlsConnector::from(config).connect(name, stream);
        let stream = connecting.await.map_err(Error::Tls)?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => http2(TokioIo::new(stream)).await,
            _ => http1(TokioIo::new(stream)).await,
        }
    }

    fn tls(&self) -> Result<Arc<ClientConfig>> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let config = self.roots.config(self.use_http2)?;
        Ok(self.tls.get_or_init(|| config).clone())
    }

    /// Returns the addresses of a host that the host of the guest allows.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        let mut addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self.look_up(host, port).await?,
        };
        if addresses.is_empty() {
            return Err(Error::DestinationNotFound);
        }
        if let Some(check) = &self.check {
            addresses.retain(|address| check(address));
            if addresses.is_empty() {
                return Err(Error::DestinationIpProhibited);
            }
        }
        addresses.truncate(MAX_ADDRESSES);
        Ok(addresses)
    }

    async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        let permit = self.lookups.clone().acquire_owned().await;
        let host = host.to_string();
        let task = spawn_blocking(move || {
            let addresses = (host.as_str(), port).to_socket_addrs();
            // It counts until the system is done, even if no one waits for it.
            drop(permit);
            addresses.map(Iterator::collect)
        });
        match task.await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(lookup_error(&error)),
            Err(error) => Err(Error::InternalError(Some(error.to_string()))),
        }
    }
}

/// Converts an error of the system's look-up, whose reason is only in its text.
fn lookup_error(error: &std::io::Error) -> Error {
    let text = error.to_string();
    let reason = text.rsplit(": ").next().unwrap_or_default();
    Error::DnsError {
        rcode: Some(reason.to_string()),
        info_code: None,
    }
}

/// Connects to one of several addresses. They are tried in their order, each a little later than
/// the one before, so that one which does not answer holds up none of the others.
async fn connect_to_any(addresses: Vec<SocketAddr>) -> Result<TcpStream> {
    if let [address] = addresses[..] {
        return TcpStream::connect(address).await.map_err(Error::Connect);
    }
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut last = None;
    loop {
        let next = addresses.next();
        if let Some(address) = next {
            attempts.spawn(TcpStream::connect(address));
        }
        let joined = match next {
            Some(_) => timeout(HEAD_START, attempts.join_next()).await,
            None => Ok(attempts.join_next().await),
        };
        match joined {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => last = Some(error),
            Ok(Some(Err(error))) => last = Some(error.into()),
            // It takes longer than its head start.
            Err(_) => {}
            Ok(None) if next.is_none() => break,
            Ok(None) => {}
        }
    }
    Err(last.map_or(Error::DestinationUnavailable, Error::Connect))
}

async fn http1<S: Read + Write + Unpin + Send + 'static>(stream: S) -> Result<Connection> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BUFFER);
    let (sender, connection) = builder.handshake(stream).await?;
    Ok(Connection {
        sender: Sender::Http1(sender),
        driver: Box::pin(async move {
            // Whoever uses the connection gets the error, too.
            let _ = connection.await;
        }),
    })
}

async fn http2<S: Read + Write + Unpin + Send + 'static>(stream: S) -> Result<Connection> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(BUFFER as u32);
    let (sender, connection) = builder.handshake(stream).await?;
    Ok(Connection {
        sender: Sender::Http2(sender),
        driver: Box::pin(async move {
            let _ = connection.await;
        }),
    })
}
