//! Calls of tasks by the host, and its turns.

use super::run::{self, Ran, resume, trapped};
use super::{Failed, Poll, State, with};
use crate::component::arena::Key;
use crate::component::concurrent::{Caller, Origin, Start, TASK_WORDS, Task, TaskState, Thread};
use crate::entry::{Stopped, SuspendableCall};
use crate::instance::{InstanceData, InstanceHandle};
use mintage_environ::{CallId, DomainId, LiftId, Trap};
use std::mem;
use std::ptr::NonNull;
use std::task::Context;

/// A task that the host has called. The value is a name; it borrows nothing of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostTask {
    task: Key,
    thread: Key,
}

/// How far the threads of an instance have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// No thread can go on.
    Idle,
    /// A host function has the store, and waits.
    HostWaits,
    /// The task of the host with this number may begin: its parameters are lowered, and it
    /// [begins](HostTask::begin).
    Begins(u64),
    /// The task of the host with this number has its result.
    Returned(u64),
    /// The task of the host with this number was cancelled, and has ended without a result.
    Cancelled(u64),
    /// Threads are ready, and others should have a turn.
    Busy,
}

/// The most threads that go on in one turn.
const TURN: usize = 64;

impl HostTask {
    /// Creates a task for a call of an exported function whose type is `async`. `scope` has the
    /// handles that are lent to it. `tag` is the host's own number of the call. If it takes the
    /// result at once, `task.return` calls its [hook](crate::HostHooks::result), and otherwise
    /// [`Turn::Returned`] says that there is one. (Results of functions that are lifted without
    /// `async` are not taken at once.)
    ///
    /// # Errors
    ///
    /// If there are too many tasks.
    ///
    /// # Panics
    ///
    /// If there is no such function.
    ///
    /// # Safety
    ///
    /// The instance lives, and is not used by others.
    pub unsafe fn new(
        instance: InstanceHandle,
        lift: LiftId,
        scope: Option<CallId>,
        tag: u64,
        takes_at_once: bool,
    ) -> Result<HostTask, Trap> {
        // SAFETY: as the caller promises.
        let data = unsafe { instance.data() };
        let origin = Origin::Lift(lift);
        let info = run::info(data, origin).expect("the type of the function is `async`");
        with(data, |state| {
            let task = Task {
                origin,
                domain: info.domain,
                state: TaskState::Initial,
                caller: Caller::Host,
                scope,
                words: state.new_words(0),
                result_pointer: 0,
                implicit: None,
                threads: 0,
                returning: None,
                takes_at_once,
                is_exclusive: !info.is_async || info.callback.is_some(),
                is_cancelled: false,
                tag,
            };
            let (task, thread) = state.add_task(task, Start::Task)?;
            Ok(HostTask { task, thread })
        })
    }

    /// Lets the task enter its component instance, if its gate is open. Returns whether it has
    /// entered: then its parameters are lowered, and it [begins](Self::begin). Otherwise it waits,
    /// and [`Turn::Begins`] says when it has entered.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new).
    pub unsafe fn try_enter(self, instance: InstanceHandle) -> bool {
        // SAFETY: as the caller promises.
        let data = unsafe { instance.data() };
        with(data, |state| state.try_enter(self.thread))
    }

    /// Begins the task, which has entered, with these arguments. Returns whether a host function
    /// has the store now, and waits.
    ///
    /// # Errors
    ///
    /// If the guest traps.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new). The words are those of the function's core arguments. `host` is what
    /// the instance's host functions expect, and no reference exists that they would alias.
    pub unsafe fn begin(
        self,
        instance: InstanceHandle,
        words: &[u64],
        cx: &mut Context<'_>,
        host: NonNull<()>,
    ) -> Result<bool, Box<Stopped>> {
        // SAFETY: as the caller promises.
        let data = unsafe { instance.data() };
        with(data, |state| {
            let array = &mut state.tasks[self.task].words;
            let count = words.len().min(array.len());
            array[..count].copy_from_slice(&words[..count]);
        });
        let mut poll = poll_of(cx, host);
        // SAFETY: as the caller promises.
        let mut ran = unsafe { run::run(data, self.thread, None, &mut poll) }?;
        let next = with(data, |state| state.switch_to.take());
        if let Some(next) = next {
            // SAFETY: as above.
            ran = unsafe { resume(data, next, &mut poll) }?;
        }
        Ok(ran == Ran::HostWaits)
    }

    /// Ends the task, which has entered and not begun.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new).
    pub unsafe fn abandon(self, instance: InstanceHandle) {
        // SAFETY: as the caller promises.
        let data = unsafe { instance.data() };
        with(data, |state| {
            let Task {
                domain,
                is_exclusive,
                ..
            } = state.tasks[self.task];
            let task = &mut state.tasks[self.task];
            (task.state, task.caller) = (TaskState::Resolved, Caller::Nobody);
            let _ = state.end_thread(self.thread);
            if is_exclusive {
                state.release_exclusive(domain);
            }
        });
    }

    /// Asks the task to end. Returns whether it has ended at once, since it had not entered its
    /// component instance. Otherwise the guest learns of it where it can, and
    /// [`Turn::Cancelled`] or [`Turn::Returned`] says how the task has ended.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new). The task has not entered, or it has begun.
    pub unsafe fn request_cancel(self, instance: InstanceHandle) -> bool {
        // SAFETY: as the caller promises.
        let data = unsafe { instance.data() };
        with(data, |state| {
            match state.tasks.get(self.task).map(|task| task.state) {
                Some(TaskState::Initial) => {
                    state.stop_waiting(self.thread);
                    state.threads.remove(self.thread);
                    state.remove_task(self.task);
                    true
                }
                Some(TaskState::Started) => {
                    state.request_cancel(self.task);
                    false
                }
                _ => false,
            }
        })
    }

    /// Returns the words of the result: for a function that is lifted with `async`, the arguments
    /// of `task.return`, and else the function's core results.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new).
    pub unsafe fn words(self, instance: InstanceHandle) -> [u64; TASK_WORDS] {
        // SAFETY: as the caller promises.
        let data = unsafe { instance.data() };
        with(data, |state| {
            let mut words = [0; TASK_WORDS];
            words.copy_from_slice(&state.tasks[self.task].words[..TASK_WORDS]);
            words
        })
    }

    /// Calls `f`, which may run `post-return`, while the thread is the current one that has given
    /// the result.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new). `f` leaves no code of the instance suspended.
    pub unsafe fn within<R>(self, instance: InstanceHandle, f: impl FnOnce() -> R) -> R {
        // SAFETY: as the caller promises.
        let data = unsafe { instance.data() };
        let outer = with(data, |state| {
            let task = state.tasks.get(self.task);
            let thread = task.and_then(|task| task.returning);
            mem::replace(&mut state.current, thread)
        });
        let result = f();
        with(data, |state| state.current = outer);
        result
    }

    /// Lets the task go on, whose result the host has taken. (A function that is lifted without
    /// `async` has ended.) Returns whether a host function has the store now, and waits.
    ///
    /// # Errors
    ///
    /// If the guest traps.
    ///
    /// # Safety
    ///
    /// As [`begin`](Self::begin).
    pub unsafe fn finish(
        self,
        instance: InstanceHandle,
        cx: &mut Context<'_>,
        host: NonNull<()>,
    ) -> Result<bool, Box<Stopped>> {
        // SAFETY: as the caller promises.
        let data = unsafe { instance.data() };
        let (thread, origin, domain) = with(data, |state| {
            let task = &mut state.tasks[self.task];
            // Only the threads of the task are left, which end by themselves.
            task.caller = Caller::Nobody;
            let (thread, origin, domain) = (task.returning.take(), task.origin, task.domain);
            if task.threads == 0 {
                // The last one has ended after `task.cancel`.
                state.remove_task(self.task);
            }
            (thread, origin, domain)
        });
        let Some(thread) = thread else {
            return Ok(false);
        };
        let is_async = run::info(data, origin).is_some_and(|info| info.is_async);
        if !is_async {
            run::exit(data, thread, domain, true).map_err(|failed| trapped(data, failed))?;
            return Ok(false);
        }
        let mut poll = poll_of(cx, host);
        // SAFETY: as the caller promises.
        Ok(unsafe { resume(data, thread, &mut poll) }? == Ran::HostWaits)
    }
}

fn poll_of<'a>(cx: &mut Context<'a>, host: NonNull<()>) -> Poll<'a> {
    Poll {
        host,
        record: None,
        context: Context::from_waker(cx.waker()),
    }
}

impl InstanceHandle {
    /// Lets threads of the instance go on.
    ///
    /// # Errors
    ///
    /// If one traps.
    ///
    /// # Safety
    ///
    /// As [`HostTask::begin`].
    pub unsafe fn turn(
        self,
        cx: &mut Context<'_>,
        host: NonNull<()>,
    ) -> Result<Turn, Box<Stopped>> {
        // SAFETY: as the caller promises.
        let data = unsafe { self.data() };
        let mut poll = poll_of(cx, host);
        for _ in 0..TURN {
            let chain = with(data, |state| mem::take(&mut state.chain));
            if let Some((&first, rest)) = chain.split_first() {
                // SAFETY: as the caller promises.
                let ran = unsafe { go_on(data, first, &mut poll) }?;
                with(data, |state| state.chain.extend_from_slice(rest));
                if ran == Ran::HostWaits {
                    return Ok(Turn::HostWaits);
                }
                // The next one goes on, since what it has run is back.
                continue;
            }
            // The host takes a result before anything else runs that could change it.
            let (returned, next) = with(data, |state| {
                let returned = state.returned.pop_front().map(|task| {
                    let task = &state.tasks[task];
                    match task.is_cancelled {
                        true => Turn::Cancelled(task.tag),
                        false => Turn::Returned(task.tag),
                    }
                });
                let next = || state.next_ready(None, None);
                (returned, returned.is_none().then(next).flatten())
            });
            if let Some(returned) = returned {
                return Ok(returned);
            }
            let Some(thread) = next else {
                return Ok(Turn::Idle);
            };
            let begins = with(data, |state| {
                let Thread { task, start, .. } = state.threads[thread];
                let task = &state.tasks[task];
                let begins = start == Start::Task && task.caller == Caller::Host;
                begins.then_some(task.tag)
            });
            if let Some(tag) = begins.filter(|_| with(data, |state| !state.has_stack(thread))) {
                // The host lowers the parameters first.
                with(data, |state| state.enter(thread));
                return Ok(Turn::Begins(tag));
            }
            // SAFETY: as above.
            if unsafe { resume(data, thread, &mut poll) }? == Ran::HostWaits {
                return Ok(Turn::HostWaits);
            }
        }
        Ok(Turn::Busy)
    }

    /// Returns whether a task of the host has a result that the host has not taken. The guest goes
    /// on after `task.return` when it has, before anything else runs.
    ///
    /// # Safety
    ///
    /// As [`has_tasks`](Self::has_tasks).
    pub unsafe fn has_result(self) -> bool {
        // SAFETY: as the caller promises.
        let data = unsafe { self.data() };
        data.concurrent.get().is_some() && with(data, |state| !state.returned.is_empty())
    }

    /// Returns whether a turn would do something.
    ///
    /// # Safety
    ///
    /// As [`has_tasks`](Self::has_tasks).
    pub unsafe fn is_ready(self) -> bool {
        // SAFETY: as the caller promises.
        let data = unsafe { self.data() };
        let ready = |state: &mut State| {
            let others = state.chain.len() + state.returned.len();
            others > 0 || state.has_ready()
        };
        data.concurrent.get().is_some() && with(data, ready)
    }

    /// Drops the host function that has the store and waits, if there is one, and with it all
    /// threads that wait on a stack. The instance is poisoned then.
    ///
    /// # Panics
    ///
    /// If the destructor of the host function's future panics.
    ///
    /// # Safety
    ///
    /// The instance lives, and is not used by others. Futures of its host functions may be dropped
    /// on this thread.
    pub unsafe fn end_host_wait(self) {
        // SAFETY: as the caller promises.
        end_host_wait(unsafe { self.data() });
    }

    /// Ends all tasks of the instance, which cannot be entered any more. A host function that has
    /// the store and still waits is of a call that was leaked. What it borrows may be gone, so that
    /// it is forgotten.
    ///
    /// # Safety
    ///
    /// As [`has_tasks`](Self::has_tasks). No code of the instance is on a stack that is in use.
    pub unsafe fn end_tasks(self) {
        // SAFETY: as the caller promises.
        let data = unsafe { self.data() };
        data.poisoned.set(true);
        if data.concurrent.get().is_none() {
            return;
        }
        let mut ended = with(data, |state| mem::replace(state, State::new(None)));
        forget_waits(&mut ended);
    }

    /// Returns whether tasks of the instance are under way.
    ///
    /// # Safety
    ///
    /// The instance lives, and is not used by others.
    pub unsafe fn has_tasks(self) -> bool {
        // SAFETY: as the caller promises.
        let data = unsafe { self.data() };
        data.concurrent.get().is_some() && with(data, |state| state.tasks.len() > 0)
    }

    /// Notes that the host calls a function whose type is not `async`. Returns whether that must
    /// [end](Self::exit_task).
    ///
    /// # Errors
    ///
    /// If there are too many tasks.
    ///
    /// # Safety
    ///
    /// As [`has_tasks`](Self::has_tasks).
    pub unsafe fn enter_task(self, domain: DomainId) -> Result<bool, Trap> {
        // SAFETY: as the caller promises.
        let data = unsafe { self.data() };
        let domains = &data.code().interface().concurrent_domains;
        if domains.binary_search(&domain).is_err() {
            return Ok(false);
        }
        match super::enter_task(data, domain) {
            Ok(_) => Ok(true),
            Err(Failed::Trap(trap)) => Err(trap),
            Err(_) => Err(Trap::TooManyTasks),
        }
    }

    /// Notes that such a call has returned.
    ///
    /// # Safety
    ///
    /// As [`has_tasks`](Self::has_tasks).
    pub unsafe fn exit_task(self) {
        // SAFETY: as the caller promises.
        let data = unsafe { self.data() };
        let _ = super::exit_task(data);
    }
}

/// As [`InstanceHandle::end_host_wait`]: called where futures of host functions may be dropped.
pub(super) fn end_host_wait(data: &InstanceData) {
    if data.concurrent.get().is_none() {
        return;
    }
    let fibers: Vec<SuspendableCall> = with(data, |state| {
        if mem::take(&mut state.chain).is_empty() {
            return Vec::new();
        }
        let threads = state.threads.iter_mut();
        threads.filter_map(|thread| thread.fiber.take()).collect()
    });
    // What they wait for is code of the host, which may use the instance.
    drop(fibers);
}

/// Forgets the futures of the host that threads wait for, without dropping them.
pub(super) fn forget_waits(state: &mut State) {
    let fibers = state.threads.iter_mut();
    for fiber in fibers.filter_map(|thread| thread.fiber.as_mut()) {
        if fiber.waits_for_host() {
            fiber.forget_wait();
        }
    }
}

/// Lets a thread go on that waits for a host function, or for a thread that does.
///
/// # Safety
///
/// As [`resume`].
unsafe fn go_on(
    data: &InstanceData,
    thread: Key,
    poll: &mut Poll<'_>,
) -> Result<Ran, Box<Stopped>> {
    let waits_for_host = with(data, |state| {
        let fiber = state.threads[thread].fiber.as_ref();
        fiber.is_some_and(SuspendableCall::waits_for_host)
    });
    if waits_for_host {
        // SAFETY: as the caller promises.
        let ran = unsafe { run::run(data, thread, None, poll) }?;
        if ran == Ran::Back
            && let Some(next) = with(data, |state| state.switch_to.take())
        {
            // SAFETY: as above.
            return unsafe { resume(data, next, poll) };
        }
        return Ok(ran);
    }
    // SAFETY: as above.
    unsafe { resume(data, thread, poll) }
}
