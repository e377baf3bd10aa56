//! [`Progress`]: reports about a compilation under way.

use std::time::Duration;

/// A phase of compilation, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Parses, validates and inlines the component.
    Program,
    /// Lays out the slab.
    Layout,
    /// Generates the machine code of each function, in parallel.
    Functions,
    /// Places the functions in the text and resolves calls.
    Link,
    /// Computes the image of the slab.
    Image,
    /// Writes the artifact.
    Write,
    /// Reads the artifact back and compares it with the plan. Only in debug builds, or with
    /// `Tunables::debug_verifier`.
    Verify,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: &[Phase] = &[
        Phase::Program,
        Phase::Layout,
        Phase::Functions,
        Phase::Link,
        Phase::Image,
        Phase::Write,
        Phase::Verify,
    ];

    /// Returns the phase's name, for messages and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Program => "program",
            Phase::Layout => "layout",
            Phase::Functions => "functions",
            Phase::Link => "link",
            Phase::Image => "image",
            Phase::Write => "write",
            Phase::Verify => "verify",
        }
    }
}

/// A receiver of reports about a compilation. By default, each method does nothing.
pub trait Progress: Sync {
    /// Reports that a phase starts.
    fn started(&self, phase: Phase) {
        let _ = phase;
    }

    /// Reports that a phase has ended, and its duration in wall-clock time.
    fn ended(&self, phase: Phase, time: Duration) {
        let _ = (phase, time);
    }

    /// Reports during [`Phase::Functions`] that `done` of `total` functions are compiled. All
    /// threads call this after each function, each with increasing `done`.
    fn functions(&self, done: usize, total: usize) {
        let _ = (done, total);
    }
}

/// Ignores all reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}
