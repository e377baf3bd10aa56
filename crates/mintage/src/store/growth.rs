//! [`HostState`]: the host's data, and its answers to guests that want to grow.

use super::check_in::TimeLimits;
use super::hook::{Hook, Imported};
use super::limits::{Allowance, ResourceLimiter, ResourceLimiterAsync};
use super::tasks::Concurrency;
use super::waiting::with_context;
use crate::engine::Caps;
use crate::error::{Error, ErrorKind, LimitKind, Result, bail};
use mintage_environ::error::Classified;
use mintage_runtime::{Growing, Growth, Verdict};
use std::any::Any;
use std::pin::Pin;
use std::task::Poll;

/// Finds the limiter in the host's data.
pub(crate) enum FindLimiter<T> {
    Sync(Box<dyn (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync>),
    Async(Box<dyn (FnMut(&mut T) -> &mut dyn ResourceLimiterAsync) + Send + Sync>),
}

/// The limiter of a store.
enum FoundLimiter<'a> {
    Sync(&'a mut dyn ResourceLimiter),
    Async(&'a mut dyn ResourceLimiterAsync),
}

/// Calls a method that both kinds of limiters have.
macro_rules! either {
    ($limiter:expr, $found:ident => $call:expr) => {
        match $limiter {
            FoundLimiter::Sync($found) => $call,
            FoundLimiter::Async($found) => $call,
        }
    };
}

/// The answer of a limiter, which may come later.
pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Result<bool>> + Send + 'a>>;

/// The host's data, and the limits of the guests.
pub(crate) struct HostState<T: 'static> {
    pub limiter: Option<FindLimiter<T>>,
    /// The limits of all stores of the engine.
    pub caps: Option<Caps>,
    pub time: TimeLimits<T>,
    /// Whether there is or was a hook or a deadline, which are looked at where calls cross between
    /// host and guests.
    pub watches_crossings: bool,
    /// None while it runs, too.
    pub hook: Option<Hook<T>>,
    /// The host function because of which the hook runs.
    pub hooked: Imported,
    /// The calls of guests that go on together.
    pub concurrency: Concurrency<T>,
    pub data: T,
}

/// The limits of a guest, as far as they apply without the rest of its store, and the host's data
/// beside them.
pub(crate) trait GrowthLimiter {
    /// Whether something may grow. The answer may come later.
    fn growing(&mut self, growth: &Growth) -> Result<MayGrow<'_>>;
    /// Growth that was allowed has failed.
    fn failed(&mut self, growth: &Growth, error: Error) -> Result<()>;
    /// Returns the host's data.
    fn data(&mut self) -> &mut dyn Any;
    /// Whether a guest that checks in goes on.
    fn check_in(&mut self) -> Verdict;
}

/// Whether something may grow.
pub(crate) enum MayGrow<'a> {
    Now(bool),
    Later(Answer<'a>),
}

impl MayGrow<'_> {
    /// Returns the answer, if it is ready.
    ///
    /// # Errors
    ///
    /// If it is not, or the limiter fails.
    pub fn now(self) -> Result<bool> {
        match self {
            MayGrow::Now(allowed) => Ok(allowed),
            MayGrow::Later(mut answer) => match with_context(None, |cx| answer.as_mut().poll(cx)) {
                Poll::Ready(allowed) => allowed,
                Poll::Pending => bail!(
                    "the store's limiter (`Store::limiter_async`) does not answer at once, \
                         and growth cannot wait here: in a synchronous call, in `realloc` or \
                         `post-return`, or of a GC heap"
                ),
            },
        }
    }

    /// Returns the answer as soon as it is ready.
    ///
    /// # Errors
    ///
    /// If the limiter fails.
    pub async fn wait(self) -> Result<bool> {
        match self {
            MayGrow::Now(allowed) => Ok(allowed),
            MayGrow::Later(answer) => answer.await,
        }
    }
}

impl<T> GrowthLimiter for HostState<T> {
    fn growing(&mut self, growth: &Growth) -> Result<MayGrow<'_>> {
        if self.cap(growth).is_some() {
            return Ok(MayGrow::Now(false));
        }
        let Some(limiter) = self.limiter() else {
            return Ok(MayGrow::Now(true));
        };
        let (current, desired) = (growth.current as usize, growth.desired as usize);
        let maximum = Some(growth.maximum as usize);
        let is_table = matches!(growth.what, Growing::Table(_));
        match limiter {
            FoundLimiter::Sync(limiter) => {
                let allowed = match is_table {
                    false => limiter.memory_growing(current, desired, maximum),
                    true => limiter.table_growing(current, desired, maximum),
                };
                allowed.map(MayGrow::Now).map_err(failure)
            }
            FoundLimiter::Async(limiter) => {
                let answer = match is_table {
                    false => limiter.memory_growing(current, desired, maximum),
                    true => limiter.table_growing(current, desired, maximum),
                };
                let answer = async move { answer.await.map_err(failure) };
                Ok(MayGrow::Later(Box::pin(answer)))
            }
        }
    }

    fn failed(&mut self, growth: &Growth, error: Error) -> Result<()> {
        let Some(mut limiter) = self.limiter() else {
            return Ok(());
        };
        release(&mut limiter, growth);
        either!(limiter, limiter => match growth.what {
            Growing::Memory(_) | Growing::Heap(_) => limiter.memory_grow_failed(error),
            Growing::Table(_) => limiter.table_grow_failed(error),
        })
        .map_err(failure)
    }

    fn data(&mut self) -> &mut dyn Any {
        &mut self.data
    }

    fn check_in(&mut self) -> Verdict {
        self.time.check_in_confined()
    }
}

impl<T> HostState<T> {
    /// Returns whether anything limits growth.
    pub fn limits_growth(&self) -> bool {
        self.limiter.is_some() || self.caps.is_some()
    }

    /// Returns the setting of the engine that forbids growth, if one does.
    fn cap(&self, growth: &Growth) -> Option<&'static str> {
        self.caps.as_ref().and_then(|caps| caps.refusal(growth))
    }

    fn limiter(&mut self) -> Option<FoundLimiter<'_>> {
        Some(match self.limiter.as_mut()? {
            FindLimiter::Sync(find) => FoundLimiter::Sync(find(&mut self.data)),
            FindLimiter::Async(find) => FoundLimiter::Async(find(&mut self.data)),
        })
    }

    /// Returns whether the limiter may answer later.
    pub fn may_answer_later(&self) -> bool {
        matches!(self.limiter, Some(FindLimiter::Async(_)))
    }

    /// Returns the limits that do not depend on sizes.
    pub fn allowance(&mut self) -> Allowance {
        match self.limiter() {
            None => Allowance::default(),
            Some(limiter) => either!(limiter, limiter => Allowance {
                instances: limiter.instances(),
                memories: limiter.memories(),
                tables: limiter.tables(),
                stacks: u32::try_from(limiter.stacks()).unwrap_or(u32::MAX),
                handles: u32::try_from(limiter.handles()).unwrap_or(u32::MAX),
            }),
        }
    }

    /// Makes the error for an instance that starts with more than the limiter allows.
    pub fn refused(&mut self, growth: &Growth) -> Classified {
        let table = matches!(growth.what, Growing::Table(_));
        if let Some(cap) = self.cap(growth) {
            let kind = if table {
                LimitKind::Table
            } else {
                LimitKind::Memory
            };
            return refused(growth, Some((kind, format!("more than `{cap}` allows"))));
        }
        let reason = match self.limiter() {
            Some(FoundLimiter::Sync(limiter)) => limiter.refusal(table, growth.desired as usize),
            Some(FoundLimiter::Async(_)) | None => None,
        };
        refused(growth, reason)
    }

    /// Tells the limiter that growth which it allowed is not used.
    pub fn release(&mut self, sizes: impl Iterator<Item = Growth>) {
        let Some(mut limiter) = self.limiter() else {
            return;
        };
        for growth in sizes {
            release(&mut limiter, &growth);
        }
    }
}

/// Classifies the error that a limiter returned as the host's, unless it says that a limit was
/// reached.
fn failure(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Limit(_) => error,
        _ => error.of_host("the store's limiter failed"),
    }
}

/// Tells the limiter that growth which it allowed did not happen.
fn release(limiter: &mut FoundLimiter<'_>, growth: &Growth) {
    let unused = (growth.desired - growth.current) as usize;
    either!(limiter, limiter => match growth.what {
        Growing::Memory(_) | Growing::Heap(_) => limiter.memory_released(unused),
        Growing::Table(_) => limiter.table_released(unused),
    });
}

/// Makes the error for an instance that starts with too much, for a reason that the limiter may
/// have given.
pub(super) fn refused(growth: &Growth, reason: Option<(LimitKind, String)>) -> Classified {
    let (kind, unit, setting) = match growth.what {
        Growing::Memory(_) | Growing::Heap(_) => (LimitKind::Memory, "bytes", "memory_size"),
        Growing::Table(_) => (LimitKind::Table, "entries", "table_elements"),
    };
    let (kind, reason) = reason.unwrap_or_else(|| {
        let reason = format!(
            "which the store's limiter refuses; raise `StoreLimitsBuilder::{setting}` or \
             `StoreLimitsBuilder::total_memory_size`, or change what `Store::limiter` was given"
        );
        (kind, reason)
    });
    ErrorKind::Limit(kind).error(format!(
        "{} starts with {} {unit}, {reason}",
        growth.what, growth.desired
    ))
}
