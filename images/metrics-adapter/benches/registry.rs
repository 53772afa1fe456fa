//! What a scrape of 100,000 series costs in each format, and what a sample of a known series does.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use metrics_adapter::exposition::{Format, Page};
use metrics_adapter::registry::{
    Cursor, HistogramOptions, Limits, Overflow, Registry, SeriesId, Shape, Spec, SummaryOptions,
};

/// Series of a large page.
const SERIES: usize = 100_000;
/// Counters that a slice of a page is worth.
const SLICE: usize = 1_000;

fn empty() -> Registry {
    Registry::new(Limits {
        family_series_max: SERIES,
        series_max: 2 * SERIES,
        bytes_max: 1 << 30,
        label_bytes_max: 1_024,
        overflow: Overflow::Fold,
    })
}

/// Makes `series` series with three labels in families of a thousand.
fn fill(registry: &mut Registry, shape: Shape<'_>, series: usize) -> Vec<SeriesId> {
    let make = |at: usize| {
        let name = format!("http_server_requests_seen_{}", at / 1_000);
        let instance = format!("instance-{at}");
        let labels = [("instance", &*instance), ("method", "GET"), ("status", "200")];
        let spec = Spec { name: &name, help: "h", shape, labels: &labels, ttl: Duration::ZERO };
        registry.intern(&spec, 0).expect("below the limits")
    };
    (0..series).map(make).collect()
}

fn page(registry: &Registry, format: Format) -> Vec<u8> {
    let mut page = Page::new(format);
    let mut cursor = Cursor::default();
    while !registry.write(&mut page, &mut cursor, SLICE, 0) {}
    page.finish()
}

fn pages(criterion: &mut Criterion) {
    let mut registry = empty();
    let ids = fill(&mut registry, Shape::Counter, SERIES);
    for (at, id) in ids.into_iter().enumerate() {
        // Every third is not whole, some are large.
        registry.add(id, at as f64 * 977.0 + if at % 3 == 0 { 0.125 } else { 0.0 }, 0);
    }
    let mut group = criterion.benchmark_group("a page of 100,000 counters");
    group.throughput(Throughput::Elements(SERIES as u64));
    group.sample_size(20);
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        group.bench_function(format!("{format:?}"), |bench| {
            bench.iter(|| page(black_box(&registry), format));
        });
    }
    group.finish();
}

fn samples(criterion: &mut Criterion) {
    let summary = SummaryOptions {
        quantiles: vec![(0.5, 0.05), (0.9, 0.01), (0.99, 0.001)],
        max_age: Duration::from_secs(600),
        age_buckets: 5,
        buf_cap: 500,
    };
    let buckets = vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let fixed = HistogramOptions { buckets, native_bucket_factor: 0.0, native_max_buckets: 0 };
    let native = HistogramOptions { native_bucket_factor: 1.1, ..fixed.clone() };
    let shapes = [
        ("counter", Shape::Counter),
        ("summary", Shape::Summary(&summary)),
        ("histogram", Shape::Histogram(&fixed)),
        ("native histogram", Shape::Histogram(&native)),
        ("set", Shape::Set),
    ];
    let mut group = criterion.benchmark_group("a sample");
    group.throughput(Throughput::Elements(1));
    for (name, shape) in shapes {
        let mut registry = empty();
        let ids = fill(&mut registry, shape, 1_000);
        let mut at = 0_usize;
        group.bench_function(name, |bench| {
            bench.iter(|| {
                at += 1;
                let (id, value) = (ids[at % ids.len()], (at * 7_919 % 10_007) as f64 / 1_000.0);
                match shape {
                    Shape::Counter => registry.add(black_box(id), value, 0),
                    Shape::Set => registry.insert(black_box(id), &at.to_le_bytes(), 0),
                    _ => registry.observe(black_box(id), value, 1.0, 0),
                }
            });
        });
    }
    group.bench_function("series made", |bench| {
        bench.iter_batched(
            empty,
            |mut registry| fill(&mut registry, Shape::Counter, 1_000),
            criterion::BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, pages, samples);
criterion_main!(benches);
