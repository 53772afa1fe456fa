//! Sets: how many distinct members came in a window of a minute. Exact up to a number of members,
//! an estimate (HyperLogLog, standard error 1.6 %) past it, so that a set is never large.

use hashbrown::HashTable;

use super::Seconds;

#[cfg(test)]
mod tests;

/// Length of a window.
const WINDOW_SECONDS: Seconds = 60;
/// Members that are counted exactly.
const EXACT_MAX: usize = 256;
/// Bytes of a set, at most: those of the table that counts exactly.
pub(super) const BYTES_MAX: usize = 4_640;
/// Bits of a hash that choose a register.
const PRECISION: u32 = 12;
const REGISTERS: usize = 1 << PRECISION;
/// Highest rank of a register.
const RANK_MAX: usize = 64 - PRECISION as usize + 1;

/// Distinct members, known by hashes of 64 good bits.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    /// Number of the current window, and what came in it.
    window: Seconds,
    members: Members,
    /// Distinct members of the window before.
    last: f64,
}

#[derive(Debug)]
enum Members {
    Exact(HashTable<u64>),
    Estimate(Box<[u8; REGISTERS]>),
}

// === impl Distinct ===

impl Distinct {
    /// Takes a member; true when the size may have changed.
    pub(super) fn insert(&mut self, hash: u64, now: Seconds) -> bool {
        let window = now / WINDOW_SECONDS;
        let turned = window != self.window;
        if turned {
            let adjacent = self.window.checked_add(1) == Some(window);
            self.last = if adjacent { self.members.count() } else { 0.0 };
            self.members = Members::default();
            self.window = window;
        }
        self.members.insert(hash) || turned
    }

    /// Members of the last full window, or of the current one when they are more already: a new set
    /// need not wait for its first minute.
    pub(super) fn value(&self, now: Seconds) -> f64 {
        let window = now / WINDOW_SECONDS;
        if window == self.window {
            self.last.max(self.members.count())
        } else if self.window.checked_add(1) == Some(window) {
            self.members.count()
        } else {
            0.0
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        match &self.members {
            Members::Exact(hashes) => hashes.allocation_size(),
            Members::Estimate(_) => REGISTERS,
        }
    }
}

// === impl Members ===

impl Default for Members {
    fn default() -> Self {
        Self::Exact(HashTable::new())
    }
}

impl Members {
    fn insert(&mut self, hash: u64) -> bool {
        match self {
            Self::Exact(hashes) => {
                if hashes.find(hash, |other| *other == hash).is_some() {
                    return false;
                }
                if hashes.len() < EXACT_MAX {
                    let before = hashes.capacity();
                    hashes.insert_unique(hash, hash, |hash| *hash);
                    return hashes.capacity() != before;
                }
                let mut registers = Box::new([0; REGISTERS]);
                for hash in hashes.iter().chain([&hash]) {
                    register(&mut registers, *hash);
                }
                *self = Self::Estimate(registers);
                true
            }
            Self::Estimate(registers) => {
                register(registers, hash);
                false
            }
        }
    }

    fn count(&self) -> f64 {
        match self {
            Self::Exact(hashes) => hashes.len() as f64,
            // It was more than that once.
            Self::Estimate(registers) => estimate(registers).round().max(EXACT_MAX as f64),
        }
    }
}

/// Keeps the longest run of zeros, plus one, of the hashes that share a register.
fn register(registers: &mut [u8; REGISTERS], hash: u64) {
    let at = (hash >> (64 - PRECISION)) as usize;
    let rank = (hash << PRECISION | 1 << (PRECISION - 1)).leading_zeros() as u8 + 1;
    registers[at] = registers[at].max(rank);
}

/// Ertl's estimator ("New cardinality estimation algorithms for HyperLogLog sketches", 2017), which
/// needs no correction for small or large numbers.
fn estimate(registers: &[u8; REGISTERS]) -> f64 {
    let mut ranks = [0_u32; RANK_MAX + 1];
    for rank in registers {
        ranks[usize::from(*rank).min(RANK_MAX)] += 1;
    }
    let m = REGISTERS as f64;
    let mut sum = m * tau(1.0 - f64::from(ranks[RANK_MAX]) / m);
    for count in ranks[1..RANK_MAX].iter().rev() {
        sum = 0.5 * (sum + f64::from(*count));
    }
    sum += m * sigma(f64::from(ranks[0]) / m);
    m * m / (2.0 * std::f64::consts::LN_2 * sum)
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * power;
        power += power;
        if sum == before {
            return sum;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut power, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        power *= 0.5;
        sum -= (1.0 - x).powi(2) * power;
        if sum == before {
            return sum / 3.0;
        }
    }
}
