//! The series that were pushed: families, series, cells, time to live, limits. Pure: time is an
//! argument.
//!
//! A series is interned once ([`Registry::intern`]) and then addressed by [`SeriesId`]; what
//! arrives afterwards is one index and one addition. Ids of series that have gone are recognised,
//! never reused for another series unnoticed.
//!
//! A page never becomes invalid by what was pushed. A name keeps its kind for as long as it has
//! series, and nothing else may have the names that a summary or histogram implies; labels that the
//! format reserves are renamed. Memory is bounded: series by [`Limits`], in number and in bytes, each
//! by its kind (a summary keeps what its error allows, a native histogram 4,096 buckets, a set
//! 4 KiB), label text by 1 KiB for each series that may be. Past a limit a family's series
//! `overflow="true"` takes what comes; these come on top of the limit, at most one per family (and of
//! bytes at most an eighth). A family that does not exist yet has none: what would have made it is
//! refused, because numbers of unrelated names added up mean nothing.
//!
//! Past the limit of bytes summaries and native histograms go on in the memory they have: sums and
//! counts stay exact, quantiles and buckets become coarser. What each needs for that is set aside
//! when it is made, so that the limit holds whatever comes.

mod cell;
mod distinct;
mod expiry;
mod histogram;
mod intern;
mod page;
mod quantiles;
mod render;
mod summary;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};

use cell::{Cell, Options, Stored};
pub use page::Cursor;

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
    /// Most series in all; only overflow series are made beyond.
    pub series_max: usize,
    /// Most bytes of everything, as [`Counters::bytes_reserved`] counts them.
    pub bytes_max: usize,
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
    /// A limit was met, and [`Overflow::Drop`] asked for, or there is no family yet.
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
    /// Interned series that were refused because their name is of another kind.
    pub conflicts: u64,
    /// Labels renamed `exported_<name>` because their name is reserved.
    pub renamed_labels: u64,
    /// Names and label values that were cut.
    pub cut: u64,
    /// Bytes held, about.
    pub bytes: u64,
    /// Bytes held or set aside, about: that is what [`Limits::bytes_max`] bounds.
    pub bytes_reserved: u64,
    /// Observations for which a summary or native histogram became coarser, because there was no
    /// memory for it to grow.
    pub coarsened: u64,
}

/// All pushed series.
#[derive(Debug)]
pub struct Registry {
    limits: Limits,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots by family and label text.
    series: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Members of sets: better mixed, slower.
    member_hasher: RandomState,
    families: Vec<Option<Box<Family>>>,
    free_families: Vec<u32>,
    /// Families in the order of the page.
    names: BTreeMap<Arc<str>, u32>,
    /// Places of series with a time to live, by the second in which they are to be looked at; each
    /// stands here once.
    due: BTreeSet<(Seconds, u32)>,
    /// A series has had a time to live; before that none is compared.
    has_ttl: bool,
    /// Numbers families and series in the order of their making; never repeats.
    serial: u64,
    /// The help that was given last: mostly it is the same for all.
    help: Arc<str>,
    label_bytes: usize,
    cell_bytes: usize,
    /// The same, each cell with at least what is set aside for it.
    reserved_bytes: usize,
    /// Names of families, and their help where it is not that of the family before.
    name_bytes: usize,
    /// The limit of bytes is met: nothing grows.
    full: bool,
    counters: Counters,
    /// Label text being rendered.
    text: String,
}

/// Place of a series; 64 bytes.
#[derive(Debug)]
struct Slot {
    generation: u32,
    family: u32,
    touched: Seconds,
    /// Seconds; 0 for never.
    ttl: u32,
    /// Second in [`Registry::due`]; 0 when it is not there.
    due: Seconds,
    /// Bytes of the cell, as they were counted.
    bytes: u32,
    serial: u64,
    labels: Box<str>,
    cell: Cell,
}

#[derive(Debug)]
struct Family {
    /// Tells it from one that had the name before.
    serial: u64,
    name: Arc<str>,
    help: Arc<str>,
    stored: Stored,
    /// Slots, in the order of their serials.
    members: Vec<u32>,
    /// What the last series was made with, to share it.
    options: Options,
    /// Bytes of its texts, as they were counted.
    bytes: usize,
}

// === impl Registry ===

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: Vec::new(),
            free: Vec::new(),
            series: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            member_hasher: RandomState::new(),
            families: Vec::new(),
            free_families: Vec::new(),
            names: BTreeMap::new(),
            due: BTreeSet::new(),
            has_ttl: false,
            serial: 0,
            help: Arc::default(),
            label_bytes: 0,
            cell_bytes: 0,
            reserved_bytes: 0,
            name_bytes: 0,
            full: false,
            counters: Counters::default(),
            text: String::new(),
        }
    }

    /// Whether the series is still there.
    #[must_use]
    pub fn is_live(&self, id: SeriesId) -> bool {
        self.slots.get(id.index as usize).is_some_and(|slot| slot.generation == id.generation)
    }

    /// Adds to a counter; an amount that is negative or not finite adds nothing. False when the
    /// series has gone; nothing happened then.
    #[inline]
    pub fn add(&mut self, id: SeriesId, amount: f64, now: Seconds) -> bool {
        let Some(slot) = self.touch(id, now) else { return false };
        if let Cell::Counter(value) = &mut slot.cell
            && (0.0..f64::INFINITY).contains(&amount)
        {
            *value = plus(*value, amount);
        }
        true
    }

    /// Sets a gauge. False when the series has gone.
    #[inline]
    pub fn set(&mut self, id: SeriesId, value: f64, now: Seconds) -> bool {
        let Some(slot) = self.touch(id, now) else { return false };
        if let Cell::Gauge(cell) = &mut slot.cell {
            *cell = value;
        }
        true
    }

    /// Shifts a gauge; by a number that is not finite not at all. False when the series has gone.
    #[inline]
    pub fn shift(&mut self, id: SeriesId, by: f64, now: Seconds) -> bool {
        let Some(slot) = self.touch(id, now) else { return false };
        if let Cell::Gauge(value) = &mut slot.cell
            && by.is_finite()
        {
            *value = plus(*value, by);
        }
        true
    }

    /// Observes a value `weight` times (a sampled timer stands for more than one). A value that is
    /// not finite, or a weight that is not above zero, is no observation. False when the series has
    /// gone.
    #[inline]
    pub fn observe(&mut self, id: SeriesId, value: f64, weight: f64, now: Seconds) -> bool {
        let grow = !self.full;
        let Some(slot) = self.touch(id, now) else { return false };
        if !value.is_finite() || !(f64::MIN_POSITIVE..f64::INFINITY).contains(&weight) {
            return true;
        }
        let grown = match &mut slot.cell {
            Cell::Summary(summary) => summary.observe(value, weight, now, grow),
            Cell::Histogram(histogram) => histogram.observe(value, weight, grow),
            _ => false,
        };
        if grown {
            self.counters.coarsened += u64::from(!grow);
            self.recount(id.index);
        }
        true
    }

    /// Says what time to live a series has from now on, in whole seconds as [`whole_seconds`] gives
    /// them and as some series has had it when it was interned; the one that was asked for last holds.
    /// Nothing happens when the series has gone.
    #[inline]
    pub fn keep(&mut self, id: SeriesId, ttl: u32) {
        if self.has_ttl
            && let Some(slot) = self.slots.get(id.index as usize)
            && slot.ttl != ttl
            && slot.generation == id.generation
        {
            self.live_for(id.index, ttl);
        }
    }

    /// Puts a member into a set. False when the series has gone.
    pub fn insert(&mut self, id: SeriesId, member: &[u8], now: Seconds) -> bool {
        let hash = self.member_hasher.hash_one(member);
        let Some(slot) = self.touch(id, now) else { return false };
        if let Cell::Set(set) = &mut slot.cell
            && set.insert(hash, now)
        {
            self.recount(id.index);
        }
        true
    }

    /// What it has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            families: self.names.len() as u64,
            bytes: (self.bytes() + self.cell_bytes) as u64,
            bytes_reserved: (self.bytes() + self.reserved_bytes) as u64,
            ..self.counters
        }
    }

    /// Bytes of everything but cells.
    fn bytes(&self) -> usize {
        self.names.len() * FAMILY_BYTES
            + self.name_bytes
            + self.slots.capacity() * (size_of::<Slot>() + SLOT_OVERHEAD)
            + self.label_bytes
            + self.due.len() * DUE_BYTES
    }

    /// Whether so many bytes more are allowed, when it may be `beyond` the limit.
    fn has_room(&self, bytes: usize, beyond: usize) -> bool {
        let limit = self.limits.bytes_max.saturating_add(beyond);
        self.bytes() + self.reserved_bytes + bytes <= limit
    }

    #[inline]
    fn touch(&mut self, id: SeriesId, now: Seconds) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        slot.touched = now;
        Some(slot)
    }

    /// Takes account of a cell that has another size now.
    #[cold]
    fn recount(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        let bytes = u32::try_from(slot.cell.bytes()).unwrap_or(u32::MAX);
        let (before, now, reserved) = (slot.bytes as usize, bytes as usize, slot.cell.reserved());
        self.cell_bytes = self.cell_bytes + now - before;
        self.reserved_bytes = self.reserved_bytes + now.max(reserved) - before.max(reserved);
        slot.bytes = bytes;
        self.weigh();
    }

    /// Sees whether the limit of bytes is met.
    fn weigh(&mut self) {
        self.full = !self.has_room(1, 0);
    }

    fn family(&self, index: u32) -> &Family {
        self.families[index as usize].as_deref().expect("a series keeps its family")
    }
}

/// A family, with its places in a tree and lists: about.
const FAMILY_BYTES: usize = size_of::<Family>() + 128;
/// A place among those that are due: about.
const DUE_BYTES: usize = 16;
/// Places in the table and in the family's list, beside a [`Slot`] itself: about.
const SLOT_OVERHEAD: usize = 16;

/// Whole seconds, rounded up, so that nothing is forgotten early.
#[must_use]
pub fn whole_seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0)))
        .unwrap_or(u32::MAX)
}

/// Sums end at the largest number, not at infinity, which they would never leave.
#[inline]
fn plus(sum: f64, more: f64) -> f64 {
    (sum + more).clamp(f64::MIN, f64::MAX)
}
