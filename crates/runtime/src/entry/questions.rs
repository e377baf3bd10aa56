//! Questions of machine code to its store: about growth ([`AskLimiter`]), and about going on
//! ([`AskToGoOn`]). The store may answer later, in a call that can be suspended.

use super::activation::Departure;
use super::suspend::{Record, RunningRecord, Wait};
use crate::arch::{MaySuspend, SuspendHook};
use crate::instance::growth::{GrowthRequest, Later, Permission};
use crate::instance::limits::{Growth, GrowthEnded};
use crate::instance::{Failure, InstanceData, LaterPermit, Permit, Verdict};
use anyhow::{Error, Result};
use mintage_environ::builtin::GROWTH_ENDED;
use mintage_environ::{MemoryId, TableId, Trap, limit};
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Asks the limiter of an instance about growth that its machine code requests.
pub struct AskLimiter<'d> {
    data: &'d InstanceData,
    /// The limiter's answer, if it was asked before.
    answer: Option<bool>,
    /// The limiter's answer, if it comes later.
    later: Cell<Option<LaterPermit>>,
}

impl<'d> AskLimiter<'d> {
    /// Asks the limiter of `data`.
    ///
    /// # Safety
    ///
    /// Called for machine code of the innermost activation of this thread, which is one of `data`.
    pub unsafe fn new(data: &'d InstanceData) -> AskLimiter<'d> {
        AskLimiter {
            data,
            answer: None,
            later: Cell::new(None),
        }
    }

    /// Has the answer of the limiter of `data`.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new).
    pub unsafe fn answered(data: &'d InstanceData, answer: bool) -> AskLimiter<'d> {
        AskLimiter {
            data,
            answer: Some(answer),
            later: Cell::new(None),
        }
    }

    /// Grows with the answer that the limiter has given. Returns the result for machine code.
    pub fn grow(&self, request: GrowthRequest) -> u64 {
        request.perform(self.data, self).unwrap_or(GROWTH_ENDED)
    }

    fn ask<T>(&self, question: impl FnOnce() -> Result<T>) -> Result<T, GrowthEnded> {
        ask(self.data, question).ok_or(GrowthEnded::Failure)
    }
}

/// The hook of the builtin `memory_grow`, with the number of the memory and the pages.
pub enum GrowMemory {}

impl SuspendHook for GrowMemory {
    unsafe extern "C" fn on_call(ctx: *mut u8, a: *const (), b: *mut u64, _: u64) -> MaySuspend {
        let request = GrowthRequest::Memory {
            id: MemoryId::from_u32(a.addr() as u32),
            pages: b.addr() as u64,
        };
        // SAFETY: as the caller promises.
        unsafe { grow(ctx, request) }
    }
}

/// The hook of the builtin `table_grow`, with the number of the table, the new entries and their
/// number.
pub enum GrowTable {}

impl SuspendHook for GrowTable {
    unsafe extern "C" fn on_call(ctx: *mut u8, a: *const (), b: *mut u64, c: u64) -> MaySuspend {
        let request = GrowthRequest::Table {
            id: TableId::from_u32(a.addr() as u32),
            init: b.addr() as u64,
            delta: c,
        };
        // SAFETY: as the caller promises.
        unsafe { grow(ctx, request) }
    }
}

/// Grows, or suspends the call until the limiter answers.
///
/// # Safety
///
/// Called by the stub, in machine code of the current activation.
unsafe fn grow(ctx: *mut u8, request: GrowthRequest) -> MaySuspend {
    // SAFETY: the instance lives while its code runs.
    let data = unsafe { InstanceData::of_ctx(ctx) };
    // SAFETY: called by machine code of `data`.
    let limiter = unsafe { AskLimiter::new(data) };
    let later = match request.perform(data, &limiter) {
        Ok(result) => return MaySuspend::done(result),
        Err(Later) => limiter.later.take(),
    };
    // SAFETY: machine code of the current activation has left for this.
    match (later, unsafe { Record::of_call(data.current().host()) }) {
        // SAFETY: as the caller promises.
        (Some(permit), Some(record)) => unsafe {
            wait_or_suspend(data, record, Wait::Growth(permit, request))
        },
        _ => MaySuspend::done(GROWTH_ENDED),
    }
}

/// Polls what a call is to wait for, and suspends it if that is pending.
///
/// # Safety
///
/// Called by the stub, in machine code of `data` in the current activation, which is the one of
/// `record`.
unsafe fn wait_or_suspend(data: &InstanceData, record: RunningRecord, wait: Wait) -> MaySuspend {
    let departure = Departure::new();
    // SAFETY: the call is being polled, and no one else uses the context now. Its activation is the
    // innermost.
    let polled = unsafe { wait.poll(record.context(), data) };
    departure.check();
    match polled {
        Ok(result) => MaySuspend::done(result),
        // SAFETY: the machine code that called the stub runs on the record's stack.
        Err(wait) => unsafe { record.suspend(wait) },
    }
}

/// Asks the host something for machine code of `data`. Returns the answer, or leaves the failure
/// with the store's current state.
fn ask<T>(data: &InstanceData, question: impl FnOnce() -> Result<T>) -> Option<T> {
    // State that a panic leaves inconsistent belongs to whoever catches the panic when it is
    // resumed.
    let departure = Departure::new();
    let answer = catch_unwind(AssertUnwindSafe(question));
    departure.check();
    let failure = match answer {
        Ok(Ok(answer)) => return Some(answer),
        Ok(Err(error)) => Failure::Error(error),
        Err(payload) => Failure::Panic(payload),
    };
    data.depends_on_host.set(true);
    data.current().failure.set(Some(failure));
    None
}

/// The hook of the builtin `check_in`, which asks the store whether the guest goes on. The result
/// is 0, or the code of the trap that ends the call. If the store's answer is an error or a panic,
/// that is left with the store's current state, and comes before the trap.
pub enum AskToGoOn {}

impl SuspendHook for AskToGoOn {
    unsafe extern "C" fn on_call(ctx: *mut u8, _: *const (), _: *mut u64, _: u64) -> MaySuspend {
        // SAFETY: the instance lives while its code runs.
        let data = unsafe { InstanceData::of_ctx(ctx) };
        let trap = |trap: Trap| MaySuspend::done(trap as u64);
        let Some(decide) = data.check_in else {
            return trap(Trap::Interrupt);
        };
        let host = data.current().host();
        // SAFETY: a call is under way, and its caller promised that this may use its access to the
        // host.
        let wait = match ask(data, || unsafe { decide(host) }) {
            Some(Verdict::GoOn) => return MaySuspend::done(0),
            Some(Verdict::Trap(reason)) => return trap(reason),
            Some(Verdict::Wait(wait)) => wait,
            None => return trap(Trap::Interrupt),
        };
        // SAFETY: machine code of the current activation has left for this.
        let Some(record) = (unsafe { Record::of_call(host) }) else {
            return trap(Trap::Interrupt);
        };
        // SAFETY: as the caller promises.
        unsafe { wait_or_suspend(data, record, Wait::Host(wait)) }
    }
}

impl Permission for &AskLimiter<'_> {
    fn allows(&self, growth: &Growth) -> Result<bool, GrowthEnded> {
        let data = self.data;
        let Some(limiter) = data.limits.limiter else {
            return Ok(true);
        };
        // SAFETY: a call is under way (`new`), and its caller promised that the limiter may use
        // this access to the host.
        let ask = || unsafe { (limiter.growing)(data.current().host(), growth) };
        let allowed = match self.answer {
            Some(answer) => answer,
            None => match self.ask(ask)? {
                Permit::Granted => true,
                Permit::Refused => false,
                Permit::Later(permit) => {
                    self.later.set(Some(permit));
                    return Err(GrowthEnded::Later);
                }
            },
        };
        if !allowed {
            data.depends_on_host.set(true);
        }
        Ok(allowed)
    }

    fn failed(&self, growth: &Growth, error: io::Error) -> Result<(), GrowthEnded> {
        let data = self.data;
        data.depends_on_host.set(true);
        let Some(limiter) = data.limits.limiter else {
            return Ok(());
        };
        let error = Error::new(error).context(limit!(Memory, "the system gives no memory"));
        // SAFETY: as above.
        self.ask(|| unsafe { (limiter.failed)(data.current().host(), growth, error) })
    }
}
