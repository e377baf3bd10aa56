//! The `mintage` command.
//!
//! One file per subcommand in `commands/`; `call.rs` finds what the user wants to call; `input.rs`
//! reads and recognizes files, `load.rs` makes components of them, `output.rs` writes files,
//! `settings.rs` has the options that are settings of the library, `wave/` reads and writes values
//! as text.
//!
//! Exit codes: 0 done; 1 error; 2 wrong usage; 124 the guest ran longer than `--timeout` (as with
//! `timeout`); 134 the guest trapped (as after `abort`).

#![deny(unsafe_code)]

mod call;
mod commands;
mod input;
mod load;
mod output;
mod settings;
mod wave;

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
    Run(commands::run::Args),
    Inspect(commands::inspect::Args),
    Wast(commands::wast::Args),
}

/// The guest ran longer than the user lets it.
#[derive(Debug)]
struct TimedOut(Duration);

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "timed out after {:?}", self.0)
    }
}

/// The exit code after a time-out: that of the command `timeout`.
const TIMED_OUT: u8 = 124;

/// The exit code after a trap: 128 plus the number of SIGABRT, as a shell reports a process that
/// aborted.
const TRAPPED: u8 = 134;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Compile(args) => args.execute(),
        Command::Run(args) => args.execute(),
        Command::Inspect(args) => args.execute(),
        Command::Wast(args) => args.execute(),
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    // A closed pipe (`mintage inspect | head`) is the reader's wish.
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

/// Prints an error and what caused it, each cause on its own line. A cause whose text is part of
/// the one before adds nothing.
fn report(error: &mintage::Error) {
    // Where standard error cannot be written to, the exit code still says what happened.
    let say = |line: &str| _ = writeln!(io::stderr(), "{line}");
    let text = |cause: &dyn std::fmt::Display| in_terms_of_options(&cause.to_string()).into_owned();
    let mut shown = text(error);
    say(&format!("error: {shown}"));
    for cause in error.chain().skip(1).map(|cause| text(&cause)) {
        if !shown.contains(&cause) {
            say(&format!("  caused by: {cause}"));
        }
        shown = cause;
    }
}
