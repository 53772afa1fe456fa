//! Quantiles of a stream with targeted errors, in little memory.
//!
//! Source: Cormode, Korn, Muthukrishnan, Srivastava, "Effective computation of biased quantiles over
//! data streams" (2005), section on targeted quantiles; the insertion of weights is ours: a value
//! that came `w` times is its first and its last copy, and the last one has all others before it.

#[cfg(test)]
mod tests;

/// Past so many tuples errors grow instead: an error of zero would keep every value.
pub(super) const TUPLES_MAX: usize = 4_096;

/// A sample of what came.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    tuples: Vec<Tuple>,
    total: f64,
}

/// A value of which is known: so many observations are after the value before and up to this one,
/// and so many more may be before it.
#[derive(Clone, Copy, Debug, Default)]
struct Tuple {
    value: f64,
    width: f64,
    delta: f64,
}

// === impl Stream ===

impl Stream {
    /// Takes values with their weights, sorted by value. Keeps `tuples_max` at most, two or more,
    /// whatever that does to errors.
    pub(super) fn merge(
        &mut self,
        batch: &[(f64, f64)],
        targets: &[(f64, f64)],
        tuples_max: usize,
    ) {
        // Room for the batch is needed only until it is compressed.
        let more: usize = batch.iter().map(|(_, weight)| 1 + usize::from(*weight > 1.0)).sum();
        let mut from = self.tuples.len();
        let mut to = from + more;
        self.tuples.resize(to, Tuple::default());
        // From the back, in place: `to` is where the value after has gone.
        for &(value, weight) in batch.iter().rev() {
            while from > 0 && self.tuples[from - 1].value > value {
                from -= 1;
                to -= 1;
                self.tuples[to] = self.tuples[from];
            }
            let delta = match self.tuples.get(to) {
                // What is between the neighbours may be on either side.
                Some(next) if from > 0 => (next.width + next.delta - 1.0).max(0.0),
                _ => 0.0,
            };
            if weight > 1.0 {
                to -= 1;
                self.tuples[to] = Tuple { value, width: weight - 1.0, delta };
            }
            to -= 1;
            self.tuples[to] = Tuple { value, width: weight.min(1.0), delta };
            self.total = (self.total + weight).min(f64::MAX);
        }
        self.compress(targets, 0.0);
        let mut least = 4.0 * (self.total / tuples_max as f64);
        while self.tuples.len() > tuples_max && least < f64::INFINITY {
            self.compress(targets, least);
            least *= 2.0;
        }
        // Weights near the largest number are not told apart; the ends are kept.
        if let Some(more @ 1..) = self.tuples.len().checked_sub(tuples_max) {
            self.tuples.drain(1..=more);
        }
        let room = self.tuples.len() + self.tuples.len() / 8;
        self.tuples.shrink_to(room.min(tuples_max));
    }

    /// The value whose rank is surest to be near that of a quantile; NaN when there is none.
    pub(super) fn query(&self, quantile: f64) -> f64 {
        let rank = (quantile * self.total).ceil();
        let (mut best, mut error) = (f64::NAN, f64::INFINITY);
        // Of a value that stands several times: the highest rank that its first copy may have, and
        // the lowest that its last one may.
        let (mut value, mut first) = (f64::NAN, 0.0);
        let mut last = 0.0;
        for tuple in &self.tuples {
            last += tuple.width;
            if tuple.value != value {
                value = tuple.value;
                first = last + tuple.delta;
            }
            let off = (first - rank).max(rank - last).max(0.0);
            if off < error {
                (best, error) = (value, off);
            }
        }
        best
    }

    /// Forgets everything; what it took stays for what comes.
    pub(super) fn clear(&mut self) {
        self.tuples.clear();
        self.total = 0.0;
    }

    /// Takes over the content of another, in the memory it has.
    pub(super) fn copy(&mut self, other: &Self) {
        self.tuples.clear();
        self.tuples.extend_from_slice(&other.tuples);
        self.total = other.total;
    }

    /// Bytes on the heap of so many tuples.
    pub(super) const fn bytes_of(tuples: usize) -> usize {
        tuples * size_of::<Tuple>()
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.tuples.capacity() * size_of::<Tuple>()
    }

    /// Merges tuples into the one after them where errors allow it. The first stays: it is the
    /// minimum.
    fn compress(&mut self, targets: &[(f64, f64)], least: f64) {
        let Some(mut keep) = self.tuples.len().checked_sub(1) else { return };
        let mut kept = self.tuples[keep];
        let mut rank = self.total - kept.width;
        for at in (0..keep).rev() {
            let tuple = self.tuples[at];
            let span = (rank - tuple.width, rank + kept.width + kept.delta);
            let allowed = tolerance(targets, span, self.total).max(least);
            if at > 0 && tuple.width + kept.width + kept.delta <= allowed {
                kept.width += tuple.width;
            } else {
                self.tuples[keep] = kept;
                keep -= 1;
                kept = tuple;
            }
            rank -= tuple.width;
        }
        self.tuples[keep] = kept;
        self.tuples.drain(..keep);
    }
}

/// How wide a tuple may be, anywhere in a span of ranks, so that every target keeps its error. It is
/// least at the target itself; the paper asks at one end of the span, which lets errors through.
fn tolerance(targets: &[(f64, f64)], (low, high): (f64, f64), total: f64) -> f64 {
    let mut least = f64::INFINITY;
    for &(quantile, error) in targets {
        let target = quantile * total;
        let share = if target < low {
            low / quantile
        } else if target > high {
            (total - high) / (1.0 - quantile)
        } else {
            total
        };
        least = least.min(2.0 * error * share);
    }
    least
}
