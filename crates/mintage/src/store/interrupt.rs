//! Interruption of guests: the word that machine code tests, and the handle that sets it.
//!
//! Each store has one word, to which the control blocks of all its instances point. The word has a
//! bit each for the handles, the deadline and the epoch deadline, so that clearing one leaves the
//! others. If any bit is set, guests check in (`check_in.rs`). The thread that watches deadlines is
//! in `engine/timer.rs`, and epochs are in `engine/epochs.rs`.

use crate::Engine;
use crate::engine::EpochDeadline;
use crate::engine::timer::Deadline;
use crate::engine::wake::InterruptTarget;
use crate::error::{Error, Result, format_err};
use mintage_environ::interrupt_bits;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Interrupts the guests of one store, from any thread; see
/// [`Store::interrupt_handle`](crate::Store::interrupt_handle).
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Component, Config, Engine, Linker, Store, Trap};
///
/// let engine = Engine::new(Config::new().interruptible(true))?;
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (core module $m (func (export "spin") (loop (br 0))))
///         (core instance $i (instantiate $m))
///         (func (export "spin") (canon lift (core func $i "spin"))))"#,
/// )?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
/// let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
/// let handle = store.interrupt_handle()?;
/// let other = std::thread::spawn(move || handle.interrupt());
/// let error = spin.call(&mut store, ()).unwrap_err();
/// assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt));
/// other.join().unwrap();
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct InterruptHandle {
    target: InterruptTarget,
}

impl InterruptHandle {
    /// Makes running and newly called guest code of the store trap with
    /// [`Trap::Interrupt`](crate::Trap::Interrupt), until
    /// [`Store::clear_interrupt`](crate::Store::clear_interrupt).
    ///
    /// A guest stops at the next function entry or loop head. Long operations are done in pieces,
    /// and stop between two of them, usually within a millisecond: bulk operations such as
    /// `memory.fill`, lists and strings that pass between components, and garbage collection. Such
    /// an operation is then half done. As after any trap, the instance cannot be called again.
    ///
    /// A host function is not interrupted; the guest stops after the function has returned. But the
    /// future of an asynchronous one that the call waits for is dropped: the task that waits is
    /// woken. (A signal handler must not call this while a call of the store is suspended.)
    ///
    /// The conversion of values between guest and host is not interrupted either. The size of
    /// values from a guest is bounded by
    /// [`Store::set_hostcall_fuel`](crate::Store::set_hostcall_fuel).
    pub fn interrupt(&self) {
        self.target.raise(interrupt_bits::STOPPED);
    }
}

/// The state of interruption of one store.
pub(crate) struct Interruption {
    // First, since the place of an epoch deadline is free again only once no one has its word.
    target: InterruptTarget,
    deadline: Option<Deadline>,
    /// None if the engine has no epochs.
    epoch: Option<EpochDeadline>,
}

impl Interruption {
    /// Creates the state of a new store.
    pub fn new(engine: &Engine) -> Interruption {
        let epoch = engine.enlist_epoch_deadline();
        Interruption {
            target: InterruptTarget::new(match &epoch {
                Some(epoch) => epoch.word().clone(),
                None => Arc::default(),
            }),
            deadline: None,
            epoch,
        }
    }

    /// Returns the word that machine code tests.
    pub fn word(&self) -> Arc<AtomicU64> {
        self.target.word.clone()
    }

    /// Returns the word with the task that waits.
    pub fn target(&self) -> &InterruptTarget {
        &self.target
    }

    /// See [`Store::interrupt_handle`](crate::Store::interrupt_handle).
    pub fn handle(this: Option<&Interruption>) -> Result<InterruptHandle> {
        let target = this.ok_or_else(not_interruptible)?.target.clone();
        Ok(InterruptHandle { target })
    }

    /// See [`Store::clear_interrupt`](crate::Store::clear_interrupt).
    pub fn clear_interrupt(&self) {
        self.target
            .word
            .fetch_and(!interrupt_bits::STOPPED, Ordering::Relaxed);
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
            this.deadline = Some(engine.timer().watch(at, this.target.clone())?);
        }
        Ok(())
    }

    /// Watches the deadline in this process as well, if it was set before a `fork`. Called before
    /// guests are entered, and before they go on after a host function.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    #[inline(always)]
    pub fn keep_deadline(this: Option<&mut Interruption>, engine: &Engine) -> Result<()> {
        match this {
            Some(Interruption {
                deadline: Some(deadline),
                target,
                ..
            }) => deadline.keep(target, engine),
            _ => Ok(()),
        }
    }

    /// Returns whether a handle or the deadline ends the guest's call.
    pub fn is_ended(&self) -> bool {
        // Relaxed: the bits say everything. The state of deadlines and epochs is under locks.
        self.target.word.load(Ordering::Relaxed) & interrupt_bits::ENDING != 0
    }

    /// Returns the epoch deadline, if the engine has epochs.
    pub fn epoch(&self) -> Option<&EpochDeadline> {
        self.epoch.as_ref()
    }

    /// See [`Store::clear_deadline`](crate::Store::clear_deadline).
    pub fn clear_deadline(&mut self) {
        // Once it is dropped, the timer does not set the bit any more.
        self.deadline = None;
        self.target
            .word
            .fetch_and(!interrupt_bits::EXPIRED, Ordering::Relaxed);
    }
}

#[cold]
fn not_interruptible() -> Error {
    format_err!(
        "guests of this engine cannot be interrupted: make it with `Config::interruptible(true)`"
    )
}
