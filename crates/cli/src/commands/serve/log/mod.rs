//! [`Log`]: requests, failures, and lines that guests print.
//!
//! | file | what it has |
//! |---|---|
//! | `mod.rs` | [`Log`], and which lines go to which stream |
//! | `line.rs` | the text of a line |
//! | `queue.rs` | lines that wait until they are written, by a thread of their own |

mod line;
mod queue;

use super::lines::Kind;
use mintage::error::{Context, Error, Result};
use mintage_wasi_http::server::{Answer, Failure, Observer, RequestInfo};
use queue::Queue;
use std::io;
use std::time::SystemTime;

pub(super) use line::Format;

/// The log. Requests and the standard output of guests go to standard output, everything else to
/// standard error.
///
/// No thread that serves waits for the reader of the log. If it falls behind, lines about requests
/// are left out, and guests that print wait.
pub(crate) struct Log {
    /// The form of lines about requests, if there are any.
    requests: Option<Format>,
    /// Set if lines of guests begin with the number of their request.
    has_prefix: bool,
    output: Queue,
    errors: Queue,
}

impl Log {
    /// Starts the log.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub fn start(requests: Option<Format>, has_prefix: bool) -> Result<Log> {
        let start = || -> io::Result<Log> {
            Ok(Log {
                requests,
                has_prefix,
                output: Queue::start("log-output", io::stdout())?,
                errors: Queue::start("log-errors", io::stderr())?,
            })
        };
        start().context("the system does not start a thread for the log")
    }

    /// Writes what waits, and ends.
    pub fn finish(&self) {
        self.output.finish();
        self.errors.finish();
    }

    /// Writes something that is good to know.
    pub fn note(&self, text: &str) {
        self.errors.push(format!("note: {text}\n").as_bytes());
    }

    /// Writes an error with its causes.
    pub fn error(&self, error: &Error) {
        self.errors.push(crate::described(error).as_bytes());
    }

    /// Returns whether lines of guests have the number of their request.
    pub fn has_prefix(&self) -> bool {
        self.has_prefix
    }

    /// Returns where output of guests goes.
    pub fn queue(&self, kind: Kind) -> &Queue {
        match kind {
            Kind::Output => &self.output,
            Kind::Error => &self.errors,
        }
    }
}

pub(super) use queue::Queue as LineQueue;

impl Observer for Log {
    fn answered(&self, request: &RequestInfo, answer: Answer) {
        if let Some(format) = self.requests {
            let line = line::answered(format, SystemTime::now(), request, answer);
            self.output.push(line.as_bytes());
        }
    }

    fn failed(&self, request: &RequestInfo, failure: &Failure) {
        let format = self.requests.unwrap_or(Format::Text);
        let line = line::failed(format, SystemTime::now(), request, failure);
        self.errors.push(line.as_bytes());
    }
}
