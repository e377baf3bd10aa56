//! x86-64: entry stub, exit, raise stub; the frame chain; the registers of a fault.

use std::arch::{asm, naked_asm};

/// Distance from the stack pointer that [`enter`] saves to the frame pointer of its frame: five registers and a word of padding.
const FRAME: usize = 6 * 8;

/// Enters machine code: saves what the Rust caller relies on, stores the stack pointer to `saved_sp`, and calls
/// `entry(ctx, func, words)`. Gives 0 when that returns, and 1 when the call was ended by [`exit`].
///
/// # Safety
///
/// `entry` is an entry adapter for `func`'s signature, and `ctx` and `words` are what the two need. A call that is ended
/// leaves no frames behind that need to be unwound.
#[unsafe(naked)]
pub unsafe extern "C" fn enter(
    saved_sp: *mut usize,
    entry: *const u8,
    ctx: *mut u8,
    func: *const u8,
    words: *mut u64,
) -> u32 {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8", // the stack is aligned to 16 bytes at the call
        "mov [rdi], rsp",
        "mov rax, rsi",
        "mov rdi, rdx",
        "mov rsi, rcx",
        "mov rdx, r8",
        "call rax",
        "xor eax, eax",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Ends the call whose [`enter`] saved the stack pointer `sp`: that `enter` gives 1 to its caller.
///
/// # Safety
///
/// The `enter` has not returned yet, it is of this thread, and nothing between its frame and here needs to be unwound.
#[unsafe(naked)]
unsafe extern "C" fn exit(sp: usize) -> ! {
    naked_asm!(
        "mov rsp, rdi",
        "mov eax, 1",
        "cld",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// The raise stub, which machine code calls to trap: hands its caller's pc and frame pointer to
/// [`on_raise`](crate::fault::on_raise), which notes the trap and gives the stack pointer of the entry to end.
///
/// # Safety
///
/// Called by machine code, with the `ctx` of the running instance and 0 or the code of a trap.
#[unsafe(naked)]
pub unsafe extern "C" fn raise(ctx: *mut u8, code: u32) -> ! {
    naked_asm!(
        "mov rdx, [rsp]",
        "mov rcx, rbp",
        "push rbp",
        "mov rbp, rsp",
        "call {on_raise}",
        "mov rdi, rax",
        "jmp {exit}",
        on_raise = sym crate::fault::on_raise,
        exit = sym exit,
    )
}

/// The frame pointer of the frame of the [`enter`] that saved `sp`: machine code's frames are below it.
pub fn entry_frame(sp: usize) -> usize {
    sp + FRAME
}

/// The return address and the next outer frame pointer, from the frame that `fp` points to.
///
/// # Safety
///
/// `fp` points to a frame of machine code, all of which have frame pointers, or of [`enter`].
pub unsafe fn outer_frame(fp: usize) -> (usize, usize) {
    let frame = fp as *const usize;
    // SAFETY: a frame pointer points to the saved frame pointer, with the return address above it.
    unsafe { (frame.add(1).read(), frame.read()) }
}

/// The stack pointer of the caller, or a little below.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let sp: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// The registers at a fault that the walk over frames starts from.
pub struct Registers {
    /// The instruction that faulted.
    pub pc: usize,
    /// The frame pointer.
    pub fp: usize,
    /// The stack pointer.
    pub sp: usize,
}

impl Registers {
    /// Reads them.
    pub fn of(context: &libc::ucontext_t) -> Registers {
        let register = |number: libc::c_int| context.uc_mcontext.gregs[number as usize] as usize;
        Registers {
            pc: register(libc::REG_RIP),
            fp: register(libc::REG_RBP),
            sp: register(libc::REG_RSP),
        }
    }

    /// Makes the interrupted thread go on in [`exit`] with the stack pointer `sp` instead of where it was.
    pub fn resume_at_exit(context: &mut libc::ucontext_t, sp: usize) {
        let registers = &mut context.uc_mcontext.gregs;
        registers[libc::REG_RIP as usize] = exit as *const () as i64;
        registers[libc::REG_RDI as usize] = sp as i64;
        // `exit` only pops, but a stack that stands where it belongs keeps a debugger that looks in between on track.
        registers[libc::REG_RSP as usize] = sp as i64;
    }
}

/// The features of this processor, by the names of the code generator's settings.
pub fn cpu_features() -> Vec<String> {
    macro_rules! features {
        ($($setting:literal: $feature:tt,)*) => {
            vec![$(format!(concat!($setting, "={}"), std::is_x86_feature_detected!($feature))),*]
        };
    }
    features! {
        "has_avx": "avx",
        "has_avx2": "avx2",
        "has_avx512bitalg": "avx512bitalg",
        "has_avx512dq": "avx512dq",
        "has_avx512f": "avx512f",
        "has_avx512vbmi": "avx512vbmi",
        "has_avx512vl": "avx512vl",
        "has_avx512vnni": "avx512vnni",
        "has_avx_vnni": "avxvnni",
        "has_bmi1": "bmi1",
        "has_bmi2": "bmi2",
        "has_cmpxchg16b": "cmpxchg16b",
        "has_fma": "fma",
        "has_lzcnt": "lzcnt",
        "has_popcnt": "popcnt",
        "has_sse3": "sse3",
        "has_sse41": "sse4.1",
        "has_sse42": "sse4.2",
        "has_ssse3": "ssse3",
    }
}
