//! Calls that have begun, as their callers hold them: their results, and their cancellation.

use super::func::set_result;
use super::outcome::Outcome;
use crate::concurrent::AsAccessor;
use crate::error::{Result, ensure, format_err};
use crate::store::QueuedCallId;
use crate::types::StoreId;
use crate::{AsContextMut, Func, TypedFunc, Val};
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A call that the event loop makes.
pub(super) struct BegunCall<R> {
    pub outcome: Arc<Outcome<R>>,
    pub store: StoreId,
    pub id: QueuedCallId,
}

/// A call that [`Func::start_call_concurrent`] has begun. See [`TypedFuncCallConcurrent`]: all that
/// is said there holds here too, but the results go to the slice that the call began with.
pub struct FuncCallConcurrent<'a, T> {
    call: BegunCall<Option<Val>>,
    results: &'a mut [Val],
    store: PhantomData<fn(T)>,
}

/// A call that [`TypedFunc::start_call_concurrent`] has begun. As a future, it is ready when the
/// call has ended, with its result; a call that was cancelled is an error there. The store has to
/// [run](crate::Store::run_concurrent) meanwhile.
///
/// The result of a call that has ended stays here until it is taken. So nothing that was done is
/// lost when the host gives up on a group of calls, by a time limit for example: keep the calls
/// outside of what is dropped, wait for them by reference, and ask each one afterwards for its
/// result ([`try_result`](Self::try_result)) or [cancel](Self::cancel) it. The result of a call
/// that is ready when it is cancelled is returned, too.
///
/// Dropping the value does not end the call. Its result is lost then, as it is if the future of
/// [`TypedFunc::call_concurrent`] or [`TypedFunc::finish_call_concurrent`] is dropped.
///
/// ```
/// # #[cfg(feature = "compiler")]
/// # fn main() -> mintage::Result<()> {
/// use mintage::{Accessor, Component, Engine, Linker, Store};
/// use std::pin::pin;
/// use std::task::{Context, Waker};
///
/// let engine = Engine::default();
/// let component = Component::new(
///     &engine,
///     r#"(component
///         (import "work" (func $work async (param "n" u32) (result u32)))
///         (core func $work (canon lower (func $work)))
///         (core func $return (canon task.return (result u32)))
///         (core module $m
///             (import "" "work" (func $work (param i32) (result i32)))
///             (import "" "return" (func $return (param i32)))
///             (func (export "run") (param i32) (result i32)
///                 (call $return (call $work (local.get 0)))
///                 (i32.const 0))
///             (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
///         (core instance $i (instantiate $m (with "" (instance
///             (export "work" (func $work)) (export "return" (func $return))))))
///         (func (export "run") async (param "n" u32) (result u32)
///             (canon lift (core func $i "run") async (callback (core func $i "callback")))))"#,
/// )?;
/// let mut linker = Linker::<()>::new(&engine);
/// linker.root().func_wrap_concurrent("work", |_: &Accessor<()>, (n,): (u32,)| {
///     Box::pin(async move {
///         if n == 0 {
///             std::future::pending::<()>().await; // It takes very long.
///         }
///         Ok((n,))
///     })
/// })?;
/// let mut store = Store::new(&engine, ());
/// let run = linker
///     .instantiate(&mut store, &component)?
///     .get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
/// let mut quick = run.start_call_concurrent(&mut store, (1,))?;
/// let mut slow = run.start_call_concurrent(&mut store, (0,))?;
/// {
///     // Wait for both, but not for long.
///     let both = store.run_concurrent(async |_| {
///         (&mut slow).await?;
///         (&mut quick).await
///     });
///     let polled = pin!(both).poll(&mut Context::from_waker(Waker::noop()));
///     assert!(polled.is_pending());
/// }
/// assert_eq!(quick.try_result().transpose()?, Some(Some((1,))));
/// assert!(slow.try_result().is_none());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "compiler"))]
/// # fn main() {}
/// ```
pub struct TypedFuncCallConcurrent<T, Params, Return> {
    call: BegunCall<Return>,
    types: PhantomData<fn(T, Params)>,
}

impl<R> BegunCall<R> {
    fn request_cancel<T: 'static>(&self, mut store: impl AsContextMut<Data = T>) -> Result<()> {
        let store = store.as_context_mut().0;
        ensure!(
            store.opaque.id == self.store,
            "the call belongs to another store"
        );
        if let Some(job) = store.cancel_call(self.id) {
            self.outcome.set(Ok(None));
            store.expose(|| drop(job));
        }
        Ok(())
    }

    async fn cancel<T: 'static>(&self, accessor: impl AsAccessor<Data = T>) -> Result<Option<R>> {
        let accessor = accessor.as_accessor();
        accessor.with(|store| self.request_cancel(store))?;
        poll_fn(|cx| self.outcome.poll(cx.waker())).await
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<R>> {
        let polled = self.outcome.poll(cx.waker());
        polled.map(|result| result?.ok_or_else(|| format_err!("the call was cancelled")))
    }
}

impl<'a, T: 'static> FuncCallConcurrent<'a, T> {
    pub(super) fn new(call: BegunCall<Option<Val>>, results: &'a mut [Val]) -> Self {
        FuncCallConcurrent {
            call,
            results,
            store: PhantomData,
        }
    }

    /// See [`TypedFuncCallConcurrent::request_cancel`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn request_cancel(&self, store: impl AsContextMut<Data = T>) -> Result<()> {
        self.call.request_cancel(store)
    }

    /// See [`TypedFuncCallConcurrent::cancel`]. Returns whether there are results.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As there.
    pub async fn cancel(self, accessor: impl AsAccessor<Data = T>) -> Result<bool> {
        let result = self.call.cancel(accessor).await?;
        let has_result = result.is_some();
        set_result(self.results, result.flatten());
        Ok(has_result)
    }

    /// See [`TypedFuncCallConcurrent::try_result`]. The value is whether there are results.
    pub fn try_result(&mut self) -> Option<Result<bool>> {
        let result = match self.call.outcome.take()? {
            Ok(result) => result,
            Err(error) => return Some(Err(error)),
        };
        let has_result = result.is_some();
        set_result(self.results, result.flatten());
        Some(Ok(has_result))
    }
}

impl<T: 'static> Future for FuncCallConcurrent<'_, T> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        let polled = this.call.poll(cx);
        polled.map_ok(|result| set_result(this.results, result))
    }
}

impl<T: 'static, Params, Return> TypedFuncCallConcurrent<T, Params, Return> {
    pub(super) fn new(call: BegunCall<Return>) -> Self {
        TypedFuncCallConcurrent {
            call,
            types: PhantomData,
        }
    }

    /// Asks for the end of the call, without waiting for it. A call that has not entered its
    /// component instance ends at once. A guest that has begun learns of the cancellation where it
    /// waits: it then ends the call without a result (`task.cancel`), or with one. A call that has
    /// ended stays as it is.
    ///
    /// Functions whose type is not `async` cannot be cancelled once they have begun.
    ///
    /// # Errors
    ///
    /// If the call belongs to another store.
    pub fn request_cancel(&self, store: impl AsContextMut<Data = T>) -> Result<()> {
        self.call.request_cancel(store)
    }

    /// Asks for the end of the call, as [`request_cancel`](Self::request_cancel) does, and waits
    /// until it has ended. Returns the result, if the call had one when it was cancelled, or the
    /// guest gives one nevertheless.
    ///
    /// # Errors
    ///
    /// As [`Func::call_concurrent`], or if the call belongs to another store.
    ///
    /// # Panics
    ///
    /// If the accessor's store does not poll the future.
    pub async fn cancel(self, accessor: impl AsAccessor<Data = T>) -> Result<Option<Return>> {
        self.call.cancel(accessor).await
    }

    /// Takes the result, if the call has ended: `Ok(None)` means that it was cancelled. Returns
    /// `None` if it has not ended, or the result was taken before. The store need not run.
    pub fn try_result(&mut self) -> Option<Result<Option<Return>>> {
        self.call.outcome.take()
    }
}

impl<T: 'static, Params, Return> Future for TypedFuncCallConcurrent<T, Params, Return> {
    type Output = Result<Return>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Return>> {
        self.call.poll(cx)
    }
}

impl Func {
    /// Waits for the result of a call.
    ///
    /// # Errors
    ///
    /// As [`call_concurrent`](Self::call_concurrent), or if the call was cancelled.
    pub async fn finish_call_concurrent<T: Send + 'static>(
        self,
        _accessor: impl AsAccessor<Data = T>,
        call: FuncCallConcurrent<'_, T>,
    ) -> Result<()> {
        call.await
    }
}

impl<Params, Return> TypedFunc<Params, Return> {
    /// Waits for the result of a call.
    ///
    /// # Errors
    ///
    /// As [`Func::call_concurrent`], or if the call was cancelled.
    pub async fn finish_call_concurrent<T: Send + 'static>(
        self,
        _accessor: impl AsAccessor<Data = T>,
        call: TypedFuncCallConcurrent<T, Params, Return>,
    ) -> Result<Return> {
        call.await
    }
}
