//! x86-64: entry into machine code, the stubs that leave it, frames, and the registers at a fault.

use std::arch::{asm, naked_asm};
use std::mem::offset_of;

/// The point at which a call that is ended resumes: written by [`enter`] or [`prepare`], used by
/// [`exit`].
#[repr(C)]
pub struct ResumePoint {
    /// The stack pointer.
    pub sp: usize,
    /// The instruction.
    pc: usize,
}

impl ResumePoint {
    /// A resume point that is not yet written.
    pub const NONE: ResumePoint = ResumePoint { sp: 0, pc: 0 };

    /// A resume point at this stack pointer, for tests. Nothing can resume there.
    #[cfg(test)]
    pub const fn at(sp: usize) -> ResumePoint {
        ResumePoint { sp, pc: 0 }
    }
}

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

const _: () = assert!(offset_of!(ResumePoint, sp) == 0 && offset_of!(ResumePoint, pc) == 8);

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

/// How machine code on a stack of its own gave control back to [`switch_to`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switched {
    /// It returned.
    Returned,
    /// The call was ended by [`exit`].
    Ended,
    /// It waits in [`suspendable`] until it is resumed.
    Suspended,
}

/// The place of a suspended call on a stack of its own, and of the thread that runs it meanwhile.
/// It lies at the top of that stack, where [`stack_base`] finds it.
#[repr(C)]
pub struct SwitchPoint {
    /// The stack pointer of the thread, while the call runs.
    outside: usize,
    /// The stack pointer of the call, while it does not run.
    inside: usize,
    /// The arguments of the first switch.
    entry: *const u8,
    ctx: *mut u8,
    func: *const u8,
    words: *mut u64,
}

const _: () = {
    assert!(offset_of!(SwitchPoint, outside) == 0 && offset_of!(SwitchPoint, inside) == 8);
    assert!(offset_of!(SwitchPoint, entry) == 16 && offset_of!(SwitchPoint, ctx) == 24);
    assert!(offset_of!(SwitchPoint, func) == 32 && offset_of!(SwitchPoint, words) == 40);
    assert!(size_of::<SwitchPoint>().is_multiple_of(16));
};

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

/// Runs the call of `point` until it returns, ends or suspends. `value` is the result of the
/// function that suspended it, if it was suspended.
///
/// # Safety
///
/// - [`prepare`] prepared the call, and it is not running, nor has it returned or ended. Its stack
///   is as the call left it.
/// - `value` is a result of the function that suspended the call.
/// - What [`enter`] demands of the call: function, `ctx` and words fit, and are valid until this
///   returns; a call that is ended leaves no frames that need to be unwound.
pub unsafe fn switch_to(point: *mut SwitchPoint, value: u64) -> Switched {
    // SAFETY: as the caller promises.
    match unsafe { switch(point, value) } {
        0 => Switched::Returned,
        1 => Switched::Ended,
        _ => Switched::Suspended,
    }
}

/// Saves the registers that belong to the caller, and continues at the saved place of `point`,
/// which returns here with its result in eax.
#[unsafe(naked)]
unsafe extern "C" fn switch(point: *mut SwitchPoint, value: u64) -> u32 {
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
        "ret",
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

/// What a function that may suspend has done: two words, which [`suspendable`] gets in registers.
#[repr(C)]
pub struct MaySuspend {
    /// The result for the machine code, unless the call is to be suspended.
    result: u64,
    /// The switch point of the stack, if the call is to be suspended.
    point: *mut SwitchPoint,
}

impl MaySuspend {
    /// Returns `result` to the machine code.
    pub fn done(result: u64) -> MaySuspend {
        MaySuspend {
            result,
            point: std::ptr::null_mut(),
        }
    }

    /// Suspends the call that runs below `point`. The function returns what [`switch_to`] passes
    /// when it resumes the call.
    ///
    /// # Safety
    ///
    /// - `point` is the one that [`switch_to`] runs now on this thread. The machine code that
    ///   called the function is on the stack below it, and no other Rust code than the function.
    /// - The result goes to [`suspendable`] as the result of its hook, which owns nothing more.
    pub unsafe fn suspend(point: *mut SwitchPoint) -> MaySuspend {
        MaySuspend { result: 0, point }
    }
}

/// A function that machine code calls, and that may suspend the call.
pub trait SuspendHook {
    /// Does the work of the function. Its arguments behind `ctx` are `a`, `b` and `c`, as far as it
    /// has some.
    ///
    /// # Safety
    ///
    /// Called by [`suspendable`], in machine code of the current activation, with the arguments
    /// that machine code passes. (The result may suspend that activation only:
    /// [`MaySuspend::suspend`].)
    unsafe extern "C" fn on_call(ctx: *mut u8, a: *const (), b: *mut u64, c: u64) -> MaySuspend;
}

/// The type of [`suspendable`].
pub type Suspendable = unsafe extern "C" fn(ctx: *mut u8, a: *const (), b: *mut u64, c: u64) -> u64;

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

/// The function that [`raise`] calls. `entry` implements it, which is above this folder.
pub trait RaiseHook {
    /// Ends the current call with the trap `code`, or, if `code` is 0, with the error that a host
    /// function left. `pc` is the return address of the stub and `fp` the frame pointer of its
    /// caller. Returns where to resume.
    ///
    /// # Safety
    ///
    /// Called by [`raise`], in machine code of the current activation.
    unsafe extern "C" fn on_raise(
        ctx: *mut u8,
        code: u32,
        pc: usize,
        fp: usize,
    ) -> *const ResumePoint;
}

/// The function that [`throw`] calls. `entry` implements it, which is above this folder.
pub trait ThrowHook {
    /// Finds the handler of `exception`, an object of `domain`, or ends the current call. `pc` is
    /// the return address of the stub and `fp` the frame pointer of its caller, the trampoline of
    /// the builtin. Returns where to continue. The result is valid until the next exception.
    ///
    /// # Safety
    ///
    /// Called by [`throw`], in machine code of the current activation, with the `ctx` of its
    /// instance.
    unsafe extern "C" fn on_throw(
        ctx: *mut u8,
        domain: u32,
        exception: u64,
        pc: usize,
        fp: usize,
    ) -> *const Landing;
}

/// The point at which machine code continues after an exception: read by [`throw`].
#[repr(C)]
pub struct Landing {
    /// The instruction.
    pub pc: usize,
    /// The stack pointer.
    pub sp: usize,
    /// The frame pointer.
    pub fp: usize,
    /// The content of the first result register.
    pub value: u64,
}

impl Landing {
    /// The landing that ends a call.
    ///
    /// # Safety
    ///
    /// As [`exit`].
    pub unsafe fn at_resume_point(resume: *const ResumePoint) -> Landing {
        // SAFETY: as the caller promises.
        let &ResumePoint { sp, pc } = unsafe { &*resume };
        Landing {
            pc,
            sp,
            fp: 0,
            value: 1,
        }
    }
}

const _: () = {
    assert!(offset_of!(Landing, pc) == 0 && offset_of!(Landing, sp) == 8);
    assert!(offset_of!(Landing, fp) == 16 && offset_of!(Landing, value) == 24);
};

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

/// The geometry of the processor's page tables.
pub mod page_table {
    /// Binary logarithm of the number of entries in a table. A table takes one page; an entry leads
    /// to a page or to a table of the next level.
    pub const ENTRIES_LOG2: u32 = 9;
    /// Levels below the top one, which the whole process shares.
    pub const LEVELS: u32 = 3;
}
