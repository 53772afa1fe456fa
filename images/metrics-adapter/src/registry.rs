//! The series that were pushed: families, series, cells, time to live, limits. Pure: time is an
//! argument.
//!
//! A series is interned once ([`Registry::intern`]) and then addressed by [`SeriesId`]; what
//! arrives afterwards is one index and one addition. Ids of series that have gone are recognised,
//! never reused for another series unnoticed.

use std::time::Duration;

use crate::exposition::Page;

/// Seconds of a clock that never goes back; whole seconds are all that times to live need.
pub type Seconds = u32;

/// Names a series for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesId {
    /// Place in the arena.
    pub index: u32,
    /// Tells apart the series that have had the place.
    pub generation: u32,
}

/// What a series keeps.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// A sum.
    Counter,
    /// The last value.
    Gauge,
    /// Quantiles over a sliding window.
    Summary(&'a SummaryOptions),
    /// Buckets.
    Histogram(&'a HistogramOptions),
    /// A gauge: distinct values in the last full window.
    Set,
}

/// Targets of a summary.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryOptions {
    /// Quantile and tolerated error.
    pub quantiles: Vec<(f64, f64)>,
    /// How far the window reaches back.
    pub max_age: Duration,
    /// Parts that the window slides by.
    pub age_buckets: u32,
    /// Observations kept before they are merged.
    pub buf_cap: u32,
}

/// Buckets of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramOptions {
    /// Upper bounds, rising, without infinity.
    pub buckets: Vec<f64>,
    /// Growth from one native bucket to the next; at most 1 for classic buckets only.
    pub native_bucket_factor: f64,
    /// Resolution is halved when a native histogram has more buckets; 0 for no limit.
    pub native_max_buckets: u32,
}

/// What a series is to be.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a> {
    /// Final metric name, already escaped.
    pub name: &'a str,
    /// Help of the family; the first to come decides.
    pub help: &'a str,
    /// What it keeps.
    pub shape: Shape<'a>,
    /// Labels in any order, names already escaped. Of two with one name the last wins.
    pub labels: &'a [(&'a str, &'a str)],
    /// Forgotten when untouched for so long; zero for never.
    pub ttl: Duration,
}

/// Bounds of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most series of one family.
    pub family_series_max: usize,
    /// Most series in all.
    pub series_max: usize,
    /// Most bytes of one label value or metric name; longer ones are cut.
    pub label_bytes_max: usize,
    /// Past a limit: one series `overflow="true"` per family takes what comes, or nothing does.
    pub overflow: Overflow,
}

/// What happens past a limit. Both are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Into the series `overflow="true"` of the family.
    Fold,
    /// Nowhere.
    Drop,
}

/// Why there is no series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The name, or one that it implies (`_sum`, `_count`, `_bucket`), is of another kind.
    Conflict,
    /// A limit was met, and [`Overflow::Drop`] asked for.
    Limit,
}

/// What a registry has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Series there are, by kind in the order counter, gauge, summary, histogram (sets are gauges).
    pub series: [u64; 4],
    /// Families there are.
    pub families: u64,
    /// Series forgotten because nobody touched them.
    pub expired: u64,
    /// Interned series that went into an overflow series, or nowhere, because of a limit.
    pub overflowed: u64,
    /// Labels renamed `exported_<name>` because their name is reserved.
    pub renamed_labels: u64,
    /// Bytes held, about.
    pub bytes: u64,
}

/// All pushed series.
#[derive(Debug)]
pub struct Registry {
    limits: Limits,
}

/// Where a page that is written in slices goes on.
#[derive(Debug, Default)]
pub struct Cursor {
    _private: (),
}

// === impl Registry ===

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// Finds or makes a series.
    ///
    /// # Errors
    /// [`Refused`]; counted.
    pub fn intern(&mut self, spec: &Spec<'_>, now: Seconds) -> Result<SeriesId, Refused> {
        let _ = (&self.limits, spec, now);
        Err(Refused::Limit)
    }

    /// Whether the series is still there.
    #[must_use]
    pub fn is_live(&self, id: SeriesId) -> bool {
        let _ = id;
        false
    }

    /// Adds to a counter. False when the series has gone; nothing happened then.
    #[inline]
    pub fn add(&mut self, id: SeriesId, amount: f64, now: Seconds) -> bool {
        let _ = (id, amount, now);
        false
    }

    /// Sets a gauge. False when the series has gone.
    #[inline]
    pub fn set(&mut self, id: SeriesId, value: f64, now: Seconds) -> bool {
        let _ = (id, value, now);
        false
    }

    /// Shifts a gauge. False when the series has gone.
    #[inline]
    pub fn shift(&mut self, id: SeriesId, by: f64, now: Seconds) -> bool {
        let _ = (id, by, now);
        false
    }

    /// Observes a value `weight` times (a sampled timer stands for more than one). False when the
    /// series has gone.
    #[inline]
    pub fn observe(&mut self, id: SeriesId, value: f64, weight: f64, now: Seconds) -> bool {
        let _ = (id, value, weight, now);
        false
    }

    /// Puts a member into a set. False when the series has gone.
    pub fn insert(&mut self, id: SeriesId, member: &[u8], now: Seconds) -> bool {
        let _ = (id, member, now);
        false
    }

    /// Forgets what nobody has touched for its time to live; to be called about once a second.
    pub fn sweep(&mut self, now: Seconds) {
        let _ = now;
    }

    /// What it has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Writes at most `series_max` series from where `cursor` stands (summaries count for more);
    /// true when the page is complete. Between two calls the registry may change: a family that is
    /// under way goes on with the series that are there then.
    pub fn write(
        &self,
        page: &mut Page,
        cursor: &mut Cursor,
        series_max: usize,
        now: Seconds,
    ) -> bool {
        let _ = (page, cursor, series_max, now);
        true
    }
}
