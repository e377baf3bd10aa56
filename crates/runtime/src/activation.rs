//! [`Activation`]: one running call into machine code, on the stack of the thread that makes it.
//!
//! The activations of a thread form a list, innermost first, which [`call`](crate::call) pushes to and pops from. What ends a
//! call (the signal handler, the raise stub) finds here where to go, and leaves here what happened.

use crate::arch::{Entry, Landing};
use crate::data::InstanceData;
use crate::sys;
use anyhow::Result;
use mintage_environ::{ExitRecord, Trap};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many frames of a trap are kept.
pub const MAX_FRAMES: usize = 20;

/// A running call.
pub struct Activation {
    /// Where a stopped call goes on.
    pub entry: Entry,
    /// The activation that this one is nested in.
    pub previous: *const Activation,
    /// The instance.
    pub data: *const InstanceData,
    /// The stack limit, the same in all activations that are nested in one another.
    pub stack_limit: u64,
    /// Where the previous activation left for the host. Kept here, since calls in this one overwrite it when both are of one
    /// instance.
    pub previous_exit: ExitRecord,
    /// Why the call ended, when it was stopped: `None` for an error that a host function left in the instance's data.
    pub trap: Option<Trap>,
    /// Where the trap happened; written when the call is stopped. (Clearing it for each call would cost as much as the call.)
    pub frames: MaybeUninit<Frames>,
    /// Where the last exception that was thrown goes on; written when one is.
    pub landing: MaybeUninit<Landing>,
}

/// The innermost frames of a stopped call. Filled without allocation, so that a signal handler can do it.
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
        self.pcs[..self.kept].iter().map(|pc| unsafe { pc.assume_init() })
    }

    /// How many more there are.
    pub fn omitted(&self) -> usize {
        self.total - self.kept
    }
}

/// What the runtime knows of a thread. Without a destructor and constant at the start, so that a signal handler may read it.
pub struct Thread {
    /// The innermost activation.
    pub current: Cell<*const Activation>,
    /// The lowest stack address that wasm code may use; 0 before the first call.
    floor: Cell<usize>,
    /// The end of the stack that `floor` belongs to.
    top: Cell<usize>,
    /// The thread's own number; 0 before somebody asks.
    id: Cell<u64>,
}

thread_local! {
    static THREAD: Thread =
        const { Thread { current: Cell::new(ptr::null()), floor: Cell::new(0), top: Cell::new(0), id: Cell::new(0) } };
}

/// The current thread. A pointer, since an access through a closure is not inlined.
#[inline(always)]
pub fn thread() -> *const Thread {
    // Threads need no destructor, so the access never fails, and the pointer is valid as long as the thread runs.
    THREAD.with(ptr::from_ref)
}

/// Stack that is left to host functions and builtins below the last wasm frame, at most. What takes most of it in this engine is to
/// lift a value whose type is nested as deep as validation allows, 100 levels: below 128 KiB (a test of the embedding API lifts
/// one with that). As much again is for the host's own code.
const HOST_RESERVE: usize = 256 << 10;

impl Thread {
    /// A number that no other thread of the process has or had; not 0.
    #[inline(always)]
    pub fn id(&self) -> u64 {
        match self.id.get() {
            0 => self.new_id(),
            id => id,
        }
    }

    #[cold]
    #[inline(never)]
    fn new_id(&self) -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        self.id.set(id);
        id
    }

    /// The stack limit of an outermost call at stack pointer `sp` that may use `stack_bytes` of stack, cut off at the end of
    /// the thread's stack.
    ///
    /// # Errors
    ///
    /// When the thread, which calls for the first time, cannot be prepared for signals.
    #[inline(always)]
    pub fn stack_limit(&self, sp: usize, stack_bytes: usize) -> Result<u64> {
        let limit = sp.saturating_sub(stack_bytes);
        match self.floor.get() <= limit && sp < self.top.get() {
            true => Ok(limit as u64),
            false => self.stack_limit_at_end(sp, limit),
        }
    }

    /// The limit of a call that is the thread's first, that may use more stack than there is, or that is on another stack.
    #[cold]
    #[inline(never)]
    fn stack_limit_at_end(&self, sp: usize, limit: usize) -> Result<u64> {
        if self.top.get() == 0 {
            sys::thread::ensure_signal_stack()?;
            let stack = sys::thread::stack();
            self.floor.set(stack.start + HOST_RESERVE.min(stack.len() / 4));
            self.top.set(stack.end.max(1));
        }
        // A stack that is not the thread's own (a coroutine's) has bounds that only its maker knows.
        let known = (self.floor.get()..self.top.get()).contains(&sp);
        Ok(if known { limit.max(self.floor.get()) } else { limit } as u64)
    }
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

    #[test]
    fn limits_stay_on_the_stack() {
        std::thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(|| {
                let sp = crate::arch::stack_pointer();
                // SAFETY: this thread runs.
                let thread = unsafe { &*thread() };
                assert_eq!(thread.stack_limit(sp, 4 << 10).unwrap(), (sp - (4 << 10)) as u64);
                let cut_off = thread.stack_limit(sp, 1 << 30).unwrap() as usize;
                assert!(cut_off > sp - (256 << 10) && cut_off < sp, "{cut_off:#x} {sp:#x}");
                // A stack somewhere else.
                assert_eq!(thread.stack_limit(1 << 20, 4 << 10).unwrap(), (1 << 20) - (4 << 10));
            })
            .unwrap()
            .join()
            .unwrap();
    }
}
