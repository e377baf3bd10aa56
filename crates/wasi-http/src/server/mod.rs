//! A server of HTTP whose requests are answered by guests: each by an instance of its own, unless
//! the host chooses that instances answer several.
//!
//! | file | has |
//! |---|---|
//! | `failure` | [`Failure`]: reasons why a guest did not answer, and the status of each |
//! | `gate` | the limit on requests in progress |
//! | `metrics` | [`ServiceMetrics`] |
//! | `record` | [`Observer`], for logs |
//! | `ending` | counting and reporting of requests that end |
//! | `body` | the bodies of requests and responses |
//! | `call` | the call of a guest |
//! | `guest` | [`ProxyPre`]: a guest of either version of `wasi:http`, and an instance of one |
//! | `reuse` | the instances that are kept for further requests |
//! | `shared` | an instance that answers several requests at a time |
//! | `service` | [`ProxyService`], a service of hyper and tower |
//! | `warm` | [`warm_up`]: a component whose instances start in the state after a request |
//! | `config` | [`ServerConfig`] |
//! | `listen` | sockets that listen |
//! | `streams` | the tasks of requests of HTTP/2 |
//! | `connection` | one connection: versions of HTTP, slow clients |
//! | `worker` | one thread of a server |
//!
//! [`ProxyService`] can be mounted in any server that takes a service of hyper or tower. [`Server`]
//! is one that is made for it: each of its threads has its own listener and executor, so that a
//! request, its store and its instance stay on one thread from the first byte to the last.
//!
//! ```no_run
//! use mintage::component::Component;
//! use mintage::{Config, Engine, Linker, ResourceTable, Store};
//! use mintage_wasi::{WasiCtx, WasiCtxView, WasiView};
//! use mintage_wasi_http::server::{ProxyPre, ProxyService, Server, ServerConfig};
//! use mintage_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, default_hooks};
//! use std::time::Duration;
//!
//! struct Host {
//!     wasi: WasiCtx,
//!     http: WasiHttpCtx,
//!     table: ResourceTable,
//! }
//!
//! impl WasiView for Host {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
//!     }
//! }
//!
//! impl WasiHttpView for Host {
//!     fn http(&mut self) -> WasiHttpCtxView<'_> {
//!         WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: default_hooks() }
//!     }
//! }
//!
//! # fn main() -> mintage::Result<()> {
//! let engine = Engine::new(Config::new().interruptible(true).epoch_interruption(true))?;
//! let component = Component::from_file(&engine, "app.wasm")?;
//! let mut linker = Linker::<Host>::new(&engine);
//! mintage_wasi_http::p2::add_to_linker_async(&mut linker)?;
//! mintage_wasi::p3::add_to_linker(&mut linker)?;
//! mintage_wasi_http::p3::add_to_linker(&mut linker)?;
//! let guest = ProxyPre::new(linker.instantiate_pre(&component)?)?;
//!
//! let http = WasiHttpCtx::new();
//! let service = ProxyService::new(guest, move |engine, _request| {
//!     let host = Host {
//!         wasi: WasiCtx::builder().inherit_stderr().build(),
//!         http: http.clone(),
//!         table: ResourceTable::new(),
//!     };
//!     Ok(Store::new(engine, host))
//! })
//! .timeout(Some(Duration::from_secs(30)))
//! .time_slices(true);
//!
//! let server = Server::bind(&ServerConfig::new(), ([127, 0, 0, 1], 8080).into())?;
//! server.start(service)?.join();
//! # Ok(())
//! # }
//! ```

mod body;
mod call;
mod config;
mod connection;
mod ending;
mod failure;
mod gate;
mod guest;
mod listen;
mod metrics;
mod record;
mod reuse;
mod service;
mod shared;
mod streams;
mod warm;
mod worker;

pub use body::ResponseBody;
pub use config::ServerConfig;
pub use failure::Failure;
pub use guest::ProxyPre;
pub use metrics::ServiceMetrics;
pub use record::{Answer, Observer, RequestInfo};
pub use reuse::MAX_KEPT_INSTANCES;
pub use service::ProxyService;
pub use warm::warm_up;

use crate::WasiHttpView;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::watch;
use worker::Worker;

/// The length of a time slice of guests that compute.
const SLICE: Duration = Duration::from_millis(5);

/// The number of tasks after which a thread looks for new requests, though others go on: guests
/// that compute are always ready to go on. Looking takes about a microsecond.
const TASKS_IN_A_ROW: u32 = 8;

/// The time after which a server without requests looks for some that need time slices.
const NO_SLICE: Duration = Duration::from_millis(50);

/// A server that is bound to its address. See [the module](self).
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    address: SocketAddr,
    /// One for each thread.
    listeners: Vec<TcpListener>,
}

/// A server that runs. Dropping it leaves it running.
#[derive(Debug)]
pub struct RunningServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// State that all threads of a server share.
#[derive(Debug)]
struct Shared {
    /// Set when the server is to shut down.
    shutdown: watch::Sender<bool>,
    connections: AtomicUsize,
}

impl Server {
    /// Binds a server to an address. With port 0, the system chooses a port.
    ///
    /// # Errors
    ///
    /// If another process has the port ([`io::ErrorKind::AddrInUse`]), or the process may not have
    /// the address.
    pub fn bind(config: &ServerConfig, address: SocketAddr) -> io::Result<Server> {
        let listeners = listen::shared(address, config.thread_count())?;
        Self::new(config, listeners)
    }

    /// Creates a server of a socket that listens already, for example one that a supervisor passes
    /// on.
    ///
    /// # Errors
    ///
    /// If it does not listen, or there are no file descriptors left.
    pub fn from_listener(config: &ServerConfig, listener: TcpListener) -> io::Result<Server> {
        let listeners = listen::copies(listener, config.thread_count())?;
        Self::new(config, listeners)
    }

    fn new(config: &ServerConfig, listeners: Vec<TcpListener>) -> io::Result<Server> {
        Ok(Server {
            config: config.clone(),
            // There is at least one thread.
            address: listeners[0].local_addr()?,
            listeners,
        })
    }

    /// Returns the address.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Starts the threads, which serve from now on.
    ///
    /// # Errors
    ///
    /// If a thread or its executor cannot be started. Those that were started before end again.
    pub fn start<T>(self, service: ProxyService<T>) -> io::Result<RunningServer>
    where
        T: WasiHttpView + 'static,
    {
        let shared = Arc::new(Shared {
            shutdown: watch::Sender::new(false),
            connections: AtomicUsize::new(0),
        });
        let mut running = RunningServer {
            address: self.address,
            shared: shared.clone(),
            threads: Vec::new(),
        };
        for (i, listener) in self.listeners.into_iter().enumerate() {
            let worker = Worker::new(self.config.clone(), service.clone(), shared.clone());
            let serving = serve(worker, listener, i);
            running
                .threads
                .push(serving.inspect_err(|_| running.shut_down())?);
        }
        if service.has_time_slices() {
            let thread = thread::Builder::new().name("serve-slices".into());
            let ticking = thread.spawn(move || slices(&service, &shared));
            running
                .threads
                .push(ticking.inspect_err(|_| running.shut_down())?);
        }
        Ok(running)
    }
}

/// Starts a thread that serves, with an executor of its own.
fn serve<T: WasiHttpView + 'static>(
    worker: Worker<T>,
    listener: TcpListener,
    number: usize,
) -> io::Result<JoinHandle<()>> {
    // The executor is made here, where an error can be returned.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS_IN_A_ROW)
        .build()?;
    let thread = thread::Builder::new().name(format!("serve-{number}"));
    thread.spawn(move || {
        mintage::Engine::tls_eager_initialize();
        // It fails only if the listener cannot be watched. Then others serve.
        let _ = runtime.block_on(worker.run(listener));
    })
}

/// Makes guests that compute let others run, until the server has shut down.
fn slices<T: WasiHttpView + 'static>(service: &ProxyService<T>, shared: &Shared) {
    let is_over = || *shared.shutdown.borrow() && service.under_way() == 0;
    while !is_over() {
        match service.under_way() {
            0 => thread::sleep(NO_SLICE),
            _ => {
                thread::sleep(SLICE);
                service.tick();
            }
        }
    }
}

impl RunningServer {
    /// Returns the address.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Begins to shut down: no more connections are accepted, and connections are closed when the
    /// requests that are under way are answered, or after
    /// [`shutdown_timeout`](ServerConfig::shutdown_timeout).
    pub fn shut_down(&self) {
        self.shared.shutdown.send_replace(true);
    }

    /// Waits until the server has shut down. Another thread, or a signal handler's, has to begin
    /// that by [`shut_down`](Self::shut_down): see [`handle`](Self::handle).
    pub fn join(self) {
        for thread in self.threads {
            // A thread that has panicked has printed the reason.
            let _ = thread.join();
        }
    }

    /// Returns a handle by which any thread can shut the server down.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle(self.shared.clone())
    }
}

/// A handle of a [`RunningServer`] that any thread can use.
#[derive(Clone, Debug)]
pub struct ServerHandle(Arc<Shared>);

impl ServerHandle {
    /// Does the same as [`RunningServer::shut_down`].
    pub fn shut_down(&self) {
        self.0.shutdown.send_replace(true);
    }

    /// Does the same as [`RunningServer::connections`].
    pub fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }
}
