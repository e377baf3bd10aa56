//! Facts about calls in machine code, by return address: where exceptions are caught, and where GC
//! references are.
//!
//! Offsets are from the first byte of the function that the code generator made. Once the function
//! is placed, they are from the first byte of the text.

use crate::{FrameSlots, ObjectTypeId};
use std::sync::Arc;

/// The types of exceptions that are caught, `None` for all, and the code offsets of their handlers.
pub type Handlers = [(Option<ObjectTypeId>, u32)];

/// A call during which exceptions are caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatchSite {
    /// Code offset of the instruction after the call: the return address.
    pub return_offset: u32,
    /// The frame pointer less the stack pointer, where a handler starts.
    pub frame_size: u32,
    /// The handlers, of which the first that fits is taken. It gets the reference to the exception
    /// in the first register of results. Calls with equal lists share one.
    pub handlers: Arc<Handlers>,
}

/// The places of GC references in the frame of a function during one of its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackMap {
    /// Code offset of the instruction after the call: the return address.
    pub return_offset: u32,
    /// Their places. Calls with equal sets share one.
    pub slots: Arc<FrameSlots>,
}
