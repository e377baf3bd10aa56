//! The slab layout: where each part of a root component instance is. It is computed once, here,
//! and read by every later phase.
//!
//! ```text
//! one domain:
//!   [ GC heap | guard | tables ... | guard | segment lengths, globals, sizes | control block ]
//!   ctx -> [ main memory + guard ][ memory ... ]
//! a slab:
//!   [ domain 0 ][ domain 1 ] ...
//! ```
//!
//! The part from the second guard to `ctx` is the domain's *head*.
//!
//! - `shape`: the input, [`Shape`]: what needs a place.
//! - this file: the result, [`SlabLayout`], and lookups in it.
//! - `compute`: [`SlabLayout::compute`], from the shape to the layout.
//! - `check`: [`SlabLayout::verify`], which shares no code with the computation.
//!
//! The check tests these invariants: regions do not overlap; everything that machine code addresses
//! relative to `ctx`, except memories, is within an `i32`; and each region stays in its domain.
//!
//! In comments and in code, a *domain* is one component instance.

mod check;
mod compute;
mod shape;
#[cfg(test)]
mod tests;

pub use compute::DECLARED_FACTOR;
pub use shape::{GlobalShape, HeapShape, MemoryShape, Shape, TableShape};

use crate::{DataId, DomainId, ElemId, GlobalId, IndexVec, MemoryId, TableId};
use serde::{Deserialize, Serialize};

/// The alignment of both ends of each region: the largest page size of the supported hosts.
pub const REGION_ALIGN: u64 = 64 << 10;

/// The place of a domain in a slab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainLayout {
    /// Slab offset of the domain's first byte.
    pub start: u64,
    /// Slab offset of the head's first page.
    pub head: u64,
    /// Slab offset that the domain's `ctx` points to: the end of its head.
    pub ctx: u64,
    /// Slab offset of the end of the domain's last guard.
    pub end: u64,
    /// The GC heap, if the domain's code can allocate.
    pub heap: Option<HeapLayout>,
}

/// The place of a domain's GC heap.
///
/// A GC reference is an offset from the start of the heap. Null is 0, and the bytes below
/// [`FIRST`](Self::FIRST) are inaccessible, so that an access to a field of null faults. Then come
/// the static objects, which exist from the start and never move, and then two halves of equal
/// size. All other objects are in one of the halves, and a collection moves the live ones to the
/// other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeapLayout {
    /// Offset of the heap's first byte from `ctx`.
    pub offset: i32,
    /// Bytes of the static objects.
    pub initial: u64,
    /// Bytes of each half that are accessible at the start.
    pub minimum: u64,
    /// Bytes that each half can grow to.
    pub capacity: u64,
    /// `ctx`-relative offset of the allocation word, of 8 bytes: the reference of the next object.
    pub next_slot: i32,
    /// `ctx`-relative offset of the allocation-limit word, of 8 bytes: the heap offset at which
    /// machine code must ask the runtime for room.
    pub limit_slot: i32,
    /// `ctx`-relative offset of the word, of 8 bytes, with the first reference of the half in use.
    pub half_slot: i32,
    /// `ctx`-relative offset of the word, of 8 bytes, with the accessible bytes of each half.
    pub size_slot: i32,
    /// Whether the limit leaves no room for any object. Each allocation then asks the runtime,
    /// which collects.
    pub zeal: bool,
}

impl HeapLayout {
    /// The first reference. The bytes below it are never accessible.
    pub const FIRST: u64 = REGION_ALIGN;
    /// The alignment of each object and of its size.
    pub const ALIGN: u64 = 8;

    /// Returns the accessible bytes of the part with the static objects.
    pub fn static_size(&self) -> u64 {
        self.initial.next_multiple_of(REGION_ALIGN)
    }

    /// Returns the first reference of each half.
    pub fn halves(&self) -> [u64; 2] {
        let first = Self::FIRST + self.static_size();
        [first, first + self.capacity]
    }

    /// Returns the allocation limit, as a heap offset, when the half that starts at `half` is in
    /// use and `size` bytes of it are accessible.
    pub fn limit(&self, half: u64, size: u64) -> u64 {
        if self.zeal { half } else { half + size }
    }

    /// Returns the bytes of address space of the heap.
    pub fn span(&self) -> u64 {
        Self::FIRST + self.static_size() + 2 * self.capacity
    }
}

/// The place of a memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLayout {
    /// The domain that owns the memory.
    pub domain: DomainId,
    /// Offset of byte 0 from `ctx`: 0 for the domain's main memory.
    pub offset: u64,
    /// Initial size in bytes.
    pub minimum: u64,
    /// Bytes that the memory can grow to.
    pub capacity: u64,
    /// Base-two logarithm of the page size.
    pub page_size_log2: u8,
    /// Whether addresses are 64-bit.
    pub index64: bool,
    /// Bytes of address space that only this memory uses, with its guard. An access to those beyond
    /// the current size faults.
    pub reserved: u64,
    /// `ctx`-relative offset of the word, of 8 bytes, with the current size in bytes.
    pub size_slot: i32,
}

impl MemoryLayout {
    /// Returns whether an access of `size` bytes at a zero-extended 32-bit address plus `offset`
    /// needs a bounds check.
    pub fn needs_check(&self, offset: u64, size: u32) -> bool {
        let reach = (1u64 << 32)
            .checked_add(offset)
            .and_then(|end| end.checked_add(u64::from(size)));
        // Sizes must be multiples of the host's page size. Otherwise, bytes past the end but on the
        // same page of the host would not fault.
        self.index64 || self.page_size_log2 < 16 || reach.is_none_or(|reach| reach > self.reserved)
    }
}

/// The place of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLayout {
    /// The domain that owns the table.
    pub domain: DomainId,
    /// Offset of entry 0 from `ctx`.
    pub offset: i32,
    /// Initial number of entries.
    pub minimum: u32,
    /// The number of entries that the table can grow to.
    pub maximum: u32,
    /// The number of entries that there is room for, all accessible. A power of two, so that an
    /// index can be masked with `capacity - 1`.
    pub capacity: u32,
    /// Whether indexes are 64-bit.
    pub index64: bool,
    /// `ctx`-relative offset of the word, of 8 bytes, with the current number of entries.
    pub size_slot: i32,
}

impl TableLayout {
    /// Returns whether the table always has its initial size.
    pub fn is_fixed(&self) -> bool {
        self.minimum == self.maximum
    }
}

/// The place of a value in a domain's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadSlot {
    /// The domain that owns the value.
    pub domain: DomainId,
    /// Offset from `ctx`, always negative.
    pub offset: i32,
}

/// The start of a part of a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlabPart {
    /// Slab offset of the part.
    pub start: u64,
    /// Whether the part is the end of a head. Each instance that is used writes to it.
    pub copied: bool,
}

/// The places of everything in one root component instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlabLayout {
    /// Bytes of address space of the slab.
    pub size: u64,
    /// All domains.
    pub domains: IndexVec<DomainId, DomainLayout>,
    /// All memories.
    pub memories: IndexVec<MemoryId, MemoryLayout>,
    /// All tables.
    pub tables: IndexVec<TableId, TableLayout>,
    /// All globals with storage.
    pub globals: IndexVec<GlobalId, HeadSlot>,
    /// The 4-byte words with the current length of each data segment in bytes: 0 once the segment
    /// is dropped.
    pub data_lengths: IndexVec<DataId, HeadSlot>,
    /// The 4-byte words with the current length of each element segment in entries: 0 once the
    /// segment is dropped.
    pub elem_lengths: IndexVec<ElemId, HeadSlot>,
}

impl SlabLayout {
    /// Returns the slab offset of the first byte of a domain's GC heap.
    pub fn heap_start(&self, domain: DomainId, heap: &HeapLayout) -> u64 {
        self.domains[domain]
            .ctx
            .wrapping_add_signed(i64::from(heap.offset))
    }

    /// Returns the GC heaps, each with the domain that owns it.
    pub fn heaps(&self) -> impl Iterator<Item = (DomainId, &HeapLayout)> {
        self.domains
            .iter()
            .filter_map(|(id, domain)| Some((id, domain.heap.as_ref()?)))
    }

    /// Returns the start of each part of the slab, in ascending order: heads, memories, tables, and
    /// the three parts of each GC heap.
    ///
    /// The accessible bytes of a part are contiguous: all bytes between two accessible bytes of one
    /// part are accessible, too.
    pub fn parts(&self) -> Vec<SlabPart> {
        let mut parts = Vec::new();
        let mut add = |start: u64, copied: bool| parts.push(SlabPart { start, copied });
        for domain in self.domains.values() {
            let block = (domain.ctx - domain.head).min(REGION_ALIGN);
            add(domain.head, block == domain.ctx - domain.head);
            add(domain.ctx - block, true);
        }
        for id in self.memories.keys() {
            add(self.memory_start(id), false);
        }
        for id in self.tables.keys() {
            add(self.table_start(id), false);
        }
        for (id, heap) in self.heaps() {
            let start = self.heap_start(id, heap);
            let [first, second] = heap.halves();
            for offset in [HeapLayout::FIRST, first, second] {
                add(start + offset, false);
            }
        }
        parts.sort_by_key(|part| part.start);
        parts
    }

    /// Returns the slab offset of byte 0 of a memory.
    pub fn memory_start(&self, id: MemoryId) -> u64 {
        let memory = &self.memories[id];
        self.domains[memory.domain].ctx + memory.offset
    }

    /// Returns the slab offset of entry 0 of a table.
    pub fn table_start(&self, id: TableId) -> u64 {
        let table = &self.tables[id];
        self.domains[table.domain]
            .ctx
            .wrapping_add_signed(i64::from(table.offset))
    }

    /// Returns the slab offset of a value in a domain's head.
    pub fn slot_start(&self, slot: HeadSlot) -> u64 {
        self.domains[slot.domain]
            .ctx
            .wrapping_add_signed(i64::from(slot.offset))
    }
}
