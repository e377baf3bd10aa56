//! Running machine code: the way in, the way out to the host, and every way in which a call ends.
//!
//! A running call is an [`Activation`](activation::Activation). [`call`] enters machine code on the
//! thread's stack, and `suspend` on a stack of its own, where a call can wait for the host. `host`
//! has what machine code calls for a host function. A trap ends the call (`fault`), and an
//! exception unwinds frames (`unwind`). `backtrace` names the frames of a trap.

pub mod activation;
mod backtrace;
mod call;
mod fault;
mod host;
mod questions;
mod suspend;
mod trap;
pub mod unwind;

pub use activation::{current_stack_limit, prepare_thread};
pub use backtrace::backtrace;
pub use call::{call, call_confined};
pub use fault::Raise;
pub use host::{HostCall, HostOutcome};
pub use questions::{AskLimiter, AskToGoOn, GrowMemory, GrowTable};
pub use suspend::{Record, RunningRecord, SuspendableCall};
pub use trap::{Backtrace, Frame, Stopped, TrapReport};
pub use unwind::Throw;
