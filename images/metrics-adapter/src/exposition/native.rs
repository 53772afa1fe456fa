//! Native (exponential, sparse) histograms.

/// Observations in exponential buckets: bucket `i` of schema `s` holds values in
/// `(2^((i-1)*2^-s), 2^(i*2^-s)]`, negative values mirrored, and a zero bucket up to the threshold.
/// Source: Prometheus, native histogram specification.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeHistogram {}
