//! The page: families of series in the format that the scraper asked for.
//!
//! Formats: Prometheus text 0.0.4, OpenMetrics text 1.0.0, and the delimited protobuf of
//! `io.prometheus.client.MetricFamily`, which alone can carry native histograms. A [`Page`] is
//! written front to back: [`Page::begin`], [`Page::sample`] for each series, [`Page::end`].
//! It holds no series and decides nothing about them, but it never gives a page that its format does
//! not allow: what would make one is left out and counted ([`Page::left_out`]).
//!
//! A series has the same name in every format. That is why OpenMetrics, whose counters must end in
//! `_total`, shows a counter without that suffix as `unknown` (the Go client library does the same).

mod format;
mod names;
mod native;
mod number;
mod protobuf;
mod text;

#[cfg(any(test, feature = "fuzzing"))]
pub mod read;
#[cfg(test)]
mod tests;

pub use native::NativeHistogram;

use crate::labels::{self, Labels};
use names::Names;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
    #[default]
    Untyped,
}

/// What stands above a family's series.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Its name as the text format shows it: a counter `x_total` has the suffix here. OpenMetrics
    /// names its family without it, and has a counter without the suffix as `unknown`.
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
        /// Upper bounds, rising, without infinity. One that is not so is left out.
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
    open: Open,
    taken: Names,
    protobuf: protobuf::Writer,
    left_out: u64,
}

/// The family under way.
#[derive(Debug, Default)]
struct Open {
    state: State,
    name: String,
    help: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// There is none.
    #[default]
    Closed,
    /// Begun, and no series yet: nothing is written.
    Begun,
    /// Its header is written.
    Written,
    /// It cannot be on this page.
    Refused,
}

// === impl Page ===

impl Page {
    /// An empty page.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, ..Self::default() }
    }

    /// How it is written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Opens a family, and closes one that is open.
    pub fn begin(&mut self, header: &Header<'_>) {
        self.end();
        self.open.state = State::Begun;
        self.open.kind = header.kind;
        self.open.name.clear();
        self.open.name.push_str(header.name);
        self.open.help.clear();
        self.open.help.push_str(header.help);
    }

    /// Writes one series of the open family. `labels` is the text of [`Labels`]; no two series of a
    /// family may have the same.
    #[inline]
    pub fn sample(&mut self, labels: &str, value: &Value<'_>) {
        if self.open.state != State::Written {
            self.open();
        }
        let Open { state, name, kind, .. } = &self.open;
        let fits = match value {
            Value::Number(_) => matches!(kind, Kind::Counter | Kind::Gauge | Kind::Untyped),
            Value::Summary { .. } => *kind == Kind::Summary,
            Value::Histogram { .. } => *kind == Kind::Histogram,
        };
        if *state != State::Written || !fits {
            self.left_out += 1;
        } else if self.format == Format::Protobuf {
            self.protobuf.sample(*kind, labels, value);
        } else {
            let open_metrics = self.format == Format::OpenMetrics;
            let mut writer = text::Writer { out: &mut self.out, open_metrics };
            self.left_out += writer.sample(*kind, name, labels, value);
        }
    }

    /// Closes the open family. A family without series is not written at all.
    pub fn end(&mut self) {
        if self.open.state == State::Written && self.format == Format::Protobuf {
            self.protobuf.end(&mut self.out);
        }
        self.open.state = State::Closed;
    }

    /// Writes a whole family of plain numbers.
    pub fn family(&mut self, family: &Family) {
        let Family { name, help, kind, samples } = family;
        self.begin(&Header { name, help, kind: *kind });
        for (labels, value) in samples {
            self.sample(labels.as_str(), &Value::Number(*value));
        }
        self.end();
    }

    /// Series, or lines of them, that are not on the page because it would not be valid: their
    /// family has a name that another one has or implies, or that is none; OpenMetrics forbids
    /// their value (a counter or sum that is negative or NaN, a negative quantile).
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The bytes, with what the format wants at the end.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.end();
        if self.format == Format::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
        self.out
    }

    /// Writes the header at the first series, if the family can be had.
    #[cold]
    fn open(&mut self) {
        let Open { state, name, help, kind } = &mut self.open;
        if *state != State::Begun {
            return;
        }
        *state = State::Refused;
        if !labels::is_name(name, true) {
            return;
        }
        let open_metrics = self.format == Format::OpenMetrics;
        let mut shown = name.as_str();
        let free = match kind {
            Kind::Counter if open_metrics => {
                let stem = name.strip_suffix("_total").filter(|stem| !stem.is_empty());
                match stem {
                    Some(stem) if self.taken.take(stem, &["", "_total", "_created"]) => {
                        shown = stem;
                        true
                    }
                    _ => {
                        *kind = Kind::Untyped;
                        self.taken.take(name, &[""])
                    }
                }
            }
            Kind::Summary if open_metrics => {
                self.taken.take(name, &["", "_sum", "_count", "_created"])
            }
            Kind::Histogram if open_metrics => {
                self.taken.take(name, &["", "_bucket", "_sum", "_count", "_created"])
            }
            Kind::Summary => self.taken.take(name, &["", "_sum", "_count"]),
            Kind::Histogram => self.taken.take(name, &["", "_bucket", "_sum", "_count"]),
            Kind::Counter | Kind::Gauge | Kind::Untyped => self.taken.take(name, &[""]),
        };
        if !free {
            return;
        }
        *state = State::Written;
        if self.format == Format::Protobuf {
            self.protobuf.header(shown, help, *kind);
        } else {
            text::Writer { out: &mut self.out, open_metrics }.header(shown, help, *kind);
        }
    }
}

/// Upper bounds with the observations up to them; the last is infinity.
fn buckets<'a>(bounds: &'a [f64], counts: &'a [f64]) -> impl Iterator<Item = (f64, f64)> + 'a {
    let mut highest = f64::NEG_INFINITY;
    let mut cumulated = 0.0;
    let bounds = bounds.iter().copied().map(Some).chain([None]);
    bounds.zip(counts).filter_map(move |(bound, count)| {
        cumulated += count;
        match bound {
            None => Some((f64::INFINITY, cumulated)),
            Some(bound) if bound.is_finite() && bound > highest => {
                highest = bound;
                Some((bound, cumulated))
            }
            Some(_) => None,
        }
    })
}
