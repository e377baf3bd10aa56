//! [`Activation`]: a running call into machine code, on the stack of the thread that makes it.
//!
//! The activations of a thread form a list, innermost first, to which [`call`](crate::call) pushes
//! and from which it pops. A trap or exception, in the signal handler or in a stub, finds here
//! where to resume, and leaves here what happened.

use super::fault;
use crate::arch::{self, Landing, ResumePoint};
use crate::fiber::HOST_RESERVE;
use crate::instance::InstanceData;
use crate::sys;
use anyhow::{Error, Result};
use mintage_environ::{ExitRecord, Trap, limit};
use std::cell::Cell;
use std::io::{self, Write};
use std::iter::successors;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr;

/// The number of frames of a trap that are kept.
pub const MAX_FRAMES: usize = 20;

/// A running call.
pub struct Activation {
    /// The point at which a stopped call resumes.
    pub resume: ResumePoint,
    /// The activation that this one is nested in; null for the outermost.
    pub previous: *const Activation,
    /// The instance.
    pub data: *const InstanceData,
    /// The stack limit. Nested activations on one stack share it.
    pub stack_limit: u64,
    /// The stack, if the call has it for itself. It ends at the resume point.
    pub own_stack: Option<OwnStack>,
    /// The exit record of the previous activation. It is kept here, because calls in this
    /// activation overwrite it if both are of one store.
    pub previous_exit: ExitRecord,
    /// The trap that stopped the call. `None` for an error that a host function left in the store's
    /// state.
    pub trap: Option<Trap>,
    /// The frames of the trap; written when the call is stopped. (Clearing them for each call would
    /// cost as much as the call.)
    pub frames: MaybeUninit<Frames>,
    /// The landing of the last exception; written when one is thrown.
    pub landing: MaybeUninit<Landing>,
}

/// The stack of a call that has it for itself.
#[derive(Clone, Copy)]
pub struct OwnStack {
    /// The lowest address.
    pub start: NonZeroUsize,
    /// The number of such calls that are under way on this thread, up to this one.
    pub depth: usize,
}

/// The maximum number of calls with stacks of their own that are nested in each other. Each waits
/// for the next one through a future of the host, so polling or dropping the outermost one recurses
/// through all of them. Dropping cannot fail. It takes 128 bytes for each level, or 448 without
/// optimization, and so a third of [`HOST_RESERVE`] at most.
const MAX_DEPTH: usize = 200;

/// The innermost frames of a stopped call. They are collected without allocation, so that a signal
/// handler can do it.
pub struct Frames {
    kept: usize,
    total: usize,
    /// Only the first `kept` are initialised.
    pcs: [MaybeUninit<usize>; MAX_FRAMES],
}

impl Frames {
    /// An empty list.
    pub const EMPTY: Frames = Frames {
        kept: 0,
        total: 0,
        pcs: [MaybeUninit::uninit(); MAX_FRAMES],
    };

    /// Adds the next outer frame. `pc` is an address in the instruction that it executes.
    pub fn push(&mut self, pc: usize) {
        self.total += 1;
        if let Some(slot) = self.pcs.get_mut(self.kept) {
            slot.write(pc);
            self.kept += 1;
        }
    }

    /// Returns the frames that were kept, innermost first.
    pub fn pcs(&self) -> impl Iterator<Item = usize> {
        // SAFETY: `push` has written the first `kept`.
        self.pcs[..self.kept]
            .iter()
            .map(|pc| unsafe { pc.assume_init() })
    }

    /// Returns the number of further frames.
    pub fn omitted(&self) -> usize {
        self.total - self.kept
    }
}

/// The runtime's state of a thread. It has a constant initial value and no destructor, so a signal
/// handler may read it.
pub struct Thread {
    /// The innermost activation; null outside of calls.
    pub current: Cell<*const Activation>,
    /// The lowest address of the thread's stack that guests may use, which is above the reserve for
    /// host functions. 0 before the first call.
    floor: Cell<usize>,
    /// The highest address of the thread's stack. 0 before the first call.
    top: Cell<usize>,
}

thread_local! {
    static THREAD: Thread =
        const {
            Thread {
                current: Cell::new(ptr::null()),
                floor: Cell::new(0),
                top: Cell::new(0),
            }
        };
}

/// Returns the state of the current thread. It is a pointer, because an access through a closure is
/// not inlined.
#[inline(always)]
pub fn thread() -> *const Thread {
    // `Thread` needs no destructor, so the access never fails, and the pointer is valid while the
    // thread runs.
    THREAD.with(ptr::from_ref)
}

/// Prepares the current thread for calls, which otherwise the first call does. If that is not
/// possible, each call says why.
pub fn prepare_thread() {
    // SAFETY: this thread runs.
    let _ = unsafe { (*thread()).prepare() };
}

/// Returns the stack limit of the innermost call of this thread, if that is one into the instance.
pub fn current_stack_limit(data: &InstanceData) -> Option<u64> {
    // SAFETY: this thread runs, and its calls are under way.
    let innermost = unsafe { (*thread()).current.get().as_ref() }?;
    ptr::eq(innermost.data, data).then_some(innermost.stack_limit)
}

/// Returns whether the innermost call of this thread is the only one into the instance.
pub fn is_only_call(data: &InstanceData) -> bool {
    // SAFETY: this thread runs, and its calls are under way.
    let calls = unsafe { calls((*thread()).current.get()) };
    calls.filter(|call| ptr::eq(call.data, data)).count() == 1
}

/// Returns the calls of a thread from `innermost` outwards.
///
/// # Safety
///
/// `innermost` is null or was linked on this thread, and is still under way while the result is
/// used.
unsafe fn calls<'a>(innermost: *const Activation) -> impl Iterator<Item = &'a Activation> {
    // SAFETY: activations in the list are running calls further out on this thread.
    let call = |activation: *const Activation| unsafe { activation.as_ref() };
    successors(call(innermost), move |inner| call(inner.previous))
}

/// Returns the stack limit of a call that has the stack at `stack` for itself.
pub fn limit_of_own_stack(stack: &Range<usize>, stack_bytes: usize) -> u64 {
    let limit = stack.end.saturating_sub(stack_bytes);
    limit.max(stack.start + HOST_RESERVE) as u64
}

/// Returns the limit of a call at `sp`, if that is in the stack that a call from `outer` outwards
/// has for itself.
///
/// # Errors
///
/// If host functions have used all stack above that limit.
fn limit_on_own_stack(sp: usize, outer: *const Activation) -> Option<Result<u64, NoStack>> {
    // SAFETY: `outer` is the innermost call of this thread.
    let mut calls = unsafe { calls(outer) };
    let owner = calls.find(|call| call.owns(sp))?;
    Some(match sp < owner.stack_limit as usize {
        true => Err(NoStack::UsedUp),
        false => Ok(owner.stack_limit),
    })
}

impl Activation {
    /// Returns whether the call has the stack around `sp` for itself.
    fn owns(&self, sp: usize) -> bool {
        self.own_stack
            .is_some_and(|stack| (stack.start.get()..self.resume.sp).contains(&sp))
    }
}

/// Bytes of stack besides the reserve that a thread must have for calls into guests.
const LEAST_FOR_GUESTS: usize = 16 << 10;

/// The reason why a call into a guest cannot begin.
#[derive(Debug)]
pub enum NoStack {
    /// Only the reserve for host functions is left.
    UsedUp,
    /// The thread cannot run guests.
    Error(Error),
}

impl Thread {
    /// Returns the stack limit of an outermost call at stack pointer `sp` that may use
    /// `stack_bytes` of stack. The limit is at least the end of the reserve, if the call is on the
    /// thread's own stack.
    ///
    /// # Errors
    ///
    /// If no more than the reserve is left, or if this is the thread's first call and the thread
    /// cannot be prepared.
    #[inline(always)]
    pub fn stack_limit(&self, sp: usize, stack_bytes: usize) -> Result<u64, NoStack> {
        let limit = sp.saturating_sub(stack_bytes);
        match self.floor.get() <= limit && sp < self.top.get() {
            true => Ok(limit as u64),
            false => self.stack_limit_at_end(sp, limit),
        }
    }

    /// Returns the stack limit of a call at `sp` that is nested in `outer`. It is the same limit,
    /// unless the host has switched to another stack meanwhile.
    ///
    /// # Errors
    ///
    /// If host functions have used all stack above that limit, or as
    /// [`stack_limit`](Self::stack_limit).
    #[inline(always)]
    pub fn nested_limit(
        &self,
        sp: usize,
        outer: &Activation,
        stack_bytes: usize,
    ) -> Result<u64, NoStack> {
        match (outer.stack_limit as usize..outer.resume.sp).contains(&sp) {
            true => Ok(outer.stack_limit),
            false => self.nested_limit_elsewhere(sp, outer, stack_bytes),
        }
    }

    /// Returns the limit of a nested call that is below the limit of `outer`, or on another stack.
    #[cold]
    #[inline(never)]
    fn nested_limit_elsewhere(
        &self,
        sp: usize,
        outer: &Activation,
        stack_bytes: usize,
    ) -> Result<u64, NoStack> {
        if let Some(limit) = limit_on_own_stack(sp, outer) {
            return limit;
        }
        let (limit, own) = (outer.stack_limit as usize, self.own());
        let below_limit = match own.contains(&outer.resume.sp) {
            true => (own.start..limit).contains(&sp),
            // The end of that stack is not known. An address beyond the reserve is on another
            // stack.
            false => {
                (limit.saturating_sub(HOST_RESERVE)..limit).contains(&sp) && !own.contains(&sp)
            }
        };
        // The stack below the limit is for host functions. No guest may run there, not even a
        // function that needs no stack itself, because converting its result may take most of the
        // reserve.
        match below_limit {
            true => Err(NoStack::UsedUp),
            false => self.stack_limit(sp, stack_bytes),
        }
    }

    /// Prepares the thread for its first call.
    #[inline]
    fn prepare(&self) -> Result<(), NoStack> {
        if self.top.get() == 0 {
            // SAFETY: `on_fault` may be called in the signal handler of any thread. It returns the
            // resume point of a running call of that thread.
            unsafe { sys::signals::set_on_fault(fault::on_fault) };
            sys::thread::ensure_signal_stack().map_err(NoStack::Error)?;
            let stack = sys::thread::stack();
            self.floor.set(stack.start + HOST_RESERVE);
            self.top.set(stack.end.max(1));
        }
        Ok(())
    }

    /// Prepares the thread for a call that has a stack of its own, made or resumed at stack pointer
    /// `sp`. The host function that it waits for runs there. Returns the number of such calls that
    /// are under way on the thread, with this one.
    ///
    /// # Errors
    ///
    /// If the thread cannot be prepared, or only the reserve is left of the stack around `sp`, or
    /// too many such calls are under way. Calls that wait for each other are resumed within each
    /// other.
    pub fn prepare_for_host(&self, sp: usize) -> Result<usize, NoStack> {
        self.prepare()?;
        let outer = self.current.get();
        if (self.own().start..self.floor.get()).contains(&sp) {
            return Err(NoStack::UsedUp);
        }
        if let Some(limit) = limit_on_own_stack(sp, outer) {
            limit?;
        }
        // SAFETY: this is the innermost call of this thread.
        let outer = unsafe { calls(outer) }.find_map(|call| call.own_stack);
        match outer.map_or(0, |outer| outer.depth) {
            MAX_DEPTH.. => Err(NoStack::UsedUp),
            depth => Ok(depth + 1),
        }
    }

    /// Returns the known part of the thread's own stack, after the first call.
    fn own(&self) -> Range<usize> {
        self.floor.get() - HOST_RESERVE..self.top.get()
    }

    /// Returns the limit of a call that is the thread's first, that may use more stack than is
    /// left, or that is on another stack.
    #[cold]
    #[inline(never)]
    fn stack_limit_at_end(&self, sp: usize, limit: usize) -> Result<u64, NoStack> {
        self.prepare()?;
        let stack = self.own();
        // Only its maker knows the bounds of a stack that is neither the thread's own nor that of a
        // call, such as a coroutine's. It does not extend into the thread's stack.
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
/// code continues, but they must have ended by then. The calls of a thread are a list, and a trap
/// ends the first call of the list.
pub struct Departure {
    /// The thread, identified by its thread pointer.
    thread: usize,
    innermost: *const Activation,
}

impl Departure {
    /// Remembers the current thread and its innermost call.
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
    // If nothing can be written, ending the process is all that is left.
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

    /// Runs a test on a thread with a stack of `size` bytes.
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
            // Only the reserve is left.
            for sp in [cut_off - 1, stack.start] {
                assert!(matches!(
                    thread.stack_limit(sp, 4 << 10),
                    Err(NoStack::UsedUp)
                ));
            }
            // Another stack.
            for other in [1 << 20, stack.end + (1 << 20)] {
                assert_eq!(
                    thread.stack_limit(other, 4 << 10).unwrap(),
                    (other - (4 << 10)) as u64
                );
            }
        });
    }

    /// Returns a call that was entered at `sp` with this limit.
    fn outer(sp: usize, stack_limit: u64) -> Activation {
        Activation {
            resume: ResumePoint::at(sp),
            previous: ptr::null(),
            data: ptr::null(),
            stack_limit,
            own_stack: None,
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
            // Everything below the limit is for host functions.
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

    /// Returns a call that has the stack at `stack` for itself, of which guests may use `bytes`.
    fn with_own_stack(stack: &Range<usize>, bytes: usize, depth: usize) -> Activation {
        Activation {
            own_stack: Some(OwnStack {
                start: NonZeroUsize::new(stack.start).unwrap(),
                depth,
            }),
            ..outer(stack.end, limit_of_own_stack(stack, bytes))
        }
    }

    #[test]
    fn nested_calls_respect_the_limit_of_a_calls_own_stack() {
        on_stack(1 << 20, |thread, sp| {
            let limit = thread.stack_limit(sp, 64 << 10).unwrap();
            // The thread's own stack is not there.
            let stack = (1 << 20)..(3 << 20);
            let call = with_own_stack(&stack, 512 << 10, 1);
            let inner = Activation {
                previous: &call,
                ..outer(stack.end - 1000, call.stack_limit)
            };
            let elsewhere = Activation {
                previous: &inner,
                ..outer(sp, limit)
            };
            for innermost in [&call, &inner, &elsewhere] {
                thread.current.set(innermost);
                let nested = |inner: usize| thread.nested_limit(inner, innermost, 64 << 10);
                let limit = call.stack_limit as usize;
                for sp in [stack.end - 2000, limit] {
                    assert_eq!(nested(sp).unwrap(), call.stack_limit);
                    assert_eq!(thread.prepare_for_host(sp).unwrap(), 2);
                }
                for sp in [limit - 1, limit - HOST_RESERVE - 1, stack.start] {
                    assert!(matches!(nested(sp), Err(NoStack::UsedUp)));
                    let prepared = thread.prepare_for_host(sp);
                    assert!(matches!(prepared, Err(NoStack::UsedUp)));
                }
                // The thread's own stack.
                assert_eq!(nested(sp).unwrap(), limit_of(thread, sp));
                assert_eq!(thread.prepare_for_host(sp).unwrap(), 2);
            }
            thread.current.set(ptr::null());
        });
    }

    fn limit_of(thread: &Thread, sp: usize) -> u64 {
        thread.stack_limit(sp, 64 << 10).unwrap()
    }

    #[test]
    fn calls_with_own_stacks_nest_so_deep_only() {
        on_stack(1 << 20, |thread, sp| {
            assert_eq!(thread.prepare_for_host(sp).unwrap(), 1);
            let stack = (1 << 20)..(3 << 20);
            for (depth, allowed) in [(MAX_DEPTH - 1, true), (MAX_DEPTH, false)] {
                let call = with_own_stack(&stack, 512 << 10, depth);
                let inner = Activation {
                    previous: &call,
                    ..outer(sp, 0)
                };
                thread.current.set(&inner);
                assert_eq!(thread.prepare_for_host(sp).is_ok(), allowed);
            }
            thread.current.set(ptr::null());
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
            // This is not the other stack's reserve.
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
