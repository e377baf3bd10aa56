//! [`Sizes`]: how large the growing parts of a slab are.

use mintage_environ::layout::{HeapLayout, SlabLayout};
use mintage_environ::{DomainId, IndexVec, MemoryId, TableId};

/// The size of each memory in bytes, of each table in entries, and of each object heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub memories: IndexVec<MemoryId, u64>,
    pub tables: IndexVec<TableId, u64>,
    pub heaps: Vec<HeapSize>,
}

/// The bytes of an object heap that are accessible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapSize {
    pub domain: DomainId,
    /// Of the objects that never move.
    pub fixed: u64,
    /// Of each half.
    pub half: u64,
}

impl HeapSize {
    /// The size of the heap of `domain` whose halves have `half` bytes each.
    pub fn new(domain: DomainId, heap: &HeapLayout, half: u64) -> HeapSize {
        let fixed = heap.static_size();
        HeapSize {
            domain,
            fixed,
            half,
        }
    }
}

impl Sizes {
    /// The sizes that memories, tables and object heaps start with.
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

    /// These sizes, with a byte in each memory that has none and can grow.
    pub(super) fn grown(&self, layout: &SlabLayout) -> Sizes {
        let mut sizes = self.clone();
        for (id, memory) in layout.memories.iter() {
            sizes.memories[id] = sizes.memories[id].max(memory.capacity.min(1));
        }
        sizes
    }

    /// Makes these the sizes that memories, tables and object heaps start with.
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
