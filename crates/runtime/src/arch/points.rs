//! The places at which stubs stop and resume code. Their layout is the same on all processors, and
//! the stubs know it.

use std::mem::offset_of;

/// The point at which a call that is ended resumes: written by [`enter`](super::enter) or
/// [`prepare`](super::prepare), and used by the stubs that end a call.
#[repr(C)]
pub struct ResumePoint {
    /// The stack pointer.
    pub sp: usize,
    /// The instruction.
    pub(super) pc: usize,
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

const _: () = assert!(offset_of!(ResumePoint, sp) == 0 && offset_of!(ResumePoint, pc) == 8);

/// How machine code on a stack of its own gave control back to [`switch_to`](super::switch_to).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switched {
    /// It returned.
    Returned,
    /// A stub ended the call.
    Ended,
    /// It waits in [`suspendable`](super::suspendable) until it is resumed.
    Suspended,
}

/// The place of a suspended call on a stack of its own, and of the thread that runs it meanwhile.
/// It lies at the top of that stack, where [`stack_base`] finds it.
#[repr(C)]
pub struct SwitchPoint {
    /// The stack pointer of the thread, while the call runs.
    pub(super) outside: usize,
    /// The stack pointer of the call, while it does not run.
    pub(super) inside: usize,
    /// The arguments of the first switch.
    pub(super) entry: *const u8,
    pub(super) ctx: *mut u8,
    pub(super) func: *const u8,
    pub(super) words: *mut u64,
}

const _: () = {
    assert!(offset_of!(SwitchPoint, outside) == 0 && offset_of!(SwitchPoint, inside) == 8);
    assert!(offset_of!(SwitchPoint, entry) == 16 && offset_of!(SwitchPoint, ctx) == 24);
    assert!(offset_of!(SwitchPoint, func) == 32 && offset_of!(SwitchPoint, words) == 40);
    assert!(size_of::<SwitchPoint>().is_multiple_of(16));
};

/// The point at which machine code continues after an exception: read by [`throw`](super::throw).
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
    /// The call of the resume point is the innermost of this thread and under way. No frame between
    /// it and the caller needs to be unwound.
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

/// What a function that may suspend has done: two words, which
/// [`suspendable`](super::suspendable) gets in registers.
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

    /// Suspends the call that runs below `point`. The function returns what
    /// [`switch_to`](super::switch_to) passes when it resumes the call.
    ///
    /// # Safety
    ///
    /// - `point` is the one that [`switch_to`](super::switch_to) runs now on this thread. The
    ///   machine code that called the function is on the stack below it, and no other Rust code
    ///   than the function.
    /// - The result goes to [`suspendable`](super::suspendable) as the result of its hook, which
    ///   owns nothing more.
    pub unsafe fn suspend(point: *mut SwitchPoint) -> MaySuspend {
        MaySuspend { result: 0, point }
    }
}
