//! Calls of host functions that go on while the guest does: subtasks whose other side is the host.

use super::run::end_loans;
use super::{Failed, Poll, State, Step, with};
use crate::component::arena::Key;
use crate::component::concurrent::{
    Condition, MAX_HOST_CALLS, Start, Subtask, SubtaskState, Then, WaitableKind,
};
use crate::component::handles::HandleKind;
use crate::entry::Stopped;
use crate::instance::{Instance, InstanceData};
use anyhow::Result;
use mintage_environ::{CallId, DomainId, Trap};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A call of a host function that has not returned. The value is a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostSubtask(Key);

impl Instance {
    /// Adds a call of a host function that has not returned. `number` is the host's own, and
    /// `scope` has the guest's handles that are lent to the call.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn add_subtask(&self, number: u64, scope: Option<CallId>) -> Result<HostSubtask, Trap> {
        let subtask = Subtask {
            state: SubtaskState::Started,
            task: None,
            host: Some(number),
            scope,
            is_delivered: false,
            cancellation_requested: false,
            result: 0,
            async_caller: None,
        };
        with(self.data(), |state| {
            if state.host_calls >= MAX_HOST_CALLS {
                return Err(Trap::TooManyTasks);
            }
            let key = state.add_waitable(None, WaitableKind::Subtask(subtask))?;
            state.host_calls += 1;
            Ok(HostSubtask(key))
        })
    }

    /// Gives the guest a handle to the call. Returns what the guest gets for it: the state and the
    /// handle in one number.
    ///
    /// # Errors
    ///
    /// If the guest's table is full.
    pub fn give_subtask(&self, HostSubtask(key): HostSubtask, domain: DomainId) -> Result<u32> {
        let handle = self
            .data()
            .with_handles(|handles, _| handles.add_concurrent(domain, HandleKind::Subtask, key))?;
        with(self.data(), |state| {
            state.waitables[key].handle = handle;
            state.waitables[key].owner = Some(domain);
        });
        Ok(SubtaskState::Started as u32 | handle << 4)
    }

    /// Returns whether the code that has called a host function can be suspended alone: it runs in
    /// a thread with a stack of its own.
    pub fn can_wait(&self) -> bool {
        with(self.data(), |state| {
            let current = state.current.and_then(|thread| state.threads.get(thread));
            current.is_some_and(|thread| thread.start != Start::Nothing)
        })
    }

    /// Makes the current thread wait for a call. Its host function then returns
    /// [`HostOutcome::Suspended`](crate::HostOutcome::Suspended).
    ///
    /// # Errors
    ///
    /// If there is no thread that can wait.
    ///
    /// # Safety
    ///
    /// `words` is the array of the call, of which this is the host function, or null if that has no
    /// result. The function suspends the call as soon as this has succeeded.
    pub unsafe fn wait_for_subtask(
        &self,
        HostSubtask(subtask): HostSubtask,
        words: *mut u64,
    ) -> Result<(), Trap> {
        let words = words.expose_provenance();
        let then = Then::HostResult { subtask, words };
        with(self.data(), |state| {
            state.suspend(Step::Wait(Condition::Resolved(subtask), then))
        })
    }

    /// Notes that a host function has returned. `result` is its flat result, for a guest that waits
    /// for the call.
    pub fn resolve_subtask(&self, HostSubtask(key): HostSubtask, result: u64) {
        with(self.data(), |state| {
            if state.waitables.get(key).is_none() {
                return;
            }
            let subtask = state.subtask(key);
            (subtask.state, subtask.result) = (SubtaskState::Returned, result);
            state.end_host_call(key);
            match state.waitables[key].handle {
                0 => state.wake_waiter(key),
                _ => state.set_pending(key),
            }
        });
    }
}

/// Ends a host function that has not returned, whose subtask has the event afterwards.
pub(super) fn cancel(
    data: &InstanceData,
    key: Key,
    number: u64,
    poll: &Poll<'_>,
) -> Result<(), Failed> {
    let hooks = data.hooks.ok_or(Trap::NoTask)?;
    // State that a panic leaves inconsistent belongs to whoever catches the panic when it is
    // resumed.
    //
    // SAFETY: machine code of the instance has left for this, and no one else uses the store.
    let ended = catch_unwind(AssertUnwindSafe(|| unsafe {
        (hooks.cancel)(poll.host, number)
    }));
    ended.map_err(|payload| Failed::Stopped(Stopped::panicked(payload)))?;
    with(data, |state| {
        // The function may have returned just now.
        if state.end_host_call(key) {
            state.subtask(key).state = SubtaskState::CancelledBeforeReturned;
            state.set_pending(key);
        }
    });
    Ok(())
}

impl State {
    /// Notes that a host function has ended. Returns false if that was noted before.
    fn end_host_call(&mut self, subtask: Key) -> bool {
        let ended = self.subtask(subtask).host.take().is_some();
        self.host_calls -= usize::from(ended);
        ended
    }
}

/// Passes the flat result of a host function to its caller, which has waited for it.
pub(super) fn pass_result(data: &InstanceData, subtask: Key, words: usize) {
    let result = with(data, |state| {
        let subtask = state.subtask(subtask);
        subtask.is_delivered = true;
        subtask.result
    });
    end_loans(data, subtask);
    with(data, |state| state.remove_waitable(subtask));
    if words == 0 {
        return;
    }
    let words = std::ptr::with_exposed_provenance_mut::<u64>(words);
    // SAFETY: the array is in the frame of the caller, which waits for this
    // (`Instance::wait_for_subtask`).
    unsafe { words.write(result) };
}
