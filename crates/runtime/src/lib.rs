//! The unsafe core of Mintage: loaded code, slabs, calls into machine code, traps, builtins.
//!
//! ```text
//! artifact file or bytes -> Code       mapped, checked, its keys resolved        code
//! Code, host functions   -> HostTable  a resolved function per lowered import    instance
//! Code, HostTable        -> Instance   a slab with the image, and run-time data  instantiate
//! Instance, Callee       -> call       into machine code; a result or a trap     entry
//! ```
//!
//! Each folder may use the folders listed for it, all of which are above it in this table. The
//! repository rules read the table, from its heading on, and check every `crate::` path.
//!
//! ```text
//! folder       may use                                  what it is
//! arch         -                                        the processor: stubs, frames, registers
//! sys          arch                                     the operating system
//! bulk         -                                        long work in interruptible pieces
//! component    bulk                                     handle tables, error contexts, transcoding
//! slab         arch sys                                 an instance's address space and its reset
//! pool         slab sys                                 limits of an engine's slabs; idle slabs
//! code         arch component pool slab sys             loaded artifacts, keys as pointers
//! fiber        pool sys                                 stacks of calls that can be suspended
//! instance     bulk code component fiber pool slab sys  an instance's state, limits and growth
//! entry        arch code component fiber instance sys   calls: in, to the host, and how they end
//! concurrent   arch bulk code component entry instance  runs tasks and threads
//! gc           bulk entry instance                      the GC heap and its collector
//! builtins     arch bulk component concurrent entry gc instance  what machine code calls
//! instantiate  builtins code entry instance slab        from code and imports to an instance
//! ```
//!
//! Architecture invariants: only `sys` calls the operating system, and only `arch` knows the
//! processor. No function that machine code calls unwinds. `InstanceData` has methods in its own
//! folder only. Nothing here knows how code is generated.

#![deny(unsafe_op_in_unsafe_fn)]

mod arch;
mod builtins;
mod bulk;
mod code;
mod component;
mod concurrent;
mod entry;
mod fiber;
mod gc;
mod instance;
mod instantiate;
mod pool;
mod slab;
mod sys;

pub use code::{
    Base, Borrowed, Callee, Code, DebugInfo, LoadCheck, artifact_file_settings, artifact_settings,
    host,
};
pub use component::concurrent::{Peer, PeerCopy};
pub use component::error_context::ErrorContext;
pub use component::handles::{HandleError, HandleKind};
pub use component::transcode::from_utf8;
pub use concurrent::{HostEnd, HostSubtask, HostTask, TakenEnd, Turn};
pub use entry::{
    Backtrace, Frame, HostCall, HostOutcome, Stopped, SuspendableCall, TrapReport, backtrace, call,
    call_confined, prepare_thread,
};
pub use fiber::{Stack, StackMetrics, StackPool};
pub use instance::{
    CheckIn, Current, Growing, Growth, HostAccess, HostFunc, HostFuture, HostHooks, HostTable,
    Instance, InstanceHandle, LaterPermit, Limiter, Limits, Permit, SnapshotHandles, StoreState,
    StoreWords, Verdict,
};
pub use instantiate::{Initializers, instantiate, run_initializers};
pub use pool::{Pool, PoolConfig, PoolMetrics};
pub use slab::{Image, touch_pages};
pub use sys::process::id as process_id;
