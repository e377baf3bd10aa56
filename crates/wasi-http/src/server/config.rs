//! [`ServerConfig`]: threads, connections and times of a server.

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

/// Settings of a [`Server`](super::Server). The defaults are for servers that face the internet.
///
/// ```
/// use mintage_wasi_http::server::ServerConfig;
/// use std::time::Duration;
///
/// let mut config = ServerConfig::new();
/// config.threads(2).idle_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(super) threads: Option<usize>,
    pub(super) max_connections: usize,
    pub(super) times: Times,
    pub(super) shutdown_timeout: Duration,
    pub(super) max_streams: u32,
    pub(super) trim: Option<fn()>,
}

/// Times that a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Without a request in progress.
    pub idle: Duration,
    /// From the first byte of a request to the end of its headers.
    pub header: Duration,
    /// To take the next bytes of a response.
    pub write: Duration,
}

impl Times {
    /// Returns the interval at which connections are checked.
    pub fn period(&self) -> Duration {
        let shortest = self.idle.min(self.header).min(self.write);
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_millis(250))
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            threads: None,
            max_connections: 10_000,
            times: Times {
                idle: Duration::from_secs(60),
                header: Duration::from_secs(10),
                write: Duration::from_secs(30),
            },
            shutdown_timeout: Duration::from_secs(30),
            max_streams: 100,
            trim: None,
        }
    }
}

impl ServerConfig {
    /// Creates the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of threads, each with a listener and an executor of its own; by default as
    /// many as there are processors for the process. 0 counts as 1.
    pub fn threads(&mut self, threads: usize) -> &mut Self {
        self.threads = Some(threads);
        self
    }

    /// Limits the open connections; by default 10,000. Further ones are answered by the status 503
    /// and closed.
    pub fn max_connections(&mut self, connections: usize) -> &mut Self {
        self.max_connections = connections;
        self
    }

    /// Sets how long a connection may stay open without a request; by default a minute.
    pub fn idle_timeout(&mut self, time: Duration) -> &mut Self {
        self.times.idle = time;
        self
    }

    /// Sets how long the head of a request may take, from its first byte on; by default 10
    /// seconds. Slower connections are closed.
    pub fn header_timeout(&mut self, time: Duration) -> &mut Self {
        self.times.header = time;
        self
    }

    /// Sets how long a client may go without taking a byte of its response; by default 30 seconds.
    /// The connection is closed then. With HTTP/2, only the stream is reset: when its client has
    /// made no room for the next piece of up to 64 KiB for this long.
    pub fn write_timeout(&mut self, time: Duration) -> &mut Self {
        self.times.write = time;
        self
    }

    /// Sets how long a server that shuts down waits for requests in progress; by default 30
    /// seconds. The rest are dropped then.
    pub fn shutdown_timeout(&mut self, time: Duration) -> &mut Self {
        self.shutdown_timeout = time;
        self
    }

    /// Limits the requests in progress of one HTTP/2 connection; by default 100.
    pub fn max_streams(&mut self, streams: u32) -> &mut Self {
        self.max_streams = streams;
        self
    }

    /// Sets a function that each thread calls after it has freed the buffers of idle connections;
    /// by default none. It can return the thread's unused heap memory to the system, for example
    /// by `malloc_trim` (glibc) or `mi_collect` (mimalloc).
    pub fn trim_memory(&mut self, trim: fn()) -> &mut Self {
        self.trim = Some(trim);
        self
    }

    /// Returns the number of threads.
    pub(super) fn thread_count(&self) -> usize {
        let available = || available_parallelism().map_or(1, NonZero::get);
        self.threads.unwrap_or_else(available).max(1)
    }
}
