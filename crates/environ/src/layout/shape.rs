//! The input of the layout: everything of a program that takes room in a slab.

use crate::{DataId, DomainId, ElemId, GlobalId, IndexVec, MemoryId, TableId, ValType};
use serde::{Deserialize, Serialize};

/// A memory as the program declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryShape {
    /// The domain that owns the memory.
    pub domain: DomainId,
    /// Initial size in pages.
    pub minimum: u64,
    /// Declared maximum in pages.
    pub maximum: Option<u64>,
    /// Base-two logarithm of the page size in bytes: 16, or 0 for one-byte pages.
    pub page_size_log2: u8,
    /// Whether addresses are 64-bit.
    pub index64: bool,
}

/// A table as the program declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableShape {
    /// The domain that owns the table.
    pub domain: DomainId,
    /// Initial number of entries.
    pub minimum: u64,
    /// Declared maximum in entries.
    pub maximum: Option<u64>,
    /// Whether indexes are 64-bit.
    pub index64: bool,
}

/// A global that needs storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalShape {
    /// The domain that owns the global.
    pub domain: DomainId,
    /// The type of its value.
    pub ty: ValType,
}

/// The GC heap of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeapShape {
    /// The domain that owns the heap.
    pub domain: DomainId,
    /// Bytes of the static objects, a multiple of 8. They start at
    /// [`HeapLayout::FIRST`](super::HeapLayout::FIRST).
    pub initial: u64,
}

/// Everything that takes room in a slab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The main memory of each domain, which its `ctx` points at; `None` if it has no memory.
    pub domains: IndexVec<DomainId, Option<MemoryId>>,
    /// All memories.
    pub memories: IndexVec<MemoryId, MemoryShape>,
    /// All tables.
    pub tables: IndexVec<TableId, TableShape>,
    /// All globals that need storage.
    pub globals: IndexVec<GlobalId, GlobalShape>,
    /// The GC heaps, at most one for each domain, in the order of domains. Only domains whose code
    /// can allocate have one.
    pub heaps: Vec<HeapShape>,
    /// The domain of each data segment with a run-time length.
    pub data: IndexVec<DataId, DomainId>,
    /// The domain of each element segment with a run-time length.
    pub elems: IndexVec<ElemId, DomainId>,
}
