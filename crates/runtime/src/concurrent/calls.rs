//! Calls of tasks by guests: `canon lower` of a function whose type is `async`; `task.*` and
//! `subtask.*`.

use super::run::{self, Ran, resume, take_event, wait};
use super::{Failed, Poll, Step, finish, with};
use crate::arch::{MaySuspend, SuspendHook};
use crate::component::arena::Key;
use crate::component::concurrent::{
    Caller, Condition, Origin, Start, Subtask, SubtaskState, Task, TaskState, Then, ThreadState,
    WaitableKind,
};
use crate::component::handles::HandleKind;
use crate::entry;
use crate::instance::{HostAccess, InstanceData, InstanceHandle};
use mintage_environ::builtin::{BLOCKED, RESULT_POINTER};
use mintage_environ::component::{GuestCaller, GuestTask, HostCalls, MAX_FLAT_PARAMS};
use mintage_environ::{AdapterId, CallId, DomainId, Trap};

/// The hook of the builtin `call_task`, with the number of the adapter and the address of the
/// caller's words.
pub enum CallTask {}

impl SuspendHook for CallTask {
    unsafe extern "C" fn on_call(ctx: *mut u8, a: *const (), b: *mut u64, _: u64) -> MaySuspend {
        // SAFETY: the instance lives while its code runs.
        let data = unsafe { InstanceData::of_ctx(ctx) };
        // SAFETY: machine code of the current activation has called this.
        let poll = unsafe { Poll::of_builtin(data) };
        let mut poll = match poll {
            Ok(poll) => poll,
            // SAFETY: as above.
            Err(failed) => return unsafe { finish(data, None, Err(failed)) },
        };
        let adapter = AdapterId::from_u32(a.addr() as u32);
        // SAFETY: machine code passes the address of its array, with as many words as it says.
        let step = unsafe { call_task(data, adapter, b, &mut poll) };
        // SAFETY: as above.
        unsafe { finish(data, poll.record, step) }
    }
}

/// Calls the callee of an adapter as a task.
///
/// # Safety
///
/// As [`resume`]. `words` is the array of the caller.
unsafe fn call_task(
    data: &InstanceData,
    adapter: AdapterId,
    words: *mut u64,
    poll: &mut Poll<'_>,
) -> Result<Step, Failed> {
    let origin = Origin::Adapter(adapter);
    let info = run::info(data, origin).ok_or(Trap::NoTask)?;
    let caller = info.caller.as_ref().ok_or(Trap::NoTask)?;
    let scope = match caller.borrows {
        true => Some(data.with_handles(|handles, _| handles.enter())),
        false => None,
    };
    let needs_no_task =
        !info.is_async && info.calls == HostCalls::NONE && run::runs_here(data, info, poll);
    if needs_no_task && with(data, |state| state.try_take_exclusive(info.domain)) {
        // SAFETY: as the caller promises.
        unsafe { call_without_task(data, adapter, (info, caller), scope, words, poll) }?;
        return Ok(Step::Done(match caller.is_async {
            true => SubtaskState::Returned as u32,
            false => 0,
        }));
    }
    let count = caller.words as usize;
    // SAFETY: the caller's array has a word more than its arguments and results.
    let arguments = unsafe { std::slice::from_raw_parts(words.add(1), count) };
    let (subtask, thread, entered) = with(data, |state| {
        let mut array = state.new_words(1 + count);
        array[0] = scope.map_or(0, |scope| scope.as_u32().into());
        array[1..=count].copy_from_slice(arguments);
        let subtask = state.add_waitable(
            None,
            WaitableKind::Subtask(Subtask {
                state: SubtaskState::Starting,
                task: None,
                host: None,
                scope,
                is_delivered: false,
                cancellation_requested: false,
                result: 0,
                async_caller: caller.is_async.then_some(caller.domain),
            }),
        )?;
        let task = Task {
            origin,
            domain: info.domain,
            state: TaskState::Initial,
            caller: Caller::Guest { subtask },
            scope,
            result_pointer: array[caller.pointer_word as usize],
            words: array,
            implicit: None,
            threads: 0,
            returning: None,
            takes_at_once: false,
            is_exclusive: !info.is_async || info.callback.is_some(),
            is_cancelled: false,
            tag: 0,
        };
        let (task, thread) = state.add_task(task, Start::Task)?;
        state.subtask(subtask).task = Some(task);
        Ok::<_, Trap>((subtask, thread, state.try_enter(thread)))
    })?;
    let words = words.expose_provenance();
    let then = Then::Called { subtask, words };
    if entered {
        // SAFETY: as the caller promises.
        let ran = unsafe { run::run(data, thread, None, poll) }?;
        if ran == Ran::HostWaits {
            return Ok(Step::HostWaits(then));
        }
        // Those that the task has switched to.
        let next = with(data, |state| state.switch_to.take());
        if let Some(next) = next {
            // SAFETY: as above.
            if unsafe { resume(data, next, poll) }? == Ran::HostWaits {
                return Ok(Step::HostWaits(then));
            }
        }
    }
    match called(data, subtask, words)? {
        // SAFETY: as the caller promises.
        Step::Wait(condition, then) => unsafe { wait(data, condition, then, poll) },
        step => Ok(step),
    }
}

/// Calls a callee without making a task for it. The callee is not lifted with `async`, neither
/// waits nor asks which task runs, and so ends before its caller goes on. It excludes others
/// meanwhile.
///
/// # Safety
///
/// As [`call_task`].
unsafe fn call_without_task(
    data: &InstanceData,
    adapter: AdapterId,
    (info, caller): (&GuestTask, &GuestCaller),
    scope: Option<CallId>,
    words: *mut u64,
    poll: &Poll<'_>,
) -> Result<(), Failed> {
    let callees = data.code().task_of_adapter(adapter).ok_or(Trap::NoTask)?;
    let (instance, host) = (InstanceHandle::new(data), HostAccess::Functions(poll.host));
    // SAFETY: the array of the caller has room for a word before its arguments. It is that of the
    // callee, too: the result replaces the first argument. The rest is as the caller promises.
    unsafe {
        words.write(scope.map_or(0, |scope| scope.as_u32().into()));
        entry::call(instance, caller.domain, &callees.start, words, host)?;
    }
    if let Some(scope) = scope {
        data.with_handles(|handles, _| handles.exit(scope))?;
    }
    with(data, |state| state.release_exclusive(info.domain));
    Ok(())
}

/// Returns what a caller does whose task has begun, or waits to begin.
pub(super) fn called(data: &InstanceData, subtask: Key, words: usize) -> Result<Step, Failed> {
    let (state, caller, resolved) = with(data, |state| {
        let subtask = state.subtask(subtask);
        (subtask.state, subtask.async_caller, subtask.is_resolved())
    });
    match (caller, resolved) {
        (None, true) => {
            pass_result(data, subtask, words);
            Ok(Step::Done(0))
        }
        (None, false) => Ok(Step::Wait(
            Condition::Resolved(subtask),
            Then::Result { subtask, words },
        )),
        (Some(_), true) => {
            remove_resolved(data, subtask);
            Ok(Step::Done(state as u32))
        }
        (Some(domain), false) => {
            let handle = data.with_handles(|handles, _| {
                handles.add_concurrent(domain, HandleKind::Subtask, subtask)
            })?;
            with(data, |state| {
                state.waitables[subtask].handle = handle;
                state.waitables[subtask].owner = Some(domain);
            });
            Ok(Step::Done(state as u32 | handle << 4))
        }
    }
}

/// Passes the result of a subtask to its synchronous caller, and removes the subtask.
pub(super) fn pass_result(data: &InstanceData, subtask: Key, words: usize) {
    let result = remove_resolved(data, subtask);
    let words = std::ptr::with_exposed_provenance_mut::<u64>(words);
    // SAFETY: the array is in the frame of the caller, which waits for this.
    unsafe { words.add(1).write(result) };
}

/// Removes a subtask that has ended, whose caller learns of that now. Returns its flat result.
fn remove_resolved(data: &InstanceData, subtask: Key) -> u64 {
    let (scope, result) = with(data, |state| {
        let Subtask { scope, result, .. } = *state.subtask(subtask);
        state.remove_waitable(subtask);
        (scope, result)
    });
    if let Some(scope) = scope {
        data.with_handles(|handles, _| handles.end_loans(scope));
    }
    result
}

/// Fails if a task that ends has kept what was lent to it.
fn check_loans(data: &InstanceData, task: Key) -> Result<(), Failed> {
    let scope = with(data, |state| state.tasks[task].scope);
    if let Some(scope) = scope {
        data.with_handles(|handles, _| handles.check_returned(scope))?;
    }
    Ok(())
}

/// Notes that a task has its result (`task.return`), or was cancelled, and tells the caller.
pub(super) fn resolve(data: &InstanceData, task: Key, end: SubtaskState) -> Result<(), Failed> {
    check_loans(data, task)?;
    with(data, |state| {
        let caller = state.tasks[task].caller;
        state.tasks[task].state = TaskState::Resolved;
        state.tasks[task].is_cancelled = end != SubtaskState::Returned;
        match caller {
            Caller::Nobody => {}
            Caller::Host => state.returned.push_back(task),
            Caller::Guest { subtask } => {
                let entry = state.subtask(subtask);
                entry.state = end;
                entry.task = None;
                match state.waitables[subtask].handle {
                    0 => state.wake_waiter(subtask),
                    _ => state.set_pending(subtask),
                }
            }
        }
    });
    Ok(())
}

/// Notes that a task has returned. For a caller with a flat result, that is `result`, or else in
/// word 1 of the task's array.
pub(super) fn returned(data: &InstanceData, task: Key, result: Option<u64>) -> Result<(), Failed> {
    let already = with(data, |state| state.tasks[task].state == TaskState::Resolved);
    if already {
        return Err(Trap::TaskResolved.into());
    }
    with(data, |state| {
        let result = result.unwrap_or(state.tasks[task].words[1]);
        if let Caller::Guest { subtask } = state.tasks[task].caller {
            state.subtask(subtask).result = result;
        }
    });
    resolve(data, task, SubtaskState::Returned)
}

/// The hook of the builtin `task_return`, with the domain, the number of the result's type and
/// options, and the address of the values.
pub enum ReturnTask {}

impl SuspendHook for ReturnTask {
    unsafe extern "C" fn on_call(ctx: *mut u8, a: *const (), b: *mut u64, c: u64) -> MaySuspend {
        // SAFETY: the instance lives while its code runs.
        let data = unsafe { InstanceData::of_ctx(ctx) };
        let (domain, shape) = (DomainId::from_u32(a.addr() as u32), b.addr() as u32);
        let words = std::ptr::with_exposed_provenance(c as usize);
        // SAFETY: machine code of the current activation has called this, with its array.
        unsafe {
            super::waiting::builtin(data, |poll| return_task(data, domain, shape, words, poll))
        }
    }
}

/// `task.return`. The host takes the result before the guest goes on: here, or in its next turn.
///
/// # Safety
///
/// Machine code of `data` in the current activation has called this, and `words` is the address of
/// an array with the values.
unsafe fn return_task(
    data: &InstanceData,
    domain: DomainId,
    shape: u32,
    words: *const u64,
    poll: &Poll<'_>,
) -> Result<Step, Failed> {
    let task = with(data, |state| state.current_task()).ok_or(Trap::NoTask)?;
    let (origin, state) = with(data, |state| {
        let task = &state.tasks[task];
        (task.origin, task.state)
    });
    let info = run::info(data, origin).filter(|info| info.is_async && info.domain == domain);
    let info = info.ok_or(Trap::TaskReturnMismatch)?;
    if info.shape != shape && !is_same_result(data, info.shape, shape) {
        return Err(Trap::TaskReturnMismatch.into());
    }
    if state == TaskState::Resolved {
        return Err(Trap::TaskResolved.into());
    }
    let count = value_words(data, shape);
    // SAFETY: as the caller promises.
    let values = unsafe { std::slice::from_raw_parts(words, count) };
    let Origin::Adapter(adapter) = origin else {
        let tag = with(data, |state| {
            let task = &state.tasks[task];
            debug_assert_eq!(task.caller, Caller::Host);
            task.takes_at_once.then_some(task.tag)
        });
        if let Some(tag) = tag {
            give_result(data, task, tag, values, poll)?;
            return Ok(Step::Done(0));
        }
        with(data, |state| {
            state.tasks[task].words[..count].copy_from_slice(values);
            if let Some(current) = state.current {
                state.threads[current].state = ThreadState::Suspended;
                state.tasks[task].returning = Some(current);
            }
        });
        resolve(data, task, SubtaskState::Returned)?;
        return Ok(Step::Suspend(Then::Return(0)));
    };
    let mut array = [0; RESULT_POINTER + 1];
    array[..count].copy_from_slice(values);
    array[RESULT_POINTER] = with(data, |state| state.tasks[task].result_pointer);
    let callees = data.code().task_of_adapter(adapter);
    let callee = callees.and_then(|callees| callees.result);
    let callee = callee.ok_or(Trap::TaskReturnMismatch)?;
    let current = with(data, |state| state.current.take());
    // SAFETY: the call of the guest that has called this is under way.
    let host = unsafe { data.current().host().confined() };
    // SAFETY: the instance lives, and this thread uses it. The function belongs to this domain, and
    // uses as many words as the array has.
    let result = unsafe {
        entry::call(
            InstanceHandle::new(data),
            domain,
            &callee,
            array.as_mut_ptr(),
            host,
        )
    };
    with(data, |state| state.current = current);
    result?;
    returned(data, task, Some(array[0]))?;
    Ok(Step::Done(0))
}

/// Gives the host the result of one of its tasks, which goes on by itself then.
fn give_result(
    data: &InstanceData,
    task: Key,
    tag: u64,
    values: &[u64],
    poll: &Poll<'_>,
) -> Result<(), Failed> {
    let hooks = data.hooks.ok_or(Trap::NoTask)?;
    check_loans(data, task)?;
    // SAFETY: machine code of the instance has left for this, and no one else uses the store.
    super::call_hook(|| unsafe { (hooks.result)(poll.host, tag, values) })?;
    with(data, |state| {
        let task = &mut state.tasks[task];
        (task.state, task.caller) = (TaskState::Resolved, Caller::Nobody);
    });
    Ok(())
}

/// Returns whether a result of the shape `given` is one of the shape `wanted`: a built-in that
/// needs no memory need not name it.
fn is_same_result(data: &InstanceData, wanted: u32, given: u32) -> bool {
    let shapes = &data.code().interface().return_shapes;
    let [wanted, given] = [wanted, given].map(|shape| shapes.get(shape as usize));
    matches!((wanted, given), (Some(wanted), Some(given))
        if wanted.result == given.result
            && wanted.string_encoding == given.string_encoding
            && given.memory.is_none())
}

/// Returns the number of words of the arguments of `task.return`.
fn value_words(data: &InstanceData, shape: u32) -> usize {
    let interface = data.code().interface();
    let shape = interface.return_shapes.get(shape as usize);
    let result = shape.and_then(|shape| shape.result);
    result.map_or(0, |ty| {
        let count = interface.types.abi(ty).flat_count.map_or(1, usize::from);
        count.min(MAX_FLAT_PARAMS)
    })
}

/// `task.cancel`.
pub fn cancel_task(data: &InstanceData, domain: DomainId) -> Result<(), Failed> {
    let current = with(data, |state| state.current_in(domain)).ok_or(Trap::NoTask)?;
    let (task, origin, state) = with(data, |state| {
        let task = state.threads[current].task;
        let Task { origin, state, .. } = state.tasks[task];
        (task, origin, state)
    });
    if !run::info(data, origin).is_some_and(|info| info.is_async) {
        return Err(Trap::TaskReturnMismatch.into());
    }
    match state {
        TaskState::CancelDelivered => resolve(data, task, SubtaskState::CancelledBeforeReturned),
        TaskState::Resolved => Err(Trap::TaskResolved.into()),
        _ => Err(Trap::TaskNotCancelled.into()),
    }
}

/// `backpressure.inc` and `backpressure.dec`.
pub fn add_backpressure(data: &InstanceData, domain: DomainId, delta: i32) -> Result<(), Failed> {
    with(data, |state| state.add_backpressure(domain, delta)).map_err(Into::into)
}

/// Notes that a synchronous task runs from now on. Returns the index of its thread.
pub fn enter_task(data: &InstanceData, domain: DomainId) -> Result<u32, Failed> {
    with(data, |state| {
        let task = Task {
            origin: Origin::Synchronous,
            domain,
            state: TaskState::Started,
            caller: Caller::Host,
            scope: None,
            words: Box::default(),
            result_pointer: 0,
            implicit: None,
            threads: 0,
            returning: None,
            takes_at_once: false,
            is_exclusive: false,
            is_cancelled: false,
            tag: 0,
        };
        let (_, thread) = state.add_task(task, Start::Nothing)?;
        state.register(thread);
        state.threads[thread].state = ThreadState::Running;
        state.threads[thread].outer = state.current.replace(thread);
        Ok(state.threads[thread].index)
    })
}

/// Ends the synchronous task that runs.
pub fn exit_task(data: &InstanceData) -> Result<(), Failed> {
    with(data, |state| {
        let thread = state.current.ok_or(Trap::NoTask)?;
        let (task, outer) = (state.threads[thread].task, state.threads[thread].outer);
        state.current = outer;
        let task = &mut state.tasks[task];
        // Threads that it has made may go on. It ends with the last one.
        (task.state, task.caller) = (TaskState::Resolved, Caller::Nobody);
        state.end_thread(thread)?;
        Ok(())
    })
}

/// The hook of the builtin `subtask_cancel`, with the domain, the handle and whether it is
/// asynchronous.
pub enum CancelSubtask {}

impl SuspendHook for CancelSubtask {
    unsafe extern "C" fn on_call(ctx: *mut u8, a: *const (), b: *mut u64, c: u64) -> MaySuspend {
        // SAFETY: the instance lives while its code runs.
        let data = unsafe { InstanceData::of_ctx(ctx) };
        let domain = DomainId::from_u32(a.addr() as u32);
        let (handle, is_async) = (b.addr() as u32, c as u32 != 0);
        // SAFETY: machine code of the current activation has called this.
        unsafe {
            super::waiting::builtin(data, |poll| {
                let subtask = begin_cancel(data, domain, handle)?;
                match subtask {
                    (subtask, Cancelled::Over) => Ok(Step::Done(take_event(data, subtask)[2])),
                    (subtask, Cancelled::Host(number)) => {
                        super::imports::cancel(data, subtask, number, poll)?;
                        Ok(Step::Done(take_event(data, subtask)[2]))
                    }
                    (subtask, Cancelled::Task(task)) => cancel(data, subtask, task, is_async, poll),
                }
            })
        }
    }
}

/// What is behind a subtask that is to be cancelled.
enum Cancelled {
    /// Nothing any more: it has ended.
    Over,
    /// A task.
    Task(Key),
    /// A host function, by the host's number of the call.
    Host(u64),
}

/// Checks that a subtask can be cancelled. Returns it, and what is behind it.
fn begin_cancel(
    data: &InstanceData,
    domain: DomainId,
    handle: u32,
) -> Result<(Key, Cancelled), Failed> {
    let (key, _) = data.with_handles(|handles, resources| {
        handles.concurrent(resources, domain, &[HandleKind::Subtask], handle)
    })?;
    with(data, |state| {
        let in_set = state.waitables[key].set.is_some();
        let subtask = state.subtask(key);
        if subtask.is_delivered || subtask.cancellation_requested {
            return Err(Trap::SubtaskCancelled.into());
        }
        if in_set {
            return Err(Trap::WaitableInSet.into());
        }
        if subtask.is_resolved() {
            return Ok((key, Cancelled::Over));
        }
        subtask.cancellation_requested = true;
        if let Some(number) = subtask.host {
            return Ok((key, Cancelled::Host(number)));
        }
        let task = subtask.task.ok_or(Trap::NoTask)?;
        state.waitables[key].has_sync_waiter = true;
        Ok((key, Cancelled::Task(task)))
    })
}

/// Asks a task to end, and lets threads of its component instance run.
///
/// # Safety
///
/// As [`resume`].
unsafe fn cancel(
    data: &InstanceData,
    subtask: Key,
    task: Key,
    is_async: bool,
    poll: &mut Poll<'_>,
) -> Result<Step, Failed> {
    let entering = with(data, |state| {
        let Task {
            state, implicit, ..
        } = state.tasks[task];
        implicit.filter(|_| state == TaskState::Initial)
    });
    if let Some(thread) = entering {
        // It ends at once, before anything else runs.
        with(data, |state| {
            state.request_cancel(task);
            state.stop_waiting(thread);
        });
        // SAFETY: as the caller promises.
        unsafe { resume(data, thread, poll) }?;
        // SAFETY: as above.
        return unsafe { cancelling(data, subtask, is_async, poll) };
    }
    let (domain, turns) = with(data, |state| {
        state.request_cancel(task);
        let turns = state.queued().max(1);
        (state.tasks[task].domain, state.cancel_turns(turns))
    });
    // Each thread that is ready now gets a turn, unless the task ends before.
    for _ in 0..turns {
        let next = with(data, |state| {
            let resolved = state.subtask(subtask).is_resolved();
            (!resolved)
                .then(|| state.next_ready(Some(domain), None))
                .flatten()
        });
        let Some(next) = next else { break };
        // SAFETY: as the caller promises.
        if unsafe { resume(data, next, poll) }? == Ran::HostWaits {
            return Ok(Step::HostWaits(Then::Cancelling { subtask, is_async }));
        }
    }
    // SAFETY: as the caller promises.
    unsafe { cancelling(data, subtask, is_async, poll) }
}

/// Goes on after a task was asked to end.
///
/// # Safety
///
/// As [`resume`].
pub(super) unsafe fn cancelling(
    data: &InstanceData,
    subtask: Key,
    is_async: bool,
    poll: &mut Poll<'_>,
) -> Result<Step, Failed> {
    let resolved = with(data, |state| state.subtask(subtask).is_resolved());
    if resolved {
        with(data, |state| {
            state.waitables[subtask].has_sync_waiter = false
        });
        return Ok(Step::Done(take_event(data, subtask)[2]));
    }
    if !is_async {
        let (condition, then) = (Condition::Resolved(subtask), Then::Cancelled(subtask));
        // SAFETY: as the caller promises.
        return unsafe { wait(data, condition, then, poll) };
    }
    with(data, |state| {
        state.waitables[subtask].has_sync_waiter = false
    });
    Ok(Step::Done(BLOCKED))
}

/// `subtask.drop`.
pub fn drop_subtask(data: &InstanceData, domain: DomainId, handle: u32) -> Result<(), Failed> {
    let (key, _) = data.with_handles(|handles, resources| {
        handles.concurrent(resources, domain, &[HandleKind::Subtask], handle)
    })?;
    with(data, |state| match state.subtask(key).is_delivered {
        true => {
            state.remove_waitable(key);
            Ok(())
        }
        false => Err(Trap::SubtaskUnresolved),
    })?;
    data.with_handles(|handles, _| handles.remove_concurrent(domain, handle));
    Ok(())
}
