//! Counts of durations, in nanoseconds, in buckets at most 1.6 % wide: recording costs one shift
//! and one addition, so that the load generator stays cheap.

use std::time::Duration;

/// Buckets per power of two.
const PER_OCTAVE: usize = 64;
/// Enough for any `u64`.
const BUCKETS: usize = 59 * PER_OCTAVE;

/// Durations and how often each occurred.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

// === impl Histogram ===

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    /// Counts a duration once.
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanoseconds)] += 1;
        self.total += 1;
    }

    /// The duration, in microseconds, that the share `quantile` of all does not exceed; the upper
    /// end of its bucket. 0 when nothing was recorded.
    pub(crate) fn microseconds_at(&self, quantile: f64) -> f64 {
        let rank = ((self.total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper_end(index)).as_secs_f64() * 1e6;
            }
        }
        0.0
    }
}

fn bucket(value: u64) -> usize {
    let octave = 63_u32.saturating_sub((value | 1).leading_zeros());
    let shift = octave.saturating_sub(6);
    let within = usize::try_from(value >> shift).unwrap_or(usize::MAX);
    shift as usize * PER_OCTAVE + within
}

fn upper_end(bucket: usize) -> u64 {
    let shift = (bucket / PER_OCTAVE).saturating_sub(1);
    let within = (bucket - shift * PER_OCTAVE) as u128;
    let end = ((within + 1) << shift) - 1;
    u64::try_from(end).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
