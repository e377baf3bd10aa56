//! Calls of host functions by machine code.

use super::activation::Departure;
use super::suspend::{Record, Wait};
use crate::arch::{self, MaySuspend, SuspendHook, Suspendable};
use crate::instance::{Failure, HostFunc, HostFuture, InstanceData, InstanceHandle};
use anyhow::{Result, ensure};
use mintage_environ::HostImport;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Context;

/// The arguments of a host function.
pub struct HostCall<'a> {
    /// The instance that calls.
    pub instance: InstanceHandle,
    /// The pointer that the innermost call into the store was given for its host functions. `None`
    /// if the guest must not call out.
    pub host: Option<NonNull<()>>,
    /// The guest's arguments, as
    /// [`Signature::array_words`](mintage_environ::Signature::array_words) 8-byte words. An `i32`
    /// or `f32` is in the low half of its word, and the high half is undefined. Results are written
    /// from word 0 on.
    pub words: &'a mut [u64],
}

/// A host function as machine code calls it.
type HostImportFn = unsafe extern "C" fn(*mut u8, *const (), *mut u64) -> u32;

/// The data that a host function's data pointer points to.
struct HostData<F> {
    words: usize,
    function: F,
}

impl HostFunc {
    /// Wraps `function`, which is called with `words` 8-byte words. These are as many as
    /// [`Signature::array_words`](mintage_environ::Signature::array_words) of the lowered import's
    /// core signature.
    ///
    /// An error that the function returns ends the guest's call with
    /// [`Stopped::Host`](crate::Stopped), and a panic with [`Stopped::Panic`](crate::Stopped).
    pub fn new<F>(words: usize, function: F) -> HostFunc
    where
        F: Fn(HostCall<'_>) -> Result<()> + Send + Sync + 'static,
    {
        let data = Arc::new(HostData { words, function });
        let import = HostImport {
            func: thunk::<F>,
            data: Arc::as_ptr(&data).cast(),
        };
        // SAFETY: `thunk` expects data of this type, which `data` keeps and which is `Send` and
        // `Sync`, and uses as many words as that says.
        unsafe { HostFunc::from_parts(import, words, false, data) }
    }
}

/// How far a host function has come that may wait.
pub enum HostOutcome {
    /// It has returned.
    Done,
    /// The rest of its work. The call is suspended until that is done, and with it all that has
    /// called it.
    Later(HostFuture),
    /// The thread that has called it waits alone
    /// ([`Instance::wait_for_subtask`](crate::Instance::wait_for_subtask)).
    Suspended,
}

impl HostFunc {
    /// Wraps `function`, which may wait. It gets the context of the poll that runs the call, or
    /// `None` if the call cannot be suspended. `may_suspend` says whether it ever suspends calls.
    /// Otherwise as [`new`](Self::new).
    pub fn new_async<F>(words: usize, may_suspend: bool, function: F) -> HostFunc
    where
        F: Fn(HostCall<'_>, Option<&mut Context<'_>>) -> Result<HostOutcome>
            + Send
            + Sync
            + 'static,
    {
        let data = Arc::new(HostData { words, function });
        let func: Suspendable = arch::suspendable::<MayWait<F>>;
        let import = HostImport {
            // SAFETY: the two types differ in the result only, whose upper half is not used.
            func: unsafe { std::mem::transmute::<Suspendable, HostImportFn>(func) },
            data: Arc::as_ptr(&data).cast(),
        };
        // SAFETY: as in `new`.
        unsafe { HostFunc::from_parts(import, words, may_suspend, data) }
    }
}

/// Calls a host function of type `F` for machine code. Returns 0 if it succeeds, and 1 if it leaves
/// a failure.
///
/// # Safety
///
/// Called by a trampoline of the instance that `ctx` belongs to, with the data pointer of a
/// [`HostFunc`] of this type and with as many words as it says.
unsafe extern "C" fn thunk<F>(ctx: *mut u8, data: *const (), args: *mut u64) -> u32
where
    F: Fn(HostCall<'_>) -> Result<()>,
{
    // SAFETY: as the caller promises.
    unsafe { call_host(ctx, data, args, |function: &F, call| function(call)) }
        .is_none()
        .into()
}

/// The hook of a host function of type `F` that may wait.
struct MayWait<F>(PhantomData<F>);

impl<F> SuspendHook for MayWait<F>
where
    F: Fn(HostCall<'_>, Option<&mut Context<'_>>) -> Result<HostOutcome>,
{
    unsafe extern "C" fn on_call(
        ctx: *mut u8,
        data: *const (),
        args: *mut u64,
        _: u64,
    ) -> MaySuspend {
        // SAFETY: the instance lives while its code runs, which has left for this.
        let record = unsafe { Record::of_call(InstanceData::of_ctx(ctx).current().host()) };
        let function = |function: &F, call: HostCall<'_>| {
            // SAFETY: the call is being polled, and no one else uses the context now.
            let context = record.map(|record| unsafe { record.context() });
            let outcome = function(call, context)?;
            ensure!(
                matches!(outcome, HostOutcome::Done) || record.is_some(),
                "a host function waits in a call that cannot be suspended"
            );
            Ok(outcome)
        };
        // SAFETY: as the caller promises.
        let outcome = unsafe { call_host(ctx, data, args, function) };
        let Some(outcome) = outcome else {
            return MaySuspend::done(1);
        };
        match (outcome, record) {
            (HostOutcome::Done, _) | (_, None) => MaySuspend::done(0),
            // SAFETY: the machine code that called the stub is in the innermost activation of this
            // thread (`Departure::check`), which is the record's.
            (HostOutcome::Later(future), Some(record)) => unsafe {
                record.suspend(Wait::Host(future))
            },
            // SAFETY: as above.
            (HostOutcome::Suspended, Some(record)) => unsafe { record.suspend_thread() },
        }
    }
}

/// Calls a host function for machine code. Returns `None` if it fails, and leaves the failure to
/// the store.
///
/// # Safety
///
/// As [`thunk`], with the data pointer of a [`HostData<F>`].
#[inline(always)]
unsafe fn call_host<F, R>(
    ctx: *mut u8,
    data: *const (),
    args: *mut u64,
    call: impl FnOnce(&F, HostCall<'_>) -> Result<R>,
) -> Option<R> {
    // SAFETY: the instance lives while its code runs. `HostTable` keeps the function alive and has
    // checked the number of words, which only the trampoline uses.
    let (instance, host_data, words) = unsafe {
        let host_data = &*data.cast::<HostData<F>>();
        (
            InstanceData::of_ctx(ctx),
            host_data,
            std::slice::from_raw_parts_mut(args, host_data.words),
        )
    };
    instance.depends_on_host.set(true);
    let departure = Departure::new();
    let host_call = HostCall {
        instance: InstanceHandle::new(instance),
        // SAFETY: machine code runs only in a call.
        host: unsafe { instance.current().host().functions() },
        words,
    };
    // State that the panic leaves inconsistent belongs to whoever catches the panic when it is
    // resumed.
    let result = catch_unwind(AssertUnwindSafe(|| call(&host_data.function, host_call)));
    // This precedes machine code, which may trap.
    departure.check();
    let failure = match result {
        Ok(Ok(result)) => return Some(result),
        Ok(Err(error)) => Failure::Error(error),
        Err(payload) => Failure::Panic(payload),
    };
    instance.current().failure.set(Some(failure));
    None
}
