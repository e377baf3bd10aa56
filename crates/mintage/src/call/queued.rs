//! Calls of guests that go on together: `call_concurrent`.

use super::func::{
    DynamicCall, Func, FuncCallee, TypedFunc, lift_result, lower_params, set_result,
};
use super::protocol::{Call, CallAbi};
use crate::abi::{
    ComponentNamedList, InterfaceType, Lift, LiftContext, LiftSource, Lower, LowerContext,
    LowerTarget,
};
use crate::concurrent::AsAccessor;
use crate::error::{Error, Result, ensure};
use crate::store::{CallScope, LIFT_WORDS, QueuedCall, StoreInner};
use crate::{AsContextMut, Trap, Val};
use mintage_environ::LiftId;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// A call that [`Func::start_call_concurrent`] has begun, for [`Func::finish_call_concurrent`].
/// Dropping it does not end the call.
pub struct FuncCallConcurrent<'a, T> {
    outcome: Arc<Outcome<Option<Val>>>,
    results: &'a mut [Val],
    store: PhantomData<fn(T)>,
}

/// A call that [`TypedFunc::start_call_concurrent`] has begun, for
/// [`TypedFunc::finish_call_concurrent`]. Dropping it does not end the call.
pub struct TypedFuncCallConcurrent<T, Params, Return> {
    outcome: Arc<Outcome<Return>>,
    types: PhantomData<fn(T, Params)>,
}

/// The place of a call's result, which the event loop and the caller share.
struct Outcome<R>(Mutex<Ended<R>>);

enum Ended<R> {
    /// Not yet. The waker is the caller's, if that waits.
    Not(Option<Waker>),
    With(Result<R>),
    Taken,
}

impl<R> Outcome<R> {
    fn new() -> Arc<Self> {
        Arc::new(Outcome(Mutex::new(Ended::Not(None))))
    }

    fn ended(&self) -> MutexGuard<'_, Ended<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the result. The waker that this replaces is the second part, since dropping one is
    /// code of the host.
    fn take(&self, waker: Waker) -> (Poll<Result<R>>, Option<Waker>) {
        let mut ended = self.ended();
        match mem::replace(&mut *ended, Ended::Taken) {
            Ended::With(result) => (Poll::Ready(result), Some(waker)),
            Ended::Not(old) => {
                *ended = Ended::Not(Some(waker));
                (Poll::Pending, old)
            }
            // Its future has finished.
            Ended::Taken => (Poll::Pending, Some(waker)),
        }
    }

    async fn wait(&self) -> Result<R> {
        poll_fn(|cx| self.take(cx.waker().clone()).0).await
    }
}

/// The event loop's side of an [`Outcome`]. The caller gets an error if it is dropped.
struct Teller<R>(Option<Arc<Outcome<R>>>);

impl<R> Teller<R> {
    fn tell(mut self, result: Result<R>) {
        self.set(result);
    }

    fn set(&mut self, result: Result<R>) {
        let Some(outcome) = self.0.take() else { return };
        let before = mem::replace(&mut *outcome.ended(), Ended::With(result));
        if let Ended::Not(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl<R> Drop for Teller<R> {
    fn drop(&mut self) {
        self.set(Err(Trap::CannotEnterComponent.into()));
    }
}

impl Func {
    /// Calls the function. Unlike with [`call_async`](Self::call_async), other calls can go on
    /// meanwhile, also in the same instance. The store is run by
    /// [`Store::run_concurrent`](crate::Store::run_concurrent), whose closure has the accessor.
    ///
    /// The call begins when the future is polled for the first time, and then belongs to the store:
    /// if the future is dropped, the call goes on, and its result is lost.
    ///
    /// A function whose type is not `async` has the store to itself while it runs.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call). If a guest traps, all calls under way in its instance fail.
    ///
    /// # Panics
    ///
    /// If the accessor's store does not poll the future.
    pub async fn call_concurrent(
        self,
        accessor: impl AsAccessor<Data: Send>,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let accessor = accessor.as_accessor();
        let call = accessor.with(|store| self.start_call_concurrent(store, params, results))?;
        self.finish_call_concurrent(accessor, call).await
    }

    /// Begins a call as [`call_concurrent`](Self::call_concurrent) does. The result is that of
    /// [`finish_call_concurrent`](Self::finish_call_concurrent).
    ///
    /// # Errors
    ///
    /// If the number of parameters or results is wrong, or the instance cannot be entered.
    pub fn start_call_concurrent<'a, T: Send + 'static>(
        self,
        mut store: impl AsContextMut<Data = T>,
        params: &'a [Val],
        results: &'a mut [Val],
    ) -> Result<FuncCallConcurrent<'a, T>> {
        let store = store.as_context_mut().0;
        let DynamicCall { abi, result } = self.check_dynamic(&store.opaque, params, results)?;
        let params = params.to_vec();
        let outcome = self.start(
            store,
            abi,
            move |cx, ty, target| lower_params(&params, cx, ty, target),
            move |cx, _, source| lift_result(result, cx, source),
        )?;
        Ok(FuncCallConcurrent {
            outcome,
            results,
            store: PhantomData,
        })
    }

    /// Waits for the result of a call.
    ///
    /// # Errors
    ///
    /// As [`call_concurrent`](Self::call_concurrent).
    pub async fn finish_call_concurrent<T: Send + 'static>(
        self,
        _accessor: impl AsAccessor<Data = T>,
        call: FuncCallConcurrent<'_, T>,
    ) -> Result<()> {
        set_result(call.results, call.outcome.wait().await?);
        Ok(())
    }

    /// Begins a call.
    fn start<T: Send + 'static, R: Send + 'static>(
        self,
        store: &mut StoreInner<T>,
        abi: CallAbi,
        lower: impl FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>
        + Send
        + 'static,
        lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R>
        + Send
        + 'static,
    ) -> Result<Arc<Outcome<R>>> {
        let instance = self.instance(&store.opaque)?;
        ensure!(!instance.entries.are_broken(), Trap::CannotEnterComponent);
        let outcome = Outcome::new();
        let teller = Teller(Some(outcome.clone()));
        if let FuncCallee::Lift(target) = self.callee() {
            let resolved = instance.component.lift(target);
            if resolved.is_task {
                let borrows = resolved.boundary.borrows;
                let call = TaskCall {
                    target,
                    abi,
                    lower: Some(lower),
                    lift: Some(lift),
                    result: None,
                    teller,
                };
                store.queue_call(self.instance_id(), target, borrows, Box::new(call))?;
                return Ok(outcome);
            }
        }
        store.queue_job(Box::new(move |store| {
            Box::pin(async move {
                let called = self.call_raw_async(store, abi, lower, lift);
                teller.tell(called.await);
            })
        }));
        Ok(outcome)
    }
}

impl<Params, Return> TypedFunc<Params, Return>
where
    Params: ComponentNamedList + Lower + Send + 'static,
    Return: ComponentNamedList + Lift + Send + 'static,
{
    /// Calls the function as [`Func::call_concurrent`] does.
    ///
    /// # Errors
    ///
    /// As [`Func::call_concurrent`].
    ///
    /// # Panics
    ///
    /// As [`Func::call_concurrent`].
    pub async fn call_concurrent(
        self,
        accessor: impl AsAccessor<Data: Send>,
        params: Params,
    ) -> Result<Return> {
        let accessor = accessor.as_accessor();
        let call = accessor.with(|store| self.start_call_concurrent(store, params))?;
        self.finish_call_concurrent(accessor, call).await
    }

    /// Begins a call as [`Func::start_call_concurrent`] does.
    ///
    /// # Errors
    ///
    /// As [`Func::start_call_concurrent`].
    pub fn start_call_concurrent<T: Send + 'static>(
        self,
        mut store: impl AsContextMut<Data = T>,
        params: Params,
    ) -> Result<TypedFuncCallConcurrent<T, Params, Return>> {
        let outcome = self.func().start(
            store.as_context_mut().0,
            const {
                CallAbi {
                    params: Params::ABI,
                    results: Return::ABI,
                }
            },
            move |cx, ty, target| target.lower(cx, ty, &params),
            |cx, ty, source| source.lift(cx, ty),
        )?;
        Ok(TypedFuncCallConcurrent {
            outcome,
            types: PhantomData,
        })
    }

    /// Waits for the result of a call.
    ///
    /// # Errors
    ///
    /// As [`Func::call_concurrent`].
    pub async fn finish_call_concurrent<T: Send + 'static>(
        self,
        _accessor: impl AsAccessor<Data = T>,
        call: TypedFuncCallConcurrent<T, Params, Return>,
    ) -> Result<Return> {
        call.outcome.wait().await
    }
}

/// A call of a function whose type is `async`.
struct TaskCall<L, F, R> {
    target: LiftId,
    abi: CallAbi,
    /// Both none when they have been used.
    lower: Option<L>,
    lift: Option<F>,
    result: Option<R>,
    teller: Teller<R>,
}

impl<L, F, R> TaskCall<L, F, R> {
    fn call<'w, T: 'static>(
        &self,
        scope: &CallScope<'_, T>,
        words: &'w mut [u64; LIFT_WORDS],
    ) -> Call<'w, LiftId> {
        Call {
            target: self.target,
            instance: scope.instance,
            lends_to: scope.lends_to(),
            abi: self.abi,
            words,
            scratch: None,
            trapped: false,
        }
    }
}

impl<T, L, F, R> QueuedCall<T> for TaskCall<L, F, R>
where
    T: 'static,
    L: FnOnce(&mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()> + Send,
    F: FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<R> + Send,
    R: Send,
{
    fn lower(
        &mut self,
        scope: &mut CallScope<'_, T>,
        words: &mut [u64; LIFT_WORDS],
    ) -> Result<(), (Error, bool)> {
        let lower = self.lower.take().expect("parameters are lowered once");
        let mut call = self.call(scope, words);
        let lowered = call.lower_params(scope.store, lower);
        lowered.map_err(|error| (error, call.trapped))
    }

    fn lift(&mut self, scope: &mut CallScope<'_, T>, words: &mut [u64; LIFT_WORDS]) -> Result<()> {
        let lift = self.lift.take().expect("the result is lifted once");
        let mut call = self.call(scope, words);
        self.result = Some(call.lift_results(scope.store, lift)?);
        scope.exit()?;
        call.finish(scope.store)
    }

    fn end(mut self: Box<Self>, result: Result<()>) {
        let result = result.and_then(|()| {
            let result = self.result.take();
            result.ok_or_else(|| Trap::CannotEnterComponent.into())
        });
        self.teller.tell(result);
    }
}
