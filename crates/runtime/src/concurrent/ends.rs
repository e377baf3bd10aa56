//! Built-ins on streams and futures.

use super::run::wait;
use super::streams::tell_host;
use super::waiting::{builtin, payload};
use super::{Failed, Poll, Step, with};
use crate::arch::{MaySuspend, SuspendHook};
use crate::component::arena::Key;
use crate::component::concurrent::{Buffer, Condition, EndState, MAX_LENGTH, Then, Transfer};
use crate::component::handles::{EndAction, EndProblem, HandleError, HandleKind};
use crate::entry::{self, Stopped};
use crate::instance::{InstanceData, InstanceHandle};
use mintage_environ::builtin::{BLOCKED, end_flags};
use mintage_environ::component::{AsyncValue, EndOp, InterfaceType};
use mintage_environ::{CopyId, DomainId, EndOpId, FuncKey, Trap, unsupported};

/// Returns the kind of handles of ends of a type.
pub(super) fn kind(value: AsyncValue, writes: bool) -> HandleKind {
    match (value.is_future(), writes) {
        (false, false) => HandleKind::StreamReader,
        (false, true) => HandleKind::StreamWriter,
        (true, false) => HandleKind::FutureReader,
        (true, true) => HandleKind::FutureWriter,
    }
}

/// Returns the end of a handle, which must have this type.
fn find(
    data: &InstanceData,
    domain: DomainId,
    handle: u32,
    value: AsyncValue,
    writes: bool,
) -> Result<Key, Failed> {
    let kind = kind(value, writes);
    let (key, _) = data.with_handles(|handles, resources| {
        handles.concurrent(resources, domain, &[kind], handle)
    })?;
    let found = with(data, |state| state.end(key).value);
    match found == value {
        true => Ok(key),
        false => Err(HandleError::WrongType {
            handle,
            expected: kind,
            found: kind,
        }
        .into()),
    }
}

pub(super) fn problem(value: AsyncValue, action: EndAction, problem: EndProblem) -> Failed {
    Failed::Handle(HandleError::End {
        action,
        is_future: value.is_future(),
        problem,
    })
}

/// Returns whether the values of a stream or future are numbers, or nothing.
fn is_number(data: &InstanceData, value: AsyncValue) -> bool {
    let payload = value.payload(&data.code().interface().types);
    payload.is_none_or(InterfaceType::is_number)
}

/// `stream.new` and `future.new`. Returns the handles of both ends.
pub fn new_ends(
    data: &InstanceData,
    domain: DomainId,
    value: AsyncValue,
) -> Result<[u32; 2], Failed> {
    let ends = with(data, |state| state.new_ends(value, Some(domain)))?;
    let mut added = [0; 2];
    for (at, end) in ends.into_iter().enumerate() {
        let kind = kind(value, at == 1);
        let handle = data.with_handles(|handles, _| handles.add_concurrent(domain, kind, end))?;
        with(data, |state| state.waitables[end].handle = handle);
        added[at] = handle;
    }
    Ok(added)
}

/// Takes an end that is idle and in no set from a component instance, to pass it on.
pub(super) fn take(
    data: &InstanceData,
    domain: DomainId,
    handle: u32,
    value: AsyncValue,
    action: EndAction,
) -> Result<Key, Failed> {
    let writes = matches!(action, EndAction::Forward(true));
    let key = find(data, domain, handle, value, writes)?;
    let idle = with(data, |state| state.check_idle(key));
    idle.map_err(|found| problem(value, action, found))?;
    data.with_handles(|handles, _| handles.remove_concurrent(domain, handle));
    Ok(key)
}

/// Moves the readable end of a stream or future from one component instance to another.
pub fn transfer_end(
    data: &InstanceData,
    source: DomainId,
    target: DomainId,
    value: AsyncValue,
    handle: u32,
) -> Result<u32, Failed> {
    let key = take(data, source, handle, value, EndAction::Lift)?;
    let kind = kind(value, false);
    let handle = data.with_handles(|handles, _| handles.add_concurrent(target, kind, key))?;
    with(data, |state| {
        state.waitables[key].owner = Some(target);
        state.waitables[key].handle = handle;
    });
    Ok(handle)
}

/// The hook of the builtin `end_copy`, with the handle and the number of the built-in, the pointer,
/// and the number of values.
pub enum CopyEnd {}

impl SuspendHook for CopyEnd {
    unsafe extern "C" fn on_call(ctx: *mut u8, a: *const (), b: *mut u64, c: u64) -> MaySuspend {
        // SAFETY: the instance lives while its code runs.
        let data = unsafe { InstanceData::of_ctx(ctx) };
        let end = a.addr() as u64;
        let (handle, op) = (end as u32, EndOpId::from_u32((end >> 32) as u32));
        // SAFETY: machine code of the current activation has called this.
        unsafe {
            builtin(data, |poll| {
                copy(data, op, handle, b.addr() as u64, c, poll)
            })
        }
    }
}

pub(super) fn end_op(data: &InstanceData, op: EndOpId) -> Result<&EndOp, Failed> {
    let found = data.code().interface().end_ops.get(op);
    found.ok_or(Failed::Trap(Trap::NoTask))
}

/// The size of the values of a built-in in its memory, and their alignment.
pub(super) fn layout(data: &InstanceData, op: &EndOp) -> (u32, u32) {
    let types = &data.code().interface().types;
    let memory = op
        .options
        .memory
        .and_then(|id| data.code().layout().memories.get(id));
    let index64 = memory.is_some_and(|memory| memory.index64);
    match op.value.payload(types) {
        Some(ty) => {
            let abi = types.abi(ty);
            (abi.size(index64), abi.align(index64))
        }
        None => (0, 1),
    }
}

/// Reads or writes.
///
/// # Safety
///
/// As [`wait`].
unsafe fn copy(
    data: &InstanceData,
    op: EndOpId,
    handle: u32,
    pointer: u64,
    length: u64,
    poll: &mut Poll<'_>,
) -> Result<Step, Failed> {
    let info = end_op(data, op)?;
    let (value, writes) = (info.value, !info.reads);
    let key = find(data, info.options.domain, handle, value, writes)?;
    let (state, in_set) = with(data, |state| {
        let in_set = state.waitables[key].set.is_some();
        (state.end(key).state, in_set)
    });
    let action = match writes {
        true => EndAction::Write,
        false => EndAction::Read,
    };
    match state {
        EndState::Idle => {}
        EndState::Done => return Err(problem(value, action, EndProblem::Done)),
        _ => return Err(problem(value, action, EndProblem::Busy)),
    }
    if in_set && !info.options.is_async {
        return Err(Trap::WaitableInSet.into());
    }
    if length > MAX_LENGTH {
        return Err(Trap::CopyTooLong.into());
    }
    let (size, align) = layout(data, info);
    if size > 0 && length > 0 {
        let memory = info.options.memory.ok_or(Trap::PointerOutOfBounds)?;
        if !pointer.is_multiple_of(align.into()) {
            return Err(Trap::UnalignedPointer.into());
        }
        let place = data.memory_range(memory, pointer, length * u64::from(size));
        place.ok_or(Trap::PointerOutOfBounds)?;
    }
    let buffer = Buffer {
        op,
        pointer,
        progress: 0,
        length: length as u32,
    };
    let number = is_number(data, value);
    let transfer = with(data, |state| state.copy(key, buffer, number))?;
    match transfer {
        // SAFETY: as the caller promises.
        Some(transfer) => unsafe { perform(data, key, buffer, transfer) }?,
        None => tell_host_of_other(data, key, poll)?,
    }
    let pending = with(data, |state| state.waitables[key].is_pending);
    if pending {
        return Ok(Step::Done(payload(data, key)));
    }
    if info.options.is_async {
        return Ok(Step::Done(BLOCKED));
    }
    // SAFETY: as the caller promises.
    unsafe { wait(data, Condition::Event(key), Then::Event(key), poll) }
}

/// Tells the host of what the guest does, if the host has the other end and the guest waits.
fn tell_host_of_other(data: &InstanceData, key: Key, poll: &Poll<'_>) -> Result<(), Failed> {
    let number = with(data, |state| match state.waitables[key].is_pending {
        true => None,
        false => state.host_of_other(key),
    });
    number.map_or(Ok(()), |number| tell_host(data, number, poll))
}

/// Copies values from buffer to buffer, for a copy of the end `key` with `buffer`.
///
/// # Safety
///
/// As [`run::resume`].
unsafe fn perform(
    data: &InstanceData,
    key: Key,
    buffer: Buffer,
    transfer: Transfer,
) -> Result<(), Failed> {
    let Transfer { from, to, count } = transfer;
    let [writing, reading] = [end_op(data, from.op)?, end_op(data, to.op)?];
    let (source_size, target_size) = (layout(data, writing).0, layout(data, reading).0);
    if source_size > 0 {
        let place = |op: &EndOp, pointer: u64, size: u32| {
            let memory = op.options.memory.ok_or(Trap::PointerOutOfBounds)?;
            let bytes = u64::from(count) * u64::from(size);
            let place = data.memory_range(memory, pointer, bytes);
            place.ok_or(Trap::PointerOutOfBounds)
        };
        let source = place(writing, from.pointer, source_size)?;
        let target = place(reading, to.pointer, target_size)?;
        if is_number(data, writing.value) {
            let bytes = count as usize * source_size as usize;
            // SAFETY: both places are in memories, which may be the same, and no reference into
            // them exists.
            unsafe { data.pauses(bytes).copy(target, source, bytes) }?;
        } else {
            // SAFETY: as the caller promises.
            unsafe {
                convert(
                    data,
                    writing.options.domain,
                    (from.op, to.op),
                    source,
                    target,
                    count,
                )
            }?;
        }
    }
    let other_size = match buffer == from {
        true => target_size,
        false => source_size,
    };
    with(data, |state| state.copied(key, buffer, count, other_size));
    Ok(())
}

/// Copies values that have to be converted.
///
/// # Safety
///
/// As [`perform`]. There is room for so many values at both addresses.
unsafe fn convert(
    data: &InstanceData,
    domain: DomainId,
    pair: (EndOpId, EndOpId),
    source: *const u8,
    target: *mut u8,
    count: u32,
) -> Result<(), Failed> {
    let copies = &data.code().interface().copies;
    let number = copies
        .binary_search(&pair)
        .map_err(|_| Trap::SameInstanceCopy)?;
    let routine = FuncKey::Copy(CopyId::from_u32(number as u32));
    let failed = |error| Failed::Stopped(Stopped::without_frames(error));
    let callee = data.code().routine(routine).map_err(failed)?;
    let mut words = [
        source.expose_provenance() as u64,
        target.expose_provenance() as u64,
        count.into(),
    ];
    let current = with(data, |state| state.current.take());
    // SAFETY: the call of the guest that has called this is under way.
    let host = unsafe { data.current().host().confined() };
    // SAFETY: the instance lives, and this thread uses it. The function belongs to this domain, and
    // uses three words.
    let result = unsafe {
        entry::call(
            InstanceHandle::new(data),
            domain,
            &callee,
            words.as_mut_ptr(),
            host,
        )
    };
    with(data, |state| state.current = current);
    result.map_err(Into::into)
}

/// The hook of the builtin `end_cancel`, with the handle and the domain, the type, and flags.
pub enum CancelCopy {}

impl SuspendHook for CancelCopy {
    unsafe extern "C" fn on_call(ctx: *mut u8, a: *const (), b: *mut u64, c: u64) -> MaySuspend {
        // SAFETY: the instance lives while its code runs.
        let data = unsafe { InstanceData::of_ctx(ctx) };
        let (handle, domain) = end(a.addr() as u64);
        let (value, flags) = (AsyncValue::from_u32(b.addr() as u32), c as u32);
        // SAFETY: machine code of the current activation has called this.
        unsafe {
            builtin(data, |poll| {
                cancel(data, domain, handle, value, flags, poll)
            })
        }
    }
}

/// Takes apart a handle and the number of its domain.
fn end(end: u64) -> (u32, DomainId) {
    (end as u32, DomainId::from_u32((end >> 32) as u32))
}

/// Ends the copy of an end that is under way.
///
/// # Safety
///
/// As [`wait`].
unsafe fn cancel(
    data: &InstanceData,
    domain: DomainId,
    handle: u32,
    value: AsyncValue,
    flags: u32,
    poll: &mut Poll<'_>,
) -> Result<Step, Failed> {
    let writes = flags & end_flags::WRITES != 0;
    let is_async = flags & end_flags::ASYNC != 0;
    let key = find(data, domain, handle, value, writes)?;
    with(data, |state| {
        let waitable = &state.waitables[key];
        let (in_set, has_waiter) = (waitable.set.is_some(), waitable.has_sync_waiter);
        if state.end(key).state != EndState::Copying || has_waiter {
            return Err(Trap::EndUnusable);
        }
        if in_set && !is_async {
            return Err(Trap::WaitableInSet);
        }
        state.cancel_copy(key);
        Ok(())
    })?;
    tell_host_of_other(data, key, poll)?;
    let pending = with(data, |state| state.waitables[key].is_pending);
    if pending {
        return Ok(Step::Done(payload(data, key)));
    }
    if is_async {
        return Ok(Step::Done(BLOCKED));
    }
    // SAFETY: as the caller promises.
    unsafe { wait(data, Condition::Event(key), Then::Event(key), poll) }
}

/// `stream.drop-readable` and its like.
///
/// # Safety
///
/// Machine code of `data` in the current activation has called this.
pub unsafe fn drop_end(
    data: &InstanceData,
    numbers: u64,
    value: AsyncValue,
    flags: u32,
) -> Result<(), Failed> {
    let (handle, domain) = end(numbers);
    let writes = flags & end_flags::WRITES != 0;
    let key = find(data, domain, handle, value, writes)?;
    let state = with(data, |state| state.end(key).state);
    match state {
        EndState::Copying | EndState::Cancelling => {
            return Err(problem(value, EndAction::Drop(writes), EndProblem::Busy));
        }
        EndState::Idle if writes && value.is_future() => return Err(Trap::FutureUnwritten.into()),
        EndState::Idle | EndState::Done => {}
    }
    data.with_handles(|handles, _| handles.remove_concurrent(domain, handle));
    let number = with(data, |state| {
        let number = state.host_of_other(key);
        state.drop_end(key);
        number
    });
    let Some(number) = number else {
        return Ok(());
    };
    // SAFETY: as the caller promises. The result is used before machine code goes on.
    let poll = unsafe { Poll::of_builtin(data) }?;
    tell_host(data, number, &poll)
}

/// `stream.forward` and `future.forward`.
///
/// # Safety
///
/// Machine code of `data` in the current activation has called this.
pub unsafe fn forward(
    data: &InstanceData,
    domain: DomainId,
    value: AsyncValue,
    readable: u32,
    writable: u32,
) -> Result<(), Failed> {
    let take = |handle, writes| take(data, domain, handle, value, EndAction::Forward(writes));
    let (source, target) = (take(readable, false)?, take(writable, true)?);
    let (from, to) = with(data, |state| {
        (state.host_of_other(source), state.host_of_other(target))
    });
    if from.is_some() && to.is_some() {
        let error = unsupported!(
            "`forward` between two streams or futures of the host is not supported yet; pass the \
             readable end itself to the host"
        );
        return Err(Stopped::without_frames(error.into()).into());
    }
    let number = is_number(data, value);
    let transfer = with(data, |state| state.forward(source, target, number))?;
    if let Some((key, buffer, transfer)) = transfer {
        // SAFETY: as the caller promises.
        unsafe { perform(data, key, buffer, transfer) }?;
    }
    let Some(number) = from.or(to) else {
        return Ok(());
    };
    // SAFETY: as the caller promises. The result is used before machine code goes on.
    let poll = unsafe { Poll::of_builtin(data) }?;
    tell_host(data, number, &poll)
}
