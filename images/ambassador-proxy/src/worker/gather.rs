//! How long a busy worker lets messages gather before it looks again.
//!
//! A worker that is faster than its peers is woken for each single message: it sleeps and wakes,
//! and so do they, and that takes more CPU time than the messages. When it lets some gather first,
//! one wake-up brings several, and they leave in fewer writes.
//!
//! The time for it is a share of what requests take anyway. So where requests do not queue, as
//! with a few clients or at a moderate load, nothing is delayed at all.

use std::num::NonZeroU64;
use std::time::Duration;

/// Requests must wait at least in this number, or there is nothing to gather.
const WAITING_MIN: usize = 8;
/// The share of the time a request takes: one in this many.
const SHARE: f32 = 4.0;
/// A shorter pause costs more than it saves.
const PAUSE_US_MIN: f32 = 20.0;
/// A longer one saves nothing more.
const PAUSE_US_MAX: f32 = 250.0;
/// How long to pause when so many requests wait for replies, of which fast ones take `reply_us`.
#[inline]
pub(super) fn length(waiting: usize, reply_us: f32) -> Duration {
    let pause_us = reply_us / SHARE;
    if waiting < WAITING_MIN || pause_us < PAUSE_US_MIN {
        return Duration::ZERO;
    }
    Duration::from_micros(pause_us.min(PAUSE_US_MAX) as u64)
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

    #[test]
    fn pauses_for_a_share_of_what_requests_take() {
        assert_eq!(length(50, 500.0).as_micros(), 125);
    }

    #[test]
    fn does_not_delay_few_or_fast_requests() {
        assert_eq!(length(7, 500.0), Duration::ZERO);
        assert_eq!(length(50, 79.0), Duration::ZERO);
        assert_eq!(length(0, 0.0), Duration::ZERO);
    }

    #[test]
    fn pauses_for_a_bounded_time() {
        assert_eq!(length(10_000, 1e9).as_micros(), 250);
    }
}
