//! The end of a call that traps, either by a hardware fault, in the signal handler, or by the raise
//! stub.
//!
//! Both write the trap and its frames to the thread's innermost activation, and resume the thread
//! at the activation's resume point. All code between the trap and that point is machine code and
//! its trampolines, so no frame needs to be unwound. A host function has returned before its error
//! is raised.

use super::activation::{self, Activation, Frames};
use crate::arch::{self, RaiseHook, ResumePoint};
use crate::instance::Current;
use crate::sys::signals::{Fault, FaultKind, NULL_PAGE};
use mintage_environ::{ExitRecord, Trap};
use std::ptr;

/// The distance from the stack pointer within which an instruction that is not listed as trapping
/// can hit the guard page: pushes, calls, and spills of a frame whose prologue has checked the
/// stack limit. Larger frames are probed by that check.
const NEAR: usize = 64 << 10;

/// Ends the current call if the fault is a trap of its machine code. Returns where to resume, or
/// `None` if the fault has another cause.
///
/// This runs in a signal handler, so it does not allocate, lock or panic.
///
/// # Safety
///
/// The fault was on this thread, and the registers are those at the instruction.
pub unsafe fn on_fault(fault: &Fault) -> Option<*const ResumePoint> {
    // SAFETY: this thread runs.
    let activation = unsafe { (*activation::thread()).current.get() }.cast_mut();
    if activation.is_null() {
        return None;
    }
    // SAFETY: the list holds running calls of this thread only, whose instances live.
    let data = unsafe { &*(*activation).data };
    let offset = data.code().text_offset(fault.pc)?;
    let in_slab = matches!(fault.kind, FaultKind::Access { address } if data.owns(address));
    let trap = classify(fault, data.code().artifact().trap_at(offset), in_slab)?;
    // SAFETY: the call is stopped in machine code, so no one else uses its activation. Its frames
    // are intact, since this runs on another stack or below them.
    unsafe { Some(stop(activation, Some(trap), fault.pc, fault.fp)) }
}

/// Returns the trap that a fault in machine code means, if machine code may raise it. `listed` is
/// the instruction's entry in the trap table. `in_slab` tells whether an address in the instance's
/// slab was accessed.
fn classify(fault: &Fault, listed: Option<Trap>, in_slab: bool) -> Option<Trap> {
    match (&fault.kind, listed) {
        // An access to anything but the slab, the null page and the end of the stack is a fault of
        // the host or of the compiler, even at a listed instruction. The process must not continue.
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

/// The hook of the raise stub.
pub enum Raise {}

impl RaiseHook for Raise {
    unsafe extern "C" fn on_raise(
        _ctx: *mut u8,
        code: u32,
        pc: usize,
        fp: usize,
    ) -> *const ResumePoint {
        // SAFETY: this thread runs.
        let activation = unsafe { (*activation::thread()).current.get() }.cast_mut();
        assert!(!activation.is_null(), "a trap was raised outside of a call");
        let trap = u8::try_from(code).ok().and_then(Trap::from_code);
        // SAFETY: machine code runs only in an activation, the innermost one, and the frames of the
        // stub's callers are intact.
        unsafe { stop(activation, trap, pc - 1, fp) }
    }
}

/// Writes down why and where the activation is stopped. Returns where to resume.
///
/// # Safety
///
/// `activation` is the innermost of this thread, and was stopped at `pc` in the frame of `fp`.
pub unsafe fn stop(
    activation: *mut Activation,
    trap: Option<Trap>,
    pc: usize,
    fp: usize,
) -> *const ResumePoint {
    let mut frames = Frames::EMPTY;
    // SAFETY: as the caller promises. The activation's owner waits in `enter`, and uses it again
    // only after it is resumed.
    unsafe {
        walk(activation, Some(pc), fp, ptr::null(), &mut frames);
        (*activation).trap = trap;
        (*activation).frames.write(frames);
        &raw const (*activation).resume
    }
}

/// Writes down that the activation, which is suspended where it left for the host with the frame of
/// `fp`, is stopped there by a trap.
///
/// # Safety
///
/// No one else uses the activation, which is the only one of its list. Its frames are intact.
pub unsafe fn stop_suspended(activation: *mut Activation, trap: Trap, fp: usize) {
    let mut frames = Frames::EMPTY;
    // SAFETY: as the caller promises.
    unsafe {
        walk(activation, None, fp, ptr::null(), &mut frames);
        (*activation).trap = Some(trap);
        (*activation).frames.write(frames);
    }
}

/// Collects the frames of machine code from `pc` in the frame of `fp` outwards, through all
/// activations of the list. The address of an outer frame is one less than its return address,
/// which may already belong to another instruction. `pc` is `None` in the frame of the trampoline
/// through which an activation left, which is not collected. If `store` is not null, only frames of
/// this store are collected.
///
/// # Safety
///
/// `innermost` is the innermost activation of its list, and is stopped at `pc` in the frame of
/// `fp`.
pub unsafe fn walk(
    innermost: *const Activation,
    mut pc: Option<usize>,
    mut fp: usize,
    store: *const Current,
    frames: &mut Frames,
) {
    let mut activation = innermost;
    // `pc` is the instruction of the frame whose callers are visited next.
    loop {
        // SAFETY: activations in the list are running calls, whose instances live.
        let (data, end) = unsafe { (&*(*activation).data, (*activation).resume.sp) };
        let (code, is_of_store) = (
            data.code(),
            store.is_null() || ptr::eq(store, data.current()),
        );
        // Frames lie below the stack pointer at the entry, each above the one before. The outermost
        // one is that of the entry trampoline, which returns to Rust. It is machine code, but not a
        // function of the guest.
        while fp < end {
            // SAFETY: machine code keeps frame pointers, and this one is in its part of the stack.
            let (return_address, outer) = unsafe { arch::outer_frame(fp) };
            if code.text_offset(return_address).is_none() || outer <= fp {
                break;
            }
            if let Some(pc) = pc.filter(|_| is_of_store) {
                frames.push(pc);
            }
            pc = Some(return_address - 1);
            fp = outer;
        }
        // SAFETY: as above.
        let (previous, ExitRecord { fp: exit_fp }) =
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

    /// Each row: a fault, the entry of the trap table, whether the slab was accessed, the resulting
    /// trap.
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
