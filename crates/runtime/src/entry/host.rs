//! Calls of host functions by machine code.

use super::activation::Departure;
use crate::instance::{Failure, HostAccess, HostFunc, InstanceData, InstanceHandle};
use anyhow::Result;
use mintage_environ::HostImport;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The arguments of a host function.
pub struct HostCall<'a> {
    /// The instance that calls.
    pub instance: InstanceHandle,
    /// The access to the host that the innermost [`call`](crate::call) into the store was given.
    pub host: HostAccess,
    /// The guest's arguments, as
    /// [`Signature::array_words`](mintage_environ::Signature::array_words) 8-byte words. An `i32`
    /// or `f32` is in the low half of its word, and the high half is undefined. Results are written
    /// from word 0 on.
    pub words: &'a mut [u64],
}

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
        unsafe { HostFunc::from_parts(import, words, data) }
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
    let call = HostCall {
        instance: InstanceHandle::new(instance),
        host: instance.current().host(),
        words,
    };
    // State that the panic leaves inconsistent belongs to whoever catches the panic when it is
    // resumed.
    let result = catch_unwind(AssertUnwindSafe(|| (host_data.function)(call)));
    // This precedes machine code, which may trap.
    departure.check();
    let failure = match result {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => Failure::Error(error),
        Err(payload) => Failure::Panic(payload),
    };
    instance.current().failure.set(Some(failure));
    1
}
