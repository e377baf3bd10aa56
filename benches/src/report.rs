//! Prints the comparison as a table or as JSON.

use crate::duel::Row;
use crate::metrics::Unit;
use crate::stats::Summary;
use anyhow::Result;
use serde_json::{Value, json};

/// The layout of the table.
pub struct Table {
    left: &'static str,
    right: &'static str,
    metric_width: usize,
}

const CELL_WIDTH: usize = 18;
const RATIO_WIDTH: usize = 8;

impl Table {
    /// Creates a table of two engines that is wide enough for the names of `metrics`.
    pub fn new<'name>(
        left: &'static str,
        right: &'static str,
        metrics: impl Iterator<Item = &'name str>,
    ) -> Self {
        Self {
            left,
            right,
            metric_width: metrics.map(|name| name.chars().count()).max().unwrap_or(0),
        }
    }

    /// Returns the lines above the rows. The columns of the engines contain the median and the
    /// spread of samples.
    pub fn header(&self) -> String {
        let titles = self.line("metric", self.left, self.right, "ratio");
        let rule = "-".repeat(titles.chars().count());
        format!("{titles}\n{rule}")
    }

    /// Formats a row. Errors follow on separate lines.
    pub fn row(&self, row: &Row) -> String {
        let ratio = row.ratio().map_or("-".to_string(), ratio);
        let mut text = self.line(
            &row.name(),
            &cell(row.unit, &row.left),
            &cell(row.unit, &row.right),
            &ratio,
        );
        for (engine, result) in [(self.left, &row.left), (self.right, &row.right)] {
            if let Err(error) = result {
                text.push_str(&format!("\n    {engine}: {error:#}"));
            }
        }
        text
    }

    fn line(&self, metric: &str, left: &str, right: &str, ratio: &str) -> String {
        let width = self.metric_width;
        format!("{metric:<width$} {left:>CELL_WIDTH$} {right:>CELL_WIDTH$} {ratio:>RATIO_WIDTH$}")
    }
}

/// Returns all rows with quartiles, in seconds or bytes.
pub fn json(left: &str, right: &str, rows: &[Row]) -> Value {
    let side = |result: &Result<Summary>| match result {
        Ok(summary) => json!({
            "median": summary.median,
            "lower_quartile": summary.lower_quartile,
            "upper_quartile": summary.upper_quartile,
            "samples": summary.samples,
        }),
        Err(error) => json!({ "error": format!("{error:#}") }),
    };
    rows.iter()
        .map(|row| {
            let unit = match row.unit {
                Unit::Seconds => "seconds",
                Unit::Bytes => "bytes",
            };
            json!({
                "metric": row.name(),
                "unit": unit,
                left: side(&row.left),
                right: side(&row.right),
                "ratio": row.ratio(),
            })
        })
        .collect()
}

fn cell(unit: Unit, result: &Result<Summary>) -> String {
    match (result, unit) {
        (Ok(summary), Unit::Seconds) => {
            format!(
                "{} ±{:>2.0}%",
                quantity(unit, summary.median),
                100.0 * summary.spread()
            )
        }
        (Ok(summary), Unit::Bytes) => quantity(unit, summary.median),
        (Err(_), _) => "error".to_string(),
    }
}

/// Formats a ratio with three decimals, or with five if it is small.
pub(crate) fn ratio(ratio: f64) -> String {
    match ratio {
        0.01.. => format!("{ratio:.3}"),
        _ => format!("{ratio:.5}"),
    }
}

/// Formats a quantity with three significant digits and a suitable unit.
pub(crate) fn quantity(unit: Unit, value: f64) -> String {
    let scales: &[(f64, &str)] = match unit {
        Unit::Seconds => &[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")],
        Unit::Bytes => &[(1e6, "MB"), (1e3, "kB"), (1.0, "B")],
    };
    let smallest = scales[scales.len() - 1];
    let (scale, name) = scales
        .iter()
        .copied()
        .find(|(scale, _)| value >= *scale)
        .unwrap_or(smallest);
    let scaled = value / scale;
    let decimals = match scaled {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{scaled:.decimals$} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Mode;
    use crate::metrics::Group;
    use anyhow::anyhow;

    fn row() -> Row {
        let left = Summary {
            median: 2e-6,
            lower_quartile: 1.9e-6,
            upper_quartile: 2.1e-6,
            samples: 9,
        };
        Row {
            subject: "load".to_string(),
            group: Group::Code,
            mode: Mode::Free,
            unit: Unit::Seconds,
            left: Ok(left),
            right: Err(anyhow!("no such file")),
        }
    }

    #[test]
    fn quantities() {
        let time = |seconds| quantity(Unit::Seconds, seconds);
        assert_eq!(
            [8.25, 0.0123, 4.5e-6, 27.34e-9, 0.2e-9].map(time),
            ["8.25 s", "12.3 ms", "4.50 µs", "27.3 ns", "0.20 ns"]
        );
        assert_eq!(quantity(Unit::Bytes, 27_123_456.0), "27.1 MB");
    }

    #[test]
    fn errors_follow_their_row() {
        let table = Table::new("A", "B", ["load"].into_iter());
        let text = table.row(&row());
        assert_eq!(
            text,
            "load       2.00 µs ± 5%              error        -\n    B: no such file"
        );
    }

    #[test]
    fn json_has_results_and_errors() {
        let value = json("A", "B", &[row()]);
        assert_eq!(value[0]["A"]["samples"], 9);
        assert_eq!(value[0]["B"]["error"], "no such file");
        assert_eq!(value[0]["ratio"], Value::Null);
    }
}
