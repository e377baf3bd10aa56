//! [`Source`] and [`DirectSource`]: where a consumer takes values from.

use super::buffer::{ReadBuffer, WriteBuffer};
use super::guest;
use crate::abi::Lift;
use crate::error::Result;
use crate::store::{StoreOpaque, StreamId};
use crate::{AsContextMut, StoreContextMut};
use std::io;

/// The values of one write, which a [`StreamConsumer`](crate::StreamConsumer) takes.
pub struct Source<'a, T> {
    id: StreamId,
    /// The values, if the host writes.
    input: Option<&'a mut dyn WriteBuffer<T>>,
}

impl<'a, T> Source<'a, T> {
    pub(super) fn new(id: StreamId, input: Option<&'a mut dyn WriteBuffer<T>>) -> Self {
        Source { id, input }
    }

    /// Borrows the source again.
    pub fn reborrow(&mut self) -> Source<'_, T> {
        Source {
            id: self.id,
            input: match &mut self.input {
                Some(input) => Some(&mut **input),
                None => None,
            },
        }
    }

    /// Takes values: as many as there are and `buffer` has room for.
    ///
    /// # Errors
    ///
    /// If what the guest passes are not values of the type, or they take more of the host's memory
    /// than [`Store::set_hostcall_fuel`](crate::Store::set_hostcall_fuel) allows.
    pub fn read<B, S: AsContextMut>(&mut self, mut store: S, buffer: &mut B) -> Result<()>
    where
        T: Lift + 'static,
        B: ReadBuffer<T>,
    {
        if let Some(input) = &mut self.input {
            let count = input.remaining().len().min(buffer.remaining_capacity());
            buffer.move_from(&mut **input, count);
            return Ok(());
        }
        let store = store.as_context_mut();
        read(&mut store.0.opaque, self.id, buffer)
    }

    /// Returns the number of values that are left.
    pub fn remaining(&self, mut store: impl AsContextMut) -> usize
    where
        T: 'static,
    {
        if let Some(input) = &self.input {
            return input.remaining().len();
        }
        let store = store.as_context_mut();
        let found = guest::writing(&mut store.0.opaque, self.id);
        found.map_or(0, |(_, copy)| copy.remaining as usize)
    }
}

/// Lifts values that a guest writes.
fn read<T: Lift, B: ReadBuffer<T>>(
    opaque: &mut StoreOpaque,
    id: StreamId,
    buffer: &mut B,
) -> Result<()> {
    let Some((guest, copy)) = guest::writing(opaque, id) else {
        return Ok(());
    };
    let count = buffer.remaining_capacity().min(copy.remaining as usize);
    let values = guest::lift(opaque, guest, &copy, |cx, ty| match ty {
        Some(ty) => {
            let bytes = cx.buffer(copy.pointer, count * T::SIZE)?;
            T::lift_slice(cx, ty, bytes)
        }
        None => {
            cx.charge(count, size_of::<T>())?;
            // The type has no payload, so that nothing looks at this one.
            let ty = crate::abi::InterfaceType::Bool;
            (0..count).map(|_| T::lift_memory(cx, ty, &[])).collect()
        }
    })?;
    guest::advance(opaque, guest, values.len());
    buffer.extend(values);
    Ok(())
}

impl<'a> Source<'a, u8> {
    /// Returns direct access to the memory that the writer writes from.
    pub fn as_direct<D>(self, store: StoreContextMut<'a, D>) -> DirectSource<'a, D> {
        DirectSource {
            source: self,
            store,
        }
    }
}

/// Direct access to the memory from which a guest writes to a stream of bytes.
pub struct DirectSource<'a, D: 'static> {
    source: Source<'a, u8>,
    store: StoreContextMut<'a, D>,
}

impl<D: 'static> DirectSource<'_, D> {
    /// Returns the bytes that are left, 1 MiB of a guest at most.
    pub fn remaining(&mut self) -> &[u8] {
        if let Some(input) = &self.source.input {
            return input.remaining();
        }
        let opaque = &mut self.store.0.opaque;
        match guest::writing(opaque, self.source.id) {
            Some((guest, copy)) => guest::bytes(opaque, guest, &copy).unwrap_or_default(),
            None => &[],
        }
    }

    /// Notes that the first `count` bytes of what [`remaining`](Self::remaining) returns were
    /// taken.
    ///
    /// # Panics
    ///
    /// If `count` is larger than what is left.
    pub fn mark_read(&mut self, count: usize) {
        if let Some(input) = &mut self.source.input {
            return input.skip(count);
        }
        let opaque = &mut self.store.0.opaque;
        let found = guest::writing(opaque, self.source.id);
        let left = found.map_or(0, |(_, copy)| copy.remaining as usize);
        assert!(
            count <= left,
            "{count} bytes were taken where {left} are left"
        );
        if let Some((guest, _)) = found {
            guest::advance(opaque, guest, count);
        }
    }
}

impl<D: 'static> io::Read for DirectSource<'_, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.remaining();
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.mark_read(count);
        Ok(count)
    }
}
