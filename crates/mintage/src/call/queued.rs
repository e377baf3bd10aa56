//! Calls of guests that go on together: `call_concurrent`.

use super::func::{DynamicCall, Func, FuncCallee, TypedFunc, lift_result, lower_params};
use super::handle::{BegunCall, FuncCallConcurrent, TypedFuncCallConcurrent};
use super::outcome::{Outcome, Teller};
use super::protocol::{Call, CallAbi};
use crate::abi::{
    ComponentNamedList, InterfaceType, Lift, LiftContext, LiftSource, Lower, LowerContext,
    LowerTarget,
};
use crate::concurrent::AsAccessor;
use crate::error::{Error, Result, ensure};
use crate::store::{CallEnd, CallScope, LIFT_WORDS, QueuedCall, StoreInner};
use crate::{AsContextMut, Trap, Val};
use mintage_environ::LiftId;

impl Func {
    /// Calls the function. Unlike with [`call_async`](Self::call_async), other calls can go on
    /// meanwhile, also in the same instance. The store is run by
    /// [`Store::run_concurrent`](crate::Store::run_concurrent), whose closure has the accessor.
    ///
    /// The call begins when the future is polled for the first time, and then belongs to the store:
    /// if the future is dropped, the call goes on, and its result is lost. To keep it, or to cancel
    /// the call, begin by [`start_call_concurrent`](Self::start_call_concurrent).
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

    /// Begins a call as [`call_concurrent`](Self::call_concurrent) does. The value is a future
    /// with its result, and can cancel it.
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
        let call = self.start(
            store,
            abi,
            move |cx, ty, target| lower_params(&params, cx, ty, target),
            move |cx, _, source| lift_result(result, cx, source),
        )?;
        Ok(FuncCallConcurrent::new(call, results))
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
    ) -> Result<BegunCall<R>> {
        let instance = self.instance(&store.opaque)?;
        ensure!(!instance.entries.are_broken(), Trap::CannotEnterComponent);
        let outcome = Outcome::new();
        let teller = Teller::new(outcome.clone());
        let begun = |store, id| BegunCall { outcome, store, id };
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
                let id = self.instance_id();
                let id = store.queue_call(id, target, borrows, Box::new(call))?;
                return Ok(begun(store.opaque.id, id));
            }
        }
        let id = store.queue_job(Box::new(move |store| {
            Box::pin(async move {
                let called = self.call_raw_async(store, abi, lower, lift);
                teller.tell(called.await.map(Some));
            })
        }));
        Ok(begun(store.opaque.id, id))
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
        let call = self.func().start(
            store.as_context_mut().0,
            Self::ABI,
            move |cx, ty, target| target.lower(cx, ty, &params),
            |cx, ty, source| source.lift(cx, ty),
        )?;
        Ok(TypedFuncCallConcurrent::new(call))
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
        scope.clean_up(self.target, |store| call.finish(store))
    }

    fn end(mut self: Box<Self>, end: Result<CallEnd>) {
        self.teller.tell(match end {
            Ok(CallEnd::Returned) => Ok(self.result.take()),
            Ok(CallEnd::Cancelled) => Ok(None),
            Err(error) => Err(error),
        });
    }
}
