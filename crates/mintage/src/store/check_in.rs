//! [`TimeLimits`]: the limits on the time of a store's guests, and what follows at a limit.
//!
//! A guest checks in at a function entry or loop head if a bit of the interrupt word is set, or if
//! it has consumed the fuel of a yield interval. Machine code calls the builtin `check_in`, which
//! calls [`StoreInner::check_in`]. That decides whether the guest traps or goes on. All that makes
//! a guest yield ends in [`StoreInner::yield_now`].
//!
//! `realloc` and `post-return` run while values are converted. The callback of the host cannot get
//! the store then, and the guest cannot yield. So they go on, for a [`GRACE`].

use super::fuel::Fuel;
use super::interrupt::Interruption;
use super::{StoreContextMut, StoreInner};
use crate::error::{Result, bail};
use crate::{Engine, Trap};
use mintage_runtime::{StoreWords, Verdict};
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// The time for which `realloc` and `post-return` may go on past the epoch deadline, from their
/// first check-in on. They take microseconds.
const GRACE: Duration = Duration::from_secs(1);

/// What follows when the epoch reaches a store's deadline: the answer of the callback of
/// [`Store::epoch_deadline_callback`](crate::Store::epoch_deadline_callback).
#[non_exhaustive]
pub enum UpdateDeadline {
    /// The guest traps with [`Trap::Interrupt`](crate::Trap::Interrupt).
    Interrupt,
    /// The guest goes on. The new deadline is this many epochs after the present one.
    Continue(u64),
    /// The guest yields to the executor, and goes on when the future is polled again. The new
    /// deadline is this many epochs after the one at that time. A synchronous call cannot yield,
    /// and fails.
    Yield(u64),
    /// As [`Yield`](Self::Yield), but the guest goes on when the given future is ready.
    YieldCustom(u64, CustomYield),
}

/// The future that ends a yield.
type CustomYield = Pin<Box<dyn Future<Output = ()> + Send>>;

impl fmt::Debug for UpdateDeadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateDeadline::Interrupt => f.write_str("Interrupt"),
            UpdateDeadline::Continue(ticks) => f.debug_tuple("Continue").field(ticks).finish(),
            UpdateDeadline::Yield(ticks) => f.debug_tuple("Yield").field(ticks).finish(),
            UpdateDeadline::YieldCustom(ticks, _) => {
                f.debug_tuple("YieldCustom").field(ticks).finish()
            }
        }
    }
}

/// The host's callback.
type EpochCallback<T> = dyn FnMut(StoreContextMut<'_, T>) -> Result<UpdateDeadline> + Send + Sync;

/// What follows when the epoch reaches the deadline.
pub(super) enum OnEpoch<T: 'static> {
    /// The guest traps.
    Trap,
    /// The guest yields, and the new deadline is so many epochs later.
    Yield(u64),
    /// The callback decides.
    Callback(Box<EpochCallback<T>>),
    /// The callback runs, or has panicked. Guests that it calls trap.
    Deciding,
}

/// The limits on the time of a store's guests.
pub(crate) struct TimeLimits<T: 'static> {
    /// None if the engine is not interruptible.
    pub(super) interruption: Option<Interruption>,
    /// None if the engine does not count fuel.
    pub(super) fuel: Option<Fuel>,
    pub(super) on_epoch: OnEpoch<T>,
    /// The first time since the last decision that `realloc` or `post-return` went on although the
    /// epoch deadline had passed.
    confined_since: Option<Instant>,
}

/// The reason for which a guest checks in.
enum Reason {
    /// There is none any more.
    Nothing,
    /// A handle or the deadline ends the call.
    Ended,
    /// The epoch deadline has passed.
    Epoch,
    /// The guest has consumed an interval of fuel.
    Fuel,
}

impl<T> TimeLimits<T> {
    pub fn new(engine: &Engine) -> Self {
        Self {
            interruption: Interruption::new(engine),
            fuel: Fuel::new(engine),
            on_epoch: OnEpoch::Trap,
            confined_since: None,
        }
    }

    /// Returns the words that machine code tests.
    pub fn words(&self) -> StoreWords {
        StoreWords {
            interrupt: self.interruption.as_ref().map(Interruption::word),
            fuel: self.fuel.as_ref().map(Fuel::words),
        }
    }

    /// See [`Interruption::keep_deadline`].
    #[inline(always)]
    pub fn keep_deadline(&mut self, engine: &Engine) -> Result<()> {
        Interruption::keep_deadline(self.interruption.as_mut(), engine)
    }

    /// See [`Store::set_epoch_deadline`](crate::Store::set_epoch_deadline).
    pub fn set_epoch_deadline(&mut self, ticks: u64) {
        self.confined_since = None;
        if let Some(epoch) = self.interruption.as_ref().and_then(Interruption::epoch) {
            epoch.set(ticks);
        }
    }

    fn reason(&self) -> Reason {
        if let Some(interruption) = &self.interruption {
            if interruption.is_ended() {
                return Reason::Ended;
            }
            if interruption.epoch().is_some_and(|epoch| epoch.has_passed()) {
                return Reason::Epoch;
            }
        }
        match &self.fuel {
            Some(fuel) if fuel.is_paused() => Reason::Fuel,
            _ => Reason::Nothing,
        }
    }

    /// Decides whether `realloc` or `post-return` goes on.
    #[cold]
    pub fn check_in_confined(&mut self) -> Verdict {
        let interrupt = Verdict::Trap(Trap::Interrupt);
        match (self.reason(), &self.on_epoch) {
            (Reason::Nothing | Reason::Fuel, _) => Verdict::GoOn,
            (Reason::Ended, _) => interrupt,
            (Reason::Epoch, OnEpoch::Trap | OnEpoch::Deciding) => interrupt,
            (Reason::Epoch, OnEpoch::Callback(_) | OnEpoch::Yield(_)) => {
                let since = self.confined_since.get_or_insert_with(Instant::now);
                match since.elapsed() > GRACE {
                    true => interrupt,
                    false => Verdict::GoOn,
                }
            }
        }
    }
}

impl<T> StoreInner<T> {
    /// Decides whether a guest goes on that checks in. The guest waits for it as for a host
    /// function.
    ///
    /// # Errors
    ///
    /// The error of the host's callback, or that the guest cannot yield. It ends the guest's call.
    #[cold]
    pub(super) fn check_in(&mut self) -> Result<Verdict> {
        match self.host.time.reason() {
            Reason::Nothing => {}
            Reason::Ended => return Ok(Verdict::Trap(Trap::Interrupt)),
            Reason::Epoch => match self.decide_at_epoch()? {
                UpdateDeadline::Interrupt => return Ok(Verdict::Trap(Trap::Interrupt)),
                UpdateDeadline::Continue(ticks) => self.host.time.set_epoch_deadline(ticks),
                UpdateDeadline::Yield(ticks) => {
                    self.yield_now("its epoch deadline", None)?;
                    self.host.time.set_epoch_deadline(ticks);
                }
                UpdateDeadline::YieldCustom(ticks, future) => {
                    self.yield_now("its epoch deadline", Some(future))?;
                    self.host.time.set_epoch_deadline(ticks);
                }
            },
            Reason::Fuel => {
                self.yield_now("the end of its fuel interval", None)?;
                if let Some(fuel) = &self.host.time.fuel {
                    fuel.begin_interval();
                }
            }
        }
        // The callback may have forked the process.
        self.keep_deadline()?;
        Ok(Verdict::GoOn)
    }

    fn decide_at_epoch(&mut self) -> Result<UpdateDeadline> {
        let on_epoch = &mut self.host.time.on_epoch;
        let mut callback = match mem::replace(on_epoch, OnEpoch::Deciding) {
            OnEpoch::Callback(callback) => callback,
            other => {
                let update = match other {
                    OnEpoch::Yield(ticks) => UpdateDeadline::Yield(ticks),
                    _ => UpdateDeadline::Interrupt,
                };
                *on_epoch = other;
                return Ok(update);
            }
        };
        let update = callback(StoreContextMut(self));
        let on_epoch = &mut self.host.time.on_epoch;
        // Unless the callback has chosen what follows next time.
        if let OnEpoch::Deciding = on_epoch {
            *on_epoch = OnEpoch::Callback(callback);
        }
        update
    }

    /// Makes the guest yield to the executor, until its future is polled again or, if there is one,
    /// the given future is ready.
    fn yield_now(&mut self, place: &str, until: Option<CustomYield>) -> Result<()> {
        let until = until.map_or("", |_| " until a future is ready");
        bail!(
            "the guest is to yield{until} at {place}, which a synchronous call cannot; use an \
             asynchronous call, or do not make the store yield \
             (`Store::epoch_deadline_async_yield_and_update`, `UpdateDeadline::Yield`, \
             `Store::fuel_async_yield_interval`)"
        )
    }
}
