//! Calls of functions whose type is `async`: tasks, which may go on after they have given their
//! results.

use super::{CallHook, LIFT_WORDS, LendingCall, StoreInner};
use crate::Trap;
use crate::engine::wake::InterruptTarget;
use crate::error::{Result, stopped};
use crate::types::StoreInstanceId;
use mintage_environ::LiftId;
use mintage_runtime::{HostTask, InstanceHandle, Stopped, Turn};
use std::future::poll_fn;
use std::ptr::NonNull;
use std::task::{Context, Poll};

/// A task that the host has called, and what ends it meanwhile.
pub(crate) struct CalledTask {
    task: HostTask,
    handle: InstanceHandle,
    /// None if the engine is not interruptible.
    interrupt: Option<InterruptTarget>,
}

/// How far a step of a task has come.
enum Step {
    NotDone,
    /// A host function has the store, and waits.
    HostWaits,
    Done,
}

impl Step {
    fn done_if(done: bool) -> Step {
        match done {
            true => Step::Done,
            false => Step::NotDone,
        }
    }
}

impl CalledTask {
    /// Drops the host function that has the store and waits, if the call ends meanwhile.
    fn end_host_wait(&self) {
        // SAFETY: the instance is in the store, which does not remove it while a scope has entered
        // it, and the store is borrowed exclusively by the call that this belongs to. That is
        // `Send`, and so are the futures of host functions.
        unsafe { self.handle.end_host_wait() };
    }
}

impl Drop for CalledTask {
    fn drop(&mut self) {
        self.end_host_wait();
        if let Some(interrupt) = &self.interrupt {
            interrupt.forget_task();
        }
    }
}

impl<T: Send + 'static> StoreInner<T> {
    /// Creates a task. A [`CallScope`](super::CallScope) has entered the instance, and ends after
    /// the task has [finished](Self::finish_task).
    ///
    /// # Errors
    ///
    /// When there are too many tasks.
    ///
    /// # Panics
    ///
    /// When there is no such instance or function.
    pub fn new_task(
        &mut self,
        instance: StoreInstanceId,
        lift: LiftId,
        lends_to: Option<LendingCall>,
    ) -> Result<CalledTask> {
        let handle = self.opaque.instances[instance].runtime.handle();
        let scope = lends_to.map(|call| call.guest);
        // SAFETY: the instance is in the store, which is borrowed exclusively.
        let task = unsafe { HostTask::new(handle, lift, scope) }?;
        let interruption = self.host.time.interruption.as_ref();
        Ok(CalledTask {
            task,
            handle,
            interrupt: interruption.map(|interruption| interruption.target().clone()),
        })
    }

    /// Waits until the gate of the task's component instance is open.
    ///
    /// # Errors
    ///
    /// When a guest traps meanwhile.
    pub async fn enter_task(&mut self, called: &CalledTask) -> Result<()> {
        self.work(called, |_, _| {
            // SAFETY: the instance is in the store, which does not remove it while a scope has
            // entered it, and the store is borrowed exclusively.
            let entered = unsafe { called.task.try_enter(called.handle) };
            Ok(Step::done_if(entered))
        })
        .await
    }

    /// Runs a task that has entered, until it has its result, which replaces the arguments.
    ///
    /// # Errors
    ///
    /// When a guest traps.
    pub async fn run_task(
        &mut self,
        called: &CalledTask,
        words: &mut [u64; LIFT_WORDS],
    ) -> Result<()> {
        let (task, handle) = (called.task, called.handle);
        let mut begun = false;
        let done = self.work(called, |cx, host| {
            // SAFETY: as in `call_lift`, and on the instance as above.
            unsafe {
                if !std::mem::replace(&mut begun, true)
                    && task.begin(handle, &words[..], cx, host)?
                {
                    return Ok(Step::HostWaits);
                }
                Ok(Step::done_if(task.has_returned(handle)))
            }
        });
        done.await?;
        // SAFETY: as above.
        let result = unsafe { called.task.words(called.handle) };
        words.copy_from_slice(&result[..LIFT_WORDS]);
        Ok(())
    }

    /// Lets a task go on, whose result was taken, until it waits or ends.
    ///
    /// # Errors
    ///
    /// When the guest traps.
    pub async fn finish_task(&mut self, called: &CalledTask) -> Result<()> {
        let mut finished = false;
        let done = self.work(called, |cx, host| {
            let host_waits = !std::mem::replace(&mut finished, true)
                // SAFETY: as in `run_task`.
                && unsafe { called.task.finish(called.handle, cx, host)? };
            Ok(match host_waits {
                true => Step::HostWaits,
                false => Step::Done,
            })
        });
        done.await
    }

    /// Calls `step`, and lets threads of the instance go on, until `step` is done.
    ///
    /// # Errors
    ///
    /// When `step` fails or a guest traps, or when nothing can go on any more.
    async fn work(
        &mut self,
        called: &CalledTask,
        mut step: impl FnMut(&mut Context<'_>, NonNull<()>) -> Result<Step, Stopped>,
    ) -> Result<()> {
        self.cross(CallHook::CallingWasm, None)?;
        // Host functions have the store through this, from one poll to the next.
        let host = HostPointer(NonNull::from(&mut *self).cast());
        let result = poll_fn(|cx| turns(called, cx, &host, &mut step)).await;
        // The deadline may have passed while one waits. Nothing else has the store after this.
        called.end_host_wait();
        self.crossed(CallHook::ReturningFromWasm, None, result)
    }
}

/// The pointer for host functions of a call.
struct HostPointer(NonNull<()>);

// SAFETY: it points to the store that the call has borrowed exclusively, and is used only within
// the call's future. That has the exclusive reference, too, and is `Send` only if the store is.
unsafe impl Send for HostPointer {}
// SAFETY: as above; the future does not share it.
unsafe impl Sync for HostPointer {}

/// Calls `step`, and lets threads of the instance go on, until `step` is done.
fn turns(
    called: &CalledTask,
    cx: &mut Context<'_>,
    &HostPointer(host): &HostPointer,
    step: &mut impl FnMut(&mut Context<'_>, NonNull<()>) -> Result<Step, Stopped>,
) -> Poll<Result<()>> {
    let is_ended = |cx: &Context<'_>| {
        let interrupt = called.interrupt.as_ref();
        interrupt.is_some_and(|interrupt| interrupt.is_ended(cx.waker()))
    };
    loop {
        // SAFETY: the instance is in the store, which the call has borrowed exclusively.
        let host_waits = unsafe { called.handle.host_waits() };
        // The call is not over as long as a host function has the store.
        let stepped = match host_waits {
            true => Ok(Step::NotDone),
            false => step(cx, host),
        };
        let turn = match stepped {
            Ok(Step::Done) => return Poll::Ready(Ok(())),
            // It was polled just now.
            Ok(Step::HostWaits) => Ok(Turn::HostWaits),
            // SAFETY: as in `run_task`.
            Ok(Step::NotDone) => unsafe { called.handle.turn(cx, host) },
            Err(error) => Err(error),
        };
        match turn {
            Ok(Turn::Host) => {}
            // What has waited for the host was the last that could go on.
            Ok(Turn::Idle) if host_waits => {}
            Ok(Turn::Idle) => return Poll::Ready(Err(Trap::Deadlock.into())),
            Ok(Turn::Busy) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Ok(Turn::HostWaits) if is_ended(cx) => {
                return Poll::Ready(Err(Trap::Interrupt.into()));
            }
            Ok(Turn::HostWaits) => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(stopped(error))),
        }
    }
}
