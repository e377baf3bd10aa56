//! [`call`]: entry into machine code.

use super::activation::{self, Activation, NoStack};
use super::backtrace;
use super::trap::{Backtrace, Stopped, TrapReport};
use crate::arch::{self, ResumePoint};
use crate::code::Callee;
use crate::instance::{Failure, HostAccess, InstanceData, InstanceHandle, control_block};
use anyhow::anyhow;
use mintage_environ::{ControlBlock, DomainId, ExitRecord, Trap};
use std::mem::MaybeUninit;
use std::ptr;

/// Calls `callee` in the given domain of an instance. The arguments are in `words`, where the
/// results replace them.
///
/// `host` is the guest's access to the host during the call. If the call is stopped, the instance
/// is poisoned.
///
/// # Errors
///
/// If the guest traps, or a host function that it calls fails or panics.
///
/// # Panics
///
/// If `domain` is not in this component.
///
/// # Safety
///
/// - The instance lives until the call is over, and no other thread uses it meanwhile.
/// - `callee` is a function of the instance's [`Code`](crate::Code), and belongs to `domain`.
/// - `words` is valid for reads and writes of as many words as the function's signature needs
///   ([`Signature::array_words`](mintage_environ::Signature::array_words)), and the arguments have
///   its types.
/// - `host` is what the instance's host functions and its limiter expect.
/// - No reference into the instance's memories exists, and none that the host functions would alias
///   through `host`.
#[inline]
pub unsafe fn call(
    instance: InstanceHandle,
    domain: DomainId,
    callee: &Callee,
    words: *mut u64,
    host: HostAccess,
) -> Result<(), Box<Stopped>> {
    // SAFETY: the instance lives, as the caller promises.
    let data = unsafe { instance.data() };
    // SAFETY: as the caller promises. The context is the domain's.
    unsafe { call_in(data, data.ctx(domain), callee, words, host) }
}

/// Calls as [`call`] does, in the domain with the context `ctx`.
///
/// # Safety
///
/// As [`call`].
#[inline(always)]
unsafe fn call_in(
    data: &InstanceData,
    ctx: *mut u8,
    callee: &Callee,
    words: *mut u64,
    host: HostAccess,
) -> Result<(), Box<Stopped>> {
    // SAFETY: this thread runs.
    let thread = unsafe { &*activation::thread() };
    let previous = thread.current.get();
    // SAFETY: activations in the list are calls further out on this thread, whose instances live.
    let outer = unsafe { previous.as_ref() };
    // The values that are restored later are constants in an outermost call. If they went through
    // memory, each call would wait for the one before.
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
    // SAFETY: machine code of this domain runs in calls only, and this is the innermost one.
    unsafe { (*control).stack_limit = stack_limit };

    let frames = MaybeUninit::uninit();
    let mut activation = Activation {
        resume: ResumePoint::NONE,
        previous,
        data,
        stack_limit,
        own_stack: None,
        previous_exit,
        trap: None,
        frames,
        landing: MaybeUninit::uninit(),
    };
    let activation = &raw mut activation;
    current.set_host(host);
    thread.current.set(activation);
    // SAFETY: function, domain and words fit, as the caller promises. Host functions catch their
    // panics and builtins do not panic, so no frame needs to be unwound when the call is ended.
    let ended = unsafe {
        arch::enter(
            &raw mut (*activation).resume,
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
                // The host had switched to another stack. If the outer call is in this domain
                // (`realloc` for a host function's result), its code continues with its own limit.
                //
                // SAFETY: the control block lives as long as the instance.
                unsafe { (*control).stack_limit = outer.stack_limit };
            }
        }
    }
    match ended {
        false => Ok(()),
        // SAFETY: the call was stopped, and the list leads to outer calls, which are still running.
        true => unsafe { stopped(data, &*activation) },
    }
}

/// Calls `realloc` or `post-return`, which must not call out: `may_leave` is off during the call
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
) -> Result<(), Box<Stopped>> {
    // SAFETY: the instance lives, as the caller promises.
    let data = unsafe { instance.data() };
    let ctx = data.ctx(domain);
    let control = control_block(ctx);
    // SAFETY: the control block lives as long as the instance, and there is no reference to it.
    let flags = unsafe { (*control).flags };
    // SAFETY: as above.
    unsafe { (*control).flags = flags & !ControlBlock::MAY_LEAVE };
    // SAFETY: as the caller promises. The context is the domain's.
    let result = unsafe { call_in(data, ctx, callee, words, host) };
    // This also happens if the call could not begin, because then the instance remains usable.
    //
    // SAFETY: as above.
    unsafe { (*control).flags = flags };
    result
}

/// Returns the reason why the call could not begin.
#[cold]
#[inline(never)]
pub fn no_stack(data: &InstanceData, error: NoStack) -> Box<Stopped> {
    match error {
        NoStack::UsedUp => {
            data.poisoned.set(true);
            TrapReport::without_frames(Trap::StackOverflow).into()
        }
        NoStack::Error(error) => Stopped::without_frames(error),
    }
}

/// Returns the reason why the call was stopped. The result is never `Ok`: it has the caller's type,
/// so that the path without a trap does not touch it.
///
/// # Safety
///
/// The activation was stopped, so its frames are written, and the outer activations are still
/// running.
#[cold]
#[inline(never)]
pub unsafe fn stopped(data: &InstanceData, activation: &Activation) -> Result<(), Box<Stopped>> {
    data.poisoned.set(true);
    if let Some(inner) = data.stopped.take()
        && let Ok(inner) = inner.downcast::<Stopped>()
    {
        return Err(inner);
    }
    let current = data.current();
    // SAFETY: as the caller promises.
    let frames = unsafe { activation.frames.assume_init_ref() };
    let backtrace = || backtrace::symbolize(activation, frames);
    let stopped = match (activation.trap, current.failure.take()) {
        // The failure comes before the trap, which may be how machine code learns of it: growth of
        // a GC heap has no other way to fail.
        (_, Some(Failure::Error(error))) => Stopped::Host {
            error,
            backtrace: backtrace(),
        },
        (_, Some(Failure::Panic(payload))) => Stopped::Panic(payload),
        (Some(trap), None) => Stopped::Trap(TrapReport {
            trap,
            handle: current.handle_error.take(),
            exception: current
                .thrown
                .take()
                .map(|ty| data.code().describe_exception(ty)),
            backtrace: backtrace(),
        }),
        (None, None) => Stopped::Host {
            error: anyhow!("the call was ended without a reason"),
            backtrace: Backtrace::default(),
        },
    };
    Err(Box::new(stopped))
}
