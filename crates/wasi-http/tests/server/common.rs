//! A server with one of the guests of `tests/guests`.

use crate::client::Client;
use mintage::StoreLimitsBuilder;
use mintage::{Component, Config, Engine, Linker, OptLevel, ResourceTable, Store, StoreLimits};
use mintage_wasi::p2::pipe::MemoryOutputPipe;
use mintage_wasi::{WasiCtx, WasiCtxView, WasiView};
use mintage_wasi_http::server::{
    Answer, Failure, Observer, ProxyPre, ProxyService, RequestInfo, RunningServer, Server,
    ServerConfig,
};
use mintage_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, default_hooks};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A guest of 0.2.
pub const P2: &[u8] = include_bytes!("../guests/server.wasm");

/// A guest of 0.3.
pub const P3: &[u8] = include_bytes!("../guests/p3/service.wasm");

/// The longest that a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The data of a request's store.
pub struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    limits: StoreLimits,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: default_hooks(),
        }
    }
}

/// A request that was answered: target, status, bytes, whether the response is complete.
type Answered = (String, Option<u16>, u64, bool);

/// Records the calls of an observer.
#[derive(Debug, Default)]
pub struct Told {
    /// Requests that were answered.
    pub answers: Mutex<Vec<Answered>>,
    /// Failures: target and text.
    pub failures: Mutex<Vec<(String, String)>>,
}

impl Observer for Told {
    fn answered(&self, request: &RequestInfo, answer: Answer) {
        let status = answer.status.map(|status| status.as_u16());
        self.answers.lock().unwrap().push((
            request.uri.to_string(),
            status,
            answer.bytes,
            answer.is_complete,
        ));
    }

    fn failed(&self, request: &RequestInfo, failure: &Failure) {
        let mut text = failure.to_string();
        if let Some(error) = failure.error() {
            text += &format!(": {error:#}");
        }
        let failure = (request.uri.to_string(), text);
        self.failures.lock().unwrap().push(failure);
    }
}

/// A server that runs, and shuts down when it is dropped.
pub struct Serving {
    pub address: SocketAddr,
    pub engine: Engine,
    pub service: ProxyService<Host>,
    pub told: Arc<Told>,
    /// Output of guests.
    pub errors: MemoryOutputPipe,
    running: Option<RunningServer>,
}

/// Links the guest of 0.2 for an engine of its own.
pub fn guest() -> ProxyPre<Host> {
    guest_of(P2)
}

/// Links a guest for an engine of its own.
pub fn guest_of(bytes: &[u8]) -> ProxyPre<Host> {
    let mut config = Config::new();
    config
        .interruptible(true)
        .epoch_interruption(true)
        .opt_level(OptLevel::None);
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, bytes).unwrap();
    link(&component)
}

/// Links a component.
pub fn link(component: &Component) -> ProxyPre<Host> {
    let mut linker = Linker::<Host>::new(component.engine());
    mintage_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    mintage_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
    mintage_wasi::p3::add_to_linker(&mut linker).unwrap();
    mintage_wasi_http::p3::add_to_linker(&mut linker).unwrap();
    ProxyPre::new(linker.instantiate_pre(component).unwrap()).unwrap()
}

/// Makes a store for the guest, which may send requests everywhere. What it prints as an error goes
/// to `errors`.
pub fn store(engine: &Engine, errors: &MemoryOutputPipe) -> Store<Host> {
    let mut http = WasiHttpCtx::new();
    http.allow_all_destinations();
    let host = Host {
        wasi: WasiCtx::builder().stderr(errors.clone()).build(),
        http,
        table: ResourceTable::new(),
        limits: StoreLimitsBuilder::new()
            .total_memory_size(64 << 20)
            .build(),
    };
    let mut store = Store::new(engine, host);
    store.limiter(|host| &mut host.limits);
    // For guests that are called without a service.
    store.set_epoch_deadline(u64::MAX / 2);
    store
}

/// Starts a server with the defaults.
pub fn serve() -> Serving {
    serve_with(|_| {}, |service| service)
}

/// Starts a server with settings.
pub fn serve_with(
    configure: impl FnOnce(&mut ServerConfig),
    set: impl FnOnce(ProxyService<Host>) -> ProxyService<Host>,
) -> Serving {
    serve_guest(P2, configure, set)
}

/// Starts a server for a guest with settings.
pub fn serve_guest(
    bytes: &[u8],
    configure: impl FnOnce(&mut ServerConfig),
    set: impl FnOnce(ProxyService<Host>) -> ProxyService<Host>,
) -> Serving {
    let guest = guest_of(bytes);
    let (engine, errors) = (guest.engine().clone(), MemoryOutputPipe::new(1 << 20));
    let pipe = errors.clone();
    let told = Arc::new(Told::default());
    let service = ProxyService::new(guest, move |engine, _| Ok(store(engine, &pipe)))
        .timeout(Some(Duration::from_secs(30)))
        .time_slices(true)
        .observer(told.clone());
    let service = set(service);
    let mut config = ServerConfig::new();
    config.threads(2);
    configure(&mut config);
    let server = Server::bind(&config, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = server.local_addr();
    let running = server.start(service.clone()).unwrap();
    Serving {
        address,
        engine,
        service,
        told,
        errors,
        running: Some(running),
    }
}

impl Serving {
    /// Connects a client.
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn running(&self) -> &RunningServer {
        self.running.as_ref().unwrap()
    }

    /// Shuts down, and returns how long that took.
    pub fn shut_down(&mut self) -> Duration {
        let start = Instant::now();
        let running = self.running.take().unwrap();
        running.shut_down();
        running.join();
        start.elapsed()
    }

    /// Waits until no guest lives.
    pub fn wait_until_idle(&self) {
        wait_until("no guest lives", || {
            let metrics = self.engine.metrics();
            metrics.instances_live == 0
                && metrics.stacks_in_use == 0
                && self.service.under_way() == 0
        });
    }

    /// Waits until there is a failure of a request for `target`, and returns its text.
    pub fn failure(&self, target: &str) -> String {
        let find = || {
            let failures = self.told.failures.lock().unwrap();
            let found = failures.iter().find(|(other, _)| other == target);
            found.map(|(_, text)| text.clone())
        };
        wait_until(&format!("{target} fails"), || find().is_some());
        find().unwrap()
    }

    /// Waits until a request for `target` has ended: its status, bytes, whether it is complete.
    pub fn answer(&self, target: &str) -> (Option<u16>, u64, bool) {
        let find = || {
            let answers = self.told.answers.lock().unwrap();
            let found = answers.iter().find(|(other, ..)| other == target);
            found.map(|&(_, status, bytes, is_complete)| (status, bytes, is_complete))
        };
        wait_until(&format!("{target} ends"), || find().is_some());
        find().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shut_down();
            if !thread::panicking() {
                running.join();
            }
        }
    }
}

/// Waits until something holds.
///
/// # Panics
///
/// If it does not for long.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
