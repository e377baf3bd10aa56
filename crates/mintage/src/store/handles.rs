//! [`HostHandles`]: the store's own handle table, with an entry for each
//! [`ResourceAny`](crate::ResourceAny).

use super::LinkedImports;
use super::streams::Streams;
use crate::error::{Context, Result, ensure, format_err, wrong_store};
use crate::types::{StoreId, StoreInstanceId};
use mintage_environ::{CallId, ResourceId};
use slab::Slab;
use smallvec::SmallVec;
use std::sync::Arc;

/// The origin of a resource, which determines how it is destroyed.
#[derive(Clone, Debug)]
pub(crate) enum ResourceOrigin {
    /// It is of a type that an instance defines.
    Guest {
        instance: StoreInstanceId,
        /// The type, in that instance's component.
        resource: ResourceId,
    },
    /// It is of the host, and an instance with these imports has passed it. It outlives the
    /// instance.
    Host {
        linked: Arc<LinkedImports>,
        resource: ResourceId,
    },
}

/// The name of an entry in the table of one store. Copies of it may outlive the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostHandle {
    store: StoreId,
    index: u32,
    generation: u32,
}

/// The state of a handle in the store.
#[derive(Clone, Debug)]
pub(crate) struct HostHandleEntry {
    pub rep: u32,
    pub owned: bool,
    /// None for a resource of the host that no instance has passed.
    pub origin: Option<ResourceOrigin>,
    /// The number of calls that it is lent to.
    lends: u32,
}

/// A call between the host and a guest, in either direction, that handles are lent to: its scope
/// on both sides. Whoever makes the call holds it, so calls may end in any order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LendingCall {
    /// The scope among the guest's handles.
    pub guest: CallId,
    /// The scope among the host's handles.
    pub host: HostCallId,
}

/// The number of a call in [`HostHandles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostCallId(usize);

/// The handles that end with a call. A few take no allocation.
#[derive(Debug, Default)]
struct HostCallScope {
    /// Handles of the host that are lent to the call.
    lent: SmallVec<[u32; 4]>,
    /// Handles that the host has borrowed for the call, with their generation.
    borrowed: SmallVec<[(u32, u32); 4]>,
}

/// The handles that the host holds, and the calls under way that have borrows.
#[derive(Debug)]
pub(crate) struct HostHandles {
    /// The store.
    pub store: StoreId,
    slots: Vec<Slot>,
    /// Slots that are free.
    free: Vec<u32>,
    /// The calls under way that have borrows.
    calls: Slab<HostCallScope>,
    /// The streams and futures that the host has an end of.
    pub streams: Streams,
}

/// An entry or room for one. Copies of a handle may outlive it, so each reuse of a slot has a
/// number of its own.
#[derive(Debug)]
struct Slot {
    generation: u32,
    entry: Option<HostHandleEntry>,
}

impl HostHandles {
    pub fn new(store: StoreId) -> Self {
        Self {
            store,
            slots: Vec::new(),
            free: Vec::new(),
            calls: Slab::new(),
            streams: Streams::default(),
        }
    }

    /// Adds an owning handle.
    pub fn add_own(&mut self, rep: u32, origin: Option<ResourceOrigin>) -> HostHandle {
        self.add(HostHandleEntry {
            rep,
            owned: true,
            origin,
            lends: 0,
        })
    }

    /// Adds a handle that is borrowed for `call`.
    ///
    /// # Panics
    ///
    /// When the call has ended.
    pub fn add_borrow(
        &mut self,
        call: HostCallId,
        rep: u32,
        origin: Option<ResourceOrigin>,
    ) -> HostHandle {
        let handle = self.add(HostHandleEntry {
            rep,
            owned: false,
            origin,
            lends: 0,
        });
        let borrowed = &mut self.calls[call.0].borrowed;
        borrowed.push((handle.index, handle.generation));
        handle
    }

    fn add(&mut self, entry: HostHandleEntry) -> HostHandle {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                entry: None,
            });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.entry = Some(entry);
        HostHandle {
            store: self.store,
            index,
            generation: slot.generation,
        }
    }

    /// Returns the state of a handle.
    pub fn get(&self, handle: HostHandle) -> Result<&HostHandleEntry> {
        if handle.store != self.store {
            return Err(wrong_store("resource"));
        }
        let slot = self.slots.get(handle.index as usize);
        slot.filter(|slot| slot.generation == handle.generation)
            .and_then(|slot| slot.entry.as_ref())
            .ok_or_else(|| {
                format_err!(
                    "the resource was dropped or given away before, or its borrow has ended"
                )
            })
    }

    /// Removes a handle that is not lent.
    pub fn remove(&mut self, handle: HostHandle) -> Result<HostHandleEntry> {
        ensure!(
            self.get(handle)?.lends == 0,
            "cannot remove owned resource while borrowed"
        );
        let entry = self.free_slot(handle.index);
        entry.context("the handle was just found")
    }

    /// Removes an owning handle that is not lent. Returns its representation.
    pub fn take_own(&mut self, handle: HostHandle) -> Result<u32> {
        ensure!(
            self.get(handle)?.owned,
            "cannot lower a `borrow` resource into an `own`"
        );
        Ok(self.remove(handle)?.rep)
    }

    /// Lends a handle to `call` and returns the representation.
    ///
    /// # Panics
    ///
    /// When the call has ended.
    pub fn lend(&mut self, call: HostCallId, handle: HostHandle) -> Result<u32> {
        let rep = self.get(handle)?.rep;
        if let Some(Slot {
            entry: Some(entry), ..
        }) = self.slots.get_mut(handle.index as usize)
        {
            entry.lends += 1;
            self.calls[call.0].lent.push(handle.index);
        }
        Ok(rep)
    }

    fn free_slot(&mut self, index: u32) -> Option<HostHandleEntry> {
        let slot = &mut self.slots[index as usize];
        let entry = slot.entry.take();
        // A slot that has had every generation is not reused.
        if let Some(generation) = slot.generation.checked_add(1) {
            slot.generation = generation;
            self.free.push(index);
        }
        entry
    }

    /// Opens the scope of a call that has borrows.
    pub fn enter(&mut self) -> HostCallId {
        HostCallId(self.calls.insert(HostCallScope::default()))
    }

    /// Closes the scope of a call, however that ended: ends its loans and borrows.
    pub fn exit(&mut self, call: HostCallId) {
        let Some(HostCallScope { lent, borrowed }) = self.calls.try_remove(call.0) else {
            return;
        };
        for index in lent {
            if let Some(entry) = &mut self.slots[index as usize].entry {
                entry.lends -= 1;
            }
        }
        for (index, generation) in borrowed {
            let slot = &self.slots[index as usize];
            if slot.generation == generation && slot.entry.is_some() {
                self.free_slot(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handles() -> HostHandles {
        HostHandles::new(StoreId::new())
    }

    fn message<T>(result: Result<T>) -> String {
        result
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn copies_of_a_handle_end_with_it() {
        let mut handles = handles();
        let first = handles.add_own(7, None);
        assert_eq!(handles.take_own(first).unwrap(), 7);
        // The slot is used again, and the old handle does not mean the new resource.
        let second = handles.add_own(8, None);
        assert_eq!(second.index, first.index);
        assert!(
            message(handles.get(first))
                .starts_with("the resource was dropped or given away before")
        );
        assert_eq!(handles.get(second).unwrap().rep, 8);
        let elsewhere = HostHandles::new(StoreId::new());
        assert!(message(elsewhere.get(second)).contains("another `Store`"));
    }

    #[test]
    fn what_is_lent_stays() {
        let mut handles = handles();
        let own = handles.add_own(7, None);
        let [first, second] = [(); 2].map(|()| handles.enter());
        for call in [first, second] {
            handles.lend(call, own).unwrap();
        }
        // Not the one that began last.
        handles.exit(first);
        assert_eq!(
            message(handles.remove(own)),
            "cannot remove owned resource while borrowed"
        );
        handles.exit(second);
        assert_eq!(handles.remove(own).unwrap().rep, 7);
    }

    #[test]
    fn borrows_end_with_their_call() {
        let mut handles = handles();
        let call = handles.enter();
        let borrow = handles.add_borrow(call, 7, None);
        let dropped = handles.add_borrow(call, 8, None);
        handles.remove(dropped).unwrap();
        let own = handles.add_own(9, None);
        assert_eq!(own.index, dropped.index);
        assert_eq!(
            message(handles.take_own(borrow)),
            "cannot lower a `borrow` resource into an `own`"
        );
        handles.exit(call);
        assert!(handles.get(borrow).is_err());
        assert_eq!(handles.get(own).unwrap().rep, 9);
    }
}
