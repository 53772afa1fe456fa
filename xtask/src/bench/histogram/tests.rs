use std::time::Duration;

use super::{BUCKETS, Histogram, bucket, upper_end};

#[test]
fn every_value_lies_in_a_narrow_bucket() {
    let mut values: Vec<u64> = (0..2_000).collect();
    values.extend((10..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]));
    values.push(u64::MAX);
    for value in values {
        let index = bucket(value);
        assert!(index < BUCKETS, "{value}");
        let end = upper_end(index);
        assert!(end >= value, "{value} above the end {end} of its bucket");
        assert!(end - value <= value / 64, "{value} far below {end}");
        assert!(index == 0 || upper_end(index - 1) < value, "{value}");
    }
}

#[test]
fn quantiles_are_ranks() {
    let mut histogram = Histogram::new();
    assert!(histogram.microseconds_at(0.5).abs() < f64::EPSILON);
    for microseconds in 1..=1_000 {
        histogram.record(Duration::from_micros(microseconds));
    }
    for (quantile, expected) in [(0.0, 1.0), (0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
        let found = histogram.microseconds_at(quantile);
        assert!((expected..expected * 1.016).contains(&found), "{quantile}: {found}");
    }
}
