//! Reads pages back, strictly: whatever a format forbids is an error. For tests and fuzzing alone.

mod protobuf;
mod round_trip;
mod text;

pub use round_trip::round_trip;

use std::collections::HashSet;

use super::{Format, Kind};

/// A family as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadFamily {
    /// As the format has it: a counter of OpenMetrics is without `_total`.
    pub name: String,
    /// Unescaped; empty when there is none.
    pub help: String,
    /// What its series are.
    pub kind: Kind,
    /// Every number of it, as the text format would show it.
    pub samples: Vec<Sample>,
    /// Native histograms by their labels.
    pub natives: Vec<(Pairs, Native)>,
}

/// Names and values of labels.
pub type Pairs = Vec<(String, String)>;

/// One number.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Name with suffix.
    pub name: String,
    /// Labels; `le` and `quantile` stand last and are written as the text format has them.
    pub labels: Pairs,
    /// The number.
    pub value: f64,
}

/// A native histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Native {
    /// Resolution.
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in it.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Buckets that are not empty, by index.
    pub positive: Vec<(i32, f64)>,
    /// Mirrored.
    pub negative: Vec<(i32, f64)>,
}

/// Reads a page.
///
/// # Errors
/// What is wrong, and where.
pub fn page(format: Format, bytes: &[u8]) -> Result<Vec<ReadFamily>, String> {
    let families = match format {
        Format::Protobuf => protobuf::read(bytes)?,
        Format::Text | Format::OpenMetrics => {
            let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
            text::read(text, format == Format::OpenMetrics)?
        }
    };
    check(format, &families)?;
    Ok(families)
}

// === impl Sample ===

impl PartialEq for Sample {
    /// NaN is NaN here.
    fn eq(&self, other: &Self) -> bool {
        let same = self.value == other.value || self.value.is_nan() && other.value.is_nan();
        same && self.name == other.name && self.labels == other.labels
    }
}

/// Suffixes that samples of a kind have.
fn suffixes(kind: Kind, open_metrics: bool) -> &'static [&'static str] {
    match kind {
        Kind::Counter if open_metrics => &["_total"],
        Kind::Summary => &["", "_sum", "_count"],
        Kind::Histogram => &["_bucket", "_sum", "_count"],
        Kind::Counter | Kind::Gauge | Kind::Untyped => &[""],
    }
}

/// What holds whatever the syntax is.
fn check(format: Format, families: &[ReadFamily]) -> Result<(), String> {
    let open_metrics = format == Format::OpenMetrics;
    let mut names = HashSet::new();
    let mut series = HashSet::new();
    for family in families {
        let ReadFamily { name, kind, .. } = family;
        let own = suffixes(*kind, open_metrics).iter().chain(&[""]);
        let own: HashSet<String> = own.map(|suffix| format!("{name}{suffix}")).collect();
        for name in own {
            if !names.insert(name.clone()) {
                return Err(format!("{name} is in two families"));
            }
        }
        for Sample { name, labels, value } in &family.samples {
            if !super::labels::is_name(name, true) {
                return Err(format!("{name:?} is no name"));
            }
            let distinct: HashSet<&String> = labels.iter().map(|(name, _)| name).collect();
            if distinct.len() != labels.len() {
                return Err(format!("{name} has a label twice"));
            }
            if let Some((label, _)) = labels.iter().find(|(n, _)| !super::labels::is_name(n, false))
            {
                return Err(format!("{label:?} is no name of a label"));
            }
            let mut sorted = labels.clone();
            sorted.sort();
            if !series.insert((name.clone(), sorted)) {
                return Err(format!("{name} {labels:?} is there twice"));
            }
            let counts = open_metrics
                && (*kind == Kind::Counter
                    || matches!(kind, Kind::Summary | Kind::Histogram) && *name != family.name);
            if counts && (value.is_nan() || *value < 0.0) {
                return Err(format!("{name} is {value}"));
            }
        }
        if *kind == Kind::Histogram {
            check_buckets(family)?;
        }
    }
    Ok(())
}

/// Buckets rise, end with infinity, and agree with the count.
fn check_buckets(family: &ReadFamily) -> Result<(), String> {
    let bucket = format!("{}_bucket", family.name);
    let mut before = None;
    for sample in &family.samples {
        if sample.name == bucket {
            let Some(((name, bound), rest)) = sample.labels.split_last() else {
                return Err(format!("{bucket} without le"));
            };
            let bound: f64 = bound.parse().map_err(|_| format!("le {bound:?}"))?;
            if name != "le" {
                return Err(format!("{bucket} without le"));
            }
            if let Some((labels, lower, count)) = before
                && labels == rest
                && !(lower < bound && count <= sample.value)
            {
                return Err(format!("{bucket} falls at {bound}"));
            }
            before = Some((rest, bound, sample.value));
        } else if sample.name.ends_with("_count") {
            let Some((labels, f64::INFINITY, count)) = before else {
                return Err(format!("{bucket} does not end with infinity"));
            };
            if labels != sample.labels || count != sample.value {
                return Err(format!("{} disagrees with its buckets", sample.name));
            }
        }
    }
    Ok(())
}
