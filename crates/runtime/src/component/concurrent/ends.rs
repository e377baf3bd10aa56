//! Ends of streams and futures: what happens when both sides copy, and when one is dropped.

use super::{Concurrent, EventCode, Key, WaitableKind};
use crate::component::handles::EndProblem;
use mintage_environ::component::AsyncValue;
use mintage_environ::{DomainId, EndOpId, Trap};

/// The most values of one read or write (`Buffer.MAX_LENGTH`).
pub const MAX_LENGTH: u64 = (1 << 28) - 1;

/// An end of a stream or future.
pub struct End {
    pub value: AsyncValue,
    /// Whether it is the writable end.
    pub writes: bool,
    pub state: EndState,
    /// The other end, unless that is gone.
    pub other: Option<Key>,
    /// If the host has this end: the host's own number of the stream or future. Such an end never
    /// copies by itself.
    pub host: Option<u64>,
    /// The buffer of the copy that is under way.
    pub buffer: Option<Buffer>,
    /// The number of values that were copied, for the event.
    progress: u32,
    /// How a future's end was done with, for messages.
    pub was_dropped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndState {
    Idle,
    Copying,
    Cancelling,
    Done,
}

/// The values that a guest reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The built-in, which knows the memory.
    pub op: EndOpId,
    /// The pointer to the next value.
    pub pointer: u64,
    pub progress: u32,
    pub length: u32,
}

impl Buffer {
    fn remain(&self) -> u32 {
        self.length - self.progress
    }
}

/// Values that are to be copied from one buffer to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub from: Buffer,
    pub to: Buffer,
    pub count: u32,
}

/// What `copied` codes say (`CopyResult`).
mod copy_result {
    pub const COMPLETED: u32 = 0;
    pub const DROPPED: u32 = 1;
    pub const CANCELLED: u32 = 2;
}

impl End {
    fn new(value: AsyncValue, writes: bool) -> Self {
        End {
            value,
            writes,
            state: EndState::Idle,
            other: None,
            host: None,
            buffer: None,
            progress: 0,
            was_dropped: false,
        }
    }
}

impl<F> Concurrent<F> {
    /// Creates a stream or future. Returns the readable and the writable end.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn new_ends(
        &mut self,
        value: AsyncValue,
        owner: Option<DomainId>,
    ) -> Result<[Key; 2], Trap> {
        let reader = self.add_waitable(owner, WaitableKind::End(End::new(value, false)))?;
        let writer = self.add_waitable(owner, WaitableKind::End(End::new(value, true)))?;
        self.end(reader).other = Some(writer);
        self.end(writer).other = Some(reader);
        Ok([reader, writer])
    }

    pub fn end(&mut self, key: Key) -> &mut End {
        match &mut self.waitables[key].kind {
            WaitableKind::End(end) => end,
            WaitableKind::Subtask(_) => unreachable!("the waitable is an end"),
        }
    }

    /// Fails unless an end is idle and in no set, so that it can be passed on.
    pub fn check_idle(&mut self, key: Key) -> Result<(), EndProblem> {
        let in_set = self.waitables[key].set.is_some();
        match self.end(key).state {
            EndState::Idle if in_set => Err(EndProblem::InSet),
            EndState::Idle => Ok(()),
            EndState::Copying | EndState::Cancelling => Err(EndProblem::Busy),
            EndState::Done => Err(EndProblem::Done),
        }
    }

    /// Begins a copy of an idle end. Returns what is to be copied at once; [`copied`](Self::copied)
    /// follows.
    ///
    /// # Errors
    ///
    /// If both ends are in one component instance, unless `is_number` says that the values are
    /// numbers or nothing.
    pub fn copy(
        &mut self,
        key: Key,
        buffer: Buffer,
        is_number: bool,
    ) -> Result<Option<Transfer>, Trap> {
        let end = self.end(key);
        end.state = EndState::Copying;
        let writes = end.writes;
        let Some(other) = end.other else {
            // The event that says so is pending.
            return Ok(None);
        };
        let Some(others) = self.end(other).buffer else {
            self.end(key).buffer = Some(buffer);
            return Ok(None);
        };
        if buffer.remain() > 0 && others.remain() > 0 {
            let owner = self.waitables[key].owner;
            if owner.is_some() && owner == self.waitables[other].owner && !is_number {
                return Err(Trap::SameInstanceCopy);
            }
            let (from, to) = match writes {
                true => (buffer, others),
                false => (others, buffer),
            };
            let count = buffer.remain().min(others.remain());
            return Ok(Some(Transfer { from, to, count }));
        }
        if buffer.remain() > 0 || (!writes && others.remain() == 0) {
            self.notify(other, 0);
            self.end(other).buffer = None;
            self.end(key).buffer = Some(buffer);
        } else {
            self.notify(key, 0);
        }
        Ok(None)
    }

    /// Notes that `count` values have been copied, of `size` bytes on this and `other_size` on the
    /// other side.
    pub fn copied(&mut self, key: Key, buffer: Buffer, count: u32, other_size: u32) {
        self.notify(key, buffer.progress + count);
        let Some(other) = self.end(key).other else {
            return;
        };
        let Some(others) = &mut self.end(other).buffer else {
            return;
        };
        others.progress += count;
        others.pointer += u64::from(count) * u64::from(other_size);
        let (progress, remain) = (others.progress, others.remain());
        self.notify(other, progress);
        if remain == 0 {
            self.end(other).buffer = None;
        }
    }

    pub(super) fn notify(&mut self, key: Key, progress: u32) {
        self.end(key).progress = progress;
        self.set_pending(key);
    }

    /// Returns the host's number of a stream or future, if the host has the other end.
    pub fn host_of_other(&mut self, key: Key) -> Option<u64> {
        let other = self.end(key).other?;
        self.end(other).host
    }

    /// Makes the event of an end whose time has come.
    pub(super) fn end_event(&mut self, key: Key) -> super::Event {
        let handle = self.waitables[key].handle;
        let end = self.end(key);
        let code = match (end.value.is_future(), end.writes) {
            (false, false) => EventCode::StreamRead,
            (false, true) => EventCode::StreamWrite,
            (true, false) => EventCode::FutureRead,
            (true, true) => EventCode::FutureWrite,
        };
        let is_future = end.value.is_future();
        let (state, result) = match (is_future, end.progress, end.other, end.state) {
            (true, 1, ..) => (EndState::Done, copy_result::COMPLETED),
            (_, _, None, _) => {
                end.was_dropped = true;
                (EndState::Done, copy_result::DROPPED)
            }
            (_, _, _, EndState::Cancelling) => (EndState::Idle, copy_result::CANCELLED),
            _ => (EndState::Idle, copy_result::COMPLETED),
        };
        end.state = state;
        end.buffer = None;
        let payload = match is_future {
            true => result,
            false => result | end.progress << 4,
        };
        [code as u32, handle, payload]
    }

    /// Ends the copy that is under way. There is an event afterwards, unless the host has the other
    /// end. Then the host must be told.
    pub fn cancel_copy(&mut self, key: Key) {
        self.end(key).state = EndState::Cancelling;
        if !self.waitables[key].is_pending && self.host_of_other(key).is_none() {
            self.notify(key, 0);
        }
    }

    /// Drops an end that does not copy.
    pub fn drop_end(&mut self, key: Key) {
        if let Some(other) = self.end(key).other.take() {
            let is_pending = self.waitables[other].is_pending;
            let other_end = self.end(other);
            other_end.other = None;
            let hears = other_end.host.is_none() && other_end.state != EndState::Done;
            if hears && !is_pending {
                self.notify(other, 0);
            }
        }
        self.remove_waitable(key);
    }

    /// Connects what is behind the readable end `source` with what is behind the writable end
    /// `target`. Returns what is to be copied at once, and between which ends.
    ///
    /// # Errors
    ///
    /// As [`copy`](Self::copy).
    pub fn forward(
        &mut self,
        source: Key,
        target: Key,
        is_number: bool,
    ) -> Result<Option<(Key, Buffer, Transfer)>, Trap> {
        let (writer, reader) = (self.end(source).other, self.end(target).other);
        let (Some(writer), Some(reader)) = (writer, reader) else {
            self.drop_end(source);
            self.drop_end(target);
            return Ok(None);
        };
        if writer == target {
            self.drop_end(source);
            self.drop_end(target);
            return Ok(None);
        }
        self.end(writer).other = Some(reader);
        self.end(reader).other = Some(writer);
        for end in [source, target] {
            self.end(end).other = None;
            self.remove_waitable(end);
        }
        let (Some(from), Some(to)) = (self.end(writer).buffer, self.end(reader).buffer) else {
            return Ok(None);
        };
        let (smaller, buffer) = match to.remain() > from.remain() {
            true => (writer, from),
            false => (reader, to),
        };
        self.end(smaller).buffer = None;
        let transfer = self.copy(smaller, buffer, is_number)?;
        Ok(transfer.map(|transfer| (smaller, buffer, transfer)))
    }
}
