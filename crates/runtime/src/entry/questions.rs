//! Questions of machine code to its store: [`AskLimiter`] about growth, [`check_in`] about going
//! on.

use super::activation::Departure;
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

/// Asks the store whether machine code of `data` goes on.
///
/// # Errors
///
/// The trap that ends the call. If the store's answer is an error or a panic, that is left with the
/// store's current state, and comes before the trap.
///
/// # Safety
///
/// Called for machine code of the innermost activation of this thread, which is one of `data`.
pub unsafe fn check_in(data: &InstanceData) -> Result<(), Trap> {
    let Some(decide) = data.check_in else {
        return Err(Trap::Interrupt);
    };
    // SAFETY: a call is under way, and its caller promised that this may use its access to the
    // host.
    match ask(data, || unsafe { decide(data.current().host()) }) {
        Some(Verdict::GoOn) => Ok(()),
        Some(Verdict::Trap(trap)) => Err(trap),
        None => Err(Trap::Interrupt),
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
