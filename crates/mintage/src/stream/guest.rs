//! The guest at one side of a stream or future: what it waits for, and its memory.

use crate::abi::guest::{CallerMemory, Guest};
use crate::abi::{AbiOptions, HandleContext, InterfaceType, LiftContext, LowerContext};
use crate::component::GuestOptions;
use crate::error::{Context, Result, ensure};
use crate::store::{Entries, GuestEnd, Side, StoreInner, StoreInstance, StoreOpaque, StreamId};
use mintage_environ::MemoryId;
use mintage_environ::component::EndOp;
use mintage_environ::unsupported;
use mintage_runtime::{Peer, PeerCopy};
use std::ops::Range;

/// The most bytes of a guest's memory that the host gets at once. Each page of them is touched.
const MAX_WINDOW: usize = 1 << 20;

/// Returns what the guest at a side of a stream or future does.
pub(super) fn peer(opaque: &mut StoreOpaque, guest: GuestEnd) -> Peer {
    match opaque.instances.get_mut(guest.instance) {
        Some(instance) if !instance.entries.are_broken() => {
            instance.runtime.get_mut().peer(guest.end)
        }
        _ => Peer {
            is_gone: true,
            copy: None,
        },
    }
}

/// Returns the guest that reads from a stream or future, with its read.
pub(super) fn reading(opaque: &mut StoreOpaque, id: StreamId) -> Option<(GuestEnd, PeerCopy)> {
    let Side::Guest(guest) = opaque.handles.streams.get(id.number)?.reader else {
        return None;
    };
    Some((guest, peer(opaque, guest).copy?))
}

/// Returns the guest that writes to a stream or future, with its write.
pub(super) fn writing(opaque: &mut StoreOpaque, id: StreamId) -> Option<(GuestEnd, PeerCopy)> {
    let Side::Guest(guest) = opaque.handles.streams.get(id.number)?.writer else {
        return None;
    };
    Some((guest, peer(opaque, guest).copy?))
}

/// Notes that the host has copied values from or to a guest.
pub(super) fn advance(opaque: &mut StoreOpaque, guest: GuestEnd, count: usize) {
    if let Some(instance) = opaque.instances.get_mut(guest.instance) {
        let instance = instance.runtime.get_mut();
        instance.advance_peer(guest.end, count as u32);
    }
}

/// Ends the copy of a guest.
pub(super) fn complete(opaque: &mut StoreOpaque, guest: GuestEnd) {
    if let Some(instance) = opaque.instances.get_mut(guest.instance) {
        instance.runtime.get_mut().complete_peer(guest.end);
    }
}

/// Returns the built-in of a guest's copy, if the host can take part in it.
fn end_op(instance: &mut StoreInstance, copy: &PeerCopy) -> Result<EndOp> {
    let runtime = instance.runtime.get_mut();
    let op = runtime.end_op(copy)?.clone();
    let layout = runtime.code().layout();
    let memory = op.options.memory.and_then(|id| layout.memories.get(id));
    ensure!(
        !memory.is_some_and(|memory| memory.index64),
        unsupported!(
            "a stream or future passes values between the host and a 64-bit memory, which is \
             supported between components only; put a component with a 32-bit memory in between"
        )
    );
    Ok(op)
}

/// Calls `f` with what lowering works on, for the read `copy` of a guest, and the type of the
/// values.
pub(super) fn lower<T: 'static, R>(
    store: &mut StoreInner<T>,
    guest: GuestEnd,
    copy: &PeerCopy,
    f: impl FnOnce(&mut LowerContext<'_>, Option<InterfaceType>) -> Result<R>,
) -> Result<R> {
    let StoreInner { opaque, host } = store;
    let StoreOpaque {
        instances, handles, ..
    } = opaque;
    let instance = instances.get_mut(guest.instance);
    let instance = instance.context("the guest that reads is gone")?;
    let EndOp { options, value, .. } = end_op(instance, copy)?;
    let StoreInstance {
        runtime,
        component,
        linked,
        entries,
        ..
    } = instance;
    let guest_options = GuestOptions::new(runtime.code(), &options)?;
    let component = &*component;
    let types = &component.interface().types;
    let abi = AbiOptions {
        types,
        encoding: options.string_encoding,
    };
    let handles = HandleContext {
        host: handles,
        component,
        linked,
        instance: guest.instance,
        domain: options.domain,
        // The payload of a stream or future has no borrows.
        lends_to: None,
    };
    let runtime = runtime.get_mut();
    let memory = Guest::new(runtime, &guest_options, host);
    let mut cx = LowerContext::new(abi, memory, Some(handles));
    let _entered = Entered::new(entries);
    f(&mut cx, value.payload(types))
}

/// An instance that is entered for `realloc`, also if lowering panics.
struct Entered<'a>(&'a mut Entries);

impl<'a> Entered<'a> {
    fn new(entries: &'a mut Entries) -> Self {
        entries.enter();
        Entered(entries)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Calls `f` with what lifting works on, for the write `copy` of a guest, and the type of the
/// values.
pub(super) fn lift<R>(
    opaque: &mut StoreOpaque,
    guest: GuestEnd,
    copy: &PeerCopy,
    f: impl FnOnce(&mut LiftContext<'_>, Option<InterfaceType>) -> Result<R>,
) -> Result<R> {
    let StoreOpaque {
        instances,
        handles,
        hostcall_fuel,
        ..
    } = opaque;
    let instance = instances.get_mut(guest.instance);
    let instance = instance.context("the guest that writes is gone")?;
    let EndOp { options, value, .. } = end_op(instance, copy)?;
    let types = &instance.component.interface().types;
    let abi = AbiOptions {
        types,
        encoding: options.string_encoding,
    };
    let handles = HandleContext {
        host: handles,
        component: &instance.component,
        linked: &instance.linked,
        instance: guest.instance,
        domain: options.domain,
        lends_to: None,
    };
    let runtime = &*instance.runtime.get_mut();
    let mut cx = LiftContext::new(abi, runtime, options.memory, *hostcall_fuel, handles);
    f(&mut cx, value.payload(types))
}

/// Returns the memory of a guest's copy of bytes, and the place of the next ones.
fn place<'a>(
    opaque: &'a mut StoreOpaque,
    guest: GuestEnd,
    copy: &PeerCopy,
) -> Option<(CallerMemory<'a>, Range<usize>)> {
    let instance = opaque.instances.get_mut(guest.instance)?;
    let memory: MemoryId = end_op(instance, copy).ok()?.options.memory?;
    let start = usize::try_from(copy.pointer).ok()?;
    let end = start.checked_add(MAX_WINDOW.min(copy.remaining as usize))?;
    let memory = CallerMemory::new(instance.runtime.get_mut(), memory);
    Some((memory, start..end))
}

/// Returns the bytes of memory that a guest reads into, from a stream of bytes.
pub(super) fn room<'a>(
    opaque: &'a mut StoreOpaque,
    guest: GuestEnd,
    copy: &PeerCopy,
) -> Option<&'a mut [u8]> {
    let (memory, place) = place(opaque, guest, copy)?;
    let [bytes] = memory.blocks(&[place]).ok()?;
    Some(bytes)
}

/// Copies bytes to the memory that a guest reads into, from a stream of bytes. Returns how many it
/// has room for. No pages are touched but those that get some.
pub(super) fn fill(
    opaque: &mut StoreOpaque,
    guest: GuestEnd,
    copy: &PeerCopy,
    bytes: &[u8],
) -> usize {
    let Some((mut memory, place)) = place(opaque, guest, copy) else {
        return 0;
    };
    let count = place.len().min(bytes.len());
    match memory.write(place.start, &bytes[..count]) {
        true => count,
        false => 0,
    }
}

/// Returns the bytes of memory that a guest writes to a stream of bytes.
pub(super) fn bytes<'a>(
    opaque: &'a mut StoreOpaque,
    guest: GuestEnd,
    copy: &PeerCopy,
) -> Option<&'a [u8]> {
    let (memory, place) = place(opaque, guest, copy)?;
    memory.read().get(place)
}
