//! Runs many scripts in parallel, with a list of expected failures.
//!
//! The list is text with one entry per line: `script.wast:12 REASON` if the directive on line 12
//! fails, or `script.wast REASON` if the script is not run. Lines that start with `#` are comments.
//! To keep the list current, an entry whose directive passes is a problem, and so is an entry whose
//! script does not exist.

use crate::report::Report;
use crate::script::{self, STACK_SIZE};
use hashbrown::{HashMap, HashSet};
use mintage::Engine;
use mintage::error::{Context, Error, Result, bail, format_err};
use std::any::Any;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A script to run.
#[derive(Clone, Debug)]
pub struct Script {
    /// The name in messages and in the list of expected failures.
    pub name: String,
    /// The text of the script.
    pub text: String,
}

/// A list of expected failures.
#[derive(Clone, Debug, Default)]
pub struct Exclusions {
    scripts: HashMap<String, String>,
    directives: HashMap<(String, usize), String>,
}

impl Exclusions {
    /// Parses a list.
    ///
    /// # Errors
    ///
    /// Fails if an entry has no reason or is listed twice, or if a line number is not a number.
    pub fn parse(text: &str) -> Result<Exclusions> {
        let mut exclusions = Exclusions::default();
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (place, reason) = line
                .split_once(char::is_whitespace)
                .with_context(|| format!("`{line}`: no reason"))?;
            let reason = reason.trim().to_string();
            let before = match place.rsplit_once(':') {
                Some((script, number)) => {
                    let number = number
                        .parse()
                        .with_context(|| format!("`{place}`: not a line number"))?;
                    exclusions
                        .directives
                        .insert((script.to_string(), number), reason)
                }
                None => exclusions.scripts.insert(place.to_string(), reason),
            };
            if before.is_some() {
                bail!("`{place}` is listed twice");
            }
        }
        Ok(exclusions)
    }

    /// Returns the entries for scripts whose names start with `suite/`.
    pub fn of_suite(&self, suite: &str) -> Exclusions {
        let chosen = |script: &str| {
            script
                .strip_prefix(suite)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let mut exclusions = self.clone();
        exclusions.scripts.retain(|script, _| chosen(script));
        exclusions
            .directives
            .retain(|(script, _), _| chosen(script));
        exclusions
    }
}

/// The outcome of running many scripts.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Number of scripts that were run.
    pub scripts: usize,
    /// Number of scripts that were not run because they are listed.
    pub excluded_scripts: usize,
    /// Number of assertions that hold.
    pub assertions: usize,
    /// Number of other directives that succeeded.
    pub actions: usize,
    /// Number of directives that failed and are listed.
    pub expected_failures: usize,
    /// Number of directives that were not run because the directive that defines their instance
    /// failed.
    pub skipped: usize,
    /// Unexpected failures and wrong entries of the list, in the order of the scripts.
    pub problems: Vec<String>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} scripts: {} assertions and {} other directives pass; {} expected failures, {} \
             directives skipped, {} scripts excluded, {} problems",
            self.scripts,
            self.assertions,
            self.actions,
            self.expected_failures,
            self.skipped,
            self.excluded_scripts,
            self.problems.len()
        )
    }
}

/// Runs `scripts` on as many threads as the machine has processors. Scripts share no stores.
pub fn run_all(engine: &Engine, scripts: &[Script], exclusions: &Exclusions) -> Summary {
    let mut summary = Summary::default();
    let (excluded, chosen): (Vec<_>, Vec<_>) = scripts
        .iter()
        .partition(|script| exclusions.scripts.contains_key(&script.name));
    summary.excluded_scripts = excluded.len();
    summary.scripts = chosen.len();
    for (script, report) in chosen.iter().zip(run_parallel(engine, &chosen)) {
        match report {
            Ok(report) => summary.add(&script.name, &report, exclusions),
            Err(error) => summary.problems.push(format!("{}: {error:#}", script.name)),
        }
    }
    let known = scripts
        .iter()
        .map(|script| script.name.as_str())
        .collect::<HashSet<_>>();
    let listed = exclusions
        .scripts
        .keys()
        .chain(exclusions.directives.keys().map(|(script, _)| script));
    let mut unknown = listed
        .filter(|script| !known.contains(script.as_str()))
        .collect::<Vec<_>>();
    unknown.sort_unstable();
    unknown.dedup();
    summary.problems.extend(
        unknown
            .iter()
            .map(|script| format!("{script} is excluded but there is no such script")),
    );
    summary
}

fn run_parallel(engine: &Engine, scripts: &[&Script]) -> Vec<Result<Report>> {
    // Starting with the longest scripts keeps all threads busy until the end.
    let mut order = (0..scripts.len()).collect::<Vec<_>>();
    order.sort_by_key(|&index| std::cmp::Reverse(scripts[index].text.len()));
    let next = AtomicUsize::new(0);
    let reports = Mutex::new((0..scripts.len()).map(|_| None).collect::<Vec<_>>());
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(scripts.len());
    thread::scope(|scope| {
        for _ in 0..threads {
            let work = || {
                while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // A panic is a defect of the engine. The other scripts still run.
                    let run = || script::run(engine, &scripts[index].text);
                    let report = panic::catch_unwind(AssertUnwindSafe(run))
                        .unwrap_or_else(|payload| Err(panicked(&*payload)));
                    reports
                        .lock()
                        .expect("no thread panics while it holds the lock")[index] = Some(report);
                }
            };
            let thread = thread::Builder::new()
                .stack_size(STACK_SIZE)
                .spawn_scoped(scope, work);
            thread.expect("the system can start a thread per processor");
        }
    });
    let reports = reports
        .into_inner()
        .expect("no thread panics while it holds the lock");
    reports
        .into_iter()
        .map(|report| report.unwrap_or_else(|| bail!("the script was not run")))
        .collect()
}

fn panicked(payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("the payload is not text");
    format_err!("panicked: {text}")
}

impl Summary {
    fn add(&mut self, name: &str, report: &Report, exclusions: &Exclusions) {
        self.assertions += report.assertions;
        self.actions += report.actions;
        self.skipped += report.skipped.len();
        let listed = |line: usize| {
            exclusions
                .directives
                .contains_key(&(name.to_string(), line))
        };
        for failure in &report.failures {
            match listed(failure.line) {
                true => self.expected_failures += 1,
                false => self.problems.push(format!("{name}: {failure}")),
            }
        }
        // A listed directive that was skipped counts as one that does not fail: its entry hides
        // nothing and can be deleted.
        for (_, line) in exclusions
            .directives
            .keys()
            .filter(|(script, _)| script == name)
        {
            if !report.failures.iter().any(|failure| failure.line == *line) {
                self.problems.push(format!(
                    "{name}:{line} is listed as an expected failure, but passes: delete the entry"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Failure;

    fn report(failing: &[usize]) -> Report {
        let failure = |&line| Failure {
            line,
            directive: "assert_return",
            cause: "wrong".into(),
        };
        Report {
            assertions: 5,
            failures: failing.iter().map(failure).collect(),
            ..Report::default()
        }
    }

    #[test]
    fn listed_failures_are_expected_and_others_are_not() {
        let list = "# why\n a.wast:3 known\n\nb.wast not for us\n";
        let exclusions = Exclusions::parse(list).unwrap();
        let mut summary = Summary::default();
        summary.add("a.wast", &report(&[3]), &exclusions);
        assert_eq!((summary.expected_failures, summary.problems.len()), (1, 0));
        summary.add("a.wast", &report(&[3, 4]), &exclusions);
        assert_eq!(summary.problems, ["a.wast: line 4: assert_return: wrong"]);
    }

    #[test]
    fn a_listed_directive_that_passes_is_a_problem() {
        let exclusions = Exclusions::parse("a.wast:3 known").unwrap();
        let mut summary = Summary::default();
        summary.add("a.wast", &report(&[]), &exclusions);
        assert!(
            summary.problems[0].contains("a.wast:3"),
            "{:?}",
            summary.problems
        );
    }

    #[test]
    fn entries_need_reasons_and_are_unique() {
        for list in ["a.wast:3", "a.wast:x why", "a.wast why\na.wast why"] {
            assert!(Exclusions::parse(list).is_err(), "{list}");
        }
    }
}
