//! Hardware faults as signals.
//!
//! One handler for the process, installed at the first load of an artifact. What is not a fault of
//! machine code under our care goes to whatever was installed before, as if we were not there. A
//! handler that somebody installs later has to chain to ours likewise.
//!
//! `SIGBUS` is left alone: on Linux an access to an inaccessible page is a `SIGSEGV`, and a
//! `SIGBUS` means that the file behind a mapping was cut off, which is no doing of the guest.

use crate::arch::{Registers, ResumePoint};
use anyhow::{Result, bail};
use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

/// A hardware fault.
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// The instruction.
    pub pc: usize,
    /// The frame pointer at the instruction.
    pub fp: usize,
    /// The stack pointer at the instruction.
    pub sp: usize,
}

/// What a hardware fault was.
pub enum FaultKind {
    /// An access to an address where it is not allowed.
    Access {
        /// The address.
        address: usize,
    },
    /// Anything about the instruction itself: a division, a trapping instruction.
    Instruction,
}

/// The size in bytes of the page at address 0, which the system maps for no one.
pub const NULL_PAGE: usize = 4096;

/// Decides about a fault of the current thread: returns the entry to resume at, or `None` when the
/// fault is not one of machine code. It runs in the signal handler, so it must neither allocate,
/// nor lock, nor panic.
pub type OnFault = unsafe fn(&Fault) -> Option<*const ResumePoint>;

/// What the handler asks; empty until the first call into machine code.
static ON_FAULT: OnceLock<OnFault> = OnceLock::new();

/// Registers the function that decides about faults. The first one stays.
///
/// # Safety
///
/// The function may be called in any thread of the process, in a signal handler, with the registers
/// of that thread at a fault. An entry that it returns is one that
/// [`arch::enter`](crate::arch::enter) wrote on that thread and that has not returned.
pub unsafe fn set_on_fault(function: OnFault) {
    // Another one is never registered; the process has one copy of this crate.
    let _ = ON_FAULT.set(function);
}

/// The signals that machine code can raise.
const SIGNALS: [c_int; 3] = [libc::SIGSEGV, libc::SIGFPE, libc::SIGILL];

/// What was installed for each of [`SIGNALS`] before.
struct Previous([UnsafeCell<MaybeUninit<libc::sigaction>>; SIGNALS.len()]);

// SAFETY: each cell is written once, by `install`, before the handler that reads it can run: see
// there.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous =
    Previous([const { UnsafeCell::new(MaybeUninit::zeroed()) }; SIGNALS.len()]);

/// Installs the handler, once per process.
///
/// # Errors
///
/// When the system refuses.
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
    // SAFETY: all zero is a valid value of this plain C struct.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handle as *const () as usize;
    // A handler that leaves the signal blocked could not be resumed elsewhere, thus SA_NODEFER.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    let previous = PREVIOUS.0[slot].get().cast::<libc::sigaction>();
    // SAFETY: `previous` is only read by the handler for this signal. The first call, which only
    // reads the present action, comes before the handler is installed; should the action change in
    // between, the second call gets the newer one into a place of its own and it is dropped: two
    // installers that race are none of ours to order.
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

/// The signal handler: ends the guest's call, or hands the signal on.
///
/// # Safety
///
/// Called by the kernel with the arguments of an `SA_SIGINFO` handler.
unsafe extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid `siginfo_t`, and the context of the interrupted code, which
    // it restores on return.
    let (info_ref, context_ref) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
    let is_fault = info_ref.si_code > 0;
    // Reading the cell is a load, which a signal handler may do.
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
        // SAFETY: the registers are those of this thread at the fault, and the kernel restores from
        // the context.
        if let Some(entry) = unsafe { on_fault(&fault) } {
            Registers::resume_at_exit(context_ref, entry);
            return;
        }
    }
    // SAFETY: the arguments are the kernel's.
    unsafe { chain(signal, is_fault, info, context) }
}

/// Sorts a fault by signal and code. `None` for causes that machine code does not have, such as
/// memory protection keys.
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
/// `si_code`: a fault without an address, such as that of `hlt`.
const SI_KERNEL: c_int = 0x80;

/// Does what would have happened had our handler not been installed.
///
/// # Safety
///
/// The arguments are those of our handler.
unsafe fn chain(
    signal: c_int,
    is_fault: bool,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let Some(slot) = SIGNALS.iter().position(|&known| known == signal) else {
        return;
    };
    // SAFETY: `install_one` filled the slot before it installed the handler that runs now; nobody
    // writes it any more, except below, with the default action, which any thread may do and which
    // only ever leads to the end of the process.
    let previous = unsafe { (*PREVIOUS.0[slot].get()).assume_init_ref() };
    match previous.sa_sigaction {
        // A fault cannot be ignored: the kernel would end the process, too.
        libc::SIG_IGN if !is_fault => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: the default action needs nothing.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            // A fault comes again when the handler returns. A signal that was sent must be sent
            // again.
            if !is_fault {
                // SAFETY: always allowed.
                unsafe { libc::raise(signal) };
            }
        }
        handler => {
            // SAFETY: plain calls with valid pointers. The mask is put back when our handler
            // returns.
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
                // SAFETY: whoever installed the action with SA_SIGINFO gave a function of this
                // type.
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    unsafe { std::mem::transmute(handler) };
                handler(signal, info, context);
            } else {
                // SAFETY: whoever installed the action without SA_SIGINFO gave a function of this
                // type.
                let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
                handler(signal);
            }
        }
    }
}
