//! How long a busy worker lets messages gather before it looks again.
//!
//! A worker that is faster than its peers is woken for each single message: it sleeps and wakes,
//! and so do they, and that takes more CPU time than the messages. When it lets some gather first,
//! one wake-up brings several, and they leave in fewer writes.
//!
//! It is done only where messages of many clients follow each other closely. A few clients, or
//! many at a moderate load, are never delayed.

use std::num::NonZeroU64;
use std::time::Duration;

/// Clients that must have sent something in the same millisecond.
const CROWD: u32 = 8;
/// A wait for events of this length shows that they do not follow each other closely.
const SPARSE_US: u64 = 50;
/// What a message may wait at most, once on its way to the server and once on its way back.
const LENGTH: Duration = Duration::from_micros(100);

/// How long to pause, when so many clients are active and the last event was so long in coming.
#[inline]
pub(super) fn length(active: u32, waited_us: u64) -> Duration {
    if active < CROWD || waited_us >= SPARSE_US { Duration::ZERO } else { LENGTH }
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
    fn pauses_in_a_crowd() {
        assert_eq!(length(50, 0), LENGTH);
    }

    #[test]
    fn does_not_delay_few_clients_or_sparse_messages() {
        assert_eq!(length(7, 0), Duration::ZERO);
        assert_eq!(length(50, 80), Duration::ZERO);
    }
}
