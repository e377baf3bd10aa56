//! Summarizes all rows in a few sentences.

use crate::contender::Mode;
use crate::duel::Row;
use crate::metrics::{Group, ONE_THREAD, TWO_THREADS};
use crate::stats::geometric_mean;

/// Returns a sentence for each summary whose rows were measured.
pub fn sentences(left: &str, right: &str, rows: &[Row]) -> Vec<String> {
    let mut sentences = Vec::new();
    sentences.extend(kernels(left, right, rows));
    for mode in Mode::ALL {
        sentences.extend(cost(left, right, mode, rows));
    }
    sentences.extend(threads(left, right, rows));
    sentences
}

fn kernels(left: &str, right: &str, rows: &[Row]) -> Option<String> {
    let kernels = rows
        .iter()
        .filter(|row| row.group == Group::Kernels && row.mode == Mode::Free);
    let ratios: Vec<(f64, &str)> = kernels
        .filter_map(|row| Some((row.ratio()?, &*row.subject)))
        .collect();
    let mean = geometric_mean(ratios.iter().map(|&(ratio, _)| ratio))?;
    let (worst, name) = ratios.iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(format!(
        "{} kernels: {left} takes {mean:.3} of the time of {right} (geometric mean), {worst:.3} at \
         worst ({name}).",
        ratios.len()
    ))
}

/// Compares the time of each engine's kernels in a mode with that in [`Mode::Free`].
fn cost(left: &str, right: &str, mode: Mode, rows: &[Row]) -> Option<String> {
    let pairs: Vec<(&Row, &Row)> = rows
        .iter()
        .filter(|row| row.group == Group::Kernels && row.mode == mode && mode != Mode::Free)
        .filter_map(|row| {
            let free = |other: &&Row| other.subject == row.subject && other.mode == Mode::Free;
            Some((rows.iter().find(free)?, row))
        })
        .collect();
    let times = |side: fn(&Row) -> Option<f64>| {
        let ratios = pairs
            .iter()
            .filter_map(|(free, row)| Some(side(row)? / side(free)?));
        geometric_mean(ratios)
    };
    let (left_times, right_times) = (times(Row::left_median)?, times(Row::right_median)?);
    Some(format!(
        "{} kernels, {}: {left} takes {left_times:.3} of its time otherwise, {right} \
         {right_times:.3}.",
        pairs.len(),
        mode.name()
    ))
}

fn threads(left: &str, right: &str, rows: &[Row]) -> Option<String> {
    let find = |subject: &str| rows.iter().find(|row| row.subject == subject);
    let (one, two) = (find(ONE_THREAD)?, find(TWO_THREADS)?);
    Some(format!(
        "Two threads serve {:.2} times the requests of one in {left}, {:.2} times in {right}.",
        one.left_median()? / two.left_median()?,
        one.right_median()? / two.right_median()?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Unit;
    use crate::stats::Summary;
    use anyhow::anyhow;

    fn row(group: Group, subject: &str, mode: Mode, left: f64, right: f64) -> Row {
        let summary =
            |median| Summary::new(vec![median]).ok_or_else(|| anyhow!("there is a sample"));
        Row {
            subject: subject.to_string(),
            group,
            mode,
            unit: Unit::Seconds,
            left: summary(left),
            right: summary(right),
        }
    }

    #[test]
    fn means_and_costs() {
        let rows = [
            row(Group::Kernels, "a", Mode::Free, 1.0, 2.0),
            row(Group::Kernels, "b", Mode::Free, 4.0, 2.0),
            row(Group::Kernels, "a", Mode::Interruptible, 1.5, 2.0),
            row(Group::Instances, ONE_THREAD, Mode::Free, 4.0, 6.0),
            row(Group::Instances, TWO_THREADS, Mode::Free, 2.0, 4.0),
        ];
        assert_eq!(
            sentences("A", "B", &rows),
            [
                "2 kernels: A takes 1.000 of the time of B (geometric mean), 2.000 at worst (b).",
                "1 kernels, interruptible: A takes 1.500 of its time otherwise, B 1.000.",
                "Two threads serve 2.00 times the requests of one in A, 1.50 times in B.",
            ]
        );
        assert_eq!(sentences("A", "B", &[]), Vec::<String>::new());
    }
}
