//! [`CallScope`]: what ends with a call, however it ends.

use super::{LendingCall, StoreInner, StoreOpaque};
use crate::error::{Error, Result, handle_trap};
use crate::types::StoreInstanceId;
use mintage_environ::CallId;
use std::mem::ManuallyDrop;

/// A call under way between the host and an instance, in either direction. If its type has borrows,
/// it is the scope that handles are lent or borrowed for: these loans and borrows end when it is
/// dropped, however the call ends: by its results, an error, or a panic. If it has entered the
/// instance, it leaves it.
pub(crate) struct CallScope<'s, T: 'static> {
    pub store: &'s mut StoreInner<T>,
    pub instance: StoreInstanceId,
    lends_to: Option<LendingCall>,
    hold: Hold,
}

/// The reason why the instance of a call stays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// None of this call's: the caller has one.
    None,
    /// The call has entered the instance and not left it.
    Entered,
    /// The call is one of a host function that the instance exports again.
    Pinned,
    /// The call is a task, with this number.
    Task(usize),
}

/// A [`CallScope`] without its store.
#[derive(Clone, Copy)]
pub(crate) struct ScopeParts {
    instance: StoreInstanceId,
    lends_to: Option<LendingCall>,
    hold: Hold,
}

impl<'s, T: 'static> CallScope<'s, T> {
    /// Begins a call, whose type has borrows if `borrows` says so.
    #[inline]
    pub fn new(store: &'s mut StoreInner<T>, instance: StoreInstanceId, borrows: bool) -> Self {
        let StoreOpaque {
            instances, handles, ..
        } = &mut store.opaque;
        let lends_to = borrows.then(|| LendingCall {
            guest: instances[instance].runtime.get_mut().enter_call(),
            host: handles.enter(),
        });
        Self {
            store,
            instance,
            lends_to,
            hold: Hold::None,
        }
    }

    /// Takes the scope apart, for a time in which the store is in use elsewhere.
    pub fn into_parts(self) -> (&'s mut StoreInner<T>, ScopeParts) {
        let this = ManuallyDrop::new(self);
        let parts = ScopeParts {
            instance: this.instance,
            lends_to: this.lends_to,
            hold: this.hold,
        };
        // SAFETY: `this` is neither used nor dropped from here on, so that the reference moves.
        (unsafe { std::ptr::read(&this.store) }, parts)
    }

    /// Puts a scope together again.
    pub fn from_parts(store: &'s mut StoreInner<T>, parts: ScopeParts) -> Self {
        let ScopeParts {
            instance,
            lends_to,
            hold,
        } = parts;
        Self {
            store,
            instance,
            lends_to,
            hold,
        }
    }

    /// Enters the instance. If the scope ends before [`leave`](Self::leave), the call was stopped,
    /// and the instance is broken.
    #[inline]
    pub fn enter(&mut self) {
        self.store.opaque.instances[self.instance].entries.enter();
        self.hold = Hold::Entered;
    }

    /// Leaves the instance.
    #[inline]
    pub fn leave(&mut self) {
        self.store.opaque.instances[self.instance].entries.leave();
        self.hold = Hold::None;
    }

    /// Makes the call that of the task `tag`. If the scope ends before
    /// [`leave_task`](Self::leave_task), the call was stopped, and the instance is broken.
    pub(super) fn hold_task(&mut self, tag: usize) {
        self.store.opaque.instances[self.instance].pins += 1;
        self.hold = Hold::Task(tag);
    }

    /// Returns the number of the task.
    ///
    /// # Panics
    ///
    /// When the call is not a task.
    pub(super) fn task(&self) -> usize {
        match self.hold {
            Hold::Task(tag) => tag,
            _ => unreachable!("the call is a task"),
        }
    }

    /// Ends the call of a task, which may go on.
    pub fn leave_task(&mut self) {
        let tag = self.task();
        self.store.opaque.instances[self.instance].pins -= 1;
        self.store.host.concurrency.calls.remove(tag);
        self.hold = Hold::None;
    }

    /// Ends the scope on the side of the host. Returns the guest's part, which ends later.
    pub fn exit_host(&mut self) -> Option<CallId> {
        let call = self.lends_to.take()?;
        self.store.opaque.handles.exit(call.host);
        Some(call.guest)
    }

    /// Ends the scope of a call that has entered the instance and has no borrows, by how it ended.
    pub fn end(mut self, result: &Result<()>) {
        match result {
            Ok(()) => self.leave(),
            Err(error) => self.store.opaque.engine.count_trap(error),
        }
    }

    /// Counts the trap that has stopped a call, and passes on the error.
    #[cold]
    pub fn stopped(&self, error: Error) -> Error {
        if matches!(self.hold, Hold::Entered | Hold::Task(_)) {
            self.store.opaque.engine.count_trap(&error);
        }
        error
    }

    /// Keeps the instance from being dropped until the scope ends, without entering it.
    pub fn pin(mut self) -> Self {
        self.store.opaque.instances[self.instance].pins += 1;
        self.hold = Hold::Pinned;
        self
    }

    /// Returns what handles are lent to, if the type of the call has borrows.
    #[inline]
    pub fn lends_to(&self) -> Option<LendingCall> {
        self.lends_to
    }

    /// Ends the scope after the callee has returned.
    ///
    /// # Errors
    ///
    /// When the callee still has handles that were lent to it.
    #[inline]
    pub fn exit(&mut self) -> Result<()> {
        let Some(call) = self.lends_to.take() else {
            return Ok(());
        };
        let StoreOpaque {
            instances, handles, ..
        } = &mut self.store.opaque;
        handles.exit(call.host);
        let exited = instances[self.instance]
            .runtime
            .get_mut()
            .exit_call(call.guest);
        exited.map_err(handle_trap)
    }

    /// Ends a call that has not ended by itself.
    #[cold]
    fn break_off(&mut self) {
        if let Some(call) = self.lends_to.take() {
            self.abandon(call);
        }
        let instance = &mut self.store.opaque.instances[self.instance];
        match self.hold {
            Hold::None => {}
            Hold::Entered => {
                instance.entries.break_off();
                self.store.note_stopped(self.instance);
            }
            Hold::Pinned => instance.pins -= 1,
            Hold::Task(tag) => {
                instance.pins -= 1;
                self.store.host.concurrency.calls.try_remove(tag);
                self.store.break_instance(self.instance);
                self.store.note_stopped(self.instance);
            }
        }
    }

    fn abandon(&mut self, call: LendingCall) {
        let StoreOpaque {
            instances, handles, ..
        } = &mut self.store.opaque;
        handles.exit(call.host);
        instances[self.instance]
            .runtime
            .get_mut()
            .abandon_call(call.guest);
    }
}

impl<T: 'static> Drop for CallScope<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.lends_to.is_some() || self.hold != Hold::None {
            self.break_off();
        }
    }
}
