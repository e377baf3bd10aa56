//! The component that answers requests. It is linked once; each request gets an instance, which
//! ends with the request.

use crate::database::Database;
use mintage::component::{Component, HasSelf, Linker};
use mintage::error::{Error, ErrorKind, Result};
use mintage::{Config, Engine, Store, StoreLimits, StoreLimitsBuilder};
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::Semaphore;

mod bindings {
    mintage::component::bindgen!({
        path: "wit",
        world: "service",
        imports: { default: async },
        exports: { default: async },
    });
}

pub use bindings::requests::service::types::{Request, Response};

/// The limits of a service.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest that a request may take once it has a place, computing or waiting.
    pub time: Duration,
    /// The most requests that are under way. Others wait.
    pub requests: usize,
    /// The most bytes of memory and tables that a request may have.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            time: Duration::from_secs(1),
            requests: 1000,
            memory: 16 << 20,
        }
    }
}

/// The reason why a request has no answer.
#[derive(Debug)]
pub enum Failure {
    /// It took too long.
    TooLate,
    /// The component trapped, or an instance could not be made.
    Stopped(Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::TooLate => f.write_str("the request took too long"),
            Failure::Stopped(error) => write!(f, "the request was stopped: {}", error.root_cause()),
        }
    }
}

impl std::error::Error for Failure {}

/// The data of a store: what the host functions of one request work on.
struct State {
    database: Arc<Database>,
    limits: StoreLimits,
}

impl bindings::requests::service::types::Host for State {}

impl bindings::requests::service::database::Host for State {
    async fn get(&mut self, key: String) -> Option<Vec<u8>> {
        self.database.get(&key).await
    }
}

/// A component that is linked, and answers requests. All its futures can be polled by any thread.
pub struct Service {
    engine: Engine,
    linked: bindings::ServicePre<State>,
    database: Arc<Database>,
    limits: Limits,
    places: Semaphore,
    /// Keeps the thread that counts epochs.
    _alive: Arc<()>,
}

impl Service {
    /// Compiles and links a component.
    ///
    /// # Errors
    ///
    /// If `bytes` are not a component for the world `service`.
    pub fn new(bytes: &[u8], database: Database, limits: Limits) -> Result<Service> {
        let engine = Engine::new(Config::new().interruptible(true).epoch_interruption(true))?;
        let alive = Arc::new(());
        count_epochs(engine.clone(), &alive);
        let component = Component::new(&engine, bytes)?;
        let mut linker = Linker::new(&engine);
        bindings::Service::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
        let linked = linker.instantiate_pre(&component)?;
        Ok(Service {
            engine,
            linked: bindings::ServicePre::new(linked)?,
            database: Arc::new(database),
            limits,
            places: Semaphore::new(limits.requests),
            _alive: alive,
        })
    }

    /// Returns the number of requests that could be taken at once.
    pub fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    /// Answers a request. If the future is dropped, the request ends: its instance, its stack and
    /// what it waits for are dropped with it.
    ///
    /// # Errors
    ///
    /// If the request takes too long, or the component traps.
    pub async fn handle(&self, request: &Request) -> Result<Response, Failure> {
        let place = self.places.acquire().await;
        let _place = place.expect("the semaphore is never closed");
        let answered = self.answer(request).await;
        answered.map_err(|error| match error.kind() {
            ErrorKind::Cancelled => Failure::TooLate,
            _ => Failure::Stopped(error),
        })
    }

    async fn answer(&self, request: &Request) -> Result<Response> {
        let state = State {
            database: self.database.clone(),
            limits: StoreLimitsBuilder::new()
                .memory_size(self.limits.memory)
                .build(),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limits);
        // Ends the request while it computes, and while it waits.
        store.set_deadline(self.limits.time)?;
        // With each epoch, other requests have their turn.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let service = self.linked.instantiate_async(&mut store).await?;
        service.call_handle(&mut store, request).await
    }
}

/// The longest that a request computes while others are ready.
const EPOCH: Duration = Duration::from_millis(5);

/// Starts the thread that counts epochs. It ends with the last clone of `alive`.
fn count_epochs(engine: Engine, alive: &Arc<()>) {
    let alive = Arc::downgrade(alive);
    thread::spawn(move || {
        while alive.strong_count() > 0 {
            engine.increment_epoch();
            thread::sleep(EPOCH);
        }
    });
}
