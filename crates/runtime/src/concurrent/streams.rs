//! Streams and futures with the host at one side.

use super::ends::{end_op, kind, layout, take};
use super::{Failed, Poll, with};
use crate::component::arena::Key;
use crate::component::concurrent::{Peer, PeerCopy};
use crate::component::handles::{EndAction, HandleError};
use crate::instance::{Instance, InstanceData};
use anyhow::Result;
use mintage_environ::component::{AsyncValue, EndOp};
use mintage_environ::{DomainId, Trap};

/// An end of a stream or future that the host has. The value is a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostEnd(Key);

/// The readable end that a guest passes to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenEnd {
    /// Its other end is a guest's.
    OfGuest(HostEnd),
    /// Its other end is the host's, which knows the stream or future by this number. Neither end
    /// exists any more.
    OfHost(u64),
}

impl Instance {
    /// Takes a readable end from a guest (`lift_async_value`). The host then
    /// [numbers](Self::number_end) it.
    ///
    /// # Errors
    ///
    /// If the guest has no such end that it can pass on.
    pub fn take_end(
        &self,
        domain: DomainId,
        value: AsyncValue,
        handle: u32,
    ) -> Result<TakenEnd, HandleError> {
        let data = self.data();
        let key = match take(data, domain, handle, value, EndAction::Lift) {
            Ok(key) => key,
            Err(Failed::Handle(error)) => return Err(error),
            Err(_) => return Err(HandleError::Unknown { handle }),
        };
        Ok(with(data, |state| match state.dissolve(key) {
            Some(number) => TakenEnd::OfHost(number),
            None => {
                state.set_host(key, u64::MAX);
                TakenEnd::OfGuest(HostEnd(key))
            }
        }))
    }

    /// Sets the host's own number of the stream or future that an end is of.
    pub fn number_end(&self, HostEnd(key): HostEnd, number: u64) {
        with(self.data(), |state| {
            if state.waitables.get(key).is_some() {
                state.set_host(key, number);
            }
        });
    }

    /// Creates a stream or future, gives the readable end to a guest, and the writable one to the
    /// host, which knows it by `number`. Returns it and the guest's handle.
    ///
    /// # Errors
    ///
    /// If there are too many ends, or the guest's table is full.
    pub fn new_host_end(
        &self,
        domain: DomainId,
        value: AsyncValue,
        number: u64,
    ) -> Result<(HostEnd, u32)> {
        let data = self.data();
        let [reader, writer] = with(data, |state| state.new_host_end(value, domain, number))?;
        let handle = self.give(domain, value, reader).inspect_err(|_| {
            with(data, |state| {
                state.drop_host_end(writer);
                state.remove_waitable(reader);
            });
        })?;
        Ok((HostEnd(writer), handle))
    }

    /// Gives a readable end back to a guest. Returns the guest's handle, or `None` if the type of
    /// the end is not `value`.
    ///
    /// # Errors
    ///
    /// If the guest's table is full.
    pub fn return_end(
        &self,
        HostEnd(key): HostEnd,
        domain: DomainId,
        value: AsyncValue,
    ) -> Result<Option<u32>> {
        let is_of_type = with(self.data(), |state| state.return_end(key, value, domain));
        match is_of_type {
            true => self.give(domain, value, key).map(Some),
            false => Ok(None),
        }
    }

    fn give(&self, domain: DomainId, value: AsyncValue, key: Key) -> Result<u32> {
        let data = self.data();
        let kind = kind(value, false);
        let handle = data.with_handles(|handles, _| handles.add_concurrent(domain, kind, key))?;
        with(data, |state| state.waitables[key].handle = handle);
        Ok(handle)
    }

    /// Returns what the guest does at the other side of an end.
    pub fn peer(&self, HostEnd(key): HostEnd) -> Peer {
        with(self.data(), |state| state.peer(key))
    }

    /// Returns the built-in of a guest's copy.
    ///
    /// # Errors
    ///
    /// If there is no such built-in.
    pub fn end_op(&self, copy: &PeerCopy) -> Result<&EndOp> {
        let op = end_op(self.data(), copy.op);
        op.map_err(|_| Trap::NoTask.into())
    }

    /// Notes that the host has copied values, `count` more, from or to the guest at the other side
    /// of an end. The guest does not hear of it yet.
    pub fn advance_peer(&self, HostEnd(key): HostEnd, count: u32) {
        let data = self.data();
        with(data, |state| {
            let Some(copy) = state.peer(key).copy else {
                return;
            };
            let size = end_op(data, copy.op).map_or(0, |op| layout(data, op).0);
            state.advance_peer(key, count, size);
        });
    }

    /// Ends the copy of the guest at the other side of an end.
    pub fn complete_peer(&self, HostEnd(key): HostEnd) {
        with(self.data(), |state| state.complete_peer(key));
    }

    /// Drops an end.
    pub fn drop_host_end(&self, HostEnd(key): HostEnd) {
        with(self.data(), |state| state.drop_host_end(key));
    }
}

/// Tells the host that the guest at the other side of one of its ends has begun or cancelled a
/// copy, or has dropped its end.
pub(super) fn tell_host(data: &InstanceData, number: u64, poll: &Poll<'_>) -> Result<(), Failed> {
    let hooks = data.hooks.ok_or(Trap::NoTask)?;
    // SAFETY: machine code of the instance has left for this, and no one else uses the store.
    super::call_hook(|| unsafe { (hooks.peer)(poll.host, data.tag, number) })
}
