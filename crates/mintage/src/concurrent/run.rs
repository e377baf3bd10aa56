//! The event loop, as the host enters it.

use super::{Accessor, AccessorTask, JoinHandle, spawn};
use crate::error::Result;
use crate::store::Running;
use crate::{AsContextMut, Store, StoreContextMut};

impl<T: 'static> Store<T> {
    /// Runs the store, with all calls and tasks in it, until `fun` has finished. `fun` gets an
    /// [`Accessor`], with which it can call guests
    /// ([`call_concurrent`](crate::TypedFunc::call_concurrent)) and [spawn](Accessor::spawn) tasks.
    ///
    /// Any executor can poll the future. What has not ended when `fun` has, stays in the store, and
    /// goes on when the store runs again: by this function, or by an asynchronous call. The same
    /// holds if the future is dropped. If a host function has the whole store just then
    /// ([`func_wrap_async`](crate::LinkerInstance::func_wrap_async)), its guest's instance ends.
    ///
    /// While a host function has the whole store, `fun` is not polled.
    ///
    /// # Errors
    ///
    /// - If a task of the host fails, or a guest does that no call is waiting for.
    /// - [`Trap::Interrupt`](crate::Trap::Interrupt) if the deadline passes while nothing can go
    ///   on. Instances with calls under way end.
    ///
    /// # Panics
    ///
    /// If `fun`, a task or a host function panics.
    pub async fn run_concurrent<R>(&mut self, fun: impl AsyncFnOnce(&Accessor<T>) -> R) -> Result<R>
    where
        T: Send,
    {
        self.as_context_mut().run_concurrent(fun).await
    }

    /// Adds a task that runs in the background whenever the store runs; see [`Accessor::spawn`].
    ///
    /// # Errors
    ///
    /// Never at present.
    pub fn spawn(&mut self, task: impl AccessorTask<T>) -> Result<JoinHandle> {
        self.as_context_mut().spawn(task)
    }
}

impl<T: 'static> StoreContextMut<'_, T> {
    /// See [`Store::run_concurrent`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As there.
    pub async fn run_concurrent<R>(self, fun: impl AsyncFnOnce(&Accessor<T>) -> R) -> Result<R>
    where
        T: Send,
    {
        let accessor = Accessor::new(self.0);
        Running::new(self.0, fun(&accessor)).run().await
    }

    /// See [`Store::spawn`].
    ///
    /// # Errors
    ///
    /// Never at present.
    pub fn spawn(self, task: impl AccessorTask<T>) -> Result<JoinHandle> {
        spawn::spawn(self.0, |data| data, task)
    }
}
