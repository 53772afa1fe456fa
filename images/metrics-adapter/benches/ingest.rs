//! What a line costs the core, without the socket: one that is remembered, one that is not, and
//! one whose name never comes again.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use metrics_adapter::ingest::Core;
use metrics_adapter::line::Dialects;
use metrics_adapter::mapping::Mapping;
use metrics_adapter::registry::{Limits, Overflow, Registry};

/// Lines of a datagram.
const LINES: usize = 20;
/// Different datagrams.
const DATAGRAMS: usize = 14;

const DIALECTS: Dialects =
    Dialects { dogstatsd: true, influxdb: true, librato: true, signalfx: true };

const LIMITS: Limits = Limits {
    family_series_max: 10_000,
    series_max: 100_000,
    bytes_max: 1 << 30,
    label_bytes_max: 1024,
    overflow: Overflow::Fold,
};

/// A line of `kind` for each name.
fn datagrams(line: impl Fn(usize) -> String) -> Vec<String> {
    let datagram = |index| {
        let lines = (0..LINES).map(|at| line(index * LINES + at));
        lines.collect::<Vec<_>>().join("\n")
    };
    (0..DATAGRAMS).map(datagram).collect()
}

fn bench(criterion: &mut Criterion) {
    type Line = fn(usize) -> String;
    let cases: [(&str, usize, Line); 5] = [
        ("counter", 1000, |at| format!("api.requests.route{at}:1|c")),
        ("tagged", 1000, |at| format!("api.requests:1|c|#route:/r/{at},code:200,env:prod")),
        ("gauge", 1000, |at| format!("queue.depth.q{at}:{at}.25|g")),
        ("timer", 1000, |at| format!("api.latency.route{at}:{at}.5|ms|@0.1")),
        ("not_remembered", 0, |at| format!("api.requests:1|c|#route:/r/{at},code:200,env:prod")),
    ];
    let mut group = criterion.benchmark_group("line");
    group.throughput(Throughput::Elements((LINES * DATAGRAMS) as u64));
    for (name, cache_size, line) in cases {
        let datagrams = datagrams(line);
        let mut core = Core::new(DIALECTS, Arc::new(Mapping::default()), cache_size);
        let mut registry = Registry::new(LIMITS);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for datagram in &datagrams {
                    core.datagram(&mut registry, black_box(datagram.as_bytes()), 1);
                }
            });
        });
    }
    let mut core = Core::new(DIALECTS, Arc::new(Mapping::default()), 1000);
    let mut registry = Registry::new(LIMITS);
    let mut unique = 0_u64;
    group.throughput(Throughput::Elements(1));
    group.bench_function("never_again", |bencher| {
        bencher.iter(|| {
            unique += 1;
            let line = format!("api.requests:1|c|#request:{unique}");
            core.datagram(&mut registry, black_box(line.as_bytes()), 1);
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
