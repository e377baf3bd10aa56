//! Questions of machine code to its store: [`AskLimiter`] about growth, [`AskToGoOn`].

use super::activation::Departure;
use super::suspend::{Record, poll_wait};
use crate::arch::{MaySuspend, SuspendHook};
use crate::instance::growth::Permission;
use crate::instance::limits::{Growth, GrowthEnded, Verdict};
use crate::instance::{Failure, InstanceData};
use anyhow::{Error, Result};
use mintage_environ::{Trap, limit};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Asks the limiter of an instance about growth that its machine code requests.
pub struct AskLimiter<'d>(&'d InstanceData);

impl<'d> AskLimiter<'d> {
    /// Asks the limiter of `data`.
    ///
    /// # Safety
    ///
    /// Called for machine code of the innermost activation of this thread, which is one of `data`.
    pub unsafe fn new(data: &'d InstanceData) -> AskLimiter<'d> {
        AskLimiter(data)
    }

    fn ask<T>(&self, question: impl FnOnce() -> Result<T>) -> Result<T, GrowthEnded> {
        ask(self.0, question).ok_or(GrowthEnded::Failure)
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

/// The hook of the builtin `check_in`, which asks the store whether the guest goes on. The result is
/// 0, or the code of the trap that ends the call. If the store's answer is an error or a panic, that
/// is left with the store's current state, and comes before the trap.
pub enum AskToGoOn {}

impl SuspendHook for AskToGoOn {
    unsafe extern "C" fn on_call(ctx: *mut u8, _: *const (), _: *mut u64) -> MaySuspend {
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
        let Some(record) = Record::of_call(host) else {
            return trap(Trap::Interrupt);
        };
        let departure = Departure::new();
        // SAFETY: the call is being polled, and no one else uses the context now.
        let polled = poll_wait(wait, unsafe { record.context() });
        departure.check();
        match polled {
            Ok(None) => MaySuspend::done(0),
            Ok(failure) => {
                data.current().failure.set(failure);
                trap(Trap::Interrupt)
            }
            // SAFETY: the call, whose innermost activation is that of the machine code that called
            // this, runs on the record's stack.
            Err(wait) => unsafe { record.suspend(wait) },
        }
    }
}

impl Permission for AskLimiter<'_> {
    fn allows(&self, growth: &Growth) -> Result<bool, GrowthEnded> {
        let data = self.0;
        let Some(limiter) = data.limits.limiter else {
            return Ok(true);
        };
        // SAFETY: a call is under way (`new`), and its caller promised that the limiter may use
        // this access to the host.
        let allowed = self.ask(|| unsafe { (limiter.growing)(data.current().host(), growth) })?;
        if !allowed {
            data.depends_on_host.set(true);
        }
        Ok(allowed)
    }

    fn failed(&self, growth: &Growth, error: io::Error) -> Result<(), GrowthEnded> {
        let data = self.0;
        data.depends_on_host.set(true);
        let Some(limiter) = data.limits.limiter else {
            return Ok(());
        };
        let error = Error::new(error).context(limit!(Memory, "the system gives no memory"));
        // SAFETY: as above.
        self.ask(|| unsafe { (limiter.failed)(data.current().host(), growth, error) })
    }
}
