//! The unsafe heart of Mintage: mapped code, slabs, entry into machine code, traps, builtins.
//!
//! ```text
//! artifact file or bytes -> Code       mapped, checked, its keys resolved once        code.rs
//! Code, host functions   -> HostTable  one resolved function per lowered import       host.rs
//! Code, HostTable        -> Instance   a slab with the image in it, run-time data      instance.rs, data.rs, slab.rs, image.rs
//! Instance, Callee       -> call       in through the stub, out with a result or trap  call.rs, arch/
//! ```
//!
//! A running call is an `Activation` (activation.rs). A fault in machine code goes to fault.rs,
//! which walks the frames and ends the call; backtrace.rs names the frames. Slabs that no instance
//! uses are in pool/; leftover.rs says what they keep in memory. Handles are in handles.rs, and
//! what those of error contexts stand for in error_context.rs. What machine code asks for is in
//! builtins.rs, and pieces.rs cuts what takes long; heap.rs is the heap of objects, collector.rs
//! moves them, unwind.rs takes exceptions to where they are caught.
//!
//! Architecture invariants: operating-system calls stand in `sys/` only and assembly in `arch/`
//! only, so that a port adds one file to each. No function that machine code calls unwinds. Nothing
//! here knows how code is made.

#![deny(unsafe_op_in_unsafe_fn)]

mod activation;
mod arch;
mod backtrace;
mod builtins;
mod call;
mod code;
mod collector;
mod data;
mod error_context;
mod fault;
mod handles;
mod heap;
mod host;
mod image;
mod instance;
mod leftover;
mod limits;
mod pieces;
mod pool;
mod slab;
mod sys;
mod transcode;
mod trap;
mod unwind;

pub use call::{call, call_confined};
pub use code::{Callee, Code, LoadCheck, ResolvedLift, artifact_file_settings, artifact_settings};
pub use data::StoreWords;
pub use error_context::ErrorContext;
pub use handles::{HandleError, HandleKind};
pub use host::{HostCall, HostFunc, HostTable};
pub use image::Image;
pub use instance::{FoundMemory, Instance, InstanceHandle, run_initializers};
pub use limits::{Growing, Growth, Limiter, Limits};
pub use pool::{Pool, PoolConfig};
pub use sys::process::id as process_id;
pub use transcode::from_utf8;
pub use trap::{Frame, Stopped, TrapReport};
