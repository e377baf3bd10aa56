//! A thread of a server: its listener, its executor and its connections.

use super::Shared;
use super::config::ServerConfig;
use super::connection::{self, Clock, ConnectionState};
use super::service::ProxyService;
use crate::WasiHttpView;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// The most connections that are refused at a time with an answer. More are closed without one.
const MAX_REFUSED: usize = 64;

/// The time that a refused client has to read its answer.
const REFUSED_TIME: Duration = Duration::from_secs(1);

/// The time that a server which shuts down waits for the first request of a connection.
const LAST_IDLE: Duration = Duration::from_millis(500);

/// The answer to a connection beyond the limit.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 24\r\n\r\n503 Service Unavailable\n";

/// The thread's own part of the server.
pub(super) struct Worker<T: 'static> {
    pub config: ServerConfig,
    pub service: ProxyService<T>,
    pub shared: Arc<Shared>,
    clock: Arc<Clock>,
    connections: Arc<Connections>,
    /// Whether connections were told to rest at the last check, and have freed their buffers now.
    has_freed: bool,
    /// Connections that are being refused.
    refused: Arc<AtomicUsize>,
}

/// The connections of a thread.
#[derive(Default)]
struct Connections(Mutex<slab::Slab<Arc<ConnectionState>>>);

impl Connections {
    fn lock(&self) -> MutexGuard<'_, slab::Slab<Arc<ConnectionState>>> {
        // Nothing panics under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that counts until it is dropped.
struct Counted {
    connections: Arc<Connections>,
    key: usize,
    shared: Arc<Shared>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let state = self.connections.lock().try_remove(self.key);
        drop(state);
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: WasiHttpView + 'static> Worker<T> {
    pub fn new(config: ServerConfig, service: ProxyService<T>, shared: Arc<Shared>) -> Self {
        Worker {
            config,
            service: service.for_thread(),
            shared,
            clock: Arc::new(Clock::new()),
            connections: Arc::default(),
            has_freed: false,
            refused: Arc::default(),
        }
    }

    /// Serves until the server shuts down, and then until all requests are answered.
    pub async fn run(mut self, listener: std::net::TcpListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let mut looks = interval(self.config.times.period());
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shared = self.shared.clone();
        let mut shutdown = shared.shutdown.subscribe();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.accept(stream, peer),
                    Err(error) => recover(&error).await,
                },
                _ = looks.tick() => self.look(),
                // The sender is in `shared`.
                _ = shutdown.wait_for(|is_shutdown| *is_shutdown) => break,
            }
        }
        self.accept_rest(&listener).await;
        drop(listener);
        self.finish().await;
        Ok(())
    }

    /// Accepts the connections that wait.
    async fn accept_rest(&self, listener: &TcpListener) {
        poll_fn(|cx| {
            while let Poll::Ready(Ok((stream, peer))) = listener.poll_accept(cx) {
                self.accept(stream, peer);
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Closes connections whose clients take too long, lets idle ones rest, and lets go of a guest
    /// that was replaced.
    fn look(&mut self) {
        self.service.refresh();
        if std::mem::take(&mut self.has_freed)
            && let Some(trim) = self.config.trim
        {
            trim();
        }
        let now = self.clock.update();
        for (_, state) in &*self.connections.lock() {
            self.has_freed |= state.check(now, &self.config.times);
        }
    }

    /// Waits until all requests are answered, or the time for that is over.
    async fn finish(&mut self) {
        let start = Instant::now();
        self.service.end_kept();
        self.config.times.idle = self.config.times.idle.min(LAST_IDLE);
        loop {
            for (_, state) in &*self.connections.lock() {
                state.shut_down();
            }
            self.look();
            let is_over = self.connections.lock().is_empty() && self.service.under_way() == 0;
            if is_over || start.elapsed() >= self.config.shutdown_timeout {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Begins to serve a connection, or refuses it.
    fn accept(&self, stream: TcpStream, peer: SocketAddr) {
        let shared = self.shared.clone();
        if shared.connections.fetch_add(1, Ordering::Relaxed) >= self.config.max_connections {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
            return self.refuse(stream);
        }
        // Responses are written as a whole, so waiting for more gains nothing.
        let _ = stream.set_nodelay(true);
        let state = Arc::new(ConnectionState::new(self.clock.clone()));
        let key = self.connections.lock().insert(state.clone());
        let counted = Counted {
            connections: self.connections.clone(),
            key,
            shared,
        };
        let (service, config) = (self.service.for_peer(peer), self.config.clone());
        tokio::spawn(async move {
            connection::serve(stream, state, service, &config).await;
            drop(counted);
        });
    }

    /// Tells a client that there are too many connections.
    fn refuse(&self, mut stream: TcpStream) {
        let refused = self.refused.clone();
        if refused.fetch_add(1, Ordering::Relaxed) >= MAX_REFUSED {
            refused.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        tokio::spawn(async move {
            let tell = async {
                stream.write_all(REFUSAL).await?;
                stream.shutdown().await?;
                // A connection that is closed with unread bytes is reset, and the client may not
                // see the answer.
                while stream.read(&mut [0; 1024]).await? > 0 {}
                io::Result::Ok(())
            };
            // The client may be gone.
            let _ = timeout(REFUSED_TIME, tell).await;
            refused.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Waits after an error of `accept` that would come again at once.
async fn recover(error: &io::Error) {
    let is_of_the_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    );
    if !is_of_the_connection {
        // The process has no file descriptors left, or the system no memory.
        sleep(Duration::from_millis(50)).await;
    }
}
