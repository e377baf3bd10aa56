//! The report: numbers of sources and cases by outcome, expected failures and problems.

use crate::Outcome;
use crate::expectations::Expectations;
use crate::matrix::Cell;
use crate::suite::{Case, Source, Test};
use mintage::error::Result;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The outcome of all sources and cases.
#[derive(Default)]
pub struct Report {
    sources: BTreeMap<String, SourceCounts>,
    excluded: BTreeMap<String, usize>,
    cases: BTreeMap<String, CaseCounts>,
    cells: Vec<&'static str>,
    expected_failures: Vec<String>,
    tests: usize,
    all_cases: usize,
    /// Unexpected failures, and wrong entries of the list.
    pub problems: Vec<String>,
}

#[derive(Default)]
struct SourceCounts {
    built: usize,
    excluded: usize,
    failed: usize,
}

#[derive(Default)]
struct CaseCounts {
    ran: usize,
    passed: Vec<usize>,
}

impl Report {
    /// Adds a source that was not built.
    pub fn excluded(&mut self, source: &Source, reason: String) {
        self.sources
            .entry(source.language.to_string())
            .or_default()
            .excluded += 1;
        *self.excluded.entry(reason).or_default() += 1;
    }

    /// Adds the outcome of building a source, and returns the component.
    pub fn built(
        &mut self,
        source: &Source,
        outcome: Result<PathBuf>,
        expectations: &Expectations,
    ) -> Option<PathBuf> {
        let counts = self.sources.entry(source.language.to_string()).or_default();
        match (outcome, expectations.reason(&source.name)) {
            (Ok(path), None) => {
                counts.built += 1;
                return Some(path);
            }
            (Ok(_), Some(_)) => {
                let name = &source.name;
                self.problems.push(format!(
                    "{name} is listed, but can be built: delete the entry"
                ));
            }
            (Err(_), Some(reason)) => {
                counts.excluded += 1;
                *self.excluded.entry(reason.to_string()).or_default() += 1;
            }
            (Err(error), None) => {
                counts.failed += 1;
                self.problems.push(format!("{}: {error:#}", source.name));
            }
        }
        None
    }

    /// Adds the outcome of a case in all `cells`.
    pub fn ran(
        &mut self,
        case: &Case<'_>,
        outcome: Outcome,
        cells: &[Cell],
        expectations: &Expectations,
    ) {
        self.cells = cells.iter().map(|cell| cell.name).collect();
        let name = case.name();
        let counts = self.cases.entry(case.languages()).or_default();
        counts.ran += 1;
        counts.passed.resize(cells.len(), 0);
        let mut failures = Vec::new();
        match outcome {
            Ok(outcomes) => {
                for (index, outcome) in outcomes.into_iter().enumerate() {
                    match outcome {
                        Ok(()) => counts.passed[index] += 1,
                        Err(error) => failures.push((cells[index].name, format!("{error:#}"))),
                    }
                }
            }
            Err(error) => failures.push(("all cells", format!("{error:#}"))),
        }
        // Most failures are the same in all cells.
        if failures.len() == cells.len()
            && failures.iter().all(|failure| failure.1 == failures[0].1)
        {
            failures.truncate(1);
            failures[0].0 = "all cells";
        }
        let failures = failures
            .iter()
            .map(|(cell, error)| format!("{name} ({cell}): {error}"))
            .collect::<Vec<_>>();
        match expectations.reason(&name) {
            None => self.problems.extend(failures),
            Some(_) if failures.is_empty() => self
                .problems
                .push(format!("{name} is listed, but passes: delete the entry")),
            Some(reason) => self.expected_failures.push(format!("{name}: {reason}")),
        }
    }

    /// Counts the cases that could be run with all toolchains.
    pub fn count_all_cases(&mut self, tests: &[&Test]) {
        self.tests = tests.len();
        self.all_cases = tests.iter().map(|test| test.cases(|_| true).len()).sum();
    }

    /// Adds a problem for each entry whose name does not exist.
    pub fn unused(&mut self, expectations: &Expectations) {
        let complaint = |name| format!("{name} is listed, but there is nothing of that name");
        self.problems.extend(expectations.unused().map(complaint));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total =
            |count: fn(&SourceCounts) -> usize| self.sources.values().map(count).sum::<usize>();
        let (built, excluded, failed) = (
            total(|c| c.built),
            total(|c| c.excluded),
            total(|c| c.failed),
        );
        writeln!(
            f,
            "{} tests with {} sources: {built} built, {excluded} excluded, {failed} failed",
            self.tests,
            built + excluded + failed
        )?;
        for (language, counts) in &self.sources {
            let SourceCounts {
                built,
                excluded,
                failed,
            } = counts;
            writeln!(
                f,
                "  {language:8} {built:4} built {excluded:4} excluded {failed:4} failed"
            )?;
        }
        if !self.excluded.is_empty() {
            writeln!(f, "excluded sources:")?;
        }
        for (reason, count) in &self.excluded {
            writeln!(f, "  {count:4}  {reason}")?;
        }
        let ran = self.cases.values().map(|counts| counts.ran).sum::<usize>();
        writeln!(
            f,
            "{ran} cases of {} could be run; of these pass:",
            self.all_cases
        )?;
        for (index, cell) in self.cells.iter().enumerate() {
            let passed = self
                .cases
                .values()
                .map(|counts| counts.passed[index])
                .sum::<usize>();
            writeln!(f, "  {passed:4}  {cell}")?;
        }
        writeln!(
            f,
            "languages, and cases that pass in each cell in this order:"
        )?;
        for (languages, counts) in &self.cases {
            writeln!(
                f,
                "  {languages:24} {:4} run, pass {:?}",
                counts.ran, counts.passed
            )?;
        }
        for failure in &self.expected_failures {
            writeln!(f, "expected failure: {failure}")?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        Ok(())
    }
}
