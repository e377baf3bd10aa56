//! Gives back memory that is not needed any more.

use std::ffi::{c_int, c_void};

/// Gives back what the allocator has kept for this thread.
#[allow(unsafe_code, reason = "calls the allocator")]
pub(super) fn trim() {
    // SAFETY: the allocator may be told so at any time.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Gives back the memory that the compiler's own machine code takes, which serving does not need.
/// Whatever of it is needed again comes back by itself.
#[allow(unsafe_code, reason = "speaks to the dynamic linker")]
pub(super) fn give_back() {
    // SAFETY: the callback has the type that is asked for, and keeps nothing of what it gets.
    unsafe { libc::dl_iterate_phdr(Some(unmap_code), std::ptr::null_mut()) };
}

/// Takes the pages of a program's machine code out of memory. Returns 1, so that this happens to
/// the first one alone: the command itself.
#[allow(
    unsafe_code,
    reason = "reads the program headers, and gives advice about their memory"
)]
unsafe extern "C" fn unmap_code(
    program: *mut libc::dl_phdr_info,
    _size: usize,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: the dynamic linker passes the description of a program, with as many headers as it
    // says.
    let (base, headers) = unsafe {
        let program = &*program;
        let headers = std::slice::from_raw_parts(program.dlpi_phdr, program.dlpi_phnum.into());
        (program.dlpi_addr, headers)
    };
    // The largest pages that there are. The first and the last one may have something else, too.
    let page = 64 << 10;
    for header in headers {
        let is_code = header.p_type == libc::PT_LOAD
            && header.p_flags & (libc::PF_X | libc::PF_W) == libc::PF_X;
        let start = (base + header.p_vaddr).next_multiple_of(page);
        let end = (base + header.p_vaddr + header.p_memsz) / page * page;
        if is_code && start < end {
            // SAFETY: the addresses are those of machine code that no one has written to, since
            // they are not writable, and executables are made without relocations in their code. So
            // the pages have what the file has, and the system reads them from it when they are
            // needed. If it refuses, they stay.
            unsafe {
                libc::madvise(
                    start as *mut c_void,
                    (end - start) as usize,
                    libc::MADV_DONTNEED,
                );
            }
        }
    }
    1
}
