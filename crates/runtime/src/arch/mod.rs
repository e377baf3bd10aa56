//! The processor: the stubs between Rust and machine code, frames, and the registers at a fault.
//!
//! | file | what it has |
//! |---|---|
//! | `points.rs` | the places at which stubs stop and resume code, on every processor |
//! | `hooks.rs` | the functions that stubs call |
//! | `x86_64.rs`, `aarch64.rs` | the stubs of each processor, and its other facts |
//!
//! To port to another processor, write a file beside `x86_64.rs` with the same items, and choose
//! between them here.

mod hooks;
mod points;

pub use hooks::{RaiseHook, SuspendHook, Suspendable, ThrowHook};
pub use points::{Landing, MaySuspend, ResumePoint, SwitchPoint, Switched};

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub use aarch64::*;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "mintage-runtime supports x86-64 and aarch64 only so far; see crates/runtime/src/arch/mod.rs \
     for what a port needs"
);

/// Runs the call of `point` until it returns, ends or suspends. `value` is the result of the
/// function that suspended it, if it was suspended.
///
/// # Safety
///
/// - [`prepare`] prepared the call, and it is not running, nor has it returned or ended. Its stack
///   is as the call left it.
/// - `value` is a result of the function that suspended the call.
/// - What [`enter`] demands of the call: function, `ctx` and words fit, and are valid until this
///   returns; a call that is ended leaves no frames that need to be unwound.
pub unsafe fn switch_to(point: *mut SwitchPoint, value: u64) -> Switched {
    // SAFETY: as the caller promises.
    match unsafe { switch(point, value) } {
        0 => Switched::Returned,
        1 => Switched::Ended,
        _ => Switched::Suspended,
    }
}
