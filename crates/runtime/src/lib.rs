//! The unsafe heart of Mintage: mapped code, slabs, entry into machine code, traps, builtins.
//!
//! ```text
//! artifact file or bytes -> Code       mapped, checked, its keys resolved once          code
//! Code, host functions   -> HostTable  one resolved function per lowered import         instance
//! Code, HostTable        -> Instance   a slab with the image in it, and run-time data   instantiate
//! Instance, Callee       -> call       in through the stub, out with a result or trap   entry
//! ```
//!
//! Each folder may use what is above it in this table, as listed; `cargo test` checks it (the rule
//! reads the table, from its heading on).
//!
//! ```text
//! folder        may use                                   what it is
//! arch          -                                         the processor: stubs, frames, registers
//! sys           arch                                      the operating system: mappings, signals, threads
//! bulk          -                                         long work in pieces that can be interrupted
//! component     bulk                                      handle tables, error contexts, transcoding
//! slab          arch sys                                  the address space of an instance, its image and reset
//! pool          slab sys                                  what the slabs of an engine may take; idle slabs
//! code          arch pool slab sys                        a loaded artifact, and its keys resolved to pointers
//! instance      bulk code component pool slab sys         the state of an instance, its limits and growth
//! entry         arch code component instance sys          calls: in, out to the host, and how they end
//! gc            bulk entry instance                       the GC heap and its collector
//! builtins      arch bulk component entry gc instance     what machine code asks of the runtime
//! instantiate   builtins code entry instance slab         from code and imports to a started instance
//! ```
//!
//! Architecture invariants: operating-system calls are in `sys` only, facts of the processor in
//! `arch` only. No function that machine code calls unwinds. `InstanceData` is extended in its own
//! folder only. Nothing here knows how code is generated.

#![deny(unsafe_op_in_unsafe_fn)]

mod arch;
mod builtins;
mod bulk;
mod code;
mod component;
mod entry;
mod gc;
mod instance;
mod instantiate;
mod pool;
mod slab;
mod sys;

pub use code::{Callee, Code, LoadCheck, ResolvedLift, artifact_file_settings, artifact_settings};
pub use component::error_context::ErrorContext;
pub use component::handles::{HandleError, HandleKind};
pub use component::transcode::from_utf8;
pub use entry::{Frame, HostCall, Stopped, TrapReport, call, call_confined};
pub use instance::{
    Current, FoundMemory, Growing, Growth, HostAccess, HostFunc, HostTable, Instance,
    InstanceHandle, Limiter, Limits, StoreWords,
};
pub use instantiate::{instantiate, run_initializers};
pub use pool::{Pool, PoolConfig};
pub use slab::Image;
pub use sys::process::id as process_id;
