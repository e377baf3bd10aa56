//! [`Limits`]: what an instance may take, and who decides about growth and about going on.

use super::current::HostAccess;
use crate::code::Code;
use crate::component::handles::MAX_HANDLES;
use crate::slab::{HeapSize, Image};
use anyhow::{Error, Result};
use mintage_environ::{DomainId, MemoryId, TableId, Trap};
use std::fmt;
use std::pin::Pin;

/// The limits of an instance that [`Limiter`] is not asked about, and the limiter.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The function that is asked before anything grows; none by default.
    pub limiter: Option<Limiter>,
    /// The most handles of all component instances of the tree together, and the most loans of
    /// handles to calls at a time. At most 2^28 - 1 (CanonicalABI.md, `Table.MAX_LENGTH`).
    pub handles: u32,
    /// The most stacks of calls and threads that can be suspended.
    pub stacks: u32,
    /// Bytes of stack that wasm code may use, counted from the outermost call.
    pub stack_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            limiter: None,
            handles: MAX_HANDLES,
            stacks: u32::MAX,
            stack_bytes: 512 << 10,
        }
    }
}

/// Decides about growth. Both functions are called with what the innermost [`call`](crate::call)
/// may reach of the host.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    /// Returns whether something may grow. An error ends the guest's call.
    pub growing: unsafe fn(host: HostAccess, growth: &Growth) -> Result<Permit>,
    /// Is told that growth failed after it was allowed. An error ends the guest's call.
    pub failed: unsafe fn(host: HostAccess, growth: &Growth, error: Error) -> Result<()>,
}

/// The answer of a limiter.
pub enum Permit {
    /// Something may grow.
    Granted,
    /// It may not.
    Refused,
    /// The answer comes later. Only for a memory or table, in a call that can be suspended
    /// ([`HostAccess::Suspending`]).
    Later(LaterPermit),
}

/// The future of a limiter's answer. It is dropped before the call ends.
pub type LaterPermit = Pin<Box<dyn Future<Output = Result<bool>> + Send>>;

/// Decides whether a guest that checks in goes on: its interrupt word is not zero, or its fuel
/// counter has passed the pause. It is called as [`Limiter::growing`] is. An error ends the guest's
/// call.
///
/// The guest waits in the builtin `check_in`, with all registers saved in frames of machine code.
pub type CheckIn = unsafe fn(host: HostAccess) -> Result<Verdict>;

/// The answer to a guest that checks in.
pub enum Verdict {
    /// The guest goes on. It asks again at the next test if the reason is still there.
    GoOn,
    /// The guest traps.
    Trap(Trap),
    /// The guest waits for the host, and then goes on. Only for a call that can be suspended
    /// ([`HostAccess::Suspending`]).
    Wait(HostFuture),
}

/// What a suspended call waits for: the rest of a host function with the lowering of its results,
/// or another answer of the host. It is dropped before the call ends.
pub type HostFuture = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A request to grow, or the size of something at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Something that can grow.
    pub what: Growing,
    /// Its present size in bytes, or in entries of a table. 0 at the start.
    pub current: u64,
    /// The size that it would have.
    pub desired: u64,
    /// The size that it can never exceed.
    pub maximum: u64,
}

/// The thing that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growing {
    /// A memory.
    Memory(MemoryId),
    /// The GC heap of a component instance: static objects and both halves.
    Heap(DomainId),
    /// A table.
    Table(TableId),
}

impl fmt::Display for Growing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Growing::Memory(id) => write!(f, "memory {}", id.as_u32()),
            Growing::Heap(id) => write!(f, "the GC heap of component instance {}", id.as_u32()),
            Growing::Table(id) => write!(f, "table {}", id.as_u32()),
        }
    }
}

impl Growth {
    /// Returns the sizes of everything that can grow in instances of `code` that start with
    /// `image`.
    pub fn at_start<'a>(code: &'a Code, image: &'a Image) -> impl Iterator<Item = Growth> + 'a {
        let (layout, sizes) = (code.layout(), image.sizes());
        let start = |what, desired, maximum| Growth {
            what,
            current: 0,
            desired,
            maximum,
        };
        let memories = layout.memories.iter().zip(sizes.memories.values());
        let memories = memories
            .map(move |((id, memory), &size)| start(Growing::Memory(id), size, memory.capacity));
        let heaps = layout.heaps().zip(&sizes.heaps);
        let heaps = heaps.map(move |((id, heap), &HeapSize { statics, half, .. })| {
            start(
                Growing::Heap(id),
                statics + 2 * half,
                statics + 2 * heap.capacity,
            )
        });
        let tables = layout.tables.iter().zip(sizes.tables.values());
        let tables = tables.map(move |((id, table), &size)| {
            start(Growing::Table(id), size, u64::from(table.maximum))
        });
        memories.chain(heaps).chain(tables)
    }
}

/// The reason why growth ends the guest's call.
#[derive(Debug)]
pub enum GrowthEnded {
    /// The host's failure, which is left in the store's current state.
    Failure,
    /// Nothing has ended yet: the limiter answers later. It is asked again then.
    Later,
    /// A trap.
    Trap(Trap),
}
