//! Builtins: functions of the runtime that machine code calls, one per row of
//! [`builtins!`](mintage_environ::builtins).
//!
//! To add one, add its row there. The table below then requires a function of its name and type in
//! [`entry_points`].
//!
//! Guests choose the arguments, except the numbers of memories, tables, segments and domains, which
//! are constants of machine code. All arithmetic on arguments is checked and has 64 bits. Nothing
//! here panics, because a panic cannot pass machine code and would abort the process.

mod bulk;
mod transcode;

pub use bulk::{init_memory, init_table};

use crate::arch::{self, Suspendable};
use crate::component::error_context::{decode_beginning, string_place};
use crate::component::handles::HandleError;
use crate::concurrent::{self, Failed};
use crate::entry::{AskToGoOn, GrowMemory, GrowTable, Raise, Throw};
use crate::gc;
use crate::instance::InstanceData;
use bulk::{copy_table, fill_table, memory_range, part};
use mintage_environ::builtin::RAISE_SLOT;
use mintage_environ::component::{AsyncValue, StringEncoding};
use mintage_environ::{CallId, DomainId, ElemId, MemoryId, ResourceId, SigId, TableId, Trap};
use std::ptr;

/// The addresses of all builtins.
#[repr(transparent)]
struct Addresses([*const (); RAISE_SLOT + 1]);

// SAFETY: these are addresses of functions, which never change.
unsafe impl Sync for Addresses {}

/// The Rust type of a builtin's parameter or result.
macro_rules! rust_type {
    (I32) => {
        u32
    };
    (I64) => {
        u64
    };
    (Never) => {
        !
    };
    (TrapCode) => {
        u32
    };
    (ColdTrapCode) => {
        u32
    };
    (Value($ty:ident)) => {
        rust_type!($ty)
    };
    (Fallible($ty:ident)) => {
        u64
    };
    (Suspending($ty:ident)) => {
        u64
    };
    (Growth) => {
        u64
    };
}

macro_rules! define_table {
    ($(
        $(#[$doc:meta])*
        $variant:ident $name:ident($($param:ident: $ty:ident),*)
            -> $result:ident $(($result_ty:ident))?;
    )*) => {
        static ADDRESSES: Addresses = Addresses([
            $({
                let function: unsafe extern "C" fn(ctx: *mut u8, $($param: rust_type!($ty)),*)
                    -> rust_type!($result $(($result_ty))?) = entry_points::$name;
                function as *const ()
            },)*
            arch::raise::<Raise> as *const (),
        ]);
    };
}

mintage_environ::builtins!(define_table);

/// Returns the array for the control blocks: the builtins by number, then the raise stub.
pub fn addresses() -> *const usize {
    ADDRESSES.0.as_ptr().cast()
}

/// The builtins as machine code calls them.
///
/// # Safety
///
/// For all of them, `ctx` is the context pointer of a live instance, which only this thread uses.
mod entry_points {
    use super::*;

    #[allow(non_upper_case_globals, reason = "named as the row of the table")]
    pub const throw: unsafe extern "C" fn(*mut u8, u32, u64) -> ! = arch::throw::<Throw>;

    #[allow(non_upper_case_globals, reason = "named as the row of the table")]
    pub const memory_grow: unsafe extern "C" fn(*mut u8, u32, u64) -> u64 = {
        type MemoryGrow = unsafe extern "C" fn(*mut u8, u32, u64) -> u64;
        let stub: Suspendable = arch::suspendable::<GrowMemory>;
        // SAFETY: integers and pointers are passed alike, and the hook uses as many.
        unsafe { std::mem::transmute::<Suspendable, MemoryGrow>(stub) }
    };

    #[allow(non_upper_case_globals, reason = "named as the row of the table")]
    pub const table_grow: unsafe extern "C" fn(*mut u8, u32, u64, u64) -> u64 = {
        type TableGrow = unsafe extern "C" fn(*mut u8, u32, u64, u64) -> u64;
        let stub: Suspendable = arch::suspendable::<GrowTable>;
        // SAFETY: as above.
        unsafe { std::mem::transmute::<Suspendable, TableGrow>(stub) }
    };

    #[allow(non_upper_case_globals, reason = "named as the row of the table")]
    pub const check_in: unsafe extern "C" fn(*mut u8) -> u32 = {
        type CheckIn = unsafe extern "C" fn(*mut u8) -> u32;
        let stub: Suspendable = arch::suspendable::<AskToGoOn>;
        // SAFETY: the hook uses no argument but the first, and the upper half of the result is not
        // used.
        unsafe { std::mem::transmute::<Suspendable, CheckIn>(stub) }
    };

    /// Defines builtins that may wait, by the stub with their hook.
    macro_rules! suspending {
        ($($name:ident($($param:ident: $ty:ty),*) = $hook:ty;)*) => {$(
            #[allow(non_upper_case_globals, reason = "named as the row of the table")]
            pub const $name: unsafe extern "C" fn(*mut u8, $($ty),*) -> u64 = {
                type Function = unsafe extern "C" fn(*mut u8, $($ty),*) -> u64;
                let stub: Suspendable = arch::suspendable::<$hook>;
                // SAFETY: integers and pointers are passed alike, and the hook uses as many.
                unsafe { std::mem::transmute::<Suspendable, Function>(stub) }
            };
        )*};
    }

    suspending! {
        call_task(adapter: u32, words: u64) = concurrent::CallTask;
        task_return(domain: u32, shape: u32, words: u64) = concurrent::ReturnTask;
        subtask_cancel(domain: u32, handle: u32, is_async: u32) = concurrent::CancelSubtask;
        waitable_set_wait(place: u64, set: u32, pointer: u64) = concurrent::WaitForSet;
        end_copy(end: u64, pointer: u64, length: u64) = concurrent::CopyEnd;
        end_cancel(end: u64, value: u32, flags: u32) = concurrent::CancelCopy;
        thread_switch(domain: u32, kind: u32, thread: u32) = concurrent::SwitchThread;
    }

    /// Encodes a result for the trampoline: zero, or the code of a trap.
    fn done(data: &InstanceData, result: Result<(), Failed>) -> u32 {
        result.map_or_else(|failed| failed.code(data), |()| 0)
    }

    /// Encodes a result for the trampoline: a number, or the code of a trap in the high half.
    fn number(data: &InstanceData, result: Result<u32, Failed>) -> u64 {
        match result {
            Ok(number) => number.into(),
            Err(failed) => u64::from(failed.code(data)) << 32,
        }
    }

    pub use super::transcode::*;

    /// Encodes a result for the trampoline: zero, or the code of a trap.
    fn code(result: Result<(), Trap>) -> u32 {
        result.map_or_else(|trap| trap as u32, |()| 0)
    }

    /// Encodes a result for the trampoline: a value, or the code of a trap in the high half.
    fn handle(data: &InstanceData, result: Result<u32, HandleError>) -> u64 {
        match result {
            Ok(value) => u64::from(value),
            Err(error) => {
                data.current().handle_error.set(Some(error));
                (error.trap() as u64) << 32
            }
        }
    }

    /// Encodes a result for the trampoline: zero, or the code of the trap of an error with a
    /// handle.
    fn handle_code(data: &InstanceData, result: Result<(), HandleError>) -> u32 {
        code(result.map_err(|error| {
            data.current().handle_error.set(Some(error));
            error.trap()
        }))
    }

    /// Returns the encoding that machine code names.
    fn encoding(raw: u32) -> StringEncoding {
        StringEncoding::from_u32(raw).unwrap_or_default()
    }

    fn domains(source: u32, target: u32, resource: u32) -> (DomainId, DomainId, ResourceId) {
        (
            DomainId::from_u32(source),
            DomainId::from_u32(target),
            ResourceId::from_u32(resource),
        )
    }

    macro_rules! entry_points {
        ($($name:ident($data:ident $(, $param:ident: $ty:ty)*) -> $result:ty $body:block)*) => {$(
            pub unsafe extern "C" fn $name(ctx: *mut u8 $(, $param: $ty)*) -> $result {
                // SAFETY: as for the whole module.
                let $data = unsafe { InstanceData::of_ctx(ctx) };
                $body
            }
        )*};
    }

    entry_points! {
        table_fill(data, table: u32, dst: u64, value: u64, len: u64) -> u32 {
            code(fill_table(data, TableId::from_u32(table), dst, value, len))
        }
        table_copy(data, dst_table: u32, src_table: u32, dst: u64, src: u64, len: u64) -> u32 {
            let [target, source] = [dst_table, src_table].map(TableId::from_u32);
            code(copy_table(data, target, source, dst, src, len))
        }
        table_init(data, table: u32, segment: u32, dst: u64, src: u32, len: u32) -> u32 {
            let entries = part(data.elem_segment(ElemId::from_u32(segment)), src, len, 8);
            let init = |entries| init_table(data, TableId::from_u32(table), dst, entries);
            code(entries.ok_or(Trap::TableOutOfBounds).and_then(init))
        }
        heap_allocate(data, domain: u32, size: u64) -> u64 {
            // SAFETY: machine code calls this through a trampoline that has recorded its exit.
            match unsafe { gc::allocate(data, DomainId::from_u32(domain), size) } {
                Ok(reference) => u64::from(reference),
                Err(trap) => (trap as u64) << 32,
            }
        }
        array_init_elem(data, dst: u64, segment: u32, src: u32, len: u32, size: u32) -> u32 {
            let entries = part(data.elem_segment(ElemId::from_u32(segment)), src, len, 8);
            code(entries.ok_or(Trap::TableOutOfBounds).and_then(|entries| {
                let (entries, size) = (entries.as_chunks::<8>().0, size.min(8) as usize);
                data.pauses(entries.len()).run(entries.len(), |range| {
                    for (at, entry) in range.clone().zip(&entries[range]) {
                        let element = (dst as *mut u8).wrapping_add(at * size);
                        // SAFETY: machine code has checked that there are `len` elements of `size`
                        // bytes from `dst` on. Segments are not in a slab.
                        unsafe { ptr::copy_nonoverlapping(entry.as_ptr(), element, size) }
                    }
                })
            }))
        }
        fill_bytes(data, dst: u64, low: u64, high: u64, len: u64) -> u32 {
            let pattern = (u128::from(high) << 64 | u128::from(low)).to_le_bytes();
            let (dst, len) = (dst as *mut u8, len as usize);
            // SAFETY: machine code has checked the place.
            code(unsafe { data.pauses(len).fill(dst, pattern, len) })
        }
        copy_bytes(data, dst: u64, src: u64, len: u64) -> u32 {
            let (dst, src, len) = (dst as *mut u8, src as *const u8, len as usize);
            // SAFETY: machine code has checked both places.
            code(unsafe { data.pauses(len).copy(dst, src, len) })
        }
        resource_new(data, domain: u32, resource: u32, rep: u32) -> u64 {
            let (domain, resource) = (DomainId::from_u32(domain), ResourceId::from_u32(resource));
            handle(data, data.with_handles(|handles, _| handles.add_own(domain, resource, rep)))
        }
        resource_rep(data, domain: u32, resource: u32, index: u32) -> u64 {
            let (domain, resource) = (DomainId::from_u32(domain), ResourceId::from_u32(resource));
            handle(data, data.with_handles(|handles, types| {
                handles.rep(types, domain, resource, index)
            }))
        }
        resource_drop(data, domain: u32, resource: u32, index: u32, rep_address: u64) -> u64 {
            let (domain, resource) = (DomainId::from_u32(domain), ResourceId::from_u32(resource));
            let dropped = data.with_handles(|handles, types| {
                handles.drop(types, domain, resource, index)
            });
            handle(data, dropped.map(|(owned, rep)| {
                // SAFETY: machine code passes the address of a word in its frame.
                unsafe { ptr::with_exposed_provenance_mut::<u32>(rep_address as usize).write(rep) };
                u32::from(owned)
            }))
        }
        transfer_own(data, src_domain: u32, dst_domain: u32, resource: u32, index: u32) -> u64 {
            let (source, target, resource) = domains(src_domain, dst_domain, resource);
            handle(data, data.with_handles(|handles, types| {
                let rep = handles.lift_own(types, source, resource, index)?;
                handles.add_own(target, resource, rep)
            }))
        }
        transfer_borrow(
            data, call: u32, src_domain: u32, dst_domain: u32, resource: u32, index: u32
        ) -> u64 {
            let call = CallId::from_u32(call);
            let (source, target, resource) = domains(src_domain, dst_domain, resource);
            handle(data, data.with_handles(|handles, types| {
                let rep = handles.lift_borrow(types, call, source, resource, index)?;
                handles.lower_borrow(types, call, target, resource, rep)
            }))
        }
        lend(data, domain: u32, resource: u32, index: u32) -> u64 {
            let (domain, resource) = (DomainId::from_u32(domain), ResourceId::from_u32(resource));
            handle(data, data.with_handles(|handles, types| {
                handles.lend(types, domain, resource, index)
            }))
        }
        end_loan(data, domain: u32, index: u32) -> u32 {
            let domain = DomainId::from_u32(domain);
            data.with_handles(|handles, _| handles.end_loan(domain, index));
            0
        }
        error_context_new(
            data, domain: u32, memory: u32, encoding_number: u32, pointer: u64, units: u64
        ) -> u64 {
            let (domain, memory) = (DomainId::from_u32(domain), MemoryId::from_u32(memory));
            match message(data, memory, encoding(encoding_number), pointer, units) {
                Ok(message) => handle(data, data.with_handles(|handles, _| {
                    handles.new_error_context(domain, &message)
                })),
                Err(trap) => (trap as u64) << 32,
            }
        }
        error_context_units(data, domain: u32, index: u32, encoding_number: u32) -> u64 {
            let domain = DomainId::from_u32(domain);
            let context = data.with_handles(|handles, types| {
                handles.error_context(types, domain, index)
            });
            handle(data, context.map(|context| context.encode(encoding(encoding_number)).1))
        }
        error_context_message(
            data, domain: u32, index: u32, encoding_number: u32, dst: u64, room: u64
        ) -> u32 {
            let domain = DomainId::from_u32(domain);
            let context = data.with_handles(|handles, types| {
                handles.error_context(types, domain, index)
            });
            handle_code(data, context.map(|context| {
                let (bytes, _) = context.encode(encoding(encoding_number));
                let dst = ptr::with_exposed_provenance_mut::<u8>(dst as usize);
                let len = bytes.len().min(room as usize);
                // SAFETY: machine code has checked that `room` bytes at `dst` are in a memory of
                // the guest.
                unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), dst, len) };
            }))
        }
        error_context_drop(data, domain: u32, index: u32) -> u32 {
            let domain = DomainId::from_u32(domain);
            handle_code(data, data.with_handles(|handles, types| {
                handles.drop_error_context(types, domain, index)
            }))
        }
        transfer_error_context(data, src_domain: u32, dst_domain: u32, index: u32) -> u64 {
            let (source, target) = (DomainId::from_u32(src_domain), DomainId::from_u32(dst_domain));
            handle(data, data.with_handles(|handles, types| {
                let context = handles.error_context(types, source, index)?;
                handles.add_error_context(target, context)
            }))
        }
        enter_task(data, domain: u32) -> u64 {
            number(data, concurrent::enter_task(data, DomainId::from_u32(domain)))
        }
        exit_task(data, _task: u32) -> u32 {
            done(data, concurrent::exit_task(data))
        }
        task_cancel(data, domain: u32) -> u32 {
            done(data, concurrent::cancel_task(data, DomainId::from_u32(domain)))
        }
        backpressure(data, domain: u32, delta: u32) -> u32 {
            let domain = DomainId::from_u32(domain);
            done(data, concurrent::add_backpressure(data, domain, delta as i32))
        }
        context_get(data, domain: u32, slot: u32) -> u64 {
            concurrent::context(data, DomainId::from_u32(domain), slot)
        }
        context_set(data, domain: u32, slot: u32, value: u64) -> u32 {
            concurrent::set_context(data, DomainId::from_u32(domain), slot, value);
            0
        }
        subtask_drop(data, domain: u32, index: u32) -> u32 {
            done(data, concurrent::drop_subtask(data, DomainId::from_u32(domain), index))
        }
        waitable_set_new(data, domain: u32) -> u64 {
            number(data, concurrent::new_set(data, DomainId::from_u32(domain)))
        }
        waitable_set_poll(data, place: u64, set: u32, pointer: u64) -> u64 {
            number(data, concurrent::poll_set(data, place, set, pointer))
        }
        waitable_set_drop(data, domain: u32, set: u32) -> u32 {
            done(data, concurrent::drop_set(data, DomainId::from_u32(domain), set))
        }
        waitable_join(data, domain: u32, waitable: u32, set: u32) -> u32 {
            done(data, concurrent::join(data, DomainId::from_u32(domain), waitable, set))
        }
        end_new(data, domain: u32, value: u32, writable: u64) -> u64 {
            let (domain, value) = (DomainId::from_u32(domain), AsyncValue::from_u32(value));
            let made = concurrent::new_ends(data, domain, value);
            number(data, made.map(|[readable, writer]| {
                let place = ptr::with_exposed_provenance_mut::<u32>(writable as usize);
                // SAFETY: machine code passes the address of a word in its frame.
                unsafe { place.write(writer) };
                readable
            }))
        }
        end_drop(data, end: u64, value: u32, flags: u32) -> u32 {
            let value = AsyncValue::from_u32(value);
            // SAFETY: machine code of the current activation has called this.
            done(data, unsafe { concurrent::drop_end(data, end, value, flags) })
        }
        end_forward(data, domain: u32, value: u32, readable: u32, writable: u32) -> u32 {
            let (domain, value) = (DomainId::from_u32(domain), AsyncValue::from_u32(value));
            // SAFETY: machine code of the current activation has called this.
            done(data, unsafe { concurrent::forward(data, domain, value, readable, writable) })
        }
        transfer_end(data, src_domain: u32, dst_domain: u32, value: u32, index: u32) -> u64 {
            let [source, target] = [src_domain, dst_domain].map(DomainId::from_u32);
            let value = AsyncValue::from_u32(value);
            number(data, concurrent::transfer_end(data, source, target, value, index))
        }
        thread_index(data, domain: u32) -> u64 {
            number(data, concurrent::thread_index(data, DomainId::from_u32(domain)))
        }
        thread_new(data, domain: u32, table: u32, sig: u32, index: u64, argument: u64) -> u64 {
            let (domain, table) = (DomainId::from_u32(domain), TableId::from_u32(table));
            let sig = SigId::from_u32(sig);
            number(data, concurrent::new_thread(data, domain, table, sig, index, argument))
        }
        thread_resume_later(data, domain: u32, thread: u32) -> u32 {
            done(data, concurrent::resume_later(data, DomainId::from_u32(domain), thread))
        }
        enter_call(data) -> u32 {
            data.with_handles(|handles, _| handles.enter()).as_u32()
        }
        exit_call(data, call: u32) -> u32 {
            handle_code(data, data.with_handles(|handles, _| handles.exit(CallId::from_u32(call))))
        }
    }
}

/// Checks all of a guest's string and returns its beginning.
fn message(
    data: &InstanceData,
    memory: MemoryId,
    encoding: StringEncoding,
    pointer: u64,
    units: u64,
) -> Result<String, Trap> {
    let index64 = data
        .code()
        .layout()
        .memories
        .get(memory)
        .is_some_and(|memory| memory.index64);
    let (characters, size, align) = string_place(encoding, units, index64)?;
    if !pointer.is_multiple_of(align) {
        return Err(Trap::UnalignedPointer);
    }
    let start = memory_range(data, memory, pointer, size).map_err(|_| Trap::StringOutOfBounds)?;
    // SAFETY: the range is accessible, and no guest code runs while it is borrowed.
    let bytes = unsafe { std::slice::from_raw_parts(start, size as usize) };
    decode_beginning(characters, bytes, data.pauses(bytes.len()))
}
