//! Hardware faults, which Linux reports as signals.
//!
//! The process has one handler, which is installed when the first artifact is loaded. A fault that
//! is not one of machine code goes to the handler that was installed before, as if this one did not
//! exist. Likewise, a handler that the host installs later has to chain to this one.
//!
//! `SIGBUS` is not handled. On Linux an access to an inaccessible page raises `SIGSEGV`. `SIGBUS`
//! means that the file behind a mapping was truncated, which a guest cannot cause.

use crate::arch::{Registers, ResumePoint};
use anyhow::{Result, bail};
use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

/// A hardware fault.
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    /// The instruction.
    pub pc: usize,
    /// The frame pointer at the instruction.
    pub fp: usize,
    /// The stack pointer at the instruction.
    pub sp: usize,
}

/// The kind of a hardware fault.
pub enum FaultKind {
    /// An access to an inaccessible address.
    Access {
        /// The address.
        address: usize,
    },
    /// A fault of the instruction itself: a division, a trapping instruction.
    Instruction,
}

/// The size in bytes of the null page, which the system never maps.
pub const NULL_PAGE: usize = 4096;

/// Handles a fault of the current thread. Returns where to resume, or `None` if the fault is not
/// one of machine code. It runs in the signal handler, so it must not allocate, lock or panic.
pub type OnFault = unsafe fn(&Fault) -> Option<*const ResumePoint>;

/// The function that the handler calls; empty until the first call into machine code.
static ON_FAULT: OnceLock<OnFault> = OnceLock::new();

/// Registers the function that handles faults. Later calls have no effect.
///
/// # Safety
///
/// The function may be called on any thread of the process, in a signal handler, with the registers
/// of that thread at a fault. A resume point that it returns was written by
/// [`arch::enter`](crate::arch::enter) on that thread, and that `enter` has not returned.
pub unsafe fn set_on_fault(function: OnFault) {
    // There is only one such function.
    let _ = ON_FAULT.set(function);
}

/// The signals that machine code can raise.
const SIGNALS: [c_int; 3] = [libc::SIGSEGV, libc::SIGFPE, libc::SIGILL];

/// The actions that were installed before for each of [`SIGNALS`].
struct Previous([UnsafeCell<MaybeUninit<libc::sigaction>>; SIGNALS.len()]);

// SAFETY: `install_one` writes each cell once, before it installs the handler that reads it.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous =
    Previous([const { UnsafeCell::new(MaybeUninit::zeroed()) }; SIGNALS.len()]);

/// Installs the handler, once per process.
///
/// # Errors
///
/// If the system refuses.
pub fn install() -> Result<()> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    match INSTALLED.get_or_init(|| {
        SIGNALS
            .iter()
            .enumerate()
            .try_for_each(|(slot, &signal)| install_one(slot, signal))
    }) {
        Ok(()) => Ok(()),
        Err(message) => bail!("{message}"),
    }
}

fn install_one(slot: usize, signal: c_int) -> Result<(), String> {
    // SAFETY: zeros are a valid value of this plain C struct.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handle as *const () as usize;
    // The handler may resume the thread elsewhere, where the signal must not stay blocked.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    let previous = PREVIOUS.0[slot].get().cast::<libc::sigaction>();
    // SAFETY: only the handler of this signal reads `previous`, and the first call, which writes
    // it, comes before the handler is installed. If another thread changes the action between the
    // two calls, its action is lost, as with any two installers that race.
    let failed = unsafe {
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, ptr::null(), previous) != 0
            || libc::sigaction(signal, &action, ptr::null_mut()) != 0
    };
    match failed {
        true => Err(format!(
            "cannot install a handler for signal {signal}: {}",
            std::io::Error::last_os_error()
        )),
        false => Ok(()),
    }
}

/// Handles a signal: ends the guest's call, or passes the signal on.
///
/// # Safety
///
/// Called by the kernel with the arguments of an `SA_SIGINFO` handler.
unsafe extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t`, and the context of the interrupted code, which
    // it restores on return.
    let (info_ref, context_ref) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
    let is_fault = info_ref.si_code > 0;
    // Reading the cell is a load, which is allowed in a signal handler.
    if is_fault
        && let Some(kind) = kind(signal, info_ref)
        && let Some(on_fault) = ON_FAULT.get()
    {
        let registers = Registers::of(context_ref);
        let fault = Fault {
            kind,
            pc: registers.pc,
            fp: registers.fp,
            sp: registers.sp,
        };
        // SAFETY: the registers are those of this thread at the fault, and the kernel restores the
        // thread from the context.
        if let Some(entry) = unsafe { on_fault(&fault) } {
            Registers::resume_at_exit(context_ref, entry);
            return;
        }
    }
    // SAFETY: the arguments are the kernel's.
    unsafe { chain(signal, is_fault, info, context) }
}

/// Returns the kind of a fault. `None` for causes that machine code does not have, such as memory
/// protection keys.
fn kind(signal: c_int, info: &libc::siginfo_t) -> Option<FaultKind> {
    match (signal, info.si_code) {
        (libc::SIGSEGV, SEGV_MAPERR | SEGV_ACCERR) => {
            // SAFETY: the field is valid for SIGSEGV with these two codes.
            let address = unsafe { info.si_addr() } as usize;
            Some(FaultKind::Access { address })
        }
        (libc::SIGSEGV, SI_KERNEL) | (libc::SIGFPE | libc::SIGILL, _) => {
            Some(FaultKind::Instruction)
        }
        _ => None,
    }
}

/// `si_code`: nothing is mapped at the address.
const SEGV_MAPERR: c_int = 1;
/// `si_code`: the mapping forbids the access.
const SEGV_ACCERR: c_int = 2;
/// `si_code`: a fault without an address, such as that of `hlt` or of a non-canonical address.
const SI_KERNEL: c_int = 0x80;

/// Does what would have happened without this handler.
///
/// # Safety
///
/// The arguments are those of the handler.
unsafe fn chain(
    signal: c_int,
    is_fault: bool,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let Some(slot) = SIGNALS.iter().position(|&known| known == signal) else {
        return;
    };
    // SAFETY: `install_one` wrote the cell before it installed the handler that runs now, and no
    // one writes it afterwards.
    let previous = unsafe { (*PREVIOUS.0[slot].get()).assume_init_ref() };
    match previous.sa_sigaction {
        // A fault cannot be ignored. The kernel would end the process, too.
        libc::SIG_IGN if !is_fault => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: the default action needs nothing.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            // A fault recurs when the handler returns. A signal that was sent has to be sent again.
            if !is_fault {
                // SAFETY: always allowed.
                unsafe { libc::raise(signal) };
            }
        }
        handler => {
            // SAFETY: plain calls with valid pointers. The kernel restores the mask when this
            // handler returns.
            unsafe {
                libc::pthread_sigmask(libc::SIG_BLOCK, &previous.sa_mask, ptr::null_mut());
                if previous.sa_flags & libc::SA_NODEFER == 0 {
                    let mut own = MaybeUninit::uninit();
                    libc::sigemptyset(own.as_mut_ptr());
                    libc::sigaddset(own.as_mut_ptr(), signal);
                    libc::pthread_sigmask(libc::SIG_BLOCK, own.as_ptr(), ptr::null_mut());
                }
            }
            if previous.sa_flags & libc::SA_SIGINFO != 0 {
                // SAFETY: an action with SA_SIGINFO has a function of this type.
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    unsafe { std::mem::transmute(handler) };
                handler(signal, info, context);
            } else {
                // SAFETY: an action without SA_SIGINFO has a function of this type.
                let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
                handler(signal);
            }
        }
    }
}
