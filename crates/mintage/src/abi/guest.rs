//! The guest's side of lowering: one memory of an instance and its `realloc`; and views of bytes as
//! integers.

use crate::component::GuestOptions;
use crate::error::{Error, Result, abi_trap, bail, stopped};
use mintage_environ::MemoryId;
use mintage_runtime::{Instance, touch_pages};
use std::any::Any;
use std::ops::Range;
use std::ptr::NonNull;
use std::slice::GetDisjointMutError;

use super::is_aligned;
use crate::Trap;
use crate::store::{GrowthLimiter, limiter_access};

/// An integer type, for views of lists in guest memory.
///
/// # Safety
///
/// Any bytes are a value.
pub unsafe trait Integer: Copy {}

macro_rules! integer_types {
    ($($ty:ident)*) => {$(
        // SAFETY: any bytes are an integer.
        unsafe impl Integer for $ty {}
    )*};
}

integer_types!(u8 i8 u16 i16 u32 i32 u64 i64);

/// Returns bytes as integers, or `None` if they are not aligned or not whole integers.
pub fn integers<T: Integer>(bytes: &[u8]) -> Option<&[T]> {
    // SAFETY: any bytes are a value of `T`.
    let (before, integers, after) = unsafe { bytes.align_to() };
    (before.is_empty() && after.is_empty()).then_some(integers)
}

/// A memory of an instance, for a host function that the instance calls. The instance is borrowed,
/// so no code of the guest runs meanwhile.
pub(crate) struct CallerMemory<'a> {
    instance: &'a mut Instance,
    memory: MemoryId,
}

impl<'a> CallerMemory<'a> {
    #[inline]
    pub fn new(instance: &'a mut Instance, memory: MemoryId) -> Self {
        Self { instance, memory }
    }

    /// Returns the number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.instance.memory_raw(self.memory).1
    }

    /// Returns the bytes for reading.
    #[inline]
    pub fn read(self) -> &'a [u8] {
        self.instance.memory(self.memory)
    }

    /// Returns the bytes for any use. See [`Guest::shared_bytes`].
    pub fn shared(self) -> &'a mut [u8] {
        self.instance.memory_mut(self.memory)
    }

    /// Writes bytes. Returns false if they do not lie within the memory.
    #[inline]
    #[must_use]
    pub fn write(&mut self, address: usize, bytes: &[u8]) -> bool {
        let (base, len) = self.instance.memory_raw(self.memory);
        // SAFETY: the memory is of the instance that is borrowed mutably, so that it lives and no
        // one else reaches it. The bytes are written on this thread, whose use of the instance
        // `memory_raw` has noted.
        let memory = unsafe { std::slice::from_raw_parts_mut(base.as_ptr(), len) };
        let target = memory
            .get_mut(address..)
            .and_then(|m| m.get_mut(..bytes.len()));
        target.map(|target| target.copy_from_slice(bytes)).is_some()
    }

    /// Returns blocks of the memory for any use, and touches their pages as
    /// [`Guest::write_block`] does.
    ///
    /// # Errors
    ///
    /// When blocks overlap or do not lie within the memory. Nothing was touched then.
    #[inline]
    pub fn blocks<const N: usize>(
        self,
        blocks: &[Range<usize>; N],
    ) -> Result<[&'a mut [u8]; N], GetDisjointMutError> {
        let (base, len) = self.instance.memory_raw(self.memory);
        // SAFETY: as in `write`. The borrow of the instance lasts as long as the blocks.
        let memory = unsafe { std::slice::from_raw_parts_mut(base.as_ptr(), len) };
        let mut found = memory.get_disjoint_mut(blocks.clone())?;
        for block in &mut found {
            touch_pages(block);
        }
        Ok(found)
    }
}

/// The allocator of the memory that values are lowered into.
enum Allocator<'a> {
    /// A component instance. It is borrowed as long as the guest is, so that no other code of the
    /// guest runs meanwhile than `realloc`.
    Instance {
        instance: &'a mut Instance,
        options: &'a GuestOptions,
        /// The limiter that decides when `realloc` grows the memory, with the host's data.
        limiter: &'a mut dyn GrowthLimiter,
    },
    /// A memory of the host, for a call without a guest. It grows with each block.
    Scratch {
        memory: &'a mut Vec<u8>,
        /// The instance whose handles are used, and the limiter of its store, which has the host's
        /// data. None if no store takes part.
        store: Option<(&'a Instance, &'a mut dyn GrowthLimiter)>,
    },
    #[cfg(test)]
    Fake(&'a mut super::fake::FakeGuest),
}

/// The memory that values are lowered into.
pub(crate) struct Guest<'a> {
    allocator: Allocator<'a>,
    /// First byte and size of the memory as of the last look; memories never move and never shrink.
    view: (NonNull<u8>, usize),
    /// Whether the guest trapped, which breaks the instance.
    trapped: bool,
}

impl<'a> Guest<'a> {
    #[inline]
    pub fn new(
        instance: &'a mut Instance,
        options: &'a GuestOptions,
        limiter: &'a mut dyn GrowthLimiter,
    ) -> Self {
        Self {
            allocator: Allocator::Instance {
                instance,
                options,
                limiter,
            },
            view: (NonNull::dangling(), 0),
            trapped: false,
        }
    }

    /// Uses a memory of the host instead of a guest's.
    pub fn scratch(
        instance: &'a Instance,
        memory: &'a mut Vec<u8>,
        limiter: &'a mut dyn GrowthLimiter,
    ) -> Self {
        Self {
            allocator: Allocator::Scratch {
                memory,
                store: Some((instance, limiter)),
            },
            view: (NonNull::dangling(), 0),
            trapped: false,
        }
    }

    /// Uses a memory of the host, where no store takes part.
    pub fn detached(memory: &'a mut Vec<u8>) -> Self {
        Self {
            allocator: Allocator::Scratch {
                memory,
                store: None,
            },
            view: (NonNull::dangling(), 0),
            trapped: false,
        }
    }

    #[cfg(test)]
    pub fn fake(fake: &'a mut super::fake::FakeGuest) -> Self {
        let mut guest = Self {
            allocator: Allocator::Fake(fake),
            view: (NonNull::dangling(), 0),
            trapped: false,
        };
        guest.refresh();
        guest
    }

    /// Returns the instance, if there is one.
    pub fn instance(&self) -> Option<&Instance> {
        match &self.allocator {
            Allocator::Instance { instance, .. } => Some(instance),
            Allocator::Scratch { store, .. } => store.as_ref().map(|(instance, _)| *instance),
            #[cfg(test)]
            Allocator::Fake(_) => None,
        }
    }

    /// Looks at the memory's size again. Before this, and before the first
    /// [`realloc`](Self::realloc), it looks empty.
    #[inline]
    pub fn refresh(&mut self) {
        self.view = match &mut self.allocator {
            Allocator::Instance {
                instance, options, ..
            } => match options.memory {
                Some(memory) => instance.memory_raw(memory),
                None => (NonNull::dangling(), 0),
            },
            Allocator::Scratch { memory, .. } => {
                let memory = memory.as_mut_slice();
                (NonNull::from(&mut *memory).cast(), memory.len())
            }
            #[cfg(test)]
            Allocator::Fake(fake) => {
                let memory = fake.memory.as_mut_slice();
                (NonNull::from(&mut *memory).cast(), memory.len())
            }
        };
    }

    /// Returns the size of the memory in bytes as of the last look.
    #[inline]
    pub fn size(&self) -> usize {
        self.view.1
    }

    /// Writes bytes to the memory.
    ///
    /// # Panics
    ///
    /// When they do not lie within the memory.
    #[inline]
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.local_bytes()[offset..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Writes items of `N` bytes one after the other. It compiles to one copy where the items are
    /// their own bytes, and to a vectorized loop where each has to be changed.
    ///
    /// # Panics
    ///
    /// When they do not lie within the memory.
    #[inline]
    pub fn write_items<const N: usize>(
        &mut self,
        offset: usize,
        count: usize,
        items: impl Iterator<Item = [u8; N]>,
    ) {
        let bytes = &mut self.local_bytes()[offset..][..count * N];
        for (bytes, item) in bytes.chunks_exact_mut(N).zip(items) {
            bytes.copy_from_slice(&item);
        }
    }

    /// Returns the bytes of the memory, for code that may hand them to other threads. The reset of
    /// the instance then no longer relies on the page faults of this thread to find out what was
    /// written.
    pub fn shared_bytes(&mut self) -> &mut [u8] {
        if let Allocator::Instance { instance, .. } = &mut self.allocator {
            instance.share();
        }
        self.local_bytes()
    }

    /// Returns the bytes of the memory, for code of this module that writes to them on the calling
    /// thread only: page faults of other threads are not counted when the instance is reset. Never
    /// to be returned to other modules.
    #[inline]
    fn local_bytes(&mut self) -> &mut [u8] {
        // SAFETY: `view` is empty or was given by `refresh` for a memory of what `allocator`
        // borrows mutably: it is valid for reads and writes, and nothing else reaches it as long as
        // `self` is borrowed, since guest code runs only inside `realloc`, which needs `self`
        // itself.
        unsafe { std::slice::from_raw_parts_mut(self.view.0.as_ptr(), self.view.1) }
    }

    /// Calls `write` with a block of the memory and the host's data.
    ///
    /// The block may be written by other threads and by the system: each page of it is written here
    /// first, so what they write is accounted for when the instance is reset.
    ///
    /// # Panics
    ///
    /// When the block does not lie within the memory, or `write` panics.
    pub fn write_block<R>(
        &mut self,
        start: usize,
        len: usize,
        write: impl FnOnce(&mut [u8], &mut dyn Any) -> R,
    ) -> R {
        let (base, size) = self.view;
        let end = start.checked_add(len);
        assert!(end.is_some_and(|end| end <= size), "the block is in memory");
        // SAFETY: the block is within the memory, which is valid for reads and writes for the same
        // reasons as in `local_bytes`. `self` stays borrowed until `write` returns, and neither the
        // limiter nor the host's data reach the memory.
        let block = unsafe { std::slice::from_raw_parts_mut(base.as_ptr().add(start), len) };
        match &mut self.allocator {
            Allocator::Instance { limiter, .. } => {
                touch_pages(block);
                write(block, limiter.data())
            }
            Allocator::Scratch { store, .. } => match store {
                Some((_, limiter)) => write(block, limiter.data()),
                None => write(block, &mut ()),
            },
            #[cfg(test)]
            Allocator::Fake(fake) => write(block, &mut fake.data),
        }
    }

    /// Returns whether the guest trapped in `realloc`.
    #[inline]
    pub fn trapped(&self) -> bool {
        self.trapped
    }

    /// Calls the guest's `realloc` for a new block of memory and checks the result.
    ///
    /// The guest cannot call out meanwhile (`may_leave`).
    ///
    /// # Errors
    ///
    /// When the guest traps, or the block is not aligned or not in bounds.
    pub fn allocate(&mut self, align: u32, size: usize) -> Result<usize> {
        let Ok(size32) = u32::try_from(size) else {
            bail!("a value of {size} bytes does not fit a 32-bit memory")
        };
        self.checked_realloc(0, 0, align, size32)
    }

    /// Has the guest make a block of `old_size` bytes smaller, which may move it. Returns its
    /// offset. The guest is not asked to make a block empty, which allocators take in different
    /// ways: one byte stays.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate).
    pub fn shrink(&mut self, old: u32, old_size: u32, align: u32, new_size: u32) -> Result<usize> {
        match new_size.max(1) {
            new_size if new_size < old_size => self.checked_realloc(old, old_size, align, new_size),
            _ => Ok(old as usize),
        }
    }

    fn checked_realloc(
        &mut self,
        old: u32,
        old_size: u32,
        align: u32,
        new_size: u32,
    ) -> Result<usize> {
        // From here on every error is the guest's fault.
        let pointer = self
            .realloc(old, old_size, align, new_size)
            .inspect_err(|_| self.trapped = true)?;
        let size = new_size as usize;
        self.refresh();
        let start = pointer as usize;
        match is_aligned(pointer, align) && start + size <= self.view.1 {
            true => Ok(start),
            false => {
                self.trapped = true;
                Err(bad_block(pointer, align, size, self.view.1))
            }
        }
    }

    fn realloc(&mut self, old: u32, old_size: u32, align: u32, new_size: u32) -> Result<u32> {
        match &mut self.allocator {
            Allocator::Instance {
                instance,
                options,
                limiter,
            } => {
                let Some(realloc) = &options.realloc else {
                    bail!(
                        "the component gave no `realloc` for this function, but a value needs \
                         memory"
                    );
                };
                let mut words = [old, old_size, align, new_size].map(u64::from);
                // SAFETY: the instance is borrowed mutably by `self`, so it lives, no other thread
                // has it, and no view of its memory is live, since `memory` borrows `self`.
                // `realloc` is resolved from the canonical options that its domain belongs to, and
                // validation gave it four `i32` parameters and one result. A host function that it
                // calls sees that `may_leave` is off, and that this is not access to a store.
                //
                // It is a task of its own (CanonicalABI.md, `LiftLowerContext.reallocate`).
                let result = unsafe {
                    let handle = instance.handle();
                    let domain = options.domain;
                    let is_task = options.is_concurrent && handle.enter_task(domain)?;
                    let result = mintage_runtime::call_confined(
                        handle,
                        domain,
                        realloc,
                        words.as_mut_ptr(),
                        limiter_access(limiter),
                    );
                    if is_task {
                        handle.exit_task();
                    }
                    result
                };
                result.map_err(stopped)?;
                Ok(words[0] as u32)
            }
            Allocator::Scratch { .. } if old_size > 0 => Ok(old),
            Allocator::Scratch { memory, .. } => {
                let start = memory.len().next_multiple_of(align as usize);
                let (Ok(pointer), Some(end)) =
                    (u32::try_from(start), start.checked_add(new_size as usize))
                else {
                    bail!("the values of a call between host functions take more than 4 GiB")
                };
                memory.resize(end, 0);
                Ok(pointer)
            }
            #[cfg(test)]
            Allocator::Fake(fake) => fake.realloc(old, old_size, align, new_size),
        }
    }
}

/// Returns the error for a block that a guest's `realloc` must not return.
#[cold]
fn bad_block(pointer: u32, align: u32, size: usize, memory: usize) -> Error {
    match is_aligned(pointer, align) {
        false => abi_trap(
            Trap::ReallocUnaligned,
            format!(
                "realloc return: result not aligned: {pointer:#x} is not a multiple of {align}"
            ),
        ),
        true => abi_trap(
            Trap::ReallocOutOfBounds,
            format!(
                "realloc return: beyond end of memory: {size} bytes at {pointer:#x}, the memory \
                 has {memory:#x}"
            ),
        ),
    }
}
