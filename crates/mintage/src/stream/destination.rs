//! [`Destination`] and [`DirectDestination`]: where a producer puts values.

use super::buffer::DirectBuffer;
use super::guest;
use crate::store::StreamId;
use crate::{AsContextMut, StoreContextMut};
use std::io;
use std::marker::PhantomData;

/// The place to which a [`StreamProducer`](crate::StreamProducer) delivers values, for one read.
pub struct Destination<'a, T, B> {
    id: StreamId,
    buffer: &'a mut B,
    /// Where bytes go that are written directly, if the host reads.
    direct: Option<&'a mut DirectBuffer>,
    of: PhantomData<fn() -> T>,
}

impl<'a, T, B> Destination<'a, T, B> {
    pub(super) fn new(
        id: StreamId,
        buffer: &'a mut B,
        direct: Option<&'a mut DirectBuffer>,
    ) -> Self {
        Destination {
            id,
            buffer,
            direct,
            of: PhantomData,
        }
    }

    /// Borrows the destination again.
    pub fn reborrow(&mut self) -> Destination<'_, T, B> {
        Destination::new(self.id, self.buffer, self.direct.as_deref_mut())
    }

    /// Takes the buffer out, to use its memory again. It is empty.
    pub fn take_buffer(&mut self) -> B
    where
        B: Default,
    {
        std::mem::take(self.buffer)
    }

    /// Delivers the values of a buffer. If they are more than the reader has room for, the rest is
    /// kept for its next reads, and the producer is not polled before they are all delivered.
    ///
    /// They come after those that were written directly. A second buffer replaces the first.
    pub fn set_buffer(&mut self, buffer: B) {
        *self.buffer = buffer;
    }

    /// Returns the number of values that the reader has room for, or `None` if the host reads.
    ///
    /// A guest may have room for none: it asks whether there is something to read. The producer can
    /// answer at once ([`StreamResult::Completed`](crate::StreamResult)), or when it has something.
    pub fn remaining(&self, mut store: impl AsContextMut) -> Option<usize> {
        let store = store.as_context_mut();
        let (_, copy) = guest::reading(&mut store.0.opaque, self.id)?;
        Some(copy.remaining as usize)
    }
}

impl<'a, B> Destination<'a, u8, B> {
    /// Returns direct access to the memory that the reader reads into. `capacity` is the number of
    /// bytes to have room for if the host reads.
    pub fn as_direct<D>(
        self,
        store: StoreContextMut<'a, D>,
        capacity: usize,
    ) -> DirectDestination<'a, D> {
        let mut direct = self.direct;
        if let Some(direct) = &mut direct {
            direct.reserve(capacity);
        }
        DirectDestination {
            id: self.id,
            direct,
            store,
        }
    }
}

/// Direct access to the memory into which a guest reads from a stream of bytes.
///
/// Use [`write`](io::Write::write) for bytes that are in memory already. To read from a file or a
/// socket without a copy, read into [`remaining`](Self::remaining).
pub struct DirectDestination<'a, D: 'static> {
    id: StreamId,
    direct: Option<&'a mut DirectBuffer>,
    store: StoreContextMut<'a, D>,
}

impl<D: 'static> DirectDestination<'_, D> {
    /// Returns the rest of the buffer, at most 1 MiB. It contains zeros or bytes of the guest. All
    /// of its pages are committed, even if fewer bytes are written.
    pub fn remaining(&mut self) -> &mut [u8] {
        if let Some(direct) = &mut self.direct {
            return direct.room();
        }
        let opaque = &mut self.store.0.opaque;
        match guest::reading(opaque, self.id) {
            Some((guest, copy)) => guest::room(opaque, guest, &copy).unwrap_or_default(),
            None => &mut [],
        }
    }

    /// Notes that the first `count` bytes of what [`remaining`](Self::remaining) returns were
    /// written.
    ///
    /// # Panics
    ///
    /// If `count` is larger than what is left.
    pub fn mark_written(&mut self, count: usize) {
        if let Some(direct) = &mut self.direct {
            return direct.advance(count);
        }
        let opaque = &mut self.store.0.opaque;
        let found = guest::reading(opaque, self.id);
        let room = found.map_or(0, |(_, copy)| copy.remaining as usize);
        assert!(
            count <= room,
            "{count} bytes were written where {room} are left"
        );
        if let Some((guest, _)) = found {
            guest::advance(opaque, guest, count);
        }
    }
}

impl<D: 'static> io::Write for DirectDestination<'_, D> {
    /// Copies as many of the bytes as there is room for, 1 MiB at most. It does not fail.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(direct) = &mut self.direct {
            let room = direct.room();
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            direct.advance(count);
            return Ok(count);
        }
        let opaque = &mut self.store.0.opaque;
        let Some((guest, copy)) = guest::reading(opaque, self.id) else {
            return Ok(0);
        };
        let count = guest::fill(opaque, guest, &copy, bytes);
        guest::advance(opaque, guest, count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
