//! Summaries: quantiles over a window that slides by parts, as the Go client library has them. There
//! is a stream per part; each takes everything from its beginning on, the oldest one is asked, and is
//! begun anew when its time is over.

use std::sync::Arc;
use std::time::Duration;

use super::quantiles::{Stream, TUPLES_MAX};
use super::{Seconds, SummaryOptions, plus};

#[cfg(test)]
mod tests;

/// Used where options say nothing.
const MAX_AGE: Duration = Duration::from_secs(600);
const AGE_BUCKETS: u32 = 5;
const BUF_CAP: u32 = 500;
/// Bounds of memory, whatever options say.
const AGE_BUCKETS_MAX: u32 = 60;
const BUF_CAP_MAX: u32 = 10_000;
/// Observations in the buffer, and tuples of each stream, that one may have that must not grow.
const BUFFER_LEAST: usize = 16;
const TUPLES_LEAST: usize = 16;

/// What a summary keeps.
#[derive(Debug)]
pub(super) struct Summary {
    options: Arc<SummaryOptions>,
    sum: f64,
    count: f64,
    /// Observations that no stream has yet, with their weights.
    buffer: Vec<(f64, f64)>,
    /// None before the first flush.
    streams: Vec<Stream>,
    /// The oldest stream, and the millisecond in which it ends.
    head: usize,
    head_ends: u64,
}

/// Memory that queries use again and again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    buffer: Vec<(f64, f64)>,
    stream: Stream,
    quantiles: Vec<(f64, f64)>,
}

/// Options with everything said, in bounds, and quantiles rising.
pub(super) fn checked(given: &SummaryOptions) -> SummaryOptions {
    let or = |value: u32, otherwise: u32, max: u32| match value {
        0 => otherwise,
        value => value.min(max),
    };
    let mut quantiles = given.quantiles.clone();
    quantiles.retain(|(quantile, error)| (0.0..=1.0).contains(quantile) && !error.is_nan());
    quantiles.sort_by(|one, next| one.0.total_cmp(&next.0));
    quantiles.dedup_by(|next, one| next.0 == one.0);
    SummaryOptions {
        quantiles,
        max_age: if given.max_age.is_zero() { MAX_AGE } else { given.max_age },
        age_buckets: or(given.age_buckets, AGE_BUCKETS, AGE_BUCKETS_MAX),
        buf_cap: or(given.buf_cap, BUF_CAP, BUF_CAP_MAX),
    }
}

/// Bytes that one with these options may always have.
pub(super) fn reserved(options: &SummaryOptions) -> usize {
    if options.quantiles.is_empty() {
        return 0;
    }
    let parts = match options.age_buckets {
        0 => AGE_BUCKETS,
        given => given.min(AGE_BUCKETS_MAX),
    };
    fixed(parts as usize) + parts as usize * Stream::bytes_of(TUPLES_LEAST)
}

/// Bytes of the smallest buffer and of streams without their tuples.
fn fixed(parts: usize) -> usize {
    BUFFER_LEAST * size_of::<(f64, f64)>() + parts * size_of::<Stream>()
}

// === impl Summary ===
impl Summary {
    /// An empty one; `options` are [`checked`].
    pub(super) fn new(options: Arc<SummaryOptions>, now: Seconds) -> Self {
        let head_ends = milliseconds(now) + part(&options);
        let (buffer, streams) = (Vec::new(), Vec::new());
        Self { options, sum: 0.0, count: 0.0, buffer, streams, head: 0, head_ends }
    }

    /// Observes a finite value; true when the size may have changed, or would have but for `grow`.
    pub(super) fn observe(&mut self, value: f64, weight: f64, now: Seconds, grow: bool) -> bool {
        self.sum = plus(self.sum, value * weight);
        self.count = plus(self.count, weight);
        if self.options.quantiles.is_empty() {
            return false;
        }
        let turned = self.turn(now, grow);
        let grown = self.buffer.len() == self.buffer.capacity();
        if grown && !grow {
            match BUFFER_LEAST.checked_sub(self.buffer.len()) {
                Some(more @ 1..) => self.buffer.reserve_exact(more),
                _ => self.flush(false),
            }
        }
        self.buffer.push((value, weight));
        let full = self.buffer.len() >= self.options.buf_cap as usize;
        if full {
            self.flush(grow);
        }
        turned || grown || full
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    pub(super) fn count(&self) -> f64 {
        self.count
    }

    /// Quantiles with their values, NaN without observations in the window.
    pub(super) fn quantiles<'a>(&self, now: Seconds, scratch: &'a mut Scratch) -> &'a [(f64, f64)] {
        let targets = &self.options.quantiles;
        let Scratch { buffer, stream, quantiles } = scratch;
        stream.clear();
        let parts = u64::from(self.options.age_buckets);
        let ended = self.ended(now);
        if ended < parts {
            // Streams that have ended by now will be begun anew at the next observation.
            let head = (self.head as u64 + ended) % parts;
            if let Some(head) = self.streams.get(head as usize) {
                stream.copy(head);
            }
            if !self.buffer.is_empty() {
                buffer.clone_from(&self.buffer);
                sort(buffer);
                stream.merge(buffer, targets, TUPLES_MAX);
            }
        }
        quantiles.clear();
        quantiles.extend(targets.iter().map(|(q, _)| (*q, stream.query(*q))));
        quantiles
    }

    /// Bytes that it may always have.
    pub(super) fn reserved(&self) -> usize {
        reserved(&self.options)
    }

    /// Bytes on the heap, shared options apart.
    pub(super) fn bytes(&self) -> usize {
        let streams: usize = self.streams.iter().map(Stream::bytes).sum();
        streams
            + self.streams.capacity() * size_of::<Stream>()
            + self.buffer.capacity() * size_of::<(f64, f64)>()
    }

    /// Begins streams anew whose time is over; true when there was one.
    fn turn(&mut self, now: Seconds, grow: bool) -> bool {
        let ended = self.ended(now);
        if ended == 0 {
            return false;
        }
        let parts = u64::from(self.options.age_buckets);
        if ended >= parts {
            self.buffer.clear();
        } else {
            self.flush(grow);
        }
        for _ in 0..ended.min(parts) {
            if let Some(stream) = self.streams.get_mut(self.head) {
                stream.clear();
            }
            self.head = (self.head + 1) % parts as usize;
        }
        self.head_ends += ended * part(&self.options);
        true
    }

    /// How many streams have come to their end since the head was begun.
    fn ended(&self, now: Seconds) -> u64 {
        match milliseconds(now).checked_sub(self.head_ends) {
            Some(over) => over / part(&self.options) + 1,
            None => 0,
        }
    }

    /// Gives the buffer to the streams; without `grow` both are no larger together than before, or
    /// than they may always be.
    fn flush(&mut self, grow: bool) {
        if self.buffer.is_empty() {
            return;
        }
        let parts = self.options.age_buckets as usize;
        let tuples_max = if grow {
            TUPLES_MAX
        } else {
            let bytes = self.bytes().max(self.reserved()) - fixed(parts);
            (bytes / parts / Stream::bytes_of(1)).min(TUPLES_MAX)
        };
        sort(&mut self.buffer);
        self.streams.reserve_exact(parts - self.streams.len());
        self.streams.resize(parts, Stream::default());
        for stream in &mut self.streams {
            stream.merge(&self.buffer, &self.options.quantiles, tuples_max);
        }
        self.buffer.clear();
        if !grow {
            self.buffer.shrink_to(BUFFER_LEAST);
        }
    }
}

fn sort(buffer: &mut [(f64, f64)]) {
    buffer.sort_unstable_by(|one, next| one.0.total_cmp(&next.0));
}

fn milliseconds(now: Seconds) -> u64 {
    u64::from(now) * 1_000
}

/// Milliseconds that the window slides by.
fn part(options: &SummaryOptions) -> u64 {
    let age = u64::try_from(options.max_age.as_millis()).unwrap_or(u64::MAX);
    // Longer than the clock goes is for ever.
    (age.min(1 << 50) / u64::from(options.age_buckets)).max(1)
}
