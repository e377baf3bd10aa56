//! [`ProxyService`]: a service of hyper and of tower whose requests guests answer.

use super::body::ResponseBody;
use super::call::{Call, CallLimits, Head, Reusing};
use super::ending::{Ending, Reporter};
use super::failure::{CONNECT, Failure, LARGE_HEAD, MAX_HEAD};
use super::gate::{Gate, Permit};
use super::guest::{Instance, ProxyPre};
use super::metrics::{Counters, ServiceMetrics};
use super::record::{Observer, RequestInfo};
use super::reuse::{IdleCount, Kept, Reuse};
use crate::WasiHttpView;
use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Response, Version};
use http_body::Body;
use mintage::{Engine, EngineWeak, Store};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes the store of a request.
type NewStore<T> = dyn Fn(&Engine, &RequestInfo) -> mintage::Result<Store<T>> + Send + Sync;

/// Answers requests by a guest that exports `wasi:http/handler` of 0.3 or
/// `wasi:http/incoming-handler` of 0.2: each by an instance of its own, which ends with it, unless
/// instances are [used again](Self::max_instance_reuse_count).
///
/// This is a `Service` of hyper and of tower. Clones answer for the same guest, with the same
/// limits and counts.
///
/// The head of a response is sent as soon as the guest has set it. The guest goes on as a task of
/// tokio, so the service has to be used in a runtime of tokio. If the client goes away, the guest
/// ends.
///
/// By default, there is no time-out, at most 1,000 requests are under way, and the body of a
/// request has at most 100 MiB.
pub struct ProxyService<T: 'static> {
    shared: Arc<Shared<T>>,
    /// The guest that this clone has used last. No other clone takes the lock.
    present: Mutex<Present<T>>,
    /// The instances that answer further requests.
    kept: Arc<Kept<T>>,
    settings: Arc<Settings>,
    peer: Option<SocketAddr>,
}

/// State that all clones share.
struct Shared<T: 'static> {
    new_store: Box<NewStore<T>>,
    counters: Arc<Counters>,
    current: Mutex<Present<T>>,
    /// The generation of `current`, so that a clone need not lock it for each request.
    generation: AtomicUsize,
    /// The engines of all guests that may still run.
    engines: Mutex<Vec<EngineWeak>>,
    /// The instances that have no request.
    idle_count: IdleCount,
}

/// A guest, and how many there were before it.
struct Present<T: 'static> {
    guest: Arc<ProxyPre<T>>,
    generation: usize,
}

impl<T: 'static> Clone for Present<T> {
    fn clone(&self) -> Self {
        Present {
            guest: self.guest.clone(),
            generation: self.generation,
        }
    }
}

#[derive(Clone)]
struct Settings {
    timeout: Option<Duration>,
    time_slices: bool,
    max_request_body: u64,
    reuse: Reuse,
    gate: Gate,
    observer: Option<Arc<dyn Observer>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: 'static> Clone for ProxyService<T> {
    fn clone(&self) -> Self {
        ProxyService {
            shared: self.shared.clone(),
            present: Mutex::new(lock(&self.present).clone()),
            kept: self.kept.clone(),
            settings: self.settings.clone(),
            peer: self.peer,
        }
    }
}

impl<T: 'static> std::fmt::Debug for ProxyService<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxyService").finish_non_exhaustive()
    }
}

impl<T: WasiHttpView + 'static> ProxyService<T> {
    /// Creates a service. `new_store` makes the store of each instance, with its data and its
    /// limits, for its first request.
    pub fn new<F>(guest: impl Into<ProxyPre<T>>, new_store: F) -> Self
    where
        F: Fn(&Engine, &RequestInfo) -> mintage::Result<Store<T>> + Send + Sync + 'static,
    {
        let guest = guest.into();
        let engine = guest.engine().weak();
        let present = Present {
            guest: Arc::new(guest),
            generation: 0,
        };
        let idle_count = IdleCount::default();
        ProxyService {
            kept: Kept::new(idle_count.clone()),
            shared: Arc::new(Shared {
                new_store: Box::new(new_store),
                counters: Arc::new(Counters::new()),
                current: Mutex::new(present.clone()),
                generation: AtomicUsize::new(0),
                engines: Mutex::new(vec![engine]),
                idle_count,
            }),
            present: Mutex::new(present),
            settings: Arc::new(Settings {
                timeout: None,
                time_slices: false,
                max_request_body: 100 << 20,
                reuse: Reuse::default(),
                gate: Gate::new(1000),
                observer: None,
            }),
            peer: None,
        }
    }

    /// Ends guests this long after the head of their request, with the status 504. The engine must
    /// be [`interruptible`](mintage::Config::interruptible). By default, guests have no time-out.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.settings_mut().timeout = timeout;
        self
    }

    /// Makes guests that compute yield to other tasks whenever [`tick`](Self::tick) is called. The
    /// engine must have [`epoch_interruption`](mintage::Config::epoch_interruption). A
    /// [`Server`](super::Server) calls `tick` by itself. By default, they do not yield.
    pub fn time_slices(mut self, enable: bool) -> Self {
        self.settings_mut().time_slices = enable;
        self
    }

    /// Limits the requests in progress; by default 1,000. Further ones are answered by the status
    /// 503 at once. A request counts until its guest has ended.
    pub fn max_concurrent_requests(mut self, max: usize) -> Self {
        self.settings_mut().gate.set_max(max);
        self
    }

    /// Limits the bytes of a request body; by default 100 MiB. A request that announces more is
    /// answered by the status 413 at once. If a body of unknown length exceeds the limit, its guest
    /// gets the error `HTTP-request-body-size`, and the client gets 413 unless the guest answers.
    pub fn max_request_body(mut self, bytes: u64) -> Self {
        self.settings_mut().max_request_body = bytes;
        self
    }

    /// Sets how many requests an instance answers before it ends; by default 1. The next
    /// request finds the guest's memory as the one before has left it, so requests must be allowed
    /// to share state. 0 counts as 1.
    ///
    /// An instance that failed, timed out, or lost its client is not used again. The store of an
    /// instance is that of its first request, and limits such as memory and fuel hold for all
    /// requests of an instance together. The time-out is that of each request.
    ///
    /// In a [`Server`](super::Server), an instance stays on the thread that has made it. At most
    /// [`MAX_KEPT_INSTANCES`](super::MAX_KEPT_INSTANCES) without a request are kept: the engine
    /// needs room for so many beside those of requests. The runtime of tokio needs its clock.
    pub fn max_instance_reuse_count(mut self, requests: usize) -> Self {
        self.settings_mut().reuse.count = requests.max(1);
        self
    }

    /// Sets how many requests an instance of 0.3 answers at a time, if it is used again at all; by
    /// default 1. 0 counts as 1. An instance of 0.2 always answers one at a time.
    ///
    /// If one of the requests fails or times out, the others fail with the status 500. A guest
    /// may work on after its response has ended until the last request of its instance times out.
    pub fn max_instance_concurrent_reuse_count(mut self, requests: usize) -> Self {
        self.settings_mut().reuse.at_once = requests.max(1);
        self
    }

    /// Sets how long an instance without a request is kept for the next one; by default a second.
    pub fn idle_instance_timeout(mut self, time: Duration) -> Self {
        self.settings_mut().reuse.idle = time;
        self
    }

    /// Sets the observer of requests and failures. By default there is none.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.settings_mut().observer = Some(observer);
        self
    }

    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Returns a clone for the requests of one client, whose address is passed on to `new_store`
    /// and to the observer.
    pub fn for_peer(&self, peer: SocketAddr) -> Self {
        ProxyService {
            peer: Some(peer),
            ..self.clone()
        }
    }

    /// Answers later requests by another guest, in all clones. Requests that are under way are not
    /// affected.
    pub fn replace(&self, guest: impl Into<ProxyPre<T>>) {
        let guest = guest.into();
        let mut engines = lock(&self.shared.engines);
        engines.retain(|engine| engine.upgrade().is_some());
        engines.push(guest.engine().weak());
        drop(engines);
        let guest = Arc::new(guest);
        let mut current = lock(&self.shared.current);
        let generation = current.generation + 1;
        let old = std::mem::replace(&mut *current, Present { guest, generation });
        self.shared.generation.store(generation, Ordering::Release);
        drop(current);
        drop(old);
    }

    /// Returns a clone for a thread, which keeps instances of its own.
    pub(super) fn for_thread(&self) -> Self {
        ProxyService {
            kept: Kept::new(self.shared.idle_count.clone()),
            ..self.clone()
        }
    }

    /// Lets go of a guest that was replaced.
    pub(super) fn refresh(&self) {
        let guest = self.guest();
        if self.settings.reuse.is_on() {
            self.kept.set_guest(&guest);
        }
    }

    /// Ends the instances that are kept for further requests, and keeps no more.
    pub(super) fn end_kept(&self) {
        self.kept.close();
    }

    /// Returns the engine of the present guest.
    pub fn engine(&self) -> Engine {
        lock(&self.shared.current).guest.engine().clone()
    }

    /// Begins another time slice, in the engines of all guests that run.
    pub fn tick(&self) {
        for engine in &*lock(&self.shared.engines) {
            if let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
            }
        }
    }

    /// Returns whether guests have time slices.
    pub(super) fn has_time_slices(&self) -> bool {
        self.settings.time_slices
    }

    /// Returns how many requests are under way.
    pub fn under_way(&self) -> usize {
        self.settings.gate.under_way()
    }

    /// Returns the counts of requests and responses so far.
    pub fn metrics(&self) -> ServiceMetrics {
        let idle = self.shared.idle_count.get();
        self.shared.counters.sums(self.under_way(), idle)
    }

    /// Returns the present guest. The lock of all clones is taken only if it is another one than
    /// before.
    fn guest(&self) -> Arc<ProxyPre<T>> {
        let mut present = lock(&self.present);
        if self.shared.generation.load(Ordering::Acquire) != present.generation {
            *present = lock(&self.shared.current).clone();
        }
        present.guest.clone()
    }

    /// Answers a request.
    pub fn respond<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send + use<T, B>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let start = Instant::now();
        let reusing = self.settings.reuse.is_on().then(|| Reusing {
            reuse: self.settings.reuse,
            kept: self.kept.clone(),
        });
        let place = Place {
            guest: self.guest(),
            reusing,
            peer: self.peer,
        };
        answer(
            self.shared.clone(),
            self.settings.clone(),
            place,
            start,
            request,
        )
    }
}

/// The guest that answers a request.
struct Place<T: 'static> {
    guest: Arc<ProxyPre<T>>,
    /// None if each request has an instance of its own.
    reusing: Option<Reusing<T>>,
    peer: Option<SocketAddr>,
}

/// Answers a request.
async fn answer<T, B>(
    shared: Arc<Shared<T>>,
    settings: Arc<Settings>,
    place: Place<T>,
    start: Instant,
    request: Request<B>,
) -> Response<ResponseBody>
where
    T: WasiHttpView + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
{
    let reporter = Reporter {
        info: RequestInfo {
            number: shared.counters.number(),
            peer: place.peer,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
        },
        counters: shared.counters.clone(),
        observer: settings.observer.clone(),
    };
    // From here on, a future that is dropped is a client that went away.
    let mut ending = Box::new(Ending::new(reporter, start));
    let response = match settings.admit(&request) {
        Err(failure) => ending.fail(&failure),
        Ok(permit) => {
            let limits = CallLimits {
                start,
                timeout: settings.timeout,
                max_request_body: settings.max_request_body,
                permit,
            };
            match settings.call(&shared, place, request, limits, ending.reporter()) {
                Err(failure) => ending.fail(&failure),
                Ok(begun) => call(begun, &ending).await,
            }
        }
    };
    let (parts, mut body) = response.into_parts();
    ending.answer(parts.status);
    body.set_ending(ending);
    Response::from_parts(parts, body)
}

/// Calls the guest, and returns its response, or the one to its failure.
async fn call(call: Call, ending: &Ending) -> Response<ResponseBody> {
    let (head, rest) = call.head(ending.reporter()).await;
    let guest = rest.map(|rest| tokio::spawn(rest.run(ending.reporter().clone())).abort_handle());
    match (head, guest) {
        (Ok(Head::Running(response)), Some(guest)) => {
            response.map(|body| ResponseBody::running(body, guest))
        }
        (Ok(Head::Running(response)), None) => {
            let (parts, body) = response.into_parts();
            Response::from_parts(parts, ResponseBody::finished(body).await)
        }
        (Ok(Head::Finished(response)), _) => response,
        (Err(failure), _) => ending.fail(&failure),
    }
}

impl Settings {
    /// Checks whether a request can be answered at all.
    fn admit<B: Body>(&self, request: &Request<B>) -> Result<Permit, Failure> {
        if request.method() == Method::CONNECT {
            return Err(Failure::BadRequest(CONNECT));
        }
        // A server's buffer for heads may let through more than it is meant to hold.
        let target = request
            .uri()
            .path_and_query()
            .map_or("", |path| path.as_str());
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + 4);
        if target.len() + headers.sum::<usize>() > MAX_HEAD {
            return Err(Failure::BadRequest(LARGE_HEAD));
        }
        let hosts = request.headers().get_all(HOST).iter().count();
        if hosts > 1 {
            return Err(Failure::BadRequest(
                "the request has several headers `host`",
            ));
        }
        if hosts == 0 && request.version() == Version::HTTP_11 && request.uri().host().is_none() {
            return Err(Failure::BadRequest("the request has no header `host`"));
        }
        if request.body().size_hint().lower() > self.max_request_body {
            return Err(Failure::RequestTooLarge);
        }
        self.gate.enter().ok_or(Failure::Busy)
    }

    /// Prepares the call of a guest: of an instance that has answered other requests, or a new one.
    fn call<T, B>(
        &self,
        shared: &Shared<T>,
        place: Place<T>,
        request: Request<B>,
        limits: CallLimits,
        reporter: &Reporter,
    ) -> Result<Call, Failure>
    where
        T: WasiHttpView + 'static,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Place { guest, reusing, .. } = place;
        let of_call = |error| Failure::of_call(error, false, false);
        let new_store = |engine: &Engine| {
            let mut store = (shared.new_store)(engine, &reporter.info).map_err(of_call)?;
            self.limit(&mut store).map_err(of_call)?;
            Ok(store)
        };
        let (call, is_reused) = match reusing {
            Some(reusing) if reusing.reuse.is_shared() && guest.answers_several() => {
                Call::shared(guest, new_store, reusing, request, limits)?
            }
            reusing => {
                let kept = reusing.as_ref().and_then(|own| own.kept.take(&guest));
                let is_reused = kept.is_some();
                let instance = match kept {
                    Some(mut kept) => {
                        self.limit(&mut kept.store).map_err(of_call)?;
                        kept
                    }
                    None => Instance::new(new_store(guest.engine())?),
                };
                let call = Call::new(guest, instance, reusing, request, limits);
                (call, is_reused)
            }
        };
        if is_reused {
            shared.counters.reused();
        }
        Ok(call)
    }

    /// Limits the time of a request in its store.
    fn limit<T: 'static>(&self, store: &mut Store<T>) -> mintage::Result<()> {
        if self.time_slices {
            store.set_epoch_deadline(1);
            store.epoch_deadline_async_yield_and_update(1);
        }
        match self.timeout {
            Some(timeout) => store.set_deadline(timeout),
            None => Ok(()),
        }
    }
}

/// The future of a response.
type Answering = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>> + Send>>;

impl<T, B> hyper::service::Service<Request<B>> for ProxyService<T>
where
    T: WasiHttpView + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<B>) -> Answering {
        let response = self.respond(request);
        Box::pin(async move { Ok(response.await) })
    }
}

impl<T, B> tower_service::Service<Request<B>> for ProxyService<T>
where
    T: WasiHttpView + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answering {
        hyper::service::Service::call(self, request)
    }
}
