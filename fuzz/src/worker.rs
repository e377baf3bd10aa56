//! Runs cases in one process.

use crate::Options;
use crate::save::save;
use crate::wasmtime::Wasmtime;
use anyhow::{Context, Result, bail};
use mintage_fuzzing::{Engines, Failure, FuzzTarget, Numbers, Outcome, reduce};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The number of failures of one kind that are saved.
const SAVED: u64 = 3;

/// The time for reducing an input: less than the time limit of a case.
const REDUCING: Duration = Duration::from_secs(20);

/// The time between reports.
const REPORT: Duration = Duration::from_secs(60);

/// Returns the target of a case and its input.
pub fn case(options: &Options, number: u64) -> (FuzzTarget, Vec<u8>) {
    // The targets that execute most machine code run most often.
    const TURNS: [FuzzTarget; 9] = [
        FuzzTarget::Differential,
        FuzzTarget::RoundTrip,
        FuzzTarget::Differential,
        FuzzTarget::Instances,
        FuzzTarget::Differential,
        FuzzTarget::Corrupt,
        FuzzTarget::Differential,
        FuzzTarget::Hostile,
        FuzzTarget::Fuel,
    ];
    let target = options
        .target
        .unwrap_or(TURNS[number as usize % TURNS.len()]);
    (target, Numbers::new(number).input())
}

/// The position of a process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The number of the case.
    pub case: u64,
    /// Whether the case has failed and is saved, so that its input is being reduced.
    pub is_saved: bool,
}

impl At {
    /// Returns the position that a process reports, if it has started.
    pub fn read(options: &Options, job: u64) -> Option<At> {
        let bytes: [u8; 9] = fs::read(state(options, job)).ok()?.try_into().ok()?;
        let [case @ .., is_saved] = bytes;
        Some(At {
            case: u64::from_le_bytes(case),
            is_saved: is_saved != 0,
        })
    }

    fn write(self, state: &File) -> Result<()> {
        let bytes = [&self.case.to_le_bytes()[..], &[self.is_saved.into()]].concat();
        state
            .write_all_at(&bytes, 0)
            .context("cannot say which case is run")
    }
}

/// Returns the path of the file in which a process reports its position.
pub fn state(options: &Options, job: u64) -> PathBuf {
    options.out.join(format!("job-{job}.case"))
}

fn engines() -> Result<Engines> {
    let wasmtime = |canonical_nans| match Wasmtime::new(canonical_nans) {
        Ok(engine) => Ok(Box::new(engine)),
        Err(error) => bail!("Wasmtime cannot be set up: {error:#}"),
    };
    Ok(Engines::new([wasmtime(false)?, wasmtime(true)?])?)
}

/// Runs a saved input. Returns whether there was no failure.
pub fn replay(options: &Options, input: &Path) -> Result<bool> {
    let bytes = fs::read(input).with_context(|| format!("cannot read {}", input.display()))?;
    let target = options
        .target
        .context("the target of the input is missing")?;
    match target.run(&bytes, &engines()?) {
        Ok(outcome) => println!("{outcome:?}"),
        Err(failure) => {
            println!("{}", failure.what);
            return Ok(false);
        }
    }
    Ok(true)
}

/// The outcomes of the cases of a target.
#[derive(Default)]
struct Counts {
    cases: u64,
    skipped: BTreeMap<&'static str, u64>,
    failures: BTreeMap<String, u64>,
}

/// Runs every `jobs`th case from the first one on until the time is up. Returns whether there was
/// no failure.
pub fn run(options: &Options, job: u64) -> Result<bool> {
    // Compiles on this thread, since handing over a small function takes longer than compiling it.
    let compiler = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread();
    compiler
        .build_global()
        .context("cannot set up the compiler's thread")?;
    let engines = engines()?;
    // Panics are saved as failures. Printing them would print one message for each attempt to
    // reduce the input.
    std::panic::set_hook(Box::new(|panic| {
        *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    let state = state(options, job);
    let state =
        File::create(&state).with_context(|| format!("cannot write {}", state.display()))?;
    let start = Instant::now();
    let mut last_report = start;
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut number = options.seed;
    while start.elapsed() < Duration::from_secs(options.seconds) {
        let at = At {
            case: number,
            is_saved: false,
        };
        at.write(&state)?;
        let (target, input) = case(options, number);
        let counts_here = counts.entry(target.name()).or_default();
        counts_here.cases += 1;
        match target.run(&input, &engines) {
            Ok(Outcome::Held) => {}
            Ok(Outcome::Skipped(reason)) => *counts_here.skipped.entry(reason).or_default() += 1,
            Err(failure) => {
                let seen = counts_here.failures.entry(kind(&failure)).or_default();
                *seen += 1;
                if *seen <= SAVED {
                    let wanted = kind(&failure);
                    let failure = with_place(failure);
                    // Saved first, since a reduced input may end the process.
                    let folder = save(&options.out, target, number, &input, &failure)?;
                    println!("FAILURE in {}: {}", folder.display(), failure.what);
                    At {
                        is_saved: true,
                        ..at
                    }
                    .write(&state)?;
                    if let Some((input, failure)) = reduced(target, &input, &wanted, &engines) {
                        save(&options.out, target, number, &input, &failure)?;
                    }
                }
            }
        }
        if last_report.elapsed() > REPORT {
            last_report = Instant::now();
            report(start, &counts, number);
        }
        number += options.jobs;
    }
    report(start, &counts, number);
    Ok(counts.values().all(|counts| counts.failures.is_empty()))
}

/// The message of the last panic, with its location.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Adds its location to a panic.
fn with_place(mut failure: Failure) -> Failure {
    if failure.what.starts_with("panic") {
        failure.what = LAST_PANIC
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
    }
    failure
}

/// Returns the words of a failure without names and numbers, which failures of the same cause are
/// likely to share.
fn kind(failure: &Failure) -> String {
    let words = failure.what.split_whitespace();
    let plain = words.filter(|word| word.chars().all(|char| char.is_alphabetic() || char == ','));
    plain.collect::<Vec<_>>().join(" ")
}

/// Reduces an input as long as it shows a failure of the same kind. Returns `None` if it cannot be
/// reduced.
fn reduced(
    target: FuzzTarget,
    input: &[u8],
    wanted: &str,
    engines: &Engines,
) -> Option<(Vec<u8>, Failure)> {
    let mut last = None;
    let end = Instant::now() + REDUCING;
    let input = reduce(input, |candidate| {
        if Instant::now() >= end {
            return ControlFlow::Break(());
        }
        let failure = target.run(candidate, engines).err();
        let failure = failure
            .filter(|failure| kind(failure) == wanted)
            .map(with_place);
        let fails = failure.is_some();
        last = failure.or(last.take());
        ControlFlow::Continue(fails)
    });
    Some((input, last?))
}

fn report(start: Instant, counts: &BTreeMap<&str, Counts>, number: u64) {
    let seconds = start.elapsed().as_secs_f64();
    // The first field is the time on a processor, in nanoseconds.
    let times = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let busy = times
        .split(' ')
        .next()
        .and_then(|time| time.parse::<f64>().ok())
        .unwrap_or_default()
        / 1e9;
    let total: u64 = counts.values().map(|counts| counts.cases).sum();
    println!(
        "{seconds:.0} s, {busy:.0} s of them on a processor, up to case {number}: {total} cases, \
         {:.0} per second",
        total as f64 / seconds
    );
    for (name, counts) in counts {
        let failures: u64 = counts.failures.values().sum();
        println!(
            "  {name}: {} cases, {failures} failures, skipped: {:?}",
            counts.cases, counts.skipped
        );
    }
}
