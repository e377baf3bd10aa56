//! Runs cases.

use crate::Options;
use crate::save::save;
use crate::wasmtime::Wasmtime;
use anyhow::{Context, Result, bail};
use mintage_fuzzing::{Engines, Failure, Numbers, Outcome, Target, reduce};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a kind of failure is saved.
const SAVED: u64 = 3;

/// How long failing inputs are tried again to make them smaller, which is less than what a case may
/// take.
const REDUCING: Duration = Duration::from_secs(20);

/// How often there is a report.
const REPORT: Duration = Duration::from_secs(60);

/// The target of a case and its input.
pub fn case(options: &Options, number: u64) -> (Target, Vec<u8>) {
    // Most of the time goes where most of the machine code is.
    const TURNS: [Target; 9] = [
        Target::Differential,
        Target::RoundTrip,
        Target::Differential,
        Target::Instances,
        Target::Differential,
        Target::Corrupt,
        Target::Differential,
        Target::Hostile,
        Target::Fuel,
    ];
    let target = options
        .target
        .unwrap_or(TURNS[number as usize % TURNS.len()]);
    (target, Numbers::new(number).input())
}

/// Where a process is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The number of the case.
    pub case: u64,
    /// Whether the case failed and is saved, so that what goes on is making it smaller.
    pub is_saved: bool,
}

impl At {
    /// Where the process says it is, if it has begun.
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

/// Where a process says which case it is at.
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

/// Runs a saved input: whether it has no failure.
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

/// How the cases of a target ended.
#[derive(Default)]
struct Counts {
    cases: u64,
    skipped: BTreeMap<&'static str, u64>,
    failures: BTreeMap<String, u64>,
}

/// Runs each `jobs`th case from the first one on for the time given: whether there was no failure.
pub fn run(options: &Options, job: u64) -> Result<bool> {
    // Compiles on this thread: a handover to another one takes longer than a small function.
    let compiler = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread();
    compiler
        .build_global()
        .context("cannot set up the compiler's thread")?;
    let engines = engines()?;
    // A panic is a failure that is saved; its message here would be one for each attempt to make
    // the input smaller.
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
                    // First of all, since a smaller input may be one that ends the process.
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

/// The message of the last panic, with its place.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Says of a panic where it was.
fn with_place(mut failure: Failure) -> Failure {
    if failure.what.starts_with("panic") {
        failure.what = LAST_PANIC
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
    }
    failure
}

/// What failures of one cause have in common, as a guess: the words, without names and numbers.
fn kind(failure: &Failure) -> String {
    let words = failure.what.split_whitespace();
    let plain = words.filter(|word| word.chars().all(|char| char.is_alphabetic() || char == ','));
    plain.collect::<Vec<_>>().join(" ")
}

/// The input made smaller, as long as it shows a failure of the same kind; nothing when it cannot
/// be.
fn reduced(
    target: Target,
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
    // Nanoseconds on a processor come first.
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
