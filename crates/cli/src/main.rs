//! The `mintage` command.
//!
//! One file per subcommand in `commands/`; `call.rs` finds what the user wants to call; `input.rs` reads and recognizes files, `load.rs` makes components of
//! them, `wave.rs` reads and writes values as text.
//!
//! Exit codes: 0 done; 1 error; 2 wrong usage; 134 the guest trapped (as after `abort`).

#![deny(unsafe_code)]

mod call;
mod commands;
mod input;
mod load;
mod wave;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

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

/// The exit code after a trap: 128 plus the number of SIGABRT, as a shell reports a process that aborted.
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
    let broken_pipe = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(broken_pipe) {
        return ExitCode::SUCCESS;
    }
    report(&error);
    match error.chain().any(|cause| cause.is::<mintage::Trap>()) {
        true => ExitCode::from(TRAPPED),
        false => ExitCode::FAILURE,
    }
}

/// Prints an error and what caused it, each cause on its own line. A cause whose text is part of the one before adds nothing.
fn report(error: &anyhow::Error) {
    let mut shown = error.to_string();
    eprintln!("error: {shown}");
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !shown.contains(&cause) {
            eprintln!("  caused by: {cause}");
        }
        shown = cause;
    }
}
