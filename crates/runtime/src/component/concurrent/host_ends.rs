//! Ends that the host has: what the guest at the other side does, and what the host does to it.
//!
//! A readable end that a guest passes to the host stays where it is, with a number of the host. The
//! same holds for the writable end of a stream that the host makes. So the other end is used as
//! always: where it copies, is cancelled or dropped, the host is told by its number. If a guest
//! gets such an end back, both are connected as if the host had never had one.

use super::ends::{Buffer, End, EndState};
use super::{Concurrent, Key, WaitableKind};
use mintage_environ::component::AsyncValue;
use mintage_environ::{DomainId, EndOpId, Trap};

/// The guest at the other side of an end of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Whether it has dropped its end.
    pub is_gone: bool,
    /// The copy that it waits for. There is none as long as it has not taken the event of the last
    /// one.
    pub copy: Option<PeerCopy>,
}

/// A read or write of a guest at the other side of an end of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCopy {
    /// The built-in, which has the canonical options.
    pub op: EndOpId,
    /// The pointer to the next value.
    pub pointer: u64,
    /// The number of values that were copied.
    pub progress: u32,
    /// The number of values that were not.
    pub remaining: u32,
    /// Whether the guest has asked for its end.
    pub is_cancelled: bool,
}

impl<F> Concurrent<F> {
    /// Returns an end that the host has.
    fn host_end(&mut self, key: Key) -> Option<&mut End> {
        match &mut self.waitables.get_mut(key)?.kind {
            WaitableKind::End(end) => Some(end).filter(|end| end.host.is_some()),
            WaitableKind::Subtask(_) => None,
        }
    }

    /// Makes an end, which no component instance has, one of the host.
    pub fn set_host(&mut self, key: Key, number: u64) {
        self.waitables[key].owner = None;
        self.waitables[key].handle = 0;
        self.end(key).host = Some(number);
    }

    /// Creates a stream or future whose readable end goes to `owner`, and whose writable one the
    /// host has. Returns both.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn new_host_end(
        &mut self,
        value: AsyncValue,
        owner: DomainId,
        number: u64,
    ) -> Result<[Key; 2], Trap> {
        let [reader, writer] = self.new_ends(value, Some(owner))?;
        self.set_host(writer, number);
        Ok([reader, writer])
    }

    /// Returns an end of the host to a component instance, if its type is `value`. Returns whether
    /// it is.
    pub fn return_end(&mut self, key: Key, value: AsyncValue, owner: DomainId) -> bool {
        let Some(end) = self.host_end(key).filter(|end| end.value == value) else {
            return false;
        };
        end.host = None;
        let is_orphan = end.other.is_none();
        self.waitables[key].owner = Some(owner);
        if is_orphan {
            self.notify(key, 0);
        }
        true
    }

    /// Removes both ends of a stream or future, if the host has the other one, too. Returns its
    /// number.
    pub fn dissolve(&mut self, key: Key) -> Option<u64> {
        let number = self.host_of_other(key)?;
        if let Some(other) = self.end(key).other {
            self.remove_waitable(other);
        }
        self.remove_waitable(key);
        Some(number)
    }

    /// Returns what the guest does at the other side.
    pub fn peer(&mut self, key: Key) -> Peer {
        let other = self.host_end(key).and_then(|end| end.other);
        let copy = other.and_then(|other| self.copy_of(other));
        Peer {
            is_gone: other.is_none(),
            copy,
        }
    }

    fn copy_of(&mut self, key: Key) -> Option<PeerCopy> {
        if self.waitables[key].is_pending {
            return None;
        }
        let end = self.end(key);
        let is_cancelled = match end.state {
            EndState::Copying => false,
            EndState::Cancelling => true,
            EndState::Idle | EndState::Done => return None,
        };
        let Buffer {
            op,
            pointer,
            progress,
            length,
        } = end.buffer?;
        Some(PeerCopy {
            op,
            pointer,
            progress,
            remaining: length - progress,
            is_cancelled,
        })
    }

    /// Notes that values of a guest's copy have been copied, of `size` bytes each. It goes on.
    pub fn advance_peer(&mut self, key: Key, count: u32, size: u32) {
        let Some(other) = self.host_end(key).and_then(|end| end.other) else {
            return;
        };
        if let Some(buffer) = &mut self.end(other).buffer {
            let count = count.min(buffer.length - buffer.progress);
            buffer.progress += count;
            buffer.pointer += u64::from(count) * u64::from(size);
        }
    }

    /// Ends a guest's copy, if there is one: it has the event now.
    pub fn complete_peer(&mut self, key: Key) {
        let Some(other) = self.host_end(key).and_then(|end| end.other) else {
            return;
        };
        if let Some(copy) = self.copy_of(other) {
            self.notify(other, copy.progress);
        }
    }

    /// Drops an end of the host. The guest's copy ends with what has been copied.
    pub fn drop_host_end(&mut self, key: Key) {
        if self.host_end(key).is_some() {
            self.complete_peer(key);
            self.drop_end(key);
        }
    }
}
