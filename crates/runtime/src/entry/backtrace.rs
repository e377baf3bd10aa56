//! Backtraces: from the addresses of frames to functions.

use super::activation::{Activation, Frames};
use super::trap::Frame;
use crate::code::Code;
use mintage_environ::FuncKey;
use std::iter::successors;
use std::sync::Arc;

/// Returns the functions of the frames that were kept when `activation` was stopped, without
/// trampolines.
pub fn symbolize(activation: &Activation, frames: &Frames) -> Vec<Frame> {
    frames
        .pcs()
        .filter_map(|pc| frame(activation, pc))
        .collect()
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
        .map(|activation| unsafe { &(*activation.data).code })
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
    })
}
