//! [`Pool`]: open connections, and their limits.

use super::connect::{Connection, Sender};
use crate::hooks::WasiBody;
use http::{HeaderValue, Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, Id};

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolLimits {
    pub open: usize,
    pub open_per_host: usize,
    pub idle_per_host: usize,
    pub idle_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        PoolLimits {
            open: 1024,
            open_per_host: 256,
            idle_per_host: 32,
            // Servers close idle connections after a minute or so, and it is better to be first.
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// What connections are the same: those to one server, in one runtime.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub is_tls: bool,
    /// In lower case.
    pub host: Arc<str>,
    pub port: u16,
    pub runtime: Id,
}

pub(super) struct Pool {
    limits: PoolLimits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    hosts: HashMap<Key, Host>,
    open: usize,
    /// Whether a task closes what is idle for too long.
    has_reaper: bool,
}

/// The connections to a server.
#[derive(Default)]
struct Host {
    open: usize,
    /// Those without a request, the last used one at the end.
    idle: Vec<Idle>,
    /// One of HTTP/2, which any number of requests use at once.
    shared: Option<Multiplexed>,
}

struct Idle {
    sender: hyper::client::conn::http1::SendRequest<WasiBody>,
    since: Instant,
}

struct Multiplexed {
    sender: hyper::client::conn::http2::SendRequest<WasiBody>,
    /// One for each request, and this one.
    users: Arc<()>,
    since: Instant,
}

impl Host {
    fn is_unused(&self) -> bool {
        self.open == 0 && self.idle.is_empty() && self.shared.is_none()
    }

    /// Forgets connections that are closed, or idle since before `at`.
    fn expire(&mut self, at: Option<Instant>) {
        let is_old = |since: Instant| at.is_some_and(|at| since <= at);
        self.idle
            .retain(|idle| !idle.sender.is_closed() && !is_old(idle.since));
        if let Some(Multiplexed {
            sender,
            users,
            since,
        }) = &self.shared
            && (sender.is_closed() || Arc::strong_count(users) == 1 && is_old(*since))
        {
            self.shared = None;
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("limits", &self.limits)
            .field("open", &self.lock().open)
            .finish_non_exhaustive()
    }
}

impl Pool {
    pub fn new(limits: PoolLimits) -> Arc<Self> {
        Arc::new(Pool {
            limits,
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is done while it is locked does not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection that can be used.
    pub fn take(self: &Arc<Self>, key: &Key) -> Option<Lease> {
        let mut state = self.lock();
        let host = state.hosts.get_mut(key)?;
        host.expire(self.limits.idle_timeout.checked_ago());
        if let Some(shared) = &host.shared {
            let users = Some(shared.users.clone());
            return Some(self.new_lease(key, Sender::Http2(shared.sender.clone()), users));
        }
        // The rest of the last exchange may still be on its way through the connection's task.
        let index = host.idle.iter().rposition(|idle| idle.sender.is_ready())?;
        let sender = host.idle.remove(index).sender;
        Some(self.new_lease(key, Sender::Http1(sender), None))
    }

    /// Counts a connection that is about to be made.
    pub fn permit(self: &Arc<Self>, key: &Key) -> Option<Permit> {
        let mut state = self.lock();
        let open = state.open;
        let host = state.hosts.entry(key.clone()).or_default();
        let mut is_full = host.open >= self.limits.open_per_host;
        // A connection that is closed counts until its task has run.
        if !is_full && open >= self.limits.open {
            is_full = !state.close_oldest();
        }
        if is_full {
            state.forget_unused(key);
            return None;
        }
        state.open += 1;
        state.hosts.entry(key.clone()).or_default().open += 1;
        Some(Permit {
            pool: self.clone(),
            key: key.clone(),
        })
    }

    /// Makes a new connection one of the pool, and starts its task.
    pub fn lease(self: &Arc<Self>, key: &Key, connection: Connection, permit: Permit) -> Lease {
        let Connection { sender, driver } = connection;
        tokio::spawn(async move {
            driver.await;
            drop(permit);
        });
        let mut users = None;
        if let Sender::Http2(sender) = &sender {
            let shared = Multiplexed {
                sender: sender.clone(),
                users: Arc::default(),
                since: Instant::now(),
            };
            users = Some(shared.users.clone());
            self.lock().hosts.entry(key.clone()).or_default().shared = Some(shared);
        }
        self.new_lease(key, sender, users)
    }

    fn new_lease(self: &Arc<Self>, key: &Key, sender: Sender, users: Option<Arc<()>>) -> Lease {
        Lease {
            sender: Some(sender),
            _users: users,
            pool: self.clone(),
            key: key.clone(),
            handle: Handle::current(),
        }
    }

    /// Keeps a connection for the next request.
    fn give_back(self: &Arc<Self>, key: &Key, sender: Sender, handle: &Handle) {
        let mut state = self.lock();
        let host = state.hosts.entry(key.clone()).or_default();
        let since = Instant::now();
        match sender {
            Sender::Http1(sender) if !sender.is_closed() => {
                if host.idle.len() < self.limits.idle_per_host {
                    host.idle.push(Idle { sender, since });
                }
            }
            Sender::Http1(_) => {}
            Sender::Http2(_) => {
                if let Some(shared) = &mut host.shared {
                    shared.since = since;
                }
            }
        }
        state.forget_unused(key);
        if !state.has_reaper && !state.hosts.is_empty() {
            state.has_reaper = true;
            let reaper = Reaper(Arc::downgrade(self));
            handle.spawn(reaper.run(self.limits.idle_timeout));
        }
    }
}

impl State {
    fn forget_unused(&mut self, key: &Key) {
        if self.hosts.get(key).is_some_and(Host::is_unused) {
            self.hosts.remove(key);
        }
    }

    /// Closes the connection that is idle for longest, and returns whether there was one.
    fn close_oldest(&mut self) -> bool {
        let hosts = self.hosts.values_mut().filter(|host| !host.idle.is_empty());
        match hosts.min_by_key(|host| host.idle[0].since) {
            Some(host) => {
                host.idle.remove(0);
                true
            }
            None => false,
        }
    }
}

/// Counts a connection until it is closed.
pub(super) struct Permit {
    pool: Arc<Pool>,
    key: Key,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.open -= 1;
        if let Some(host) = state.hosts.get_mut(&self.key) {
            host.open -= 1;
            host.expire(None);
        }
        state.forget_unused(&self.key);
    }
}

/// The task that closes what is idle for too long, until nothing is open.
struct Reaper(Weak<Pool>);

impl Reaper {
    async fn run(self, timeout: Duration) {
        loop {
            tokio::time::sleep(timeout.max(Duration::from_millis(10))).await;
            let Some(pool) = self.0.upgrade() else {
                return;
            };
            let mut state = pool.lock();
            for host in state.hosts.values_mut() {
                host.expire(timeout.checked_ago());
            }
            state.hosts.retain(|_, host| !host.is_unused());
            if state.hosts.is_empty() {
                return;
            }
        }
    }
}

impl Drop for Reaper {
    /// Also runs when the task's runtime ends.
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.lock().has_reaper = false;
        }
    }
}

/// When something was that is as long ago as a duration says.
trait Ago {
    fn checked_ago(self) -> Option<Instant>;
}

impl Ago for Duration {
    fn checked_ago(self) -> Option<Instant> {
        Instant::now().checked_sub(self)
    }
}

/// A connection while a request uses it. It is closed when this is dropped before it is given back.
pub(super) struct Lease {
    sender: Option<Sender>,
    _users: Option<Arc<()>>,
    pool: Arc<Pool>,
    key: Key,
    handle: Handle,
}

impl Lease {
    /// Sends a request. A request that was not sent comes back with the error.
    pub async fn send(
        &mut self,
        mut request: Request<WasiBody>,
    ) -> Result<Response<Incoming>, (hyper::Error, Option<Request<WasiBody>>)> {
        let whole = request.uri().clone();
        let host = request.headers().get(header::HOST).cloned();
        let sent = match self.sender.as_mut() {
            Some(Sender::Http1(sender)) => {
                set_form_of_http1(&mut request);
                sender.try_send_request(request).await
            }
            Some(Sender::Http2(sender)) => {
                // The authority of the URI has the same.
                request.headers_mut().remove(header::HOST);
                *request.version_mut() = Version::HTTP_2;
                sender.try_send_request(request).await
            }
            None => unreachable!("a lease has a sender until it is given back"),
        };
        sent.map_err(|mut error| {
            let unsent = error.take_message().map(|mut request: Request<WasiBody>| {
                *request.uri_mut() = whole;
                if let Some(host) = host {
                    request.headers_mut().insert(header::HOST, host);
                }
                request
            });
            (error.into_error(), unsent)
        })
    }

    /// Gives the connection back, after all of the response.
    pub fn give_back(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.pool.give_back(&self.key, sender, &self.handle);
        }
    }
}

/// Gives a request what HTTP/1.1 sends: the path without the authority, and the header `host`.
fn set_form_of_http1(request: &mut Request<WasiBody>) {
    *request.version_mut() = Version::HTTP_11;
    let uri = request.uri();
    if !request.headers().contains_key(header::HOST)
        && let Some(authority) = uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
}
