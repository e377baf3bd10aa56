//! [`Instance`]: a slab with a component's image in it and the run-time data beside it.

mod current;
mod data;
pub mod growth;
mod handles;
mod host_table;
pub mod limits;
mod segments;
mod snapshot;

pub use current::{Current, Failure, HostAccess};
pub use data::{InstanceData, StoreWords, control_block};
pub use host_table::{HostFunc, HostTable};
pub use limits::{Growing, Growth, Limiter, Limits};
pub use snapshot::keep_started;

use crate::bulk::Pauses;
use crate::code::Code;
use crate::slab::Image;
use anyhow::{Result, ensure};
use growth::Unlimited;
use mintage_environ::{DomainId, GlobalId, MemoryId, ObjectTypeId, TableId, ValType};
use std::ptr::NonNull;
use std::sync::Arc;

/// A component instance: the owner of its slab and its run-time data.
///
/// Machine code and nested calls change an instance while shared references to the `Instance`
/// exist; everything that can change is behind raw pointers, and no method keeps a reference to it.
/// What gives a reference into guest memory ([`memory`](Self::memory),
/// [`memory_mut`](Self::memory_mut)) borrows the `Instance`, and [`call`](crate::call) is `unsafe`
/// with the condition that no such borrow exists.
#[repr(transparent)]
pub struct Instance {
    data: NonNull<InstanceData>,
}

// SAFETY: what is behind the pointer is owned by the `Instance`, and nothing of it is bound to a
// thread: the host pointer is only used during a call, and failures are `Send`.
unsafe impl Send for Instance {}

/// Names an [`Instance`] without borrowing it, so that nested calls need no reference to it. Never
/// dangling as long as the instance lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct InstanceHandle {
    data: NonNull<InstanceData>,
}

// SAFETY: a handle gives no access by itself; whoever makes a reference of it promises that no
// other thread does.
unsafe impl Send for InstanceHandle {}
// SAFETY: as above.
unsafe impl Sync for InstanceHandle {}

/// A memory of an instance.
#[derive(Clone, Copy, Debug)]
pub struct FoundMemory {
    base: NonNull<u8>,
    /// Where its size in bytes is.
    size: *const u64,
}

impl FoundMemory {
    /// As [`Instance::memory_raw`].
    ///
    /// # Safety
    ///
    /// The instance lives, and no other thread uses it.
    #[inline]
    pub unsafe fn raw(self) -> (NonNull<u8>, usize) {
        // SAFETY: the size is an aligned word of the instance's slab, which the caller promises to
        // live.
        (self.base, unsafe { self.size.read() } as usize)
    }
}

const _: () = {
    const fn moves_between_threads<T: Send>() {}
    moves_between_threads::<Instance>();
    assert!(size_of::<Instance>() == size_of::<InstanceHandle>());
};

impl InstanceHandle {
    /// The instance.
    ///
    /// # Safety
    ///
    /// The instance lives, and it is used by no other thread, as long as the reference does.
    pub unsafe fn instance(&self) -> &Instance {
        // SAFETY: both types are transparent wrappers of the same pointer; the caller promises that
        // its target lives.
        unsafe { &*(self as *const InstanceHandle).cast() }
    }

    pub(crate) fn new(data: &InstanceData) -> InstanceHandle {
        InstanceHandle {
            data: NonNull::from(data),
        }
    }

    /// # Safety
    ///
    /// The instance lives as long as the result.
    pub(crate) unsafe fn data<'a>(self) -> &'a InstanceData {
        // SAFETY: as the caller promises; all of it that changes is in cells.
        unsafe { self.data.as_ref() }
    }
}

impl Instance {
    /// As [`instantiate`](crate::instantiate), with the array of builtins.
    ///
    /// # Safety
    ///
    /// As there.
    pub(crate) unsafe fn new(
        code: &Arc<Code>,
        image: &Arc<Image>,
        imports: &Arc<HostTable>,
        limits: Limits,
        tag: u64,
        words: StoreWords,
        current: NonNull<Current>,
        builtins: *const usize,
    ) -> Result<Instance> {
        ensure!(
            Arc::ptr_eq(code, imports.code()),
            "the host table was made for another component"
        );
        ensure!(code.has_image(image), "the image is another component's");
        // SAFETY: as the caller promises.
        let data = unsafe {
            InstanceData::create(code, image, imports, limits, tag, words, current, builtins)?
        };
        Ok(Instance { data })
    }

    pub(crate) fn data(&self) -> &InstanceData {
        // SAFETY: the data lives until the instance is dropped, and all of it that changes is in
        // cells.
        unsafe { self.data.as_ref() }
    }

    /// The name of the instance for calls.
    pub fn handle(&self) -> InstanceHandle {
        InstanceHandle { data: self.data }
    }

    /// The number that [`instantiate`](crate::instantiate) got.
    pub fn tag(&self) -> u64 {
        self.data().tag
    }

    /// The component.
    pub fn code(&self) -> &Arc<Code> {
        &self.data().code
    }

    /// The host functions.
    pub fn imports(&self) -> &Arc<HostTable> {
        &self.data().imports
    }

    /// Whether a call into the instance was stopped: what it holds then is in no known state, and
    /// the component must not be entered again. [`call`](crate::call) does not check this, since
    /// core test scripts go on after a trap.
    pub fn is_poisoned(&self) -> bool {
        self.data().poisoned.get()
    }

    /// Canonical ABI flags of a domain: `MAY_LEAVE` of
    /// [`ControlBlock`](mintage_environ::ControlBlock).
    ///
    /// # Panics
    ///
    /// When `domain` is not of this component.
    pub fn flags(&self, domain: DomainId) -> u64 {
        // SAFETY: the control block lives as long as the instance, and is not written while this
        // runs.
        unsafe { (*self.data().control(domain)).flags }
    }

    /// The bytes of a memory.
    ///
    /// # Panics
    ///
    /// When `id` is not a memory of this component.
    #[inline]
    pub fn memory(&self, id: MemoryId) -> &[u8] {
        let (base, len) = self.memory_raw(id);
        // SAFETY: the memory is accessible, and guest code, which could write it, runs only in
        // `call`, whose caller promises that the borrow has ended.
        unsafe { std::slice::from_raw_parts(base.as_ptr(), len) }
    }

    /// The bytes of a memory.
    ///
    /// # Panics
    ///
    /// When `id` is not a memory of this component.
    #[inline]
    pub fn memory_mut(&mut self, id: MemoryId) -> &mut [u8] {
        let (base, len) = self.memory_raw(id);
        self.share();
        // SAFETY: as above, and the instance is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(base.as_ptr(), len) }
    }

    /// Notes that threads other than the calling one may write to memories of the instance from now
    /// on, so that the page faults of one thread no longer tell which pages were written.
    pub fn share(&mut self) {
        self.data().share();
    }

    /// The base and the current length in bytes of a memory, which never moves. Valid for reads as
    /// long as the instance lives, and for writes on the calling thread: what others write is not
    /// noticed when the instance is given back.
    ///
    /// # Panics
    ///
    /// When `id` is not a memory of this component.
    #[inline]
    pub fn memory_raw(&self, id: MemoryId) -> (NonNull<u8>, usize) {
        // SAFETY: the instance lives.
        unsafe { self.find_memory(id).raw() }
    }

    /// Finds a memory, whose length is then one load away.
    ///
    /// # Panics
    ///
    /// When `id` is not a memory of this component.
    #[inline]
    pub fn find_memory(&self, id: MemoryId) -> FoundMemory {
        let found = self
            .data()
            .find_memory(id)
            .expect("the memory is of this component");
        FoundMemory {
            base: NonNull::new(found.0).expect("a slab is not at address 0"),
            size: found.1,
        }
    }

    /// Grows a memory by `pages`, without asking a limiter: its old size in pages, or `None` when
    /// that is impossible.
    ///
    /// # Panics
    ///
    /// When `id` is not a memory of this component.
    pub fn memory_grow(&mut self, id: MemoryId, pages: u64) -> Option<u64> {
        assert!(
            self.data().memory(id).is_some(),
            "{id:?} is not of this component"
        );
        let grown = growth::grow_memory(self.data(), id, pages, Unlimited);
        grown.unwrap_or(None)
    }

    /// The value of a global as two 8-byte words, of which only vectors use the second.
    ///
    /// # Panics
    ///
    /// When `id` is not a global of this component.
    pub fn global(&self, id: GlobalId, ty: ValType) -> [u64; 2] {
        let slot = self.data().slot(self.code().layout().globals[id]);
        let mut words = [0u64; 2];
        // SAFETY: globals lie below the control block, which has more bytes than any value, so that
        // even a wrong type reads within the head; the words have room for the largest value.
        unsafe {
            std::ptr::copy_nonoverlapping(slot, words.as_mut_ptr().cast(), ty.size() as usize)
        };
        words
    }

    /// The type of an object in the heap of `domain`, if the reference is one to an object.
    pub fn object_type(&self, domain: DomainId, reference: u64) -> Option<ObjectTypeId> {
        self.data().object_type(domain, reference)
    }

    /// Sets a global.
    ///
    /// # Panics
    ///
    /// When `id` is not a global of this component.
    ///
    /// # Safety
    ///
    /// `ty` is the global's type, and a function reference is null or was read from this instance.
    pub unsafe fn set_global(&mut self, id: GlobalId, ty: ValType, words: [u64; 2]) {
        let slot = self.data().slot(self.code().layout().globals[id]);
        // SAFETY: the caller promises that the type is the global's, so that the slot has its size.
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr().cast(), slot, ty.size() as usize) };
    }

    /// The number of entries of a table.
    ///
    /// # Panics
    ///
    /// When `id` is not a table of this component.
    pub fn table_size(&self, id: TableId) -> u64 {
        self.data()
            .table(id)
            .expect("the table is of this component")
            .size
    }

    /// An entry of a table as a reference word (see [`ValType`]), or `None` past its end.
    ///
    /// # Panics
    ///
    /// When `id` is not a table of this component.
    pub fn table_get(&self, id: TableId, index: u64) -> Option<u64> {
        let table = self
            .data()
            .table(id)
            .expect("the table is of this component");
        // SAFETY: entries below the size are accessible.
        (index < table.size).then(|| unsafe { table.base.add(index as usize).read() })
    }

    /// Sets an entry of a table: `None` past its end.
    ///
    /// # Panics
    ///
    /// When `id` is not a table of this component.
    ///
    /// # Safety
    ///
    /// `entry` is a value of the table's element type; a function reference is null or was read
    /// from this instance.
    pub unsafe fn table_set(&mut self, id: TableId, index: u64, entry: u64) -> Option<()> {
        let table = self
            .data()
            .table(id)
            .expect("the table is of this component");
        // SAFETY: as above; the caller promises that the entry is one for this table.
        (index < table.size).then(|| unsafe { table.base.add(index as usize).write(entry) })
    }

    /// Grows a table by `delta` entries set to `init`, without asking a limiter: the old size, or
    /// `None` when that is impossible.
    ///
    /// # Panics
    ///
    /// When `id` is not a table of this component.
    ///
    /// # Safety
    ///
    /// As [`Instance::table_set`].
    pub unsafe fn table_grow(&mut self, id: TableId, init: u64, delta: u64) -> Option<u64> {
        assert!(
            self.data().table(id).is_some(),
            "{id:?} is not of this component"
        );
        let grown = growth::grow_table(self.data(), id, init, delta, Pauses::NEVER, Unlimited);
        grown.unwrap_or(None)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: `InstanceData::create` made it, and calls, which would still use it, need the
        // instance to live.
        unsafe { InstanceData::destroy(self.data) };
    }
}
