//! Clocks of machines: each has its own rate and its own beginning.

use std::time::Duration;

use super::dice::Dice;
use crate::Boottime;

/// One millisecond of true time, which is counted in nanoseconds.
pub(super) const MS: u64 = 1_000_000;
/// One second of true time.
pub(super) const SECOND: u64 = 1_000 * MS;
/// A clock that runs right counts so much in a million.
const MILLION: u64 = 1_000_000;
/// How wrong a clock's rate may be, in parts of a million.
pub(super) const DRIFT_PPM_MAX: u64 = 50_000;

/// The clock of a machine, from one boot to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    rate_ppm: u64,
    /// True time of the boot.
    booted: u64,
    /// What it showed then.
    offset: u64,
}

// === impl Clock ===

impl Clock {
    /// A clock of any rate, the worst ones more often than not.
    pub(super) fn any(dice: &mut Dice) -> Self {
        let rate_ppm = match dice.below(4) {
            0 => MILLION - DRIFT_PPM_MAX,
            1 => MILLION + DRIFT_PPM_MAX,
            _ => dice.between(MILLION - DRIFT_PPM_MAX, MILLION + DRIFT_PPM_MAX + 1),
        };
        Self { rate_ppm, booted: 0, offset: dice.between(SECOND, 1_000_000 * SECOND) }
    }

    /// The machine boots: the same crystal, counting from little.
    pub(super) fn boot(&mut self, now: u64, dice: &mut Dice) {
        self.booted = now;
        self.offset = dice.between(SECOND, 20 * SECOND);
    }

    /// What it shows.
    pub(super) fn shows(&self, now: u64) -> Boottime {
        let passed = (now - self.booted) * self.rate_ppm / MILLION;
        Boottime(Duration::from_nanos(self.offset + passed))
    }

    /// How long it really takes for this much to pass on it.
    pub(super) fn truly(&self, duration: Duration) -> u64 {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / MILLION);
        nanos * MILLION / self.rate_ppm
    }
}
