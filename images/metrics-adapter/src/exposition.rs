//! The page: families of series in the format that the scraper asked for.
//!
//! Formats: Prometheus text 0.0.4, OpenMetrics text 1.0.0, and the delimited protobuf of
//! `io.prometheus.client.MetricFamily`, which alone can carry native histograms. A [`Page`] is
//! written front to back: [`Page::begin`], [`Page::sample`] for each series, [`Page::end`].
//! It holds no series and decides nothing about them.

mod native;

pub use native::NativeHistogram;

use crate::labels::Labels;

/// How a page is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    #[default]
    Text,
    /// OpenMetrics text 1.0.0.
    OpenMetrics,
    /// Length-delimited protobuf.
    Protobuf,
}

/// What a family's series are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Quantiles, sum and count.
    Summary,
    /// Buckets, sum and count.
    Histogram,
    /// Nobody said: `untyped` in text, `unknown` in OpenMetrics.
    Untyped,
}

/// What stands above a family's series.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Its name as the text format shows it: a counter `x_total` has the suffix here. OpenMetrics
    /// names its family without it, and gives samples of counters the suffix where it is missing.
    pub name: &'a str,
    /// One line of help, unescaped.
    pub help: &'a str,
    /// What its series are.
    pub kind: Kind,
}

/// The value of one series.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Of a counter, gauge or untyped series.
    Number(f64),
    /// Of a summary.
    Summary {
        /// Quantile and value, in rising order of quantile; a value is NaN without observations.
        quantiles: &'a [(f64, f64)],
        /// Sum of all observations.
        sum: f64,
        /// Number of observations; with sampling it need not be whole.
        count: f64,
    },
    /// Of a histogram with fixed buckets.
    Histogram {
        /// Upper bounds, rising, without infinity.
        bounds: &'a [f64],
        /// Observations per bucket, not cumulated, one more than bounds.
        counts: &'a [f64],
        /// Sum of all observations.
        sum: f64,
        /// Exponential buckets beside the fixed ones; written in protobuf only.
        native: Option<&'a NativeHistogram>,
    },
}

/// A family with plain numbers, as pulled inputs produce them.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// See [`Header::name`].
    pub name: String,
    /// See [`Header::help`].
    pub help: String,
    /// Counter, gauge or untyped.
    pub kind: Kind,
    /// Labels and value of each series.
    pub samples: Vec<(Labels, f64)>,
}

/// A page being written.
#[derive(Debug, Default)]
pub struct Page {
    format: Format,
    out: Vec<u8>,
}

// === impl Page ===

impl Page {
    /// An empty page.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, out: Vec::new() }
    }

    /// Opens a family; the one before must have been ended.
    pub fn begin(&mut self, header: &Header<'_>) {
        let _ = (self.format, header);
    }

    /// Writes one series of the open family. `labels` is the text of [`Labels`].
    pub fn sample(&mut self, labels: &str, value: &Value<'_>) {
        let _ = (labels, value);
    }

    /// Closes the open family. A family without series is not written at all.
    pub fn end(&mut self) {}

    /// Writes a whole family of plain numbers.
    pub fn family(&mut self, family: &Family) {
        let Family { name, help, kind, samples } = family;
        self.begin(&Header { name, help, kind: *kind });
        for (labels, value) in samples {
            self.sample(labels.as_str(), &Value::Number(*value));
        }
        self.end();
    }

    /// The bytes, with what the format wants at the end.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}
