//! Whether a thread still turns, for `/healthz` on the application's side; management has its own
//! look at the same, on its own port.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After such a silence a thread stands still; as long as management waits.
const STALL: Duration = Duration::from_secs(10);

/// When a thread was last heard of.
#[derive(Debug)]
pub(super) struct Pulse {
    name: &'static str,
    /// On a clock that stops while the machine sleeps, as the thread does.
    start: Instant,
    /// Milliseconds since the start.
    last: AtomicU64,
}

// === impl Pulse ===

impl Pulse {
    /// Of a thread that is about to start.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, start: Instant::now(), last: AtomicU64::new(0) }
    }

    /// The thread turns.
    pub(super) fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// Why the thread does not seem to turn, if so.
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_at(self.now())
    }

    fn check_at(&self, now: u64) -> Result<(), String> {
        let silent = Duration::from_millis(now.saturating_sub(self.last.load(Ordering::Relaxed)));
        if silent > STALL {
            return Err(format!("the {} stands still for {} s", self.name, silent.as_secs()));
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_thread_stands_still() {
        let pulse = Pulse::new("driver");
        assert_eq!(pulse.check_at(10_000), Ok(()));
        assert_eq!(pulse.check_at(12_500), Err("the driver stands still for 12 s".to_owned()));
        pulse.last.store(12_000, Ordering::Relaxed);
        assert_eq!(pulse.check_at(12_500), Ok(()));
    }
}
