//! The bodies by name, and what an input that fails is reduced to.

use crate::corrupt::corrupt;
use crate::differential::differential;
use crate::fuel::fuel;
use crate::hostile::hostile;
use crate::instances::instances;
use crate::mintage::{Mintage, Settings};
use crate::oracle::Oracle;
use crate::round_trip::round_trip;
use crate::verdict::{Failure, Verdict, skip_if_exhausted};
use arbitrary::Unstructured;
use mintage::error::Result;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};

/// A body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
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
    /// What it is compared with: an engine whose arithmetic gives any NaN, and one whose arithmetic
    /// gives one only.
    references: [Box<dyn Oracle>; 2],
}

impl Engines {
    /// Mintage under all [`Settings`], to be compared with an engine whose arithmetic gives any
    /// NaN, and with one whose arithmetic gives one only.
    ///
    /// # Errors
    ///
    /// When the threads that compile cannot be started.
    pub fn new(references: [Box<dyn Oracle>; 2]) -> Result<Engines> {
        let subjects = Settings::all().map(Mintage::new).collect::<Result<_>>()?;
        Ok(Engines {
            subjects,
            references,
        })
    }

    /// Two that count fuel, and whose arithmetic gives the NaNs of `subject`.
    fn pair_that_counts(
        &self,
        u: &mut Unstructured<'_>,
        subject: &Mintage,
    ) -> arbitrary::Result<[&Mintage; 2]> {
        let nans = subject.settings().canonical_nans;
        let fits = |settings: Settings| settings.consume_fuel && settings.canonical_nans == nans;
        let able: Vec<_> = self
            .subjects
            .iter()
            .filter(|peer| fits(peer.settings()))
            .collect();
        Ok([*u.choose(&able)?, *u.choose(&able)?])
    }
}

impl Target {
    /// Every body.
    pub const ALL: [Target; 6] = [
        Target::Differential,
        Target::RoundTrip,
        Target::Corrupt,
        Target::Hostile,
        Target::Instances,
        Target::Fuel,
    ];

    /// The body's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Target::Differential => "differential",
            Target::RoundTrip => "round-trip",
            Target::Corrupt => "corrupt",
            Target::Hostile => "hostile",
            Target::Instances => "instances",
            Target::Fuel => "fuel",
        }
    }

    /// Runs the body on an input.
    ///
    /// # Errors
    ///
    /// When the body finds a failure, or panics.
    pub fn run(self, input: &[u8], engines: &Engines) -> Verdict {
        let run = || {
            let mut u = Unstructured::new(input);
            let subject = match u.choose(&engines.subjects) {
                Ok(subject) => subject,
                Err(error) => return skip_if_exhausted(Err(error)),
            };
            let reference = &*engines.references[usize::from(subject.settings().canonical_nans)];
            match self {
                Target::Differential => differential(&mut u, subject, reference),
                Target::RoundTrip => round_trip(&mut u, &[subject, reference]),
                Target::Corrupt => corrupt(&mut u, subject, reference),
                Target::Hostile => hostile(&mut u, subject),
                Target::Instances => instances(&mut u, subject),
                Target::Fuel => match engines.pair_that_counts(&mut u, subject) {
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

/// Reduces an input as long as it fails: cuts off its end, takes pieces out, makes pieces zero.
/// `fails` says whether an input does, or breaks off when there should be no more runs.
pub fn reduce(input: &[u8], fails: impl FnMut(&[u8]) -> ControlFlow<(), bool>) -> Vec<u8> {
    let mut best = input.to_vec();
    // What is broken off leaves the smallest input so far.
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
