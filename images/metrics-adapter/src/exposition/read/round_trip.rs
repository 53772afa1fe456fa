//! Whatever is written can be read, and is the same: families are drawn from bytes, so that a
//! fuzzer and a property test share the way.

use super::{Native, Pairs, ReadFamily, Sample, page, protobuf::shown};
use crate::exposition::{Format, Header, Kind, NativeHistogram, Page, Value};
use crate::labels::Labels;

/// Bytes that choices are drawn from; zeros when they are used up.
struct Source<'a>(&'a [u8]);

struct Series {
    labels: Pairs,
    value: Drawn,
}

enum Drawn {
    Number(f64),
    Summary { quantiles: Vec<(f64, f64)>, sum: f64, count: f64 },
    Histogram { bounds: Vec<f64>, counts: Vec<f64>, sum: f64, native: Option<NativeHistogram> },
}

/// Reads the bytes as pages of all formats (nothing may panic), then draws families from them and
/// takes those there and back.
///
/// # Panics
/// When what was written cannot be read, or is something else.
pub fn round_trip(bytes: &[u8]) {
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        let _ = page(format, bytes);
    }
    let _ = Format::negotiate(&String::from_utf8_lossy(bytes));
    let mut source = Source(bytes);
    let mut families = Vec::new();
    while !source.0.is_empty() && families.len() < 20 {
        families.push(source.family());
    }
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        let mut written = Page::new(format);
        for (header, series) in &families {
            let (name, help) = (&header.name, &header.help);
            written.begin(&Header { name, help, kind: header.kind });
            for Series { labels, value } in series {
                let labels = Labels::new(labels.iter().map(|(name, value)| (name, value)));
                written.sample(labels.as_str(), &value.borrow());
            }
        }
        let left_out = written.left_out();
        let written = written.finish();
        let read = page(format, &written)
            .unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(&written)));
        let mut expected = families.iter().map(|(header, series)| expect(format, header, series));
        let mut missing = 0;
        for family in &read {
            // Those between could not be written.
            loop {
                let next = expected.next().unwrap_or_else(|| panic!("{family:?} was not written"));
                if next == *family || fallback(format, &next).as_ref() == Some(family) {
                    break;
                }
                missing += usize::from(!next.samples.is_empty());
            }
        }
        missing += expected.filter(|family| !family.samples.is_empty()).count();
        assert!(missing == 0 || left_out > 0, "{missing} families are missing");
    }
}

/// A counter of OpenMetrics that had to be shown as unknown.
fn fallback(format: Format, family: &ReadFamily) -> Option<ReadFamily> {
    (format == Format::OpenMetrics && family.kind == Kind::Counter).then(|| ReadFamily {
        name: format!("{}_total", family.name),
        kind: Kind::Untyped,
        ..family.clone()
    })
}

/// The family as it is to be read, if it is.
fn expect(format: Format, header: &ReadFamily, series: &[Series]) -> ReadFamily {
    let mut family = header.clone();
    let strict = format == Format::OpenMetrics;
    if strict && family.kind == Kind::Counter {
        match header.name.strip_suffix("_total") {
            Some(stem) => stem.clone_into(&mut family.name),
            None => family.kind = Kind::Untyped,
        }
    }
    let whole = |value: f64| if format == Format::Protobuf { value.round() } else { value };
    for Series { labels, value } in series {
        let mut push = |suffix: &str, own: Option<(&str, f64)>, value: f64| {
            let mut labels = labels.clone();
            labels.extend(own.map(|(name, value)| (name.to_owned(), shown(value))));
            family.samples.push(Sample { name: format!("{}{suffix}", header.name), labels, value });
        };
        match value {
            Drawn::Number(value) => push("", None, *value),
            Drawn::Summary { quantiles, sum, count } => {
                for &(quantile, value) in quantiles {
                    if !strict || value.is_nan() || value >= 0.0 {
                        push("", Some(("quantile", quantile)), value);
                    }
                }
                if !strict || *sum >= 0.0 {
                    push("_sum", None, *sum);
                }
                push("_count", None, whole(*count));
            }
            Drawn::Histogram { bounds, counts, sum, native } => {
                let mut total = 0.0;
                for (bound, count) in bounds.iter().chain(&[f64::INFINITY]).zip(counts) {
                    total += count;
                    push("_bucket", Some(("le", *bound)), total);
                }
                if !strict || *sum >= 0.0 && bounds.first().is_none_or(|bound| *bound >= 0.0) {
                    push("_sum", None, *sum);
                    push("_count", None, total);
                }
                if let Some(native) = native.as_ref().filter(|_| format == Format::Protobuf) {
                    let native = Native {
                        schema: native.schema(),
                        zero_threshold: native.zero_threshold(),
                        zero_count: native.zero_count(),
                        count: native.count(),
                        positive: native.positive().to_vec(),
                        negative: native.negative().to_vec(),
                    };
                    family.natives.push((labels.clone(), native));
                }
            }
        }
    }
    family
}

// === impl Source ===

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: u8) -> usize {
        usize::from(self.byte() % end)
    }

    /// Short names from few letters, so that they collide.
    fn name(&mut self) -> String {
        let stem = ["a", "b", "a_total", "_total", "é", "a:b", "9"][self.below(7)];
        let suffix = ["", "_total", "_sum", "_count", "_bucket", "_created"][self.below(6)];
        format!("{stem}{suffix}")
    }

    fn text(&mut self) -> String {
        let parts = ["", "x", "\n", "\"", "\\", ",", "=\"", "}", " ", "é", "\\n", "# EOF"];
        (0..self.below(5)).map(|_| parts[self.below(12)]).collect()
    }

    fn number(&mut self) -> f64 {
        match self.byte() {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => -0.0,
            kind @ 4..128 => f64::from(kind - 4) * f64::from(self.byte()),
            128..160 => -f64::from(self.byte()),
            _ => f64::from_bits(u64::from_le_bytes([(); 8].map(|()| self.byte()))),
        }
    }

    fn finite(&mut self) -> f64 {
        let number = self.number();
        // The sum of all of them is to be a number.
        if number.abs() < 1e300 { number } else { 1.0 }
    }

    fn count(&mut self) -> f64 {
        let byte = f64::from(self.byte());
        // Quarters add up to the same in every order.
        if byte >= 128.0 { byte / 4.0 } else { byte }
    }

    fn family(&mut self) -> (ReadFamily, Vec<Series>) {
        use Kind::{Counter, Gauge, Histogram, Summary, Untyped};
        let kind = [Counter, Gauge, Summary, Histogram, Untyped][self.below(5)];
        let header =
            ReadFamily { name: self.name(), help: self.text(), kind, ..ReadFamily::default() };
        let series = (0..self.below(4)).map(|number| {
            let mut labels = vec![("a".to_owned(), format!("{number}{}", self.text()))];
            labels.extend((0..self.below(3)).map(|at| (format!("b{at}"), self.text())));
            if number == 0 {
                labels.clear();
            }
            Series { labels, value: self.value(kind) }
        });
        let series = series.collect();
        (header, series)
    }

    fn value(&mut self, kind: Kind) -> Drawn {
        match kind {
            // What OpenMetrics does not have of counters is tested by a table.
            Kind::Counter => Drawn::Number(self.count()),
            Kind::Gauge | Kind::Untyped => Drawn::Number(self.number()),
            Kind::Summary => Drawn::Summary {
                quantiles: [0.0, 0.5, 0.9, 1.0]
                    .into_iter()
                    .take(self.below(5))
                    .map(|quantile| (quantile, self.number()))
                    .collect(),
                sum: self.number(),
                count: self.count(),
            },
            Kind::Histogram => {
                let mut bounds: Vec<f64> = (0..self.below(6)).map(|_| self.finite()).collect();
                bounds.retain(|bound| bound.is_finite());
                bounds.sort_by(f64::total_cmp);
                bounds.dedup();
                let mut counts = vec![0.0; bounds.len() + 1];
                let mut sum = 0.0;
                let mut native =
                    NativeHistogram::new([0.0, 1.1, 4.0][self.below(3)], self.byte().into());
                for _ in 0..self.below(20) {
                    let (value, weight) = (self.finite(), self.count());
                    if !value.is_finite() || weight == 0.0 {
                        continue;
                    }
                    counts[bounds.partition_point(|bound| *bound < value)] += weight;
                    sum += value * weight;
                    if let Some(native) = &mut native {
                        native.observe(value, weight);
                    }
                }
                Drawn::Histogram { bounds, counts, sum, native }
            }
        }
    }
}

// === impl Drawn ===

impl Drawn {
    fn borrow(&self) -> Value<'_> {
        match self {
            Self::Number(value) => Value::Number(*value),
            Self::Summary { quantiles, sum, count } => {
                Value::Summary { quantiles, sum: *sum, count: *count }
            }
            Self::Histogram { bounds, counts, sum, native } => {
                Value::Histogram { bounds, counts, sum: *sum, native: native.as_ref() }
            }
        }
    }
}
