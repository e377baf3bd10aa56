//! Threads: their stacks, the stacks of their signal handlers, and their page faults.

use super::mmap::{Reservation, page_size};
use anyhow::{Context, Result};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The smallest signal stack that is left in place. The kernel's frame takes up to 12 KiB on
/// machines with large vector registers. The rest is for the walk over frames, and for a handler
/// that is chained to.
const MIN_SIGNAL_STACK: usize = 48 << 10;
/// The size of the signal stacks that are made here.
const SIGNAL_STACK: usize = 64 << 10;

/// The part of a stack that is used at most. A stack without a limit (`ulimit -s unlimited`) takes
/// all addresses down to the next mapping, and later mappings, which may be other stacks, are
/// placed there too.
const MAX_KNOWN: usize = 1 << 30;

thread_local! {
    /// The thread's number; 0 before it is first asked for. It has a constant initial value and no
    /// destructor, so an access is one load.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    /// The result of the last call of [`page_faults`]; none after [`forget_page_faults`].
    static FAULTS: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Returns the number of this thread, which no other thread of the process has or had. It is not 0.
#[inline(always)]
pub fn number() -> u64 {
    match NUMBER.get() {
        0 => new_number(),
        number => number,
    }
}

#[cold]
#[inline(never)]
fn new_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // Relaxed: the numbers only have to differ.
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    NUMBER.set(number);
    number
}

/// Returns the stack of the current thread, which grows down to the start of the range. The range
/// is empty if the system does not tell.
pub fn stack() -> Range<usize> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut low = ptr::null_mut();
    let mut size = 0;
    // SAFETY: the first call initialises the attributes if it returns 0. The second reads them, and
    // the third destroys them.
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
    let end = low as usize + size;
    end - size.min(MAX_KNOWN)..end
}

/// Returns how many page faults the current thread has had, or `None` if the system does not count
/// them.
pub fn page_faults() -> Option<u64> {
    static COUNTED: OnceLock<bool> = OnceLock::new();
    let count = COUNTED.get_or_init(are_faults_counted).then(count_faults);
    FAULTS.set(count);
    count
}

/// Returns how many page faults the current thread had had at some time before now. That takes no
/// call of the system, if [`page_faults`] was called since the last [`forget_page_faults`].
pub fn earlier_page_faults() -> Option<u64> {
    FAULTS.get().or_else(page_faults)
}

/// Makes the next [`earlier_page_faults`] count.
pub fn forget_page_faults() {
    FAULTS.set(None);
}

fn count_faults() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call writes the struct, for which zeros are valid, too. It cannot fail with these
    // arguments. If it did, the count would never change, and `are_faults_counted` would have
    // noticed that.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init()
    };
    usage.ru_minflt as u64 + usage.ru_majflt as u64
}

/// Returns whether each first write to a page counts, and each first write to a page that was only
/// read before. Not everything that runs Linux programs is Linux.
fn are_faults_counted() -> bool {
    let pages = 4;
    let Ok(memory) = Reservation::new(pages * page_size()) else {
        return false;
    };
    if memory.make_accessible(0, pages * page_size()).is_err() {
        return false;
    }
    (0..pages).all(|number| {
        // SAFETY: the pages are accessible, and not shared.
        let place = unsafe { memory.base().as_ptr().add(number * page_size()) };
        if number % 2 == 1 {
            // SAFETY: as above.
            std::hint::black_box(unsafe { place.read_volatile() });
        }
        let before = count_faults();
        // SAFETY: as above.
        unsafe { place.write_volatile(1) };
        count_faults() > before
    })
}

/// Makes every thread of the process discard instructions that its processor fetched before this.
///
/// # Errors
///
/// If the system cannot do that.
pub fn synchronize_instructions() -> Result<()> {
    /// `membarrier`: returns after every thread has left the kernel or been interrupted.
    const GLOBAL: libc::c_int = 1;
    const SYNC_CORE: libc::c_int = 1 << 5;
    const REGISTER_SYNC_CORE: libc::c_int = 1 << 6;
    // SAFETY: the call takes no pointers. It makes other threads wait, and changes nothing.
    let call = |command: libc::c_int| unsafe {
        libc::syscall(libc::SYS_membarrier, command, 0u32, 0) == 0
    };
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let is_registered = *REGISTERED.get_or_init(|| call(REGISTER_SYNC_CORE));
    // The slower command needs no registration. Processors discard instructions when they return
    // from the kernel.
    if is_registered && call(SYNC_CORE) || call(GLOBAL) {
        return Ok(());
    }
    Err(std::io::Error::last_os_error())
        .context("the system cannot make new machine code visible to all threads (`membarrier`)")
}

/// A signal stack that was made for a thread. It is uninstalled when the thread ends.
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
            // SAFETY: the thread does not run on its signal stack, since handlers do not drop
            // thread-local values. The memory stays mapped until after this call.
            unsafe { libc::sigaltstack(&none, ptr::null_mut()) };
        }
    }
}

/// Returns the thread's signal stack, if it has one.
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

/// Gives the current thread a signal stack that is large enough, unless it has one. When a guest
/// overflows the thread's stack, there is no room on it for a handler.
///
/// # Errors
///
/// If the system gives no memory or refuses.
pub fn ensure_signal_stack() -> Result<()> {
    if current_signal_stack().is_some_and(|stack| stack.ss_size >= MIN_SIGNAL_STACK) {
        return Ok(());
    }
    let stack = SignalStack::new().context("cannot get memory for a signal stack")?;
    let new = libc::stack_t {
        ss_sp: stack.low(),
        ss_flags: 0,
        ss_size: SIGNAL_STACK,
    };
    // SAFETY: the memory is accessible, and lives until `SignalStack::drop` has uninstalled the
    // stack.
    if unsafe { libc::sigaltstack(&new, ptr::null_mut()) } != 0 {
        return Err(std::io::Error::last_os_error()).context("cannot install a signal stack");
    }
    // While the thread ends, its thread-local values are gone. Then `stack` is dropped here, and
    // the thread has no signal stack.
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
                // The stack may be a larger one of an earlier thread.
                assert!((256 << 10..4 << 20).contains(&stack.len()), "{stack:?}");
            })
            .unwrap()
            .join()
            .unwrap();
        assert!(!stack().is_empty());
    }

    #[test]
    fn instructions_are_synchronized() {
        synchronize_instructions().unwrap();
        synchronize_instructions().unwrap();
    }

    #[test]
    fn a_thread_gets_one_signal_stack() {
        std::thread::spawn(|| {
            ensure_signal_stack().unwrap();
            let first = current_signal_stack().unwrap();
            assert!(first.ss_size >= MIN_SIGNAL_STACK);
            ensure_signal_stack().unwrap();
            assert_eq!(first.ss_sp, current_signal_stack().unwrap().ss_sp);
        })
        .join()
        .unwrap();
    }
}
