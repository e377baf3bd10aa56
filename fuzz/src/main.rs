//! Fuzz targets, with Wasmtime as the oracle.
//!
//! ```text
//! mintage-fuzz --seconds 60                      all targets in turn
//! mintage-fuzz --target differential --jobs 2    one of them, in two processes
//! mintage-fuzz --target differential --replay target/found/differential-17/input.bin
//! ```
//!
//! The number of a case determines everything about it. Cases run in separate processes, so that
//! crashes and endless loops are reported like other failures. Each failure is saved in a folder:
//! the reduced input, the guests that show it, and a text with the failure and the command that
//! reproduces it.

#![forbid(unsafe_code)]

mod save;
mod supervise;
mod wasmtime;
mod worker;

use anyhow::{Context, Result};
use clap::Parser;
use mintage_fuzzing::FuzzTarget;
use std::path::PathBuf;
use std::process::ExitCode;

/// Fuzzes Mintage and compares it with Wasmtime.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// Runs only this target. By default, all targets run in turn.
    #[arg(long, value_parser = target)]
    target: Option<FuzzTarget>,
    /// The time to run, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The number of the first case.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The number of processes that run cases.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// The folder for failures.
    #[arg(long, default_value = "target/found")]
    out: PathBuf,
    /// Runs one saved input of the target.
    #[arg(long, requires = "target")]
    replay: Option<PathBuf>,
    /// The number of this process among those that run cases.
    #[arg(long, hide = true)]
    job: Option<u64>,
}

fn target(name: &str) -> Result<FuzzTarget> {
    let target = FuzzTarget::ALL
        .into_iter()
        .find(|target| target.name() == name);
    target.with_context(|| {
        format!(
            "the targets are {}",
            FuzzTarget::ALL.map(FuzzTarget::name).join(", ")
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
