//! Built-ins on waitable sets and threads.

use super::run::{self, Ran, resume, take_event, wait, write_event};
use super::{Failed, Poll, Step, finish, with};
use crate::arch::{MaySuspend, SuspendHook};
use crate::component::arena::Key;
use crate::component::concurrent::{Condition, Start, Then, ThreadState};
use crate::component::handles::{HandleError, HandleKind};
use crate::instance::InstanceData;
use mintage_environ::builtin::thread_switch;
use mintage_environ::{DomainId, FuncEntry, MemoryId, SigId, TableId, Trap};

/// Runs a built-in that may wait.
///
/// # Safety
///
/// Called by the hook of the stub that machine code of `data` has called in the current activation,
/// which returns the result to that.
pub(super) unsafe fn builtin(
    data: &InstanceData,
    body: impl FnOnce(&mut Poll<'_>) -> Result<Step, Failed>,
) -> MaySuspend {
    // SAFETY: as the caller promises.
    let poll = unsafe { Poll::of_builtin(data) };
    let (record, step) = match poll {
        Ok(mut poll) => (poll.record, body(&mut poll)),
        Err(failed) => (None, Err(failed)),
    };
    // SAFETY: as the caller promises.
    unsafe { finish(data, record, step) }
}

/// The kinds of waitables.
const WAITABLES: &[HandleKind] = &[
    HandleKind::Subtask,
    HandleKind::StreamReader,
    HandleKind::StreamWriter,
    HandleKind::FutureReader,
    HandleKind::FutureWriter,
];

/// Returns the set of a handle.
pub(super) fn find_set(
    data: &InstanceData,
    domain: DomainId,
    handle: u32,
) -> Result<Key, HandleError> {
    let found = data.with_handles(|handles, resources| {
        handles.concurrent(resources, domain, &[HandleKind::WaitableSet], handle)
    });
    found.map(|(set, _)| set)
}

/// `waitable-set.new`.
pub fn new_set(data: &InstanceData, domain: DomainId) -> Result<u32, Failed> {
    let set = with(data, |state| state.add_set())?;
    let handle = data
        .with_handles(|handles, _| handles.add_concurrent(domain, HandleKind::WaitableSet, set));
    handle.map_err(|error| {
        let _ = with(data, |state| state.remove_set(set));
        error.into()
    })
}

/// The hook of the builtin `waitable_set_wait`, with the domain and the memory, the handle, and the
/// pointer for the event.
pub enum WaitForSet {}

impl SuspendHook for WaitForSet {
    unsafe extern "C" fn on_call(ctx: *mut u8, a: *const (), b: *mut u64, c: u64) -> MaySuspend {
        // SAFETY: the instance lives while its code runs.
        let data = unsafe { InstanceData::of_ctx(ctx) };
        let (domain, memory) = place(a.addr() as u64);
        // SAFETY: machine code of the current activation has called this.
        unsafe {
            builtin(data, |poll| {
                let set = find_set(data, domain, b.addr() as u32)?;
                let then = Then::SetEvent {
                    set,
                    memory: Some(memory),
                    pointer: c,
                };
                wait(data, Condition::Set(set), then, poll)
            })
        }
    }
}

/// Takes apart the numbers of a domain and a memory.
fn place(place: u64) -> (DomainId, MemoryId) {
    (
        DomainId::from_u32(place as u32),
        MemoryId::from_u32((place >> 32) as u32),
    )
}

/// `waitable-set.poll`.
pub fn poll_set(data: &InstanceData, numbers: u64, set: u32, pointer: u64) -> Result<u32, Failed> {
    let (domain, memory) = place(numbers);
    let set = find_set(data, domain, set)?;
    let taken = with(data, |state| state.take_set_event(set));
    let event = match taken {
        Some((waitable, event)) => {
            run::end_loans(data, waitable);
            event
        }
        None => [0; 3],
    };
    write_event(data, Some(memory), pointer, event)
}

/// `waitable-set.drop`.
pub fn drop_set(data: &InstanceData, domain: DomainId, handle: u32) -> Result<(), Failed> {
    let set = find_set(data, domain, handle)?;
    with(data, |state| state.remove_set(set))?;
    data.with_handles(|handles, _| handles.remove_concurrent(domain, handle));
    Ok(())
}

/// `waitable.join`.
pub fn join(data: &InstanceData, domain: DomainId, handle: u32, set: u32) -> Result<(), Failed> {
    let (waitable, _) = data.with_handles(|handles, resources| {
        handles.concurrent(resources, domain, WAITABLES, handle)
    })?;
    let busy = with(data, |state| state.waitables[waitable].has_sync_waiter);
    if busy {
        return Err(Trap::WaitableInSet.into());
    }
    let set = match set {
        0 => None,
        set => Some(find_set(data, domain, set)?),
    };
    with(data, |state| state.join(waitable, set));
    Ok(())
}

/// Returns a word of the current thread's storage, or 0 in `realloc` and the like, which have a
/// thread of their own that ends with them.
pub fn context(data: &InstanceData, domain: DomainId, slot: u32) -> u64 {
    with(data, |state| {
        let thread = state.current_in(domain);
        let word = thread.and_then(|thread| state.threads[thread].storage.get(slot as usize));
        word.copied().unwrap_or(0)
    })
}

/// Sets a word of the current thread's storage, if it has one (see [`context`]).
pub fn set_context(data: &InstanceData, domain: DomainId, slot: u32, value: u64) {
    with(data, |state| {
        if let Some(thread) = state.current_in(domain)
            && let Some(word) = state.threads[thread].storage.get_mut(slot as usize)
        {
            *word = value;
        }
    });
}

/// `thread.index`.
pub fn thread_index(data: &InstanceData, domain: DomainId) -> Result<u32, Failed> {
    with(data, |state| {
        let thread = state.current_in(domain).ok_or(Trap::NoTask)?;
        Ok(state.threads[thread].index)
    })
}

/// `thread.new-indirect`.
pub fn new_thread(
    data: &InstanceData,
    domain: DomainId,
    table: TableId,
    sig: SigId,
    index: u64,
    argument: u64,
) -> Result<u32, Failed> {
    let table = data.table(table).ok_or(Trap::TableOutOfBounds)?;
    if index >= table.size {
        return Err(Trap::TableOutOfBounds.into());
    }
    // SAFETY: the entry is one of the table, and tables are arrays of words.
    let entry = unsafe { table.base.add(index as usize).read() };
    let entry = FuncEntry::from_u64(entry);
    if entry == FuncEntry::NULL {
        return Err(Trap::IndirectCallToNull.into());
    }
    if entry.signature != FuncEntry::signature_word(sig) {
        return Err(Trap::BadSignature.into());
    }
    with(data, |state| {
        let current = state.current_in(domain).ok_or(Trap::NoTask)?;
        let task = state.threads[current].task;
        let start = Start::Function(entry.code_offset, sig);
        let thread = state.add_thread(task, domain, start)?;
        state.register(thread);
        let thread = &mut state.threads[thread];
        thread.words = vec![argument].into_boxed_slice();
        Ok(thread.index)
    })
}

/// Returns the thread of an index.
fn find_thread(data: &InstanceData, domain: DomainId, index: u32) -> Result<Key, Failed> {
    let found = with(data, |state| state.thread_at(domain, index));
    found.ok_or(Failed::Handle(HandleError::Unknown { handle: index }))
}

/// `thread.resume-later`.
pub fn resume_later(data: &InstanceData, domain: DomainId, index: u32) -> Result<(), Failed> {
    let thread = find_thread(data, domain, index)?;
    with(data, |state| state.resume_later(thread)).map_err(Into::into)
}

/// The hook of the builtin `thread_switch`, with the domain, the kind, and the index of the other
/// thread.
pub enum SwitchThread {}

impl SuspendHook for SwitchThread {
    unsafe extern "C" fn on_call(ctx: *mut u8, a: *const (), b: *mut u64, c: u64) -> MaySuspend {
        // SAFETY: the instance lives while its code runs.
        let data = unsafe { InstanceData::of_ctx(ctx) };
        let domain = DomainId::from_u32(a.addr() as u32);
        let (kind, index) = (b.addr() as u32, c as u32);
        // SAFETY: machine code of the current activation has called this.
        unsafe { builtin(data, |poll| switch(data, domain, kind, index, poll)) }
    }
}

/// Suspends the current thread, or lets it yield, and lets another one go on if `kind` says so.
///
/// # Safety
///
/// As [`resume`].
unsafe fn switch(
    data: &InstanceData,
    domain: DomainId,
    kind: u32,
    index: u32,
    poll: &mut Poll<'_>,
) -> Result<Step, Failed> {
    let current = with(data, |state| state.current_in(domain)).ok_or(Trap::NoTask)?;
    let others = thread_switch::RESUME | thread_switch::PROMOTE;
    let other = match kind & others {
        0 => None,
        _ => Some(find_thread(data, domain, index)?),
    };
    if let Some(other) = other {
        if other == current {
            return Err(Trap::CannotResumeThread.into());
        }
        if kind & thread_switch::RESUME != 0 {
            with(data, |state| state.check_suspended(other))?;
        }
    }
    let yields = kind == thread_switch::YIELD;
    if yields && with(data, |state| state.goes_on_at_once(false)) {
        return Ok(Step::Done(0));
    }
    let (synchronous, next) = with(data, |state| {
        state.threads[current].then = Then::Return(0);
        let next = state.switch(current, kind, other);
        (state.threads[current].start == Start::Nothing, next)
    });
    if !synchronous {
        with(data, |state| state.switch_to = next);
        return Ok(Step::Suspend(Then::Return(0)));
    }
    // A synchronous task stays where it is, and the others run from there.
    if let Some(next) = next {
        // SAFETY: as the caller promises.
        if unsafe { resume(data, next, poll) }? == Ran::HostWaits {
            return Ok(Step::HostWaits(Then::Return(0)));
        }
    }
    loop {
        let next = with(data, |state| match state.threads[current].state {
            ThreadState::Running => Some(current),
            _ => state.next_ready(Some(domain), Some(current)),
        });
        match next {
            None => return Err(Trap::CannotBlock.into()),
            Some(next) if next == current => return Ok(Step::Done(0)),
            // SAFETY: as the caller promises.
            Some(next) => match unsafe { resume(data, next, poll) }? {
                Ran::Back => {}
                Ran::HostWaits => return Ok(Step::HostWaits(Then::Return(0))),
            },
        }
    }
}

/// Returns the payload of the event of a waitable that has one.
pub(super) fn payload(data: &InstanceData, waitable: Key) -> u32 {
    take_event(data, waitable)[2]
}
