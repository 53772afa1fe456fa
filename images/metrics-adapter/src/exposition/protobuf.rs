//! `io.prometheus.client.MetricFamily`, each with its length before it. Field numbers are those of
//! the published `metrics.proto`; repeated numbers are packed, which every decoder takes.

use super::native::Spans;
use super::{Kind, NativeHistogram, Value, number};
use crate::labels;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// A family under way. Its length stands before it, so it is kept until its end.
#[derive(Debug, Default)]
pub(super) struct Writer {
    family: Vec<u8>,
    metric: Vec<u8>,
    part: Vec<u8>,
    spans: Spans,
}

// === impl Writer ===

impl Writer {
    /// Begins a family.
    pub(super) fn header(&mut self, name: &str, help: &str, kind: Kind) {
        self.family.clear();
        bytes(&mut self.family, 1, name.as_bytes());
        if !help.is_empty() {
            bytes(&mut self.family, 2, help.as_bytes());
        }
        let kind = match kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Summary => 2,
            Kind::Untyped => 3,
            Kind::Histogram => 4,
        };
        integer(&mut self.family, 3, kind);
    }

    /// Adds one series.
    pub(super) fn sample(&mut self, kind: Kind, labels: &str, value: &Value<'_>) {
        self.metric.clear();
        for (name, value) in labels::pairs(labels) {
            self.part.clear();
            bytes(&mut self.part, 1, name.as_bytes());
            bytes(&mut self.part, 2, value.as_bytes());
            bytes(&mut self.metric, 1, &self.part);
        }
        self.part.clear();
        let field = match *value {
            Value::Number(value) => {
                double(&mut self.part, 1, value);
                match kind {
                    Kind::Counter => 3,
                    Kind::Gauge => 2,
                    _ => 5,
                }
            }
            Value::Summary { quantiles, sum, count } => {
                integer(&mut self.part, 1, count.round() as u64);
                double(&mut self.part, 2, sum);
                for &(quantile, value) in quantiles {
                    // Two doubles with their tags.
                    key(&mut self.part, 3, BYTES);
                    varint(&mut self.part, 18);
                    double(&mut self.part, 1, quantile);
                    double(&mut self.part, 2, value);
                }
                4
            }
            Value::Histogram { bounds, counts, sum, native } => {
                double(&mut self.part, 2, sum);
                let mut total = 0.0;
                let mut bucket = Vec::new();
                for (bound, count) in super::buckets(bounds, counts) {
                    total = count;
                    bucket.clear();
                    observations(&mut bucket, 1, 4, count);
                    double(&mut bucket, 2, bound);
                    bytes(&mut self.part, 3, &bucket);
                }
                match native {
                    Some(native) => self.native(native, total),
                    None => observations(&mut self.part, 1, 4, total),
                }
                7
            }
        };
        bytes(&mut self.metric, field, &self.part);
        bytes(&mut self.family, 4, &self.metric);
    }

    /// Moves the family onto the page.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        varint(out, self.family.len() as u64);
        out.append(&mut self.family);
    }

    /// Either all numbers of observations are integers or none is. Fractions that were added up in
    /// another order differ in their last bits: the total is that of the fixed buckets.
    fn native(&mut self, native: &NativeHistogram, total: f64) {
        let sides = [native.negative(), native.positive()];
        let mut all = sides.iter().copied().flatten().map(|(_, count)| *count);
        let whole = number::is_whole(total)
            && native.count() == total
            && number::is_whole(native.zero_count())
            && all.all(number::is_whole);
        if whole {
            integer(&mut self.part, 1, total as u64);
            integer(&mut self.part, 7, native.zero_count() as u64);
        } else {
            double(&mut self.part, 4, total);
            double(&mut self.part, 8, native.zero_count());
        }
        integer(&mut self.part, 5, zigzag(i64::from(native.schema())));
        double(&mut self.part, 6, native.zero_threshold());
        for (buckets, field) in sides.into_iter().zip([9, 12]) {
            self.spans.fill(buckets);
            let mut packed = Vec::new();
            for &(offset, length) in &self.spans.runs {
                packed.clear();
                integer(&mut packed, 1, zigzag(i64::from(offset)));
                integer(&mut packed, 2, u64::from(length));
                bytes(&mut self.part, field, &packed);
            }
            packed.clear();
            let mut before = 0;
            for &count in &self.spans.counts {
                if whole {
                    varint(&mut packed, zigzag(count as i64 - before));
                    before = count as i64;
                } else {
                    packed.extend_from_slice(&count.to_le_bytes());
                }
            }
            if !packed.is_empty() {
                bytes(&mut self.part, field + if whole { 1 } else { 2 }, &packed);
            }
        }
    }
}

/// An exact number of observations, and the nearest integer where it is none: the float wins with
/// readers that know it.
fn observations(out: &mut Vec<u8>, field: u32, float_field: u32, count: f64) {
    integer(out, field, count.round() as u64);
    if !number::is_whole(count) {
        double(out, float_field, count);
    }
}

fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    key(out, field, BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    key(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

fn integer(out: &mut Vec<u8>, field: u32, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

fn key(out: &mut Vec<u8>, field: u32, wire: u32) {
    varint(out, u64::from(field << 3 | wire));
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}
