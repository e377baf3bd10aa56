//! Running machine code: the way in, the way out to the host, and every way in which a call ends.
//!
//! A running call is an [`Activation`](activation::Activation). [`call`] enters machine code, and
//! `host` has what machine code calls for a host function. A trap ends the call (`fault`), and an
//! exception unwinds frames (`unwind`). `backtrace` names the frames of a trap.

pub mod activation;
mod backtrace;
mod call;
mod fault;
mod host;
mod limiter;
mod trap;
pub mod unwind;

pub use call::{call, call_confined};
pub use host::HostCall;
pub use limiter::AskLimiter;
pub use trap::{Frame, Stopped, TrapReport};

use crate::arch::{self, Landing, ResumePoint};

/// The functions that the stubs of machine code call.
pub enum Hooks {}

impl arch::Hooks for Hooks {
    unsafe extern "C" fn on_raise(
        ctx: *mut u8,
        code: u32,
        pc: usize,
        fp: usize,
    ) -> *const ResumePoint {
        // SAFETY: as the caller promises.
        unsafe { fault::on_raise(ctx, code, pc, fp) }
    }

    unsafe extern "C" fn on_throw(
        ctx: *mut u8,
        domain: u32,
        exception: u64,
        pc: usize,
        fp: usize,
    ) -> *const Landing {
        // SAFETY: as the caller promises.
        unsafe { unwind::on_throw(ctx, domain, exception, pc, fp) }
    }
}
