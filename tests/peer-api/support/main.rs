//! The root of a test binary: the modules that the peer's tests name.

#![allow(warnings)]

mod async_functions;
mod call_hook;
mod component_model;

/// Helps with messages of errors.
trait ErrorExt {
    /// Panics unless an error of the chain has `part` in its message.
    fn assert_contains(&self, part: &str);
}

impl ErrorExt for wasmtime::Error {
    fn assert_contains(&self, part: &str) {
        assert!(format!("{self:#}").contains(part), "no `{part}` in: {self:#}");
    }
}
