//! The slab layout: where everything of a component instance lies, computed once, here, and read by
//! everyone else.
//!
//! ```text
//! one domain:  [ object heap | guard | tables ... | guard | segment lengths, globals, sizes | control block ]  ctx -> [ main memory + guard ][ memory ... ]
//! a slab:      [ domain 0 ][ domain 1 ] ...
//! ```
//!
//! Invariants, checked by [`SlabLayout::verify`], which shares no code with the computation:
//! regions do not overlap; all that machine code addresses relative to `ctx`, memories aside, is
//! within `i32`; whatever a zero-extended index can reach past a memory without a check is
//! inaccessible.

use crate::{
    ControlBlock, DataId, DomainId, ElemId, GlobalId, IndexVec, MemoryId, TableId, Tunables,
    ValType, limit,
};
use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Every region starts and ends at a multiple of this: the largest page size of the supported
/// hosts.
pub const REGION_ALIGN: u64 = 64 << 10;
/// Address space between a domain's tables and its head.
const HEAD_GUARD: u64 = REGION_ALIGN;
/// The most entries that a table may start with: 2^24 entries of 8 bytes are 128 MiB of image.
const MAX_TABLE_MINIMUM: u64 = 1 << 24;
/// What a domain's object heap, tables and head may take together, so that each is within `i32` of
/// `ctx`.
const MAX_BELOW_CTX: u64 = 1 << 31;
/// The most address space of one object heap, so that tables have room beside it.
const MAX_HEAP: u64 = 1 << 30;
/// The most address space of one slab: a sixteenth of the 47 bits that hosts have.
const MAX_SLAB: u64 = 1 << 43;

/// A 64-bit memory that declares a maximum gets it, up to this many times
/// [`Tunables::memory64_reservation`]: who declares a number knows how much the guest may use, but
/// a number can also mean "no limit".
pub const DECLARED_FACTOR: u64 = 8;

/// What the program says of a memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryShape {
    /// The domain that it belongs to.
    pub domain: DomainId,
    /// Initial size in pages.
    pub minimum: u64,
    /// Declared maximum in pages.
    pub maximum: Option<u64>,
    /// Base-two logarithm of the page size in bytes: 16 unless custom page sizes are used.
    pub page_size_log2: u8,
    /// Whether indexes are 64-bit.
    pub index64: bool,
}

/// What the program says of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableShape {
    /// The domain that it belongs to.
    pub domain: DomainId,
    /// Initial number of entries.
    pub minimum: u64,
    /// Declared maximum.
    pub maximum: Option<u64>,
    /// Whether indexes are 64-bit.
    pub index64: bool,
}

/// What the program says of a global.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalShape {
    /// The domain that it belongs to.
    pub domain: DomainId,
    /// Its value's type.
    pub ty: ValType,
}

/// What the program says of a domain's object heap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeapShape {
    /// The domain that it belongs to.
    pub domain: DomainId,
    /// Bytes of the objects that stand in it at the start, from [`HeapLayout::FIRST`] on: a
    /// multiple of 8.
    pub initial: u64,
}

/// Everything that takes room in a slab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The memory that `ctx` points at, for each domain with memories.
    pub domains: IndexVec<DomainId, Option<MemoryId>>,
    /// All memories.
    pub memories: IndexVec<MemoryId, MemoryShape>,
    /// All tables.
    pub tables: IndexVec<TableId, TableShape>,
    /// All globals that need storage.
    pub globals: IndexVec<GlobalId, GlobalShape>,
    /// The object heaps of the domains whose code can allocate, at most one for each, in order of
    /// domains.
    pub heaps: Vec<HeapShape>,
    /// The domain of each data segment with a run-time length.
    pub data: IndexVec<DataId, DomainId>,
    /// The domain of each element segment with a run-time length.
    pub elems: IndexVec<ElemId, DomainId>,
}

/// Where a domain lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainLayout {
    /// Slab offset of the domain's first byte.
    pub start: u64,
    /// Slab offset of the head's first page.
    pub head: u64,
    /// Slab offset that the domain's `ctx` points to: the end of its head.
    pub ctx: u64,
    /// Slab offset behind the domain's last guard.
    pub end: u64,
    /// Its object heap, if its code can allocate.
    pub heap: Option<HeapLayout>,
}

/// Where a domain's object heap lies.
///
/// A reference to an object is its offset from the start of the heap, so that null, which is 0, and
/// the first fields behind it lie in the inaccessible bytes up to [`FIRST`](Self::FIRST): an access
/// to them faults. Behind these are the objects that stand there from the start and never move, and
/// then two halves of equal size. All other objects lie in one of them, and a collection moves
/// those that are reachable to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeapLayout {
    /// Offset of its first byte from `ctx`.
    pub offset: i32,
    /// Bytes of the objects that never move.
    pub initial: u64,
    /// Bytes of each half that are accessible at the start.
    pub minimum: u64,
    /// Bytes that each half can grow to.
    pub capacity: u64,
    /// Offset from `ctx` of the 8-byte word that holds the reference that the next object gets.
    pub next_slot: i32,
    /// Offset from `ctx` of the 8-byte word that holds the offset from the start of the heap that
    /// objects must not go beyond without asking the runtime.
    pub limit_slot: i32,
    /// Offset from `ctx` of the 8-byte word that holds the first reference of the half that objects
    /// lie in.
    pub half_slot: i32,
    /// Offset from `ctx` of the 8-byte word that holds how many bytes of each half are accessible.
    pub size_slot: i32,
    /// Whether the limit leaves no room for any object, so that each allocation asks the runtime,
    /// which collects.
    pub zeal: bool,
}

impl HeapLayout {
    /// The first reference: the bytes below it are never accessible.
    pub const FIRST: u64 = REGION_ALIGN;
    /// What each object's size and place are a multiple of.
    pub const ALIGN: u64 = 8;

    /// Bytes that are accessible for the objects that never move.
    pub fn static_size(&self) -> u64 {
        align_up(self.initial, REGION_ALIGN)
    }

    /// The first reference in each half.
    pub fn halves(&self) -> [u64; 2] {
        let first = Self::FIRST + self.static_size();
        [first, first + self.capacity]
    }

    /// The offset from the start of the heap that objects must not go beyond when `size` bytes of
    /// the half from `half` on are accessible.
    pub fn limit(&self, half: u64, size: u64) -> u64 {
        if self.zeal { half } else { half + size }
    }

    /// Bytes from the start of the heap to its end.
    pub fn span(&self) -> u64 {
        Self::FIRST + self.static_size() + 2 * self.capacity
    }
}

/// Where a memory lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLayout {
    /// Its domain.
    pub domain: DomainId,
    /// Offset of byte 0 from `ctx`: 0 for the domain's main memory.
    pub offset: u64,
    /// Initial size in bytes.
    pub minimum: u64,
    /// Bytes that it can grow to.
    pub capacity: u64,
    /// Base-two logarithm of the page size.
    pub page_size_log2: u8,
    /// Whether indexes are 64-bit.
    pub index64: bool,
    /// Bytes from the first on which are this memory's alone, accessible or not; the rest up to
    /// here faults.
    pub reserved: u64,
    /// Offset from `ctx` of the 8-byte word that holds the current size in bytes.
    pub size_slot: i32,
}

impl MemoryLayout {
    /// Whether an access of `size` bytes at a zero-extended 32-bit index plus `offset` needs a
    /// bounds check.
    pub fn needs_check(&self, offset: u64, size: u32) -> bool {
        let reach = (1u64 << 32)
            .checked_add(offset)
            .and_then(|end| end.checked_add(u64::from(size)));
        // The capacity must itself end at a page of the host, or bytes behind it on the same page
        // would not fault.
        self.index64 || self.page_size_log2 < 16 || reach.is_none_or(|reach| reach > self.reserved)
    }
}

/// Where a table lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLayout {
    /// Its domain.
    pub domain: DomainId,
    /// Offset of entry 0 from `ctx`.
    pub offset: i32,
    /// Initial number of entries.
    pub minimum: u32,
    /// The number of entries that it can grow to.
    pub maximum: u32,
    /// Entries that the place has room for, all accessible: a power of two, so that an index can be
    /// masked with it less one.
    pub capacity: u32,
    /// Whether indexes are 64-bit.
    pub index64: bool,
    /// Offset from `ctx` of the 8-byte word that holds the current number of entries.
    pub size_slot: i32,
}

impl TableLayout {
    /// Whether the table always has its initial size.
    pub fn is_fixed(&self) -> bool {
        self.minimum == self.maximum
    }
}

/// A value in a domain's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadSlot {
    /// Its domain.
    pub domain: DomainId,
    /// Its offset from `ctx`, always negative.
    pub offset: i32,
}

/// The start of a part of a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlabPart {
    /// Its slab offset.
    pub start: u64,
    /// Whether it is the end of a head: each instance that is used writes to it.
    pub copied: bool,
}

/// Where everything of one root component instance lies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlabLayout {
    /// Bytes of address space of the slab.
    pub size: u64,
    /// Domains.
    pub domains: IndexVec<DomainId, DomainLayout>,
    /// Memories.
    pub memories: IndexVec<MemoryId, MemoryLayout>,
    /// Tables.
    pub tables: IndexVec<TableId, TableLayout>,
    /// Globals.
    pub globals: IndexVec<GlobalId, HeadSlot>,
    /// 4-byte words with the current length in bytes of each data segment: 0 once it is dropped.
    pub data_lengths: IndexVec<DataId, HeadSlot>,
    /// 4-byte words with the current length in entries of each element segment: 0 once it is
    /// dropped.
    pub elem_lengths: IndexVec<ElemId, HeadSlot>,
}

fn align_up(value: u64, align: u64) -> u64 {
    value.next_multiple_of(align)
}

/// Hands out places below `ctx`, downwards.
struct Head(u64);

impl Head {
    /// The offset of the next `size` bytes.
    ///
    /// # Errors
    ///
    /// When it is too far from `ctx`: a larger number would wrap to an offset above it, where the
    /// guest's memory is.
    fn take(&mut self, size: u64) -> Result<i32> {
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

impl SlabLayout {
    /// Lays out `shape`.
    ///
    /// # Errors
    ///
    /// When a memory or table starts larger than its reservation, or the whole does not fit the
    /// address space.
    pub fn compute(shape: &Shape, tunables: &Tunables) -> Result<SlabLayout> {
        let mut layout = SlabLayout {
            memories: shape
                .memories
                .iter()
                .map(|(id, memory)| memory_layout(id, memory, tunables))
                .collect::<Result<Vec<_>>>()?
                .into(),
            tables: shape
                .tables
                .iter()
                .map(|(id, table)| table_layout(id, table, tunables))
                .collect::<Result<Vec<_>>>()?
                .into(),
            ..SlabLayout::default()
        };
        let unplaced = |domain| HeadSlot { domain, offset: 0 };
        layout.globals = shape
            .globals
            .values()
            .map(|global| unplaced(global.domain))
            .collect();
        layout.data_lengths = shape
            .data
            .values()
            .map(|&domain| unplaced(domain))
            .collect();
        layout.elem_lengths = shape
            .elems
            .values()
            .map(|&domain| unplaced(domain))
            .collect();

        let members = Members::of(shape);
        let mut position = 0;
        for (id, &main_memory) in shape.domains.iter() {
            let domain =
                layout.place_domain(shape, position, main_memory, &members[id], tunables)?;
            position = domain.end;
            ensure!(
                position <= MAX_SLAB,
                limit!(
                    ComponentSize,
                    "the component needs more than {MAX_SLAB:#x} bytes of address space; reduce \
                 `Config::memory_reservation` (or, for 64-bit memories, \
                 `Config::memory64_reservation`), or what the memories declare"
                )
            );
            layout.domains.push(domain);
        }
        layout.size = position;
        layout.verify(shape)?;
        Ok(layout)
    }

    fn place_domain(
        &mut self,
        shape: &Shape,
        start: u64,
        main_memory: Option<MemoryId>,
        members: &Members<'_>,
        tunables: &Tunables,
    ) -> Result<DomainLayout> {
        let mut head = Head(ControlBlock::SIZE as u64);
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
        let mut heap = members
            .heap
            .map(|shape| heap_layout(shape, tunables))
            .transpose()?;
        if let Some(heap) = &mut heap {
            heap.next_slot = head.take(8)?;
            heap.limit_slot = head.take(8)?;
            heap.half_slot = head.take(8)?;
            heap.size_slot = head.take(8)?;
        }

        let head_size = align_up(head.0, REGION_ALIGN);
        let mut below = head_size
            + if members.tables.is_empty() {
                0
            } else {
                HEAD_GUARD
            };
        for &id in &members.tables {
            below = align_up(
                below + u64::from(self.tables[id].capacity) * 8,
                REGION_ALIGN,
            );
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
                    "the object heap and the tables of one component instance need more than \
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

    /// Slab offset of the first byte of a domain's object heap.
    pub fn heap_start(&self, domain: DomainId, heap: &HeapLayout) -> u64 {
        self.domains[domain]
            .ctx
            .wrapping_add_signed(i64::from(heap.offset))
    }

    /// The object heaps, and whose they are.
    pub fn heaps(&self) -> impl Iterator<Item = (DomainId, &HeapLayout)> {
        self.domains
            .iter()
            .filter_map(|(id, domain)| Some((id, domain.heap.as_ref()?)))
    }

    /// The places where a part of the slab starts whose contents are one stretch from there on:
    /// heads, memories, tables, and the three parts of object heaps; in order. What lies between
    /// two bytes of one part that an instance may access is accessible, too.
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

    /// Slab offset of byte 0 of a memory.
    pub fn memory_start(&self, id: MemoryId) -> u64 {
        let memory = &self.memories[id];
        self.domains[memory.domain].ctx + memory.offset
    }

    /// Slab offset of entry 0 of a table.
    pub fn table_start(&self, id: TableId) -> u64 {
        let table = &self.tables[id];
        self.domains[table.domain]
            .ctx
            .wrapping_add_signed(i64::from(table.offset))
    }

    /// Slab offset of a place in a domain's head.
    pub fn slot_start(&self, slot: HeadSlot) -> u64 {
        self.domains[slot.domain]
            .ctx
            .wrapping_add_signed(i64::from(slot.offset))
    }

    /// Checks the invariants of the layout, of `shape`, from the result alone.
    ///
    /// # Errors
    ///
    /// Names the first region that overlaps another or leaves its domain.
    pub fn verify(&self, shape: &Shape) -> Result<()> {
        let mut regions: Vec<(u64, u64, Region)> = Vec::new();
        for (id, domain) in self.domains.iter() {
            ensure!(
                domain.start <= domain.head && domain.head < domain.ctx && domain.ctx <= domain.end,
                "{id:?} is out of order"
            );
            ensure!(domain.end <= self.size, "{id:?} ends behind the slab");
            ensure!(
                domain.ctx % REGION_ALIGN == 0 && domain.head % REGION_ALIGN == 0,
                "{id:?} is not aligned"
            );
            let control = ControlBlock::SIZE as u64;
            regions.push((domain.ctx - control, control, Region::ControlBlock(id)));
        }
        let mut slot = |domain: DomainId, offset: i32, size: u64, what: Region| {
            let Some(layout) = self.domains.get(domain) else {
                bail!("{what} is in no domain")
            };
            let start = layout.ctx.wrapping_add_signed(i64::from(offset));
            ensure!(
                offset < 0 && start >= layout.head && start % size == 0,
                "{what} is not in its head"
            );
            regions.push((start, size, what));
            Ok(())
        };
        for (id, memory) in self.memories.iter() {
            slot(memory.domain, memory.size_slot, 8, Region::MemorySize(id))?;
        }
        for (id, table) in self.tables.iter() {
            slot(table.domain, table.size_slot, 8, Region::TableSize(id))?;
        }
        for (id, global) in self.globals.iter() {
            let Some(GlobalShape { ty, .. }) = shape.globals.get(id) else {
                bail!("{id:?} does not exist")
            };
            slot(
                global.domain,
                global.offset,
                u64::from(ty.size()),
                Region::Global(id),
            )?;
        }
        for (id, data) in self.data_lengths.iter() {
            slot(data.domain, data.offset, 4, Region::DataLength(id))?;
        }
        for (id, elem) in self.elem_lengths.iter() {
            slot(elem.domain, elem.offset, 4, Region::ElemLength(id))?;
        }
        for (id, heap) in self.heaps() {
            for offset in [
                heap.next_slot,
                heap.limit_slot,
                heap.half_slot,
                heap.size_slot,
            ] {
                slot(id, offset, 8, Region::HeapWord(id))?;
            }
        }
        for (id, memory) in self.memories.iter() {
            let domain = &self.domains[memory.domain];
            ensure!(
                memory.minimum <= memory.capacity && memory.capacity <= memory.reserved,
                "{id:?} exceeds its reservation"
            );
            let start = self.memory_start(id);
            ensure!(
                start >= domain.ctx && start + memory.reserved <= domain.end,
                "{id:?} leaves its domain"
            );
            regions.push((start, memory.reserved, Region::Memory(id)));
        }
        for (id, table) in self.tables.iter() {
            let domain = &self.domains[table.domain];
            ensure!(
                table.capacity.is_power_of_two() && table.maximum <= table.capacity,
                "{id:?} has no room for its maximum"
            );
            let (start, size) = (self.table_start(id), u64::from(table.capacity) * 8);
            ensure!(
                start >= domain.start && start + size <= domain.head,
                "{id:?} leaves its domain"
            );
            regions.push((start, size, Region::Table(id)));
        }
        for (id, heap) in self.heaps() {
            let domain = &self.domains[id];
            let start = self.heap_start(id, heap);
            ensure!(
                heap.minimum <= heap.capacity
                    && heap.minimum % REGION_ALIGN == 0
                    && heap.capacity % REGION_ALIGN == 0,
                "the object heap of {id:?} exceeds its reservation"
            );
            ensure!(
                start >= domain.start && start + heap.span() < domain.head && heap.span() < 1 << 31,
                "the object heap of {id:?} leaves its domain"
            );
            regions.push((start, heap.span(), Region::Heap(id)));
        }
        regions.sort_unstable_by_key(|&(start, size, _)| (start, size));
        for pair in regions.windows(2) {
            ensure!(
                pair[0].0 + pair[0].1 <= pair[1].0,
                "{} overlaps {}",
                pair[0].2,
                pair[1].2
            );
        }
        Ok(())
    }
}

/// What lies somewhere in a slab. (Its name is made only when it is needed: there can be millions.)
#[derive(Clone, Copy)]
enum Region {
    ControlBlock(DomainId),
    Memory(MemoryId),
    MemorySize(MemoryId),
    Table(TableId),
    TableSize(TableId),
    Global(GlobalId),
    DataLength(DataId),
    ElemLength(ElemId),
    Heap(DomainId),
    HeapWord(DomainId),
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Region::ControlBlock(id) => write!(f, "control block of {id:?}"),
            Region::Memory(id) => write!(f, "{id:?}"),
            Region::MemorySize(id) => write!(f, "size of {id:?}"),
            Region::Table(id) => write!(f, "{id:?}"),
            Region::TableSize(id) => write!(f, "size of {id:?}"),
            Region::Global(id) => write!(f, "{id:?}"),
            Region::DataLength(id) => write!(f, "length of {id:?}"),
            Region::ElemLength(id) => write!(f, "length of {id:?}"),
            Region::Heap(id) => write!(f, "object heap of {id:?}"),
            Region::HeapWord(id) => write!(f, "a word of the object heap of {id:?}"),
        }
    }
}

/// The members of each domain, in order.
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
    fn of(shape: &'s Shape) -> IndexVec<DomainId, Members<'s>> {
        let mut domains: IndexVec<DomainId, Members<'s>> =
            shape.domains.keys().map(|_| Members::default()).collect();
        shape
            .memories
            .iter()
            .for_each(|(id, memory)| domains[memory.domain].memories.push(id));
        shape
            .tables
            .iter()
            .for_each(|(id, table)| domains[table.domain].tables.push(id));
        shape
            .globals
            .iter()
            .for_each(|(id, global)| domains[global.domain].globals.push(id));
        shape
            .data
            .iter()
            .for_each(|(id, &domain)| domains[domain].data.push(id));
        shape
            .elems
            .iter()
            .for_each(|(id, &domain)| domains[domain].elems.push(id));
        shape
            .heaps
            .iter()
            .for_each(|heap| domains[heap.domain].heap = Some(heap));
        domains
    }
}

/// Bytes that a memory can grow to unless it declares a smaller maximum, a multiple of
/// [`REGION_ALIGN`]. `minimum` and `maximum` are what it declares, in bytes.
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
    // No memory is larger than a slab can be; neither is its guard. Sums of the two cannot
    // overflow.
    align_up(bytes.min(MAX_SLAB), REGION_ALIGN)
}

fn memory_layout(id: MemoryId, memory: &MemoryShape, tunables: &Tunables) -> Result<MemoryLayout> {
    let page_size = 1u64 << memory.page_size_log2;
    let bytes = |pages: u64| pages.saturating_mul(page_size);
    // A 32-bit memory of one-byte pages has one page less than there are addresses, or its size
    // would be no `i32`.
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
                ComponentSize,
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

fn table_layout(id: TableId, table: &TableShape, tunables: &Tunables) -> Result<TableLayout> {
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

fn heap_layout(shape: &HeapShape, tunables: &Tunables) -> Result<HeapLayout> {
    let reservation = u64::from(tunables.gc_heap_reservation).min(MAX_HEAP);
    let fixed = HeapLayout::FIRST + align_up(shape.initial, REGION_ALIGN);
    // At least what makes sense of a heap: a few objects in each half.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(domain: u32, minimum: u64) -> MemoryShape {
        MemoryShape {
            domain: DomainId::from_u32(domain),
            minimum,
            maximum: None,
            page_size_log2: 16,
            index64: false,
        }
    }

    #[test]
    fn main_memory_is_at_ctx_and_the_rest_follows() {
        let mut shape = Shape::default();
        let first = shape.memories.push(memory(0, 1));
        let main = shape.memories.push(memory(0, 2));
        shape.domains.push(Some(main));
        let other = shape.memories.push(memory(1, 0));
        shape.domains.push(Some(other));
        shape.tables.push(TableShape {
            domain: DomainId::from_u32(1),
            minimum: 3,
            maximum: Some(5),
            index64: false,
        });
        for ty in [ValType::I32, ValType::V128, ValType::F64] {
            shape.globals.push(GlobalShape {
                domain: DomainId::from_u32(1),
                ty,
            });
        }
        let layout = SlabLayout::compute(&shape, &Tunables::default()).unwrap();
        layout.verify(&shape).unwrap();
        assert_eq!(layout.memories[main].offset, 0);
        assert_eq!(layout.memories[first].offset, 6 << 30);
        assert_eq!(layout.tables[TableId::from_u32(0)].capacity, 8);
        assert!(!layout.memories[main].needs_check(0x7fff_fff0, 8));
        assert!(layout.memories[main].needs_check(0x8000_0000, 1));
    }

    #[test]
    fn heaps_lie_below_tables_within_their_reservation() {
        let mut shape = Shape::default();
        shape.domains.push(None);
        let id = shape.domains.push(None);
        shape.heaps.push(HeapShape {
            domain: id,
            initial: REGION_ALIGN,
        });
        shape.tables.push(TableShape {
            domain: id,
            minimum: 3,
            maximum: None,
            index64: false,
        });
        for (reservation, capacity) in [
            (1 << 20, 7 * REGION_ALIGN),
            (u32::MAX, (MAX_HEAP - REGION_ALIGN * 2) / 2),
        ] {
            let tunables = Tunables {
                gc_heap_reservation: reservation,
                ..Tunables::default()
            };
            let layout = SlabLayout::compute(&shape, &tunables).unwrap();
            assert_eq!(layout.domains[DomainId::from_u32(0)].heap, None);
            let heap = layout.domains[id].heap.as_ref().unwrap();
            assert_eq!(
                (heap.static_size(), heap.minimum),
                (REGION_ALIGN, REGION_ALIGN)
            );
            assert_eq!(heap.capacity, capacity);
            let end = layout.heap_start(id, heap) + heap.span();
            assert!(end < layout.table_start(TableId::from_u32(0)));
        }
        let tunables = Tunables {
            gc_heap_reservation: 1 << 16,
            ..Tunables::default()
        };
        let error = SlabLayout::compute(&shape, &tunables)
            .unwrap_err()
            .to_string();
        assert!(error.contains("gc_heap_reservation"), "{error}");
    }

    #[test]
    fn too_large_minimum_is_an_error_that_names_the_setting() {
        let mut shape = Shape::default();
        let id = shape.memories.push(memory(0, 100));
        shape.domains.push(Some(id));
        let tunables = Tunables {
            memory_reservation: 1 << 20,
            ..Tunables::default()
        };
        let error = SlabLayout::compute(&shape, &tunables)
            .unwrap_err()
            .to_string();
        assert!(error.contains("memory_reservation"), "{error}");
    }

    /// The layout of a single 64-bit memory with these numbers of pages.
    fn wide(minimum: u64, maximum: Option<u64>, tunables: &Tunables) -> Result<MemoryLayout> {
        let mut shape = Shape::default();
        let id = shape.memories.push(MemoryShape {
            maximum,
            index64: true,
            ..memory(0, minimum)
        });
        shape.domains.push(Some(id));
        let layout = SlabLayout::compute(&shape, tunables)?;
        assert!(layout.memories[id].needs_check(0, 1));
        Ok(layout.memories[id].clone())
    }

    #[test]
    fn memories_with_64_bit_indexes_reserve_what_they_may_need() {
        let default = Tunables::default();
        let gib = |bytes: u64| (bytes << 30) >> 16;
        for (minimum, maximum, capacity) in [
            (0, None, 16),
            (gib(5), None, 16),
            (gib(20), None, 20),
            (0, Some(gib(1)), 1),
            (gib(2), Some(gib(2)), 2),
            (0, Some(gib(40)), 40),
            (0, Some(1 << 48), 128),
            (gib(200), Some(u64::MAX), 200),
        ] {
            let layout = wide(minimum, maximum, &default).unwrap();
            let expected = (minimum << 16, capacity << 30, (capacity + 2) << 30);
            let actual = (layout.minimum, layout.capacity, layout.reserved);
            assert_eq!(actual, expected, "{minimum} {maximum:?}");
        }
        // What 32-bit memories may take has no part in it, nor the other way round.
        let small = Tunables {
            memory_reservation: 1 << 20,
            memory64_reservation: 8 << 30,
            ..Tunables::default()
        };
        assert_eq!(wide(0, None, &small).unwrap().capacity, 8 << 30);
        for (minimum, tunables) in [
            (1 << 48, default.clone()),
            (u64::MAX, default.clone()),
            (
                0,
                Tunables {
                    memory64_reservation: u64::MAX,
                    ..default.clone()
                },
            ),
            (
                0,
                Tunables {
                    memory64_reservation: 1 << 16,
                    memory_guard: u64::MAX,
                    ..default
                },
            ),
        ] {
            let error = wide(minimum, None, &tunables).unwrap_err().to_string();
            assert!(error.contains("address space"), "{error}");
        }
    }

    #[test]
    fn memories_with_32_bit_indexes_use_4_gib_at_most() {
        let mut shape = Shape::default();
        let id = shape.memories.push(memory(0, 1));
        shape.domains.push(Some(id));
        let tunables = Tunables {
            memory_reservation: 16 << 30,
            ..Tunables::default()
        };
        let layout = SlabLayout::compute(&shape, &tunables).unwrap();
        assert_eq!(layout.memories[id].capacity, 4 << 30);
        assert!(!layout.memories[id].needs_check(0, 1));
    }

    #[test]
    fn parts_are_in_order_and_the_ends_of_heads_are_copied() {
        let mut shape = Shape::default();
        let main = shape.memories.push(memory(0, 1));
        let domain = shape.domains.push(Some(main));
        // More globals than fit in the first 64 KiB of a head.
        for _ in 0..10_000 {
            shape.globals.push(GlobalShape {
                domain,
                ty: ValType::V128,
            });
        }
        shape.tables.push(TableShape {
            domain,
            minimum: 3,
            maximum: Some(5),
            index64: false,
        });
        shape.heaps.push(HeapShape { domain, initial: 8 });
        let layout = SlabLayout::compute(&shape, &Tunables::default()).unwrap();
        let DomainLayout {
            head, ctx, heap, ..
        } = &layout.domains[domain];
        let heap = heap.as_ref().unwrap();
        let (start, [first, second]) = (layout.heap_start(domain, heap), heap.halves());
        let parts = layout
            .parts()
            .into_iter()
            .map(|part| (part.start, part.copied));
        let expected = [
            (start + HeapLayout::FIRST, false),
            (start + first, false),
            (start + second, false),
            (layout.table_start(TableId::from_u32(0)), false),
            (*head, false),
            (ctx - REGION_ALIGN, true),
            (*ctx, false),
        ];
        assert_eq!(parts.collect::<Vec<_>>(), expected);
        assert_eq!(ctx - head, 3 * REGION_ALIGN);
    }

    #[test]
    fn nothing_in_a_head_is_too_far_from_ctx() {
        let mut head = Head(MAX_BELOW_CTX - 24);
        assert_eq!(head.take(8).unwrap(), i32::MIN + 16);
        assert_eq!(head.take(16).unwrap(), i32::MIN);
        assert!(head.take(4).unwrap_err().to_string().contains("globals"));
    }

    #[test]
    fn overlapping_globals_are_seen() {
        let mut shape = Shape::default();
        shape.domains.push(None);
        for ty in [ValType::I64, ValType::I32] {
            shape.globals.push(GlobalShape {
                domain: DomainId::from_u32(0),
                ty,
            });
        }
        let mut layout = SlabLayout::compute(&shape, &Tunables::default()).unwrap();
        // The number lies in the upper half of the other one.
        layout.globals[GlobalId::from_u32(1)].offset =
            layout.globals[GlobalId::from_u32(0)].offset + 4;
        let error = layout.verify(&shape).unwrap_err().to_string();
        assert!(error.contains("overlaps"), "{error}");
    }
}
