//! Threads: how they start, go on, wait and end.

use super::calls::{resolve, returned};
use super::{Failed, Poll, State, Step, with};
use crate::component::arena::Key;
use crate::component::concurrent::{
    Caller, Condition, EventCode, Origin, Start, SubtaskState, TaskState, Then, ThreadState,
    WaitableKind,
};
use crate::entry::{self, Stopped, SuspendableCall, TrapReport, current_stack_limit};
use crate::instance::{HostAccess, InstanceData, InstanceHandle};
use mintage_environ::component::{GuestTask, HostCalls};
use mintage_environ::{DomainId, MemoryId, Trap};
use std::task::Poll as Polled;

/// How far a thread has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// It waits or has ended, and whoever ran it goes on.
    Back,
    /// It waits for a host function that has the store.
    HostWaits,
}

/// The codes that a callback returns, in the low four bits.
mod callback_code {
    pub const EXIT: u32 = 0;
    pub const YIELD: u32 = 1;
    pub const WAIT: u32 = 2;
}

/// Ends with a trap outside of machine code.
pub(super) fn trapped(data: &InstanceData, failed: Failed) -> Box<Stopped> {
    data.poisoned.set(true);
    match failed {
        Failed::Stopped(stopped) => stopped,
        Failed::Trap(trap) => TrapReport::without_frames(trap).into(),
        Failed::Handle(error) => {
            let report = TrapReport {
                handle: Some(error),
                ..TrapReport::without_frames(error.trap())
            };
            report.into()
        }
    }
}

/// Lets a thread go on that has waited, and that is in no list any more. Then lets those run that
/// go on in its place.
///
/// # Safety
///
/// No reference into the instance's memories exists. The host may be used as `poll` says.
pub(super) unsafe fn resume(
    data: &InstanceData,
    thread: Key,
    poll: &mut Poll<'_>,
) -> Result<Ran, Box<Stopped>> {
    let mut next = Some(thread);
    while let Some(thread) = next {
        let synchronous = with(data, |state| {
            let thread = &mut state.threads[thread];
            let synchronous = thread.start == Start::Nothing;
            if synchronous {
                thread.state = ThreadState::Running;
            }
            synchronous
        });
        if synchronous {
            // It is on the stack further out, and goes on when control is back there.
            return Ok(Ran::Back);
        }
        // SAFETY: as the caller promises.
        let ran = unsafe { resume_one(data, thread, poll) }?;
        if ran == Ran::HostWaits {
            return Ok(ran);
        }
        next = with(data, |state| state.switch_to.take());
    }
    Ok(Ran::Back)
}

/// Lets a thread go on.
///
/// # Safety
///
/// As [`resume`].
unsafe fn resume_one(
    data: &InstanceData,
    thread: Key,
    poll: &mut Poll<'_>,
) -> Result<Ran, Box<Stopped>> {
    let has_stack = with(data, |state| state.threads[thread].fiber.is_some());
    if has_stack {
        // SAFETY: as the caller promises.
        return match unsafe { follow(data, thread, poll) } {
            Ok(Step::Done(result)) => {
                // SAFETY: as above.
                unsafe { run(data, thread, Some(result), poll) }
            }
            Ok(step) => {
                let ran = match step {
                    Step::HostWaits(_) => Ran::HostWaits,
                    _ => Ran::Back,
                };
                let suspended = in_thread(data, thread, |state| state.suspend(step));
                suspended.map_err(|trap| trapped(data, trap.into()))?;
                Ok(ran)
            }
            Err(failed) => Err(stop(data, thread, failed)),
        };
    }
    let begins = begin(data, thread).map_err(|failed| trapped(data, failed))?;
    match begins {
        // SAFETY: as above.
        true => unsafe { run(data, thread, None, poll) },
        false => Ok(Ran::Back),
    }
}

/// Calls `f` while `thread`, or what was on its stack when it was suspended, is the current thread.
fn in_thread<R>(data: &InstanceData, thread: Key, f: impl FnOnce(&mut State) -> R) -> R {
    with(data, |state| {
        let inner = state.threads[thread].inner.unwrap_or(thread);
        let outer = state.current.replace(inner);
        let result = f(state);
        state.current = outer;
        result
    })
}

/// Ends a thread that is suspended, with the reason why its built-in fails.
fn stop(data: &InstanceData, thread: Key, failed: Failed) -> Box<Stopped> {
    let trap = match failed {
        Failed::Stopped(stopped) => return stopped,
        Failed::Trap(trap) => trap,
        Failed::Handle(error) => {
            data.current().handle_error.set(Some(error));
            error.trap()
        }
    };
    let fiber = with(data, |state| state.threads[thread].fiber.take());
    match fiber {
        // SAFETY: the call is suspended, and its instance lives, as the caller of `resume`
        // promises.
        Some(mut fiber) => unsafe { fiber.stop(trap) },
        None => trapped(data, trap.into()),
    }
}

/// Decides how a thread without a stack goes on. Returns false if it does not: its task was
/// cancelled before it began.
fn begin(data: &InstanceData, thread: Key) -> Result<bool, Failed> {
    let (start, then, task) = with(data, |state| {
        let thread = &state.threads[thread];
        (thread.start, thread.then, thread.task)
    });
    match start {
        Start::Task => {
            let cancelled = with(data, |state| state.tasks[task].deliver_pending_cancel());
            if cancelled {
                resolve(data, task, SubtaskState::CancelledBeforeStarted)?;
                with(data, |state| {
                    state.threads.remove(thread);
                    state.tasks[task].implicit = None;
                    state.end_task(task);
                });
                return Ok(false);
            }
            with(data, |state| state.enter(thread));
        }
        Start::Callback(_) => {
            let event = match (
                with(data, |state| state.tasks[task].deliver_pending_cancel()),
                then,
            ) {
                (true, _) => [EventCode::TaskCancelled as u32, 0, 0],
                (false, Then::SetEvent { set, .. }) => take_set_event(data, set),
                (false, _) => [EventCode::None as u32, 0, 0],
            };
            with(data, |state| {
                let domain = state.threads[thread].domain;
                state.take_exclusive(domain);
                state.threads[thread].start = Start::Callback(event);
            });
        }
        Start::Function(..) | Start::Nothing => {}
    }
    Ok(true)
}

/// Takes an event of a set that has one.
fn take_set_event(data: &InstanceData, set: Key) -> [u32; 3] {
    let taken = with(data, |state| state.take_set_event(set));
    match taken {
        Some((waitable, event)) => {
            end_loans(data, waitable);
            event
        }
        None => [EventCode::None as u32, 0, 0],
    }
}

/// Takes the event of a waitable.
pub(super) fn take_event(data: &InstanceData, waitable: Key) -> [u32; 3] {
    let event = with(data, |state| state.take_event(waitable));
    end_loans(data, waitable);
    event
}

/// Ends the loans of a subtask, if its caller knows now that it has ended.
pub(super) fn end_loans(data: &InstanceData, waitable: Key) {
    let scope = with(data, |state| match &mut state.waitables[waitable].kind {
        WaitableKind::Subtask(subtask) if subtask.is_delivered => subtask.scope.take(),
        _ => None,
    });
    if let Some(scope) = scope {
        data.with_handles(|handles, _| handles.end_loans(scope));
    }
}

/// Returns what a built-in does that has waited.
///
/// # Safety
///
/// As [`resume`].
unsafe fn follow(data: &InstanceData, owner: Key, poll: &mut Poll<'_>) -> Result<Step, Failed> {
    let thread = with(data, |state| state.threads[owner].inner.unwrap_or(owner));
    let outer = with(data, |state| state.current.replace(thread));
    let (state, then) = with(data, |state| {
        (state.threads[thread].state, state.threads[thread].then)
    });
    // A synchronous task has waited for the host in the middle of its wait.
    let waits = thread != owner && state != ThreadState::Running;
    let step = match waits {
        // SAFETY: as the caller promises.
        true => unsafe { let_others_run(data, thread, then, poll) },
        // SAFETY: as above.
        false => match unsafe { then_step(data, then, poll) } {
            // SAFETY: as above.
            Ok(Step::Wait(condition, then)) => unsafe { wait(data, condition, then, poll) },
            step => step,
        },
    };
    with(data, |state| state.current = outer);
    step
}

/// Returns what a built-in of the current thread does whose wait is over.
///
/// # Safety
///
/// As [`resume`].
pub(super) unsafe fn then_step(
    data: &InstanceData,
    then: Then,
    poll: &mut Poll<'_>,
) -> Result<Step, Failed> {
    Ok(match then {
        Then::Return(result) => Step::Done(result),
        Then::SetEvent {
            set,
            memory,
            pointer,
        } => {
            let event = take_set_event(data, set);
            Step::Done(write_event(data, memory, pointer, event)?)
        }
        Then::Event(waitable) => Step::Done(take_event(data, waitable)[2]),
        Then::Cancelled(subtask) => {
            with(data, |state| {
                state.waitables[subtask].has_sync_waiter = false;
            });
            Step::Done(take_event(data, subtask)[2])
        }
        Then::Result { subtask, words } => {
            super::calls::pass_result(data, subtask, words);
            Step::Done(0)
        }
        Then::HostResult { subtask, words } => {
            super::imports::pass_result(data, subtask, words);
            Step::Done(0)
        }
        Then::Called { subtask, words } => super::calls::called(data, subtask, words)?,
        // SAFETY: as the caller promises.
        Then::Cancelling { subtask, is_async } => unsafe {
            super::calls::cancelling(data, subtask, is_async, poll)?
        },
    })
}

/// Writes an event to a guest's memory. Returns its code.
pub(super) fn write_event(
    data: &InstanceData,
    memory: Option<MemoryId>,
    pointer: u64,
    [code, handle, payload]: [u32; 3],
) -> Result<u32, Failed> {
    let memory = memory.ok_or(Trap::PointerOutOfBounds)?;
    if !pointer.is_multiple_of(4) {
        return Err(Trap::UnalignedPointer.into());
    }
    let place = data.memory_range(memory, pointer, 8);
    let place = place.ok_or(Trap::PointerOutOfBounds)?.cast::<[u32; 2]>();
    // SAFETY: the place is in the memory, where no reference exists while the guest waits.
    unsafe { place.write_unaligned([handle.to_le(), payload.to_le()]) };
    Ok(code)
}

/// Waits in the current thread. A thread with a stack of its own is suspended. A synchronous task
/// lets others run.
///
/// # Safety
///
/// As [`resume`], in a built-in that machine code has called.
pub(super) unsafe fn wait(
    data: &InstanceData,
    condition: Condition,
    then: Then,
    poll: &mut Poll<'_>,
) -> Result<Step, Failed> {
    let current = with(data, |state| state.current).ok_or(Trap::NoTask)?;
    let goes_on = with(data, |state| {
        state.holds(current, condition) && state.goes_on_at_once(true)
    });
    if goes_on {
        // SAFETY: as the caller promises.
        return unsafe { then_step(data, then, poll) };
    }
    let synchronous = with(data, |state| {
        let thread = &mut state.threads[current];
        thread.then = then;
        thread.start == Start::Nothing
    });
    if !synchronous {
        return Ok(Step::Wait(condition, then));
    }
    with(data, |state| state.wait(current, condition));
    // SAFETY: as the caller promises.
    unsafe { let_others_run(data, current, then, poll) }
}

/// Lets other threads of the component instance of a synchronous task run, until it can go on.
///
/// # Safety
///
/// As [`wait`].
unsafe fn let_others_run(
    data: &InstanceData,
    thread: Key,
    then: Then,
    poll: &mut Poll<'_>,
) -> Result<Step, Failed> {
    let domain = with(data, |state| state.threads[thread].domain);
    loop {
        let next = with(data, |state| match state.threads[thread].state {
            ThreadState::Running => Some(thread),
            _ => state.next_ready(Some(domain), Some(thread)),
        });
        match next {
            None => return Err(Trap::CannotBlock.into()),
            // SAFETY: as the caller promises.
            Some(next) if next == thread => return unsafe { then_step(data, then, poll) },
            // SAFETY: as above.
            Some(next) => match unsafe { resume(data, next, poll) }? {
                Ran::Back => {}
                Ran::HostWaits => return Ok(Step::HostWaits(then)),
            },
        }
    }
}

/// Runs a thread: starts it, or lets its built-in return `result`.
///
/// # Safety
///
/// As [`resume`].
pub(super) unsafe fn run(
    data: &InstanceData,
    thread: Key,
    mut result: Option<u32>,
    poll: &mut Poll<'_>,
) -> Result<Ran, Box<Stopped>> {
    loop {
        let outer = with(data, |state| {
            let inner = state.threads[thread].inner.take().unwrap_or(thread);
            state.threads[thread].state = ThreadState::Running;
            state.current.replace(inner)
        });
        let fiber = with(data, |state| state.threads[thread].fiber.take());
        let runs_here = fiber.is_none() && {
            let (origin, waits) = with(data, |state| {
                (state.origin(thread), state.waits_to_return(thread))
            });
            let task = origin.and_then(|origin| info(data, origin));
            task.is_some_and(|task| !(task.is_async && waits) && runs_here(data, task, poll))
        };
        if runs_here {
            // SAFETY: as the caller promises.
            unsafe { call_here(data, thread, poll) }?;
            with(data, |state| state.current = outer);
            let again = ended(data, thread).map_err(|failed| trapped(data, failed))?;
            match again {
                true => continue,
                false => return Ok(Ran::Back),
            }
        }
        let mut fiber = match fiber {
            Some(mut fiber) => {
                // SAFETY: as the caller promises. The call is suspended.
                unsafe { fiber.set_host(poll.host) };
                if let Some(result) = result.take() {
                    fiber.resume(result.into());
                }
                fiber
            }
            // SAFETY: as the caller promises.
            None => unsafe { start(data, thread, poll) }?,
        };
        // The thread is not the only one in its component instances. Whoever goes on next needs the
        // limit of its own stack.
        let limit = current_stack_limit(data);
        data.set_stack_limit(fiber.stack_limit());
        // SAFETY: as the caller promises.
        let polled = unsafe { fiber.poll(&mut poll.context) };
        if let Some(limit) = limit {
            data.set_stack_limit(limit);
        }
        with(data, |state| state.current = outer);
        match polled {
            Polled::Pending => {
                let waits = fiber.waits_for_host();
                return Ok(with(data, |state| {
                    if let Some(place) = state.threads.get_mut(thread) {
                        place.fiber = Some(fiber);
                    }
                    match waits {
                        true => {
                            state.chain.push(thread);
                            Ran::HostWaits
                        }
                        // The host function is one that a thread further in has called.
                        false if state.chain.last() == Some(&thread) => Ran::HostWaits,
                        false => Ran::Back,
                    }
                }));
            }
            Polled::Ready(result) => {
                result?;
                let unused = with(data, |state| state.keep_stack(fiber));
                drop(unused);
            }
        }
        let again = ended(data, thread).map_err(|failed| trapped(data, failed))?;
        if !again {
            return Ok(Ran::Back);
        }
    }
}

/// Returns whether the functions of a task need no stack of their own, since nothing can suspend
/// them.
pub(super) fn runs_here(data: &InstanceData, task: &GuestTask, poll: &Poll<'_>) -> bool {
    let pauses = || match data.hooks {
        // SAFETY: the host may be used as `poll` says, and no code of the store runs.
        Some(hooks) => unsafe { (hooks.pauses)(poll.host) },
        None => true,
    };
    !task.calls.intersects(HostCalls::WAITS) && !data.imports.may_suspend(task.calls) && !pauses()
}

/// Makes the call of a thread that has no stack, on this stack.
///
/// # Safety
///
/// As [`resume`]. Nothing suspends the call ([`runs_here`]).
unsafe fn call_here(data: &InstanceData, thread: Key, poll: &Poll<'_>) -> Result<(), Box<Stopped>> {
    let call = with(data, |state| Start::prepare(data, state, thread));
    let (domain, callee, words) = call.map_err(|failed| trapped(data, failed))?;
    let (instance, host) = (InstanceHandle::new(data), HostAccess::Functions(poll.host));
    // SAFETY: as in `start`.
    unsafe { entry::call(instance, domain, &callee, words, host) }
}

/// Makes the stack of a thread that has none, with the call that it makes.
///
/// # Safety
///
/// As [`resume`].
unsafe fn start(
    data: &InstanceData,
    thread: Key,
    poll: &Poll<'_>,
) -> Result<SuspendableCall, Box<Stopped>> {
    let call = with(data, |state| Start::prepare(data, state, thread));
    let (domain, callee, words) = call.map_err(|failed| trapped(data, failed))?;
    let spare = with(data, |state| state.take_spare_stack());
    let stack = match spare {
        Some(over) => over.into_stack(),
        None => data.acquire_stack().map_err(|error| {
            data.poisoned.set(true);
            Stopped::without_frames(error)
        })?,
    };
    let instance = InstanceHandle::new(data);
    // SAFETY: the function is of the instance's code, and `words` are enough for it. They belong to
    // the task or the thread, which live as long as the call. The rest is as the caller promises.
    Ok(unsafe { SuspendableCall::new(stack, instance, domain, &callee, words, poll.host) })
}

impl Start {
    /// Returns the function that a thread calls, with its component instance and its words.
    fn prepare(
        data: &InstanceData,
        state: &mut State,
        thread: Key,
    ) -> Result<(DomainId, crate::code::Callee, *mut u64), Failed> {
        let (start, task) = (state.threads[thread].start, state.threads[thread].task);
        let interface = data.code().interface();
        match start {
            Start::Task => {
                let task = &mut state.tasks[task];
                task.state = TaskState::Started;
                let words = task.words.as_mut_ptr();
                let (origin, caller) = (task.origin, task.caller);
                if let Caller::Guest { subtask } = caller {
                    state.subtask(subtask).state = SubtaskState::Started;
                    if state.waitables[subtask].handle != 0 {
                        state.set_pending(subtask);
                    }
                }
                Ok(match origin {
                    Origin::Adapter(id) => {
                        let info = interface.tasks.get(id).and_then(Option::as_ref);
                        let caller = info.and_then(|info| info.caller.as_ref());
                        let domain = caller.ok_or(Trap::NoTask)?.domain;
                        let callees = data.code().task_of_adapter(id).ok_or(Trap::NoTask)?;
                        (domain, callees.start, words)
                    }
                    Origin::Lift(id) => {
                        let lift = &interface.lifts[id];
                        let callees = data.code().task_of_lift(id).ok_or(Trap::NoTask)?;
                        (lift.options.domain, callees.start, words)
                    }
                    Origin::Synchronous => return Err(Trap::NoTask.into()),
                })
            }
            Start::Callback(event) => {
                let task = &mut state.tasks[task];
                for (word, value) in task.words.iter_mut().zip(event) {
                    *word = value.into();
                }
                let callees = match task.origin {
                    Origin::Adapter(id) => data.code().task_of_adapter(id),
                    Origin::Lift(id) => data.code().task_of_lift(id),
                    Origin::Synchronous => None,
                };
                let callback = callees.and_then(|callees| callees.callback);
                let callback = callback.ok_or(Trap::NoTask)?;
                Ok((task.domain, callback, task.words.as_mut_ptr()))
            }
            Start::Function(offset, sig) => {
                let callee = data.code().callee_at(offset, sig);
                let callee =
                    callee.map_err(|error| Failed::Stopped(Stopped::without_frames(error)))?;
                let thread = &mut state.threads[thread];
                Ok((thread.domain, callee, thread.words.as_mut_ptr()))
            }
            Start::Nothing => Err(Trap::NoTask.into()),
        }
    }
}

/// Returns what is known of the tasks of a function whose type is `async`.
pub(super) fn info(data: &InstanceData, origin: Origin) -> Option<&GuestTask> {
    let interface = data.code().interface();
    match origin {
        Origin::Adapter(id) => interface.tasks.get(id)?.as_ref(),
        Origin::Lift(id) => interface.lift_tasks.get(id)?.as_ref(),
        Origin::Synchronous => None,
    }
}

/// Decides what follows when the function of a thread has returned. Returns whether the thread runs
/// again at once.
fn ended(data: &InstanceData, thread: Key) -> Result<bool, Failed> {
    let (start, task) = with(data, |state| {
        (state.threads[thread].start, state.threads[thread].task)
    });
    let origin = with(data, |state| state.tasks[task].origin);
    if let Start::Function(..) = start {
        return with(data, |state| state.end_thread(thread))
            .map(|()| false)
            .map_err(Into::into);
    }
    let info = info(data, origin).ok_or(Trap::NoTask)?;
    if !info.is_async {
        returned(data, task, None)?;
        let is_host = with(data, |state| state.tasks[task].caller == Caller::Host);
        if is_host {
            // The host takes the result, and ends the task (`HostTask::end`).
            with(data, |state| {
                state.threads[thread].state = ThreadState::Suspended;
                state.tasks[task].returning = Some(thread);
            });
            return Ok(false);
        }
        return exit(data, thread, info.domain, true).map(|()| false);
    }
    if info.callback.is_none() {
        return exit(data, thread, info.domain, false).map(|()| false);
    }
    let packed = with(data, |state| state.tasks[task].words[0] as u32);
    let (code, set) = (packed & 0xf, packed >> 4);
    if code > callback_code::WAIT {
        return Err(Trap::UnsupportedCallbackCode.into());
    }
    if code == callback_code::EXIT {
        return exit(data, thread, info.domain, true).map(|()| false);
    }
    let cancelled = with(data, |state| state.tasks[task].deliver_pending_cancel());
    if cancelled {
        with(data, |state| {
            state.threads[thread].start = Start::Callback([EventCode::TaskCancelled as u32, 0, 0]);
        });
        return Ok(true);
    }
    let (condition, then) = match code {
        callback_code::YIELD => (Condition::Exclusive, Then::Return(0)),
        _ => {
            let set = super::waiting::find_set(data, info.domain, set)?;
            let then = Then::SetEvent {
                set,
                memory: None,
                pointer: 0,
            };
            (Condition::Callback(set), then)
        }
    };
    with(data, |state| {
        state.release_exclusive(info.domain);
        state.threads[thread].start = Start::Callback([0; 3]);
        state.threads[thread].then = then;
        state.wait(thread, condition);
    });
    Ok(false)
}

/// Ends the thread with which a task began (`exit_implicit_thread`).
pub(super) fn exit(
    data: &InstanceData,
    thread: Key,
    domain: DomainId,
    is_exclusive: bool,
) -> Result<(), Failed> {
    with(data, |state| {
        state.end_thread(thread)?;
        if is_exclusive {
            state.release_exclusive(domain);
        }
        Ok(())
    })
}
