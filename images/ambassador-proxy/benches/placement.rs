//! What placing one key costs: each hash with ketama, each distribution, and a single server.

use std::hint::black_box;

use ambassador_proxy::placement::{Distribution, Hash, Member, Placement, Rules};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Keys in turn, so that neither branches nor cache lines are learnt by heart.
const KEYS: usize = 4_096;

fn placement(rules: Rules, servers: usize) -> Placement {
    let mut labels: Vec<String> = (0..servers).map(|n| format!("cache-{n}:6379")).collect();
    labels.sort_by_key(|label| (label.len(), label.clone()));
    let members = labels.into_iter().map(|label| Member { label, weight: 1 });
    Placement::new(rules, members.collect())
}

fn locate(criterion: &mut Criterion, name: &str, case: String, placement: &Placement) {
    let keys: Vec<String> = (0..KEYS).map(|n| format!("user:{:08}:profile", n * 7_919)).collect();
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(KEYS as u64));
    group.bench_function(BenchmarkId::from_parameter(case), |bench| {
        bench.iter(|| {
            for key in &keys {
                black_box(placement.locate(black_box(key.as_bytes()), || 7));
            }
        });
    });
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    for hash in Hash::ALL {
        let rules = Rules { hash, ..Rules::default() };
        locate(criterion, "ketama of 10", hash.to_string(), &placement(rules, 10));
    }
    for distribution in [Distribution::Modula, Distribution::Random] {
        let rules = Rules { distribution, hash: Hash::Murmur, ..Rules::default() };
        let case = format!("{distribution} of 10");
        locate(criterion, "distribution", case, &placement(rules, 10));
    }
    let rules = Rules { hash_tag: Some(*b"{}"), ..Rules::default() };
    locate(criterion, "tag", "ketama of 10".into(), &placement(rules, 10));
    locate(criterion, "single", "ketama of 1".into(), &placement(Rules::default(), 1));
}

criterion_group!(placement_benches, benches);
criterion_main!(placement_benches);
