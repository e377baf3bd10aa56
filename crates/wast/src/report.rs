//! What became of a script.

use std::fmt;

/// What became of a script.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Assertions (`assert_…`) that hold.
    pub assertions: usize,
    /// Other directives that did what they should: modules, calls, registrations.
    pub actions: usize,
    /// Directives that failed, in order.
    pub failures: Vec<Failure>,
    /// Directives that could not be run since the instance that they name was not made.
    pub skipped: Vec<Skipped>,
}

impl Report {
    /// Adds what became of other directives.
    pub(crate) fn append(&mut self, other: Report) {
        self.assertions += other.assertions;
        self.actions += other.actions;
        self.failures.extend(other.failures);
        self.skipped.extend(other.skipped);
    }

    /// Puts the directives of several threads in order.
    pub(crate) fn sort(&mut self) {
        self.failures.sort_by_key(|failure| failure.line);
        self.skipped.sort_by_key(|skipped| skipped.line);
    }
}

/// A directive that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The directive's line, from 1 on.
    pub line: usize,
    /// The directive's keyword.
    pub directive: &'static str,
    /// What went wrong.
    pub cause: String,
}

/// A directive that was not run.
#[derive(Clone, Copy, Debug)]
pub struct Skipped {
    /// The directive's line, from 1 on.
    pub line: usize,
    /// The line of the directive that should have made the instance.
    pub because_of: usize,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.directive, self.cause)
    }
}
