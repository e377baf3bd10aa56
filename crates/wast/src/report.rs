//! The outcome of running a script.

use std::fmt;

/// The outcome of running a script.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Number of assertions (`assert_…`) that hold.
    pub assertions: usize,
    /// Number of other directives that succeeded: modules, calls, registrations.
    pub actions: usize,
    /// Directives that failed, by line.
    pub failures: Vec<Failure>,
    /// Directives that were not run because the directive that defines their instance failed, by
    /// line.
    pub skipped: Vec<Skipped>,
}

impl Report {
    /// Adds the outcome of the directives of a thread.
    pub(crate) fn append(&mut self, other: Report) {
        self.assertions += other.assertions;
        self.actions += other.actions;
        self.failures.extend(other.failures);
        self.skipped.extend(other.skipped);
    }

    /// Sorts the directives of all threads by line.
    pub(crate) fn sort(&mut self) {
        self.failures.sort_by_key(|failure| failure.line);
        self.skipped.sort_by_key(|skipped| skipped.line);
    }
}

/// A directive that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Line of the directive, counted from 1.
    pub line: usize,
    /// Keyword of the directive.
    pub directive: &'static str,
    /// Message of the error.
    pub cause: String,
}

/// A directive that was not run.
#[derive(Clone, Copy, Debug)]
pub struct Skipped {
    /// Line of the directive, counted from 1.
    pub line: usize,
    /// Line of the failed directive that should have defined the instance.
    pub because_of: usize,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.directive, self.cause)
    }
}
