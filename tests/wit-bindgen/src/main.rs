//! Runs the runtime tests of wit-bindgen: guests in several languages that call each other through
//! all of the Canonical ABI.
//!
//! | step | files |
//! |---|---|
//! | find the package of `wit-bindgen-cli`, which contains the tests | `cargo.rs` |
//! | find the tests and their sources | `suite.rs`, `config.rs` |
//! | build bindings, module and component of sources | `bindings.rs`, `guest.rs`, `toolchain.rs` |
//! | compose a case: one component for each world of a test | `compose.rs` |
//! | run cases in each cell of a matrix of settings | `matrix.rs`, `wasi.rs` |
//! | compare with the expected failures in `exclusions.txt` | `expectations.rs` |
//! | print the outcome | `report.rs` |
//!
//! `cargo run -p mintage-wit-bindgen-tests -- [NAME...]` runs the tests whose names contain one of
//! the arguments, or all tests.

mod bindings;
mod cargo;
mod compose;
mod config;
mod expectations;
mod guest;
mod matrix;
mod report;
mod suite;
mod toolchain;
mod wasi;

use expectations::Expectations;
use hashbrown::HashMap;
use matrix::Cell;
use mintage::error::{Context, Result, bail};
use rayon::prelude::*;
use report::Report;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use suite::{Case, Source, Test};
use toolchain::Toolchain;

fn main() -> Result<()> {
    let filters = env::args().skip(1).collect::<Vec<_>>();
    let guests = cargo::target_folder()?.join("guests");
    fs::create_dir_all(&guests).with_context(|| format!("cannot create {}", guests.display()))?;
    // A concurrent run would delete files that this one reads. The operating system releases the
    // lock if the process ends.
    let lock =
        File::create(guests.join("wit-bindgen.lock")).context("cannot create a file for a lock")?;
    lock.lock().context("cannot wait for another run to end")?;

    let packages = cargo::packages()?;
    let tests = suite::discover(&packages.tests)?;
    let toolchain = Toolchain::find(&packages, &guests)?;
    let expectations = Expectations::parse(include_str!("../exclusions.txt"))?;
    let mut report = Report::default();

    let chosen = |test: &&Test| {
        filters.is_empty()
            || filters
                .iter()
                .any(|filter| test.name.contains(filter.as_str()))
    };
    let chosen = tests.iter().filter(chosen).collect::<Vec<_>>();
    let components = build(
        &toolchain,
        &guests.join("wit-bindgen"),
        &chosen,
        &expectations,
        &mut report,
    );

    eprintln!("{} components are built; running them", components.len());

    let composed = guests.join("wit-bindgen-composed");
    fs::create_dir_all(&composed)
        .with_context(|| format!("cannot create {}", composed.display()))?;
    let cells = matrix::cells()?;
    let cases = chosen
        .iter()
        .flat_map(|test| test.cases(|source| components.contains_key(source.name.as_str())));
    let cases = cases.collect::<Vec<_>>();
    let outcomes = cases
        .par_iter()
        .map(|case| (case, run(case, &composed, &components, &cells)))
        .collect::<Vec<_>>();
    for (case, outcome) in outcomes {
        report.ran(case, outcome, &cells, &expectations);
    }
    report.count_all_cases(&chosen);
    if filters.is_empty() {
        report.unused(&expectations);
    }
    print!("{report}");
    match report.problems.len() {
        0 => Ok(()),
        1 => bail!("one problem"),
        problems => bail!("{problems} problems"),
    }
}

/// Builds all sources that can be built. Returns the paths of components by the names of their
/// sources.
fn build<'a>(
    toolchain: &Toolchain,
    guests: &Path,
    tests: &[&'a Test],
    expectations: &Expectations,
    report: &mut Report,
) -> HashMap<&'a str, PathBuf> {
    let mut wanted = Vec::new();
    for test in tests {
        for source in &test.sources {
            let reason = match source.language.unsupported() {
                Some(reason) => Some(format!("{}: {reason}", source.language)),
                None if test.config.error_context => Some("needs `error-context`".to_string()),
                None => None,
            };
            match reason {
                Some(reason) => report.excluded(source, reason),
                None => wanted.push((*test, source)),
            }
        }
    }
    let built = wanted
        .par_iter()
        .map(|(test, source)| guest::build(toolchain, guests, test, source))
        .collect::<Vec<_>>();
    let mut components = HashMap::new();
    for ((_, source), outcome) in wanted.iter().zip(built) {
        if let Some(path) = report.built(source, outcome, expectations) {
            components.insert(source.name.as_str(), path);
        }
    }
    components
}

/// The outcome of a case: an error of composition, or the outcome in each cell.
type Outcome = Result<Vec<Result<()>>>;

fn run(
    case: &Case<'_>,
    folder: &Path,
    components: &HashMap<&str, PathBuf>,
    cells: &[Cell],
) -> Outcome {
    let component = |source: &Source| components[source.name.as_str()].as_path();
    let bytes = compose::compose(case, folder, component).context("cannot compose")?;
    Ok(cells.iter().map(|cell| matrix::run(cell, &bytes)).collect())
}
