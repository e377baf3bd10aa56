//! Runs the tasks and threads of an instance (CanonicalABI.md, "Concurrency").
//!
//! [`Concurrent`] has their state and its rules. Here is what needs machine code, stacks and guest
//! memory:
//!
//! ```text
//! run        threads: start, go on, wait, end
//! calls      calls of tasks by guests, `task.*`, `subtask.*`
//! host       calls of tasks by the host, and its turns
//! imports    calls of host functions that go on while the guest does
//! waiting    built-ins that wait: waitable sets, `thread.*`
//! ends       built-ins on streams and futures
//! streams    those with the host at one side
//! ```
//!
//! A thread of a function whose type is `async` has a stack of its own, unless nothing can suspend
//! it. Whatever runs on it (a built-in that waits, or a call of another task) may do that, and then
//! control is back at whoever started it or let it go on: the host, or a built-in in another
//! thread. A function whose type is not `async` runs on the stack of its caller. Where it waits, it
//! lets other threads of its component instance run, from there.
//!
//! Built-ins that wait end in a [`Step`]. What follows when the thread goes on is data
//! ([`Then`]), since nothing of Rust may be on a stack that is suspended.
//!
//! An asynchronous host function may have the whole store while it waits. Then nothing else of the
//! store can run: each thread from the one that called it outwards is suspended, and remembered in
//! [`Concurrent::chain`].

mod calls;
mod ends;
mod host;
mod imports;
mod run;
mod streams;
mod waiting;

pub use calls::{CallTask, CancelSubtask, ReturnTask};
pub use calls::{add_backpressure, cancel_task, drop_subtask, enter_task, exit_task};
pub use ends::{CancelCopy, CopyEnd, drop_end, forward, new_ends, transfer_end};
pub use host::{HostTask, Turn};
pub use imports::HostSubtask;
pub use streams::{HostEnd, TakenEnd};
pub use waiting::{
    SwitchThread, WaitForSet, context, drop_set, join, new_set, new_thread, poll_set, resume_later,
    set_context, thread_index,
};

use crate::arch::MaySuspend;
use crate::component::arena::Key;
use crate::component::concurrent::{Concurrent, Condition, Start, Then};
use crate::component::handles::HandleError;
use crate::entry::{Record, RunningRecord, Stopped, SuspendableCall};
use crate::instance::{InstanceData, Threads};
use mintage_environ::Trap;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::{Context, Waker};

/// The tasks and threads of an instance.
pub(crate) type State = Concurrent<SuspendableCall>;

/// Returns the tasks and threads of an instance. They are borrowed only while no other code runs.
#[inline]
fn state(data: &InstanceData) -> &RefCell<State> {
    data.concurrent
        .get_or_make(|kept: Option<Box<RefCell<State>>>| {
            let mut state = kept.unwrap_or_else(|| Box::new(RefCell::new(State::new(None))));
            state.get_mut().set_schedule(data.schedule_seed);
            state
        })
}

impl Threads for RefCell<State> {
    fn are_idle(&self) -> bool {
        self.borrow().is_idle()
    }

    fn visit_suspended(&self, visit: &mut dyn FnMut(usize, usize)) {
        let state = self.borrow();
        let fibers = state
            .threads
            .iter()
            .filter_map(|thread| thread.fiber.as_ref());
        for (fp, end) in fibers.filter_map(SuspendableCall::frames) {
            visit(fp, end);
        }
    }

    fn forget_waits(&mut self) {
        host::forget_waits(self.get_mut());
    }

    fn empty(&mut self) {
        self.get_mut().empty();
    }
}

/// Calls `f` with the tasks and threads of an instance. `f` must not run guests.
#[inline]
fn with<R>(data: &InstanceData, f: impl FnOnce(&mut State) -> R) -> R {
    f(&mut state(data).borrow_mut())
}

/// Why a built-in fails: the guest traps, or what it has run was stopped.
#[derive(Debug)]
pub enum Failed {
    Trap(Trap),
    Handle(HandleError),
    /// Another thread was stopped, or the host failed.
    Stopped(Box<Stopped>),
}

impl From<Trap> for Failed {
    fn from(trap: Trap) -> Self {
        Failed::Trap(trap)
    }
}

impl From<HandleError> for Failed {
    fn from(error: HandleError) -> Self {
        Failed::Handle(error)
    }
}

impl From<Box<Stopped>> for Failed {
    fn from(stopped: Box<Stopped>) -> Self {
        Failed::Stopped(stopped)
    }
}

impl Failed {
    /// Returns the code of the trap that ends the current call. Its details are left in the state
    /// of the store and of the instance.
    pub fn code(self, data: &InstanceData) -> u32 {
        match self {
            Failed::Trap(trap) => trap as u32,
            Failed::Handle(error) => {
                data.current().handle_error.set(Some(error));
                error.trap() as u32
            }
            Failed::Stopped(stopped) => {
                data.stopped.set(Some(stopped));
                // The reason above comes before this one.
                Trap::Interrupt as u32
            }
        }
    }
}

/// Calls a hook of the host. If it fails or panics, the guest is stopped.
fn call_hook(hook: impl FnOnce() -> anyhow::Result<()>) -> Result<(), Failed> {
    // State that a panic leaves inconsistent belongs to whoever catches the panic when it is
    // resumed.
    match catch_unwind(AssertUnwindSafe(hook)) {
        Ok(result) => result.map_err(|error| Stopped::without_frames(error).into()),
        Err(payload) => Err(Stopped::panicked(payload).into()),
    }
}

/// What a built-in that may wait does next.
enum Step {
    /// It returns a number.
    Done(u32),
    /// The current thread waits.
    Wait(Condition, Then),
    /// The current thread is suspended, in a state that it has already.
    Suspend(Then),
    /// The current thread is suspended until a host function has finished that has the store.
    HostWaits(Then),
}

/// The access of a built-in to the poll in which it runs.
struct Poll<'a> {
    /// The pointer for host functions.
    host: NonNull<()>,
    /// The record of the innermost call, if that can be suspended.
    record: Option<RunningRecord>,
    context: Context<'a>,
}

impl<'a> Poll<'a> {
    /// Returns the access of a built-in that machine code of `data` has called.
    ///
    /// # Safety
    ///
    /// Machine code of the current activation has called the built-in, and does not go on while the
    /// result is used.
    unsafe fn of_builtin(data: &InstanceData) -> Result<Poll<'a>, Failed> {
        let access = data.current().host();
        // SAFETY: as the caller promises.
        let (host, record) = unsafe { (access.functions(), Record::of_call(access)) };
        // `may_leave` was tested, so there is access to the host.
        let host = host.ok_or(Trap::CannotLeaveComponent)?;
        // SAFETY: as the caller promises. Only one context for the record exists at a time.
        let waker = record.map_or(Waker::noop(), |record| unsafe { record.context() }.waker());
        Ok(Poll {
            host,
            record,
            context: Context::from_waker(waker),
        })
    }
}

/// Ends a built-in that may wait.
///
/// # Safety
///
/// The built-in is the hook of the stub that machine code has called in the current activation,
/// and returns the result to that. `record` is of this activation.
unsafe fn finish(
    data: &InstanceData,
    record: Option<RunningRecord>,
    result: Result<Step, Failed>,
) -> MaySuspend {
    let failed = |failed: Failed| {
        // If it fails since it cannot wait for a host function, that ends, too: nothing will poll
        // it. State that a panic leaves inconsistent belongs to whoever catches the panic when it
        // is resumed.
        let ended = catch_unwind(AssertUnwindSafe(|| host::end_host_wait(data)));
        let failed = match ended {
            Ok(()) => failed,
            Err(payload) => Failed::Stopped(Stopped::panicked(payload)),
        };
        MaySuspend::done(u64::from(failed.code(data)) << 32)
    };
    let step = match result {
        Ok(step) => step,
        Err(error) => return failed(error),
    };
    if let Step::Done(result) = step {
        return MaySuspend::done(result.into());
    }
    let Some(record) = record else {
        return failed(Trap::CannotBlock.into());
    };
    let suspended = with(data, |state| state.suspend(step));
    match suspended {
        // SAFETY: as the caller promises.
        Ok(()) => unsafe { record.suspend_thread() },
        Err(trap) => failed(trap.into()),
    }
}

impl State {
    /// Notes that the current thread is suspended.
    fn suspend(&mut self, step: Step) -> Result<(), Trap> {
        let current = self.current.ok_or(Trap::NoTask)?;
        // A synchronous task that waits for the host is on the stack of another thread.
        let owner = self.owner(current);
        match step {
            Step::Done(_) => {}
            Step::Wait(condition, then) => {
                self.threads[current].then = then;
                self.wait(current, condition);
            }
            Step::Suspend(then) => self.threads[current].then = then,
            Step::HostWaits(then) => {
                // A synchronous call of the host cannot be suspended by other threads.
                if self.threads[owner].start == Start::Nothing {
                    return Err(Trap::CannotBlock);
                }
                self.threads[current].then = then;
                self.chain.push(owner);
            }
        }
        self.threads[owner].inner = (owner != current).then_some(current);
        Ok(())
    }

    /// Returns the thread on whose stack a thread runs.
    fn owner(&self, thread: Key) -> Key {
        let mut owner = thread;
        while let Some(outer) = self.threads[owner].outer {
            owner = outer;
        }
        owner
    }
}
