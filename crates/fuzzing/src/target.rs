//! The bodies by name, and the reduction of an input that fails.

use crate::bodies::{corrupt, differential, fuel, hostile, instances, round_trip};
use crate::engines::{Mintage, Oracle, Settings};
use crate::verdict::{Failure, Verdict, skip_if_exhausted};
use arbitrary::Unstructured;
use mintage::error::Result;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};

/// A body by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FuzzTarget {
    /// [`differential`]
    Differential,
    /// [`round_trip`]
    RoundTrip,
    /// [`corrupt`]
    Corrupt,
    /// [`hostile`]
    Hostile,
    /// [`instances`]
    Instances,
    /// [`fuel`]
    Fuel,
}

/// The engines of a run.
pub struct Engines {
    /// Mintage under all settings.
    subjects: Vec<Mintage>,
    /// The engines to compare it with: one whose arithmetic may produce any NaN, and one whose
    /// arithmetic produces only one.
    references: [Box<dyn Oracle>; 2],
}

impl Engines {
    /// Creates Mintage under all [`Settings`], and compares it with `references`: an engine whose
    /// arithmetic may produce any NaN, and one whose arithmetic produces only one.
    ///
    /// # Errors
    ///
    /// If the engines' threads cannot be started.
    pub fn new(references: [Box<dyn Oracle>; 2]) -> Result<Engines> {
        let subjects = Settings::all().map(Mintage::new).collect::<Result<_>>()?;
        Ok(Engines {
            subjects,
            references,
        })
    }

    /// Returns two engines that count fuel by the same rules, and whose arithmetic produces the
    /// same NaNs.
    fn pair_that_counts(&self, u: &mut Unstructured<'_>) -> arbitrary::Result<[&Mintage; 2]> {
        let all = || self.subjects.iter();
        let counting: Vec<_> = all().filter(|it| it.settings().consume_fuel).collect();
        let first: &Mintage = *u.choose(&counting)?;
        let settings = first.settings();
        let peers: Vec<_> = all()
            .filter(|it| it.settings().counts_like(&settings))
            .filter(|it| it.settings().canonical_nans == settings.canonical_nans)
            .collect();
        Ok([first, *u.choose(&peers)?])
    }
}

impl FuzzTarget {
    /// All bodies.
    pub const ALL: [FuzzTarget; 6] = [
        FuzzTarget::Differential,
        FuzzTarget::RoundTrip,
        FuzzTarget::Corrupt,
        FuzzTarget::Hostile,
        FuzzTarget::Instances,
        FuzzTarget::Fuel,
    ];

    /// Returns the name of the body on the command line.
    pub fn name(self) -> &'static str {
        match self {
            FuzzTarget::Differential => "differential",
            FuzzTarget::RoundTrip => "round-trip",
            FuzzTarget::Corrupt => "corrupt",
            FuzzTarget::Hostile => "hostile",
            FuzzTarget::Instances => "instances",
            FuzzTarget::Fuel => "fuel",
        }
    }

    /// Runs the body on an input.
    ///
    /// # Errors
    ///
    /// If the body finds a failure, or panics.
    pub fn run(self, input: &[u8], engines: &Engines) -> Verdict {
        let run = || {
            let mut u = Unstructured::new(input);
            let subject = match u.choose(&engines.subjects) {
                Ok(subject) => subject,
                Err(error) => return skip_if_exhausted(Err(error)),
            };
            let reference = &*engines.references[usize::from(subject.settings().canonical_nans)];
            match self {
                FuzzTarget::Differential => differential(&mut u, subject, reference),
                FuzzTarget::RoundTrip => round_trip(&mut u, &[subject, reference]),
                FuzzTarget::Corrupt => corrupt(&mut u, subject, reference),
                FuzzTarget::Hostile => hostile(&mut u, subject),
                FuzzTarget::Instances => instances(&mut u, subject),
                FuzzTarget::Fuel => match engines.pair_that_counts(&mut u) {
                    Ok([subject, reference]) => fuel(&mut u, subject, reference),
                    Err(error) => skip_if_exhausted(Err(error)),
                },
            }
        };
        panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or(payload.downcast_ref::<&str>().copied())
                .unwrap_or("a panic");
            Err(Failure::new(format!("panic: {text}"), []))
        })
    }
}

/// Reduces an input that fails: cuts off its end, removes pieces and clears pieces, as long as the
/// result still fails.
///
/// `fails` returns whether an input fails, or breaks to end the reduction early.
pub fn reduce(input: &[u8], fails: impl FnMut(&[u8]) -> ControlFlow<(), bool>) -> Vec<u8> {
    let mut best = input.to_vec();
    // After a break, `best` is the smallest input so far.
    let _ = reduce_until_break(&mut best, fails);
    best
}

fn reduce_until_break(
    best: &mut Vec<u8>,
    mut fails: impl FnMut(&[u8]) -> ControlFlow<(), bool>,
) -> ControlFlow<()> {
    let mut attempt = |best: &mut Vec<u8>, candidate: Vec<u8>| {
        let is_better = fails(&candidate)?;
        if is_better {
            *best = candidate;
        }
        ControlFlow::Continue(is_better)
    };
    let mut size = best.len().next_power_of_two() / 2;
    while size > 0 {
        while best.len() > size {
            let shorter = best[..best.len() - size].to_vec();
            if !attempt(best, shorter)? {
                break;
            }
        }
        let mut at = 0;
        while at < best.len() {
            let end = (at + size).min(best.len());
            let without = [&best[..at], &best[end..]].concat();
            if attempt(best, without)? {
                continue;
            }
            if best[at..end].iter().any(|&byte| byte != 0) {
                let mut zeroed = best.clone();
                zeroed[at..end].fill(0);
                attempt(best, zeroed)?;
            }
            at = end;
        }
        size /= 2;
    }
    ControlFlow::Continue(())
}
