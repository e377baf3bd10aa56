//! The functions that stubs call. The folders above this one implement them.

use super::{Landing, MaySuspend, ResumePoint};

/// A function that machine code calls, and that may suspend the call.
pub trait SuspendHook {
    /// Does the work of the function. Its arguments behind `ctx` are `a`, `b` and `c`, as far as it
    /// has some.
    ///
    /// # Safety
    ///
    /// Called by [`suspendable`](super::suspendable), in machine code of the current activation,
    /// with the arguments that machine code passes. (The result may suspend that activation only:
    /// [`MaySuspend::suspend`].)
    unsafe extern "C" fn on_call(ctx: *mut u8, a: *const (), b: *mut u64, c: u64) -> MaySuspend;
}

/// The type of [`suspendable`](super::suspendable).
pub type Suspendable = unsafe extern "C" fn(ctx: *mut u8, a: *const (), b: *mut u64, c: u64) -> u64;

/// The function that [`raise`](super::raise) calls. `entry` implements it, which is above this
/// folder.
pub trait RaiseHook {
    /// Ends the current call with the trap `code`, or, if `code` is 0, with the error that a host
    /// function left. `pc` is the return address of the stub and `fp` the frame pointer of its
    /// caller. Returns where to resume.
    ///
    /// # Safety
    ///
    /// Called by [`raise`](super::raise), in machine code of the current activation.
    unsafe extern "C" fn on_raise(
        ctx: *mut u8,
        code: u32,
        pc: usize,
        fp: usize,
    ) -> *const ResumePoint;
}

/// The function that [`throw`](super::throw) calls. `entry` implements it, which is above this
/// folder.
pub trait ThrowHook {
    /// Finds the handler of `exception`, an object of `domain`, or ends the current call. `pc` is
    /// the return address of the stub and `fp` the frame pointer of its caller, the trampoline of
    /// the builtin. Returns where to continue. The result is valid until the next exception.
    ///
    /// # Safety
    ///
    /// Called by [`throw`](super::throw), in machine code of the current activation, with the `ctx`
    /// of its instance.
    unsafe extern "C" fn on_throw(
        ctx: *mut u8,
        domain: u32,
        exception: u64,
        pc: usize,
        fp: usize,
    ) -> *const Landing;
}
