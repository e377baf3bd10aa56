//! Fuel: a limit on what the guests of a store execute.

use crate::Engine;
use crate::error::{Error, Result, format_err};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A store's fuel.
pub(crate) struct Fuel {
    /// The counter that machine code adds to. Machine code traps before it would overflow, so the
    /// fuel that is left is its complement.
    counter: Arc<AtomicU64>,
}

impl Fuel {
    /// Creates a counter with no fuel, or `None` if fuel is disabled.
    pub fn new(engine: &Engine) -> Option<Fuel> {
        engine.config().tunables.consume_fuel.then(|| Fuel {
            counter: Arc::new(AtomicU64::new(!0)),
        })
    }

    /// Returns the counter that machine code adds to.
    pub fn counter(&self) -> Arc<AtomicU64> {
        self.counter.clone()
    }

    /// See [`Store::get_fuel`](crate::Store::get_fuel).
    pub fn get(this: Option<&Fuel>) -> Result<u64> {
        let this = this.ok_or_else(not_counted)?;
        Ok(!this.counter.load(Ordering::Relaxed))
    }

    /// See [`Store::set_fuel`](crate::Store::set_fuel).
    pub fn set(this: Option<&Fuel>, fuel: u64) -> Result<()> {
        let this = this.ok_or_else(not_counted)?;
        this.counter.store(!fuel, Ordering::Relaxed);
        Ok(())
    }
}

#[cold]
fn not_counted() -> Error {
    format_err!("guests of this engine consume no fuel: make it with `Config::consume_fuel(true)`")
}
