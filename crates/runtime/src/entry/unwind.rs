//! The walk over frames of machine code, for exceptions and for the collector.
//!
//! An exception goes from `throw` to its handler. If there is none, it ends the call.
//!
//! All frames of machine code have frame pointers, and the return address tells whether a call has
//! a handler. So unwinding only has to walk outwards. Functions with handlers keep nothing in
//! registers across such calls, so no register is restored. Exceptions cannot leave a component
//! instance. So the walk ends at the first frame that is not a function of a core module: that of
//! an adapter, or of the entry trampoline.

use super::activation::{self, Activation};
use super::fault;
use crate::arch::{self, Landing, ThrowHook};
use crate::instance::InstanceData;
use mintage_environ::{DomainId, ObjectTypeId, Trap};
use std::ptr;

/// The hook of the throw stub. The activation keeps the landing that it returns.
pub enum Throw {}

impl ThrowHook for Throw {
    unsafe extern "C" fn on_throw(
        ctx: *mut u8,
        domain: u32,
        exception: u64,
        pc: usize,
        fp: usize,
    ) -> *const Landing {
        // SAFETY: this thread runs.
        let activation = unsafe { (*activation::thread()).current.get() }.cast_mut();
        assert!(
            !activation.is_null(),
            "an exception was thrown outside of a call"
        );
        // SAFETY: as the caller promises.
        let data = unsafe { InstanceData::of_ctx(ctx) };
        let ty = data.object_type(DomainId::from_u32(domain), exception);
        // SAFETY: machine code runs only in an activation, the innermost one, and its frames are
        // intact.
        let landing = ty.and_then(|ty| unsafe { find(activation, fp, ty, exception) });
        let landing = landing.unwrap_or_else(|| {
            data.current().thrown.set(ty);
            // SAFETY: as above.
            let entry =
                unsafe { fault::stop(activation, Some(Trap::UncaughtException), pc - 1, fp) };
            // SAFETY: the activation is the innermost, and the frames between are those of machine
            // code and the stub.
            unsafe { Landing::at_resume_point(entry) }
        });
        // SAFETY: no one else uses the innermost activation while machine code runs in it.
        unsafe { (*activation).landing.write(landing) }
    }
}

/// Returns the handler of `exception`, of type `ty`, which is thrown in the frame around that of
/// `fp`.
///
/// # Safety
///
/// `activation` is the innermost of this thread, and `fp` is the frame pointer of a trampoline that
/// machine code in it has called.
unsafe fn find(
    activation: *const Activation,
    mut fp: usize,
    ty: ObjectTypeId,
    exception: u64,
) -> Option<Landing> {
    // SAFETY: activations in the list are running calls, whose instances live.
    let (code, end) = unsafe { ((*(*activation).data).code(), (*activation).resume.sp) };
    let table = code.artifact().unwind()?;
    while fp < end {
        // SAFETY: machine code keeps frame pointers, and this one is in its part of the stack.
        let (return_address, outer) = unsafe { arch::outer_frame(fp) };
        let offset = code.text_offset(return_address)?;
        if !table.is_core(offset) || outer <= fp {
            return None;
        }
        if let Some(catch) = table.find(offset, ty) {
            return Some(Landing {
                pc: code.text_address(catch.offset)?,
                sp: outer - catch.frame_size as usize,
                fp: outer,
                value: exception,
            });
        }
        fp = outer;
    }
    None
}

/// Visits every live GC reference in the frames of calls into the instance, suspended ones
/// included: calls `visit` with the domain whose heap it refers to, and with its word. Returns the
/// number of frames. All calls that run are on this thread, the only one that uses the instance.
///
/// # Safety
///
/// Machine code of the instance, in the innermost activation of this thread, has recorded its exit
/// and waits.
pub unsafe fn visit_references(
    data: &InstanceData,
    mut visit: impl FnMut(DomainId, *mut u64),
) -> u64 {
    let mut frames = 0;
    let Some(maps) = data.code().artifact().stack_maps() else {
        return frames;
    };
    let mut walk = |mut fp: usize, end: usize| {
        while fp < end {
            // SAFETY: machine code keeps frame pointers, and this one is in its part of the stack.
            let (return_address, outer) = unsafe { arch::outer_frame(fp) };
            let Some(offset) = data
                .code()
                .text_offset(return_address)
                .filter(|_| outer > fp)
            else {
                break;
            };
            if let Some((domain, slots)) = maps.find(offset) {
                for distance in slots {
                    visit(
                        domain,
                        ptr::with_exposed_provenance_mut(outer - distance as usize),
                    );
                }
            }
            fp = outer;
            frames += 1;
        }
    };
    // SAFETY: this thread runs.
    let mut activation = unsafe { (*activation::thread()).current.get() };
    let mut fp = data.current().exit().fp as usize;
    while !activation.is_null() {
        // SAFETY: activations in the list are running calls, whose instances live.
        let call = unsafe { &*activation };
        if ptr::eq(call.data, data) {
            walk(fp, call.resume.sp);
        }
        (activation, fp) = (call.previous, call.previous_exit.fp as usize);
    }
    if let Some(threads) = data.concurrent.get() {
        threads.visit_suspended(&mut walk);
    }
    frames
}
