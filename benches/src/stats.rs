//! Reduces samples to the numbers that are reported.

/// Median and quartiles of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Half of the samples are smaller.
    pub median: f64,
    /// A quarter of the samples are smaller.
    pub lower_quartile: f64,
    /// A quarter of the samples are larger.
    pub upper_quartile: f64,
    /// Number of samples.
    pub samples: usize,
}

impl Summary {
    /// Summarizes samples. Returns `None` if there are none.
    pub fn new(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        Some(Self {
            median: quantile(&samples, 0.5)?,
            lower_quartile: quantile(&samples, 0.25)?,
            upper_quartile: quantile(&samples, 0.75)?,
            samples: samples.len(),
        })
    }

    /// Returns half the distance between the quartiles, relative to the median. A typical sample
    /// differs this much from the median.
    pub fn spread(&self) -> f64 {
        (self.upper_quartile - self.lower_quartile) / 2.0 / self.median
    }
}

/// Returns the geometric mean, or `None` if there are no values.
pub fn geometric_mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<f64> = values.map(f64::ln).collect();
    let count = (!logarithms.is_empty()).then_some(logarithms.len())?;
    Some((logarithms.iter().sum::<f64>() / count as f64).exp())
}

/// Returns the sample at a `fraction` of the way through sorted samples, interpolated linearly
/// between two samples.
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
