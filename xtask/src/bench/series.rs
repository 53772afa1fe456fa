//! The same figure from several rounds.

/// Figures of the rounds, in any order.
#[derive(Clone, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// The middle figure (the mean of the middle two); 0 when there is none.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match (sorted.len(), sorted.len() / 2) {
            (0, _) => 0.0,
            (length, middle) if length % 2 == 1 => sorted[middle],
            (_, middle) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// Highest less lowest, as a share of the median, in per cent.
    pub(crate) fn spread(&self) -> f64 {
        let highest = self.0.iter().copied().fold(f64::MIN, f64::max);
        let lowest = self.0.iter().copied().fold(f64::MAX, f64::min);
        let median = self.median();
        if median > 0.0 { (highest - lowest) / median * 100.0 } else { 0.0 }
    }
}

/// The smallest figure that a share of all do not exceed; 0 when there is none.
pub(crate) fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

impl FromIterator<f64> for Series {
    fn from_iter<T: IntoIterator<Item = f64>>(figures: T) -> Self {
        Self(figures.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Series, quantile};

    #[test]
    fn quantiles() {
        let figures: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (share, expected) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            assert!((quantile(&figures, share) - expected).abs() < 1e-9, "{share}");
        }
        assert!(quantile(&[], 0.5).abs() < 1e-9);
    }

    #[test]
    fn median_and_spread() {
        let series = |figures: &[f64]| figures.iter().copied().collect::<Series>();
        for (figures, median, spread) in [
            (&[][..], 0.0, 0.0),
            (&[7.0], 7.0, 0.0),
            (&[9.0, 1.0, 5.0], 5.0, 160.0),
            (&[4.0, 2.0], 3.0, 200.0 / 3.0),
        ] {
            let series = series(figures);
            assert!((series.median() - median).abs() < 1e-9, "{figures:?}");
            assert!((series.spread() - spread).abs() < 1e-9, "{figures:?}");
        }
    }
}
