//! The walk over frames of machine code, for exceptions and for the collector.
//!
//! An exception goes from `throw` to its handler, or to the end of the call if there is none.
//!
//! Frames of machine code have frame pointers, and a call during which something is caught is found
//! by its return address, so no more is needed than to walk outwards. Functions with handlers keep
//! nothing in registers across such calls, so none are restored. The walk ends where exceptions do:
//! at the first frame that is no function of a core module, which is an adapter to another
//! component instance or the entry from the host.

use super::activation::{self, Activation};
use super::fault;
use crate::arch::{self, Landing};
use crate::instance::InstanceData;
use mintage_environ::{DomainId, ObjectTypeId, Trap};
use std::ptr;

/// What the throw stub calls: finds where the exception, an object of `domain`, is caught, or ends
/// the current call. `pc` and `fp` are the return address of the stub and the frame pointer of its
/// caller, the trampoline of the builtin. Gives the place to go on at, which is kept in the
/// activation.
///
/// # Safety
///
/// Called by the throw stub, in machine code of the current activation, with the `ctx` of its
/// instance.
pub unsafe extern "C" fn on_throw(
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
    // SAFETY: machine code runs only in an activation, which is the innermost, and its frames are
    // intact.
    let landing = ty.and_then(|ty| unsafe { find(activation, fp, ty, exception) });
    let landing = landing.unwrap_or_else(|| {
        data.current().thrown.set(ty);
        // SAFETY: as above.
        let entry =
            unsafe { fault::stop(activation, Some(Trap::UncaughtException), pc - 1, fp, true) };
        // SAFETY: the entry was written when the call was entered.
        unsafe { Landing::at_resume_point(entry) }
    });
    // SAFETY: nobody else looks at the innermost activation while machine code runs in it.
    unsafe { (*activation).landing.write(landing) }
}

/// Where `exception`, of type `ty`, is caught that is thrown in the frame around that of `fp`.
///
/// # Safety
///
/// `activation` is the innermost of this thread, and `fp` the frame pointer of a trampoline that
/// machine code in it has called.
unsafe fn find(
    activation: *const Activation,
    mut fp: usize,
    ty: ObjectTypeId,
    exception: u64,
) -> Option<Landing> {
    // SAFETY: activations in the list are running calls, whose instances live.
    let (code, end) = unsafe { (&(*(*activation).data).code, (*activation).entry.sp) };
    let table = code.artifact().unwind()?;
    while fp < end {
        // SAFETY: machine code keeps frame pointers, and this one is in its part of the stack.
        let (return_address, outer) = unsafe { arch::outer_frame(fp) };
        let offset = code.text_offset(return_address)?;
        if !table.is_core(offset) || outer <= fp {
            return None;
        }
        if let Some(catch) = table.find(offset, ty.as_u32()) {
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

/// Calls `visit` for each reference to an object that is live in a frame of a call into the
/// instance, with the component instance whose object it is, and its word: how many frames there
/// are. The calls are those of this thread, the only one that uses the instance.
///
/// # Safety
///
/// Machine code of the instance, in the innermost activation of this thread, has recorded its exit,
/// and waits.
pub unsafe fn references(data: &InstanceData, mut visit: impl FnMut(DomainId, *mut u64)) -> u64 {
    let mut frames = 0;
    let Some(maps) = data.code.artifact().stack_maps() else {
        return frames;
    };
    // SAFETY: this thread runs.
    let mut activation = unsafe { (*activation::thread()).current.get() };
    let mut fp = data.current().exit().fp as usize;
    while !activation.is_null() {
        // SAFETY: activations in the list are running calls, whose instances live.
        let call = unsafe { &*activation };
        let end = call.entry.sp;
        while ptr::eq(call.data, data) && fp < end {
            // SAFETY: machine code keeps frame pointers, and this one is in its part of the stack.
            let (return_address, outer) = unsafe { arch::outer_frame(fp) };
            let Some(offset) = data.code.text_offset(return_address).filter(|_| outer > fp) else {
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
        (activation, fp) = (call.previous, call.previous_exit.fp as usize);
    }
    frames
}
