//! The `mintage` command.
//!
//! | file | what it does |
//! |---|---|
//! | `commands/` | one file per subcommand |
//! | `call.rs` | parses a call and finds its function |
//! | `input.rs` | reads files and recognizes their format |
//! | `load.rs` | makes components of files |
//! | `output.rs` | writes files |
//! | `settings.rs` | options for the library's settings |
//!
//! Exit codes: 0 success; 1 error; 2 wrong usage; 124 the guest ran longer than `--timeout` (the
//! code of the command `timeout`); 134 the guest trapped (the code after `abort`).

#![deny(unsafe_code)]

mod call;
mod commands;
mod input;
mod load;
mod output;
mod settings;

use clap::{Parser, Subcommand};
use settings::in_terms_of_options;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Compiles WebAssembly components ahead of time and runs them.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Compile(commands::compile::Args),
    Compose(commands::compose::Args),
    Run(commands::run::Args),
    Inspect(commands::inspect::Args),
    Wast(commands::wast::Args),
}

/// The error of a guest that ran longer than `--timeout`.
#[derive(Debug)]
struct TimedOut(Duration);

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "timed out after {:?}", self.0)
    }
}

/// The exit code after a timeout, the same as that of the command `timeout`.
const TIMED_OUT: u8 = 124;

/// The exit code after a trap: 128 plus the number of SIGABRT, as a shell reports a process that
/// aborted.
const TRAPPED: u8 = 134;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Compile(args) => args.execute(),
        Command::Compose(args) => args.execute(),
        Command::Run(args) => args.execute(),
        Command::Inspect(args) => args.execute(),
        Command::Wast(args) => args.execute(),
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    // The reader closed the pipe, as in `mintage inspect | head`.
    let broken_pipe = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    if error
        .chain()
        .filter_map(|cause| cause.downcast_ref())
        .any(broken_pipe)
    {
        return ExitCode::SUCCESS;
    }
    report(&error);
    if error.downcast_ref::<TimedOut>().is_some() {
        return ExitCode::from(TIMED_OUT);
    }
    match error.chain().any(|cause| cause.is::<mintage::Trap>()) {
        true => ExitCode::from(TRAPPED),
        false => ExitCode::FAILURE,
    }
}

/// Prints an error and its causes, one per line. A cause that the line before already contains is
/// left out.
fn report(error: &mintage::Error) {
    // If standard error cannot be written to, the exit code still tells what happened.
    let print = |line: &str| _ = writeln!(io::stderr(), "{line}");
    let text = |cause: &dyn std::fmt::Display| in_terms_of_options(&cause.to_string()).into_owned();
    let mut shown = text(error);
    print(&format!("error: {shown}"));
    for cause in error.chain().skip(1).map(|cause| text(&cause)) {
        if !shown.contains(&cause) {
            print(&format!("  caused by: {cause}"));
        }
        shown = cause;
    }
}
