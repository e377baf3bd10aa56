//! x86-64: entry into machine code, the stubs that leave it, frames, and the registers at a fault.

use super::{RaiseHook, ResumePoint, SuspendHook, SwitchPoint, ThrowHook};
use std::arch::{asm, naked_asm};

/// Enters machine code: writes `saved` and calls `entry(ctx, func, words)`. Returns `false` when
/// that returns, and `true` when the call was ended by [`exit`].
///
/// It is inlined because its caller and the entry trampoline save most registers anyway. Only the
/// two that the compiler reserves are saved here.
///
/// # Safety
///
/// - `entry` is the entry trampoline of `func`'s signature, and `ctx` and `words` are what the two
///   expect.
/// - A call that is ended leaves no frames that need to be unwound.
/// - `saved` is valid for writes, and does not move before this returns.
#[inline(always)]
pub unsafe fn enter(
    saved: *mut ResumePoint,
    entry: *const u8,
    ctx: *mut u8,
    func: *const u8,
    words: *mut u64,
) -> bool {
    let ended: u32;
    // SAFETY: as the caller promises. The code may change all registers but rbx, rbp and rsp. Both
    // ways out restore these from the stack. The two pushes keep the stack aligned to 16 bytes for
    // the call.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "lea rax, [rip + 2f]",
            "mov [r9], rsp",
            "mov [r9 + 8], rax",
            "call r8",
            "xor eax, eax",
            "2:",
            "pop rbp",
            "pop rbx",
            in("r9") saved,
            in("r8") entry,
            in("rdi") ctx,
            in("rsi") func,
            in("rdx") words,
            lateout("eax") ended,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("sysv64"),
        );
    }
    ended != 0
}

/// Ends the call that the resume point belongs to.
///
/// # Safety
///
/// The call is the innermost of this thread and under way: the [`enter`] that wrote the point, or
/// the [`switch_to`] that runs the call of [`prepare`], has not returned. No frame between it and
/// here needs to be unwound.
#[unsafe(naked)]
unsafe extern "C" fn exit(resume: *const ResumePoint) -> ! {
    naked_asm!(
        "mov rsp, [rdi]",
        "mov eax, 1",
        "cld",
        "jmp qword ptr [rdi + 8]"
    )
}

/// Prepares a call on the stack below `point`: the next [`switch_to`] calls
/// `entry(ctx, func, words)` there. Returns the resume point of the call.
///
/// # Safety
///
/// `point` is valid for writes, aligned to 16 bytes, and has the stack below it.
pub unsafe fn prepare(
    point: *mut SwitchPoint,
    entry: *const u8,
    ctx: *mut u8,
    func: *const u8,
    words: *mut u64,
) -> ResumePoint {
    let start = point.cast::<usize>().wrapping_sub(1);
    // SAFETY: both are in the stack, as the caller promises.
    unsafe {
        start.write(run as *const () as usize);
        point.write(SwitchPoint {
            outside: 0,
            inside: start.addr(),
            entry,
            ctx,
            func,
            words,
        });
    }
    ResumePoint {
        sp: point.addr(),
        pc: ended as *const () as usize,
    }
}

/// Saves the registers that belong to the caller, and continues at the saved place of `point`,
/// which returns here with its result in eax. It jumps there, since the processor expects a return
/// to be to the caller: it would mispredict this one and those of all callers further out.
///
/// # Safety
///
/// As [`switch_to`](super::switch_to).
#[unsafe(naked)]
pub(super) unsafe extern "C" fn switch(point: *mut SwitchPoint, value: u64) -> u32 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, [rdi + 8]",
        "mov rax, rsi",
        "pop rcx",
        "jmp rcx",
    )
}

/// Goes back from the stack below the switch point in rdi to the [`switch`] that runs it, with the
/// result in eax.
#[unsafe(naked)]
unsafe extern "C" fn switch_back() -> ! {
    naked_asm!(
        "mov rsp, [rdi]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// The first code on a stack of its own. The stack pointer is the switch point.
#[unsafe(naked)]
unsafe extern "C" fn run() -> ! {
    naked_asm!(
        "mov rdi, [rsp + 24]",
        "mov rsi, [rsp + 32]",
        "mov rdx, [rsp + 40]",
        "xor ebp, ebp",
        "call [rsp + 16]",
        "xor eax, eax",
        "jmp {ended}",
        ended = sym ended,
    )
}

/// The last code on a stack of its own. The stack pointer is the switch point, and eax has the
/// result.
#[unsafe(naked)]
unsafe extern "C" fn ended() -> ! {
    naked_asm!(
        "mov rdi, rsp",
        "jmp {switch_back}",
        switch_back = sym switch_back,
    )
}

/// The stub through which machine code calls a function that may suspend the call. Only this stub
/// and machine code have frames on a suspended stack, so it can be resumed on any thread, and
/// dropped without unwinding.
///
/// # Safety
///
/// Called by machine code, with the arguments of the hook.
#[unsafe(naked)]
pub unsafe extern "C" fn suspendable<H: SuspendHook>(
    ctx: *mut u8,
    a: *const (),
    b: *mut u64,
    c: u64,
) -> u64 {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "call {on_call}",
        "test rdx, rdx",
        "jnz 2f",
        "pop rbp",
        "ret",
        "2:",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "lea rcx, [rip + 3f]",
        "push rcx",
        "mov rdi, rdx",
        "mov [rdi + 8], rsp",
        "mov eax, 2",
        "jmp {switch_back}",
        "3:",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        on_call = sym H::on_call,
        switch_back = sym switch_back,
    )
}

/// The raise stub, which machine code calls to trap. It passes its caller's pc and frame pointer to
/// [`RaiseHook::on_raise`], and ends the call whose resume point that returns.
///
/// # Safety
///
/// Called by machine code, with the `ctx` of the running instance and 0 or the code of a trap.
#[unsafe(naked)]
pub unsafe extern "C" fn raise<H: RaiseHook>(ctx: *mut u8, code: u32) -> ! {
    naked_asm!(
        "mov rdx, [rsp]",
        "mov rcx, rbp",
        "push rbp",
        "mov rbp, rsp",
        "call {on_raise}",
        "mov rdi, rax",
        "jmp {exit}",
        on_raise = sym H::on_raise,
        exit = sym exit,
    )
}

/// The throw stub, which machine code calls to throw `exception`, an object of `domain`. It passes
/// its caller's pc and frame pointer to [`ThrowHook::on_throw`], and continues at the landing that
/// this returns.
///
/// # Safety
///
/// Called by machine code, with the `ctx` of the running instance.
#[unsafe(naked)]
pub unsafe extern "C" fn throw<H: ThrowHook>(ctx: *mut u8, domain: u32, exception: u64) -> ! {
    naked_asm!(
        "mov rcx, [rsp]",
        "mov r8, rbp",
        "push rbp",
        "mov rbp, rsp",
        "call {on_throw}",
        "mov rsp, [rax + 8]",
        "mov rbp, [rax + 16]",
        "mov rcx, [rax]",
        "mov rax, [rax + 24]",
        "cld",
        "jmp rcx",
        on_throw = sym H::on_throw,
    )
}

/// Returns the return address and the next outer frame pointer of the frame that `fp` points to.
///
/// # Safety
///
/// `fp` points to a frame of machine code, all of which have frame pointers.
pub unsafe fn outer_frame(fp: usize) -> (usize, usize) {
    let frame = fp as *const usize;
    // SAFETY: a frame pointer points to the saved frame pointer, with the return address above it.
    unsafe { (frame.add(1).read(), frame.read()) }
}

/// Returns the stack pointer of the caller, or a little less.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let sp: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// Returns the thread pointer, which differs between running threads. It is read anew each time,
/// because the compiler assumes that a function ends on the thread on which it began.
#[inline(always)]
pub fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: the first word of thread-local storage is its own address (ELF Handling for
    // Thread-Local Storage, x86-64).
    unsafe {
        asm!("mov {}, fs:[0]", out(reg) pointer, options(readonly, nostack, preserves_flags))
    };
    pointer
}

/// The registers at a fault, from which the walk over frames starts.
pub struct Registers {
    /// The instruction that faulted.
    pub pc: usize,
    /// The frame pointer.
    pub fp: usize,
    /// The stack pointer.
    pub sp: usize,
}

impl Registers {
    /// Reads the registers from a signal's context.
    pub fn of(context: &libc::ucontext_t) -> Registers {
        let register = |number: libc::c_int| context.uc_mcontext.gregs[number as usize] as usize;
        Registers {
            pc: register(libc::REG_RIP),
            fp: register(libc::REG_RBP),
            sp: register(libc::REG_RSP),
        }
    }

    /// Makes the interrupted thread continue in [`exit`] with `resume`.
    pub fn resume_at_exit(context: &mut libc::ucontext_t, resume: *const ResumePoint) {
        let registers = &mut context.uc_mcontext.gregs;
        registers[libc::REG_RIP as usize] = exit as *const () as i64;
        registers[libc::REG_RDI as usize] = resume as i64;
    }
}

/// Returns the features of this processor, under the names of the code generator's settings.
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

/// Whether the processor can enforce landing pads: that calls and jumps through registers lead to
/// instructions that are meant for it. Machine code for this processor has none.
pub fn has_landing_pads() -> bool {
    false
}

/// Whether instructions are fetched as they were last written, without further ado.
pub const HAS_COHERENT_INSTRUCTIONS: bool = true;

/// Makes the processor fetch instructions at these addresses as they were last written, which this
/// one does anyway.
pub fn flush_instructions(_code: &[u8]) {}

/// The geometry of the processor's page tables.
pub mod page_table {
    /// Binary logarithm of the number of entries in a table. A table takes one page; an entry leads
    /// to a page or to a table of the next level.
    pub const ENTRIES_LOG2: u32 = 9;
    /// Levels below the top one, which the whole process shares.
    pub const LEVELS: u32 = 3;
}
