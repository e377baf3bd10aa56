//! [`Driver`]: whoever polls a store, and its passes.

use super::{
    CallEnd, CallScope, Exclusive, Failure, Job, JobRun, LIFT_WORDS, PASSES, Phase, Queued,
    StoreInner,
};
use crate::Trap;
use crate::engine::wake::InterruptTarget;
use crate::error::{Error, Result, format_err, stopped};
use crate::store::CallHook;
use crate::types::StoreInstanceId;
use mintage_runtime::{InstanceHandle, Stopped, Turn};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

/// What keeps a driver from running anything else.
enum Blocked {
    Instance(BlockedInstance),
    Job(JobRun<'static>),
}

/// An instance in which a host function waits that has the store. It is entered.
#[derive(Clone, Copy)]
struct BlockedInstance {
    id: StoreInstanceId,
    handle: InstanceHandle,
    /// The store, as that function has it.
    host: NonNull<()>,
}

/// What a pass has done.
enum Pass {
    Progress,
    /// Nothing can go on.
    Idle,
    /// What blocks the driver waits.
    Blocked,
}

/// Whoever polls a store. If it is dropped while it is blocked, what blocks it is stopped.
pub(crate) struct Driver<'s, T: 'static> {
    /// Not used while this is blocked.
    pub(super) store: &'s mut StoreInner<T>,
    blocked: Option<Blocked>,
    /// Whether what blocks it was polled since the last pass.
    is_polled: bool,
    /// Whether it gets the errors that no call gets. Otherwise they are left for another driver.
    gets_all_errors: bool,
    /// None if the engine is not interruptible.
    interrupt: Option<InterruptTarget>,
}

// SAFETY: the pointer in `BlockedInstance` is one to the store, and an instance is one of the
// store, of which the driver has the exclusive reference.
unsafe impl<T: 'static> Send for Driver<'_, T> where StoreInner<T>: Send {}

impl<T: 'static> Driver<'_, T> {
    /// Stops what blocks the driver.
    pub(super) fn unblock(&mut self) {
        match self.blocked.take() {
            Some(Blocked::Instance(BlockedInstance { id, handle, .. })) => {
                // What waits has the store, so it is dropped before anyone else uses that.
                //
                // SAFETY: the instance is in the store, which does not remove it while it is
                // entered. Its code is on no stack in use: it waits.
                unsafe { handle.end_host_wait() };
                self.store.opaque.instances[id].entries.leave();
                self.store.break_instance(id);
                self.store.note_stopped(id);
            }
            Some(Blocked::Job(job)) => drop(job),
            None => {}
        }
    }
}

impl<T: 'static> StoreInner<T> {
    /// Returns whether tasks of an instance are under way.
    pub(super) fn instance_has_tasks(&mut self, id: StoreInstanceId) -> bool {
        let handle = self.opaque.instances[id].runtime.handle();
        // SAFETY: the instance is in the store, which is borrowed exclusively.
        unsafe { handle.has_tasks() }
    }
}

impl<T: 'static> Drop for Driver<'_, T> {
    fn drop(&mut self) {
        self.unblock();
        if let Some(interrupt) = &self.interrupt {
            interrupt.forget_task();
        }
        self.store.forget_listener();
    }
}

impl<'s, T: Send + 'static> Driver<'s, T> {
    pub fn new(store: &'s mut StoreInner<T>) -> Self {
        let interruption = store.host.time.interruption.as_ref();
        let interrupt = interruption.map(|interruption| interruption.target().clone());
        Driver {
            store,
            blocked: None,
            is_polled: false,
            gets_all_errors: false,
            interrupt,
        }
    }

    /// Makes this the driver that gets the errors that no call gets.
    pub fn with_all_errors(mut self) -> Self {
        self.gets_all_errors = true;
        self
    }

    /// Makes one pass over what can go on.
    ///
    /// # Errors
    ///
    /// When something fails that no call waits for.
    fn pass(&mut self, cx: &mut Context<'_>) -> Result<Pass> {
        match &mut self.blocked {
            Some(Blocked::Instance(blocked)) => {
                let blocked = *blocked;
                self.turn(blocked, cx);
                return Ok(match self.blocked {
                    Some(_) => Pass::Blocked,
                    None => Pass::Progress,
                });
            }
            Some(Blocked::Job(job)) => {
                if job.as_mut().poll(cx).is_pending() {
                    return Ok(Pass::Blocked);
                }
                self.blocked = None;
                return Ok(Pass::Progress);
            }
            None => {}
        }
        let mut progress = self.store.poll_host_tasks();
        progress |= self.handle_failures()?;
        progress |= self.start_calls(cx);
        if self.blocked.is_some() {
            // It was polled just now.
            return Ok(Pass::Blocked);
        }
        if !self.store.host.concurrency.jobs.is_empty()
            && !self.has_results()
            && let Some((_, job)) = self.store.host.concurrency.jobs.pop_front()
        {
            self.start_job(job.into_inner());
            return Ok(Pass::Progress);
        }
        let mut at = 0;
        while let Some(&id) = self.store.opaque.concurrent.get(at) {
            at += 1;
            let instance = &self.store.opaque.instances[id];
            if !instance.entries.are_none() {
                continue;
            }
            let handle = instance.runtime.handle();
            // SAFETY: the instance is in the store, which is borrowed exclusively.
            if unsafe { handle.is_ready() } {
                if let Some(entered) = self.enter(id) {
                    self.turn(entered, cx);
                }
                if self.blocked.is_some() {
                    return Ok(Pass::Blocked);
                }
                progress = true;
            }
        }
        Ok(match progress {
            true => Pass::Progress,
            false => Pass::Idle,
        })
    }

    /// Stops instances whose host functions have failed, and ends calls of instances that were
    /// stopped. Returns whether there were any.
    ///
    /// # Errors
    ///
    /// If something has failed whose error no call gets, and this driver does.
    fn handle_failures(&mut self) -> Result<bool> {
        let mut some = false;
        for _ in 0..self.store.host.concurrency.failures.len() {
            let Some(failure) = self.store.host.concurrency.failures.pop_front() else {
                break;
            };
            let id = match failure {
                Failure::Unheard(error) if self.gets_all_errors => return Err(error),
                Failure::Unheard(_) => None,
                Failure::Of(id, _) | Failure::Stopped(id) => Some(id),
            };
            let instance = id.map(|id| self.store.opaque.instances.get(id));
            match (instance, failure) {
                (Some(None), _) => {}
                (Some(Some(instance)), failure) if instance.entries.are_under_way() => {
                    self.store.host.concurrency.failures.push_back(failure);
                }
                (_, Failure::Of(id, error)) => {
                    self.store.fail(id, error);
                    some = true;
                }
                (_, Failure::Stopped(id)) => {
                    self.store.end_others(id);
                    some = true;
                }
                (_, failure) => self.store.host.concurrency.failures.push_back(failure),
            }
        }
        Ok(some)
    }

    /// Lets threads of an instance go on that is entered.
    fn turn(&mut self, entered: BlockedInstance, cx: &mut Context<'_>) {
        // SAFETY: the instance is in the store, which does not remove it while it is entered. The
        // pointer was made from the exclusive reference to the store, which is not used until the
        // turn is over. On host functions see `run_initializers`.
        let turned = unsafe { entered.handle.turn(cx, entered.host) };
        if let Ok(Turn::HostWaits) = turned {
            self.blocked = Some(Blocked::Instance(entered));
            return;
        }
        self.blocked = None;
        match self.leave(entered, turned) {
            Some(Turn::Begins(tag)) => self.begins(tag as usize, cx),
            Some(Turn::Returned(tag)) => self.returned(tag as usize, cx),
            Some(Turn::Cancelled(tag)) => self.cancelled(tag as usize, cx),
            _ => {}
        }
    }

    /// Enters an instance, so that its threads can run. If that fails, the instance is stopped.
    fn enter(&mut self, id: StoreInstanceId) -> Option<BlockedInstance> {
        let instance = &mut self.store.opaque.instances[id];
        instance.entries.enter();
        let handle = instance.runtime.handle();
        match self.store.cross(CallHook::CallingWasm, None) {
            Ok(()) => Some(BlockedInstance {
                id,
                handle,
                host: NonNull::from(&mut *self.store).cast(),
            }),
            Err(error) => {
                self.store.opaque.instances[id].entries.leave();
                self.store.fail(id, error);
                None
            }
        }
    }

    /// Leaves an instance whose threads have run. If they were stopped, the instance is, too.
    fn leave<R>(&mut self, entered: BlockedInstance, result: Result<R, Box<Stopped>>) -> Option<R> {
        let id = entered.id;
        if result.is_err() {
            // Of host functions that had the store, none uses it after this.
            //
            // SAFETY: as in `unblock`. What ran there was stopped.
            unsafe { entered.handle.end_host_wait() };
        }
        self.store.opaque.instances[id].entries.leave();
        let result = result.map_err(|reason| {
            if let Stopped::Panic(_) = *reason {
                let error = format_err!("a host function panicked");
                self.store.fail(id, error);
            }
            stopped(reason)
        });
        let crossed = self
            .store
            .crossed(CallHook::ReturningFromWasm, None, result);
        match crossed {
            Ok(result) => Some(result),
            Err(error) => {
                self.store.fail(id, error);
                None
            }
        }
    }

    /// Runs `step`, which runs threads of an instance. It returns whether a host function has the
    /// store now, and waits: that blocks the driver.
    pub(super) fn run(
        &mut self,
        id: StoreInstanceId,
        step: impl FnOnce(InstanceHandle, NonNull<()>) -> Result<bool, Box<Stopped>>,
    ) {
        let Some(entered) = self.enter(id) else {
            return;
        };
        match step(entered.handle, entered.host) {
            Ok(true) => {
                self.blocked = Some(Blocked::Instance(entered));
                self.is_polled = true;
            }
            Ok(false) => {
                self.leave(entered, Ok(()));
            }
            Err(error) => {
                self.leave::<()>(entered, Err(error));
            }
        }
    }

    /// Returns whether a call has a result that was not taken. Its guest goes on before others
    /// begin.
    fn has_results(&self) -> bool {
        let instances = self.store.opaque.concurrent.iter();
        let mut handles = instances.map(|&id| self.store.opaque.instances[id].runtime.handle());
        // SAFETY: the instances are in the store, which is borrowed exclusively.
        handles.any(|handle| unsafe { handle.has_result() })
    }

    /// Lets new calls try to begin. Returns whether there were some.
    fn start_calls(&mut self, cx: &mut Context<'_>) -> bool {
        let mut some = false;
        let mut waiting = VecDeque::new();
        while self.blocked.is_none()
            && let Some(tag) = self.store.host.concurrency.starting.pop_front()
        {
            let Some(call) = self.store.host.concurrency.calls.get(tag) else {
                continue;
            };
            if !matches!(call.phase, Phase::New) || call.queued.is_none() {
                continue;
            }
            let (id, task, handle) = (call.instance, call.task, call.handle);
            if !self.store.opaque.instances[id].entries.are_none() {
                // It is on the stack, further out.
                waiting.push_back(tag);
                continue;
            }
            some = true;
            // SAFETY: the instance is in the store, which is borrowed exclusively.
            match unsafe { task.try_enter(handle) } {
                true => self.begins(tag, cx),
                false => self.store.host.concurrency.calls[tag].phase = Phase::AtGate,
            }
            let instance = self.store.opaque.instances.get(id);
            // SAFETY: as above.
            if instance.is_some_and(|instance| unsafe { instance.runtime.handle().has_result() }) {
                // The guest goes on before others begin.
                break;
            }
        }
        self.store.host.concurrency.starting.append(&mut waiting);
        some
    }

    /// Begins a call, which has entered its component instance, unless its owner does.
    fn begins(&mut self, tag: usize, cx: &mut Context<'_>) {
        let call = &mut self.store.host.concurrency.calls[tag];
        call.phase = Phase::Entered;
        let (id, task) = (call.instance, call.task);
        let Some(Queued {
            call: queued,
            scope,
        }) = call.queued.take()
        else {
            return;
        };
        let mut queued = queued.into_inner();
        let mut words = [0; LIFT_WORDS];
        let mut scope = CallScope::from_parts(self.store, scope);
        scope.store.opaque.instances[id].entries.enter();
        let lowered = queued.lower(&mut scope, &mut words);
        scope.store.opaque.instances[id].entries.leave();
        let (store, parts) = scope.into_parts();
        let call = &mut store.host.concurrency.calls[tag];
        match lowered {
            Ok(()) => {
                call.phase = Phase::Running;
                call.queued = Some(Queued {
                    call: Exclusive::new(queued),
                    scope: parts,
                });
                // SAFETY: `lower` has made the words those of the function's arguments. On the rest
                // see `turn`.
                self.run(id, |handle, host| unsafe {
                    task.begin(handle, &words, cx, host)
                });
            }
            Err((error, true)) => {
                call.queued = Some(Queued {
                    call: Exclusive::new(queued),
                    scope: parts,
                });
                store.fail(id, error);
            }
            Err((error, false)) => {
                // SAFETY: the instance is in the store, which is borrowed exclusively.
                unsafe { task.abandon(call.handle) };
                CallScope::from_parts(store, parts).leave_task();
                queued.end(Err(error));
            }
        }
    }

    /// Ends a call that was cancelled, and lets the task go on.
    fn cancelled(&mut self, tag: usize, cx: &mut Context<'_>) {
        let call = &mut self.store.host.concurrency.calls[tag];
        let (id, task) = (call.instance, call.task);
        let Some(Queued {
            call: queued,
            scope,
        }) = call.queued.take()
        else {
            // The host cancels only what it has queued.
            return;
        };
        call.phase = Phase::Done;
        let queued = queued.into_inner();
        let mut scope = CallScope::from_parts(self.store, scope);
        match scope.exit() {
            Ok(()) => {
                scope.leave_task();
                drop(scope);
                // SAFETY: as in `turn`.
                self.run(id, |handle, host| unsafe { task.finish(handle, cx, host) });
                queued.end(Ok(CallEnd::Cancelled));
            }
            Err(error) => {
                let error = scope.stopped(error);
                drop(scope);
                queued.end(Err(error));
            }
        }
    }

    /// Takes the result of a call, unless its owner does, and lets the task go on.
    fn returned(&mut self, tag: usize, cx: &mut Context<'_>) {
        let call = &mut self.store.host.concurrency.calls[tag];
        call.phase = Phase::Returned;
        let (id, task, handle) = (call.instance, call.task, call.handle);
        let Some(Queued {
            call: queued,
            scope,
        }) = call.queued.take()
        else {
            return;
        };
        call.phase = Phase::Done;
        let mut queued = queued.into_inner();
        // SAFETY: the instance is in the store, which is borrowed exclusively.
        let result = unsafe { task.words(handle) };
        let mut words = [0; LIFT_WORDS];
        words.copy_from_slice(&result[..LIFT_WORDS]);
        let mut scope = CallScope::from_parts(self.store, scope);
        scope.store.opaque.instances[id].entries.enter();
        let lifted = queued.lift(&mut scope, &mut words);
        scope.store.opaque.instances[id].entries.leave();
        match lifted {
            Ok(()) => {
                scope.leave_task();
                drop(scope);
                // SAFETY: as in `turn`.
                self.run(id, |handle, host| unsafe { task.finish(handle, cx, host) });
                queued.end(Ok(CallEnd::Returned));
            }
            Err(error) => {
                let error = scope.stopped(error);
                drop(scope);
                queued.end(Err(error));
            }
        }
    }

    /// Begins a call that has the whole store.
    fn start_job(&mut self, job: Job<T>) {
        let mut store = NonNull::from(&mut *self.store);
        // SAFETY: the store is borrowed exclusively by this driver, which does not use it as long
        // as the job exists. It drops the job before the borrow ends.
        self.blocked = Some(Blocked::Job(job(unsafe { store.as_mut() })));
    }

    /// Returns whether the deadline or a handle ends what waits.
    fn is_interrupted(&self, waker: &Waker) -> bool {
        let interrupt = self.interrupt.as_ref();
        interrupt.is_some_and(|interrupt| interrupt.is_ended(waker))
    }

    /// Makes passes until `done` returns a result where nothing blocks the driver. If nothing can
    /// go on, `idle` says whether that is an error.
    pub(super) fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut done: impl FnMut(&mut Self) -> Poll<Result<R>>,
        idle: impl Fn(&mut Self) -> Result<()>,
    ) -> Poll<Result<R>> {
        for _ in 0..PASSES {
            if self.blocked.is_none()
                && let Poll::Ready(result) = done(self)
            {
                return Poll::Ready(result);
            }
            let pass = match self.is_polled {
                true => Pass::Blocked,
                false => self.pass(cx)?,
            };
            self.is_polled = false;
            if let Pass::Progress = pass {
                self.store.wake_without_tasks();
                continue;
            }
            if self.is_interrupted(cx.waker()) {
                return Poll::Ready(Err(self.interrupt()));
            }
            if let Pass::Blocked = pass {
                return Poll::Pending;
            }
            idle(self)?;
            // Only now, since the store may have been polled for another task within this pass.
            if !self.store.listen(cx.waker()) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Stops all instances with tasks, since the time of their store is over.
    fn interrupt(&mut self) -> Error {
        if let Some(Blocked::Instance(BlockedInstance { id, .. })) = self.blocked {
            self.unblock();
            self.store.end_all(id, Trap::Interrupt);
        }
        self.unblock();
        for at in 0..self.store.opaque.concurrent.len() {
            let id = self.store.opaque.concurrent[at];
            let has_tasks = self.store.instance_has_tasks(id);
            if has_tasks && self.store.opaque.instances[id].entries.are_none() {
                self.store.end_all(id, Trap::Interrupt);
            }
        }
        Trap::Interrupt.into()
    }

    /// Polls until the call `tag` has come further or has failed.
    pub(super) fn poll_call(&mut self, cx: &mut Context<'_>, tag: usize) -> Poll<Result<()>> {
        let done = |driver: &mut Self| {
            let call = driver.store.host.concurrency.calls.get_mut(tag);
            match call.map(|call| &mut call.phase) {
                Some(Phase::New | Phase::AtGate | Phase::Running) => Poll::Pending,
                Some(Phase::Entered | Phase::Returned | Phase::Taken(_) | Phase::Done) => {
                    Poll::Ready(Ok(()))
                }
                Some(Phase::Failed(error)) => Poll::Ready(Err(error
                    .take()
                    .unwrap_or_else(|| Trap::CannotEnterComponent.into()))),
                None => Poll::Ready(Err(Trap::CannotEnterComponent.into())),
            }
        };
        self.poll(cx, done, |driver| match driver.waits_for_host() {
            true => Ok(()),
            false => Err(Trap::Deadlock.into()),
        })
    }

    /// Returns whether a future of the host may let something go on.
    fn waits_for_host(&mut self) -> bool {
        let tasks = self.store.opaque.tasks.made();
        tasks.is_some_and(|tasks| tasks.running() > 0)
    }
}
