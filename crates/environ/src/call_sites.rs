//! Facts about calls in machine code, by return address: the exception handlers of a call, and the
//! GC references in the frame of the caller.
//!
//! Offsets are relative to the start of the function. Once the function is placed, they are
//! relative to the start of the text.

use crate::{FrameSlots, ObjectTypeId};
use std::sync::Arc;

/// A list of exception handlers: the type of exceptions that each catches (`None`: all of them),
/// and the code offset of its first instruction.
pub type Handlers = [(Option<ObjectTypeId>, u32)];

/// A call whose exceptions the calling function catches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatchSite {
    /// Code offset of the instruction after the call: the return address.
    pub return_offset: u32,
    /// Bytes from the stack pointer up to the frame pointer at the start of a handler.
    pub frame_size: u32,
    /// The handlers, of which the first that fits is taken. It gets the reference to the exception
    /// in the first result register. Calls with equal lists share one.
    pub handlers: Arc<Handlers>,
}

/// A call across which GC references are live in the frame of the calling function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackMap {
    /// Code offset of the instruction after the call: the return address.
    pub return_offset: u32,
    /// The words of the frame that hold the references. Calls with equal sets share one.
    pub slots: Arc<FrameSlots>,
}
