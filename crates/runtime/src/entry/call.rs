//! Entry into machine code.

use super::activation::{self, Activation, NoStack};
use super::backtrace;
use super::trap::{Stopped, TrapReport};
use crate::arch::{self, ResumePoint};
use crate::code::Callee;
use crate::instance::{Failure, HostAccess, InstanceData, InstanceHandle, control_block};
use anyhow::anyhow;
use mintage_environ::{ControlBlock, DomainId, ExitRecord, Trap};
use std::mem::MaybeUninit;
use std::ptr;

/// Calls `callee` in the given domain of an instance, with the arguments in `words`, where the
/// results replace them.
///
/// `host` is what the guest may reach of the host meanwhile. When the call is stopped, the instance
/// is poisoned.
///
/// # Errors
///
/// When the guest traps, or a host function that it calls fails or panics.
///
/// # Panics
///
/// When `domain` is not of this component.
///
/// # Safety
///
/// - The instance lives until the call is over, and no other thread uses it meanwhile.
/// - `callee` is of the instance's [`Code`](crate::Code), for a function that belongs to `domain`.
/// - `words` is valid for reads and writes of as many words as the function's signature needs
///   ([`Signature::array_words`](mintage_environ::Signature::array_words)), and the arguments are
///   of its types.
/// - `host` is what the instance's host functions and its limiter expect.
/// - No reference into the instance's memories, and none that the host functions would alias
///   through `host`, is live.
#[inline]
pub unsafe fn call(
    instance: InstanceHandle,
    domain: DomainId,
    callee: &Callee,
    words: *mut u64,
    host: HostAccess,
) -> Result<(), Stopped> {
    // SAFETY: the caller promises that the instance lives.
    let data = unsafe { instance.data() };
    // SAFETY: as the caller promises; the context is the domain's.
    unsafe { call_in(data, data.ctx(domain), callee, words, host) }
}

/// [`call`] in the domain with the context `ctx`.
///
/// # Safety
///
/// As [`call`].
unsafe fn call_in(
    data: &InstanceData,
    ctx: *mut u8,
    callee: &Callee,
    words: *mut u64,
    host: HostAccess,
) -> Result<(), Stopped> {
    // SAFETY: this thread runs.
    let thread = unsafe { &*activation::thread() };
    let previous = thread.current.get();
    // SAFETY: the activations in the list are calls further out on this thread, whose instances
    // live.
    let outer = unsafe { previous.as_ref() };
    // What is put back afterwards is constant in an outermost call: values that travel through
    // memory from call to call would make each wait for the one before.
    let (sp, stack_bytes) = (arch::stack_pointer(), data.limits.stack_bytes);
    let (control, current) = (control_block(ctx), data.current());
    let (stack_limit, previous_exit, outer_host) = match outer {
        None => (
            thread.stack_limit(sp, stack_bytes),
            ExitRecord { fp: 0 },
            HostAccess::Nothing,
        ),
        Some(outer) => (
            thread.nested_limit(sp, outer, stack_bytes),
            // SAFETY: as above.
            unsafe { (*outer.data).current().exit() },
            current.host(),
        ),
    };
    let stack_limit = match stack_limit {
        Ok(limit) => limit,
        Err(error) => return Err(no_stack(data, error)),
    };
    // SAFETY: machine code of this domain does not run but in calls, of which this is the
    // innermost.
    unsafe { (*control).stack_limit = stack_limit };

    let frames = MaybeUninit::uninit();
    let mut activation = Activation {
        entry: ResumePoint::NONE,
        previous,
        data,
        stack_limit,
        previous_exit,
        trap: None,
        frames,
        landing: MaybeUninit::uninit(),
    };
    let activation = &raw mut activation;
    current.set_host(host);
    thread.current.set(activation);
    // SAFETY: the caller promises that function, domain and words fit. Host functions catch their
    // panics, and builtins do not panic, so nothing needs to be unwound when the call is ended.
    let ended = unsafe {
        arch::enter(
            &raw mut (*activation).entry,
            callee.entry,
            ctx,
            callee.func,
            words,
        )
    };
    match outer {
        None => {
            thread.current.set(ptr::null());
            current.set_host(HostAccess::Nothing);
        }
        Some(outer) => {
            thread.current.set(outer);
            current.set_host(outer_host);
            // SAFETY: as above.
            unsafe { (*outer.data).current().set_exit(previous_exit) };
            if stack_limit != outer.stack_limit {
                // The host had switched to another stack. If the outer call is of this domain
                // (`realloc` for a host function's result), its code goes on with its own limit.
                // SAFETY: the control block lives as long as the instance.
                unsafe { (*control).stack_limit = outer.stack_limit };
            }
        }
    }
    match ended {
        false => Ok(()),
        // SAFETY: the call was stopped, and the list leads to the outer calls, which are still
        // running.
        true => unsafe { stopped(data, &*activation) },
    }
}

/// [`call`] of `realloc` or `post-return`, which must not call out: `may_leave` is off meanwhile
/// (CanonicalABI.md, `canon_lift`).
///
/// # Errors
///
/// As [`call`].
///
/// # Panics
///
/// As [`call`].
///
/// # Safety
///
/// As [`call`].
#[inline]
pub unsafe fn call_confined(
    instance: InstanceHandle,
    domain: DomainId,
    callee: &Callee,
    words: *mut u64,
    host: HostAccess,
) -> Result<(), Stopped> {
    // SAFETY: the caller promises that the instance lives.
    let data = unsafe { instance.data() };
    let ctx = data.ctx(domain);
    let control = control_block(ctx);
    // SAFETY: the control block lives as long as the instance, and nobody has a reference to it.
    let flags = unsafe { (*control).flags };
    // SAFETY: as above.
    unsafe { (*control).flags = flags & !ControlBlock::MAY_LEAVE };
    // SAFETY: as the caller promises; the context is the domain's.
    let result = unsafe { call_in(data, ctx, callee, words, host) };
    // Also when the call could not begin: then the instance goes on.
    // SAFETY: as above.
    unsafe { (*control).flags = flags };
    result
}

/// Why the call could not begin.
#[cold]
#[inline(never)]
fn no_stack(data: &InstanceData, error: NoStack) -> Stopped {
    match error {
        NoStack::UsedUp => {
            data.poisoned.set(true);
            Stopped::Trap(TrapReport::without_frames(Trap::StackOverflow))
        }
        NoStack::Error(error) => Stopped::Host(error),
    }
}

/// Why the call was stopped. Never `Ok`: it is the whole result so that the way without a trap need
/// not touch it.
///
/// # Safety
///
/// The activation was stopped, so that its frames are written, and those it is nested in are still
/// running.
#[cold]
#[inline(never)]
unsafe fn stopped(data: &InstanceData, activation: &Activation) -> Result<(), Stopped> {
    data.poisoned.set(true);
    let current = data.current();
    Err(match (activation.trap, current.failure.take()) {
        // Before the trap, which may be how machine code learns of it: growth of an object heap
        // fails by no other way.
        (_, Some(Failure::Error(error))) => Stopped::Host(error),
        (_, Some(Failure::Panic(payload))) => Stopped::Panic(payload),
        (Some(trap), None) => {
            // SAFETY: as the caller promises.
            let frames = unsafe { activation.frames.assume_init_ref() };
            let omitted = frames.omitted();
            Stopped::Trap(TrapReport {
                trap,
                handle: current.handle_error.take(),
                exception: current
                    .thrown
                    .take()
                    .map(|ty| data.code.describe_exception(ty)),
                frames: backtrace::symbolize(activation, frames),
                omitted,
            })
        }
        (None, None) => Stopped::Host(anyhow!("the call was ended without a reason")),
    })
}
