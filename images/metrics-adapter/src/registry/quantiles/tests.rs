use proptest::prelude::*;

use super::*;

const TARGETS: [(f64, f64); 3] = [(0.5, 0.05), (0.9, 0.01), (0.99, 0.001)];

/// Asserts that the value at each target has a rank within its error.
fn check(stream: &Stream, all: &mut [(f64, f64)], targets: &[(f64, f64)]) -> Result<(), String> {
    all.sort_by(|one, next| one.0.total_cmp(&next.0));
    let total: f64 = all.iter().map(|(_, weight)| weight).sum();
    for &(quantile, error) in targets {
        let found = stream.query(quantile);
        let ranks = |keep: fn(f64, f64) -> bool| -> f64 {
            all.iter().filter(|(value, _)| keep(*value, found)).map(|(_, weight)| weight).sum()
        };
        let (before, upto) =
            (ranks(|value, found| value < found), ranks(|value, found| value <= found));
        // One observation is the unit that ranks have.
        let low = (quantile - error) * total - 1.0;
        let high = (quantile + error) * total + 1.0;
        if upto < low || before > high || upto == before {
            return Err(format!("{quantile}: {found} has ranks {before}..{upto} of {total}"));
        }
    }
    Ok(())
}

fn filled(all: &[(f64, f64)], batch: usize, targets: &[(f64, f64)]) -> Stream {
    let mut stream = Stream::default();
    for batch in all.chunks(batch) {
        let mut batch = batch.to_vec();
        batch.sort_by(|one, next| one.0.total_cmp(&next.0));
        stream.merge(&batch, targets, TUPLES_MAX);
    }
    stream
}

/// Numbers without a pattern that are the same in each run.
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state ^ state >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
    })
}

#[test]
fn errors_are_kept_and_memory_is_small() {
    type Order = fn(usize, u64) -> f64;
    let orders: [(&str, Order); 6] = [
        ("random", |_, noise| (noise % 1_000_003) as f64),
        ("rising", |at, _| at as f64),
        ("falling", |at, _| -(at as f64)),
        ("few values", |_, noise| (noise % 7) as f64),
        ("long tail", |_, noise| 1.0 / (1.0 + (noise % 100_000) as f64)),
        ("from both ends", |at, _| if at % 2 == 0 { at as f64 } else { -(at as f64) }),
    ];
    type Weight = fn(u64) -> f64;
    let weights: [(&str, Weight); 4] = [
        ("one", |_| 1.0),
        ("ten", |_| 10.0),
        ("mixed", |noise| [1.0, 2.0, 10.0, 0.5][(noise % 4) as usize]),
        ("heavy", |noise| if noise.is_multiple_of(97) { 5_000.0 } else { 1.0 }),
    ];
    for (order, value) in orders {
        for (weight_name, weight) in weights {
            let mut all: Vec<(f64, f64)> = noise(7)
                .zip(noise(11))
                .take(10_000)
                .enumerate()
                .map(|(at, (one, other))| (value(at, one), weight(other)))
                .collect();
            let stream = filled(&all, 500, &TARGETS);
            if let Err(error) = check(&stream, &mut all, &TARGETS) {
                panic!("{order}, weights {weight_name}: {error}");
            }
            let tuples = stream.tuples.len();
            assert!(tuples < 2_000, "{order}, weights {weight_name}: {tuples} tuples");
        }
    }
}

#[test]
fn few_observations_are_answered_exactly() {
    let targets = [(0.0, 0.01), (0.25, 0.01), (0.5, 0.01), (0.75, 0.01), (1.0, 0.01)];
    let table: [(&[f64], [f64; 5]); 4] = [
        (&[3.0], [3.0; 5]),
        (&[1.0, 2.0], [1.0, 1.0, 1.0, 2.0, 2.0]),
        (&[3.0, 1.0, 2.0], [1.0, 1.0, 2.0, 3.0, 3.0]),
        (&[4.0, 3.0, 2.0, 1.0], [1.0, 1.0, 2.0, 3.0, 4.0]),
    ];
    for (values, expected) in table {
        let all: Vec<(f64, f64)> = values.iter().map(|value| (*value, 1.0)).collect();
        for batch in [1, 2, 10] {
            let stream = filled(&all, batch, &targets);
            let found = targets.map(|(quantile, _)| stream.query(quantile));
            assert_eq!(found, expected, "{values:?} in batches of {batch}");
        }
    }
    assert!(Stream::default().query(0.5).is_nan());
}

#[test]
fn a_weight_counts_as_often_as_it_says() {
    let stream = filled(&[(1.0, 10.0), (2.0, 80.0), (3.0, 10.0)], 10, &[(0.5, 0.001)]);
    let targets = [0.05, 0.1, 0.11, 0.5, 0.9, 0.91, 1.0];
    let found = targets.map(|quantile| stream.query(quantile));
    assert_eq!(found, [1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0]);
}

#[test]
fn an_error_of_zero_does_not_keep_everything() {
    let all: Vec<(f64, f64)> = noise(3).take(50_000).map(|noise| (noise as f64, 1.0)).collect();
    let targets = [(0.5, 0.0), (1.0, 0.0), (0.0, 0.0)];
    let stream = filled(&all, 500, &targets);
    assert!(stream.tuples.len() <= TUPLES_MAX, "{}", stream.tuples.len());
    check(&stream, &mut all.clone(), &[(0.5, 0.002)]).unwrap();
}

proptest! {
    #[test]
    fn errors_are_kept_for_any_targets(
        values in prop::collection::vec((-1_000..1_000_i32, 1..20_u8), 1..3_000),
        targets in prop::collection::vec((0.01..0.99_f64, 0.001..0.1_f64), 1..4),
        batch in 1..700_usize,
    ) {
        let mut all: Vec<(f64, f64)> =
            values.into_iter().map(|(value, weight)| (value.into(), weight.into())).collect();
        let stream = filled(&all, batch, &targets);
        let found = check(&stream, &mut all, &targets);
        prop_assert!(found.is_ok(), "{:?}", found);
    }
}
