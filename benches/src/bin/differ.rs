//! Compares the results of random asynchronous programs in Mintage and in Wasmtime.

use anyhow::{Context, Result};
use clap::Parser;
use mintage_benches::differ::{Differ, program};
use std::time::{Duration, Instant};

/// Run random asynchronous programs in Mintage, in several ways, and in Wasmtime, and compare
#[derive(Parser)]
struct Options {
    /// Run for so many seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The seed of the first program
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the program of the first seed instead
    #[arg(long)]
    print: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.print {
        println!("{}", program(options.seed));
        return Ok(());
    }
    let mut differ = Differ::new()?;
    let (start, time) = (Instant::now(), Duration::from_secs(options.seconds));
    let mut seed = options.seed;
    while start.elapsed() < time {
        let run = differ.run(seed);
        run.with_context(|| format!("the program of seed {seed} (`--print --seed {seed}`)"))?;
        seed += 1;
    }
    let counts = differ.counts();
    println!(
        "{} programs from seed {}, {} calls, of which {} trap: no differences",
        counts.programs, options.seed, counts.calls, counts.traps
    );
    Ok(())
}
