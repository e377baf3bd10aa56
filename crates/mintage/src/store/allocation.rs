//! [`Allocation`]: the memory of a store, and what is current in it.

use super::StoreInner;
use super::growth::HostState;
use mintage_runtime::Current;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// The memory of a store, which does not move: guests know its address while they run.
///
/// The current state is written by machine code and by the runtime while there is an
/// exclusive reference to the rest. So references are made to `inner` alone, never to the whole.
pub(super) struct Allocation<T: 'static>(NonNull<Allocated<T>>);

struct Allocated<T: 'static> {
    // First, so that it is dropped first: it has the instances, which use what is current.
    inner: StoreInner<T>,
    current: Current,
}

// SAFETY: the allocation owns its contents, as a box does. What is current is used only through an
// exclusive reference to the store, and holds pointers only while guests run.
unsafe impl<T: Send> Send for Allocation<T> where StoreInner<T>: Send {}

// SAFETY: as above. Through a shared reference what is current is not used.
unsafe impl<T: Sync> Sync for Allocation<T> where StoreInner<T>: Sync {}

impl<T> Allocation<T> {
    /// Makes the contents in their place. (Inlined, so that they are not made elsewhere first.)
    #[inline(always)]
    pub fn new(inner: impl FnOnce(CurrentPointer) -> StoreInner<T>) -> Self {
        let mut allocation = Box::<Allocated<T>>::new_uninit();
        let place = allocation.as_mut_ptr();
        // SAFETY: both fields are within the new allocation, and each is written once.
        unsafe {
            let current = &raw mut (*place).current;
            current.write(Current::new());
            (&raw mut (*place).inner).write(inner(CurrentPointer(NonNull::new_unchecked(current))));
        }
        Self(NonNull::from(Box::leak(allocation)).cast())
    }

    /// Drops the store but for the state of the host.
    pub fn into_host(self) -> HostState<T> {
        let place = ManuallyDrop::new(self).0;
        // SAFETY: `new` leaked the box, and `self`, which would free it, is forgotten.
        let mut allocated = unsafe { Box::from_raw(place.as_ptr()) };
        // While the store is whole, since what tasks wait for may use it.
        allocated.inner.end_all_tasks();
        let StoreInner { opaque, host } = allocated.inner;
        // Before the box is freed, since the instances use what is current.
        drop(opaque);
        host
    }
}

impl<T> Drop for Allocation<T> {
    fn drop(&mut self) {
        // SAFETY: `new` leaked the box, and nothing else frees it.
        let mut allocated = unsafe { Box::from_raw(self.0.as_ptr()) };
        // While the store is whole, since what tasks wait for may use it.
        allocated.inner.end_all_tasks();
    }
}

impl<T> Deref for Allocation<T> {
    type Target = StoreInner<T>;

    #[inline]
    fn deref(&self) -> &StoreInner<T> {
        // SAFETY: the allocation lives as long as `self`, whose borrow covers the field.
        unsafe { &(*self.0.as_ptr()).inner }
    }
}

impl<T> DerefMut for Allocation<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut StoreInner<T> {
        // SAFETY: as above.
        unsafe { &mut (*self.0.as_ptr()).inner }
    }
}

/// The address of what is current in a store.
pub(super) struct CurrentPointer(NonNull<Current>);

impl CurrentPointer {
    pub fn get(&self) -> NonNull<Current> {
        self.0
    }
}

// SAFETY: the pointer is used only through an exclusive reference to its store, or by a guest of
// it while there is one.
unsafe impl Send for CurrentPointer {}
// SAFETY: as above.
unsafe impl Sync for CurrentPointer {}
