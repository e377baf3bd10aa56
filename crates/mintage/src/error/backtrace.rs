//! [`WasmBacktrace`]: where a guest was when it trapped.

use mintage_runtime::{Frame, TrapReport};
use std::fmt;

/// The wasm functions that were active when a guest trapped, innermost first. Part of a trap's
/// error chain: `error.downcast_ref::<WasmBacktrace>()`.
#[derive(Debug)]
pub struct WasmBacktrace {
    frames: Vec<FrameInfo>,
    omitted: usize,
}

/// One active wasm function.
#[derive(Debug)]
pub struct FrameInfo {
    frame: Frame,
}

impl FrameInfo {
    /// The function's name, if the component has it.
    pub fn func_name(&self) -> Option<&str> {
        self.frame.name.as_deref()
    }

    /// The byte offset in the component of the instruction that runs, if known.
    pub fn module_offset(&self) -> Option<usize> {
        self.frame.offset.map(|offset| offset as usize)
    }
}

impl fmt::Display for FrameInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.frame.fmt(f)
    }
}

impl WasmBacktrace {
    pub(crate) fn of(report: &TrapReport) -> Option<WasmBacktrace> {
        let frames: Vec<_> = report
            .frames
            .iter()
            .map(|frame| FrameInfo {
                frame: frame.clone(),
            })
            .collect();
        (!frames.is_empty()).then_some(WasmBacktrace {
            frames,
            omitted: report.omitted,
        })
    }

    /// The frames, innermost first. Of a very deep stack the outer ones are missing.
    pub fn frames(&self) -> &[FrameInfo] {
        &self.frames
    }
}

impl fmt::Display for WasmBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error while executing at wasm backtrace:")?;
        for (i, frame) in self.frames.iter().enumerate() {
            write!(f, "\n    {i:>3}: {frame}")?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => write!(f, "\n         ... and {omitted} more"),
        }
    }
}
