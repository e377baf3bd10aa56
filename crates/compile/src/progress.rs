//! Telling a caller how far a compilation is.

use std::time::Duration;

/// A phase of compilation; see [`compile`](crate::compile) for their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Parse, validate and inline the component.
    Program,
    /// Lay out the slab.
    Layout,
    /// Generate machine code for each function, in parallel.
    Functions,
    /// Put the code in order and resolve calls.
    Link,
    /// Compute the bytes of the slab.
    Image,
    /// Write the artifact.
    Write,
    /// Read the artifact back and compare it with the plan (debug builds only).
    Verify,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: &[Phase] = &[
        Phase::Program,
        Phase::Layout,
        Phase::Functions,
        Phase::Link,
        Phase::Image,
        Phase::Write,
        Phase::Verify,
    ];

    /// The phase's name, for messages and reports.
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

/// Is told how far a compilation is. Every method does nothing unless it is overridden.
pub trait Progress: Sync {
    /// A phase starts.
    fn started(&self, phase: Phase) {
        let _ = phase;
    }

    /// A phase has ended, after this time by the wall clock.
    fn ended(&self, phase: Phase, time: Duration) {
        let _ = (phase, time);
    }

    /// Within [`Phase::Functions`]: so many functions are done. Called from all threads, often,
    /// with growing `done` on each.
    fn functions(&self, done: usize, total: usize) {
        let _ = (done, total);
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}
