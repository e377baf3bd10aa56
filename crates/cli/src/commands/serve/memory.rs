//! Returns unused memory to the system.

use std::ffi::{c_int, c_void};

/// Returns the unused heap memory of this thread to the system.
#[allow(unsafe_code, reason = "calls the allocator")]
pub(super) fn trim() {
    // SAFETY: any thread may call it at any time.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Unmaps the command's own machine code. Most of it is the compiler's, which is not needed to
/// serve. The kernel reads a page from the file again when it is used.
#[allow(unsafe_code, reason = "speaks to the dynamic linker")]
pub(super) fn give_back() {
    // SAFETY: the callback has the type that is asked for, and keeps nothing of what it gets.
    unsafe { libc::dl_iterate_phdr(Some(unmap_code), std::ptr::null_mut()) };
}

/// Unmaps the machine code of a loaded program. Returns 1, which ends the iteration after the first
/// program, the command itself.
#[allow(unsafe_code, reason = "reads program headers, and unmaps pages")]
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
            // SAFETY: the pages are unmodified copies of the executable file: they are not
            // writable, and executables have no relocations in their code. The kernel reads them
            // again at the next access. If the call fails, they stay mapped.
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
