//! The unsafe heart of Mintage: mapped code, slabs, entry into machine code, traps, builtins.
//!
//! ```text
//! artifact file or bytes -> Code       mapped, checked, its keys resolved once        code.rs
//! Code, host functions   -> HostTable  one resolved function per lowered import       host.rs
//! Code, HostTable        -> Instance   a slab with the image in it, run-time data      instance.rs, slab.rs
//! Instance, Callee       -> call       in through the stub, out with a result or trap  call.rs, arch/
//! ```
//!
//! A fault in machine code goes to `fault.rs`, which ends the call; `backtrace.rs` walks its frames. What machine code asks
//! for is in `builtins.rs`.
//!
//! Architecture invariants: operating-system calls stand in `sys/` only and assembly in `arch/` only, so that a port adds
//! one file to each. No function that machine code calls unwinds. Nothing here knows how code is made.

#![deny(unsafe_op_in_unsafe_fn)]

mod call;
mod code;
mod host;
mod instance;
mod trap;

pub use call::call;
pub use code::{Callee, Code, LoadCheck, ResolvedLift};
pub use host::{HostCall, HostFunc, HostTable};
pub use instance::{Instance, InstanceHandle, Limits, run_initializers};
pub use trap::{Frame, Stopped, TrapReport};
