//! How long a busy worker lets messages gather before it looks again.
//!
//! A worker that is faster than its peers is woken for each single message: it sleeps and wakes,
//! and so do they, and that takes more CPU time than the messages. When it lets some gather first,
//! one wake-up brings several, and they leave in fewer writes.
//!
//! It is done only where messages of many clients follow each other closely and few are at hand,
//! and the shorter the busier the worker is, for a busy one has them gather while it works. A few
//! clients, or many with little to ask, are never delayed.

use std::num::NonZeroU64;
use std::time::Duration;

/// Clients that must have sent something in the same millisecond.
const CROWD: u32 = 8;
/// A wait for events of this length shows that they do not follow each other closely.
const SPARSE_US: u64 = 50;
/// With so many events at once there is nothing to gain.
const EVENTS_ENOUGH: usize = 4;
/// What a message may wait at most, once on its way to the server and once on its way back.
const LENGTH_US_MAX: f32 = 50.0;
/// A shorter pause costs more than it saves.
const LENGTH_US_MIN: f32 = 15.0;
/// The pause of a worker with nothing to do, before it is bounded, and what is taken off it.
const LENGTH_US_IDLE: f32 = 150.0;
const LENGTH_US_OFF: f32 = 10.0;
/// How often the share of busy time is taken, and the weight of the last one.
const WINDOW_US: u64 = 1_000;
const WEIGHT: f32 = 0.25;

/// How busy a worker is.
#[derive(Debug, Default)]
pub(super) struct Gather {
    busy_us: u64,
    idle_us: u64,
    /// From 0 to 1.
    busy: f32,
    /// How long the last event was in coming.
    waited_us: u64,
}

impl Gather {
    /// Takes note of a turn: how long it worked, how long it paused and waited before it, and how
    /// much of that it waited for an event.
    #[inline]
    pub(super) fn observe(&mut self, busy_us: u64, idle_us: u64, waited_us: u64) {
        self.waited_us = waited_us;
        self.busy_us += busy_us;
        self.idle_us += idle_us;
        let total_us = self.busy_us + self.idle_us;
        if total_us >= WINDOW_US {
            let busy = self.busy_us as f32 / total_us as f32;
            self.busy += (busy - self.busy) * WEIGHT;
            self.busy_us = 0;
            self.idle_us = 0;
        }
    }

    /// How long to pause, when so many clients are active and the last turn had so many events.
    #[inline]
    pub(super) fn length(&self, active: u32, events: usize) -> Duration {
        if active < CROWD || self.waited_us >= SPARSE_US || events >= EVENTS_ENOUGH {
            return Duration::ZERO;
        }
        let length_us = LENGTH_US_IDLE * (1.0 - self.busy) - LENGTH_US_OFF;
        if length_us < LENGTH_US_MIN {
            return Duration::ZERO;
        }
        Duration::from_micros(length_us.min(LENGTH_US_MAX) as u64)
    }
}

/// Lets this thread sleep for as short as it asks; the kernel otherwise adds up to 50 µs.
pub(super) fn prepare_thread() {
    // Without it pauses are longer than meant, no more.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1_000));
}

#[expect(clippy::disallowed_methods, reason = "the pause is the purpose")]
pub(super) fn pause(length: Duration) {
    std::thread::sleep(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that has been busy for this share of the time for long.
    fn steady(busy_percent: u64) -> Gather {
        let mut gather = Gather::default();
        for _ in 0..1_000 {
            gather.observe(busy_percent, 100 - busy_percent, 10);
        }
        gather
    }

    #[test]
    fn pauses_in_a_crowd_the_shorter_the_busier() {
        let pauses = [10, 55, 70, 80, 85, 95].map(|busy| steady(busy).length(50, 1).as_micros());
        assert_eq!(pauses, [50, 50, 35, 20, 0, 0]);
    }

    #[test]
    fn does_not_delay_few_clients_or_sparse_messages_or_many_at_once() {
        let gather = steady(50);
        assert_eq!(gather.length(7, 1), Duration::ZERO);
        assert_eq!(gather.length(50, 4), Duration::ZERO);
        let mut sparse = steady(50);
        sparse.observe(50, 80, 80);
        assert_eq!(sparse.length(50, 1), Duration::ZERO);
    }
}
