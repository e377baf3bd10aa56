//! Interruption of guests: the word that machine code tests, the handle that sets it, and the
//! thread that watches deadlines.
//!
//! Each store has one word, to which the control blocks of all its instances point. It has a bit
//! for the handles and one for the deadline, so that clearing one leaves the other; machine code
//! stops at any bit.

use crate::Engine;
use crate::engine::timer::{Deadline, EXPIRED};
use crate::error::{Error, Result, format_err};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bit of the word: a handle asked the guest to stop.
const INTERRUPTED: u64 = 1;

/// Interrupts the guests of one store, from any thread; see
/// [`Store::interrupt_handle`](crate::Store::interrupt_handle).
#[derive(Clone, Debug)]
pub struct InterruptHandle {
    word: Arc<AtomicU64>,
}

impl InterruptHandle {
    /// Makes the guest code that runs now in the store, and all that is called later, trap with
    /// [`Trap::Interrupt`](crate::Trap::Interrupt), until
    /// [`Store::clear_interrupt`](crate::Store::clear_interrupt).
    ///
    /// A guest stops at the next function entry or loop head. Long operations (`memory.fill` and
    /// its like, lists and strings passed between components, garbage collection) are done in
    /// pieces, and stop between two of them, as a rule within a millisecond. Such an operation is
    /// then half done, and its instance cannot be called any more.
    ///
    /// A host function that runs meanwhile is not interrupted: the guest stops after it has
    /// returned. The same is true of the conversion of values between guest and host. Values that
    /// come from a guest are bounded by
    /// [`Store::set_hostcall_fuel`](crate::Store::set_hostcall_fuel).
    pub fn interrupt(&self) {
        self.word.fetch_or(INTERRUPTED, Ordering::Relaxed);
    }
}

/// A store's part in interruption.
pub(crate) struct Interruption {
    word: Arc<AtomicU64>,
    deadline: Option<Deadline>,
}

impl Interruption {
    /// That of a new store; none when the engine's code does not look at the word.
    pub fn new(engine: &Engine) -> Option<Interruption> {
        engine
            .config()
            .tunables
            .interruptible
            .then(|| Interruption {
                word: Arc::default(),
                deadline: None,
            })
    }

    /// The word that machine code tests.
    pub fn word(&self) -> Arc<AtomicU64> {
        self.word.clone()
    }

    /// See [`Store::interrupt_handle`](crate::Store::interrupt_handle).
    pub fn handle(this: Option<&Interruption>) -> Result<InterruptHandle> {
        let word = this.ok_or_else(not_interruptible)?.word();
        Ok(InterruptHandle { word })
    }

    /// See [`Store::clear_interrupt`](crate::Store::clear_interrupt).
    pub fn clear_interrupt(&self) {
        self.word.fetch_and(!INTERRUPTED, Ordering::Relaxed);
    }

    /// See [`Store::set_deadline`](crate::Store::set_deadline).
    pub fn set_deadline(
        this: Option<&mut Interruption>,
        engine: &Engine,
        after: Duration,
    ) -> Result<()> {
        let this = this.ok_or_else(not_interruptible)?;
        this.clear_deadline();
        if let Some(at) = Instant::now().checked_add(after) {
            this.deadline = Some(engine.timer().watch(at, this.word())?);
        }
        Ok(())
    }

    /// Watches the deadline in this process as well, if it was set before a `fork`. Called before
    /// guests are entered, and before they go on after a host function.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    #[inline(always)]
    pub fn keep_deadline(this: Option<&mut Interruption>, engine: &Engine) -> Result<()> {
        match this {
            Some(Interruption {
                deadline: Some(deadline),
                word,
            }) => deadline.keep(word, engine),
            _ => Ok(()),
        }
    }

    /// See [`Store::clear_deadline`](crate::Store::clear_deadline).
    pub fn clear_deadline(&mut self) {
        // Once it is dropped, the timer does not set the bit any more.
        self.deadline = None;
        self.word.fetch_and(!EXPIRED, Ordering::Relaxed);
    }
}

#[cold]
fn not_interruptible() -> Error {
    format_err!(
        "guests of this engine cannot be interrupted: make it with `Config::interruptible(true)`"
    )
}
