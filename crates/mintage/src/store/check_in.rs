//! [`TimeLimits`]: the limits on the time of a store's guests, and what follows at a limit.
//!
//! A guest checks in at a function entry or loop head if a bit of the interrupt word is set, or if
//! it has consumed the fuel of a yield interval. Machine code calls the builtin `check_in`, which
//! calls [`StoreInner::check_in`]. That decides whether the guest traps, goes on, or yields to the
//! executor first, which only a call with a stack of its own can.
//!
//! `realloc` and `post-return` run while values are converted. The callback of the host cannot get
//! the store then, and the guest cannot yield. So they go on, for a [`GRACE`].

use super::fuel::Fuel;
use super::interrupt::Interruption;
use super::{StoreContextMut, StoreInner};
use crate::error::{Error, Result, format_err};
use crate::{Engine, Trap};
use mintage_runtime::{StoreWords, Verdict};
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::Poll;
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
    /// Returns limits that limit nothing.
    #[inline]
    pub fn none() -> Self {
        Self {
            interruption: None,
            fuel: None,
            on_epoch: OnEpoch::Trap,
            confined_since: None,
        }
    }

    /// Sets the limits that the engine is configured for.
    #[inline]
    pub fn begin(&mut self, engine: &Engine) {
        let tunables = &engine.config().tunables;
        if tunables.interruptible {
            self.interruption = Some(Interruption::new(engine));
        }
        if tunables.consume_fuel {
            self.fuel = Some(Fuel::new());
        }
    }

    /// Returns whether guests may have to yield.
    pub fn may_yield(&self) -> bool {
        !matches!(self.on_epoch, OnEpoch::Trap)
            || self.fuel.as_ref().is_some_and(Fuel::has_interval)
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
    /// The error of the host's callback. It ends the guest's call.
    #[cold]
    pub(super) fn check_in(&mut self) -> Result<CheckedIn> {
        match self.host.time.reason() {
            Reason::Nothing => {}
            Reason::Ended => return Ok(CheckedIn::Trap),
            Reason::Epoch => match self.decide_at_epoch()? {
                UpdateDeadline::Interrupt => return Ok(CheckedIn::Trap),
                UpdateDeadline::Continue(ticks) => self.host.time.set_epoch_deadline(ticks),
                UpdateDeadline::Yield(ticks) => {
                    return Ok(CheckedIn::Yield(Yield::Epoch(ticks, None)));
                }
                UpdateDeadline::YieldCustom(ticks, until) => {
                    return Ok(CheckedIn::Yield(Yield::Epoch(ticks, Some(until))));
                }
            },
            Reason::Fuel => return Ok(CheckedIn::Yield(Yield::Fuel)),
        }
        // The callback may have forked the process.
        self.keep_deadline()?;
        Ok(CheckedIn::GoOn)
    }

    /// Does what remains to be done when a guest that has yielded goes on.
    ///
    /// # Errors
    ///
    /// If the deadline cannot be watched any more.
    pub(super) fn resume(&mut self, resumed: Resumed) -> Result<()> {
        match resumed {
            Resumed::Epoch(ticks) => self.host.time.set_epoch_deadline(ticks),
            Resumed::Fuel => {
                if let Some(fuel) = &self.host.time.fuel {
                    fuel.begin_interval();
                }
            }
        }
        // The process may have been forked meanwhile.
        self.keep_deadline()
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
}

/// What follows when a guest has checked in.
pub(super) enum CheckedIn {
    GoOn,
    Trap,
    Yield(Yield),
}

impl CheckedIn {
    /// Returns the answer to the guest, unless it yields.
    pub fn verdict(&self) -> Verdict {
        match self {
            CheckedIn::GoOn | CheckedIn::Yield(_) => Verdict::GoOn,
            CheckedIn::Trap => Verdict::Trap(Trap::Interrupt),
        }
    }
}

/// The reason for which a guest yields to the executor.
pub(super) enum Yield {
    /// The epoch deadline has passed. The new one is so many epochs after the time at which the
    /// guest goes on. It waits for the future, if there is one.
    Epoch(u64, Option<CustomYield>),
    /// The guest has consumed an interval of fuel.
    Fuel,
}

/// The reason for which a guest that goes on has yielded.
pub(super) enum Resumed {
    Epoch(u64),
    Fuel,
}

impl Yield {
    /// Waits for the next poll, or for the given future.
    pub async fn wait(self) -> Resumed {
        match self {
            Yield::Epoch(ticks, Some(until)) => {
                until.await;
                Resumed::Epoch(ticks)
            }
            Yield::Epoch(ticks, None) => {
                yield_now().await;
                Resumed::Epoch(ticks)
            }
            Yield::Fuel => {
                yield_now().await;
                Resumed::Fuel
            }
        }
    }

    /// Returns the error of a guest that is to yield in a synchronous call.
    #[cold]
    pub fn cannot_yield(&self) -> Error {
        let (until, place) = match self {
            Yield::Epoch(_, None) => ("", "its epoch deadline"),
            Yield::Epoch(_, Some(_)) => (" until a future is ready", "its epoch deadline"),
            Yield::Fuel => ("", "the end of its fuel interval"),
        };
        format_err!(
            "the guest is to yield{until} at {place}, which a synchronous call cannot; use an \
             asynchronous call, or do not make the store yield \
             (`Store::epoch_deadline_async_yield_and_update`, `UpdateDeadline::Yield`, \
             `Store::fuel_async_yield_interval`)"
        )
    }
}

/// Is pending once, and wakes the task at once.
async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| match mem::replace(&mut has_yielded, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}
