//! Calls between host and guest, in both directions.
//!
//! | file | what it has |
//! |---|---|
//! | `protocol.rs` | the steps of a call, whoever calls whom |
//! | `func.rs` | [`Func`], [`TypedFunc`]: the host calls a guest |
//! | `host.rs` | host functions: a guest calls the host |
//! | `queued.rs` | calls of guests that go on together |
//! | `handle.rs` | such calls, as their callers hold them; their cancellation |
//! | `outcome.rs` | where the event loop leaves their results |
//! | `concurrent.rs` | host functions that go on while guests do |
//! | `caller.rs` | [`Caller`]: the memory of the guest that calls |
//! | `reexport.rs` | the host calls a host function that a component exports again |
//! | `block_on.rs` | [`block_on`]: waits for a call without an executor |
//! | `compatible.rs` | methods that only hosts written for Wasmtime need |

mod block_on;
mod caller;
mod compatible;
#[allow(
    unsafe_code,
    reason = "a host function that waits goes to other threads with its store"
)]
mod concurrent;
mod func;
mod handle;
mod host;
mod outcome;
mod protocol;
mod queued;
mod reexport;

pub use block_on::block_on;
pub use caller::Caller;
pub(crate) use concurrent::{DynamicConcurrentHost, TypedConcurrentHost};
pub use func::{Func, TypedFunc};
pub use handle::{FuncCallConcurrent, TypedFuncCallConcurrent};
pub(crate) use host::{
    DynamicAsyncHost, DynamicHost, HostFunction, ResolvedImport, TypedAsyncHost, TypedHost,
};
pub(crate) use reexport::{Reexport, Reexports};
