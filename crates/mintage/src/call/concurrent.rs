//! Host functions that go on while guests do.
//!
//! A function is polled once where the guest calls it. If it is ready, the call is like that of any
//! host function. If not, it depends on how the guest calls it:
//!
//! | call | meanwhile |
//! |---|---|
//! | by an asynchronous lower | the guest has a subtask, and goes on |
//! | synchronously, of a function of `async` type | the thread waits, and others go on |
//! | synchronously, of another function | the call waits, and no guest runs |
//!
//! In the first two cases the event loop of the store polls the function from then on.

use super::host::{DynamicType, HostFunction, ResolvedImport, lift_vals, lower_vals, typecheck};
use super::protocol::{Call, CallAbi};
use crate::abi::{
    ComponentNamedList, InstanceTypes, InterfaceType, Lift, LiftContext, LiftSource, Lower,
    LowerContext, LowerTarget,
};
use crate::concurrent::{Accessor, HostWork};
use crate::error::{Result, format_err};
use crate::store::{
    CallScope, HostCallId, HostFuncCall, HostRest, HostTaskId, Started, cannot_wait,
    concurrent_host_func, with_context, with_polled,
};
use crate::types::{ComponentFunc, StoreId};
use crate::{CallHook, Trap, Val};
use mintage_environ::FuncTypeId;
use mintage_runtime::HostFunc;
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

type LowerResult<R> = fn(&R, &mut LowerContext<'_>, InterfaceType, LowerTarget<'_>) -> Result<()>;

/// What happens to a call that is not ready.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// The guest gets a subtask.
    Subtask,
    /// The thread that called waits alone.
    Thread,
    /// The whole call waits, with all that has called it.
    Call,
    /// A task that must not wait traps.
    Trap,
    /// The guest was called by a host that does not wait.
    Refused,
}

/// A call whose parameters were lifted. It borrows the import (`I`) or keeps it.
struct HostFunctionCall<I, R> {
    import: I,
    abi: CallAbi,
    lower: LowerResult<R>,
}

/// Calls a host function, up to the point where it waits.
fn start<'a, T: 'static, P, R: 'static>(
    call: HostFuncCall<'a, T>,
    import: &Arc<ResolvedImport>,
    abi: CallAbi,
    context: Option<&mut TaskContext<'_>>,
    lift: impl FnOnce(&mut LiftContext<'_>, InterfaceType, LiftSource<'_>) -> Result<P>,
    body: impl FnOnce(Accessor<T>, P) -> HostWork<'static, R>,
    lower: LowerResult<R>,
) -> Result<Started<'a>> {
    let HostFuncCall {
        store,
        instance,
        words,
        scratch,
    } = call;
    let mut scope = CallScope::new(store, instance, import.borrows());
    let mut call = Call {
        target: &**import,
        instance,
        lends_to: scope.lends_to(),
        abi,
        words,
        scratch,
        trapped: false,
    };
    let params = call.lift_params(scope.store, lift)?;
    let (words, scratch) = (call.words, call.scratch);
    let runtime = scope.store.opaque.instances[instance].runtime.get_mut();
    let is_of_guest = scratch.is_none();
    let wait = match (is_of_guest, import.is_async(), context.is_some()) {
        (true, ..) if import.is_async_lower() => Wait::Subtask,
        (.., false) => Wait::Refused,
        (true, true, true) if runtime.can_wait() => Wait::Thread,
        (true, true, true) => Wait::Trap,
        _ => Wait::Call,
    };
    let mut future = body(Accessor::new(scope.store), params);
    let mut place = None;
    let polled = match wait {
        Wait::Subtask | Wait::Thread => {
            let tasks = scope.store.opaque.tasks.get();
            let id = *place.insert(tasks.reserve(Some(instance)));
            let waker = tasks.waker(id);
            let cx = &mut TaskContext::from_waker(&waker);
            scope.store.expose(|| future.as_mut().poll(cx))
        }
        _ => with_context(context, |cx| {
            let polled = scope.store.expose(|| future.as_mut().poll(cx));
            // The rest is polled when the task is woken, also for other futures of the host.
            if polled.is_pending() && scope.store.listen(cx.waker()) {
                cx.waker().wake_by_ref();
            }
            polled
        }),
    };
    let call = HostFunctionCall { import, abi, lower };
    let result = match (polled, wait) {
        (Poll::Ready(result), _) => result,
        (Poll::Pending, Wait::Call) => {
            return Ok(Started::Later(Box::pin(WholeCall {
                call: call.keep(),
                scope: Some(scope),
                words,
                scratch,
                future: Some(future),
            })));
        }
        (Poll::Pending, Wait::Trap) => Err(Trap::CannotBlock.into()),
        (Poll::Pending, Wait::Refused) => Err(cannot_wait()),
        (Poll::Pending, Wait::Subtask | Wait::Thread) => {
            let id = place.ok_or_else(|| format_err!("the call has no place"))?;
            return call.keep().go_on(scope, words, id, wait, future);
        }
    };
    if let Some(id) = place {
        scope.store.opaque.tasks.get().end(id);
    }
    scope.store.expose(|| drop(future));
    call.give(&mut scope, words, scratch, result)?;
    scope.exit()?;
    Ok(Started::Done)
}

impl<R: 'static> HostFunctionCall<&Arc<ResolvedImport>, R> {
    /// Keeps the import.
    fn keep(self) -> HostFunctionCall<Arc<ResolvedImport>, R> {
        HostFunctionCall {
            import: self.import.clone(),
            abi: self.abi,
            lower: self.lower,
        }
    }
}

impl<I: AsRef<ResolvedImport>, R: 'static> HostFunctionCall<I, R> {
    /// Lowers the result.
    fn give<T: 'static>(
        &self,
        scope: &mut CallScope<'_, T>,
        words: &mut [u64],
        scratch: Option<&mut Vec<u8>>,
        result: Result<R>,
    ) -> Result<()> {
        let import = self.import.as_ref();
        let result = result.map_err(|error| import.failed(error))?;
        let mut call = Call {
            target: import,
            instance: scope.instance,
            lends_to: scope.lends_to(),
            abi: self.abi,
            words,
            scratch,
            trapped: false,
        };
        call.lower_results(scope.store, |cx, ty, target| {
            (self.lower)(&result, cx, ty, target)
        })
    }
}

impl<R: 'static> HostFunctionCall<Arc<ResolvedImport>, R> {
    /// Gives a call to the event loop. Its guest gets a subtask, or waits.
    fn go_on<'a, T: 'static>(
        self,
        scope: CallScope<'a, T>,
        words: &'a mut [u64],
        id: HostTaskId,
        wait: Wait,
        future: HostWork<'static, R>,
    ) -> Result<Started<'a>> {
        let mut kept: SmallVec<[u64; 8]> = SmallVec::from_slice(words);
        let loans = scope.lends_to().map(|call| call.guest);
        let instance = &mut scope.store.opaque.instances[scope.instance];
        let runtime = instance.runtime.get_mut();
        let added = runtime.add_subtask(id.to_u64(), loans).map_err(Into::into);
        let added = added.and_then(|subtask| {
            if wait == Wait::Subtask {
                words[0] = runtime.give_subtask(subtask, self.import.domain())?.into();
            }
            Ok(subtask)
        });
        let subtask = match added {
            Ok(subtask) => subtask,
            Err(error) => {
                scope.store.opaque.tasks.get().end(id);
                scope.store.expose(|| drop(future));
                return Err(error);
            }
        };
        let lends_to = scope.lends_to().map(|call| call.host);
        let (store, parts) = scope.into_parts();
        let store_id = store.opaque.id;
        let borrows = Borrows::<T> {
            store: store_id,
            call: lends_to,
            data: PhantomData,
        };
        let work = Box::pin(async move {
            let borrows = borrows;
            let result = future.await;
            let given = with_polled::<T, _>(store_id, |store| {
                let mut scope = CallScope::from_parts(store, parts);
                self.give(&mut scope, &mut kept, None, result)?;
                scope.exit_host();
                let instance = &mut scope.store.opaque.instances[scope.instance];
                let result = kept.first().copied().unwrap_or_default();
                instance.runtime.get_mut().resolve_subtask(subtask, result);
                Ok(())
            });
            drop(borrows);
            given.unwrap_or_else(|_| Err(format_err!("the store is not polled")))
        });
        store.opaque.tasks.get().put(id, work);
        Ok(match wait {
            Wait::Subtask => Started::Done,
            _ => Started::Waits(subtask),
        })
    }
}

/// A call that waits, with all that has called it. Other futures of the host go on meanwhile.
struct WholeCall<'a, T: 'static, R> {
    call: HostFunctionCall<Arc<ResolvedImport>, R>,
    /// None when the call has ended.
    scope: Option<CallScope<'a, T>>,
    words: &'a mut [u64],
    scratch: Option<&'a mut Vec<u8>>,
    /// None when it has finished.
    future: Option<HostWork<'static, R>>,
}

// SAFETY: the rest of a host function goes to another thread only within the future of the
// asynchronous call that waits for it. That is `Send` only if `StoreInner<T>` is, which the scope
// has a reference to. The fields beside the scope are `Send`.
unsafe impl<T: 'static, R: 'static> Send for WholeCall<'_, T, R> {}

impl<T: 'static, R> Unpin for WholeCall<'_, T, R> {}

impl<T: 'static, R: 'static> Future for WholeCall<'_, T, R> {
    type Output = anyhow::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<anyhow::Result<()>> {
        let this = &mut *self;
        let Some(scope) = &mut this.scope else {
            return Poll::Pending;
        };
        let result = match scope.store.poll_alone(&mut this.future, cx) {
            Poll::Ready(result) => result,
            Poll::Pending => return Poll::Pending,
        };
        let host = this.scratch.is_none().then(|| {
            let import = this.call.import.import();
            (scope.instance, import)
        });
        let given = this
            .call
            .give(scope, this.words, this.scratch.as_deref_mut(), result);
        let given = given.and_then(|()| scope.exit());
        let given = match host {
            Some(_) => scope
                .store
                .crossed(CallHook::ReturningFromHost, host, given),
            None => given,
        };
        this.scope = None;
        Poll::Ready(Ok(given?))
    }
}

impl<T: 'static, R> Drop for WholeCall<'_, T, R> {
    fn drop(&mut self) {
        if let (Some(scope), future) = (&mut self.scope, self.future.take()) {
            scope.store.expose(|| drop(future));
        }
    }
}

/// What the host has borrowed for a call: it ends when the call does, or when it is dropped.
struct Borrows<T: 'static> {
    store: StoreId,
    call: Option<HostCallId>,
    data: PhantomData<fn(T)>,
}

impl<T: 'static> Drop for Borrows<T> {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            // Where the store is not polled, it is being dropped.
            let _ = with_polled::<T, _>(self.store, |store| store.opaque.handles.exit(call));
        }
    }
}

/// Makes a host function that goes on while guests do, for one lowered import.
fn lower_concurrent<T, F>(function: F, import: ResolvedImport) -> HostFunc
where
    T: 'static,
    F: for<'a> Fn(
            HostFuncCall<'a, T>,
            &Arc<ResolvedImport>,
            Option<&mut TaskContext<'_>>,
        ) -> Result<Started<'a>>
        + Send
        + Sync
        + 'static,
{
    let import = Arc::new(import);
    let may_suspend = !import.is_async_lower();
    concurrent_host_func(
        import.words(),
        may_suspend,
        import.import(),
        move |call, context| function(call, &import, context),
    )
}

/// The rest of a call that the host makes.
fn rest(started: Started<'_>) -> Option<HostRest<'_>> {
    match started {
        Started::Later(rest) => Some(rest),
        Started::Done | Started::Waits(_) => None,
    }
}

/// A concurrent closure over Rust types.
pub(crate) struct TypedConcurrentHost<F, P, R> {
    f: Arc<F>,
    types: PhantomData<fn(P) -> R>,
}

impl<F, P, R> TypedConcurrentHost<F, P, R> {
    /// Wraps a closure. The bound is for the inference of its type.
    pub fn new<T: 'static>(f: F) -> Self
    where
        F: Fn(&Accessor<T>, P) -> HostWork<'_, R>,
    {
        Self {
            f: Arc::new(f),
            types: PhantomData,
        }
    }

    fn call<'a, T>(
        &self,
        import: &Arc<ResolvedImport>,
        call: HostFuncCall<'a, T>,
        context: Option<&mut TaskContext<'_>>,
    ) -> Result<Started<'a>>
    where
        T: 'static,
        F: Fn(&Accessor<T>, P) -> HostWork<'_, R> + Send + Sync + 'static,
        P: ComponentNamedList + Lift + Send + 'static,
        R: ComponentNamedList + Lower + 'static,
    {
        let f = self.f.clone();
        start(
            call,
            import,
            const {
                CallAbi {
                    params: P::ABI,
                    results: R::ABI,
                }
            },
            context,
            |cx, ty, source| source.lift(cx, ty),
            |accessor, params| Box::pin(async move { f(&accessor, params).await }),
            |result, cx, ty, target| target.lower(cx, ty, result),
        )
    }
}

impl<T, F, P, R> HostFunction<T> for TypedConcurrentHost<F, P, R>
where
    T: 'static,
    F: Fn(&Accessor<T>, P) -> HostWork<'_, R> + Send + Sync + 'static,
    P: ComponentNamedList + Lift + Send + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    fn typecheck(&self, ty: FuncTypeId, types: &InstanceTypes<'_>) -> Result<()> {
        typecheck::<P, R>(ty, types, "the host function has")
    }

    fn lower(self: Arc<Self>, import: ResolvedImport) -> HostFunc {
        lower_concurrent(
            move |call, import, context| self.call(import, call, context),
            import,
        )
    }

    fn start<'a>(
        &self,
        import: &Arc<ResolvedImport>,
        call: HostFuncCall<'a, T>,
        context: Option<&mut TaskContext<'_>>,
    ) -> Result<Option<HostRest<'a>>> {
        self.call(import, call, context).map(rest)
    }
}

/// A concurrent closure over [`Val`]s.
pub(crate) struct DynamicConcurrentHost<F> {
    f: Arc<F>,
}

impl<F> DynamicConcurrentHost<F> {
    pub fn new(f: F) -> Self {
        Self { f: Arc::new(f) }
    }

    fn call<'a, T>(
        &self,
        import: &Arc<ResolvedImport>,
        call: HostFuncCall<'a, T>,
        context: Option<&mut TaskContext<'_>>,
    ) -> Result<Started<'a>>
    where
        T: 'static,
        F: for<'f> Fn(&'f Accessor<T>, ComponentFunc, &'f [Val], &'f mut [Val]) -> HostWork<'f, ()>
            + Send
            + Sync
            + 'static,
    {
        let DynamicType {
            abi,
            ty,
            mut results,
        } = import.dynamic_type();
        let f = self.f.clone();
        let body = |accessor: Accessor<T>, params: Vec<Val>| -> HostWork<'static, Val> {
            Box::pin(async move {
                f(&accessor, ty, &params, &mut results).await?;
                Ok(Val::Tuple(results))
            })
        };
        start(call, import, abi, context, lift_vals, body, lower_vals)
    }
}

impl<T, F> HostFunction<T> for DynamicConcurrentHost<F>
where
    T: 'static,
    F: for<'f> Fn(&'f Accessor<T>, ComponentFunc, &'f [Val], &'f mut [Val]) -> HostWork<'f, ()>
        + Send
        + Sync
        + 'static,
{
    fn typecheck(&self, _ty: FuncTypeId, _types: &InstanceTypes<'_>) -> Result<()> {
        Ok(())
    }

    fn lower(self: Arc<Self>, import: ResolvedImport) -> HostFunc {
        lower_concurrent(
            move |call, import, context| self.call(import, call, context),
            import,
        )
    }

    fn start<'a>(
        &self,
        import: &Arc<ResolvedImport>,
        call: HostFuncCall<'a, T>,
        context: Option<&mut TaskContext<'_>>,
    ) -> Result<Option<HostRest<'a>>> {
        self.call(import, call, context).map(rest)
    }
}
