//! The `mintage` command.
//!
//! | file | what it does |
//! |---|---|
//! | `commands/` | one file per subcommand; `run` is the default one |
//! | `cache.rs` | options of the compile cache |
//! | `call.rs` | parses a call and finds its function |
//! | `groups.rs` | groups of options, such as `-S` and `-O` |
//! | `host.rs` | options for what a guest has of the host |
//! | `input.rs` | reads files and recognizes their format |
//! | `load.rs` | makes components of files |
//! | `output.rs` | writes files |
//! | `settings.rs` | options for the library's settings |
//! | `signals.rs` | signals: Ctrl-C and closed pipes |
//! | `values.rs` | parses sizes and times |
//!
//! Exit codes: that of the guest, if it is a program; otherwise 0 success; 1 error; 2 wrong usage;
//! 124 the guest ran longer than `--timeout` (the code of the command `timeout`); 134 the guest
//! trapped (the code after `abort`).

#![deny(unsafe_code)]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod cache;
mod call;
mod commands;
mod groups;
mod host;
mod input;
mod load;
mod output;
mod settings;
mod signals;
mod values;

use clap::{Args, FromArgMatches, Parser, Subcommand};
use settings::in_terms_of_options;
use std::io::{self, Write};
use std::iter;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// The width of help on a wide terminal.
const WIDTH: usize = 100;

/// Runs WebAssembly programs, and compiles them ahead of time.
#[derive(Parser)]
#[command(
    version,
    max_term_width = WIDTH,
    args_conflicts_with_subcommands = true,
    override_usage = "mintage [OPTIONS] APP [ARGS]...\n       mintage COMMAND ...",
    after_help = "Without a command, `run` is meant: `mintage --dir . app.wasm --verbose` runs \
                  `app.wasm` with the argument `--verbose`."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    run: commands::run::Args,
}

#[derive(Subcommand)]
enum Command {
    Run(Box<commands::run::Args>),
    Serve(Box<commands::serve::Args>),
    Compile(Box<commands::compile::Args>),
    Compose(commands::compose::Args),
    Inspect(Box<commands::inspect::Args>),
    Wast(Box<commands::wast::Args>),
    Cache(commands::cache::Args),
    Completions(commands::completions::Args),
}

/// The error of a guest that ran longer than `--timeout`.
#[derive(Debug)]
struct TimedOut(Duration);

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "timed out after {:?}", self.0)
    }
}

impl std::error::Error for TimedOut {}

/// An error in how the command was used, which parsing alone does not find.
#[derive(Debug)]
struct WrongUsage(String);

impl std::fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// The exit code after wrong usage, which clap uses too.
const WRONG_USAGE: u8 = 2;

/// The exit code after a timeout, the same as that of the command `timeout`.
const TIMED_OUT: u8 = 124;

/// The exit code after a trap: 128 plus the number of SIGABRT, as a shell reports a process that
/// aborted.
const TRAPPED: u8 = 134;

/// Returns the arguments of `run`, if the first one is this word. They are parsed without the other
/// commands: to build the options of all takes a good part of the time of a small program.
fn run_by_name() -> Option<commands::run::Args> {
    let mut args = std::env::args_os().skip(1).peekable();
    args.next_if(|name| name == "run")?;
    let name = std::ffi::OsString::from("mintage run");
    let command = clap::Command::new("run")
        .bin_name("mintage run")
        .max_term_width(WIDTH);
    let mut command = commands::run::Args::augment_args(command);
    let parsed = command
        .try_get_matches_from_mut(iter::once(name).chain(args))
        .unwrap_or_else(|error| error.exit());
    let args = commands::run::Args::from_arg_matches(&parsed);
    Some(args.unwrap_or_else(|error| error.format(&mut command).exit()))
}

fn execute(cli: Cli) -> mintage::Result<()> {
    match cli.command {
        None => {
            let app = cli.run.app().to_owned();
            cli.run.execute().map_err(|error| explain_name(error, &app))
        }
        Some(Command::Run(args)) => args.execute(),
        Some(Command::Serve(args)) => args.execute(),
        Some(Command::Compile(args)) => args.execute(),
        Some(Command::Compose(args)) => args.execute(),
        Some(Command::Inspect(args)) => args.execute(),
        Some(Command::Wast(args)) => args.execute(),
        Some(Command::Cache(args)) => args.execute(),
        Some(Command::Completions(args)) => args.execute(),
    }
}

fn main() -> ExitCode {
    let outcome = match run_by_name() {
        Some(args) => args.execute(),
        None => execute(Cli::parse()),
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
    if signals::is_interrupted() {
        signals::end_as_interrupted();
    }
    ExitCode::from(exit_code(&error))
}

/// Adds to the error of a file that does not exist that its name is not a command either.
fn explain_name(error: mintage::Error, name: &Path) -> mintage::Error {
    let is_missing = |cause: &io::Error| cause.kind() == io::ErrorKind::NotFound;
    let is_word = name
        .to_str()
        .is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    if is_word && !name.exists() && error.downcast_ref().is_some_and(is_missing) {
        let name = name.display();
        error.context(format!(
            "`{name}` is neither a file nor a command; `mintage help` lists the commands"
        ))
    } else {
        error
    }
}

/// Returns the exit code after an error.
fn exit_code(error: &mintage::Error) -> u8 {
    if error.downcast_ref::<TimedOut>().is_some() {
        TIMED_OUT
    } else if error.downcast_ref::<WrongUsage>().is_some() {
        WRONG_USAGE
    } else if error.chain().any(|cause| cause.is::<mintage::Trap>()) {
        TRAPPED
    } else {
        1
    }
}

/// Prints an error and its causes.
fn report(error: &mintage::Error) {
    // If standard error cannot be written to, the exit code still tells what happened.
    let _ = io::stderr().write_all(described(error).as_bytes());
}

/// Describes an error and its causes, one per line. A cause that the line before already contains
/// is left out.
fn described(error: &mintage::Error) -> String {
    let text = |cause: &dyn std::fmt::Display| in_terms_of_options(&cause.to_string()).into_owned();
    let mut shown = text(error);
    let mut lines = format!("error: {shown}\n");
    for cause in error.chain().skip(1).map(|cause| text(&cause)) {
        if !shown.contains(&cause) {
            lines += &format!("  caused by: {cause}\n");
        }
        shown = cause;
    }
    lines
}

/// Prints something that is good to know, but not an error.
fn note(text: &str) {
    _ = writeln!(io::stderr(), "note: {text}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn options_are_consistent() {
        <super::Cli as clap::CommandFactory>::command().debug_assert();
    }
}
