//! Threads: where a stack ends, and the stack that signal handlers run on.

use super::mmap::{Reservation, page_size};
use anyhow::{Context, Result};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

/// The smallest signal stack that is left in place. The frame that the kernel builds takes up to 12 KiB on machines with large
/// vector registers; the walk over frames and a handler that is chained to need the rest.
const ENOUGH: usize = 48 << 10;
/// The size of the signal stacks that are made here.
const SIGNAL_STACK: usize = 64 << 10;

/// The stack of the current thread, which grows down to the start of the range; empty when the system does not know.
pub fn stack() -> Range<usize> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut low = ptr::null_mut();
    let mut size = 0;
    // SAFETY: the attributes are initialised by the first call when it gives 0, read by the second and destroyed by the third.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return 0..0;
        }
        let failed = libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut size) != 0;
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        if failed {
            return 0..0;
        }
    }
    low as usize..low as usize + size
}

/// The signal stack that a thread got here; taken down when the thread ends.
struct SignalStack {
    memory: Reservation,
}

thread_local! {
    static OWN_STACK: Cell<Option<SignalStack>> = const { Cell::new(None) };
}

impl SignalStack {
    /// Makes a stack with an inaccessible page at its low end.
    fn new() -> Result<SignalStack> {
        let memory = Reservation::new(page_size() + SIGNAL_STACK)?;
        memory.make_accessible(page_size(), SIGNAL_STACK)?;
        Ok(SignalStack { memory })
    }

    fn low(&self) -> *mut libc::c_void {
        self.memory.base().as_ptr().wrapping_add(page_size()).cast()
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        if current_signal_stack().is_some_and(|stack| stack.ss_sp == self.low()) {
            let none = libc::stack_t {
                ss_sp: ptr::null_mut(),
                ss_flags: libc::SS_DISABLE,
                ss_size: 0,
            };
            // SAFETY: the thread is not on its signal stack, since handlers do not drop thread-local values; the memory
            // stays mapped until after this call.
            unsafe { libc::sigaltstack(&none, ptr::null_mut()) };
        }
    }
}

/// The thread's signal stack, when it has one.
fn current_signal_stack() -> Option<libc::stack_t> {
    let mut current = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: with a null first argument the call only writes the second.
    if unsafe { libc::sigaltstack(ptr::null(), current.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded.
    let current = unsafe { current.assume_init() };
    (current.ss_flags & libc::SS_DISABLE == 0).then_some(current)
}

/// Gives the current thread a signal stack that is large enough, if it has none: a guest that overflows the thread's stack
/// leaves no room there for a handler.
///
/// # Errors
///
/// When the system gives no memory or refuses.
pub fn ensure_signal_stack() -> Result<()> {
    if current_signal_stack().is_some_and(|stack| stack.ss_size >= ENOUGH) {
        return Ok(());
    }
    let stack = SignalStack::new().context("cannot get memory for a signal stack")?;
    let new = libc::stack_t {
        ss_sp: stack.low(),
        ss_flags: 0,
        ss_size: SIGNAL_STACK,
    };
    // SAFETY: the memory is accessible, and lives until `SignalStack::drop` has taken the stack out of use.
    if unsafe { libc::sigaltstack(&new, ptr::null_mut()) } != 0 {
        return Err(std::io::Error::last_os_error()).context("cannot install a signal stack");
    }
    // While the thread ends, its thread-local values are gone; then `stack` is dropped here and the thread stays without.
    let _ = OWN_STACK.try_with(|own| own.set(Some(stack)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_holds_a_local() {
        std::thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(|| {
                let local = 0u8;
                let stack = stack();
                assert!(stack.contains(&(&raw const local as usize)), "{stack:?}");
                assert!((256 << 10..1 << 20).contains(&stack.len()), "{stack:?}");
            })
            .unwrap()
            .join()
            .unwrap();
        assert!(!stack().is_empty());
    }

    #[test]
    fn a_thread_gets_one_signal_stack() {
        std::thread::spawn(|| {
            ensure_signal_stack().unwrap();
            let first = current_signal_stack().unwrap();
            assert!(first.ss_size >= ENOUGH);
            ensure_signal_stack().unwrap();
            assert_eq!(first.ss_sp, current_signal_stack().unwrap().ss_sp);
        })
        .join()
        .unwrap();
    }
}
