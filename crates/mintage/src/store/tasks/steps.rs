//! The steps of a call of a task by a future that has the store.

use super::{CallScope, Driver, GuestCall, LIFT_WORDS, Phase, StoreInner, StoreInstance};
use crate::error::Result;
use mintage_environ::LiftId;
use mintage_runtime::HostTask;
use std::future::poll_fn;
use std::mem;

impl<T: 'static> CallScope<'_, T> {
    /// Makes the call a task. Returns its number. `is_queued` says whether the event loop takes its
    /// steps. The result of such a call is taken where the guest gives it, as is any scalar.
    ///
    /// # Errors
    ///
    /// When there are too many tasks.
    ///
    /// # Panics
    ///
    /// When there is no such function.
    pub fn new_task(&mut self, lift: LiftId, is_queued: bool) -> Result<usize> {
        let StoreInstance {
            runtime, component, ..
        } = &self.store.opaque.instances[self.instance];
        let handle = runtime.handle();
        let takes_at_once = is_queued || component.lift(lift).returns_word;
        let scope = self.lends_to().map(|call| call.guest);
        let entry = self.store.host.concurrency.calls.vacant_entry();
        let tag = entry.key();
        // SAFETY: the instance is in the store, which is borrowed exclusively.
        let task = unsafe { HostTask::new(handle, lift, scope, tag as u64, takes_at_once) }?;
        entry.insert(GuestCall {
            task,
            handle,
            instance: self.instance,
            phase: Phase::New,
            queued: None,
            number: 0,
        });
        self.hold_task(tag);
        Ok(tag)
    }

    /// Calls `clean_up`, which runs the `post-return` of `lift`, within the task that has given its
    /// result. Does nothing for a `lift` without one.
    ///
    /// # Errors
    ///
    /// Those of `clean_up`.
    pub fn clean_up(
        &mut self,
        lift: LiftId,
        clean_up: impl FnOnce(&mut StoreInner<T>) -> Result<()>,
    ) -> Result<()> {
        let component = &self.store.opaque.instances[self.instance].component;
        if component.lift(lift).post_return.is_none() {
            return Ok(());
        }
        let GuestCall { task, handle, .. } = self.store.host.concurrency.calls[self.task()];
        // SAFETY: the instance is in the store, which is borrowed exclusively. `post-return` cannot
        // be suspended.
        unsafe { task.within(handle, || clean_up(self.store)) }
    }
}

impl<T: Send + 'static> CallScope<'_, T> {
    /// Waits until the gate of the task's component instance is open.
    ///
    /// # Errors
    ///
    /// When a guest traps meanwhile.
    pub async fn enter_task(&mut self) -> Result<()> {
        let tag = self.task();
        let call = &mut self.store.host.concurrency.calls[tag];
        // SAFETY: the instance is in the store, which is borrowed exclusively.
        if unsafe { call.task.try_enter(call.handle) } {
            call.phase = Phase::Entered;
            return Ok(());
        }
        call.phase = Phase::AtGate;
        let mut driver = Driver::new(self.store);
        poll_fn(|cx| driver.poll_call(cx, tag)).await
    }

    /// Runs a task that has entered, until it has its result, which replaces the arguments.
    ///
    /// # Errors
    ///
    /// When a guest traps, or nothing can go on any more.
    pub async fn run_task(&mut self, words: &mut [u64; LIFT_WORDS]) -> Result<()> {
        let tag = self.task();
        let call = &mut self.store.host.concurrency.calls[tag];
        let (id, task, handle) = (call.instance, call.task, call.handle);
        call.phase = Phase::Running;
        let mut begun = false;
        let mut driver = Driver::new(self.store);
        poll_fn(|cx| {
            if !mem::replace(&mut begun, true) {
                // SAFETY: the words are the function's arguments. On the rest see `Driver::turn`.
                driver.run(id, |handle, host| unsafe {
                    task.begin(handle, &words[..], cx, host)
                });
            }
            driver.poll_call(cx, tag)
        })
        .await?;
        drop(driver);
        if let Phase::Taken(word) = self.store.host.concurrency.calls[tag].phase {
            words[0] = word;
            return Ok(());
        }
        // SAFETY: the instance is in the store, which is borrowed exclusively.
        let result = unsafe { task.words(handle) };
        words.copy_from_slice(&result[..LIFT_WORDS]);
        Ok(())
    }

    /// Lets a task go on, whose result was taken, until it waits or ends.
    ///
    /// # Errors
    ///
    /// When the guest traps.
    pub async fn finish_task(&mut self) -> Result<()> {
        let tag = self.task();
        let call = &self.store.host.concurrency.calls[tag];
        if let Phase::Taken(_) = call.phase {
            // It has gone on already.
            return Ok(());
        }
        let (id, task) = (call.instance, call.task);
        let mut finished = false;
        let mut driver = Driver::new(self.store);
        poll_fn(|cx| {
            if !mem::replace(&mut finished, true) {
                // SAFETY: as in `Driver::turn`.
                driver.run(id, |handle, host| unsafe { task.finish(handle, cx, host) });
            }
            driver.poll_call(cx, tag)
        })
        .await
    }
}
