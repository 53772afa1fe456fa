//! What a candidate does next. Pure: time is an argument.

use std::time::Duration;

use crate::Boottime;

#[cfg(test)]
mod tests;

/// A lease is renewed when this part of its time to live has passed.
const RENEW_PARTS: u32 = 3;
/// After a failed renewal it is tried again this soon, as the deadline comes nearer.
const AGAIN_PARTS: u32 = 10;
/// First pause after a failed candidacy; it doubles up to the time to live.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Stand for election.
    Acquire,
    /// Show a sign of life.
    Renew,
    /// Give the lease up.
    Resign,
    /// Nothing before this moment, if it is known, or before something changes.
    Wait(Option<Boottime>),
}

/// A candidate in an election.
#[derive(Debug)]
pub struct Campaign {
    ttl: Duration,
    candidate: bool,
    standing: State,
    back_off: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Holds nothing, and may stand from here on.
    Free { from: Boottime },
    /// Holds the lease, and renews it then.
    Leads { renew: Boottime },
}

/// Whether the application is well, by the last looks at it.
#[derive(Debug)]
pub struct Health {
    failures_max: u32,
    failures: u32,
    well: bool,
}

// === impl Campaign ===

impl Campaign {
    /// A campaign with leases of this time to live. It is no candidate yet.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        let standing = State::Free { from: Boottime::default() };
        Self { ttl, candidate: false, standing, back_off: BACK_OFF }
    }

    /// Whether it should lead at all.
    pub fn candidate(&mut self, now: Boottime, candidate: bool) {
        if candidate && !self.candidate && matches!(self.standing, State::Free { .. }) {
            // A recovered application waits for nothing that happened before.
            self.standing = State::Free { from: now };
            self.back_off = BACK_OFF;
        }
        self.candidate = candidate;
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self, now: Boottime) -> Step {
        match (self.standing, self.candidate) {
            (State::Free { .. }, false) => Step::Wait(None),
            (State::Free { from }, true) if from <= now => Step::Acquire,
            (State::Free { from }, true) => Step::Wait(Some(from)),
            (State::Leads { .. }, false) => Step::Resign,
            (State::Leads { renew }, true) if renew <= now => Step::Renew,
            (State::Leads { renew }, true) => Step::Wait(Some(renew)),
        }
    }

    /// The lease is held, or renewed.
    pub fn elected(&mut self, now: Boottime) {
        self.standing = State::Leads { renew: now + self.ttl / RENEW_PARTS };
        self.back_off = BACK_OFF;
    }

    /// A renewal failed, and the lease may still be held.
    pub fn not_renewed(&mut self, now: Boottime) {
        self.standing = State::Leads { renew: now + self.ttl / AGAIN_PARTS };
    }

    /// The wait for the election was in vain; it goes on.
    pub fn outvoted(&mut self) {
        self.standing = State::Free { from: Boottime::default() };
    }

    /// The candidacy failed: later again.
    pub fn failed(&mut self, now: Boottime) {
        self.standing = State::Free { from: now + self.back_off };
        self.back_off = (self.back_off * 2).min(self.ttl);
    }

    /// The lease is over: stand again, though not at once, or whoever took it could not keep it.
    pub fn lost(&mut self, now: Boottime) {
        self.failed(now);
    }

    /// The lease was given up.
    pub fn resigned(&mut self) {
        self.standing = State::Free { from: Boottime::default() };
    }
}

// === impl Health ===

impl Health {
    /// Unwell until the first success, and again after so many failures in a row.
    #[must_use]
    pub fn new(failures_max: u32) -> Self {
        Self { failures_max, failures: 0, well: false }
    }

    /// Takes note of a look; whether the application is well now.
    pub fn observe(&mut self, passed: bool) -> bool {
        if passed {
            (self.failures, self.well) = (0, true);
        } else {
            self.failures = self.failures.saturating_add(1);
            self.well &= self.failures < self.failures_max;
        }
        self.well
    }
}
