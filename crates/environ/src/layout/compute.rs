//! The computation: from a [`Shape`] to a [`SlabLayout`].

use super::{
    DomainLayout, HeadSlot, HeapLayout, HeapShape, MemoryLayout, MemoryShape, REGION_ALIGN, Shape,
    SlabLayout, TableLayout, TableShape,
};
use crate::{
    ControlBlock, DataId, DomainId, ElemId, GlobalId, IndexVec, MemoryId, TableId, Tunables, limit,
};
use anyhow::{Result, bail, ensure};

/// Address space between a domain's tables and its head.
const HEAD_GUARD: u64 = REGION_ALIGN;
/// The limit of a table's initial size in entries: 2^24 entries of 8 bytes are 128 MiB of image.
const MAX_TABLE_MINIMUM: u64 = 1 << 24;
/// The limit in bytes of a domain's GC heap, tables and head together, so that each is within an
/// `i32` of `ctx`.
pub(super) const MAX_BELOW_CTX: u64 = 1 << 31;
/// The limit of one GC heap's address space, which leaves room for tables beside it.
pub(super) const MAX_HEAP: u64 = 1 << 30;
/// The limit of one slab's address space: a sixteenth of the 47 bits that hosts have.
const MAX_SLAB: u64 = 1 << 43;

/// The number of times [`Tunables::memory64_reservation`] that a declared maximum of a 64-bit
/// memory can reserve. A toolchain that declares a maximum usually means it, but a huge number can
/// also mean "no limit".
pub const DECLARED_FACTOR: u64 = 8;

impl SlabLayout {
    /// Lays out `shape`.
    ///
    /// # Errors
    ///
    /// Returns an error if a memory or table starts larger than its reservation, or if the parts
    /// do not fit the address space.
    pub fn compute(shape: &Shape, tunables: &Tunables) -> Result<SlabLayout> {
        let mut layout = unplaced(shape, tunables)?;
        let members = Members::of(shape);
        for (id, &main_memory) in shape.domains.iter() {
            let start = layout.size;
            let domain = layout.place_domain(shape, start, main_memory, &members[id], tunables)?;
            ensure!(
                domain.end <= MAX_SLAB,
                limit!(
                    AddressSpace,
                    "the component needs more than {MAX_SLAB:#x} bytes of address space; reduce \
                     `Config::memory_reservation` (or, for 64-bit memories, \
                     `Config::memory64_reservation`), or the sizes that the memories declare"
                )
            );
            layout.size = domain.end;
            layout.domains.push(domain);
        }
        layout.verify(shape)?;
        Ok(layout)
    }

    /// Places the members of one domain, whose first byte is at slab offset `start`.
    fn place_domain(
        &mut self,
        shape: &Shape,
        start: u64,
        main_memory: Option<MemoryId>,
        members: &Members<'_>,
        tunables: &Tunables,
    ) -> Result<DomainLayout> {
        let mut head = Head(ControlBlock::SIZE as u64);
        let mut heap = members
            .heap
            .map(|shape| unplaced_heap(shape, tunables))
            .transpose()?;
        self.fill_head(&mut head, shape, members, heap.as_mut())?;

        let head_size = align_up(head.0, REGION_ALIGN);
        let guard = match members.tables[..] {
            [] => 0,
            _ => HEAD_GUARD,
        };
        let mut below = head_size + guard;
        for &id in &members.tables {
            let size = u64::from(self.tables[id].capacity) * 8;
            below = align_up(below + size, REGION_ALIGN);
            ensure!(
                below <= MAX_BELOW_CTX,
                limit!(
                    ComponentSize,
                    "the tables of one component instance need more than {MAX_BELOW_CTX:#x} bytes; \
                     reduce `Config::table_reservation`"
                )
            );
            self.tables[id].offset = -(below as i64) as i32;
        }
        if let Some(heap) = &mut heap {
            below += HEAD_GUARD + heap.span();
            ensure!(
                below <= MAX_BELOW_CTX,
                limit!(
                    ComponentSize,
                    "the GC heap and the tables of one component instance need more than \
                     {MAX_BELOW_CTX:#x} bytes; reduce `Config::gc_heap_reservation` or \
                     `Config::table_reservation`"
                )
            );
            heap.offset = -(below as i64) as i32;
        }

        let ctx = start + below;
        let mut end = ctx;
        let others = members
            .memories
            .iter()
            .copied()
            .filter(|&id| Some(id) != main_memory);
        for id in main_memory.into_iter().chain(others) {
            self.memories[id].offset = end - ctx;
            end += self.memories[id].reserved;
        }
        Ok(DomainLayout {
            start,
            head: ctx - head_size,
            ctx,
            end,
            heap,
        })
    }

    /// Gives each value of a domain's head its offset.
    fn fill_head(
        &mut self,
        head: &mut Head,
        shape: &Shape,
        members: &Members<'_>,
        heap: Option<&mut HeapLayout>,
    ) -> Result<()> {
        for &id in &members.memories {
            self.memories[id].size_slot = head.take(8)?;
        }
        for &id in &members.tables {
            self.tables[id].size_slot = head.take(8)?;
        }
        for &id in &members.globals {
            self.globals[id].offset = head.take(u64::from(shape.globals[id].ty.size()))?;
        }
        for &id in &members.data {
            self.data_lengths[id].offset = head.take(4)?;
        }
        for &id in &members.elems {
            self.elem_lengths[id].offset = head.take(4)?;
        }
        if let Some(heap) = heap {
            heap.next_slot = head.take(8)?;
            heap.limit_slot = head.take(8)?;
            heap.half_slot = head.take(8)?;
            heap.size_slot = head.take(8)?;
        }
        Ok(())
    }
}

/// Rounds `value` up to a multiple of `align`.
fn align_up(value: u64, align: u64) -> u64 {
    value.next_multiple_of(align)
}

/// Allocates the values of a domain's head, downwards from `ctx`. The field is the number of bytes
/// in use.
pub(super) struct Head(pub(super) u64);

impl Head {
    /// Returns the `ctx`-relative offset of the next `size` bytes, which are aligned to `size`.
    ///
    /// # Errors
    ///
    /// Returns an error if the head is full. An offset further away would wrap to one above `ctx`,
    /// into the guest's memory.
    pub(super) fn take(&mut self, size: u64) -> Result<i32> {
        self.0 = align_up(self.0 + size, size);
        ensure!(
            self.0 <= MAX_BELOW_CTX,
            limit!(
                ComponentSize,
                "the globals and segments of one component instance need more than \
                 {MAX_BELOW_CTX:#x} bytes; use fewer"
            )
        );
        Ok(-(self.0 as i64) as i32)
    }
}

/// The members of a domain, each kind in order.
#[derive(Default)]
struct Members<'s> {
    heap: Option<&'s HeapShape>,
    memories: Vec<MemoryId>,
    tables: Vec<TableId>,
    globals: Vec<GlobalId>,
    data: Vec<DataId>,
    elems: Vec<ElemId>,
}

impl<'s> Members<'s> {
    /// Returns the members of each domain.
    fn of(shape: &'s Shape) -> IndexVec<DomainId, Members<'s>> {
        let mut domains: IndexVec<DomainId, Members<'s>> =
            shape.domains.keys().map(|_| Members::default()).collect();
        for (id, memory) in shape.memories.iter() {
            domains[memory.domain].memories.push(id);
        }
        for (id, table) in shape.tables.iter() {
            domains[table.domain].tables.push(id);
        }
        for (id, global) in shape.globals.iter() {
            domains[global.domain].globals.push(id);
        }
        for (id, &domain) in shape.data.iter() {
            domains[domain].data.push(id);
        }
        for (id, &domain) in shape.elems.iter() {
            domains[domain].elems.push(id);
        }
        for heap in &shape.heaps {
            domains[heap.domain].heap = Some(heap);
        }
        domains
    }
}

/// Returns the layout of `shape` with the sizes of its members. Their offsets are still 0, and
/// there are no domains yet.
fn unplaced(shape: &Shape, tunables: &Tunables) -> Result<SlabLayout> {
    let memories = shape
        .memories
        .iter()
        .map(|(id, memory)| unplaced_memory(id, memory, tunables));
    let tables = shape
        .tables
        .iter()
        .map(|(id, table)| unplaced_table(id, table, tunables));
    let slot = |domain: DomainId| HeadSlot { domain, offset: 0 };
    Ok(SlabLayout {
        size: 0,
        domains: IndexVec::default(),
        memories: memories.collect::<Result<Vec<_>>>()?.into(),
        tables: tables.collect::<Result<Vec<_>>>()?.into(),
        globals: shape
            .globals
            .values()
            .map(|global| slot(global.domain))
            .collect(),
        data_lengths: shape.data.values().map(|&domain| slot(domain)).collect(),
        elem_lengths: shape.elems.values().map(|&domain| slot(domain)).collect(),
    })
}

fn unplaced_memory(
    id: MemoryId,
    memory: &MemoryShape,
    tunables: &Tunables,
) -> Result<MemoryLayout> {
    let page_size = 1u64 << memory.page_size_log2;
    let bytes = |pages: u64| pages.saturating_mul(page_size);
    // A 32-bit memory of one-byte pages has one page less than there are addresses, so that its
    // size is an `i32`.
    let most_pages = if memory.index64 {
        u64::MAX
    } else {
        u64::from(u32::MAX)
    };
    let minimum = bytes(memory.minimum);
    let maximum = memory.maximum.map(|pages| bytes(pages.min(most_pages)));
    let reservation = reservation(memory, minimum, maximum, tunables);
    if minimum > reservation {
        let (id, pages) = (id.as_u32(), memory.minimum);
        ensure!(
            !memory.index64,
            limit!(
                AddressSpace,
                "memory {id} starts with {pages} pages, more than the address space of an instance \
                 can have ({MAX_SLAB} bytes)"
            )
        );
        bail!(limit!(
            Memory,
            "memory {id} starts with {pages} pages, more than `Config::memory_reservation` ({} \
             bytes) allows",
            tunables.memory_reservation
        ));
    }
    let maximum = maximum
        .unwrap_or(bytes(most_pages))
        .min(reservation)
        .max(minimum);
    let reserved = reservation + align_up(tunables.memory_guard.min(MAX_SLAB), REGION_ALIGN);
    Ok(MemoryLayout {
        domain: memory.domain,
        offset: 0,
        minimum,
        capacity: maximum & !(page_size - 1),
        page_size_log2: memory.page_size_log2,
        index64: memory.index64,
        reserved,
        size_slot: 0,
    })
}

/// Returns the bytes of address space that a memory can grow to unless it declares a smaller
/// maximum, a multiple of [`REGION_ALIGN`]. `minimum` and `maximum` are its declared sizes in
/// bytes.
fn reservation(
    memory: &MemoryShape,
    minimum: u64,
    maximum: Option<u64>,
    tunables: &Tunables,
) -> u64 {
    let bytes = if memory.index64 {
        let undeclared = tunables.memory64_reservation;
        let most = undeclared.saturating_mul(DECLARED_FACTOR);
        maximum
            .map_or(undeclared, |maximum| maximum.min(most))
            .max(minimum)
    } else {
        tunables.memory_reservation.min(1 << 32)
    };
    // Neither a memory nor its guard is larger than a slab, so that their sum does not overflow.
    align_up(bytes.min(MAX_SLAB), REGION_ALIGN)
}

fn unplaced_table(id: TableId, table: &TableShape, tunables: &Tunables) -> Result<TableLayout> {
    ensure!(
        table.minimum <= MAX_TABLE_MINIMUM,
        limit!(
            Table,
            "table {} starts with {} entries, more than the limit of {MAX_TABLE_MINIMUM}",
            id.as_u32(),
            table.minimum
        )
    );
    let cap = u64::from(tunables.table_reservation).min(MAX_TABLE_MINIMUM);
    let maximum = table
        .maximum
        .unwrap_or(u64::MAX)
        .min(cap)
        .max(table.minimum);
    Ok(TableLayout {
        domain: table.domain,
        offset: 0,
        minimum: table.minimum as u32,
        maximum: maximum as u32,
        capacity: (maximum as u32).max(1).next_power_of_two(),
        index64: table.index64,
        size_slot: 0,
    })
}

fn unplaced_heap(shape: &HeapShape, tunables: &Tunables) -> Result<HeapLayout> {
    let reservation = u64::from(tunables.gc_heap_reservation).min(MAX_HEAP);
    let fixed = HeapLayout::FIRST + align_up(shape.initial, REGION_ALIGN);
    // Even a tiny reservation leaves room for some objects in each half.
    let capacity = (reservation.saturating_sub(fixed) / 2 / REGION_ALIGN).max(1) * REGION_ALIGN;
    ensure!(
        shape.initial <= reservation / 2,
        limit!(
            Memory,
            "the objects that a component instance starts with take {} bytes, more than half of \
             `Config::gc_heap_reservation` ({} bytes)",
            shape.initial,
            tunables.gc_heap_reservation
        )
    );
    Ok(HeapLayout {
        offset: 0,
        initial: shape.initial,
        minimum: REGION_ALIGN,
        capacity,
        next_slot: 0,
        limit_slot: 0,
        half_slot: 0,
        size_slot: 0,
        zeal: tunables.gc_zeal,
    })
}
