//! Allocation in the GC heap of a component instance when the words in its head say that there is
//! no room.
//!
//! GC roots are references in globals, tables, static objects, and the frames of all calls into the
//! instance, where stack maps list them. The host keeps none.

use super::collector::Collection;
use crate::bulk::Pauses;
use crate::entry::{AskLimiter, activation, unwind};
use crate::instance::InstanceData;
use crate::instance::growth::Permission;
use crate::instance::limits::{Growing, Growth};
use mintage_environ::layout::HeapLayout;
use mintage_environ::{DomainId, Trap};

/// A GC heap, whose words are in its head.
struct Heap<'d> {
    data: &'d InstanceData,
    domain: DomainId,
    layout: &'d HeapLayout,
}

/// Allocates `size` bytes, a multiple of [`HeapLayout::ALIGN`], in the heap of `domain`. Returns a
/// reference to them. Their contents are undefined. If there is no room, unreachable objects are
/// dropped and all others move.
///
/// # Errors
///
/// The trap, if there still is no room.
///
/// # Safety
///
/// Called for machine code of the innermost activation of this thread, which has recorded its exit.
pub unsafe fn allocate(data: &InstanceData, domain: DomainId, size: u64) -> Result<u32, Trap> {
    let layout = data
        .code()
        .layout()
        .domains
        .get(domain)
        .and_then(|domain| domain.heap.as_ref());
    let heap = Heap {
        data,
        domain,
        layout: layout.ok_or(Trap::HeapExhausted)?,
    };
    if size > heap.layout.capacity {
        return Err(Trap::AllocationTooLarge);
    }
    if heap.layout.zeal || size > heap.room() {
        // SAFETY: as the caller promises.
        let walked = unsafe { heap.collect()? };
        heap.grow(size, walked)?;
    }
    heap.take(size)
}

/// The cost of visiting a frame, in bytes of objects that could be copied meanwhile.
const FRAME_COST: u64 = 64;

impl Heap<'_> {
    fn word(&self, slot: i32) -> u64 {
        // SAFETY: the slot is an aligned word of the head.
        unsafe { self.data.size_slot(self.domain, slot).read() }
    }

    fn set_word(&self, slot: i32, value: u64) {
        // SAFETY: as above.
        unsafe { self.data.size_slot(self.domain, slot).write(value) }
    }

    /// Returns the bytes that are free in the half in use.
    fn room(&self) -> u64 {
        let end = self.word(self.layout.half_slot) + self.word(self.layout.size_slot);
        end - self.word(self.layout.next_slot)
    }

    fn limiter(&self) -> AskLimiter<'_> {
        // SAFETY: only `allocate` makes a `Heap`, and it is called for machine code of the
        // innermost activation of this thread.
        unsafe { AskLimiter::new(self.data) }
    }

    /// Returns the address of the first byte.
    fn base(&self) -> *mut u8 {
        let ctx = self.data.ctx(self.domain);
        ctx.wrapping_offset(self.layout.offset as isize)
    }

    /// Collects garbage: moves what is reachable to the other half. Returns how many frames were
    /// visited.
    ///
    /// # Errors
    ///
    /// [`Trap::Interrupt`] if the guest is to stop. Some objects have moved then, and nothing may
    /// run in the instance any more. So a collection is only interrupted if no outer call into the
    /// instance could continue.
    ///
    /// # Safety
    ///
    /// As [`allocate`].
    unsafe fn collect(&self) -> Result<u64, Trap> {
        let (data, layout) = (self.data, self.layout);
        let (half, next, size) = (
            self.word(layout.half_slot),
            self.word(layout.next_slot),
            self.word(layout.size_slot),
        );
        let [first, second] = layout.halves();
        let other = if half == first { second } else { first };
        let pauses = if activation::is_only_call(data) {
            data.pauses(usize::MAX)
        } else {
            Pauses::NEVER
        };
        let objects = &data.code().metadata().objects;
        // SAFETY: machine code puts nothing but objects into the heap, both halves have as many
        // accessible bytes, and machine code waits. The words that are passed as roots hold
        // references.
        let (end, walked) = unsafe {
            let mut collection = Collection::new(self.base(), objects, half..next, other, pauses);
            let walked = self.roots(&mut collection)?;
            (collection.finish()?, walked)
        };
        if layout.zeal {
            // This reveals references to the old places.
            //
            // SAFETY: the half is accessible, and nothing in it is needed any more.
            unsafe {
                self.base()
                    .add(half as usize)
                    .write_bytes(0xff, (next - half) as usize)
            };
        }
        self.set_word(layout.half_slot, other);
        self.set_word(layout.next_slot, end);
        self.set_word(layout.limit_slot, layout.limit(other, size));
        Ok(walked)
    }

    /// Keeps what the heap's GC roots refer to. Returns how many frames were visited.
    ///
    /// # Errors
    ///
    /// As [`collect`](Self::collect).
    ///
    /// # Safety
    ///
    /// As [`allocate`]. The collection is one of this heap.
    unsafe fn roots(&self, collection: &mut Collection<'_>) -> Result<u64, Trap> {
        let (data, layout) = (self.data, self.layout);
        let metadata = data.code().metadata();
        // SAFETY: the range holds the static objects, and the words are globals and table entries
        // that hold references.
        unsafe {
            collection.static_objects(HeapLayout::FIRST..HeapLayout::FIRST + layout.initial)?;
            for &global in &metadata.traced_globals {
                let slot = data.code().layout().globals[global];
                if slot.domain == self.domain {
                    collection.root(data.slot(slot).cast())?;
                }
            }
            for &id in &metadata.traced_tables {
                if data.code().layout().tables[id].domain == self.domain
                    && let Some(table) = data.table(id)
                {
                    for index in 0..table.size as usize {
                        collection.root(table.base.add(index))?;
                    }
                }
            }
        }
        let mut kept = Ok(());
        // SAFETY: as the caller promises. Stack maps list words that hold references.
        let walked = unsafe {
            unwind::visit_references(data, |domain, word| {
                if domain == self.domain && kept.is_ok() {
                    kept = collection.root(word);
                }
            })
        };
        kept.map(|()| walked)
    }

    /// Makes room for `size` more bytes, and for as much allocation as the last collection, which
    /// visited `walked` frames, has cost. So collections cost little more than allocations do.
    ///
    /// # Errors
    ///
    /// The trap, if there is no room for `size` bytes. If the limiter gave a reason, that is left
    /// as the failure of the store's current state.
    fn grow(&self, size: u64, walked: u64) -> Result<(), Trap> {
        let layout = self.layout;
        let (half, old_size) = (self.word(layout.half_slot), self.word(layout.size_slot));
        let used = self.word(layout.next_slot) - half;
        let wanted = 2 * used + size + walked * FRAME_COST;
        if wanted <= old_size {
            return Ok(());
        }
        let needed = (used + size).next_multiple_of(HeapLayout::FIRST);
        if needed > layout.capacity {
            return Err(Trap::HeapExhausted);
        }
        let wanted = wanted.next_multiple_of(HeapLayout::FIRST).max(2 * old_size);
        // If the limiter or the system refuses more than is needed, what is needed will do.
        let mut sizes = [wanted.min(layout.capacity), needed].into_iter();
        let has_grown = |size| self.may_have(size) && self.make_accessible(old_size, size);
        if !sizes.any(|size| size <= old_size || has_grown(size)) {
            return Err(Trap::HeapExhausted);
        }
        // There is room, so the limiter's objection to more of it does not matter.
        drop(self.data.current().failure.take());
        Ok(())
    }

    /// Makes the halves larger. If the system refuses, the limiter is told. Returns whether they
    /// are larger.
    fn make_accessible(&self, old_size: u64, new_size: u64) -> bool {
        let layout = self.layout;
        let start = self.data.code().layout().heap_start(self.domain, layout);
        if let Err(error) = self
            .data
            .slab()
            .grow_heap(start, layout, old_size, new_size)
        {
            let growth = self.growth(new_size);
            // The caller, who knows how much is needed, decides whether that ends the call.
            let _ = (&self.limiter()).failed(&growth, error);
            return false;
        }
        let half = self.word(layout.half_slot);
        self.set_word(layout.size_slot, new_size);
        self.set_word(layout.limit_slot, layout.limit(half, new_size));
        true
    }

    /// Describes growth of each half to `size` bytes.
    fn growth(&self, size: u64) -> Growth {
        let statics = self.layout.static_size();
        Growth {
            what: Growing::Heap(self.domain),
            current: statics + 2 * self.word(self.layout.size_slot),
            desired: statics + 2 * size,
            maximum: statics + 2 * self.layout.capacity,
        }
    }

    /// Returns whether each half may have `size` bytes.
    fn may_have(&self, size: u64) -> bool {
        (&self.limiter())
            .allows(&self.growth(size))
            .unwrap_or(false)
    }

    /// Takes `size` bytes, for which there is room.
    fn take(&self, size: u64) -> Result<u32, Trap> {
        let next = self.word(self.layout.next_slot);
        self.set_word(self.layout.next_slot, next + size);
        u32::try_from(next).map_err(|_| Trap::HeapExhausted)
    }
}
