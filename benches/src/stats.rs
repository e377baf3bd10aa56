//! From samples to the few numbers that are reported.

/// What is reported of a set of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The middle sample: half are smaller.
    pub median: f64,
    /// A quarter of the samples are smaller.
    pub lower_quartile: f64,
    /// A quarter of the samples are larger.
    pub upper_quartile: f64,
    /// How many samples there were.
    pub samples: usize,
}

impl Summary {
    /// Summarizes samples, of which there must be some; `None` when there are none.
    pub fn new(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        Some(Self {
            median: quantile(&samples, 0.5)?,
            lower_quartile: quantile(&samples, 0.25)?,
            upper_quartile: quantile(&samples, 0.75)?,
            samples: samples.len(),
        })
    }

    /// Half the distance between the quartiles, as a part of the median: how far a typical sample
    /// is off.
    pub fn spread(&self) -> f64 {
        (self.upper_quartile - self.lower_quartile) / 2.0 / self.median
    }
}

/// The geometric mean; `None` when there are no values.
pub fn geometric_mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<f64> = values.map(f64::ln).collect();
    let count = (!logarithms.is_empty()).then_some(logarithms.len())?;
    Some((logarithms.iter().sum::<f64>() / count as f64).exp())
}

/// The sample at a `fraction` of the way through sorted samples; between two samples, the mean
/// weighted by nearness.
fn quantile(sorted: &[f64], fraction: f64) -> Option<f64> {
    let place = fraction * sorted.len().checked_sub(1)? as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles() {
        let summary = Summary::new(vec![5.0, 1.0, 4.0, 2.0, 3.0]).expect("there are samples");
        assert_eq!(
            summary,
            Summary {
                median: 3.0,
                lower_quartile: 2.0,
                upper_quartile: 4.0,
                samples: 5
            }
        );
        assert_eq!(summary.spread(), 1.0 / 3.0);
    }

    #[test]
    fn between_samples() {
        let summary = Summary::new(vec![1.0, 2.0]).expect("there are samples");
        assert_eq!(
            summary,
            Summary {
                median: 1.5,
                lower_quartile: 1.25,
                upper_quartile: 1.75,
                samples: 2
            }
        );
    }

    #[test]
    fn one_and_none() {
        assert_eq!(
            Summary::new(vec![7.0]).map(|summary| summary.median),
            Some(7.0)
        );
        assert_eq!(Summary::new(Vec::new()), None);
    }
}
