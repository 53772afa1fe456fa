//! Histograms with fixed buckets, and beside them exponential ones where they are asked for.

use std::sync::Arc;

use super::{HistogramOptions, plus};
use crate::exposition::NativeHistogram;

/// Observations by bucket.
#[derive(Debug)]
pub(super) struct Histogram {
    options: Arc<HistogramOptions>,
    counts: Box<[f64]>,
    sum: f64,
    native: Option<NativeHistogram>,
}

/// Options with bounds that rise and are finite.
pub(super) fn checked(given: &HistogramOptions) -> HistogramOptions {
    let mut options = given.clone();
    options.buckets.retain(|bound| bound.is_finite());
    options.buckets.sort_by(f64::total_cmp);
    options.buckets.dedup();
    // Compared with others: NaN is not even equal to itself.
    if options.native_bucket_factor.is_nan() {
        options.native_bucket_factor = 0.0;
    }
    options
}

/// Bytes that one with these options may always have.
pub(super) fn reserved(options: &HistogramOptions) -> usize {
    let native = if options.native_bucket_factor > 1.0 { NativeHistogram::BYTES_LEAST } else { 0 };
    (options.buckets.len() + 1) * size_of::<f64>() + native
}

// === impl Histogram ===
impl Histogram {
    /// An empty one.
    pub(super) fn new(options: Arc<HistogramOptions>) -> Self {
        Self {
            counts: vec![0.0; options.buckets.len() + 1].into_boxed_slice(),
            sum: 0.0,
            native: NativeHistogram::new(options.native_bucket_factor, options.native_max_buckets),
            options,
        }
    }

    /// Observes a finite value; true when the size may have changed, or would have but for `grow`.
    pub(super) fn observe(&mut self, value: f64, weight: f64, grow: bool) -> bool {
        let at = self.options.buckets.partition_point(|bound| *bound < value);
        self.counts[at] = plus(self.counts[at], weight);
        self.sum = plus(self.sum, value * weight);
        let Some(native) = &mut self.native else { return false };
        let before = (native.bytes(), native.schema());
        if grow {
            native.observe(value, weight);
        } else {
            native.observe_within(value, weight);
        }
        (native.bytes(), native.schema()) != before
    }

    /// Bytes that it may always have.
    pub(super) fn reserved(&self) -> usize {
        reserved(&self.options)
    }

    pub(super) fn bounds(&self) -> &[f64] {
        &self.options.buckets
    }

    pub(super) fn counts(&self) -> &[f64] {
        &self.counts
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    pub(super) fn native(&self) -> Option<&NativeHistogram> {
        self.native.as_ref()
    }

    /// Bytes on the heap, shared options apart.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.counts) + self.native.as_ref().map_or(0, NativeHistogram::bytes)
    }
}
