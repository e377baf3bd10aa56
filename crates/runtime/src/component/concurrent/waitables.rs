//! Waitables: subtasks and ends of streams and futures, which have events, and sets of them.

use super::ends::End;
use super::{Concurrent, Key, MAX_WAITABLES};
use mintage_environ::{CallId, DomainId, Trap};

/// Something that has events.
pub struct Waitable {
    /// The component instance that has it; `None` while it is passed on, or if the host has it.
    pub owner: Option<DomainId>,
    /// Its handle there.
    pub handle: u32,
    /// Whether there is an event.
    pub is_pending: bool,
    /// The set that it is in.
    pub set: Option<Key>,
    /// The thread that waits for it outside of a set.
    pub waiter: Option<Key>,
    /// Whether a thread waits for it outside of a set, or works on it.
    pub has_sync_waiter: bool,
    pub kind: WaitableKind,
    /// Its neighbours in the list of its set's members with events.
    before: Option<Key>,
    pub(super) after: Option<Key>,
}

pub enum WaitableKind {
    Subtask(Subtask),
    End(End),
}

/// A call of an asynchronous function, as its caller sees it.
pub struct Subtask {
    pub state: SubtaskState,
    /// The task, if it is one of this root instance and has not ended.
    pub task: Option<Key>,
    /// The number by which the host knows the call, if it is one of a host function that has not
    /// returned.
    pub host: Option<u64>,
    /// The scope of handles that are lent to the call.
    pub scope: Option<CallId>,
    /// Whether the caller knows that it has ended.
    pub is_delivered: bool,
    pub cancellation_requested: bool,
    /// The flat result for a synchronous caller.
    pub result: u64,
    /// The component instance that calls, unless the call is synchronous.
    pub async_caller: Option<DomainId>,
}

/// The states of a subtask, as numbers for the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SubtaskState {
    Starting = 0,
    Started = 1,
    Returned = 2,
    CancelledBeforeStarted = 3,
    CancelledBeforeReturned = 4,
}

/// The kinds of events, as numbers for the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum EventCode {
    None = 0,
    Subtask = 1,
    StreamRead = 2,
    StreamWrite = 3,
    FutureRead = 4,
    FutureWrite = 5,
    TaskCancelled = 6,
}

/// An event: its code, the handle that it is about, and what has happened.
pub type Event = [u32; 3];

/// A set of waitables.
#[derive(Default)]
pub struct Set {
    /// The number of its members.
    members: usize,
    /// The members with events: the first and the last.
    first: Option<Key>,
    last: Option<Key>,
    /// The threads that wait for an event.
    pub waiters: Vec<Key>,
}

impl Subtask {
    pub fn is_resolved(&self) -> bool {
        !matches!(self.state, SubtaskState::Starting | SubtaskState::Started)
    }
}

impl Waitable {
    /// Returns whether this is a subtask that has ended.
    pub fn is_resolved(&self) -> bool {
        matches!(&self.kind, WaitableKind::Subtask(subtask) if subtask.is_resolved())
    }
}

impl<F> Concurrent<F> {
    /// Adds a waitable that is in no set.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn add_waitable(
        &mut self,
        owner: Option<DomainId>,
        kind: WaitableKind,
    ) -> Result<Key, Trap> {
        if self.waitables.len() >= MAX_WAITABLES {
            return Err(Trap::TooManyTasks);
        }
        Ok(self.waitables.add(Waitable {
            owner,
            handle: 0,
            is_pending: false,
            set: None,
            waiter: None,
            has_sync_waiter: false,
            kind,
            before: None,
            after: None,
        }))
    }

    /// Adds a set.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn add_set(&mut self) -> Result<Key, Trap> {
        if self.sets.len() >= MAX_WAITABLES {
            return Err(Trap::TooManyTasks);
        }
        Ok(self.sets.add(Set::default()))
    }

    pub fn subtask(&mut self, key: Key) -> &mut Subtask {
        match &mut self.waitables[key].kind {
            WaitableKind::Subtask(subtask) => subtask,
            WaitableKind::End(_) => unreachable!("the waitable is a subtask"),
        }
    }

    /// Wakes the thread that waits for a subtask without a handle.
    pub fn wake_waiter(&mut self, key: Key) {
        if let Some(waiter) = self.waitables[key].waiter {
            self.enqueue(waiter);
        }
    }

    pub fn set_has_event(&self, set: Key) -> bool {
        self.sets.get(set).is_some_and(|set| set.first.is_some())
    }

    /// Notes that a waitable has an event, which is computed when it is taken.
    pub fn set_pending(&mut self, key: Key) {
        let waitable = &mut self.waitables[key];
        let was_pending = std::mem::replace(&mut waitable.is_pending, true);
        // Who waits for the end of a subtask waits also while the event of its begin is pending.
        if let Some(waiter) = waitable.waiter {
            self.enqueue(waiter);
        }
        if !was_pending && self.waitables[key].set.is_some() {
            self.link(key);
        }
    }

    /// Takes the event of a waitable.
    pub fn take_event(&mut self, key: Key) -> Event {
        if self.waitables[key].set.is_some() {
            self.unlink(key);
        }
        self.waitables[key].is_pending = false;
        let handle = self.waitables[key].handle;
        match self.waitables[key].kind {
            WaitableKind::Subtask(ref mut subtask) => {
                let state = subtask.state as u32;
                if subtask.is_resolved() {
                    subtask.is_delivered = true;
                }
                [EventCode::Subtask as u32, handle, state]
            }
            WaitableKind::End(_) => self.end_event(key),
        }
    }

    /// Takes an event of a set that has one. Returns it with the waitable.
    pub fn take_set_event(&mut self, set: Key) -> Option<(Key, Event)> {
        let first = self.sets[set].first?;
        let chosen = self.choose_member(first);
        Some((chosen, self.take_event(chosen)))
    }

    /// Puts a waitable into a set, or takes it out of its set.
    pub fn join(&mut self, key: Key, set: Option<Key>) {
        if self.waitables[key].is_pending && self.waitables[key].set.is_some() {
            self.unlink(key);
        }
        if let Some(old) = self.waitables[key].set
            && let Some(old) = self.sets.get_mut(old)
        {
            old.members -= 1;
        }
        self.waitables[key].set = set;
        if let Some(set) = set {
            self.sets[set].members += 1;
            if self.waitables[key].is_pending {
                self.link(key);
            }
        }
    }

    /// Removes a waitable, which then is in no set.
    pub fn remove_waitable(&mut self, key: Key) {
        self.join(key, None);
        self.waitables.remove(key);
    }

    /// Removes a set.
    ///
    /// # Errors
    ///
    /// If it has members, or threads wait for it.
    pub fn remove_set(&mut self, key: Key) -> Result<(), Trap> {
        let set = &self.sets[key];
        if set.members > 0 || !set.waiters.is_empty() {
            return Err(Trap::SetInUse);
        }
        self.sets.remove(key);
        Ok(())
    }

    /// Adds a member with an event to the end of its set's list, and wakes who waits for it.
    fn link(&mut self, key: Key) {
        let Some(set) = self.waitables[key].set else {
            return;
        };
        let last = self.sets[set].last.replace(key);
        match last {
            Some(last) => self.waitables[last].after = Some(key),
            None => self.sets[set].first = Some(key),
        }
        self.waitables[key].before = last;
        self.waitables[key].after = None;
        for at in 0..self.sets[set].waiters.len() {
            let waiter = self.sets[set].waiters[at];
            self.enqueue(waiter);
        }
    }

    /// Takes a member out of its set's list of those with events.
    fn unlink(&mut self, key: Key) {
        let waitable = &mut self.waitables[key];
        let (Some(set), before, after) =
            (waitable.set, waitable.before.take(), waitable.after.take())
        else {
            return;
        };
        match before {
            Some(before) => self.waitables[before].after = after,
            None => self.sets[set].first = after,
        }
        match after {
            Some(after) => self.waitables[after].before = before,
            None => self.sets[set].last = before,
        }
    }
}
