//! [`Instance`]: a slab with a component's image in it, and the run-time data beside it.

mod current;
mod data;
pub mod growth;
mod handles;
mod host_table;
pub mod limits;
mod segments;
mod snapshot;

pub use current::{Current, Failure, HostAccess, Suspending};
pub use data::{HostHooks, InstanceData, StoreState, StoreWords, Threads, control_block};
pub use host_table::{HostFunc, HostTable};
pub use limits::{
    CheckIn, Growing, Growth, HostFuture, LaterPermit, Limiter, Limits, Permit, Verdict,
};
pub use snapshot::{SnapshotHandles, keep_started};

use crate::bulk::Pauses;
use crate::code::Code;
use crate::slab::Image;
use anyhow::{Result, ensure};
use growth::Unlimited;
use mintage_environ::{DomainId, GlobalId, MemoryId, ObjectTypeId, TableId, ValType};
use std::ptr::NonNull;
use std::sync::Arc;

/// An instance of a component. It owns its slab and its run-time data.
///
/// Machine code and nested calls change an instance while shared references to the `Instance`
/// exist. So everything that can change is behind raw pointers or in cells, and no method keeps a
/// reference to it. Methods that return a reference into guest memory ([`memory`](Self::memory),
/// [`memory_mut`](Self::memory_mut)) borrow the `Instance`, and [`call`](crate::call) is `unsafe`
/// on the condition that no such borrow exists.
#[repr(transparent)]
pub struct Instance {
    data: NonNull<InstanceData>,
}

// SAFETY: the `Instance` owns what is behind the pointer, and nothing of it is bound to a thread:
// the state of its store is shared only with instances that the same thread uses (`new`), and
// failures are `Send`.
unsafe impl Send for Instance {}

/// A name of an [`Instance`] that does not borrow it, for nested calls. It is valid as long as the
/// instance lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct InstanceHandle {
    data: NonNull<InstanceData>,
}

// SAFETY: a handle gives no access by itself. Whoever makes a reference of it promises that no
// other thread uses the instance.
unsafe impl Send for InstanceHandle {}
// SAFETY: as above.
unsafe impl Sync for InstanceHandle {}

const _: () = {
    const fn moves_between_threads<T: Send>() {}
    moves_between_threads::<Instance>();
    assert!(size_of::<Instance>() == size_of::<InstanceHandle>());
};

impl InstanceHandle {
    /// Returns the instance.
    ///
    /// # Safety
    ///
    /// While the reference lives, the instance lives, and no other thread uses it.
    pub unsafe fn instance(&self) -> &Instance {
        // SAFETY: both types are transparent wrappers of the same pointer, whose target lives, as
        // the caller promises.
        unsafe { &*(self as *const InstanceHandle).cast() }
    }

    pub(crate) fn new(data: &InstanceData) -> InstanceHandle {
        InstanceHandle {
            data: NonNull::from(data),
        }
    }

    /// Returns the run-time data.
    ///
    /// # Safety
    ///
    /// The instance lives as long as the result.
    pub(crate) unsafe fn data<'a>(self) -> &'a InstanceData {
        // SAFETY: the data lives, as the caller promises, and all of it that changes is in cells.
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
        image: &Arc<Image>,
        imports: &Arc<HostTable>,
        limits: Limits,
        tag: u64,
        store: StoreState,
        builtins: *const usize,
    ) -> Result<Instance> {
        ensure!(
            imports.code().has_image(image),
            "the image is another component's"
        );
        // SAFETY: as the caller promises.
        let data = unsafe { InstanceData::create(image, imports, limits, tag, store, builtins)? };
        Ok(Instance { data })
    }

    pub(crate) fn data(&self) -> &InstanceData {
        // SAFETY: the data lives until the instance is dropped, and all of it that changes is in
        // cells.
        unsafe { self.data.as_ref() }
    }

    /// Returns the name of the instance for calls.
    pub fn handle(&self) -> InstanceHandle {
        InstanceHandle { data: self.data }
    }

    /// Returns the number that was passed to [`instantiate`](crate::instantiate).
    pub fn tag(&self) -> u64 {
        self.data().tag
    }

    /// Returns the code of the component.
    pub fn code(&self) -> &Arc<Code> {
        self.data().imports.code()
    }

    /// Returns the host functions.
    pub fn imports(&self) -> &Arc<HostTable> {
        &self.data().imports
    }

    /// Returns whether a call into the instance was stopped. Then its contents are in no known
    /// state, and the component must not be entered again. [`call`](crate::call) does not check
    /// this, because core test scripts continue after a trap.
    pub fn is_poisoned(&self) -> bool {
        self.data().poisoned.get()
    }

    /// Returns the Canonical ABI flags of a component instance: `MAY_LEAVE` of
    /// [`ControlBlock`](mintage_environ::ControlBlock).
    ///
    /// # Panics
    ///
    /// If `domain` is not in this component.
    pub fn flags(&self, domain: DomainId) -> u64 {
        // SAFETY: the control block lives as long as the instance, and is not written while this
        // runs.
        unsafe { (*self.data().control(domain)).flags }
    }

    /// Borrows the bytes of a memory without preparing the instance or noting that this thread
    /// uses it. This writes nothing, so several threads may do it at a time. Before the instance
    /// is first used, there are no bytes.
    ///
    /// # Panics
    ///
    /// If `id` is not a memory of this component.
    pub fn peek_memory(&self, id: MemoryId) -> &[u8] {
        let Some(data::MemoryView { base, size }) = self.data().peek_memory(id) else {
            return &[];
        };
        // SAFETY: the memory is accessible. Only guest code writes it, in `call`, whose caller
        // promises that no such borrow exists.
        unsafe { std::slice::from_raw_parts(base, size as usize) }
    }

    /// Returns the sizes of everything that can grow, as growth from nothing. An instance without a
    /// limiter has none.
    pub fn granted(&self) -> Vec<Growth> {
        let data = self.data();
        if data.limits.limiter.is_none() {
            return Vec::new();
        }
        let start = Growth::at_start(data.code(), data.slab().image());
        let now = start.map(|growth| Growth {
            desired: data.peek_size(growth.what).unwrap_or(growth.desired),
            ..growth
        });
        now.collect()
    }

    /// Borrows the bytes of a memory.
    ///
    /// # Panics
    ///
    /// If `id` is not a memory of this component.
    #[inline]
    pub fn memory(&self, id: MemoryId) -> &[u8] {
        let (base, len) = self.memory_raw(id);
        // SAFETY: the memory is accessible. Only guest code writes it, in `call`, whose caller
        // promises that no such borrow exists.
        unsafe { std::slice::from_raw_parts(base.as_ptr(), len) }
    }

    /// Borrows the bytes of a memory mutably.
    ///
    /// # Panics
    ///
    /// If `id` is not a memory of this component.
    #[inline]
    pub fn memory_mut(&mut self, id: MemoryId) -> &mut [u8] {
        let (base, len) = self.memory_raw(id);
        self.share();
        // SAFETY: as above, and the instance is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(base.as_ptr(), len) }
    }

    /// Notes that from now on other threads may write to memories of the instance. The page faults
    /// of one thread then no longer tell which pages were written.
    pub fn share(&mut self) {
        self.data().share();
    }

    /// Returns the address of a memory, which never moves, and its current length in bytes. The
    /// bytes are valid for reads while the instance lives, and for writes on the calling thread.
    /// Writes of other threads would survive the instance's reset, unless [`share`](Self::share)
    /// was called.
    ///
    /// # Panics
    ///
    /// If `id` is not a memory of this component.
    #[inline]
    pub fn memory_raw(&self, id: MemoryId) -> (NonNull<u8>, usize) {
        let memory = self.data().memory(id);
        let data::MemoryView { base, size } = memory.expect("the memory is of this component");
        let base = NonNull::new(base).expect("a slab is not at address 0");
        (base, size as usize)
    }

    /// Grows a memory by `pages` without asking a limiter. Returns its old size in pages, or `None`
    /// if that is impossible.
    ///
    /// # Panics
    ///
    /// If `id` is not a memory of this component.
    pub fn memory_grow(&mut self, id: MemoryId, pages: u64) -> Option<u64> {
        assert!(
            self.data().memory(id).is_some(),
            "{id:?} is not of this component"
        );
        let grown = growth::grow_memory(self.data(), id, pages, Unlimited);
        grown.unwrap_or(None)
    }

    /// Returns the value of a global as two 8-byte words, of which only vectors use the second.
    ///
    /// # Panics
    ///
    /// If `id` is not a global of this component.
    pub fn global(&self, id: GlobalId, ty: ValType) -> [u64; 2] {
        let slot = self.data().slot(self.code().layout().globals[id]);
        let mut words = [0u64; 2];
        // SAFETY: globals lie below the control block, which is larger than any value. So even with
        // a wrong type the read stays in the head. The words have room for the largest value.
        unsafe {
            std::ptr::copy_nonoverlapping(slot, words.as_mut_ptr().cast(), ty.size() as usize)
        };
        words
    }

    /// Returns the type of the object at a reference into the GC heap of `domain`, or `None` where
    /// no object can be.
    pub fn object_type(&self, domain: DomainId, reference: u64) -> Option<ObjectTypeId> {
        self.data().object_type(domain, reference)
    }

    /// Sets a global.
    ///
    /// # Panics
    ///
    /// If `id` is not a global of this component.
    ///
    /// # Safety
    ///
    /// `ty` is the global's type, and a function reference is null or was read from this instance.
    pub unsafe fn set_global(&mut self, id: GlobalId, ty: ValType, words: [u64; 2]) {
        let slot = self.data().slot(self.code().layout().globals[id]);
        // SAFETY: the global has this type, as the caller promises, so its slot has this size.
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr().cast(), slot, ty.size() as usize) };
    }

    /// Returns the number of entries of a table.
    ///
    /// # Panics
    ///
    /// If `id` is not a table of this component.
    pub fn table_size(&self, id: TableId) -> u64 {
        self.data()
            .table(id)
            .expect("the table is of this component")
            .size
    }

    /// Returns an entry of a table as a reference word (see [`ValType`]), or `None` past its end.
    ///
    /// # Panics
    ///
    /// If `id` is not a table of this component.
    pub fn table_get(&self, id: TableId, index: u64) -> Option<u64> {
        let table = self
            .data()
            .table(id)
            .expect("the table is of this component");
        // SAFETY: entries below the size are accessible.
        (index < table.size).then(|| unsafe { table.base.add(index as usize).read() })
    }

    /// Sets an entry of a table. Returns `None` past its end.
    ///
    /// # Panics
    ///
    /// If `id` is not a table of this component.
    ///
    /// # Safety
    ///
    /// `entry` is a value of the table's element type, and a function reference is null or was read
    /// from this instance.
    pub unsafe fn table_set(&mut self, id: TableId, index: u64, entry: u64) -> Option<()> {
        let table = self
            .data()
            .table(id)
            .expect("the table is of this component");
        // SAFETY: as above; the caller promises that the entry is one for this table.
        (index < table.size).then(|| unsafe { table.base.add(index as usize).write(entry) })
    }

    /// Grows a table by `delta` entries set to `init` without asking a limiter. Returns the old
    /// size, or `None` if that is impossible.
    ///
    /// # Panics
    ///
    /// If `id` is not a table of this component.
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
        // SAFETY: `InstanceData::create` made it. Only calls would still use it, and they need the
        // instance to live.
        unsafe { InstanceData::destroy(self.data) };
    }
}
