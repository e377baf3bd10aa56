//! [`Activation`]: one running call into machine code, on the stack of the thread that makes it.
//!
//! The activations of a thread form a list, innermost first, which [`call`](crate::call) pushes to
//! and pops from. What ends a call (the signal handler, the raise stub) finds here where to go, and
//! leaves here what happened.

use super::fault;
use crate::arch::{self, Landing, ResumePoint};
use crate::instance::InstanceData;
use crate::sys;
use anyhow::{Error, Result};
use mintage_environ::{ExitRecord, Trap, limit};
use std::cell::Cell;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

/// How many frames of a trap are kept.
pub const MAX_FRAMES: usize = 20;

/// A running call.
pub struct Activation {
    /// Where a stopped call goes on.
    pub entry: ResumePoint,
    /// The activation that this one is nested in.
    pub previous: *const Activation,
    /// The instance.
    pub data: *const InstanceData,
    /// The stack limit, the same in all activations that are nested in one another on one stack.
    pub stack_limit: u64,
    /// Where the previous activation left for the host. Kept here, since calls in this one
    /// overwrite it when both are of one instance.
    pub previous_exit: ExitRecord,
    /// Why the call ended, when it was stopped: `None` for an error that a host function left in
    /// the instance's data.
    pub trap: Option<Trap>,
    /// Where the trap happened; written when the call is stopped. (Clearing it for each call would
    /// cost as much as the call.)
    pub frames: MaybeUninit<Frames>,
    /// Where the last exception that was thrown goes on; written when one is.
    pub landing: MaybeUninit<Landing>,
}

/// The innermost frames of a stopped call. Filled without allocation, so that a signal handler can
/// do it.
pub struct Frames {
    kept: usize,
    total: usize,
    /// Only the first `kept` are initialised.
    pcs: [MaybeUninit<usize>; MAX_FRAMES],
}

impl Frames {
    /// No frames.
    pub const EMPTY: Frames = Frames {
        kept: 0,
        total: 0,
        pcs: [MaybeUninit::uninit(); MAX_FRAMES],
    };

    /// Adds the next outer frame, by an address within the instruction that it executes.
    pub fn push(&mut self, pc: usize) {
        self.total += 1;
        if let Some(slot) = self.pcs.get_mut(self.kept) {
            slot.write(pc);
            self.kept += 1;
        }
    }

    /// The frames that were kept, innermost first.
    pub fn pcs(&self) -> impl Iterator<Item = usize> {
        // SAFETY: the first `kept` were written.
        self.pcs[..self.kept]
            .iter()
            .map(|pc| unsafe { pc.assume_init() })
    }

    /// How many more there are.
    pub fn omitted(&self) -> usize {
        self.total - self.kept
    }
}

/// What the runtime knows of a thread. Without a destructor and constant at the start, so that a
/// signal handler may read it.
pub struct Thread {
    /// The innermost activation.
    pub current: Cell<*const Activation>,
    /// The end of the part of the thread's stack that guests may use: the reserve is below. 0
    /// before the first call.
    floor: Cell<usize>,
    /// The other end of the thread's stack. 0 before the first call.
    top: Cell<usize>,
}

thread_local! {
    static THREAD: Thread =
        const { Thread { current: Cell::new(ptr::null()), floor: Cell::new(0), top: Cell::new(0) } };
}

/// The current thread. A pointer, since an access through a closure is not inlined.
#[inline(always)]
pub fn thread() -> *const Thread {
    // Threads need no destructor, so the access never fails, and the pointer is valid as long as
    // the thread runs.
    THREAD.with(ptr::from_ref)
}

/// Whether the innermost call of this thread is the only one into the instance.
pub fn is_only_call(data: &InstanceData) -> bool {
    // SAFETY: this thread runs.
    let mut activation = unsafe { (*thread()).current.get() };
    let mut calls = 0;
    // SAFETY: activations in the list are running calls further out on this stack.
    while let Some(call) = unsafe { activation.as_ref() } {
        calls += usize::from(ptr::eq(call.data, data));
        activation = call.previous;
    }
    calls == 1
}

/// Stack that is left to host functions and builtins below the last wasm frame. The engine needs
/// most of its part to lift and lower values, whose types may be nested 100 levels deep: up to 56
/// KiB in optimized code, 64 KiB at `opt-level = 1`, and without optimization 125 KiB, or 166 KiB
/// where a `map` is lowered. The rest is for the host's own code.
const HOST_RESERVE: usize = 256 << 10;
/// The least stack, beside the reserve, that a thread must have for calls into guests.
const LEAST_FOR_GUESTS: usize = 16 << 10;

/// Why a call into a guest cannot begin.
#[derive(Debug)]
pub enum NoStack {
    /// Only the reserve for host functions is left.
    UsedUp,
    /// The thread is not made for it.
    Error(Error),
}

impl Thread {
    /// Returns the stack limit of an outermost call at stack pointer `sp` that may use
    /// `stack_bytes` of stack, cut off where the reserve at the end of the thread's stack begins.
    ///
    /// # Errors
    ///
    /// When no more than the reserve is left, or the thread, which calls for the first time, cannot
    /// be prepared.
    #[inline(always)]
    pub fn stack_limit(&self, sp: usize, stack_bytes: usize) -> Result<u64, NoStack> {
        let limit = sp.saturating_sub(stack_bytes);
        match self.floor.get() <= limit && sp < self.top.get() {
            true => Ok(limit as u64),
            false => self.stack_limit_at_end(sp, limit),
        }
    }

    /// Returns the stack limit of a call at `sp` that is nested in `outer`: the same limit, unless
    /// the host has switched to another stack meanwhile.
    ///
    /// # Errors
    ///
    /// When host functions have used all stack above that limit, or as
    /// [`stack_limit`](Self::stack_limit).
    #[inline(always)]
    pub fn nested_limit(
        &self,
        sp: usize,
        outer: &Activation,
        stack_bytes: usize,
    ) -> Result<u64, NoStack> {
        match (outer.stack_limit as usize..outer.entry.sp).contains(&sp) {
            true => Ok(outer.stack_limit),
            false => self.nested_limit_elsewhere(sp, outer, stack_bytes),
        }
    }

    /// The limit of a nested call below the limit of `outer`, or on another stack than that.
    #[cold]
    #[inline(never)]
    fn nested_limit_elsewhere(
        &self,
        sp: usize,
        outer: &Activation,
        stack_bytes: usize,
    ) -> Result<u64, NoStack> {
        let (limit, own) = (outer.stack_limit as usize, self.own());
        let below_limit = match own.contains(&outer.entry.sp) {
            true => (own.start..limit).contains(&sp),
            // The end of that stack is not known. Beyond the reserve it is another one.
            false => {
                (limit.saturating_sub(HOST_RESERVE)..limit).contains(&sp) && !own.contains(&sp)
            }
        };
        // The stack below the limit is for host functions. No guest may run there, not even a
        // function that needs no stack itself: its result may be a value whose conversion takes
        // most of the reserve.
        match below_limit {
            true => Err(NoStack::UsedUp),
            false => self.stack_limit(sp, stack_bytes),
        }
    }

    /// The thread's own stack, as far as it is known, after the first call.
    fn own(&self) -> Range<usize> {
        self.floor.get() - HOST_RESERVE..self.top.get()
    }

    /// The limit of a call that is the thread's first, that may use more stack than there is, or
    /// that is on another stack.
    #[cold]
    #[inline(never)]
    fn stack_limit_at_end(&self, sp: usize, limit: usize) -> Result<u64, NoStack> {
        if self.top.get() == 0 {
            // SAFETY: `on_fault` may be called in the signal handler of any thread, and returns the
            // resume point of a running call of it.
            unsafe { sys::signals::set_on_fault(fault::on_fault) };
            sys::thread::ensure_signal_stack().map_err(NoStack::Error)?;
            let stack = sys::thread::stack();
            self.floor.set(stack.start + HOST_RESERVE);
            self.top.set(stack.end.max(1));
        }
        let stack = self.own();
        // A stack that is not the thread's own (a coroutine's) has bounds that only its maker
        // knows. It does not go on in the thread's.
        if sp >= stack.end {
            return Ok(limit.max(stack.end) as u64);
        }
        if sp < stack.start {
            return Ok(limit as u64);
        }
        if stack.len() < HOST_RESERVE + LEAST_FOR_GUESTS {
            let error = limit!(
                Stack,
                "the thread's stack of {} KiB is too small for calls into guests: {} KiB are kept \
                 for host functions; start the thread with a larger stack",
                stack.len() >> 10,
                HOST_RESERVE >> 10
            );
            return Err(NoStack::Error(error.into()));
        }
        match self.floor.get() {
            floor if sp < floor => Err(NoStack::UsedUp),
            floor => Ok(limit.max(floor) as u64),
        }
    }
}

/// The point at which machine code left for the host. The host may make other calls before machine
/// code goes on. These must have ended by then: what the thread knows of its calls is a list, and
/// what a fault or a trap ends is its first.
pub struct Departure {
    /// The thread, by its pointer.
    thread: usize,
    innermost: *const Activation,
}

impl Departure {
    /// Notes where the current thread is.
    #[inline(always)]
    pub fn new() -> Departure {
        Departure {
            thread: arch::thread_pointer(),
            // SAFETY: this thread runs.
            innermost: unsafe { (*thread()).current.get() },
        }
    }

    /// Ends the process unless this is the same thread, with the same innermost call.
    #[inline(always)]
    pub fn check(self) {
        if self.thread != arch::thread_pointer() {
            out_of_order("on another thread than the one on which it began");
        }
        // SAFETY: this thread runs.
        if self.innermost != unsafe { (*thread()).current.get() } {
            out_of_order("before another one that began later on the same thread");
        }
    }
}

#[cold]
#[inline(never)]
fn out_of_order(how: &str) -> ! {
    // If nothing can be written, ending is all that is left.
    let _ = writeln!(
        io::stderr(),
        "Mintage: a call into a guest went on or ended {how}. Calls that are made on several \
         stacks (coroutines) must end in the reverse order of their beginning, and on the thread \
         on which they began. The process is ended, since the stacks are in no known state."
    );
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_beyond_the_last_kept_are_counted() {
        let mut frames = Frames::EMPTY;
        for pc in 0..MAX_FRAMES + 7 {
            frames.push(pc);
        }
        assert!(frames.pcs().eq(0..MAX_FRAMES));
        assert_eq!(frames.omitted(), 7);
    }

    /// Runs on a thread with a stack of so many bytes.
    fn on_stack(size: usize, test: impl FnOnce(&Thread, usize) + Send + 'static) {
        let run = move || {
            // SAFETY: this thread runs.
            test(unsafe { &*thread() }, arch::stack_pointer());
        };
        let thread = std::thread::Builder::new().stack_size(size);
        thread.spawn(run).unwrap().join().unwrap();
    }

    #[test]
    fn limits_stay_on_the_stack() {
        on_stack(1 << 20, |thread, sp| {
            assert_eq!(
                thread.stack_limit(sp, 4 << 10).unwrap(),
                (sp - (4 << 10)) as u64
            );
            let cut_off = thread.stack_limit(sp, 1 << 30).unwrap() as usize;
            let stack = thread.own();
            assert_eq!(cut_off, stack.start + HOST_RESERVE);
            // What is left is the reserve.
            for sp in [cut_off - 1, stack.start] {
                assert!(matches!(
                    thread.stack_limit(sp, 4 << 10),
                    Err(NoStack::UsedUp)
                ));
            }
            // A stack somewhere else.
            for other in [1 << 20, stack.end + (1 << 20)] {
                assert_eq!(
                    thread.stack_limit(other, 4 << 10).unwrap(),
                    (other - (4 << 10)) as u64
                );
            }
        });
    }

    /// A call that was entered at `sp` with this limit.
    fn outer(sp: usize, stack_limit: u64) -> Activation {
        Activation {
            entry: ResumePoint::at(sp),
            previous: ptr::null(),
            data: ptr::null(),
            stack_limit,
            previous_exit: ExitRecord { fp: 0 },
            trap: None,
            frames: MaybeUninit::uninit(),
            landing: MaybeUninit::uninit(),
        }
    }

    #[test]
    fn nested_calls_share_a_limit_on_one_stack() {
        on_stack(1 << 20, |thread, sp| {
            let limit = thread.stack_limit(sp, 64 << 10).unwrap();
            let call = outer(sp, limit);
            let nested = |inner: usize| thread.nested_limit(inner, &call, 64 << 10);
            assert_eq!(nested(sp - 100).unwrap(), limit);
            // Below the limit is the host functions' stack, all of it.
            for inner in [
                limit as usize - 1,
                limit as usize - HOST_RESERVE - 1,
                thread.own().start,
            ] {
                assert!(matches!(nested(inner), Err(NoStack::UsedUp)));
            }
            // Other stacks have limits of their own.
            for other in [1 << 20, thread.top.get() + (1 << 20)] {
                assert_eq!(nested(other).unwrap(), (other - (64 << 10)) as u64);
            }
        });
    }

    #[test]
    fn stacks_of_unknown_size_do_not_reach_into_the_threads_own() {
        on_stack(1 << 20, |thread, sp| {
            let own = thread.stack_limit(sp, 64 << 10).unwrap();
            let above = thread.top.get() + (16 << 10);
            let limit = thread.stack_limit(above, 64 << 10).unwrap();
            assert_eq!(limit as usize, thread.top.get());
            let call = outer(above, limit);
            let nested = |inner: usize| thread.nested_limit(inner, &call, 64 << 10);
            assert_eq!(nested(above - 100).unwrap(), limit);
            // Not the other stack's reserve.
            assert_eq!(nested(sp).unwrap(), own);
        });
    }

    #[test]
    fn small_stacks_are_refused() {
        on_stack(128 << 10, |thread, sp| {
            match thread.stack_limit(sp, 4 << 10) {
                Err(NoStack::Error(error)) => {
                    let error = error.to_string();
                    assert!(
                        error.contains("is too small") && error.contains("256 KiB"),
                        "{error}"
                    );
                }
                other => panic!("{other:?}"),
            }
        });
    }
}
