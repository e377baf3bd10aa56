//! How a stopped call becomes an error.

mod backtrace;

pub use backtrace::{FrameInfo, WasmBacktrace};

use crate::Trap;
use anyhow::{Error, anyhow};
use mintage_runtime::{HandleError, Stopped};

/// The error of a call that did not return. A host function's own error comes back as it is; a trap
/// is an error that can be downcast to [`Trap`](crate::Trap) and to [`WasmBacktrace`].
///
/// # Panics
///
/// With the payload of a host function's panic.
#[cold]
pub(crate) fn stopped(stopped: Stopped) -> Error {
    match stopped {
        Stopped::Trap(report) => {
            let error = match (report.handle, &report.exception) {
                (Some(error), _) => handle_trap(error),
                (None, Some(tag)) => abi_trap(
                    report.trap,
                    format!("the guest threw an exception of tag {tag} that it does not catch"),
                ),
                (None, None) => Error::new(report.trap),
            };
            match WasmBacktrace::of(&report) {
                Some(backtrace) => error.context(backtrace),
                None => error,
            }
        }
        Stopped::Host(error) => error,
        Stopped::Panic(payload) => std::panic::resume_unwind(payload),
    }
}

/// The error for a store's object that is used with another store.
#[cold]
pub(crate) fn wrong_store(what: &str) -> Error {
    anyhow!("the {what} belongs to another `Store` than the one that was passed")
}

/// The error for what the Canonical ABI traps on: it is a `trap`, and `message` says what the guest
/// did.
#[cold]
pub(crate) fn abi_trap(trap: Trap, message: String) -> Error {
    Error::new(trap).context(message)
}

/// The error for a handle that is not what the Canonical ABI asks for: a [`Trap`], then what is
/// wrong with the handle.
#[cold]
pub(crate) fn handle_trap(error: HandleError) -> Error {
    Error::new(error.trap()).context(error)
}

/// Returns with the error for a trap of the Canonical ABI: the [`Trap`], then what the guest did,
/// to be formatted.
macro_rules! trap {
    ($trap:expr, $($message:tt)*) => {
        return Err($crate::error::abi_trap($trap, format!($($message)*)))
    };
}

/// As [`trap!`], unless the condition holds (`trap_if` of CanonicalABI.md, the other way round).
macro_rules! trap_unless {
    ($trap:expr, $condition:expr, $($message:tt)*) => {
        if !$condition {
            $crate::error::trap!($trap, $($message)*);
        }
    };
}

pub(crate) use {trap, trap_unless};
