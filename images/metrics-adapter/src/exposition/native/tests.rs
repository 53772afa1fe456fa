use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn a_factor_gives_the_coarsest_schema_that_keeps_it() {
    let table = [
        (1.002, Some(8)),
        (1.0027, Some(8)),
        (1.1, Some(3)),
        (1.2, Some(2)),
        (1.5, Some(1)),
        (2.0, Some(0)),
        (4.0, Some(-1)),
        (65_536.0, Some(-4)),
        (f64::INFINITY, Some(-4)),
        (1.000_001, Some(8)),
        (1.0, None),
        (0.0, None),
        (-3.0, None),
        (f64::NAN, None),
    ];
    for (factor, schema) in table {
        let native = NativeHistogram::new(factor, 0);
        assert_eq!(native.map(|native| native.schema()), schema, "{factor}");
    }
}

#[test]
fn powers_are_the_upper_bounds_of_their_buckets() {
    let table = [
        (1.0, 0, 0),
        (1.000_1, 0, 1),
        (2.0, 0, 1),
        (0.5, 0, -1),
        (1.0, 3, 0),
        (2.0, 3, 8),
        (0.75, 3, -3),
        (1.0, -1, 0),
        (2.0, -1, 1),
        (4.0, -1, 1),
        (4.1, -1, 2),
        (0.25, -1, -1),
        (0.3, -1, 0),
        (1e300, -4, 63),
        (1e-300, -4, -62),
    ];
    for (value, schema, expected) in table {
        assert_eq!(index(value, schema), expected, "{value} in schema {schema}");
    }
}

#[test]
fn what_is_near_zero_is_zero_and_what_is_not_finite_is_nothing() {
    let mut native = NativeHistogram::new(1.1, 0).unwrap();
    for value in [0.0, -0.0, 1e-40, -1e-40, 5e-324, ZERO_THRESHOLD, f64::NAN, f64::INFINITY] {
        native.observe(value, 1.0);
    }
    assert_eq!((native.zero_count(), native.count()), (6.0, 6.0));
}

#[test]
fn counts_end_at_the_largest_number() {
    // One that may have one bucket, so that buckets are merged too.
    for buckets_max in [0, 1] {
        let mut native = NativeHistogram::new(1.1, buckets_max).unwrap();
        for value in [0.0, 0.0, 1.0, 1.0, 1.5, -1.0, -1.0] {
            native.observe(value, 1e308);
        }
        let buckets = native.positive().iter().chain(native.negative());
        let counts: Vec<f64> = buckets.map(|(_, count)| *count).collect();
        assert!(counts.iter().chain([&native.zero_count()]).all(|it| it.is_finite()), "{counts:?}");
        assert_eq!(native.count(), f64::MAX);
    }
}

#[test]
fn spans_fill_small_gaps_and_tell_large_ones() {
    let mut spans = Spans::default();
    type Case<'a> = (&'a [i32], &'a [(i32, u32)], usize);
    let table: [Case<'_>; 5] = [
        (&[], &[], 0),
        (&[-5], &[(-5, 1)], 1),
        (&[0, 1, 2], &[(0, 3)], 3),
        (&[-1, 2], &[(-1, 4)], 4),
        (&[-7, -3, -2, 10], &[(-7, 1), (3, 2), (11, 1)], 4),
    ];
    for (indexes, runs, counts) in table {
        let buckets: Vec<(i32, f64)> = indexes.iter().map(|index| (*index, 1.0)).collect();
        spans.fill(&buckets);
        assert_eq!((&spans.runs[..], spans.counts.len()), (runs, counts), "{indexes:?}");
    }
}

/// Buckets by trying bound after bound.
fn naive(values: &[(f64, f64)], schema: i32) -> BTreeMap<i32, f64> {
    let growth = 2_f64.powi(-schema);
    let mut buckets = BTreeMap::new();
    for &(value, weight) in values {
        let mut index = -2_000;
        while (f64::from(index) * growth).exp2() < value {
            index += 1;
        }
        *buckets.entry(index).or_insert(0.0) += weight;
    }
    buckets
}

proptest! {
    #[test]
    fn buckets_are_those_of_a_naive_search(
        values in prop::collection::vec((-20.0..20.0_f64, 1..5_u8, any::<bool>()), 1..60),
        factor in prop::sample::select(vec![1.02, 1.1, 1.5, 2.0, 5.0, 300.0]),
        buckets_max in 2..40_u32,
    ) {
        let mut native = NativeHistogram::new(factor, buckets_max).unwrap();
        let mut sides = [Vec::new(), Vec::new()];
        let mut total = 0.0;
        for (power, weight, positive) in values {
            let (value, weight) = (power.exp2(), f64::from(weight));
            native.observe(if positive { value } else { -value }, weight);
            sides[usize::from(positive)].push((value, weight));
            total += weight;
        }
        let buckets = native.positive().len() + native.negative().len();
        prop_assert!(buckets <= buckets_max as usize || native.schema() == SCHEMA_MIN);
        for (side, buckets) in sides.iter().zip([native.negative(), native.positive()]) {
            let expected: Vec<(i32, f64)> = naive(side, native.schema()).into_iter().collect();
            prop_assert_eq!(buckets, &expected[..]);
        }
        prop_assert_eq!(native.count(), total);
    }
}
