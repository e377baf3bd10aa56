//! [`Stopped`]: why a call did not return.

use crate::code::DebugInfo;
use crate::component::handles::HandleError;
use mintage_environ::{FuncKey, Printable, Trap};
use std::any::Any;
use std::fmt;

/// The reason why a call into machine code did not return.
#[derive(Debug)]
pub enum Stopped {
    /// The guest trapped.
    Trap(TrapReport),
    /// A host function returned an error.
    Host {
        /// The error.
        error: anyhow::Error,
        /// Where the guest had called the host function.
        backtrace: Backtrace,
    },
    /// A host function panicked with this payload. The caller should resume the panic.
    Panic(Box<dyn Any + Send>),
}

/// A trap and where it happened.
#[derive(Clone, Debug)]
pub struct TrapReport {
    /// The reason.
    pub trap: Trap,
    /// What is wrong with a handle, if the trap is about one.
    pub handle: Option<HandleError>,
    /// The name or number of the tag, if the trap is an exception that no one caught.
    pub exception: Option<String>,
    /// Where it happened.
    pub backtrace: Backtrace,
}

/// The wasm functions on the stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backtrace {
    /// The innermost frames, innermost first.
    pub frames: Vec<Frame>,
    /// The number of outer frames that were not kept.
    pub omitted: usize,
}

impl TrapReport {
    /// Reports a trap that happened outside of machine code.
    pub(crate) fn without_frames(trap: Trap) -> TrapReport {
        TrapReport {
            trap,
            handle: None,
            exception: None,
            backtrace: Backtrace::default(),
        }
    }
}

impl Stopped {
    /// An error that happened outside of machine code.
    pub(crate) fn without_frames(error: anyhow::Error) -> Box<Stopped> {
        Box::new(Stopped::Host {
            error,
            backtrace: Backtrace::default(),
        })
    }

    /// A panic of a host function that machine code did not call.
    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Box<Stopped> {
        Box::new(Stopped::Panic(payload))
    }
}

impl From<TrapReport> for Box<Stopped> {
    fn from(report: TrapReport) -> Self {
        Box::new(Stopped::Trap(report))
    }
}

/// A wasm function on the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The function.
    pub key: FuncKey,
    /// Its name in the name section, if the artifact has it.
    pub name: Option<String>,
    /// The name of its module, if the artifact has it.
    pub module: Option<String>,
    /// The offset in bytes, in the component, of the instruction that runs, if the artifact has the
    /// address map.
    pub offset: Option<u32>,
    /// The offset in bytes, in the component, of the function's body, if the artifact has the
    /// address map.
    pub start: Option<u32>,
    /// The debug information of the code, if it has some.
    pub debug_info: Option<DebugInfo>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (module, name) = (
            self.module.as_deref().map(Printable),
            self.name.as_deref().map(Printable),
        );
        match (module, name) {
            (Some(module), Some(name)) => write!(f, "{module}!{name} ({})", self.key)?,
            (Some(module), None) => write!(f, "{module}!{}", self.key)?,
            (None, Some(name)) => write!(f, "{name} ({})", self.key)?,
            (None, None) => write!(f, "{}", self.key)?,
        }
        match self.offset {
            Some(offset) => write!(f, " at {offset:#x}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TrapReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.handle {
            Some(error) => write!(f, "wasm trap: {error}")?,
            None => write!(f, "{}", self.trap)?,
        }
        if let Some(tag) = &self.exception {
            write!(f, " of tag {tag}")?;
        }
        let Backtrace { frames, omitted } = &self.backtrace;
        if !frames.is_empty() {
            write!(f, "\nwasm backtrace:")?;
        }
        for (number, frame) in frames.iter().enumerate() {
            write!(f, "\n  {number:>3}: {frame}")?;
        }
        match *omitted {
            0 => Ok(()),
            omitted => write!(f, "\n       ... and {omitted} more"),
        }
    }
}

impl std::error::Error for TrapReport {
    /// Returns the [`Trap`], so that an error chain can be searched for it.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.trap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mintage_environ::SigId;

    #[test]
    fn names_cannot_forge_lines() {
        let frame = Frame {
            key: FuncKey::Entry(SigId::from_u32(0)),
            name: Some("f\n    1: innocent".into()),
            module: Some("\x1b[31mm".into()),
            offset: None,
            start: None,
            debug_info: None,
        };
        let text = frame.to_string();
        assert!(
            text.starts_with(r"\u{1b}[31mm!f\n    1: innocent ("),
            "{text}"
        );
    }
}
