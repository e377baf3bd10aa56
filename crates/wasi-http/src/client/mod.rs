//! [`Client`]: sends requests of guests, over connections that are used again.
//!
//! | file | has |
//! |---|---|
//! | `tls` | trusted root certificates |
//! | `connect` | looking up a name, connecting to one of its addresses, handshakes |
//! | `pool` | open connections and their limits |
//! | `body` | the body of a response, which gives its connection back |

mod body;
mod connect;
mod pool;
mod tls;

use crate::allow::default_port;
use crate::ctx::{Route, WasiHttpCtx};
use crate::hooks::WasiBody;
use crate::p2::types::OutgoingRequestConfig;
use crate::{Error, RequestOptions, Result};
use body::ResponseBody;
use bytes::Bytes;
use connect::Connector;
use http::uri::Scheme;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use pool::{Key, Lease, Pool, PoolLimits};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tls::Roots;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_rustls::rustls;

/// A client for HTTP/1.1 and, with TLS, HTTP/2, with a pool of connections. Clones share it.
///
/// It uses no proxies, follows no redirects, and keeps no cookies. Connections are used again only
/// by tasks of the same runtime of tokio, so that hosts with a runtime for each thread share the
/// limits and nothing else. It may be used by any number of guests: a connection belongs to a
/// server, and has nothing of those who used it before.
///
/// ```
/// use mintage_wasi_http::{Client, WasiHttpCtx};
/// use std::time::Duration;
///
/// let client = Client::builder()
///     .max_connections(100)
///     .idle_timeout(Duration::from_secs(10))
///     .system_roots()
///     .build();
/// let mut ctx = WasiHttpCtx::new();
/// ctx.set_client(client.clone());
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    connector: Connector,
    pool: Arc<Pool>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pool", &self.0.pool)
            .finish_non_exhaustive()
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::builder().build()
    }
}

/// Configures a [`Client`].
pub struct ClientBuilder {
    limits: PoolLimits,
    roots: Roots,
    use_http2: bool,
    check: Option<AddressCheck>,
}

/// A host's rule for addresses.
type AddressCheck = Arc<dyn Fn(&SocketAddr) -> bool + Send + Sync>;

impl Default for ClientBuilder {
    fn default() -> Self {
        ClientBuilder {
            limits: PoolLimits::default(),
            roots: Roots::Webpki,
            use_http2: true,
            check: None,
        }
    }
}

impl ClientBuilder {
    /// Sets the most connections that are open at a time. By default 1,024. Beyond that, idle ones
    /// are closed; if there are none, requests fail with `connection-limit-reached`.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.limits.open = max;
        self
    }

    /// Sets the most connections to one server that are open at a time. By default 256. Beyond
    /// that, requests fail with `connection-limit-reached`.
    pub fn max_connections_per_host(mut self, max: usize) -> Self {
        self.limits.open_per_host = max;
        self
    }

    /// Sets the most connections to one server that stay open without a request. By default 32. 0
    /// means that each request has a connection of its own.
    pub fn max_idle_per_host(mut self, max: usize) -> Self {
        self.limits.idle_per_host = max;
        self
    }

    /// Sets how long a connection stays open without a request. By default 30 seconds.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle_timeout = timeout;
        self
    }

    /// Trusts the root certificates of the system instead of those of Mozilla, which are the
    /// default and part of the program.
    pub fn system_roots(mut self) -> Self {
        self.roots = Roots::System;
        self
    }

    /// Trusts these root certificates alone.
    pub fn root_certificates(
        mut self,
        roots: impl IntoIterator<Item = rustls::pki_types::CertificateDer<'static>>,
    ) -> Self {
        self.roots = Roots::Own(roots.into_iter().collect());
        self
    }

    /// Uses a whole configuration of TLS, for example with a certificate of the client. Its
    /// protocols (ALPN) are used as they are.
    pub fn tls_config(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.roots = Roots::Config(config);
        self
    }

    /// Sets whether HTTP/2 is used with servers that have it. By default it is.
    pub fn http2(mut self, enable: bool) -> Self {
        self.use_http2 = enable;
        self
    }

    /// Connects only to addresses for which `check` returns `true`. Names are looked up first, so
    /// this can keep guests out of the host's own network whatever a name means there. If there is
    /// no such address, requests fail with `destination-IP-prohibited`.
    pub fn check_address(
        mut self,
        check: impl Fn(&SocketAddr) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.check = Some(Arc::new(check));
        self
    }

    /// Creates the client.
    pub fn build(self) -> Client {
        Client(Arc::new(Inner {
            connector: Connector::new(self.roots, self.use_http2, self.check),
            pool: Pool::new(self.limits),
        }))
    }
}

impl Client {
    /// Configures a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Returns the client of the process, which contexts without one of their own use.
    pub fn shared() -> &'static Client {
        static SHARED: OnceLock<Client> = OnceLock::new();
        SHARED.get_or_init(Client::default)
    }

    /// Sends a request and returns the response as soon as its head is there.
    ///
    /// # Errors
    ///
    /// If the URI is not one of `http` or `https`, there is no connection, or the server does not
    /// answer as it should, or not in time.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of tokio.
    pub async fn send(
        &self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Response<WasiBody>> {
        let config = OutgoingRequestConfig::new(false, options.unwrap_or_default());
        let (key, host) = destination(&request)?;
        let mut request = request;
        loop {
            let (mut lease, is_new) = match self.0.pool.take(&key) {
                Some(lease) => (lease, false),
                None => (
                    self.connect(&key, &host, config.connect_timeout).await?,
                    true,
                ),
            };
            let sending = lease.send(request);
            let Ok(sent) = timeout(config.first_byte_timeout, sending).await else {
                return Err(Error::ConnectionReadTimeout);
            };
            match sent {
                Ok(response) => {
                    return Ok(response.map(|body| {
                        ResponseBody::new(body, lease, config.between_bytes_timeout).boxed_unsync()
                    }));
                }
                // The server has closed the connection while no one used it.
                Err((_, Some(unsent))) if !is_new => request = unsent,
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Makes a connection: looks up the name, connects, shakes hands.
    async fn connect(&self, key: &Key, host: &str, most: Duration) -> Result<Lease> {
        let permit = self
            .0
            .pool
            .permit(key)
            .ok_or(Error::ConnectionLimitReached)?;
        let connecting = self.0.connector.connect(key, host);
        match timeout(most, connecting).await {
            Ok(connection) => Ok(self.0.pool.lease(key, connection?, permit)),
            Err(_) => Err(Error::ConnectionTimeout),
        }
    }
}

/// Returns where a request goes: the key of its connections, and the host's name or address.
fn destination(request: &Request<WasiBody>) -> Result<(Key, String)> {
    // A tunnel, which would need a proxy.
    if *request.method() == Method::CONNECT {
        return Err(Error::HttpRequestMethodInvalid);
    }
    let uri = request.uri();
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(Error::HttpRequestUriInvalid);
    };
    let port = authority.port_u16().or(default_port(scheme));
    let (Some(default), Some(port)) = (default_port(scheme), port) else {
        return Err(Error::HttpRequestUriInvalid);
    };
    debug_assert!(default == 80 || default == 443);
    let host = authority.host();
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if host.is_empty() || authority.as_str().contains('@') {
        return Err(Error::HttpRequestUriInvalid);
    }
    let host = host.to_ascii_lowercase();
    let key = Key {
        is_tls: *scheme == Scheme::HTTPS,
        host: host.as_str().into(),
        port,
        runtime: Handle::current().id(),
    };
    Ok((key, host))
}

/// Adds what [`default_send_request`] needs of a guest's context.
pub(crate) fn set_route(request: &mut Request<WasiBody>, ctx: &WasiHttpCtx) {
    request.extensions_mut().insert(ctx.route());
}

/// Sends a request by the client of the context that it comes from, if the context allows its
/// destination. A request that a host makes itself is sent by [`Client::shared`].
///
/// The second value of the result is ready at once: connections have tasks of their own.
///
/// # Errors
///
/// Those of [`Client::send`], and [`Error::HttpRequestDenied`] if the destination is not allowed.
///
/// # Panics
///
/// Outside of a runtime of tokio.
pub async fn default_send_request<B>(
    mut request: Request<B>,
    options: Option<RequestOptions>,
) -> Result<(
    Response<WasiBody>,
    impl Future<Output = Result<()>> + Send + 'static,
)>
where
    B: Body<Data = Bytes, Error = Error> + Send + 'static,
{
    let route = request.extensions_mut().remove::<Route>();
    let config = route.as_ref().map(Route::config);
    if config.is_some_and(|config| !config.destinations.allows(request.uri())) {
        return Err(Error::HttpRequestDenied);
    }
    let request = request.map(BodyExt::boxed_unsync);
    let own = config.and_then(|config| config.client.as_ref());
    let response = own
        .unwrap_or(Client::shared())
        .send(request, options)
        .await?;
    Ok((response, std::future::ready(Ok(()))))
}
