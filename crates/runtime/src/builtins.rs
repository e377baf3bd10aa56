//! The builtins: what machine code asks of the runtime, one function per row of
//! [`builtins!`](mintage_environ::builtins).
//!
//! To add one: add the row there; the tables below then ask for a function of its name and shape in
//! [`entry_points`].
//!
//! Guests choose the arguments, apart from the numbers of memories, tables and segments, which are
//! constants of machine code. All arithmetic on them is on 64 bits and checked. Nothing here
//! panics: a panic could not pass machine code and would abort.

use crate::HandleError;
use crate::arch;
use crate::data::{InstanceData, fill_entries};
use crate::error_context::{decode_beginning, string_place};
use crate::limits::Ended;
use mintage_environ::builtin::{GROWTH_ENDED, RAISE_SLOT};
use mintage_environ::component::StringEncoding;
use mintage_environ::{DomainId, ElemId, MemoryId, ResourceId, TableId, Trap};
use std::ptr;

/// The addresses that machine code finds builtins by.
#[repr(transparent)]
struct Addresses([*const (); RAISE_SLOT + 1]);

// SAFETY: addresses of functions, which never change.
unsafe impl Sync for Addresses {}

/// The type that a builtin's parameter or result has in Rust.
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
    (Fallible($ty:ident)) => {
        u64
    };
    (Growth) => {
        u64
    };
}

macro_rules! define_table {
    ($($(#[$doc:meta])* $variant:ident $name:ident($($param:ident: $ty:ident),*) -> $result:ident $(($result_ty:ident))?;)*) => {
        static ADDRESSES: Addresses = Addresses([
            $({
                let function: unsafe extern "C" fn(ctx: *mut u8, $($param: rust_type!($ty)),*) -> rust_type!($result $(($result_ty))?) =
                    entry_points::$name;
                function as *const ()
            },)*
            arch::raise as *const (),
        ]);
    };
}

mintage_environ::builtins!(define_table);

/// The array for the control blocks: the builtins by number, then the raise stub.
pub fn addresses() -> *const usize {
    ADDRESSES.0.as_ptr().cast()
}

/// The builtins as machine code calls them.
///
/// # Safety
///
/// All of them: `ctx` is the context pointer of a live instance, which is used by this thread only.
mod entry_points {
    use super::*;

    pub use crate::arch::throw;
    pub use crate::transcode::raw::*;

    /// The word that a trampoline takes: zero, or the code of a trap.
    fn code(result: Result<(), Trap>) -> u32 {
        result.map_or_else(|trap| trap as u32, |()| 0)
    }

    /// The word that a trampoline takes: a value, or the code of a trap in the high half.
    fn handle(data: &InstanceData, result: Result<u32, HandleError>) -> u64 {
        match result {
            Ok(value) => u64::from(value),
            Err(error) => {
                data.handle_error.set(Some(error));
                (error.trap() as u64) << 32
            }
        }
    }

    /// The word that a trampoline takes: the old size, -1, or that the call ends.
    fn growth(result: Result<Option<u64>, Ended>) -> u64 {
        match result {
            Ok(old_size) => old_size.unwrap_or(u64::MAX),
            Err(Ended::Failure) => GROWTH_ENDED,
            Err(Ended::Trap(trap)) => GROWTH_ENDED - trap as u64,
        }
    }

    /// The trap of a failure with a handle, and zero otherwise.
    fn handle_code(data: &InstanceData, result: Result<(), HandleError>) -> u32 {
        code(result.map_err(|error| {
            data.handle_error.set(Some(error));
            error.trap()
        }))
    }

    /// The encoding that machine code names.
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
        memory_grow(data, memory: u32, delta: u64) -> u64 {
            growth(data.grow_memory(MemoryId::from_u32(memory), delta, InstanceData::allows))
        }
        table_grow(data, table: u32, init: u64, delta: u64) -> u64 {
            growth(data.grow_table(TableId::from_u32(table), init, delta, data.pauses(usize::MAX), InstanceData::allows))
        }
        table_fill(data, table: u32, dst: u64, value: u64, len: u64) -> u32 {
            code(fill_table(data, TableId::from_u32(table), dst, value, len))
        }
        table_copy(data, dst_table: u32, src_table: u32, dst: u64, src: u64, len: u64) -> u32 {
            code(copy_table(data, TableId::from_u32(dst_table), TableId::from_u32(src_table), dst, src, len))
        }
        table_init(data, table: u32, segment: u32, dst: u64, src: u32, len: u32) -> u32 {
            let entries = part(data.elem_segment(ElemId::from_u32(segment)), src, len, 8);
            code(entries.ok_or(Trap::TableOutOfBounds).and_then(|entries| init_table(data, TableId::from_u32(table), dst, entries)))
        }
        heap_allocate(data, domain: u32, size: u64) -> u64 {
            // SAFETY: machine code calls this through a trampoline that has recorded its exit.
            match unsafe { data.heap_allocate(DomainId::from_u32(domain), size) } {
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
                        // bytes from `dst` on. Segments lie in no slab.
                        unsafe { ptr::copy_nonoverlapping(entry.as_ptr(), element, size) }
                    }
                })
            }))
        }
        fill_bytes(data, dst: u64, low: u64, high: u64, len: u64) -> u32 {
            let pattern = u128::from(high) << 64 | u128::from(low);
            // SAFETY: machine code has checked the place.
            code(unsafe { data.pauses(len as usize).fill(dst as *mut u8, pattern.to_le_bytes(), len as usize) })
        }
        copy_bytes(data, dst: u64, src: u64, len: u64) -> u32 {
            // SAFETY: machine code has checked both places.
            code(unsafe { data.pauses(len as usize).copy(dst as *mut u8, src as *const u8, len as usize) })
        }
        resource_new(data, domain: u32, resource: u32, rep: u32) -> u64 {
            let (domain, resource) = (DomainId::from_u32(domain), ResourceId::from_u32(resource));
            handle(data, data.with_handles(|handles, _| handles.add_own(domain, resource, rep)))
        }
        resource_rep(data, domain: u32, resource: u32, index: u32) -> u64 {
            let (domain, resource) = (DomainId::from_u32(domain), ResourceId::from_u32(resource));
            handle(data, data.with_handles(|handles, types| handles.rep(types, domain, resource, index)))
        }
        resource_drop(data, domain: u32, resource: u32, index: u32, rep_address: u64) -> u64 {
            let (domain, resource) = (DomainId::from_u32(domain), ResourceId::from_u32(resource));
            let dropped = data.with_handles(|handles, types| handles.drop(types, domain, resource, index));
            handle(data, dropped.map(|(owned, rep)| {
                // SAFETY: the built-in's machine code passes the address of a word in its frame.
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
        transfer_borrow(data, src_domain: u32, dst_domain: u32, resource: u32, index: u32) -> u64 {
            let (source, target, resource) = domains(src_domain, dst_domain, resource);
            handle(data, data.with_handles(|handles, types| {
                let rep = handles.lift_borrow(types, source, resource, index)?;
                handles.lower_borrow(types, target, resource, rep)
            }))
        }
        error_context_new(data, domain: u32, memory: u32, encoding_number: u32, pointer: u64, units: u64) -> u64 {
            let domain = DomainId::from_u32(domain);
            match message(data, MemoryId::from_u32(memory), encoding(encoding_number), pointer, units) {
                Ok(message) => handle(data, data.with_handles(|handles, _| handles.new_error_context(domain, &message))),
                Err(trap) => (trap as u64) << 32,
            }
        }
        error_context_units(data, domain: u32, index: u32, encoding_number: u32) -> u64 {
            let domain = DomainId::from_u32(domain);
            let context = data.with_handles(|handles, types| handles.error_context(types, domain, index));
            handle(data, context.map(|context| context.encode(encoding(encoding_number)).1))
        }
        error_context_message(data, domain: u32, index: u32, encoding_number: u32, dst: u64, room: u64) -> u32 {
            let domain = DomainId::from_u32(domain);
            let context = data.with_handles(|handles, types| handles.error_context(types, domain, index));
            handle_code(data, context.map(|context| {
                let (bytes, _) = context.encode(encoding(encoding_number));
                let dst = ptr::with_exposed_provenance_mut::<u8>(dst as usize);
                // SAFETY: machine code has checked that `room` bytes at `dst` are in a memory of
                // the guest.
                unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), dst, bytes.len().min(room as usize)) };
            }))
        }
        error_context_drop(data, domain: u32, index: u32) -> u32 {
            let domain = DomainId::from_u32(domain);
            handle_code(data, data.with_handles(|handles, types| handles.drop_error_context(types, domain, index)))
        }
        transfer_error_context(data, src_domain: u32, dst_domain: u32, index: u32) -> u64 {
            let (source, target) = (DomainId::from_u32(src_domain), DomainId::from_u32(dst_domain));
            handle(data, data.with_handles(|handles, types| {
                let context = handles.error_context(types, source, index)?;
                handles.add_error_context(target, context)
            }))
        }
        enter_call(data) -> u32 {
            handle_code(data, data.with_handles(|handles, _| handles.enter()))
        }
        exit_call(data) -> u32 {
            handle_code(data, data.with_handles(|handles, _| handles.exit()))
        }
    }
}

/// The beginning of a guest's string, all of which is checked.
fn message(
    data: &InstanceData,
    memory: MemoryId,
    encoding: StringEncoding,
    pointer: u64,
    units: u64,
) -> Result<String, Trap> {
    let index64 = data
        .code
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

/// `len` items of `item` bytes each from item `start` on.
fn part(segment: &[u8], start: u32, len: u32, item: usize) -> Option<&[u8]> {
    let start = start as usize * item;
    segment.get(start..start + len as usize * item)
}

/// The place of `len` bytes at `start` of a memory.
#[inline]
fn memory_range(data: &InstanceData, id: MemoryId, start: u64, len: u64) -> Result<*mut u8, Trap> {
    let memory = data.memory(id).ok_or(Trap::MemoryOutOfBounds)?;
    match start.checked_add(len) {
        Some(end) if end <= memory.size => Ok(memory.base.wrapping_add(start as usize)),
        _ => Err(Trap::MemoryOutOfBounds),
    }
}

/// The place of `len` entries from `start` of a table on.
#[inline]
fn table_range(data: &InstanceData, id: TableId, start: u64, len: u64) -> Result<*mut u64, Trap> {
    let table = data.table(id).ok_or(Trap::TableOutOfBounds)?;
    match start.checked_add(len) {
        Some(end) if end <= table.size => Ok(table.base.wrapping_add(start as usize)),
        _ => Err(Trap::TableOutOfBounds),
    }
}

/// Copies `bytes` to a memory.
pub fn init_memory(
    data: &InstanceData,
    memory: MemoryId,
    dst: u64,
    bytes: &[u8],
) -> Result<(), Trap> {
    let target = memory_range(data, memory, dst, bytes.len() as u64)?;
    // SAFETY: the range is accessible, and not part of the artifact.
    unsafe {
        data.pauses(bytes.len())
            .copy(target, bytes.as_ptr(), bytes.len())
    }
}

fn fill_table(
    data: &InstanceData,
    table: TableId,
    dst: u64,
    value: u64,
    len: u64,
) -> Result<(), Trap> {
    let target = table_range(data, table, dst, len)?;
    // SAFETY: the range is accessible.
    unsafe { fill_entries(target, value, len, data.pauses(usize::MAX)) }
}

fn copy_table(
    data: &InstanceData,
    dst_table: TableId,
    src_table: TableId,
    dst: u64,
    src: u64,
    len: u64,
) -> Result<(), Trap> {
    let source = table_range(data, src_table, src, len)?;
    let target = table_range(data, dst_table, dst, len)?;
    let bytes = len as usize * size_of::<u64>();
    // SAFETY: both ranges are accessible; they may overlap.
    unsafe { data.pauses(bytes).copy(target.cast(), source.cast(), bytes) }
}

/// Copies `entries`, the bytes of 8-byte words, to a table.
pub fn init_table(
    data: &InstanceData,
    table: TableId,
    dst: u64,
    entries: &[u8],
) -> Result<(), Trap> {
    let target = table_range(data, table, dst, entries.len() as u64 / 8)?;
    // SAFETY: the range is accessible, and not part of the artifact.
    unsafe {
        data.pauses(entries.len())
            .copy(target.cast(), entries.as_ptr(), entries.len() / 8 * 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_segments() {
        let segment: Vec<u8> = (0..32).collect();
        assert_eq!(part(&segment, 0, 32, 1), Some(&segment[..]));
        assert_eq!(part(&segment, 32, 0, 1), Some(&[][..]));
        assert_eq!(part(&segment, 33, 0, 1), None);
        assert_eq!(part(&segment, 1, 3, 8), Some(&segment[8..]));
        assert_eq!(part(&segment, 2, 3, 8), None);
        assert_eq!(part(&segment, u32::MAX, u32::MAX, 8), None);
    }
}
