//! `mintage serve`: answers HTTP requests by a component, each by an instance of its own unless
//! the user chooses that instances answer several.
//!
//! | file | contents |
//! |---|---|
//! | `mod.rs` | the options, and the order of the start |
//! | `guest.rs` | loads and links the component, explains one that cannot serve, warms it up |
//! | `host.rs` | the data of a request's store |
//! | `log/` | the log: requests, failures, lines that guests print |
//! | `lines.rs` | the guest's standard output and error by line |
//! | `listen.rs` | the address, or the socket that a supervisor passes on |
//! | `memory.rs` | returns unused memory to the system |
//! | `metrics.rs` | the page with numbers for Prometheus |
//! | `stop.rs` | SIGTERM and Ctrl-C |
//! | `watch.rs` | loads the component again when its file changes |

mod guest;
mod host;
mod lines;
mod listen;
mod log;
mod memory;
mod metrics;
mod stop;
mod watch;

use crate::cache::CacheOptions;
use crate::host::HostOptions;
use crate::input::{Precompiled, Source};
use crate::settings::{CodeSettings, Limits};
use crate::values::{size, time};
use guest::Loader;
use log::{Format, Log};
use mintage::error::{Context, Result};
use mintage_wasi_http::server::{ProxyService, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Answer HTTP requests by a component, by default each by an instance of its own
///
/// The component exports `wasi:http/handler` of WASI 0.3 (the world `wasi:http/service`), or
/// `wasi:http/incoming-handler` of 0.2 (the world `wasi:http/proxy`). The server speaks HTTP/1.1,
/// and HTTP/2 without TLS with clients that know it before (`curl --http2-prior-knowledge`).
///
/// SIGTERM and Ctrl-C end the server when the requests that are under way are answered; the exit
/// code is 0 then.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    precompiled: Precompiled,

    /// Address to serve at; with port 0 the system chooses a port
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    addr: SocketAddr,

    /// Serve at the socket that a supervisor passes on (systemd's socket activation) instead
    #[arg(long, conflicts_with = "addr")]
    listenfd: bool,

    /// Number of threads that serve [default: as many as there are processors]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    /// Load APP again when its file changes; later requests go to the new one, if it can be loaded
    #[arg(long)]
    watch: bool,

    /// Let an instance answer a made-up request for PATH, and start all others from its state
    /// after that
    ///
    /// What the guest has read by then, such as the time, random numbers and secrets, is the same
    /// in all later instances. They do not have the resources that it still has, such as open
    /// streams. A guest that cannot do without these is refused.
    #[arg(long, value_name = "PATH", value_parser = path)]
    warm_up: Option<String>,

    /// Write a line for each request to standard output, in this form
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true,
          default_missing_value = "text")]
    log: Option<Format>,

    /// Serve numbers in the format of Prometheus at this address, for every path
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,

    /// Print the output of guests as it is, without the number of its request before each line
    #[arg(long)]
    no_logging_prefix: bool,

    #[command(flatten, next_help_heading = "What the component has of the host")]
    host: HostOptions,

    #[command(flatten, next_help_heading = "Limits of requests")]
    requests: RequestLimits,

    #[command(flatten, next_help_heading = "Reuse of instances")]
    reuse: Reuse,

    #[command(flatten, next_help_heading = "Limits of instances")]
    limits: Limits,

    #[command(flatten, next_help_heading = "Compilation (not for artifacts)")]
    settings: CodeSettings,

    #[command(flatten, next_help_heading = "Cache of compiled components")]
    cache: CacheOptions,
}

/// Limits of requests and connections.
#[derive(clap::Args)]
struct RequestLimits {
    /// End a guest that takes longer than this for a request, and answer 504; 0 for no limit
    /// [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,

    /// Most requests under way; more are answered by 503
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    max_concurrent_requests: usize,

    /// Most open connections; more are answered by 503
    #[arg(
        long,
        visible_alias = "max-concurrent-connections",
        value_name = "COUNT",
        default_value_t = 10_000
    )]
    max_connections: usize,

    /// Most bytes of the body of a request; more are answered by 413
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "100M")]
    max_request_body: u64,

    /// Close a connection that has no request for this time
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "60s")]
    idle_timeout: Duration,

    /// Close a connection whose client takes longer than this to send the headers of a request
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    header_timeout: Duration,

    /// Close a connection whose client takes no bytes of its response for this time
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s")]
    write_timeout: Duration,

    /// At the end, wait this long for requests that are under way
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s")]
    shutdown_timeout: Duration,
}

/// How often instances answer requests. The names are those of Wasmtime's `serve`.
#[derive(clap::Args)]
struct Reuse {
    /// Most requests of one instance, which keeps its memory from one to the next
    ///
    /// An instance that traps, times out or loses its client is not used again. Limits of memory
    /// and fuel hold for all requests of an instance together, and lines that it prints have the
    /// number of its first request.
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = count)]
    max_instance_reuse_count: usize,

    /// Most requests that one instance answers at a time, if it is used again
    ///
    /// An instance of WASI 0.2 always answers one at a time. If a request traps or times out, the
    /// others of its instance are answered by 500.
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = count)]
    max_instance_concurrent_reuse_count: usize,

    /// End an instance that has no request for this time
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1s")]
    idle_instance_timeout: Duration,
}

/// The most bytes of memory that an instance may have, unless the user says otherwise. With as many
/// requests as there may be, it is more than most machines have; most guests take far less.
const DEFAULT_MAX_MEMORY: u64 = 256 << 20;

/// The longest that a guest may take for a request, unless the user says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Parses a number of requests.
fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected at least 1".into()),
        Ok(count) => Ok(count),
        Err(_) => Err("expected a number of requests".into()),
    }
}

/// Parses the path of a request.
fn path(text: &str) -> Result<String, String> {
    match text.starts_with('/') && text.parse::<http::Uri>().is_ok() {
        true => Ok(text.into()),
        false => Err("expected the path of a request, such as /".into()),
    }
}

impl Args {
    pub(crate) fn execute(mut self) -> Result<()> {
        let keys = self.settings.wasm_keys();
        self.limits.adopt(&keys);
        self.limits.max_memory_or(DEFAULT_MAX_MEMORY);
        let mut config = ServerConfig::new();
        config.trim_memory(memory::trim);
        self.apply(&mut config);
        // First, since the port may be in use, and compiling takes time.
        let server = listen::bind(&config, self.addr, self.listenfd)?;
        let metrics = self.metrics.map(metrics::Page::bind).transpose()?;
        let stop = stop::Stop::new()?;

        let prefix = !self.no_logging_prefix;
        let log = Arc::new(Log::start(self.log, prefix)?);
        let template = host::Template::new(&self.host, self.limits.of_store(), keys.fuel, &log)?;
        let template = Arc::new(template);
        let timeout = self.requests.timeout.or(keys.timeout);
        let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
        let loader = Loader {
            source: self.source,
            precompiled: self.precompiled,
            limits: self.limits,
            settings: self.settings,
            cache: self.cache,
            warm_up: self.warm_up,
            timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
            max_requests: self.requests.max_concurrent_requests,
            keeps_instances: self.reuse.max_instance_reuse_count > 1,
            template: template.clone(),
        };
        let files = watch::files(&loader);
        let guest = loader.load()?;
        memory::give_back();
        let service = ProxyService::new(guest, move |engine, request| {
            template.store(engine, request)
        })
        .timeout(loader.timeout)
        .time_slices(true)
        .max_concurrent_requests(self.requests.max_concurrent_requests)
        .max_request_body(self.requests.max_request_body)
        .max_instance_reuse_count(self.reuse.max_instance_reuse_count)
        .max_instance_concurrent_reuse_count(self.reuse.max_instance_concurrent_reuse_count)
        .idle_instance_timeout(self.reuse.idle_instance_timeout)
        .observer(log.clone());
        let running = server
            .start(service.clone())
            .context("the system gives no threads to serve with")?;
        if let Some(metrics) = metrics {
            metrics.start(service.clone(), running.handle())?;
        }
        log.note(&format!("serving at http://{}/", running.local_addr()));
        if self.watch {
            watch::start(loader, files, service, log.clone())?;
        }
        let handle = running.handle();
        stop.start(move || handle.shut_down())?;
        running.join();
        log.finish();
        Ok(())
    }

    /// Applies the limits to the settings of the server.
    fn apply(&self, config: &mut ServerConfig) {
        let limits = &self.requests;
        config
            .max_connections(limits.max_connections)
            .idle_timeout(limits.idle_timeout)
            .header_timeout(limits.header_timeout)
            .write_timeout(limits.write_timeout)
            .shutdown_timeout(limits.shutdown_timeout);
        if let Some(threads) = self.threads {
            config.threads(threads.into());
        }
    }
}
