//! Measures two engines side by side. Their samples alternate, so that a disturbance of the machine
//! affects both.

use crate::contender::{Contender, Mode};
use crate::lab::{Lab, Labs};
use crate::metrics::{self, Cadence, Group, Metric, Probe, Unit};
use crate::stats::Summary;
use anyhow::{Context, Result, anyhow};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The number and length of samples.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Number of samples of a metric that takes seconds.
    few: usize,
    /// Number of samples of a short metric.
    many: usize,
    /// Target duration of a sample of a short metric.
    sample_time: Duration,
}

impl Effort {
    /// Enough samples to see differences of a few per cent. A sample is shorter than a time slice
    /// of the operating system's scheduler, so that most samples, and thus the median, are
    /// uninterrupted even on a busy machine.
    pub const FULL: Self = Self {
        few: 3,
        many: 301,
        sample_time: Duration::from_millis(1),
    };
    /// Enough samples to see whether everything works.
    pub const QUICK: Self = Self {
        few: 1,
        many: 31,
        sample_time: Duration::from_millis(1),
    };
}

/// One row of the comparison.
pub struct Row {
    /// Name of the metric, without the mode.
    pub subject: String,
    /// The group of the metric.
    pub group: Group,
    /// The mode of the engines.
    pub mode: Mode,
    /// The unit of the results.
    pub unit: Unit,
    /// The first engine's result.
    pub left: Result<Summary>,
    /// The second engine's result.
    pub right: Result<Summary>,
}

impl Row {
    /// Returns the name of the metric, with the mode.
    pub fn name(&self) -> String {
        metrics::name(&self.subject, self.mode)
    }

    /// Returns the first engine's median.
    pub fn left_median(&self) -> Option<f64> {
        Some(self.left.as_ref().ok()?.median)
    }

    /// Returns the second engine's median.
    pub fn right_median(&self) -> Option<f64> {
        Some(self.right.as_ref().ok()?.median)
    }

    /// Returns the first engine's median divided by the second's.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.left_median()? / self.right_median()?)
    }
}

/// Two engines to compare.
pub struct Duel<Left: Contender, Right: Contender> {
    left: Labs<Left>,
    right: Labs<Right>,
    effort: Effort,
}

impl<Left: Contender, Right: Contender> Duel<Left, Right> {
    /// Creates a comparison. Engines are created when a metric first uses them.
    pub fn new(effort: Effort) -> Self {
        Self {
            left: Labs::new(),
            right: Labs::new(),
            effort,
        }
    }

    /// Measures the metrics whose names `wanted` accepts. Passes each row to `report` when it is
    /// complete.
    pub fn run(&self, wanted: impl Fn(&str) -> bool, mut report: impl FnMut(&Row)) -> Vec<Row> {
        let mut rows = Vec::new();
        for (left, right) in metrics::all().into_iter().zip(metrics::all()) {
            if wanted(&left.name()) {
                let row = self.measure(left, &right);
                report(&row);
                rows.push(row);
            }
        }
        rows
    }

    fn measure(&self, left: Metric<Left>, right: &Metric<Right>) -> Row {
        let labs = (self.left.get(left.mode), self.right.get(right.mode));
        let mut sides = [
            Side::new(left.cadence, self.effort, prepare(&left, &labs.0)),
            Side::new(right.cadence, self.effort, prepare(right, &labs.1)),
        ];
        let samples = match left.cadence {
            Cadence::Once => 1,
            Cadence::Few => self.effort.few,
            Cadence::Many => self.effort.many,
        };
        for _ in 0..samples {
            for side in &mut sides {
                side.sample();
            }
        }
        let [left_side, right_side] = sides;
        Row {
            subject: left.subject,
            group: left.group,
            mode: left.mode,
            unit: left.unit,
            left: left_side.summary(),
            right: right_side.summary(),
        }
    }
}

/// Runs the metrics of one engine whose names `wanted` accepts, for `time` each or a little longer.
pub fn run_alone<C: Contender>(wanted: impl Fn(&str) -> bool, time: Duration) -> Result<()> {
    let labs = Labs::<C>::new();
    for metric in metrics::all() {
        if !wanted(&metric.name()) {
            continue;
        }
        if let Probe::Time(mut run) = prepare(&metric, &labs.get(metric.mode))? {
            let iterations = calibrate(&mut run, Effort::FULL.sample_time)?;
            let start = Instant::now();
            while start.elapsed() < time {
                run(iterations)?;
            }
        }
    }
    Ok(())
}

/// Prepares a metric, unless its engine could not be created.
fn prepare<'lab, C: Contender>(
    metric: &Metric<C>,
    lab: &'lab Result<Rc<Lab<C>>>,
) -> Result<Probe<'lab>> {
    match lab {
        Ok(lab) => (metric.prepare)(lab),
        Err(error) => Err(anyhow!("{error:#}")),
    }
}

/// The measurement of one engine for a row. After an error it takes no more samples; the other side
/// continues.
struct Side<'lab> {
    state: Result<Active<'lab>>,
}

struct Active<'lab> {
    probe: Probe<'lab>,
    /// The number of iterations in a sample.
    iterations: u64,
    samples: Vec<f64>,
}

impl<'lab> Side<'lab> {
    fn new(cadence: Cadence, effort: Effort, probe: Result<Probe<'lab>>) -> Self {
        let state = probe.and_then(|mut probe| {
            let iterations = match (cadence, &mut probe) {
                (Cadence::Many, Probe::Time(run)) => calibrate(run, effort.sample_time)?,
                _ => 1,
            };
            Ok(Active {
                probe,
                iterations,
                samples: Vec::new(),
            })
        });
        Self { state }
    }

    fn sample(&mut self) {
        let Ok(active) = &mut self.state else { return };
        if let Err(error) = active.sample() {
            self.state = Err(error);
        }
    }

    fn summary(self) -> Result<Summary> {
        Summary::new(self.state?.samples).context("no sample was taken")
    }
}

impl Active<'_> {
    fn sample(&mut self) -> Result<()> {
        let value = match &mut self.probe {
            Probe::Time(run) => run(self.iterations)?.as_secs_f64() / self.iterations as f64,
            Probe::Size(bytes) => *bytes as f64,
        };
        self.samples.push(value);
        Ok(())
    }
}

/// Returns the number of iterations that take about the time `wanted`. Finding it also warms up the
/// measured code.
fn calibrate(run: &mut dyn FnMut(u64) -> Result<Duration>, wanted: Duration) -> Result<u64> {
    let mut iterations = 1;
    loop {
        // The minimum of three runs leaves out interruptions.
        let time = run(iterations)?.min(run(iterations)?).min(run(iterations)?);
        if time >= wanted / 4 {
            let scale = wanted.as_secs_f64() / time.as_secs_f64();
            return Ok(((iterations as f64 * scale) as u64).max(1));
        }
        iterations *= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn calibration_fills_the_sample() -> Result<()> {
        let wanted = Duration::from_millis(8);
        let take = |nanos: u64| move |iterations: u64| Ok(Duration::from_nanos(nanos * iterations));
        assert_eq!(calibrate(&mut take(1_000), wanted)?, 8_000);
        assert_eq!(calibrate(&mut take(10_000_000), wanted)?, 1);
        Ok(())
    }

    #[test]
    fn an_error_ends_one_side() {
        let probe = Probe::Time(Box::new(|_| bail!("it broke")));
        let mut side = Side::new(Cadence::Few, Effort::QUICK, Ok(probe));
        side.sample();
        side.sample();
        let error = side.summary().expect_err("the probe fails");
        assert_eq!(error.to_string(), "it broke");
    }
}
