//! 64-bit ARM: entry into machine code, the stubs that leave it, frames, the registers at a fault,
//! and the caches of instructions.
//!
//! Calls through registers land on `hint #34`, a landing pad for calls (`bti c`). Jumps through
//! registers land on `hint #36`, one for jumps (`bti j`), or are made by `ret`, which needs none.
//! So the stubs work if their own pages or those of machine code enforce landing pads. Processors
//! without landing pads execute the hints as `nop`.

use super::{RaiseHook, ResumePoint, SuspendHook, SwitchPoint, ThrowHook};
use std::arch::{asm, is_aarch64_feature_detected, naked_asm};
use std::ops::Range;

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
    let ended: u64;
    // SAFETY: as the caller promises. The code may change all registers but x19, x29 and sp. Both
    // ways out restore these from the stack, which stays aligned to 16 bytes.
    unsafe {
        asm!(
            "stp x29, x19, [sp, #-16]!",
            "mov x9, sp",
            "adr x10, 2f",
            "stp x9, x10, [x3]",
            "blr x4",
            "mov w0, wzr",
            "2:",
            "hint #36",
            "ldp x29, x19, [sp], #16",
            in("x3") saved,
            in("x4") entry,
            inlateout("x0") ctx => ended,
            in("x1") func,
            in("x2") words,
            out("x20") _,
            out("x21") _,
            out("x22") _,
            out("x23") _,
            out("x24") _,
            out("x25") _,
            out("x26") _,
            out("x27") _,
            out("x28") _,
            clobber_abi("C"),
        );
    }
    ended != 0
}

/// Ends the call that the resume point belongs to.
///
/// # Safety
///
/// The call is the innermost of this thread and under way: the [`enter`] that wrote the point, or
/// the [`switch_to`](super::switch_to) that runs the call of [`prepare`], has not returned. No
/// frame between it and here needs to be unwound.
#[unsafe(naked)]
unsafe extern "C" fn exit(resume: *const ResumePoint) -> ! {
    naked_asm!("ldp x9, x10, [x0]", "mov sp, x9", "mov x0, #1", "br x10",)
}

/// Prepares a call on the stack below `point`: the next [`switch_to`](super::switch_to) calls
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
    // The stack pointer is a multiple of 16.
    let start = point.cast::<usize>().wrapping_sub(2);
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
/// which returns here with its result in w0.
///
/// # Safety
///
/// As [`switch_to`](super::switch_to).
#[unsafe(naked)]
pub(super) unsafe extern "C" fn switch(point: *mut SwitchPoint, value: u64) -> u32 {
    naked_asm!(
        "stp x29, x30, [sp, #-160]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "mov x9, sp",
        "ldr x10, [x0, #8]",
        "str x9, [x0]",
        "mov sp, x10",
        "mov x0, x1",
        "ldr x30, [sp], #16",
        "ret",
    )
}

/// Goes back from the stack below the switch point in x1 to the [`switch`] that runs it, with the
/// result in w0.
#[unsafe(naked)]
unsafe extern "C" fn switch_back() -> ! {
    naked_asm!(
        "ldr x9, [x1]",
        "mov sp, x9",
        "ldp x19, x20, [sp, #16]",
        "ldp x21, x22, [sp, #32]",
        "ldp x23, x24, [sp, #48]",
        "ldp x25, x26, [sp, #64]",
        "ldp x27, x28, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "ldp x29, x30, [sp], #160",
        "ret",
    )
}

/// The first code on a stack of its own. The stack pointer is the switch point.
#[unsafe(naked)]
unsafe extern "C" fn run() -> ! {
    naked_asm!(
        "ldp x9, x0, [sp, #16]",
        "ldp x1, x2, [sp, #32]",
        "mov x29, xzr",
        "blr x9",
        "mov w0, wzr",
        "b {ended}",
        ended = sym ended,
    )
}

/// The last code on a stack of its own. The stack pointer is the switch point, and w0 has the
/// result.
#[unsafe(naked)]
unsafe extern "C" fn ended() -> ! {
    naked_asm!(
        "hint #36",
        "mov x1, sp",
        "b {switch_back}",
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
        "hint #34",
        "stp x29, x30, [sp, #-16]!",
        "mov x29, sp",
        "bl {on_call}",
        "cbnz x1, 2f",
        "ldp x29, x30, [sp], #16",
        "ret",
        "2:",
        "stp x19, x20, [sp, #-144]!",
        "stp x21, x22, [sp, #16]",
        "stp x23, x24, [sp, #32]",
        "stp x25, x26, [sp, #48]",
        "stp x27, x28, [sp, #64]",
        "stp d8, d9, [sp, #80]",
        "stp d10, d11, [sp, #96]",
        "stp d12, d13, [sp, #112]",
        "stp d14, d15, [sp, #128]",
        "adr x9, 3f",
        "str x9, [sp, #-16]!",
        "mov x9, sp",
        "str x9, [x1, #8]",
        "mov w0, #2",
        "b {switch_back}",
        // `switch` returns here.
        "3:",
        "ldp x21, x22, [sp, #16]",
        "ldp x23, x24, [sp, #32]",
        "ldp x25, x26, [sp, #48]",
        "ldp x27, x28, [sp, #64]",
        "ldp d8, d9, [sp, #80]",
        "ldp d10, d11, [sp, #96]",
        "ldp d12, d13, [sp, #112]",
        "ldp d14, d15, [sp, #128]",
        "ldp x19, x20, [sp], #144",
        "ldp x29, x30, [sp], #16",
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
        "hint #34",
        "mov x2, x30",
        "mov x3, x29",
        "stp x29, x30, [sp, #-16]!",
        "mov x29, sp",
        "bl {on_raise}",
        "b {exit}",
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
        "hint #34",
        "mov x3, x30",
        "mov x4, x29",
        "stp x29, x30, [sp, #-16]!",
        "mov x29, sp",
        "bl {on_throw}",
        "ldp x9, x10, [x0]",
        "ldp x29, x0, [x0, #16]",
        "mov sp, x10",
        // Handlers are no landing pads.
        "ret x9",
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
    let (mut return_address, outer) = unsafe { (frame.add(1).read(), frame.read()) };
    // Machine code of this version does not sign return addresses, but that is a setting of the
    // code generator. The stubs and Rust code may be compiled to sign theirs.
    //
    // SAFETY: the hint (`xpaclri`) removes a signature from x30, and nothing else. Processors
    // without signatures execute it as `nop`.
    unsafe {
        asm!("hint #7", inout("x30") return_address, options(nomem, nostack, preserves_flags))
    };
    (return_address, outer)
}

/// Returns the stack pointer of the caller, or a little less.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let sp: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// Returns the thread pointer, which differs between running threads. It is read anew each time,
/// because the compiler assumes that a function ends on the thread on which it began.
#[inline(always)]
pub fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) pointer, options(nostack, preserves_flags)) };
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
        let registers = &context.uc_mcontext;
        Registers {
            pc: registers.pc as usize,
            fp: registers.regs[29] as usize,
            sp: registers.sp as usize,
        }
    }

    /// Makes the interrupted thread continue in [`exit`] with `resume`.
    pub fn resume_at_exit(context: &mut libc::ucontext_t, resume: *const ResumePoint) {
        /// The bits of the processor state that tell how the last branch was made.
        const BRANCH_TYPE: u64 = 0b11 << 10;
        let registers = &mut context.uc_mcontext;
        registers.pc = exit as *const () as u64;
        registers.regs[0] = resume.addr() as u64;
        registers.pstate &= !BRANCH_TYPE;
    }
}

/// Returns the features of this processor, under the names of the code generator's settings.
pub fn cpu_features() -> Vec<String> {
    macro_rules! features {
        ($($setting:literal: $feature:tt,)*) => {
            vec![$(format!(concat!($setting, "={}"), is_aarch64_feature_detected!($feature))),*]
        };
    }
    let mut features = features! {
        "has_dotprod": "dotprod",
        "has_fp16": "fp16",
        "has_i8mm": "i8mm",
        "has_lse": "lse",
        "has_pauth": "paca",
    };
    // Landing pads are hints, which every processor executes.
    features.push("use_bti=true".into());
    features
}

/// Whether the processor can enforce landing pads: that calls and jumps through registers lead to
/// instructions that are meant for it.
pub fn has_landing_pads() -> bool {
    is_aarch64_feature_detected!("bti")
}

/// Whether instructions are fetched as they were last written, without further ado.
pub const HAS_COHERENT_INSTRUCTIONS: bool = false;

/// Makes instructions at these addresses visible to fetches of all processors: writes data caches
/// back to where they are unified, and invalidates instruction caches. Each processor that executes
/// the instructions still has to discard those that it fetched before.
pub fn flush_instructions(code: &[u8]) {
    /// The data cache need not be written back.
    const IDC: u64 = 1 << 28;
    /// The instruction cache need not be invalidated.
    const DIC: u64 = 1 << 29;
    let cache_type: u64;
    // SAFETY: reads a register, which Linux lets processes read.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) cache_type, options(nomem, nostack)) };
    // Binary logarithms of the number of words.
    let line = |shift: u32| 4usize << (cache_type >> shift & 0xf);
    let Range { start, end } = code.as_ptr_range();
    let lines = |size: usize| (start.addr() & !(size - 1)..end.addr()).step_by(size);
    if cache_type & IDC == 0 {
        for address in lines(line(16)) {
            // SAFETY: the line has bytes of `code`, which is readable.
            unsafe { asm!("dc cvau, {}", in(reg) address, options(nostack, preserves_flags)) };
        }
    }
    // SAFETY: waits.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    if cache_type & DIC == 0 {
        for address in lines(line(0)) {
            // SAFETY: as above.
            unsafe { asm!("ic ivau, {}", in(reg) address, options(nostack, preserves_flags)) };
        }
        // SAFETY: waits.
        unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    }
    // SAFETY: discards instructions that were fetched before, on this processor.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
}

/// The geometry of the processor's page tables, with pages of 4 KiB and addresses of 48 bits.
pub mod page_table {
    /// Binary logarithm of the number of entries in a table. A table takes one page; an entry leads
    /// to a page or to a table of the next level.
    pub const ENTRIES_LOG2: u32 = 9;
    /// Levels below the top one, which the whole process shares.
    pub const LEVELS: u32 = 3;
}
