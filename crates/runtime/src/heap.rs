//! The object heap of a component instance: what machine code asks for when the words in its head say that there is no room.

use crate::data::InstanceData;
use mintage_environ::layout::HeapLayout;
use mintage_environ::{DomainId, ObjectTypeId, Trap};

/// The words of a heap, as they are at this moment.
struct Heap<'d> {
    data: &'d InstanceData,
    domain: DomainId,
    layout: &'d HeapLayout,
}

impl InstanceData {
    /// The type of an object in the heap of `domain`, if there is a heap and the reference is within it.
    pub fn object_type(&self, domain: DomainId, reference: u64) -> Option<ObjectTypeId> {
        let heap = self.code.layout().domains.get(domain)?.heap.as_ref()?;
        let inside =
            (HeapLayout::FIRST..heap.span()).contains(&reference) && reference.is_multiple_of(HeapLayout::ALIGN);
        if !inside {
            return None;
        }
        let header = self
            .ctx(domain)
            .wrapping_offset(heap.offset as isize)
            .wrapping_add(reference as usize);
        // SAFETY: machine code and the collector give no references but to objects, which are accessible, and aligned.
        Some(ObjectTypeId::from_u32(unsafe { header.cast::<u32>().read() } >> 1))
    }

    /// A reference to `size` bytes, a multiple of [`HeapLayout::ALIGN`], for a new object in the heap of `domain`. What they hold is
    /// not known.
    ///
    /// # Errors
    ///
    /// The trap, when there is no room.
    pub fn heap_allocate(&self, domain: DomainId, size: u64) -> Result<u32, Trap> {
        let layout = self
            .code
            .layout()
            .domains
            .get(domain)
            .and_then(|domain| domain.heap.as_ref());
        let heap = Heap {
            data: self,
            domain,
            layout: layout.ok_or(Trap::HeapExhausted)?,
        };
        if size > heap.layout.capacity {
            return Err(Trap::AllocationTooLarge);
        }
        heap.grow(size)?;
        heap.take(size)
    }
}

impl Heap<'_> {
    fn word(&self, slot: i32) -> u64 {
        // SAFETY: the slot is an aligned word of the head.
        unsafe { self.data.size_slot(self.domain, slot).read() }
    }

    fn set_word(&self, slot: i32, value: u64) {
        // SAFETY: as above.
        unsafe { self.data.size_slot(self.domain, slot).write(value) }
    }

    /// The first reference of the half that objects are in.
    fn half(&self) -> u64 {
        let [first, second] = self.layout.halves();
        if self.word(self.layout.limit_slot) <= second {
            first
        } else {
            second
        }
    }

    /// Makes room for `size` more bytes in the half that objects are in, and for as many as it has besides, as far as it goes.
    fn grow(&self, size: u64) -> Result<(), Trap> {
        let layout = self.layout;
        let half = self.half();
        let (next, old_size) = (self.word(layout.next_slot), self.word(layout.size_slot));
        let needed = (next - half + size).next_multiple_of(HeapLayout::FIRST);
        if needed <= old_size {
            return Ok(());
        }
        let most = layout.capacity.min(self.data.limits.memory_bytes / 2) & !(HeapLayout::FIRST - 1);
        if needed > most {
            return Err(Trap::HeapExhausted);
        }
        if most < layout.capacity {
            // With another limit it might have grown by more.
            self.data.asked.set(true);
        }
        let new_size = needed.max(2 * old_size).min(most);
        let start = self.data.code.layout().heap_start(self.domain, layout);
        let grown = self.data.slab().grow_heap(start, layout, old_size, new_size);
        grown.map_err(|_| Trap::HeapExhausted)?;
        self.set_word(layout.size_slot, new_size);
        self.set_word(layout.limit_slot, half + new_size);
        Ok(())
    }

    /// Takes `size` bytes, for which there is room.
    fn take(&self, size: u64) -> Result<u32, Trap> {
        let next = self.word(self.layout.next_slot);
        self.set_word(self.layout.next_slot, next + size);
        u32::try_from(next).map_err(|_| Trap::HeapExhausted)
    }
}
