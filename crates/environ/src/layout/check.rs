//! The check of a finished layout. It shares no code with the computation: it lists the regions
//! that the result claims, and compares them with each other and with their domains.

use super::{HeadSlot, REGION_ALIGN, Shape, SlabLayout};
use crate::{ControlBlock, DataId, DomainId, ElemId, GlobalId, MemoryId, TableId};
use anyhow::{Context, Result, ensure};
use std::fmt;

impl SlabLayout {
    /// Checks the invariants of this layout of `shape`.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first region that overlaps another or leaves its domain.
    pub fn verify(&self, shape: &Shape) -> Result<()> {
        let mut regions = Regions {
            layout: self,
            claimed: Vec::new(),
        };
        regions.claim_control_blocks()?;
        regions.claim_heads(shape)?;
        regions.claim_memories()?;
        regions.claim_tables()?;
        regions.claim_heaps()?;
        regions.ensure_disjoint()
    }
}

/// The regions that a layout claims.
struct Regions<'a> {
    layout: &'a SlabLayout,
    /// Slab offset, size, and what is there.
    claimed: Vec<(u64, u64, Region)>,
}

impl Regions<'_> {
    fn claim_control_blocks(&mut self) -> Result<()> {
        let size = ControlBlock::SIZE as u64;
        for (id, domain) in self.layout.domains.iter() {
            ensure!(
                domain.start <= domain.head && domain.head < domain.ctx && domain.ctx <= domain.end,
                "{id:?} is out of order"
            );
            ensure!(
                domain.end <= self.layout.size,
                "{id:?} ends after the end of the slab"
            );
            ensure!(
                domain.ctx % REGION_ALIGN == 0 && domain.head % REGION_ALIGN == 0,
                "{id:?} is not aligned"
            );
            let region = Region::ControlBlock(id);
            self.claimed.push((domain.ctx - size, size, region));
        }
        Ok(())
    }

    fn claim_heads(&mut self, shape: &Shape) -> Result<()> {
        for (id, memory) in self.layout.memories.iter() {
            self.claim_in_head(memory.domain, memory.size_slot, 8, Region::MemorySize(id))?;
        }
        for (id, table) in self.layout.tables.iter() {
            self.claim_in_head(table.domain, table.size_slot, 8, Region::TableSize(id))?;
        }
        for (id, &HeadSlot { domain, offset }) in self.layout.globals.iter() {
            let global = shape.globals.get(id);
            let ty = global.with_context(|| format!("{id:?} does not exist"))?.ty;
            self.claim_in_head(domain, offset, u64::from(ty.size()), Region::Global(id))?;
        }
        for (id, &HeadSlot { domain, offset }) in self.layout.data_lengths.iter() {
            self.claim_in_head(domain, offset, 4, Region::DataLength(id))?;
        }
        for (id, &HeadSlot { domain, offset }) in self.layout.elem_lengths.iter() {
            self.claim_in_head(domain, offset, 4, Region::ElemLength(id))?;
        }
        for (id, heap) in self.layout.heaps() {
            let words = [
                heap.next_slot,
                heap.limit_slot,
                heap.half_slot,
                heap.size_slot,
            ];
            for offset in words {
                self.claim_in_head(id, offset, 8, Region::HeapWord(id))?;
            }
        }
        Ok(())
    }

    /// Claims an aligned value of `size` bytes at `ctx + offset`.
    fn claim_in_head(
        &mut self,
        domain: DomainId,
        offset: i32,
        size: u64,
        region: Region,
    ) -> Result<()> {
        let domain = self.layout.domains.get(domain);
        let domain = domain.with_context(|| format!("{region} is in no domain"))?;
        let start = domain.ctx.wrapping_add_signed(i64::from(offset));
        ensure!(
            offset < 0 && start >= domain.head && start % size == 0,
            "{region} is not in its head"
        );
        self.claimed.push((start, size, region));
        Ok(())
    }

    fn claim_memories(&mut self) -> Result<()> {
        for (id, memory) in self.layout.memories.iter() {
            let domain = &self.layout.domains[memory.domain];
            ensure!(
                memory.minimum <= memory.capacity && memory.capacity <= memory.reserved,
                "{id:?} exceeds its reservation"
            );
            let start = self.layout.memory_start(id);
            ensure!(
                start >= domain.ctx && start + memory.reserved <= domain.end,
                "{id:?} leaves its domain"
            );
            self.claimed
                .push((start, memory.reserved, Region::Memory(id)));
        }
        Ok(())
    }

    fn claim_tables(&mut self) -> Result<()> {
        for (id, table) in self.layout.tables.iter() {
            let domain = &self.layout.domains[table.domain];
            ensure!(
                table.capacity.is_power_of_two() && table.maximum <= table.capacity,
                "{id:?} has no room for its maximum"
            );
            let start = self.layout.table_start(id);
            let size = u64::from(table.capacity) * 8;
            ensure!(
                start >= domain.start && start + size <= domain.head,
                "{id:?} leaves its domain"
            );
            self.claimed.push((start, size, Region::Table(id)));
        }
        Ok(())
    }

    fn claim_heaps(&mut self) -> Result<()> {
        for (id, heap) in self.layout.heaps() {
            let domain = &self.layout.domains[id];
            let start = self.layout.heap_start(id, heap);
            ensure!(
                heap.minimum <= heap.capacity
                    && heap.minimum % REGION_ALIGN == 0
                    && heap.capacity % REGION_ALIGN == 0,
                "the GC heap of {id:?} exceeds its reservation"
            );
            ensure!(
                start >= domain.start && start + heap.span() < domain.head && heap.span() < 1 << 31,
                "the GC heap of {id:?} leaves its domain"
            );
            self.claimed.push((start, heap.span(), Region::Heap(id)));
        }
        Ok(())
    }

    fn ensure_disjoint(mut self) -> Result<()> {
        self.claimed
            .sort_unstable_by_key(|&(start, size, _)| (start, size));
        for pair in self.claimed.windows(2) {
            let [(start, size, region), (next, _, other)] = [pair[0], pair[1]];
            ensure!(start + size <= next, "{region} overlaps {other}");
        }
        Ok(())
    }
}

/// A region of a slab. There can be millions, so that its name is only formatted when it is needed.
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
            Region::Heap(id) => write!(f, "GC heap of {id:?}"),
            Region::HeapWord(id) => write!(f, "a word of the GC heap of {id:?}"),
        }
    }
}
