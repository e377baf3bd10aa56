//! Fuzz targets, with Wasmtime as the oracle.
//!
//! ```text
//! mintage-fuzz --seconds 60                      all targets in turn
//! mintage-fuzz --target differential --jobs 2    one of them, in two processes
//! mintage-fuzz --target differential --replay target/found/differential-17/input.bin
//! ```
//!
//! Each case has a number, which determines it. Cases run in processes of their own, so that a
//! crash or an endless loop is a failure like others. A failure is saved in a folder: the input,
//! made as small as possible, the guests that show it, and a text that says what is wrong and how
//! to see it again.

#![forbid(unsafe_code)]

mod save;
mod supervise;
mod wasmtime;
mod worker;

use anyhow::{Context, Result};
use clap::Parser;
use mintage_fuzzing::Target;
use std::path::PathBuf;
use std::process::ExitCode;

/// Fuzzes Mintage, and compares it with Wasmtime.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// The target; all of them in turn if there is none.
    #[arg(long, value_parser = target)]
    target: Option<Target>,
    /// How long to run.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The number of the first case.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many processes run cases.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// Where failures are saved.
    #[arg(long, default_value = "target/found")]
    out: PathBuf,
    /// Runs one saved input of the target instead.
    #[arg(long, requires = "target")]
    replay: Option<PathBuf>,
    /// Which process this is, of those that run cases.
    #[arg(long, hide = true)]
    job: Option<u64>,
}

fn target(name: &str) -> Result<Target> {
    let target = Target::ALL.into_iter().find(|target| target.name() == name);
    target.with_context(|| {
        format!(
            "the targets are {}",
            Target::ALL.map(Target::name).join(", ")
        )
    })
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let is_clean = match (&options.replay, options.job) {
        (Some(input), _) => worker::replay(&options, input)?,
        (None, Some(job)) => worker::run(&options, job)?,
        (None, None) => supervise::run(&options)?,
    };
    Ok(if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
