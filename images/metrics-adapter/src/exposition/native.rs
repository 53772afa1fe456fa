//! Native (exponential, sparse) histograms.

use std::sync::LazyLock;

#[cfg(test)]
mod tests;

/// Values nearer to zero than this are zero: that of the Go client library.
const ZERO_THRESHOLD: f64 = f64::from_bits((1023 - 128) << 52);
/// Finest and coarsest resolution that the format knows.
const SCHEMA_MAX: i32 = 8;
const SCHEMA_MIN: i32 = -4;
/// Buckets of a histogram that was given no limit of its own.
const BUCKETS_MAX: usize = 4_096;
/// Buckets that one may have that must not grow, where its resolution can be halved.
const BUCKETS_LEAST: usize = 16;
/// Buckets of one side in the coarsest resolution, which spans all numbers.
const BUCKETS_COARSEST: usize = 72;

/// Upper bounds of the buckets of the finest schema between one half (without) and one (within);
/// every coarser schema has some of them.
static BOUNDS: LazyLock<[f64; 1 << SCHEMA_MAX]> =
    LazyLock::new(|| std::array::from_fn(|at| 0.5 * (at as f64 / 256.0).exp2()));

/// Observations in exponential buckets: bucket `i` of schema `s` holds values in
/// `(2^((i-1)*2^-s), 2^(i*2^-s)]`, negative values mirrored, and a zero bucket up to the threshold.
/// Source: Prometheus, native histogram specification.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeHistogram {
    schema: i32,
    buckets_max: usize,
    zero_count: f64,
    positive: Vec<(i32, f64)>,
    negative: Vec<(i32, f64)>,
}

/// Buckets as the wire has them: runs of neighbours, each so many after the one before.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spans {
    /// Empty buckets before the run (for the first: index of its first bucket), and its length.
    pub(super) runs: Vec<(i32, u32)>,
    /// Observations of each bucket of each run.
    pub(super) counts: Vec<f64>,
}

// === impl NativeHistogram ===

impl NativeHistogram {
    /// Bytes on the heap that one may have that must not grow.
    pub(crate) const BYTES_LEAST: usize = 2 * BUCKETS_COARSEST * size_of::<(i32, f64)>();

    /// An empty histogram whose buckets grow by at most `factor` each; `None` when that is not more
    /// than one. With more than `buckets_max` of them its resolution is halved; 0 stands for 4,096.
    #[must_use]
    pub fn new(factor: f64, buckets_max: u32) -> Option<Self> {
        let schema = match factor.log2().log2().floor() {
            // Not more than one, or no number.
            _ if factor.partial_cmp(&1.0) != Some(std::cmp::Ordering::Greater) => return None,
            fine if fine <= f64::from(-SCHEMA_MAX) => SCHEMA_MAX,
            coarse if coarse >= f64::from(-SCHEMA_MIN) => SCHEMA_MIN,
            between => -(between as i32),
        };
        let buckets_max = match buckets_max as usize {
            0 => BUCKETS_MAX,
            given => given.min(BUCKETS_MAX),
        };
        Some(Self { schema, buckets_max, ..Self::default() })
    }

    /// Observes a value `weight` times; one that is not finite is none.
    pub fn observe(&mut self, value: f64, weight: f64) {
        self.observe_in(value, weight, self.buckets_max);
    }

    /// The same in the memory that it has, or [`Self::BYTES_LEAST`] where that is more; for that its
    /// resolution is halved.
    pub(crate) fn observe_within(&mut self, value: f64, weight: f64) {
        let capacity = self.positive.capacity() + self.negative.capacity();
        let buckets_max = capacity.max(BUCKETS_LEAST);
        self.observe_in(value, weight, buckets_max.min(self.buckets_max));
        if self.positive.capacity() + self.negative.capacity() > buckets_max {
            self.positive.shrink_to_fit();
            self.negative.shrink_to_fit();
        }
    }

    fn observe_in(&mut self, value: f64, weight: f64, buckets_max: usize) {
        if !value.is_finite() {
            return;
        }
        if value.abs() <= ZERO_THRESHOLD {
            self.zero_count = plus(self.zero_count, weight);
            return;
        }
        let index = index(value.abs(), self.schema);
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        match side.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => side[at].1 = plus(side[at].1, weight),
            Err(at) => {
                side.insert(at, (index, weight));
                while self.positive.len() + self.negative.len() > buckets_max
                    && self.schema > SCHEMA_MIN
                {
                    self.schema -= 1;
                    halve(&mut self.positive);
                    halve(&mut self.negative);
                }
            }
        }
    }

    /// Resolution: `2^schema` buckets to a power of two.
    #[must_use]
    pub fn schema(&self) -> i32 {
        self.schema
    }

    /// Width of the zero bucket to either side.
    #[must_use]
    pub fn zero_threshold(&self) -> f64 {
        ZERO_THRESHOLD
    }

    /// Observations in the zero bucket.
    #[must_use]
    pub fn zero_count(&self) -> f64 {
        self.zero_count
    }

    /// Index and observations of the buckets above zero, rising.
    #[must_use]
    pub fn positive(&self) -> &[(i32, f64)] {
        &self.positive
    }

    /// Index and observations of the buckets below zero, away from it.
    #[must_use]
    pub fn negative(&self) -> &[(i32, f64)] {
        &self.negative
    }

    /// All observations.
    #[must_use]
    pub fn count(&self) -> f64 {
        let buckets = self.positive.iter().chain(&self.negative);
        buckets.fold(self.zero_count, |sum, (_, count)| plus(sum, *count))
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        (self.positive.capacity() + self.negative.capacity()) * size_of::<(i32, f64)>()
    }
}

// === impl Spans ===

impl Spans {
    /// Gaps of up to two buckets are cheaper filled than told.
    pub(super) fn fill(&mut self, buckets: &[(i32, f64)]) {
        self.runs.clear();
        self.counts.clear();
        let mut next = 0;
        for &(index, count) in buckets {
            let gap = index - next;
            match self.runs.last_mut() {
                Some((_, length)) if gap <= 2 => {
                    *length += gap.unsigned_abs() + 1;
                    self.counts.resize(self.counts.len() + gap.unsigned_abs() as usize, 0.0);
                }
                _ => self.runs.push((gap, 1)),
            }
            self.counts.push(count);
            next = index + 1;
        }
    }
}

/// The bucket of a value above [`ZERO_THRESHOLD`]; such a value has all its bits.
fn index(value: f64, schema: i32) -> i32 {
    let bits = value.to_bits();
    let exponent = (bits >> 52) as i32 - 1022;
    let fraction = f64::from_bits(bits & ((1 << 52) - 1) | 1022 << 52);
    if schema > 0 {
        let step = 1 << (SCHEMA_MAX - schema);
        let above = BOUNDS.partition_point(|bound| *bound < fraction) as i32;
        // Rounded up to a bound that this schema has.
        (above + step - 1) / step + (exponent - 1) * (1 << schema)
    } else {
        let power = exponent - i32::from(fraction == 0.5);
        (power + (1 << -schema) - 1) >> -schema
    }
}

/// Counts end at the largest number: a page cannot tell infinitely many.
fn plus(count: f64, more: f64) -> f64 {
    (count + more).min(f64::MAX)
}

/// Merges each bucket with an odd index into the one after it.
fn halve(buckets: &mut Vec<(i32, f64)>) {
    for (index, _) in buckets.iter_mut() {
        *index = (*index + 1) >> 1;
    }
    buckets.dedup_by(|from, into| {
        let same = from.0 == into.0;
        if same {
            into.1 = plus(into.1, from.1);
        }
        same
    });
}
