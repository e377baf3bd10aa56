//! [`SuspendableCall`]: a call that has a stack of its own, and is suspended while a host function
//! waits.
//!
//! Each poll links the call's activation into the list of the thread, on top of whatever runs
//! there, and takes it out again. In between the call runs, or the host function that it waits for
//! is polled. So to everything that walks the list, a suspended call that is polled looks like one
//! that is in its host function.
//!
//! While a call is not polled, nothing points to it, and its stack has frames of machine code and
//! its stubs only. They own nothing, and hold no address of a thread. So the next poll may be on
//! another thread, and a call that is dropped just gives its stack back.
//!
//! A call that waits for another one polls that within its own poll, and drops it when it is
//! dropped itself. Both recurse on the stack of the thread, so the number of calls that are nested
//! in this way is limited (`Thread::prepare_for_host`).

use super::activation::{self, Activation, Departure, NoStack, OwnStack};
use super::call::{no_stack, stopped};
use super::fault;
use super::questions::AskLimiter;
use super::trap::Stopped;
use crate::arch::{self, MaySuspend, SwitchPoint, Switched};
use crate::code::Callee;
use crate::fiber::Stack;
use crate::instance::growth::GrowthRequest;
use crate::instance::{
    Failure, HostAccess, HostFuture, InstanceData, InstanceHandle, LaterPermit, Suspending,
    control_block,
};
use mintage_environ::builtin::GROWTH_ENDED;
use mintage_environ::{DomainId, ExitRecord, Trap};
use std::mem::{ManuallyDrop, MaybeUninit, offset_of};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

/// The result of a host function that fails after it has suspended the call.
const FAILED: u64 = 1;

/// What is known of a call at the top of its stack.
#[repr(C, align(16))]
pub struct Record {
    /// First, since the call's frames are below it.
    point: SwitchPoint,
    activation: Activation,
    suspending: Suspending,
    /// Where machine code last left for the host, while the call is not polled.
    exit: ExitRecord,
    /// The context of the poll that runs the call, while machine code runs.
    context: *mut Context<'static>,
    /// What the call waits for, while machine code does not run.
    wait: Option<Wait>,
    instance: InstanceHandle,
    domain: DomainId,
    state: State,
    /// The stack, which has this record.
    stack: ManuallyDrop<Stack>,
}

/// What a suspended call waits for.
pub enum Wait {
    /// A host function, or another answer of the host.
    Host(HostFuture),
    /// The permission for growth, which follows.
    Growth(LaterPermit, GrowthRequest),
    /// Nothing more: the function returns this.
    Over(u64),
}

impl Wait {
    /// Polls what the call waits for. Returns it if it is pending, and otherwise the result of the
    /// function that suspended the call. A failure is left in the current state of the store.
    ///
    /// # Safety
    ///
    /// The call is one into `data`, and its activation is the innermost of this thread.
    pub unsafe fn poll(self, cx: &mut Context<'_>, data: &InstanceData) -> Result<u64, Wait> {
        match self {
            Wait::Host(future) => match poll_once(future, cx) {
                Ok(Ok(())) => Ok(0),
                Ok(Err(failure)) => {
                    data.current().failure.set(Some(failure));
                    Ok(FAILED)
                }
                Err(future) => Err(Wait::Host(future)),
            },
            Wait::Growth(permit, request) => match poll_once(permit, cx) {
                // SAFETY: as the caller promises.
                Ok(Ok(allowed)) => Ok(unsafe { AskLimiter::answered(data, allowed) }.grow(request)),
                Ok(Err(failure)) => {
                    data.depends_on_host.set(true);
                    data.current().failure.set(Some(failure));
                    Ok(GROWTH_ENDED)
                }
                Err(permit) => Err(Wait::Growth(permit, request)),
            },
            Wait::Over(result) => Ok(result),
        }
    }
}

type HostAnswer<T> = Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send>>;

/// Polls a future of the host. Returns it if it is pending.
fn poll_once<T>(
    mut future: HostAnswer<T>,
    cx: &mut Context<'_>,
) -> Result<Result<T, Failure>, HostAnswer<T>> {
    // State that a panic leaves inconsistent belongs to whoever catches the panic when it is
    // resumed. The future is dropped in here, since its destructor may panic, too.
    let polled = catch_unwind(AssertUnwindSafe(move || match future.as_mut().poll(cx) {
        Poll::Pending => Err(future),
        Poll::Ready(result) => Ok(result),
    }));
    match polled {
        Ok(Ok(result)) => Ok(result.map_err(Failure::Error)),
        Ok(Err(future)) => Err(future),
        Err(payload) => Ok(Err(Failure::Panic(payload))),
    }
}

const _: () = assert!(offset_of!(Record, point) == 0);

/// The record of the innermost call, which runs machine code.
#[derive(Clone, Copy)]
pub struct RunningRecord(NonNull<Record>);

impl Record {
    /// Returns the record of the call that has this access to the host, if it can be suspended.
    ///
    /// # Safety
    ///
    /// The call is under way, and its machine code has left for this. The result is used only
    /// before the machine code goes on.
    pub unsafe fn of_call(host: HostAccess) -> Option<RunningRecord> {
        let HostAccess::Suspending(call) = host else {
            return None;
        };
        // SAFETY: the call is under way and keeps this, which `SuspendableCall::new` made for its
        // record.
        Some(RunningRecord(unsafe { call.as_ref() }.call.cast()))
    }
}

impl RunningRecord {
    /// Returns the context of the poll that runs the call.
    ///
    /// # Safety
    ///
    /// No one else uses it as long as the result lives, and the call is not suspended meanwhile.
    pub unsafe fn context<'a>(self) -> &'a mut Context<'a> {
        // SAFETY: the record lives while the call is under way (`of_call`).
        let context = unsafe { (*self.0.as_ptr()).context };
        assert!(!context.is_null(), "machine code of the call runs");
        // SAFETY: `run` wrote the pointer before it switched to the machine code, and does not use
        // its reference before the machine code has switched back.
        unsafe { &mut *context.cast() }
    }

    /// Suspends the call until `wait` is over.
    ///
    /// # Safety
    ///
    /// The result goes to the stub that machine code has called in the call's activation, which is
    /// the innermost of this thread.
    pub unsafe fn suspend(self, wait: Wait) -> MaySuspend {
        // SAFETY: the record lives while the call is under way (`of_call`).
        unsafe { (*self.0.as_ptr()).wait = Some(wait) };
        // SAFETY: as the caller promises.
        unsafe { self.suspend_thread() }
    }

    /// Suspends the call until it is [resumed](SuspendableCall::resume).
    ///
    /// # Safety
    ///
    /// As [`suspend`](Self::suspend).
    pub unsafe fn suspend_thread(self) -> MaySuspend {
        let record = self.0.as_ptr();
        // SAFETY: this thread runs. The record lives while the call is under way (`of_call`).
        let is_innermost = unsafe {
            ptr::eq(
                (*activation::thread()).current.get(),
                &raw const (*record).activation,
            )
        };
        // Frames of Rust would be left on the stack.
        assert!(is_innermost, "only the innermost call is suspended");
        // SAFETY: as above. The machine code of its activation runs on the stack below it.
        unsafe { MaySuspend::suspend(&raw mut (*record).point) }
    }
}

/// A call of a guest that can be suspended. If it is dropped before it ends, the guest ends where
/// it is, and the instance is poisoned.
///
/// It is one pointer, since it is moved several times before it is polled.
pub struct SuspendableCall {
    record: NonNull<Record>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Prepared,
    Suspended,
    Over,
}

// SAFETY: while the call is not polled, its stack has frames of machine code and its stubs only,
// which hold no address of a thread. The pointers in the record are the instance's and the
// caller's, who promises that they may be used on the thread that polls, stops or drops the call
// (`new`).
unsafe impl Send for SuspendableCall {}

impl SuspendableCall {
    /// Prepares a call as [`call`](crate::call) makes it, on a stack of its own. It begins with the
    /// first poll.
    ///
    /// # Panics
    ///
    /// If `domain` is not in this component.
    ///
    /// # Safety
    ///
    /// - What [`call`](crate::call) demands holds whenever the call is polled, on the thread that
    ///   polls.
    /// - Until the call is over or dropped, the instance lives, the words and `host` are valid, and
    ///   so is all that host functions borrow through them. No one else uses any of this.
    /// - Polling, [stopping](Self::stop) or dropping the call polls or drops futures of its host
    ///   functions. They may be used on the thread that does so.
    pub unsafe fn new(
        stack: Stack,
        instance: InstanceHandle,
        domain: DomainId,
        callee: &Callee,
        words: *mut u64,
        host: NonNull<()>,
    ) -> SuspendableCall {
        // SAFETY: the instance lives, as the caller promises.
        let data = unsafe { instance.data() };
        data.stacks.set(data.stacks.get() + 1);
        let room: *mut Record = stack.room(size_of::<Record>()).cast();
        let range = stack.range();
        let record = NonNull::new(room).expect("no stack is at address 0");
        // SAFETY: the room is at the end of the stack, which no one else uses. It is aligned, since
        // the end of the stack and the record's size are.
        unsafe {
            let point = &raw mut (*room).point;
            let resume = arch::prepare(point, callee.entry, data.ctx(domain), callee.func, words);
            (&raw mut (*room).activation).write(Activation {
                resume,
                previous: ptr::null(),
                data,
                stack_limit: activation::limit_of_own_stack(&range, data.limits.stack_bytes),
                own_stack: NonZeroUsize::new(range.start).map(|start| OwnStack { start, depth: 0 }),
                previous_exit: ExitRecord { fp: 0 },
                trap: None,
                frames: MaybeUninit::uninit(),
                landing: MaybeUninit::uninit(),
            });
            (&raw mut (*room).suspending).write(Suspending {
                host,
                call: record.cast(),
            });
            (&raw mut (*room).exit).write(ExitRecord { fp: 0 });
            (&raw mut (*room).context).write(ptr::null_mut());
            (&raw mut (*room).wait).write(None);
            (&raw mut (*room).instance).write(instance);
            (&raw mut (*room).domain).write(domain);
            (&raw mut (*room).state).write(State::Prepared);
            (&raw mut (*room).stack).write(ManuallyDrop::new(stack));
        }
        SuspendableCall { record }
    }

    /// Takes the stack of a call that is over.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub fn into_stack(self) -> Stack {
        assert!(self.state() == State::Over, "the call is over");
        // SAFETY: the call is not used any more.
        unsafe { ManuallyDrop::new(self).release() }
    }

    /// Ends the call, and takes its stack.
    ///
    /// # Safety
    ///
    /// The call is not used any more, nor dropped.
    unsafe fn release(&mut self) -> Stack {
        let instance = self.instance();
        // SAFETY: the instance lives until the call is dropped (`new`).
        let data = unsafe { instance.data() };
        data.stacks.set(data.stacks.get() - 1);
        if self.is_suspended() {
            data.poisoned.set(true);
        }
        // SAFETY: the record is the call's own, and no one uses it after this.
        let stack = unsafe { ManuallyDrop::take(&mut (*self.record.as_ptr()).stack) };
        // The future may use words on the stack. So it is dropped before the stack goes back.
        self.stop_waiting();
        stack
    }

    fn state(&self) -> State {
        // SAFETY: the record is the call's own, on a stack that it keeps.
        unsafe { (*self.record.as_ptr()).state }
    }

    fn set_state(&mut self, state: State) {
        // SAFETY: as above.
        unsafe { (*self.record.as_ptr()).state = state };
    }

    fn instance(&self) -> InstanceHandle {
        // SAFETY: as above.
        unsafe { (*self.record.as_ptr()).instance }
    }

    /// Drops what the call waits for.
    fn stop_waiting(&mut self) {
        // SAFETY: as above. Machine code does not run.
        unsafe { (*self.record.as_ptr()).wait = None };
    }

    /// Makes the next poll go on: the function that suspended the call by `suspend_thread` returns
    /// `result`.
    pub fn resume(&mut self, result: u64) {
        // SAFETY: the record is the call's own, on a stack that it keeps.
        unsafe { (*self.record.as_ptr()).wait = Some(Wait::Over(result)) };
    }

    /// Returns the innermost frame pointer and the end of the frames of a call that is suspended.
    pub fn frames(&self) -> Option<(usize, usize)> {
        let record = self.record.as_ptr();
        // SAFETY: the record is the call's own, on a stack that it keeps.
        let ends = unsafe { ((*record).exit.fp as usize, (*record).activation.resume.sp) };
        self.is_suspended().then_some(ends)
    }

    /// Forgets the future of the host that the call waits for, without dropping it.
    pub fn forget_wait(&mut self) {
        // SAFETY: as above. Machine code does not run.
        std::mem::forget(unsafe { (*self.record.as_ptr()).wait.take() });
    }

    /// Returns whether the call waits for the host.
    pub fn waits_for_host(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.record.as_ptr()).wait.is_some() }
    }

    /// Returns the stack limit of the call.
    pub fn stack_limit(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.record.as_ptr()).activation.stack_limit }
    }

    /// Sets the pointer for host functions.
    ///
    /// # Safety
    ///
    /// It is what [`new`](Self::new) demands, from now on. The call does not run.
    pub unsafe fn set_host(&mut self, host: NonNull<()>) {
        // SAFETY: as above.
        unsafe { (*self.record.as_ptr()).suspending.host = host };
    }

    /// Returns whether the call is suspended.
    pub fn is_suspended(&self) -> bool {
        self.state() == State::Suspended
    }

    /// Runs the call until it ends or has to wait. If the call is stopped, the instance is
    /// poisoned.
    ///
    /// # Errors
    ///
    /// As [`call`](crate::call).
    ///
    /// # Panics
    ///
    /// If the call is over.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new).
    pub unsafe fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Box<Stopped>>> {
        assert!(self.state() != State::Over, "the call is over");
        let instance = self.instance();
        // SAFETY: the instance lives, as the caller promises.
        let data = unsafe { instance.data() };
        // SAFETY: this thread runs.
        let thread = unsafe { &*activation::thread() };
        let depth = match thread.prepare_for_host(arch::stack_pointer()) {
            Ok(depth) => depth,
            Err(error) => return Poll::Ready(Err(self.give_up(data, error))),
        };
        // The slab may be used by another thread than before.
        let (record, current) = (self.record.as_ptr(), data.current());
        // SAFETY: the record is the call's own.
        let control = control_block(data.ctx(unsafe { (*record).domain }));
        let previous = thread.current.get();
        // SAFETY: activations in the list are calls further out on this thread, whose instances
        // live.
        let outer = unsafe { previous.as_ref() };
        // SAFETY: as above.
        let previous_exit = outer.map(|outer| unsafe { (*outer.data).current().exit() });
        let outer_host = current.host();
        // SAFETY: the record is the call's own. The control block lives as long as the instance,
        // and no machine code runs in this domain: the call has not begun there, or was suspended.
        unsafe {
            if let Some(stack) = &mut (*record).activation.own_stack {
                stack.depth = depth;
            }
            (*record).activation.previous = previous;
            (*record).activation.previous_exit = previous_exit.unwrap_or(ExitRecord { fp: 0 });
            (*control).stack_limit = (*record).activation.stack_limit;
            current.set_host(HostAccess::Suspending(NonNull::from(&(*record).suspending)));
            current.set_exit((*record).exit);
            thread.current.set(&raw const (*record).activation);
        }
        let departure = Departure::new();
        // SAFETY: the call is linked now.
        let result = unsafe { self.run(cx) };
        // It is unlinked from the thread on which it was linked.
        departure.check();
        thread.current.set(previous);
        // SAFETY: as above.
        unsafe { (*record).exit = current.exit() };
        current.set_host(outer_host);
        if let (Some(outer), Some(exit)) = (outer, previous_exit) {
            // SAFETY: as above.
            unsafe { (*outer.data).current().set_exit(exit) };
        }
        result.map(|returned| match returned {
            true => Ok(()),
            // SAFETY: the call was stopped, and the list leads to outer calls, which are still
            // running.
            false => unsafe { stopped(data, &(*record).activation) },
        })
    }

    /// Polls the host function that the call waits for, and runs the call when that is done.
    /// Returns whether the call returned or was ended, unless it has to wait.
    ///
    /// # Safety
    ///
    /// As [`poll`](Self::poll), and the call's activation is the innermost of this thread.
    unsafe fn run(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let record = self.record.as_ptr();
        let mut result = 0;
        // SAFETY: the record is the call's own, and machine code does not run.
        if let Some(wait) = unsafe { (*record).wait.take() } {
            let departure = Departure::new();
            let instance = self.instance();
            // SAFETY: the instance lives, as the caller promises, who has linked the call.
            let polled = unsafe { wait.poll(cx, instance.data()) };
            // This precedes machine code, which may trap.
            departure.check();
            match polled {
                Err(wait) => {
                    // SAFETY: as above.
                    unsafe { (*record).wait = Some(wait) };
                    return Poll::Pending;
                }
                Ok(done) => result = done,
            }
        }
        // SAFETY: the record is the call's own, and machine code does not run. The call is prepared
        // or suspended. Host functions catch their panics and builtins do not panic, so no frame
        // needs to be unwound when the call is ended.
        let switched = unsafe {
            (*record).context = ptr::from_mut(cx).cast();
            let switched = arch::switch_to(&raw mut (*record).point, result);
            (*record).context = ptr::null_mut();
            switched
        };
        match switched {
            Switched::Suspended => {
                self.set_state(State::Suspended);
                Poll::Pending
            }
            switched => {
                self.set_state(State::Over);
                Poll::Ready(switched == Switched::Returned)
            }
        }
    }

    /// Ends the call, which is suspended, with a trap. The instance is poisoned.
    ///
    /// # Panics
    ///
    /// If the destructor of the host function that the call waits for panics.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new).
    pub unsafe fn stop(&mut self, trap: Trap) -> Box<Stopped> {
        self.set_state(State::Over);
        self.stop_waiting();
        let instance = self.instance();
        // SAFETY: the instance lives, as the caller promises.
        let data = unsafe { instance.data() };
        let record = self.record.as_ptr();
        // SAFETY: the record is the call's own. Nothing is further out: what was linked at the last
        // poll may be gone. The frames of the call are intact.
        unsafe {
            (*record).activation.previous = ptr::null();
            let fp = (*record).exit.fp as usize;
            fault::stop_suspended(&raw mut (*record).activation, trap, fp);
            match stopped(data, &(*record).activation) {
                Err(stopped) => stopped,
                Ok(()) => unreachable!("a call that is stopped has not returned"),
            }
        }
    }

    /// Ends the call, since it cannot be polled.
    #[cold]
    fn give_up(&mut self, data: &InstanceData, error: NoStack) -> Box<Stopped> {
        if self.is_suspended() {
            data.poisoned.set(true);
        }
        self.set_state(State::Over);
        self.stop_waiting();
        no_stack(data, error)
    }
}

impl Drop for SuspendableCall {
    fn drop(&mut self) {
        // SAFETY: this is the end of the call.
        drop(unsafe { self.release() });
    }
}
