//! Errors of calls that do not return, and of handles.

use super::{Error, WasmBacktrace, format_err};
use crate::Trap;
use mintage_runtime::{Backtrace, HandleError, Stopped};

/// Makes the error of a call that did not return: the error of a host function, or a trap, which
/// can be downcast to [`Trap`]. Both can be downcast to [`WasmBacktrace`].
///
/// # Panics
///
/// With the payload of a host function's panic.
#[cold]
#[expect(
    clippy::boxed_local,
    reason = "so the runtime returns it, in one register"
)]
pub(crate) fn stopped(stopped: Box<Stopped>) -> Error {
    match *stopped {
        Stopped::Trap(report) => {
            let error = match (report.handle, &report.exception) {
                (Some(error), _) => handle_trap(error),
                (None, Some(tag)) => abi_trap(
                    report.trap,
                    format!("the guest threw an exception of tag {tag} that it does not catch"),
                ),
                (None, None) => Error::new(report.trap),
            };
            with_backtrace(error, report.backtrace)
        }
        // The innermost backtrace tells most: a call that the host function made may have failed.
        Stopped::Host { error, backtrace } => {
            let mut error = Error::from(error);
            match error.downcast_mut::<WasmBacktrace>() {
                Some(innermost) => {
                    innermost.complete(backtrace);
                    error
                }
                None => with_backtrace(error, backtrace),
            }
        }
        Stopped::Panic(payload) => std::panic::resume_unwind(payload),
    }
}

/// Adds a backtrace, unless it is empty.
fn with_backtrace(error: Error, backtrace: Backtrace) -> Error {
    match backtrace.frames.is_empty() {
        true => error,
        false => error.context(WasmBacktrace::new(backtrace)),
    }
}

/// Makes the error for an item of one store that is used with another.
#[cold]
pub(crate) fn wrong_store(what: &str) -> Error {
    format_err!("the {what} belongs to another `Store` than the one that was passed")
}

/// Makes the error for an item of an instance that was dropped.
#[cold]
pub(crate) fn dropped(what: &str) -> Error {
    format_err!("the {what} belongs to an instance that was dropped (`Store::drop_instance`)")
}

/// Makes the error for what the Canonical ABI traps on: a [`Trap`], with a message of what the
/// guest did.
#[cold]
pub(crate) fn abi_trap(trap: Trap, message: String) -> Error {
    Error::new(trap).context(message)
}

/// Makes the error for a handle that is not what the Canonical ABI asks for: a [`Trap`], with a
/// message of what is wrong with the handle.
#[cold]
pub(crate) fn handle_trap(error: HandleError) -> Error {
    Error::new(error.trap()).context(error)
}

/// Returns from the function with the error for a trap of the Canonical ABI: a [`Trap`], and a
/// formatted message of what the guest did.
macro_rules! trap {
    ($trap:expr, $($message:tt)*) => {
        return Err($crate::error::abi_trap($trap, format!($($message)*)))
    };
}

/// As [`trap!`], unless the condition holds: the opposite of `trap_if` in CanonicalABI.md.
macro_rules! trap_unless {
    ($trap:expr, $condition:expr, $($message:tt)*) => {
        if !$condition {
            $crate::error::trap!($trap, $($message)*);
        }
    };
}

pub(crate) use {trap, trap_unless};
