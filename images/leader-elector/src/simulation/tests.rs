//! Many seeds, and the bugs that they must find.
//!
//! A seed that fails is named, and `LEADER_ELECTOR_SEED=N` replays it with its whole trace.
//! `LEADER_ELECTOR_SEEDS=100000` takes so many instead of a thousand, best with `--release`.

use super::{Setup, Summary, run};
use crate::election::Planted;
use crate::replica::PlantedBugs;

#[expect(clippy::disallowed_methods, reason = "the way to replay a seed")]
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs its share of a thousand seeds, in percent.
fn seeds(name: &str, setup: Setup, percent: u64) {
    if let Some(seed) = variable("LEADER_ELECTOR_SEED") {
        match run(seed, Setup { whole_trace: true, ..setup }) {
            Ok(summary) => eprintln!("{name}: seed {seed}: {summary:?}"),
            Err(violation) => panic!("{}{name}: seed {seed}: {}", violation.trace, violation.text),
        }
        return;
    }
    let first = variable("LEADER_ELECTOR_SEED_FIRST").unwrap_or(1);
    let count = variable("LEADER_ELECTOR_SEEDS").unwrap_or(1_000) * percent / 100;
    let mut total = Summary::default();
    for seed in first..first + count {
        match run(seed, setup) {
            Ok(summary) => add(&mut total, summary),
            Err(violation) => {
                eprintln!("{}", violation.trace);
                panic!("{name}: LEADER_ELECTOR_SEED={seed} replays it: {}", violation.text);
            }
        }
    }
    eprintln!("{name}: {count} seeds from {first}: {total:?}");
    // A world in which nothing happens proves nothing.
    assert!(total.grants >= 5 * count && total.commands >= 50 * count && total.reads >= 30 * count);
    assert!(total.snapshots >= count && total.faults >= 5 * count);
}

fn add(total: &mut Summary, one: Summary) {
    total.grants += one.grants;
    total.commands += one.commands;
    total.dropped += one.dropped;
    total.reads += one.reads;
    total.snapshots += one.snapshots;
    total.faults += one.faults;
    total.wiped += one.wiped;
    total.millis += one.millis;
}

#[test]
fn three_nodes_keep_every_promise() {
    seeds("three nodes", Setup::of(3), 50);
}

#[test]
fn five_nodes_keep_every_promise() {
    seeds("five nodes", Setup::of(5), 25);
}

#[test]
fn members_that_come_and_go_keep_every_promise() {
    seeds("churn", Setup { churn: true, ..Setup::of(3) }, 25);
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 1..6 {
        for setup in [Setup::of(3), Setup { churn: true, ..Setup::of(5) }] {
            let first = run(seed, setup).map_err(|violation| violation.text);
            let second = run(seed, setup).map_err(|violation| violation.text);
            assert_eq!(first, second, "seed {seed}");
        }
    }
}

#[test]
fn a_group_founded_anew_goes_on_above_the_tokens_of_the_one_that_was_lost() {
    for seed in 1..20 {
        let old = run(seed, Setup::of(3)).expect("keeps every promise");
        let wall_seconds = Setup::of(3).wall_seconds + old.millis.div_ceil(1_000);
        let new = run(seed + 100, Setup { wall_seconds, ..Setup::of(3) });
        let new = new.expect("keeps every promise");
        assert!(new.token_first > old.token_last, "seed {seed}: {old:?}, then {new:?}");
        assert!(new.token_last < 1 << 53, "exact in JSON");
    }
}

/// Whether one of the first seeds shows the bug, in these words.
fn is_found(setup: Setup, words: &[&str]) {
    for seed in 1..300 {
        if let Err(violation) = run(seed, setup) {
            let known = words.iter().any(|word| violation.text.contains(word));
            assert!(known, "seed {seed} finds something else: {}", violation.text);
            eprintln!("seed {seed} finds it: {}", violation.text);
            return;
        }
    }
    panic!("no seed finds it");
}

#[test]
fn expiry_without_compare_is_found() {
    let table = Planted { expire_without_compare: true };
    let planted = PlantedBugs { table, ..PlantedBugs::default() };
    is_found(Setup { planted, ..Setup::of(3) }, &["both lead", "not linearizable"]);
}

#[test]
fn a_deadline_from_after_the_send_is_found() {
    is_found(Setup { deadline_after_send: true, ..Setup::of(3) }, &["both lead"]);
}

#[test]
fn a_read_under_a_lease_is_found() {
    let planted = PlantedBugs { lease_read: true, ..PlantedBugs::default() };
    is_found(Setup { planted, ..Setup::of(3) }, &["not linearizable"]);
}
