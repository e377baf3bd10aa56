//! Values from one guest to another that have the ends of a stream or future in two instances, or
//! know them by different types. (Two ends of one type in one instance are connected there, and the
//! host takes no part.)

use super::drive::Flow;
use super::guest::{self, advance, complete, peer};
use crate::Val;
use crate::abi::InterfaceType;
use crate::error::{Error, Result};
use crate::store::{GuestEnd, StoreInner, StreamId};
use crate::types::StoreInstanceId;
use mintage_runtime::PeerCopy;

/// The most bytes that are copied at once, and the most values that are not numbers. The rest
/// follows with the next copy of the guests.
const MAX_BYTES: usize = 1 << 16;
const MAX_VALUES: usize = 1 << 10;

/// Values on their way.
enum Values {
    /// The bytes of numbers, which are the same in both memories.
    Numbers(Vec<u8>),
    Vals(Vec<Val>),
    /// Of a type without a payload.
    Nothing,
}

/// Copies values if both guests are ready.
///
/// # Errors
///
/// If what a guest writes are not values, or the other one cannot take them. That is an error of
/// the guest's instance.
pub(super) fn relay<T: 'static>(
    store: &mut StoreInner<T>,
    id: StreamId,
    from: GuestEnd,
    to: GuestEnd,
) -> Result<Flow, (StoreInstanceId, Error)> {
    loop {
        let opaque = &mut store.opaque;
        let (writer, reader) = (peer(opaque, from), peer(opaque, to));
        if writer.is_gone || reader.is_gone {
            return Ok(Flow::Ended);
        }
        let mut is_cancelled = false;
        for (guest, peer) in [(from, writer), (to, reader)] {
            if peer.copy.is_some_and(|copy| copy.is_cancelled) {
                complete(opaque, guest);
                is_cancelled = true;
            }
        }
        let (Some(write), Some(read)) = (writer.copy, reader.copy) else {
            return Ok(Flow::Idle);
        };
        if is_cancelled {
            return Ok(Flow::Idle);
        }
        match (write.remaining, read.remaining) {
            (_, 0) if write.remaining > 0 => complete(opaque, to),
            (0, _) => complete(opaque, from),
            _ => {
                copy(store, (from, write), (to, read))?;
                let stream = store.opaque.handles.streams.get(id.number);
                if stream.is_none_or(|stream| stream.is_future) {
                    // The guests' copies end with it.
                    return Ok(Flow::Ended);
                }
                complete(&mut store.opaque, from);
                complete(&mut store.opaque, to);
            }
        }
    }
}

/// Copies values.
fn copy<T: 'static>(
    store: &mut StoreInner<T>,
    (from, write): (GuestEnd, PeerCopy),
    (to, read): (GuestEnd, PeerCopy),
) -> Result<(), (StoreInstanceId, Error)> {
    let most = write.remaining.min(read.remaining) as usize;
    let lifted = guest::lift(&mut store.opaque, from, &write, |cx, ty| {
        let Some(ty) = ty else {
            return Ok((most, Values::Nothing));
        };
        let size = cx.types().abi(ty).size32 as usize;
        if InterfaceType::is_number(ty) {
            let count = most.min(MAX_BYTES / size);
            let bytes = cx.buffer(write.pointer, count * size)?;
            return Ok((count, Values::Numbers(bytes.to_vec())));
        }
        let count = most.min(MAX_VALUES);
        let bytes = cx.buffer(write.pointer, count * size)?;
        cx.charge(count, size_of::<Val>())?;
        let values = bytes.chunks_exact(size);
        let values = values.map(|bytes| Val::lift_memory(cx, ty, bytes));
        Ok((count, Values::Vals(values.collect::<Result<_>>()?)))
    });
    let (count, values) = lifted.map_err(|error| (from.instance, error))?;
    let lowered = guest::lower(store, to, &read, |cx, ty| {
        let Some(ty) = ty else {
            return Ok(());
        };
        let size = cx.types().abi(ty).size32 as usize;
        let offset = cx.buffer(read.pointer, count * size)?;
        match &values {
            Values::Nothing => {}
            Values::Numbers(bytes) => cx.write_bytes(offset, bytes),
            Values::Vals(values) => {
                for (at, value) in values.iter().enumerate() {
                    value.lower_memory(cx, ty, offset + at * size)?;
                }
            }
        }
        Ok(())
    });
    lowered.map_err(|error| (to.instance, error))?;
    advance(&mut store.opaque, from, count);
    advance(&mut store.opaque, to, count);
    Ok(())
}
