//! What a line costs that is not remembered: read, and mapped by a file of 100 rules.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use metrics_adapter::line::{self, Dialects, Reason, Sample, Sink, Tag};
use metrics_adapter::mapping::{Mapping, MetricType};

const ALL: Dialects = Dialects { dogstatsd: true, influxdb: true, librato: true, signalfx: true };

/// As much of a sink as keeps the work from being left out.
#[derive(Default)]
struct Sum(f64, usize);

impl Sink for Sum {
    fn sample(&mut self, sample: &Sample<'_>) {
        self.1 += sample.tags.len() + sample.name.len();
        if let line::Action::Count { value } | line::Action::Observe { value, .. } = sample.action {
            self.0 += value;
        }
    }

    fn refused(&mut self, _: Reason) {
        self.1 += 1;
    }

    fn tag(&mut self, _: bool) {}

    fn event(&mut self) {}

    fn check(&mut self, _: &str, _: u8, _: &[Tag<'_>]) {}
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(1));
    for (title, line) in [
        ("plain", &b"shop.cart.items.added:1|c"[..]),
        ("sampled timer", b"shop.cart.took:12.75|ms|@0.1"),
        ("DogStatsD", b"shop.cart.took:12.75|ms|@0.1|#env:prod,region:eu-1,code:200"),
        ("Influx", b"shop.cart.items,env=prod,region=eu-1:1|c"),
        (
            "packed, 20 values",
            b"took:1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20|d|#env:prod",
        ),
        ("refused", b"shop.cart.items.added:many|c"),
    ] {
        group.bench_function(title, |bench| {
            let mut sum = Sum::default();
            bench.iter(|| line::parse(black_box(line), ALL, &mut sum));
            black_box((sum.0, sum.1));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("number");
    for text in ["17", "12.75", "0.1234567890123456789", "0x1.8p3"] {
        group.bench_function(text, |bench| {
            bench.iter(|| line::number(black_box(text.as_bytes())));
        });
    }
    group.finish();
}

fn rules(match_type: &str, pattern: impl Fn(u32) -> String) -> Mapping {
    let mut text = format!("defaults: {{match_type: {match_type}}}\nmappings:\n");
    for number in 0..100 {
        let pattern = pattern(number);
        writeln!(
            text,
            "- match: '{pattern}'\n  name: took_${{1}}_{number}\n  labels: {{path: $2}}"
        )
        .expect("a string takes everything");
    }
    Mapping::parse(&text).expect("the file is good")
}

fn map(criterion: &mut Criterion) {
    let globs = rules("glob", |number| format!("app{number}.*.requests.*"));
    let stars = rules("glob", |number| format!("*.*.requests.*.r{number}"));
    let regexes = rules("regex", |number| format!(r"^app{number}\.([^.]+)\.requests\.([^.]+)$"));
    let mut group = criterion.benchmark_group("map by 100 rules");
    for (title, mapping, name) in [
        ("globs, hit", &globs, "app77.shop.requests.cart"),
        ("globs, miss", &globs, "app77.shop.answers.cart"),
        ("globs that start with stars, hit", &stars, "app77.shop.requests.cart.r77"),
        ("expressions, hit", &regexes, "app77.shop.requests.cart"),
        ("expressions, miss", &regexes, "app77.shop.answers.cart"),
    ] {
        group.bench_function(title, |bench| {
            bench.iter(|| mapping.find(black_box(name), MetricType::Observer).map(|m| m.name));
        });
    }
    group.finish();
}

criterion_group!(benches, parse, map);
criterion_main!(benches);
