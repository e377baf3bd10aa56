//! Calls of guests that may be suspended while a host function waits.

use super::{CallHook, LIFT_WORDS, StoreInner, StoreInstance};
use crate::Trap;
use crate::engine::wake::InterruptTarget;
use crate::error::{Result, ensure, stopped};
use crate::types::StoreInstanceId;
use mintage_environ::component::{CoreCallee, HostCalls};
use mintage_environ::{DomainId, LiftId};
use mintage_runtime::{Callee, HostTable, Initializers, Stopped, SuspendableCall};
use std::future::poll_fn;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

impl<T> StoreInner<T> {
    /// Returns whether a call into an instance may be suspended, because of the host functions that
    /// it may call, or because guests of the store yield or wait for its limiter.
    #[inline]
    pub fn may_suspend(&self, imports: &HostTable, calls: HostCalls) -> bool {
        imports.may_suspend(calls) || self.pauses()
    }

    /// Returns whether guests of the store yield, or wait for its limiter.
    #[inline]
    pub(super) fn pauses(&self) -> bool {
        self.host.time.may_yield() || self.host.may_answer_later()
    }
}

impl<T: Send + 'static> StoreInner<T> {
    /// Runs the start functions of a new instance as `run_initializers` does. They may wait.
    ///
    /// # Errors
    ///
    /// When a start function does not return.
    ///
    /// # Panics
    ///
    /// When there is no such instance.
    pub(super) async fn run_initializers_async(&mut self, instance: StoreInstanceId) -> Result<()> {
        let mut initializers = Initializers::default();
        loop {
            let handle = self.opaque.instances[instance].runtime.handle();
            // SAFETY: the instance is in the store, which is borrowed exclusively. It is new, and
            // what was called in it is what this has returned.
            let next = unsafe { initializers.next_start(handle) }.map_err(stopped)?;
            let Some((domain, callee)) = next else {
                return Ok(());
            };
            // SAFETY: the function is of the instance's own code and of this domain, and has
            // neither parameters nor results. `instantiate_async` has entered the instance.
            unsafe { self.call_guest(instance, domain, &callee, &mut [], true) }.await?;
        }
    }

    /// Calls the core function of a lift as `call_lift` does. It may wait.
    ///
    /// # Errors
    ///
    /// When the guest does not return.
    ///
    /// # Panics
    ///
    /// When there is no such instance or lift.
    pub async fn call_lift_async(
        &mut self,
        instance: StoreInstanceId,
        lift: LiftId,
        words: &mut [u64; LIFT_WORDS],
    ) -> Result<()> {
        let lift = self.opaque.instances[instance].component.lift(lift);
        let (domain, callee) = (lift.boundary.guest.domain, lift.callee);
        // The task of the call goes on in `post-return`.
        let ends = lift.post_return.is_none();
        // SAFETY: as in `call_lift`, where the call's scope has entered the instance.
        unsafe { self.call_guest(instance, domain, &callee, words, ends) }.await
    }

    /// Calls any core function of an instance as `call_core` does. It may wait.
    ///
    /// # Errors
    ///
    /// When the artifact has no code for the function, it traps, or there are too few words.
    ///
    /// # Panics
    ///
    /// When there is no such instance.
    pub async fn call_core_async(
        &mut self,
        instance: StoreInstanceId,
        domain: DomainId,
        callee: CoreCallee,
        words: &mut [u64],
    ) -> Result<()> {
        let StoreInstance { component, .. } = &self.opaque.instances[instance];
        let signature = &component.interface().signatures[callee.sig];
        ensure!(
            words.len() >= signature.array_words(),
            "too few words for a function of type {signature}"
        );
        let callee = component.code().callee(callee)?;
        // SAFETY: as in `call_core`, where the call's scope has entered the instance.
        unsafe { self.call_guest(instance, domain, &callee, words, true) }.await
    }

    /// Calls a function of a guest, which may wait. `ends` says whether its task ends with it.
    ///
    /// # Errors
    ///
    /// When there is no stack, or the guest does not return.
    ///
    /// # Panics
    ///
    /// When there is no such instance.
    ///
    /// # Safety
    ///
    /// `callee` is a function of the instance's code, and belongs to `domain`. The words are enough
    /// for its signature, and hold values of its types. A [`CallScope`](super::CallScope) has
    /// entered the instance, and ends after the future.
    async unsafe fn call_guest(
        &mut self,
        instance: StoreInstanceId,
        domain: DomainId,
        callee: &Callee,
        words: &mut [u64],
        ends: bool,
    ) -> Result<()> {
        let stack = self.opaque.engine.stacks().acquire()?;
        self.cross(CallHook::CallingWasm, None)?;
        debug_assert!(self.opaque.instances[instance].entries.are_under_way());
        let handle = self.opaque.instances[instance].runtime.handle();
        let interruption = self.host.time.interruption.as_ref();
        let interrupt = interruption.map(|interruption| interruption.target().clone());
        // SAFETY: the instance is in the store, which is borrowed exclusively.
        let is_task = match unsafe { handle.enter_task(domain) } {
            Ok(is_task) => is_task,
            Err(trap) => {
                return self.crossed(CallHook::ReturningFromWasm, None, Err(trap.into()));
            }
        };
        let host = NonNull::from(&mut *self).cast();
        // SAFETY: the caller promises that function, domain and words fit. The instance is in the
        // store, which does not remove it while a scope has entered it. The store and the words are
        // borrowed exclusively by this future. It owns the call, and does not use them before the
        // call is over or dropped. `T` is `Send`, and so are the futures of host functions, with
        // what they borrow through the store and the words. On host functions see
        // `run_initializers`.
        let call = unsafe {
            SuspendableCall::new(stack, handle, domain, callee, words.as_mut_ptr(), host)
        };
        let mut call = GuestCall { call, interrupt };
        // SAFETY: as above.
        let result = poll_fn(|cx| unsafe { call.poll(cx) }).await;
        drop(call);
        if is_task && ends && result.is_ok() {
            // SAFETY: as above.
            unsafe { handle.exit_task() };
        }
        self.crossed(CallHook::ReturningFromWasm, None, result.map_err(stopped))
    }
}

/// A call that may be suspended, and what ends it meanwhile.
struct GuestCall {
    call: SuspendableCall,
    /// None if the engine is not interruptible.
    interrupt: Option<InterruptTarget>,
}

impl GuestCall {
    /// Polls the call. While it is suspended, an interruption or the deadline ends it.
    ///
    /// # Safety
    ///
    /// As [`SuspendableCall::poll`].
    unsafe fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Box<Stopped>>> {
        if self.call.is_suspended() && self.is_ended(cx.waker()) {
            // SAFETY: as the caller promises.
            return Poll::Ready(Err(unsafe { self.call.stop(Trap::Interrupt) }));
        }
        // SAFETY: as the caller promises.
        let polled = unsafe { self.call.poll(cx) };
        if polled.is_pending() && self.is_ended(cx.waker()) {
            // SAFETY: as the caller promises.
            return Poll::Ready(Err(unsafe { self.call.stop(Trap::Interrupt) }));
        }
        polled
    }

    fn is_ended(&self, waker: &Waker) -> bool {
        let interrupt = self.interrupt.as_ref();
        interrupt.is_some_and(|interrupt| interrupt.is_ended(waker))
    }
}

impl Drop for GuestCall {
    fn drop(&mut self) {
        if let Some(interrupt) = &self.interrupt {
            interrupt.forget_task();
        }
    }
}
