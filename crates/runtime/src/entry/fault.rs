//! The end of a call that traps: by a hardware fault (from the signal handler) or by the raise
//! stub.
//!
//! Both note trap and frames in the thread's innermost activation and give its entry, where the
//! thread goes on. Everything from the trap to the entry is machine code, or the trampolines of it,
//! so no frame in between needs to be unwound: a host function runs in the same activation, but has
//! returned before its error is raised.

use super::activation::{self, Activation, Frames};
use crate::arch::{self, ResumePoint};
use crate::sys::signals::{Fault, FaultKind, NULL_PAGE};
use mintage_environ::{ExitRecord, Trap};

/// How far from the stack pointer the guard page can be hit by an instruction that is not listed as
/// trapping: pushes, calls and spills of a frame that passed the check of its prologue. Frames
/// above this size are probed by that check.
const NEAR: usize = 64 << 10;

/// Ends the current call if the fault is a trap of its machine code: gives the entry to resume at.
/// `None` when the fault is none of ours.
///
/// Runs in a signal handler: neither allocates, nor locks, nor panics.
///
/// # Safety
///
/// The fault was in this thread and its registers are those at the instruction.
pub unsafe fn on_fault(fault: &Fault) -> Option<*const ResumePoint> {
    // SAFETY: this thread runs.
    let activation = unsafe { (*activation::thread()).current.get() }.cast_mut();
    if activation.is_null() {
        return None;
    }
    // SAFETY: the list holds running calls of this thread only, whose instances live.
    let data = unsafe { &*(*activation).data };
    let offset = data.code.text_offset(fault.pc)?;
    let in_slab = matches!(fault.kind, FaultKind::Access { address } if data.owns(address));
    let trap = classify(fault, data.code.artifact().trap_at(offset), in_slab)?;
    // SAFETY: the call is stopped in machine code, so nobody else looks at its activation, and its
    // frames are intact: this runs on another stack, or below them.
    unsafe { Some(stop(activation, Some(trap), fault.pc, fault.fp, true)) }
}

/// The trap that a fault in machine code is, if it is one that machine code may raise. `listed` is
/// what the trap table says of the instruction, `in_slab` whether the fault is an access to the
/// instance's slab.
fn classify(fault: &Fault, listed: Option<Trap>, in_slab: bool) -> Option<Trap> {
    match (&fault.kind, listed) {
        // Whatever the table says: an access to anything but the slab, the null page and the
        // stack's end is a fault of the host or of the compiler, and the process must not go on.
        (&FaultKind::Access { address }, Some(trap)) if in_slab || address < NULL_PAGE => {
            Some(trap)
        }
        (&FaultKind::Access { address }, None | Some(Trap::StackOverflow))
            if !in_slab && address.abs_diff(fault.sp) < NEAR =>
        {
            Some(Trap::StackOverflow)
        }
        (FaultKind::Access { .. }, _) => None,
        (FaultKind::Instruction, listed) => listed,
    }
}

/// What the raise stub calls: ends the current call with the trap `code`, or, with code 0, with the
/// error that a host function left. `pc` and `fp` are the return address of the stub and the frame
/// pointer of its caller. Gives the entry to resume at.
///
/// # Safety
///
/// Called by the raise stub, in machine code of the current activation.
pub unsafe extern "C" fn on_raise(
    _ctx: *mut u8,
    code: u32,
    pc: usize,
    fp: usize,
) -> *const ResumePoint {
    // SAFETY: this thread runs.
    let activation = unsafe { (*activation::thread()).current.get() }.cast_mut();
    assert!(!activation.is_null(), "a trap was raised outside of a call");
    let trap = u8::try_from(code).ok().and_then(Trap::from_code);
    // SAFETY: machine code runs only in an activation, which is the innermost; the stub's callers'
    // frames are intact.
    unsafe { stop(activation, trap, pc - 1, fp, trap.is_some()) }
}

/// Notes why and where the activation is stopped: the entry to resume at.
///
/// # Safety
///
/// `activation` is the innermost of this thread and was stopped at `pc` in the frame of `fp`.
pub unsafe fn stop(
    activation: *mut Activation,
    trap: Option<Trap>,
    pc: usize,
    fp: usize,
    backtrace: bool,
) -> *const ResumePoint {
    let mut frames = Frames::EMPTY;
    if backtrace {
        // SAFETY: as the caller promises.
        unsafe { walk(activation, pc, fp, &mut frames) };
    }
    // SAFETY: the activation's owner waits in `enter` and looks at it again only after it is
    // resumed.
    unsafe {
        (*activation).trap = trap;
        (*activation).frames.write(frames);
        &raw const (*activation).entry
    }
}

/// Collects the frames of machine code from `pc` in the frame of `fp` outwards, through all
/// activations of the thread. For an outer frame the address is the one before the return address,
/// which may already belong to another instruction.
///
/// # Safety
///
/// `innermost` is the innermost activation of this thread and stands at `pc` in the frame of `fp`.
unsafe fn walk(innermost: *const Activation, pc: usize, fp: usize, frames: &mut Frames) {
    let mut activation = innermost;
    // The instruction of the frame whose callers are looked at next; none for the trampoline that
    // an activation left through.
    let mut pc = Some(pc);
    let mut fp = fp;
    loop {
        // SAFETY: activations in the list are running calls, whose instances live.
        let (code, end) = unsafe { (&(*(*activation).data).code, (*activation).entry.sp) };
        // Frames lie below the stack pointer of the entry, each above the one before. The outermost
        // is the entry adapter's, which returns to Rust: it is machine code, but no function of the
        // guest.
        while fp < end {
            // SAFETY: machine code keeps frame pointers, and this one is in its part of the stack.
            let (return_address, outer) = unsafe { arch::outer_frame(fp) };
            if code.text_offset(return_address).is_none() || outer <= fp {
                break;
            }
            if let Some(pc) = pc {
                frames.push(pc);
            }
            pc = Some(return_address - 1);
            fp = outer;
        }
        // SAFETY: as above.
        let (previous, ExitRecord { fp: exit_fp, .. }) =
            unsafe { ((*activation).previous, (*activation).previous_exit) };
        if previous.is_null() {
            return;
        }
        (activation, pc, fp) = (previous, None, exit_fp as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(address: usize) -> Fault {
        Fault {
            kind: FaultKind::Access { address },
            pc: 0,
            fp: 0,
            sp: 0x10_0000,
        }
    }

    /// The table of what is a trap: kind of fault, what the trap table lists, whether the slab was
    /// hit, the result.
    #[test]
    fn only_faults_that_machine_code_may_raise_are_traps() {
        let memory = Some(Trap::MemoryOutOfBounds);
        let division = Some(Trap::IntegerDivisionByZero);
        let instruction = || Fault {
            kind: FaultKind::Instruction,
            pc: 0,
            fp: 0,
            sp: 0x10_0000,
        };
        for (fault, listed, in_slab, expected) in [
            (access(0x5000), memory, true, memory),
            (access(0x5000), memory, false, None),
            (access(0), memory, false, memory),
            (access(0), None, false, None),
            (access(0x5000), None, true, None),
            (access(0x0f_fff8), memory, false, None),
            (access(0x0f_fff8), None, false, Some(Trap::StackOverflow)),
            (access(0x0f_fff8), None, true, None),
            (instruction(), division, false, division),
            (instruction(), None, false, None),
        ] {
            assert_eq!(classify(&fault, listed, in_slab), expected);
        }
    }
}
