//! The two text formats. They differ in little, and where they do OpenMetrics forbids something:
//! what it forbids is left out of it.

use super::{Kind, Value, number};

/// Appends to a page.
pub(super) struct Writer<'a> {
    /// The page.
    pub(super) out: &'a mut Vec<u8>,
    /// The stricter one.
    pub(super) open_metrics: bool,
}

// === impl Writer ===

impl Writer<'_> {
    /// Writes what stands above the series.
    pub(super) fn header(&mut self, name: &str, help: &str, kind: Kind) {
        if !help.is_empty() {
            self.texts(&["# HELP ", name, " "]);
            self.help(help);
            self.out.push(b'\n');
        }
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
            Kind::Histogram => "histogram",
            Kind::Untyped if self.open_metrics => "unknown",
            Kind::Untyped => "untyped",
        };
        self.texts(&["# TYPE ", name, " ", kind, "\n"]);
    }

    /// Writes the lines of one series; how many of them had to be left out.
    #[inline]
    pub(super) fn sample(
        &mut self,
        kind: Kind,
        name: &str,
        labels: &str,
        value: &Value<'_>,
    ) -> u64 {
        match *value {
            Value::Number(value) if self.open_metrics && kind == Kind::Counter => {
                self.line_if(never_falls(value), name, "", labels, value)
            }
            Value::Number(value) => self.line_if(true, name, "", labels, value),
            Value::Summary { quantiles, sum, count } => {
                let mut left_out = 0;
                for &(quantile, value) in quantiles {
                    if self.open_metrics && (value < 0.0 || !(0.0..=1.0).contains(&quantile)) {
                        left_out += 1;
                        continue;
                    }
                    self.start(name, "", labels, Some(("quantile", quantile)));
                    self.value(value);
                }
                let good = !self.open_metrics || never_falls(sum);
                left_out += self.line_if(good, name, "_sum", labels, sum);
                self.count(name, "_count", labels, None, count);
                left_out
            }
            Value::Histogram { bounds, counts, sum, .. } => {
                let mut total = 0.0;
                for (bound, count) in super::buckets(bounds, counts) {
                    total = count;
                    self.count(name, "_bucket", labels, Some(("le", bound)), count);
                }
                // Without a sum there is to be no count.
                let negative = bounds.first().is_some_and(|bound| *bound < 0.0);
                if self.open_metrics && (negative || !never_falls(sum)) {
                    return 2;
                }
                self.line_if(true, name, "_sum", labels, sum);
                self.count(name, "_count", labels, None, total);
                0
            }
        }
    }

    #[inline]
    fn line_if(&mut self, good: bool, name: &str, suffix: &str, labels: &str, value: f64) -> u64 {
        if good {
            self.start(name, suffix, labels, None);
            self.value(value);
        }
        u64::from(!good)
    }

    fn count(&mut self, name: &str, suffix: &str, labels: &str, own: Option<(&str, f64)>, n: f64) {
        self.start(name, suffix, labels, own);
        number::push_count(self.out, n);
        self.out.push(b'\n');
    }

    /// Everything before the number; `own` is the label that belongs to the kind.
    #[inline]
    fn start(&mut self, name: &str, suffix: &str, labels: &str, own: Option<(&str, f64)>) {
        self.out.reserve(name.len() + labels.len() + 64);
        self.texts(&[name, suffix]);
        if !labels.is_empty() || own.is_some() {
            self.out.push(b'{');
            self.texts(&[labels]);
            if let Some((name, value)) = own {
                self.texts(&[if labels.is_empty() { "" } else { "," }, name, "=\""]);
                if self.open_metrics {
                    number::push_float(self.out, value);
                } else {
                    number::push(self.out, value);
                }
                self.out.push(b'"');
            }
            self.out.push(b'}');
        }
        self.out.push(b' ');
    }

    #[inline]
    fn value(&mut self, value: f64) {
        if self.open_metrics {
            number::push_float(self.out, value);
        } else {
            number::push(self.out, value);
        }
        self.out.push(b'\n');
    }

    #[inline]
    fn texts(&mut self, texts: &[&str]) {
        for text in texts {
            self.out.extend_from_slice(text.as_bytes());
        }
    }

    fn help(&mut self, help: &str) {
        for byte in help.bytes() {
            match byte {
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'"' if self.open_metrics => self.out.extend_from_slice(b"\\\""),
                byte => self.out.push(byte),
            }
        }
    }
}

/// What OpenMetrics asks of values that count: neither negative nor NaN.
fn never_falls(value: f64) -> bool {
    value >= 0.0
}
