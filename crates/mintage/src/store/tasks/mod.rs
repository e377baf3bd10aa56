//! The event loop of a store: calls of functions whose type is `async` (tasks), which may go on
//! after they have given their results, and futures of the host that go on meanwhile.
//!
//! The loop is the poll of whichever future has the store: a call that waits ([`CallScope`]), or
//! [`run_concurrent`](crate::Store::run_concurrent). Its [`Driver`] makes one pass after the other.
//! A pass polls the futures of the host that were woken, begins calls, and gives a turn to each
//! instance with threads that can go on. If nothing can, the driver waits to be woken.
//!
//! An asynchronous host function may have the whole store while it waits. The driver is *blocked*
//! then: it polls that function, and nothing else of the store runs.
//!
//! ```text
//! futures    the futures of the host: their places, and what wakes them
//! work       polls them
//! driver     the passes
//! steps      a call by a future that has the store
//! running    a future that runs the store
//! ```

mod driver;
mod futures;
mod running;
mod steps;
mod work;

pub(crate) use driver::Driver;
pub(crate) use futures::{HostTaskId, LazyHostTasks};
pub(crate) use running::Running;

use super::scope::ScopeParts;
use super::{CallScope, Exclusive, LIFT_WORDS, StoreInner, StoreInstance};
use crate::Trap;
use crate::error::{Error, Result};
use crate::types::StoreInstanceId;
use futures::Work;
use mintage_environ::LiftId;
use mintage_runtime::{HostTask, InstanceHandle};
use slab::Slab;
use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The most passes of one poll. After these, others of the executor have a turn.
const PASSES: usize = 64;

/// The calls of guests that go on together.
pub(crate) struct Concurrency<T: 'static> {
    /// The calls that are tasks, by their number.
    pub(super) calls: Slab<GuestCall<T>>,
    /// Those that have not tried to begin.
    starting: VecDeque<usize>,
    /// Calls that have the whole store once they begin, by their number.
    jobs: VecDeque<(u64, Exclusive<Job<T>>)>,
    failures: VecDeque<Failure>,
    /// The number of calls that were queued so far.
    queued: u64,
    /// What waits until there are no tasks of guests.
    without_tasks: Option<Waker>,
    /// Lets a stream or future go on, by its number. Set before the first instance is made that
    /// could have an end of one. An error is that of the instance that fails.
    pub drive_stream: Option<DriveStream<T>>,
}

/// Lets a stream or future go on whose sides may be ready.
pub(crate) type DriveStream<T> = fn(&mut StoreInner<T>, u64) -> Result<(), Failed>;

/// An error of an instance, which ends it.
pub(crate) type Failed = (StoreInstanceId, Error);

/// The name of a call that was queued. It never names another one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueuedCallId {
    /// Its place, if it is a task.
    tag: Option<usize>,
    number: u64,
}

/// How a call has ended that has not failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallEnd {
    Returned,
    /// It was cancelled, and has no result.
    Cancelled,
}

impl<T: 'static> Default for Concurrency<T> {
    fn default() -> Self {
        Concurrency {
            calls: Slab::new(),
            starting: VecDeque::new(),
            jobs: VecDeque::new(),
            failures: VecDeque::new(),
            queued: 0,
            without_tasks: None,
            drive_stream: None,
        }
    }
}

/// The most errors that are kept for whoever runs the store next.
const MAX_UNHEARD: usize = 64;

impl<T: 'static> Concurrency<T> {
    /// Keeps an error for whoever runs the store next.
    fn keep_unheard(&mut self, error: Error) {
        let is_unheard = |failure: &&Failure| matches!(failure, Failure::Unheard(_));
        if self.failures.iter().filter(is_unheard).count() < MAX_UNHEARD {
            self.failures.push_back(Failure::Unheard(error));
        }
    }

    /// Forgets an instance that is removed, since another one may have its number.
    pub(super) fn forget(&mut self, id: StoreInstanceId) {
        self.failures.retain(|failure| match failure {
            Failure::Of(other, _) | Failure::Stopped(other) => *other != id,
            Failure::Unheard(_) => true,
        });
    }
}

/// What the event loop has to deal with when nothing is on the stack that it would concern.
enum Failure {
    /// A host function of the instance has failed.
    Of(StoreInstanceId, Error),
    /// A call of the instance was stopped, so its other calls end.
    Stopped(StoreInstanceId),
    /// No call gets the error, so that whoever runs the store does. Only the first ones are kept,
    /// for a store that no one runs.
    Unheard(Error),
}

/// A call that has the whole store until it ends.
pub(crate) type Job<T> = Box<dyn for<'a> FnOnce(&'a mut StoreInner<T>) -> JobRun<'a> + Send>;
pub(crate) type JobRun<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A call that is a task.
pub(super) struct GuestCall<T: 'static> {
    task: HostTask,
    handle: InstanceHandle,
    instance: StoreInstanceId,
    phase: Phase,
    /// The steps of the call, unless a future that has the store takes them.
    queued: Option<Queued<T>>,
    /// Its number among those that were queued, if it was; they begin with 1.
    number: u64,
}

struct Queued<T: 'static> {
    call: Exclusive<Box<dyn QueuedCall<T>>>,
    scope: ScopeParts,
}

/// The steps of a call that the event loop takes.
pub(crate) trait QueuedCall<T: 'static>: Send {
    /// Lowers the parameters. If it fails, no code of the guest has run unless it returns true.
    ///
    /// # Errors
    ///
    /// As [`Call::lower_params`](crate::call), with whether code of the guest trapped.
    fn lower(
        &mut self,
        scope: &mut CallScope<'_, T>,
        words: &mut [u64; LIFT_WORDS],
    ) -> Result<(), (Error, bool)>;

    /// Lifts the result, and ends the scope.
    ///
    /// # Errors
    ///
    /// If the result is not one, or the guest has kept what was lent to it.
    fn lift(&mut self, scope: &mut CallScope<'_, T>, words: &mut [u64; LIFT_WORDS]) -> Result<()>;

    /// Tells whoever has called how the call has ended.
    fn end(self: Box<Self>, result: Result<CallEnd>);
}

/// How far a call has come.
enum Phase {
    /// It has not tried to begin.
    New,
    /// It waits for the gate of its component instance.
    AtGate,
    /// It may begin.
    Entered,
    Running,
    Returned,
    /// The host has its result, which is this word, or nothing.
    Taken(u64),
    /// Its caller knows how it has ended, and it goes on by itself. No one waits for it.
    Done,
    /// It was stopped. The error is for its caller.
    Failed(Option<Error>),
}

impl<T: 'static> StoreInner<T> {
    /// Stops an instance for good: its tasks end, and so do the host's futures that work for it.
    pub(super) fn break_instance(&mut self, id: StoreInstanceId) {
        let instance = &mut self.opaque.instances[id];
        instance.entries.break_now();
        let handle = instance.runtime.handle();
        // SAFETY: the instance is in the store, which is borrowed exclusively. Its code is not on a
        // stack in use: calls that are not tasks end before those that they are made in, and no
        // driver gives an instance a turn that is entered.
        unsafe { handle.end_tasks() };
        let works = self.opaque.tasks.made().map(|tasks| tasks.end_of(id));
        self.expose(|| drop(works));
        self.end_streams_of(id);
    }

    /// Keeps an error that no call gets for whoever runs the store.
    pub fn fail_unheard(&mut self, error: Error) {
        self.host.concurrency.keep_unheard(error);
    }

    /// Stops an instance because of an error, as soon as its code is not on the stack.
    pub fn fail_later(&mut self, (id, error): Failed) {
        let failure = Failure::Of(id, error);
        self.host.concurrency.failures.push_back(failure);
    }

    /// Stops an instance because of an error, which one of its callers gets: that of a call whose
    /// result is being taken, if there is one.
    fn fail(&mut self, id: StoreInstanceId, error: Error) {
        self.break_instance(id);
        let mut calls = self.calls_of(id);
        if calls.is_empty() {
            self.opaque.engine.count_trap(&error);
            self.host.concurrency.keep_unheard(error);
            return;
        }
        let has_returned = |tag: &usize| {
            let phase = &self.host.concurrency.calls[*tag].phase;
            matches!(phase, Phase::Returned | Phase::Taken(_))
        };
        let first = calls.remove(calls.iter().position(has_returned).unwrap_or(0));
        let reason = format!("the instance was stopped: {error:#}");
        self.end_call(first, Err(error));
        for tag in calls {
            let error = Error::from(Trap::CannotEnterComponent);
            self.end_call(tag, Err(error.context(reason.clone())));
        }
    }

    /// Ends the calls of an instance that was stopped, one of whose callers knows why.
    fn end_others(&mut self, id: StoreInstanceId) {
        self.break_instance(id);
        for tag in self.calls_of(id) {
            let error = Error::from(Trap::CannotEnterComponent);
            let error = error.context("another call of the instance was stopped");
            self.end_call(tag, Err(error));
        }
    }

    /// Stops an instance for a reason that all its callers get.
    fn end_all(&mut self, id: StoreInstanceId, reason: Trap) {
        self.break_instance(id);
        for tag in self.calls_of(id) {
            self.end_call(tag, Err(reason.into()));
        }
    }

    /// Returns the numbers of the calls of an instance that wait.
    fn calls_of(&self, id: StoreInstanceId) -> Vec<usize> {
        let waits = |call: &GuestCall<T>| {
            call.instance == id && !matches!(call.phase, Phase::Failed(_) | Phase::Done)
        };
        let calls = self.host.concurrency.calls.iter();
        calls
            .filter(|(_, call)| waits(call))
            .map(|(tag, _)| tag)
            .collect()
    }

    /// Ends the other calls of an instance, one of which was stopped: now, or when its code is not
    /// on the stack any more.
    pub(super) fn note_stopped(&mut self, id: StoreInstanceId) {
        if !self.opaque.concurrent.contains(&id) {
            return;
        }
        match self.opaque.instances[id].entries.are_under_way() {
            true => {
                let failure = Failure::Stopped(id);
                self.host.concurrency.failures.push_back(failure);
            }
            false => self.end_others(id),
        }
    }

    /// Takes the flat result of a call where the guest gives it, or the pointer to it.
    ///
    /// # Errors
    ///
    /// When it is not one, or the guest has kept what was lent to it. The instance is to be stopped
    /// then.
    ///
    /// # Panics
    ///
    /// When lifting it does. The instance is to be stopped, too.
    pub fn take_result(&mut self, tag: usize, result: &[u64]) -> Result<()> {
        let call = &mut self.host.concurrency.calls[tag];
        let Some(queued) = call.queued.take() else {
            call.phase = Phase::Taken(result.first().copied().unwrap_or(0));
            return Ok(());
        };
        call.phase = Phase::Returned;
        let Queued { call, scope } = queued;
        let mut queued = call.into_inner();
        let mut words = [0; LIFT_WORDS];
        words[..result.len()].copy_from_slice(result);
        let mut scope = CallScope::from_parts(self, scope);
        let lift = AssertUnwindSafe(|| queued.lift(&mut scope, &mut words));
        let lifted = catch_unwind(lift);
        if let Ok(Ok(())) = lifted {
            scope.leave_task();
            drop(scope);
            queued.end(Ok(CallEnd::Returned));
            return Ok(());
        }
        // The guest is on the stack, so the call ends later.
        let (store, scope) = scope.into_parts();
        store.host.concurrency.calls[tag].queued = Some(Queued {
            call: Exclusive::new(queued),
            scope,
        });
        lifted.unwrap_or_else(|payload| resume_unwind(payload))
    }

    /// Ends a call that the event loop makes, or fails another one.
    fn end_call(&mut self, tag: usize, end: Result<CallEnd>) {
        let call = &mut self.host.concurrency.calls[tag];
        let Some(Queued {
            call: queued,
            scope,
        }) = call.queued.take()
        else {
            call.phase = Phase::Failed(end.err());
            return;
        };
        let mut scope = CallScope::from_parts(self, scope);
        let end = end.map_err(|error| scope.stopped(error));
        scope.leave_task();
        drop(scope);
        queued.into_inner().end(end);
    }

    /// Adds a call that the event loop makes.
    ///
    /// # Errors
    ///
    /// When there are too many tasks.
    pub fn queue_call(
        &mut self,
        instance: StoreInstanceId,
        lift: LiftId,
        borrows: bool,
        call: Box<dyn QueuedCall<T>>,
    ) -> Result<QueuedCallId> {
        let mut scope = CallScope::new(self, instance, borrows);
        let tag = scope.new_task(lift, true)?;
        let (store, scope) = scope.into_parts();
        let concurrency = &mut store.host.concurrency;
        concurrency.queued += 1;
        let number = concurrency.queued;
        let queued = &mut concurrency.calls[tag];
        queued.number = number;
        queued.queued = Some(Queued {
            call: Exclusive::new(call),
            scope,
        });
        concurrency.starting.push_back(tag);
        Ok(QueuedCallId {
            tag: Some(tag),
            number,
        })
    }

    /// Adds a call that has the whole store once the event loop makes it.
    pub fn queue_job(&mut self, job: Job<T>) -> QueuedCallId {
        let concurrency = &mut self.host.concurrency;
        concurrency.queued += 1;
        let number = concurrency.queued;
        concurrency.jobs.push_back((number, Exclusive::new(job)));
        QueuedCallId { tag: None, number }
    }

    /// Asks for the end of a call that was queued, unless it has ended. Returns the steps of one
    /// that has the whole store, if it has not begun: the caller drops them.
    pub fn cancel_call(&mut self, id: QueuedCallId) -> Option<Exclusive<Job<T>>> {
        let QueuedCallId { tag, number } = id;
        let concurrency = &mut self.host.concurrency;
        let Some(tag) = tag else {
            let mut jobs = concurrency.jobs.iter();
            let at = jobs.position(|(other, _)| *other == number)?;
            return concurrency.jobs.remove(at).map(|(_, job)| job);
        };
        let call = concurrency.calls.get(tag);
        let call = call.filter(|call| call.number == number)?;
        // A call that has entered begins before anything else uses the store.
        if let Phase::New | Phase::AtGate | Phase::Running = call.phase {
            // SAFETY: the instance is in the store, which is borrowed exclusively.
            let has_ended = unsafe { call.task.request_cancel(call.handle) };
            if has_ended {
                self.end_call(tag, Ok(CallEnd::Cancelled));
            }
        }
        None
    }

    /// Is ready when no tasks of guests are under way. Only the last waker is kept.
    pub fn poll_without_tasks(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.has_tasks() {
            return Poll::Ready(());
        }
        self.host.concurrency.without_tasks = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Wakes what waits until there are no tasks, if there are none.
    fn wake_without_tasks(&mut self) {
        if self.host.concurrency.without_tasks.is_some()
            && !self.has_tasks()
            && let Some(waker) = self.host.concurrency.without_tasks.take()
        {
            waker.wake();
        }
    }

    /// Returns whether tasks of guests are under way, or one has failed and no one knows of it yet.
    fn has_tasks(&mut self) -> bool {
        let mut places = 0..self.opaque.concurrent.len();
        let concurrency = &self.host.concurrency;
        !concurrency.jobs.is_empty()
            || !concurrency.failures.is_empty()
            || places.any(|at| self.instance_has_tasks(self.opaque.concurrent[at]))
    }

    /// Adds a future of the host, which is polled by the event loop.
    pub fn add_work(&mut self, work: Work) {
        let tasks = self.opaque.tasks.get();
        let id = tasks.reserve(None);
        tasks.put(id, work);
        tasks.waker(id).wake();
    }

    /// Ends all tasks, before the store is dropped.
    pub(super) fn end_all_tasks(&mut self) {
        for id in mem::take(&mut self.opaque.concurrent) {
            // Code of an instance that is still entered is that of a call which was leaked.
            let instance = self.opaque.instances.get(id);
            if instance.is_some_and(|instance| !instance.entries.are_under_way()) {
                self.break_instance(id);
            }
        }
        self.end_all_streams();
        let works = self.opaque.tasks.made().map(|tasks| tasks.end_all());
        if works.is_some() {
            self.expose(|| drop(works));
        }
    }
}
