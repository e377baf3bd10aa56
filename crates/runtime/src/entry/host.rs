//! Calls of host functions by machine code.

use super::activation::Departure;
use crate::instance::{Failure, HostAccess, HostFunc, InstanceData, InstanceHandle};
use anyhow::Result;
use mintage_environ::HostImport;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a host function gets.
pub struct HostCall<'a> {
    /// The instance that calls.
    pub instance: InstanceHandle,
    /// What was passed to the innermost [`call`](crate::call) into the store.
    pub host: HostAccess,
    /// The arguments, as [`Signature::array_words`](mintage_environ::Signature::array_words) 8-byte
    /// words: an `i32` or `f32` stands in the low half of its word, whose high half holds nothing
    /// of meaning. Results go in from word 0 on.
    pub words: &'a mut [u64],
}

/// What a host function's data pointer points at.
struct HostData<F> {
    words: usize,
    function: F,
}

impl HostFunc {
    /// Wraps `function`, which is called with `words` 8-byte words: as many as
    /// [`Signature::array_words`](mintage_environ::Signature::array_words) says of the lowered
    /// import's core signature.
    ///
    /// An error that the function returns ends the guest's call with
    /// [`Stopped::Host`](crate::Stopped), a panic with [`Stopped::Panic`](crate::Stopped).
    pub fn new<F>(words: usize, function: F) -> HostFunc
    where
        F: Fn(HostCall<'_>) -> Result<()> + Send + Sync + 'static,
    {
        let data = Arc::new(HostData { words, function });
        let import = HostImport {
            func: thunk::<F>,
            data: Arc::as_ptr(&data).cast(),
        };
        // SAFETY: `thunk` is for data of this type, which `data` keeps, and takes as many words as
        // that says.
        unsafe { HostFunc::from_parts(import, words, data) }
    }
}

/// What machine code calls for a host function of type `F`: 0 when it succeeded, 1 when it left a
/// failure behind.
///
/// # Safety
///
/// Called by a trampoline of the instance that `ctx` belongs to, with the data pointer of a
/// [`HostFunc`] of this type and with as many words as it says.
unsafe extern "C" fn thunk<F>(ctx: *mut u8, data: *const (), args: *mut u64) -> u32
where
    F: Fn(HostCall<'_>) -> Result<()>,
{
    // SAFETY: the instance lives while its code runs; `HostTable` keeps the function alive, and has
    // checked the words, which are the trampoline's and nobody else's.
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
    // What the function leaves broken after a panic belongs to whoever catches the panic when it
    // goes on.
    let result = catch_unwind(AssertUnwindSafe(|| (host_data.function)(call)));
    // Before machine code goes on, which may trap.
    departure.check();
    let failure = match result {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => Failure::Error(error),
        Err(payload) => Failure::Panic(payload),
    };
    instance.current().failure.set(Some(failure));
    1
}
