//! Backtraces: from the addresses of frames to functions.

use super::activation::{self, Activation, Frames};
use super::fault;
use super::trap::{Backtrace, Frame};
use crate::code::Code;
use crate::instance::Current;
use mintage_environ::FuncKey;
use std::iter::successors;
use std::ptr::NonNull;
use std::sync::Arc;

/// Returns the functions of the frames that were kept when `activation` was stopped, without
/// trampolines.
pub fn symbolize(activation: &Activation, frames: &Frames) -> Backtrace {
    let functions = frames.pcs().filter_map(|pc| frame(activation, pc));
    Backtrace {
        frames: functions.collect(),
        omitted: frames.omitted(),
    }
}

/// Returns the functions of a store that are active on this thread, while they wait for a host
/// function. `store` is the store's state; it is compared only. There are none in a call that is
/// suspended.
pub fn backtrace(store: NonNull<Current>) -> Backtrace {
    // SAFETY: this thread runs.
    let innermost = unsafe { (*activation::thread()).current.get() };
    // SAFETY: activations in the list are running calls, whose instances live.
    let Some(activation) = (unsafe { innermost.as_ref() }) else {
        return Backtrace::default();
    };
    let mut frames = Frames::EMPTY;
    // SAFETY: Rust code runs on this thread, so machine code of the innermost activation has left
    // for the host, and has recorded where.
    unsafe {
        let exit = (*activation.data).current().exit();
        fault::walk(
            innermost,
            None,
            exit.fp as usize,
            store.as_ptr(),
            &mut frames,
        );
    }
    symbolize(activation, &frames)
}

/// Returns the function at an address of machine code. It is in the code of one of the activations
/// from the innermost outwards.
fn frame(innermost: &Activation, pc: usize) -> Option<Frame> {
    // SAFETY: activations in the list are running calls.
    let activations = successors(Some(innermost), |activation| unsafe {
        activation.previous.as_ref()
    });
    let (code, offset) = activations
        // SAFETY: the instances of running calls live.
        .map(|activation| unsafe { &(*activation.data).imports }.code())
        .find_map(|code: &Arc<Code>| Some((code, code.text_offset(pc)?)))?;
    let artifact = code.artifact();
    let (ordinal, key, _) = artifact.key_table()?.find(offset)?;
    let FuncKey::CoreFunc { instance, .. } = key else {
        return None;
    };
    Some(Frame {
        key,
        name: artifact.function_name(ordinal).map(str::to_owned),
        module: artifact.module_name(instance).map(str::to_owned),
        offset: artifact.address_at(offset),
        start: artifact.addresses(ordinal).next().map(|(_, start)| start),
        debug_info: code.debug_info(),
    })
}
