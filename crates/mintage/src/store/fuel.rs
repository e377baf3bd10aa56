//! Fuel: a limit on what the guests of a store execute.

use crate::error::{Error, Result, ensure, format_err};
use mintage_environ::FuelWords;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A store's fuel.
pub(crate) struct Fuel {
    /// The counter that machine code adds to, and where it pauses. Machine code traps before the
    /// counter would overflow, so the fuel that is left is its complement.
    words: Arc<FuelWords>,
    /// The fuel after which guests yield.
    interval: Option<u64>,
}

impl Fuel {
    /// Creates a counter with no fuel.
    pub fn new() -> Fuel {
        Fuel {
            words: Arc::new(FuelWords {
                counter: AtomicU64::new(!0),
                pause: AtomicU64::new(u64::MAX),
            }),
            interval: None,
        }
    }

    /// Returns the words that machine code uses.
    pub fn words(&self) -> Arc<FuelWords> {
        self.words.clone()
    }

    /// See [`Store::get_fuel`](crate::Store::get_fuel).
    pub fn get(this: Option<&Fuel>) -> Result<u64> {
        let this = this.ok_or_else(not_counted)?;
        Ok(!this.words.counter.load(Relaxed))
    }

    /// See [`Store::set_fuel`](crate::Store::set_fuel).
    pub fn set(this: Option<&Fuel>, fuel: u64) -> Result<()> {
        let this = this.ok_or_else(not_counted)?;
        this.words.counter.store(!fuel, Relaxed);
        this.begin_interval();
        Ok(())
    }

    /// See [`Store::fuel_async_yield_interval`](crate::Store::fuel_async_yield_interval).
    pub fn set_interval(this: Option<&mut Fuel>, interval: Option<u64>) -> Result<()> {
        let this = this.ok_or_else(not_counted)?;
        ensure!(
            interval != Some(0),
            "`fuel_async_yield_interval` needs an interval of at least one unit of fuel, or `None`"
        );
        this.interval = interval;
        this.begin_interval();
        Ok(())
    }

    /// Returns whether guests yield after some fuel.
    pub fn has_interval(&self) -> bool {
        self.interval.is_some()
    }

    /// Returns whether guests have consumed an interval of fuel.
    pub fn is_paused(&self) -> bool {
        self.words.counter.load(Relaxed) > self.words.pause.load(Relaxed)
    }

    /// Begins an interval, at whose end guests check in.
    pub fn begin_interval(&self) {
        let start = self.words.counter.load(Relaxed);
        let end = self.interval.and_then(|length| start.checked_add(length));
        self.words.pause.store(end.unwrap_or(u64::MAX), Relaxed);
    }
}

#[cold]
fn not_counted() -> Error {
    format_err!("guests of this engine consume no fuel: make it with `Config::consume_fuel(true)`")
}
