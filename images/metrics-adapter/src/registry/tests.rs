mod bytes;
mod model;
mod pages;
mod rules;

use super::*;
use crate::exposition::read::{self, Pairs, ReadFamily};
use crate::exposition::{Format, Page};

const LIMITS: Limits = Limits {
    family_series_max: 1_000,
    series_max: 10_000,
    bytes_max: 1 << 30,
    label_bytes_max: 200,
    overflow: Overflow::Fold,
};

fn summary_options() -> SummaryOptions {
    SummaryOptions {
        quantiles: vec![(0.5, 0.05), (0.99, 0.001)],
        max_age: Duration::from_secs(600),
        age_buckets: 5,
        buf_cap: 500,
    }
}

fn histogram_options(native_bucket_factor: f64) -> HistogramOptions {
    HistogramOptions { buckets: vec![0.5, 1.0], native_bucket_factor, native_max_buckets: 100 }
}

fn spec<'a>(name: &'a str, shape: Shape<'a>, labels: &'a [(&'a str, &'a str)]) -> Spec<'a> {
    Spec { name, help: "h", shape, labels, ttl: Duration::ZERO }
}

/// The page, written in slices of a size, and read again: so it is a valid one.
fn page(registry: &Registry, format: Format, slice: usize, now: Seconds) -> Vec<u8> {
    let mut page = Page::new(format);
    let mut cursor = Cursor::default();
    while !registry.write(&mut page, &mut cursor, slice, now) {}
    assert_eq!(page.left_out(), 0);
    let bytes = page.finish();
    read::page(format, &bytes).unwrap();
    bytes
}

fn text(registry: &Registry, now: Seconds) -> String {
    String::from_utf8(page(registry, Format::Text, 1_000, now)).unwrap()
}

/// The samples, without what stands above them.
fn samples(registry: &Registry, now: Seconds) -> Vec<String> {
    let text = text(registry, now);
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}
