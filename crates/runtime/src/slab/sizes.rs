//! [`Sizes`]: the sizes of the parts of a slab that can grow.

use mintage_environ::layout::{HeapLayout, SlabLayout};
use mintage_environ::{DomainId, IndexVec, MemoryId, TableId};

/// The size of each memory in bytes, of each table in entries, and of each GC heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub memories: IndexVec<MemoryId, u64>,
    pub tables: IndexVec<TableId, u64>,
    pub heaps: Vec<HeapSize>,
}

/// The accessible bytes of a GC heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapSize {
    pub domain: DomainId,
    /// Bytes for static objects, which never move.
    pub statics: u64,
    /// Bytes of each half.
    pub half: u64,
}

impl HeapSize {
    /// Returns the size of the heap of `domain` if each half has `half` bytes.
    pub fn new(domain: DomainId, heap: &HeapLayout, half: u64) -> HeapSize {
        let statics = heap.static_size();
        HeapSize {
            domain,
            statics,
            half,
        }
    }
}

impl Sizes {
    /// Returns the initial sizes that the layout declares.
    pub(super) fn declared(layout: &SlabLayout) -> Sizes {
        let tables = layout.tables.values();
        Sizes {
            memories: layout
                .memories
                .values()
                .map(|memory| memory.minimum)
                .collect(),
            tables: tables.map(|table| u64::from(table.minimum)).collect(),
            heaps: layout
                .heaps()
                .map(|(id, heap)| HeapSize::new(id, heap, heap.minimum))
                .collect(),
        }
    }

    /// Returns these sizes, with one byte in each memory that is empty and can grow.
    pub(super) fn grown(&self, layout: &SlabLayout) -> Sizes {
        let mut sizes = self.clone();
        for (id, memory) in layout.memories.iter() {
            sizes.memories[id] = sizes.memories[id].max(memory.capacity.min(1));
        }
        sizes
    }

    /// Makes these the initial sizes that the layout declares.
    pub(crate) fn declare(&self, layout: &mut SlabLayout) {
        for (id, &size) in self.memories.iter() {
            layout.memories[id].minimum = size;
        }
        for (id, &size) in self.tables.iter() {
            layout.tables[id].minimum = size as u32;
        }
        for size in &self.heaps {
            if let Some(heap) = &mut layout.domains[size.domain].heap {
                heap.minimum = size.half;
            }
        }
    }
}
