//! Ends of streams and futures that pass between the host and guests, and the buffers that guests
//! read into and write from.

use super::handle::no_handles;
use super::{ComponentType, InstanceTypes, InterfaceType, LiftContext, LowerContext};
use crate::error::{Context, Result, bail, ensure, handle_trap};
use crate::store::{GuestEnd, HeldEnd, Side, Stream, StreamId};
use mintage_environ::component::AsyncValue;
use mintage_runtime::TakenEnd;
use std::sync::Arc;

/// Returns whether the Rust type `T` stands for the optional payload `ty`.
pub(crate) fn matches_payload<T: ComponentType>(
    ty: Option<InterfaceType>,
    types: &InstanceTypes<'_>,
) -> bool {
    match ty {
        Some(ty) => T::matches(ty, types),
        None => T::SIZE == 0,
    }
}

impl LiftContext<'_> {
    /// Takes the readable end of a stream or future from the guest.
    pub(crate) fn lift_end(&mut self, value: AsyncValue, handle: u32) -> Result<Arc<HeldEnd>> {
        let (handles, instance) = self.handles.as_mut().with_context(no_handles)?;
        let taken = instance.take_end(handles.domain, value, handle);
        let streams = &mut handles.host.streams;
        let number = match taken.map_err(handle_trap)? {
            TakenEnd::OfHost(number) => number,
            TakenEnd::OfGuest(end) => {
                let guest = GuestEnd {
                    instance: handles.instance,
                    end,
                };
                streams.make_room(guest.instance, |end| instance.drop_host_end(end));
                let stream = Stream::new(value.is_future(), Side::Guest(guest));
                let number = streams
                    .add(stream)
                    .inspect_err(|_| instance.drop_host_end(end))?;
                instance.number_end(end, number);
                number
            }
        };
        let held = streams.hold(handles.host.store, number);
        held.context("the stream or future of a guest's end does not exist")
    }
}

impl<'a> LiftContext<'a> {
    /// Returns the bytes of values that the guest writes to a stream or future, from `pointer` on.
    pub(crate) fn buffer(&mut self, pointer: u64, bytes: usize) -> Result<&'a [u8]> {
        let start = usize::try_from(pointer).ok();
        let found = start.and_then(|start| self.memory().get(start..)?.get(..bytes));
        found.with_context(outside)
    }
}

impl LowerContext<'_> {
    /// Gives the guest the readable end of a stream or future. Returns the index of its new handle.
    pub(crate) fn lower_end(&mut self, value: AsyncValue, end: &HeldEnd) -> Result<u32> {
        let handle = self.pass_end(value, end.id)?;
        end.set_over();
        Ok(handle)
    }

    fn pass_end(&mut self, value: AsyncValue, id: StreamId) -> Result<u32> {
        let handles = self.handles.as_mut().with_context(no_handles)?;
        let instance = self.guest.instance().with_context(no_handles)?;
        let (store, domain) = (handles.host.store, handles.domain);
        let streams = &mut handles.host.streams;
        let stream = streams.held(store, id)?;
        ensure!(
            stream.is_future == value.is_future(),
            "a future is passed as a stream, or the other way round"
        );
        if let Side::Guest(guest) = stream.writer
            && guest.instance == handles.instance
            && let Some(handle) = instance.return_end(guest.end, domain, value)?
        {
            // Both ends are in one instance now, and the host has none.
            if let Some(place) = streams.remove(id.number).and_then(|stream| stream.place) {
                streams.retired.push(place);
            }
            return Ok(handle);
        }
        let (end, handle) = instance.new_host_end(domain, value, id.number)?;
        if stream.writer == Side::Gone {
            instance.drop_host_end(end);
            streams.remove(id.number);
        } else {
            let instance = handles.instance;
            stream.reader = Side::Guest(GuestEnd { instance, end });
        }
        Ok(handle)
    }

    /// Returns the offset in memory of the room for values that the guest reads from a stream or
    /// future, which is at `pointer`.
    pub(crate) fn buffer(&mut self, pointer: u64, bytes: usize) -> Result<usize> {
        self.guest.refresh();
        match usize::try_from(pointer).map(|start| (start, start.checked_add(bytes))) {
            Ok((start, Some(end))) if end <= self.guest.size() => Ok(start),
            _ => bail!("{}", outside()),
        }
    }
}

/// Returns the message for a buffer that was in memory when the guest passed it.
fn outside() -> &'static str {
    "the buffer of a read or write is not in the guest's memory"
}
