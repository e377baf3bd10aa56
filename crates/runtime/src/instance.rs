//! [`Instance`]: a slab with a component's image in it and the run-time data beside it.

use crate::{Code, HostTable, Stopped};
use anyhow::{Result, bail};
use mintage_environ::{DomainId, GlobalId, MemoryId, TableId, ValType};
use std::ptr::NonNull;
use std::sync::Arc;

/// The first word of everything that instances keep outside their slabs.
struct InstanceData {}

/// How far an instance may grow, and how much stack it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that one memory may have. An instance that starts with more is an error; growth past it gives -1.
    pub memory_bytes: u64,
    /// Entries that one table may have, likewise.
    pub table_entries: u64,
    /// Bytes of stack that wasm code may use, counted from the outermost call on.
    pub stack_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_bytes: u64::MAX,
            table_entries: u64::MAX,
            stack_bytes: 512 << 10,
        }
    }
}

/// A component instance: the owner of its slab and its run-time data.
///
/// Machine code and nested calls change an instance while shared references to the `Instance` exist; everything that can
/// change is behind raw pointers, and no method keeps a reference to it. What gives a reference into guest memory
/// ([`memory`](Self::memory), [`memory_mut`](Self::memory_mut)) borrows the `Instance`, and [`call`](crate::call) is
/// `unsafe` with the condition that no such borrow exists.
#[repr(transparent)]
pub struct Instance {
    data: NonNull<InstanceData>,
}

/// Names an [`Instance`] without borrowing it, so that nested calls need no reference to it. Never dangling as long as the
/// instance lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct InstanceHandle {
    data: NonNull<InstanceData>,
}

impl InstanceHandle {
    /// The instance.
    ///
    /// # Safety
    ///
    /// The instance lives, and it is used by no other thread, as long as the reference does.
    pub unsafe fn instance(&self) -> &Instance {
        // SAFETY: both types are transparent wrappers of the same pointer; the caller promises that its target lives.
        unsafe { &*(self as *const InstanceHandle).cast() }
    }
}

impl Instance {
    /// A new instance of `code` with the imports in `imports`. Its start functions have not run; see [`run_initializers`].
    ///
    /// `tag` is the caller's own number for the instance, given back by [`Instance::tag`].
    ///
    /// # Errors
    ///
    /// When `imports` belongs to another component, a memory or table starts larger than `limits` allow, or the operating
    /// system gives no address space.
    pub fn new(code: &Arc<Code>, imports: &Arc<HostTable>, limits: Limits, tag: u64) -> Result<Instance> {
        let _ = (code, imports, limits, tag);
        bail!("not written")
    }

    /// The name of the instance for calls.
    pub fn handle(&self) -> InstanceHandle {
        InstanceHandle { data: self.data }
    }

    /// The number that [`Instance::new`] got.
    pub fn tag(&self) -> u64 {
        0
    }

    /// The component.
    pub fn code(&self) -> &Arc<Code> {
        unreachable!()
    }

    /// The host functions.
    pub fn imports(&self) -> &Arc<HostTable> {
        unreachable!()
    }

    /// Whether a call into the instance was stopped: what it holds then is in no known state, and the component must not
    /// be entered again. [`call`](crate::call) does not check this, since core test scripts go on after a trap.
    pub fn is_poisoned(&self) -> bool {
        false
    }

    /// Canonical ABI flags of a domain: `MAY_ENTER` and `MAY_LEAVE` of [`ControlBlock`](mintage_environ::ControlBlock).
    ///
    /// # Panics
    ///
    /// When `domain` is not of this component.
    pub fn flags(&self, domain: DomainId) -> u64 {
        let _ = domain;
        0
    }

    /// Sets the Canonical ABI flags of a domain.
    ///
    /// # Panics
    ///
    /// When `domain` is not of this component.
    pub fn set_flags(&self, domain: DomainId, flags: u64) {
        let _ = (domain, flags);
    }

    /// The bytes of a memory.
    ///
    /// # Panics
    ///
    /// When `id` is not a memory of this component.
    pub fn memory(&self, id: MemoryId) -> &[u8] {
        let _ = id;
        &[]
    }

    /// The bytes of a memory.
    ///
    /// # Panics
    ///
    /// When `id` is not a memory of this component.
    pub fn memory_mut(&mut self, id: MemoryId) -> &mut [u8] {
        let _ = id;
        &mut []
    }

    /// The base and the current length in bytes of a memory, which never moves. Valid for reads and writes as long as the
    /// instance lives.
    ///
    /// # Panics
    ///
    /// When `id` is not a memory of this component.
    pub fn memory_raw(&self, id: MemoryId) -> (NonNull<u8>, usize) {
        let _ = id;
        (NonNull::dangling(), 0)
    }

    /// Grows a memory by `pages`: its old size in pages, or `None` when a limit forbids it.
    ///
    /// # Panics
    ///
    /// When `id` is not a memory of this component.
    pub fn memory_grow(&mut self, id: MemoryId, pages: u64) -> Option<u64> {
        let _ = (id, pages);
        None
    }

    /// The value of a global as two 8-byte words, of which only vectors use the second.
    ///
    /// # Panics
    ///
    /// When `id` is not a global of this component.
    pub fn global(&self, id: GlobalId, ty: ValType) -> [u64; 2] {
        let _ = (id, ty);
        [0; 2]
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
        let _ = (id, ty, words);
    }

    /// The number of entries of a table.
    ///
    /// # Panics
    ///
    /// When `id` is not a table of this component.
    pub fn table_size(&self, id: TableId) -> u64 {
        let _ = id;
        0
    }

    /// An entry of a table as a reference word (see [`ValType`]), or `None` past its end.
    ///
    /// # Panics
    ///
    /// When `id` is not a table of this component.
    pub fn table_get(&self, id: TableId, index: u64) -> Option<u64> {
        let _ = (id, index);
        None
    }

    /// Sets an entry of a table: `None` past its end.
    ///
    /// # Panics
    ///
    /// When `id` is not a table of this component.
    ///
    /// # Safety
    ///
    /// `entry` is a value of the table's element type; a function reference is null or was read from this instance.
    pub unsafe fn table_set(&mut self, id: TableId, index: u64, entry: u64) -> Option<()> {
        let _ = (id, index, entry);
        None
    }

    /// Grows a table by `delta` entries set to `init`: the old size, or `None` when a limit forbids it.
    ///
    /// # Panics
    ///
    /// When `id` is not a table of this component.
    ///
    /// # Safety
    ///
    /// As [`Instance::table_set`].
    pub unsafe fn table_grow(&mut self, id: TableId, init: u64, delta: u64) -> Option<u64> {
        let _ = (id, init, delta);
        None
    }
}

/// Runs the steps of instantiation that are no part of the image: segments behind start functions, and the start functions.
///
/// # Errors
///
/// As [`call`](crate::call).
///
/// # Safety
///
/// As [`call`](crate::call); once per instance, before any other call.
pub unsafe fn run_initializers(instance: InstanceHandle, host: *mut ()) -> Result<(), Stopped> {
    let _ = (instance, host);
    Ok(())
}
