//! [`AskLimiter`]: growth about which the store's limiter is asked.

use super::activation::Departure;
use crate::instance::growth::Permission;
use crate::instance::limits::{Growth, GrowthEnded};
use crate::instance::{Failure, InstanceData};
use anyhow::{Error, Result};
use mintage_environ::limit;
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
        // State that a panic leaves inconsistent belongs to whoever catches the panic when it is
        // resumed.
        let departure = Departure::new();
        let answer = catch_unwind(AssertUnwindSafe(question));
        departure.check();
        let failure = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Failure::Error(error),
            Err(payload) => Failure::Panic(payload),
        };
        self.0.depends_on_host.set(true);
        self.0.current().failure.set(Some(failure));
        Err(GrowthEnded::Failure)
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
