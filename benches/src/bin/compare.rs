//! Compares Mintage with Wasmtime: `cargo run --release -p mintage-benches -- --help`.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use mintage_benches::chart;
use mintage_benches::commands;
use mintage_benches::contender::Host;
use mintage_benches::duel::{Duel, Effort, Row, run_alone};
use mintage_benches::metrics;
use mintage_benches::mintage::Mintage;
use mintage_benches::report::{self, Table};
use mintage_benches::similar;
use mintage_benches::summary;
use mintage_benches::wasmtime::Wasmtime;
use regex::Regex;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Measure Mintage and Wasmtime alternately and print the medians
///
/// A ratio below 1 is in Mintage's favor.
#[derive(Parser)]
struct Options {
    /// Measure only metrics whose names match this regular expression
    #[arg(long, value_name = "REGEX", default_value = "")]
    filter: Regex,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Write a chart to this file [default: benches/results.svg, for a full run without filter]
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// Take few samples
    #[arg(long)]
    quick: bool,
    /// Run Mintage alone, so many seconds for each metric, and print nothing: for a profiler
    #[arg(long, value_name = "SECONDS")]
    profile: Option<u64>,
    /// What the processes do that are measured
    #[arg(long, hide = true, num_args = 2, value_names = ["ENGINE", "ARTIFACT"])]
    start: Option<Vec<String>>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if let Some([engine, artifact]) = options.start.as_deref() {
        return commands::start(engine, artifact.into());
    }
    let wanted = |name: &str| options.filter.is_match(name);
    if let Some(seconds) = options.profile {
        return run_alone::<Mintage>(wanted, Duration::from_secs(seconds));
    }
    for name in commands::missing().into_iter().filter(|name| wanted(name)) {
        eprintln!("not measured: {name}; `tests/wasi/corpus.sh sqlite.p2 ripgrep.p2` builds it");
    }
    for name in similar::missing().into_iter().filter(|name| wanted(name)) {
        eprintln!("not measured: {name}; `benches/recompile.py` builds it");
    }
    let names = metrics::all::<Mintage>()
        .into_iter()
        .map(|metric| metric.name());
    let names: Vec<_> = names.filter(|name| wanted(name)).collect();
    ensure!(!names.is_empty(), "no metric matches {}", options.filter);

    let duel = Duel::<Mintage, Wasmtime>::new(if options.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    });
    let rows = if options.json {
        let rows = duel.run(wanted, |row| eprintln!("measured: {}", row.name()));
        println!("{:#}", report::json(Mintage::NAME, Wasmtime::NAME, &rows));
        rows
    } else {
        let table = Table::new(
            Mintage::NAME,
            Wasmtime::NAME,
            names.iter().map(String::as_str),
        );
        println!("{}", table.header());
        duel.run(wanted, |row| println!("{}", table.row(row)))
    };

    for sentence in summary::sentences(Mintage::NAME, Wasmtime::NAME, &rows) {
        if options.json {
            eprintln!("{sentence}");
        } else {
            println!("{sentence}");
        }
    }
    let whole = !options.quick && options.filter.as_str().is_empty();
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("results.svg");
    if let Some(path) = options.chart.clone().or(whole.then_some(usual)) {
        let picture = chart::draw(Mintage::NAME, Wasmtime::NAME, &rows);
        std::fs::write(&path, picture)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }

    let failed = rows.iter().filter(|row| !complete(row)).count();
    ensure!(
        failed == 0,
        "{failed} of {} metrics are incomplete",
        rows.len()
    );
    Ok(())
}

fn complete(row: &Row) -> bool {
    row.left.is_ok() && row.right.is_ok()
}
