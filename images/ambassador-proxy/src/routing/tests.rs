//! Scenarios around [`Core`], and many seeds of the simulation.

mod rig;

use super::simulation;

/// Each scenario stands for a promise, many for a fault that was found.
#[test]
fn scenarios() {
    let text = include_str!("testdata/scenarios.txt");
    let mut broken = Vec::new();
    for scenario in text.split("=== ").skip(1) {
        let (name, lines) = scenario.split_once('\n').unwrap();
        if std::panic::catch_unwind(|| rig::play(name, lines)).is_err() {
            broken.push(name);
        }
    }
    assert!(broken.is_empty(), "broken scenarios: {broken:#?}");
}

/// Runs seeds; one that fails is named, and replayed with `AMBASSADOR_PROXY_TEST_SEED`.
#[test]
#[expect(clippy::disallowed_methods, reason = "the way to replay a seed")]
fn simulation_keeps_every_promise() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("AMBASSADOR_PROXY_TEST_SEED") {
        eprintln!("seed {seed}: {:?}", simulation::run(seed));
        return;
    }
    let seeds = number("AMBASSADOR_PROXY_TEST_SEEDS").unwrap_or(2_000);
    let first = number("AMBASSADOR_PROXY_TEST_SEED_FIRST").unwrap_or(1);
    let mut total = simulation::Summary::default();
    let mut broken = Vec::new();
    for seed in first..first + seeds {
        match std::panic::catch_unwind(|| simulation::run(seed)) {
            Ok(summary) => {
                total.good += summary.good;
                total.failed += summary.failed;
                total.cut_off += summary.cut_off;
                total.reloads += summary.reloads;
            }
            Err(_) => {
                eprintln!("seed {seed} fails");
                broken.push(seed);
            }
        }
        if broken.len() > 5 {
            break;
        }
    }
    eprintln!("{seeds} seeds from {first}: {total:?}");
    assert!(broken.is_empty(), "AMBASSADOR_PROXY_TEST_SEED replays one of {broken:?}");
}
