//! Entry into guests, and the way back from a guest to its store.
//!
//! Aliasing: while a guest runs, its store is reachable only through the raw pointer that was made
//! from the caller's exclusive reference and handed to the runtime. The caller does not touch its
//! reference until the call is over. A host function that the guest calls makes a new exclusive
//! reference from the pointer and drops it before it returns.

use super::check_in::CheckedIn;
use super::growth::{Answer, GrowthLimiter, MayGrow};
use super::hook::CallHook;
use super::instance::InstanceCell;
use super::tasks::HostTaskId;
use super::waiting::{HostRest, poll_once};
use super::{Destructor, StoreContextMut, StoreInner, StoreInstance};
use crate::Trap;
use crate::component::ResolvedLift;
use crate::error::{Result, ensure, stopped};
use crate::types::StoreInstanceId;
use mintage_environ::component::{CoreCallee, Initializer};
use mintage_environ::{DomainId, ImportId, Index, LiftId};
use mintage_runtime::{
    Callee, Growing, Growth, HostAccess, HostCall, HostFunc, HostFuture, HostHooks, HostOutcome,
    HostSubtask, HostTable, Image, LaterPermit, Limiter, Limits, Permit, StoreState, StoreWords,
    Verdict,
};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Context;

/// Number of words in an argument array that fits every lifted function: at most 16 flat
/// parameters, and one result.
pub(crate) const LIFT_WORDS: usize = 16;

impl<T> StoreInner<T> {
    /// Returns the access of a guest that may call out.
    #[inline]
    fn host_access(&mut self) -> HostAccess {
        HostAccess::Functions(NonNull::from(self).cast())
    }

    /// Makes the run-time part of an instance.
    ///
    /// # Errors
    ///
    /// When a limit is reached or the system gives no address space.
    pub(super) fn new_instance(
        &mut self,
        id: StoreInstanceId,
        image: &Arc<Image>,
        imports: &Arc<HostTable>,
        limits: Limits,
        words: StoreWords,
    ) -> Result<mintage_runtime::Instance>
    where
        T: 'static,
    {
        let (tag, current) = (u64::from(id.as_u32()), self.opaque.current.get());
        let state = StoreState {
            words,
            current,
            check_in: Some(check_in::<T>),
            hooks: Some(HostHooks {
                cancel: cancel_host::<T>,
                pauses: pauses::<T>,
                result: take_result::<T>,
                peer: drive_stream::<T>,
            }),
            schedule_seed: self.opaque.schedule_seed,
        };
        // SAFETY: what is current in the store stays where it is until the store is dropped, and
        // with it its instances.
        let instance = unsafe { mintage_runtime::instantiate(image, imports, limits, tag, state) };
        Ok(instance?)
    }

    /// Runs the start functions of a new instance and copies what they may have to precede.
    ///
    /// # Errors
    ///
    /// When a start function does not return.
    ///
    /// # Panics
    ///
    /// When there is no such instance.
    pub(super) fn run_initializers(&mut self, instance: StoreInstanceId) -> Result<()>
    where
        T: 'static,
    {
        let StoreInstance {
            runtime, component, ..
        } = &self.opaque.instances[instance];
        let handle = runtime.handle();
        let initializers = &component.interface().initializers;
        let starts = initializers
            .iter()
            .any(|initializer| matches!(initializer, Initializer::Start { .. }));
        if starts {
            self.cross(CallHook::CallingWasm, None)?;
        }
        debug_assert!(self.opaque.instances[instance].entries.are_under_way());
        // SAFETY: the instance is in the store, which does not remove it while a scope has entered
        // it, as that of `instantiate` has, and the store is borrowed exclusively. The instance's
        // host functions were made by `host_func` for a linker of the same `T`, which
        // `InstancePre<T>` and the type of `self` tie together, and expect the store's pointer. No
        // other reference to the store or into the instance's memories is used until the call is
        // over.
        let result = unsafe { mintage_runtime::run_initializers(handle, self.host_access()) };
        match starts {
            true => self.crossed(CallHook::ReturningFromWasm, None, result.map_err(stopped)),
            false => result.map_err(stopped),
        }
    }

    /// Calls the core function of a lift.
    ///
    /// # Errors
    ///
    /// When the guest does not return.
    ///
    /// # Panics
    ///
    /// When there is no such instance or lift.
    #[inline(always)]
    pub fn call_lift(
        &mut self,
        instance: StoreInstanceId,
        lift: LiftId,
        words: &mut [u64; LIFT_WORDS],
    ) -> Result<()> {
        self.cross(CallHook::CallingWasm, None)?;
        let StoreInstance {
            runtime, component, ..
        } = &self.opaque.instances[instance];
        let lift = component.lift(lift);
        let (handle, domain, callee) = (runtime.handle(), lift.boundary.guest.domain, lift.callee);
        // The task goes on in `post-return`.
        let has_post_return = lift.post_return.is_some();
        // SAFETY: the instance is in the store, which is borrowed exclusively.
        let task = lift
            .boundary
            .guest
            .is_concurrent
            .then(|| unsafe { handle.enter_task(domain) });
        let is_task = match task.transpose() {
            Ok(is_task) => is_task.unwrap_or(false),
            Err(trap) => {
                return self.crossed(CallHook::ReturningFromWasm, None, Err(trap.into()));
            }
        };
        debug_assert!(self.opaque.instances[instance].entries.are_under_way());
        // SAFETY: the instance is in the store, which is borrowed exclusively, and does not remove
        // it while a scope has entered it, as that of the call has. `callee` is the lift's core
        // function in the instance's own code, and its canonical options name its domain. A lifted
        // function has at most 16 parameters and one result, none of them a vector; the caller
        // lowered values of the lift's type. On host functions and references see
        // `run_initializers`.
        let result = unsafe {
            mintage_runtime::call(
                handle,
                domain,
                &callee,
                words.as_mut_ptr(),
                self.host_access(),
            )
        };
        if is_task && !has_post_return && result.is_ok() {
            // SAFETY: as above.
            unsafe { handle.exit_task() };
        }
        self.crossed(CallHook::ReturningFromWasm, None, result.map_err(stopped))
    }

    /// Calls any core function of an instance that is not active, or has just been made so.
    ///
    /// # Errors
    ///
    /// When the artifact has no code for the function, it traps, or there are too few words.
    ///
    /// # Panics
    ///
    /// When there is no such instance.
    pub fn call_core(
        &mut self,
        instance: StoreInstanceId,
        domain: DomainId,
        callee: CoreCallee,
        words: &mut [u64],
    ) -> Result<()> {
        let StoreInstance {
            runtime, component, ..
        } = &self.opaque.instances[instance];
        let signature = &component.interface().signatures[callee.sig];
        ensure!(
            words.len() >= signature.array_words(),
            "too few words for a function of type {signature}"
        );
        let callee = component.code().callee(callee)?;
        let handle = runtime.handle();
        self.cross(CallHook::CallingWasm, None)?;
        // SAFETY: as in `call_lift`.
        let is_task = match unsafe { handle.enter_task(domain) } {
            Ok(is_task) => is_task,
            Err(trap) => {
                return self.crossed(CallHook::ReturningFromWasm, None, Err(trap.into()));
            }
        };
        debug_assert!(self.opaque.instances[instance].entries.are_under_way());
        // SAFETY: as in `call_lift`; the words are enough for the signature, and the caller
        // converted values of its types.
        let result = unsafe {
            mintage_runtime::call(
                handle,
                domain,
                &callee,
                words.as_mut_ptr(),
                self.host_access(),
            )
        };
        if is_task && result.is_ok() {
            // SAFETY: as above.
            unsafe { handle.exit_task() };
        }
        self.crossed(CallHook::ReturningFromWasm, None, result.map_err(stopped))
    }

    /// Calls the `post-return` function of a lift, if it has one, with the flat results of the
    /// call before. The guest cannot call out meanwhile (`may_leave`).
    ///
    /// # Errors
    ///
    /// When the guest does not return.
    ///
    /// # Panics
    ///
    /// When there is no such instance or lift.
    #[inline]
    pub fn post_return(
        &mut self,
        instance: StoreInstanceId,
        lift: LiftId,
        words: &mut [u64; LIFT_WORDS],
    ) -> Result<()> {
        let StoreInstance {
            runtime, component, ..
        } = &mut self.opaque.instances[instance];
        let lift = component.lift(lift);
        match &lift.post_return {
            Some(callee) => call_post_return(runtime, lift, callee, words, &mut self.host),
            None => Ok(()),
        }
    }
}

/// Calls the `post-return` function of a lift, which is `callee`.
fn call_post_return(
    runtime: &mut InstanceCell,
    lift: &ResolvedLift,
    callee: &Callee,
    words: &mut [u64; LIFT_WORDS],
    mut limiter: &mut dyn GrowthLimiter,
) -> Result<()> {
    let handle = runtime.handle();
    // SAFETY: the instance is borrowed exclusively. `callee` is of its own code; validation gave it
    // the flat results of the lift, of which there is at most one, as parameters. A host function
    // that it calls sees that this is not a pointer to a store.
    let result = unsafe {
        mintage_runtime::call_confined(
            handle,
            lift.boundary.guest.domain,
            callee,
            words.as_mut_ptr(),
            limiter_access(&mut limiter),
        )
    };
    result.map_err(stopped)?;
    if lift.boundary.guest.is_concurrent && !lift.is_task {
        // SAFETY: as above.
        unsafe { handle.exit_task() };
    }
    Ok(())
}

/// Returns the access of a guest that must not call out, but may grow. The result is valid as
/// long as `limiter` is.
#[inline]
pub(crate) fn limiter_access(limiter: &mut &mut dyn GrowthLimiter) -> HostAccess {
    HostAccess::Limiter(NonNull::from(limiter).cast())
}

/// Returns the limiter that a guest in a store of `T` reaches; none if no guest runs.
///
/// # Safety
///
/// `host` was made by `host_access` of a store of `T` or by `limiter_access`, and what it was made
/// from is used by no one else as long as the result lives.
unsafe fn limiter<'a, T: 'static>(host: HostAccess) -> Option<&'a mut dyn GrowthLimiter> {
    match host {
        HostAccess::Nothing => None,
        // SAFETY: as the caller promises: it was made from a reference of this type.
        HostAccess::Limiter(limiter) => unsafe {
            Some(&mut **limiter.cast::<&mut dyn GrowthLimiter>().as_ptr())
        },
        // SAFETY: likewise. The call is under way.
        HostAccess::Functions(_) | HostAccess::Suspending(_) => unsafe {
            let store = host.functions()?;
            Some(&mut (*store.cast::<StoreInner<T>>().as_ptr()).host)
        },
        // SAFETY: likewise. It was made from the access of such a call.
        HostAccess::Confined(store) => unsafe {
            Some(&mut (*store.cast::<StoreInner<T>>().as_ptr()).host)
        },
    }
}

/// Asks the limiter of a store of `T` whether something of a guest may grow.
///
/// # Safety
///
/// As [`limiter`]. Machine code has left for this call. It goes on after this and after the answer,
/// if that comes later: until then, no one else uses the store.
unsafe fn growing<T: 'static>(host: HostAccess, growth: &Growth) -> anyhow::Result<Permit> {
    // SAFETY: as the caller promises.
    let Some(limiter) = (unsafe { limiter::<T>(host) }) else {
        return Ok(Permit::Refused);
    };
    let can_wait = matches!(host, HostAccess::Suspending(_));
    let allowed = match (limiter.growing(growth)?, growth.what) {
        (MayGrow::Later(answer), Growing::Memory(_) | Growing::Table(_)) if can_wait => {
            let answer: Answer<'_> = answer;
            let answer = Box::pin(async move { Ok(answer.await?) });
            // SAFETY: the runtime drops the answer before the call of the guest is over or dropped.
            // Until then the store, whose data the limiter is in, is borrowed for that call, and no
            // one else uses it (`SuspendableCall::new`).
            return Ok(Permit::Later(unsafe {
                std::mem::transmute::<LaterPermitOf<'_>, LaterPermit>(answer)
            }));
        }
        (answer, _) => answer.now()?,
    };
    Ok(match allowed {
        true => Permit::Granted,
        false => Permit::Refused,
    })
}

/// The future of an answer that borrows from the store.
type LaterPermitOf<'a> = Pin<Box<dyn Future<Output = anyhow::Result<bool>> + Send + 'a>>;

/// Tells the limiter of a store of `T` that the system refused growth.
///
/// # Safety
///
/// As [`growing`].
unsafe fn growth_failed<T: 'static>(
    host: HostAccess,
    growth: &Growth,
    error: anyhow::Error,
) -> anyhow::Result<()> {
    // SAFETY: as the caller promises.
    match unsafe { limiter::<T>(host) } {
        Some(limiter) => Ok(limiter.failed(growth, error.into())?),
        None => Ok(()),
    }
}

/// Decides whether a guest in a store of `T` goes on. A guest that may call out waits as it does
/// for a host function. Others, such as `realloc`, run while values are converted, when no one else
/// may have the store.
///
/// # Safety
///
/// As [`growing`].
unsafe fn check_in<T: 'static>(host: HostAccess) -> anyhow::Result<Verdict> {
    // SAFETY: the call is under way.
    let Some(store) = (unsafe { host.functions() }) else {
        // SAFETY: as the caller promises.
        return Ok(match unsafe { limiter::<T>(host) } {
            Some(limits) => limits.check_in(),
            None => Verdict::Trap(Trap::Interrupt),
        });
    };
    let mut store = store.cast::<StoreInner<T>>();
    // SAFETY: as the caller promises: it was made from an exclusive reference to a store of `T`,
    // which no one uses until the guest goes on.
    let decision = unsafe { store.as_mut() }.check_in()?;
    let CheckedIn::Yield(until) = decision else {
        return Ok(decision.verdict());
    };
    if !matches!(host, HostAccess::Suspending(_)) {
        return Err(until.cannot_yield().into());
    }
    let store = YieldingStore(store);
    Ok(Verdict::Wait(Box::pin(async move {
        let store = store;
        let resumed = until.wait().await;
        let YieldingStore(mut store) = store;
        // SAFETY: the runtime drops this before the call of the guest ends, and lets the guest go
        // on only when it has finished.
        Ok(unsafe { store.as_mut() }.resume(resumed)?)
    })))
}

/// The store of a guest that yields.
struct YieldingStore<T: 'static>(NonNull<StoreInner<T>>);

// SAFETY: it goes to another thread only within the future of the asynchronous call that is
// suspended. That is `Send` only if `StoreInner<T>` is, which it has a reference to.
unsafe impl<T: 'static> Send for YieldingStore<T> {}

/// Ends the host function of a subtask.
///
/// # Safety
///
/// `host` was made by `host_access` of a store of `T`, which no one else uses.
unsafe fn cancel_host<T: 'static>(host: NonNull<()>, number: u64) {
    // SAFETY: as the caller promises.
    let store = unsafe { host.cast::<StoreInner<T>>().as_mut() };
    store.cancel_host_task(HostTaskId::from_u64(number));
}

/// Returns whether guests of a store of `T` may be suspended wherever they are.
///
/// # Safety
///
/// As [`cancel_host`].
unsafe fn pauses<T: 'static>(host: NonNull<()>) -> bool {
    // SAFETY: as the caller promises.
    unsafe { host.cast::<StoreInner<T>>().as_ref() }.pauses()
}

/// Takes the result of a call of a guest.
///
/// # Safety
///
/// As [`cancel_host`].
unsafe fn take_result<T: 'static>(
    host: NonNull<()>,
    tag: u64,
    words: &[u64],
) -> anyhow::Result<()> {
    // SAFETY: as the caller promises.
    let store = unsafe { host.cast::<StoreInner<T>>().as_mut() };
    Ok(store.take_result(tag as usize, words)?)
}

/// Lets a stream or future go on whose guest has done something.
///
/// # Safety
///
/// As [`cancel_host`].
unsafe fn drive_stream<T: 'static>(host: NonNull<()>, tag: u64, number: u64) -> anyhow::Result<()> {
    // SAFETY: as the caller promises.
    let store = unsafe { host.cast::<StoreInner<T>>().as_mut() };
    let drive = store.host.concurrency.drive_stream;
    match drive.map_or(Ok(()), |drive| drive(store, number)) {
        Err((id, error)) if u64::from(id.as_u32()) == tag => Err(error.into()),
        Err(failed) => {
            store.fail_later(failed);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Returns the functions by which the runtime asks the limiter of a store of `T`.
pub(super) fn limiter_functions<T: 'static>() -> Limiter {
    Limiter {
        growing: growing::<T>,
        failed: growth_failed::<T>,
    }
}

/// A call of a host function: by a guest, or by the host for a guest's re-export.
pub(crate) struct HostFuncCall<'a, T: 'static> {
    pub store: &'a mut StoreInner<T>,
    /// The instance that imports the function.
    pub instance: StoreInstanceId,
    /// The argument words, which the results replace.
    pub words: &'a mut [u64],
    /// The memory that words point into, if the host is the caller.
    pub scratch: Option<&'a mut Vec<u8>>,
}

/// Wraps the destructor of a resource type of the host, which guests call when they drop one.
pub(crate) fn host_destructor<T: 'static>(destructor: &Destructor<T>) -> HostFunc {
    match destructor.clone() {
        Destructor::Sync(destructor) => host_func(1, None, move |call: HostFuncCall<'_, T>| {
            destructor(StoreContextMut(call.store), call.words[0] as u32)
        }),
        Destructor::Async(destructor) => async_host_func(1, move |call, context| {
            let future = destructor(StoreContextMut(call.store), call.words[0] as u32);
            poll_once(future, context)
        }),
    }
}

/// Wraps a host function for guests in stores of host data `T`. `import` is what it was imported
/// as.
///
/// The result may only be linked to instances that are made in stores of `T`, which
/// [`InstancePre`](crate::InstancePre) ensures. A guest that must not call out (`may_leave`) traps.
pub(crate) fn host_func<T: 'static>(
    words: usize,
    import: Option<ImportId>,
    f: impl Fn(HostFuncCall<'_, T>) -> Result<()> + Send + Sync + 'static,
) -> HostFunc {
    HostFunc::new(words, move |call: HostCall<'_>| {
        // SAFETY: the function is linked to instances in stores of `T` only, by the rule above.
        let (pointer, call) = unsafe { host_func_call(call)? };
        let host = import.map(|import| (call.instance, import));
        call.store.cross(CallHook::CallingHost, host)?;
        let result = f(call);
        // SAFETY: as in `host_func_call`; the function has given back its reference.
        let store = unsafe { &mut *pointer.as_ptr() };
        Ok(store.crossed(CallHook::ReturningFromHost, host, result)?)
    })
}

/// Wraps a host function as [`host_func`] does, one that may wait. It returns the rest of its work,
/// and only if it got a context.
pub(crate) fn async_host_func<T, F>(words: usize, f: F) -> HostFunc
where
    T: 'static,
    F: for<'a> Fn(HostFuncCall<'a, T>, Option<&mut Context<'_>>) -> Result<Option<HostRest<'a>>>
        + Send
        + Sync
        + 'static,
{
    HostFunc::new_async(words, true, move |call, context| {
        // SAFETY: the function is linked to instances in stores of `T` only, by the rule of
        // `host_func`.
        let (_, call) = unsafe { host_func_call(call)? };
        let rest = f(call, context)?;
        let Some(rest) = rest else {
            return Ok(HostOutcome::Done);
        };
        // SAFETY: the runtime drops the rest before the call of the guest ends. Until then the
        // store is borrowed for that call, and the words stay in place.
        let rest = unsafe { std::mem::transmute::<HostRest<'_>, HostFuture>(rest) };
        Ok(HostOutcome::Later(rest))
    })
}

/// How far a host function has come that goes on while guests do.
pub(crate) enum Started<'a> {
    /// It has returned, or its guest knows that it has not.
    Done,
    /// It has not, and the guest that called it has to wait, with all that has called that.
    Later(HostRest<'a>),
    /// It has not, and the thread that has called it waits for this.
    Waits(HostSubtask),
}

/// Wraps a host function as [`host_func`] does, one that may go on while guests do. `may_suspend`
/// says whether its guest ever waits for it.
pub(crate) fn concurrent_host_func<T, F>(
    words: usize,
    may_suspend: bool,
    import: ImportId,
    f: F,
) -> HostFunc
where
    T: 'static,
    F: for<'a> Fn(HostFuncCall<'a, T>, Option<&mut Context<'_>>) -> Result<Started<'a>>
        + Send
        + Sync
        + 'static,
{
    HostFunc::new_async(words, may_suspend, move |call, context| {
        let handle = call.instance;
        let array = match &mut *call.words {
            [] => std::ptr::null_mut(),
            words => words.as_mut_ptr(),
        };
        // SAFETY: as in `async_host_func`.
        let (pointer, call) = unsafe { host_func_call(call)? };
        let host = Some((call.instance, import));
        call.store.cross(CallHook::CallingHost, host)?;
        let started = f(call, context);
        if let Ok(Started::Later(rest)) = started {
            // SAFETY: as in `async_host_func`.
            let rest = unsafe { std::mem::transmute::<HostRest<'_>, HostFuture>(rest) };
            return Ok(HostOutcome::Later(rest));
        }
        let started = started.map(|started| match started {
            Started::Waits(subtask) => Some(subtask),
            _ => None,
        });
        // SAFETY: as in `host_func`.
        let store = unsafe { &mut *pointer.as_ptr() };
        let waits_for = store.crossed(CallHook::ReturningFromHost, host, started)?;
        let Some(subtask) = waits_for else {
            return Ok(HostOutcome::Done);
        };
        // SAFETY: the instance is the one whose code runs now, on this thread. The array is that of
        // the call, which is suspended at once.
        unsafe { handle.instance().wait_for_subtask(subtask, array)? };
        Ok(HostOutcome::Suspended)
    })
}

/// Returns the store that a guest calls out to, with the call of the host function.
///
/// # Errors
///
/// If the guest must not call out.
///
/// # Safety
///
/// The store is of `T`.
#[inline(always)]
unsafe fn host_func_call<'a, T: 'static>(
    call: HostCall<'a>,
) -> Result<(NonNull<StoreInner<T>>, HostFuncCall<'a, T>)> {
    // The limiter alone is there for a guest that runs as `realloc` or `post-return`.
    let Some(pointer) = call.host else {
        return Err(Trap::CannotLeaveComponent.into());
    };
    let pointer = pointer.cast::<StoreInner<T>>();
    // SAFETY: the pointer was made by `host_access` from an exclusive reference to a store, which
    // is not used until the call into the guest is over, and so after the function has finished.
    // The store is of `T`, as the caller promises.
    let store = unsafe { &mut *pointer.as_ptr() };
    // SAFETY: the instance is the one whose code runs now, on this thread.
    let instance = unsafe { call.instance.instance() }.tag();
    let call = HostFuncCall {
        store,
        instance: StoreInstanceId::from_u32(instance as u32),
        words: call.words,
        scratch: None,
    };
    Ok((pointer, call))
}
