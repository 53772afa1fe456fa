//! Waiting for a condition, with a deadline: the one place that sleeps.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Time between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks until `condition` yields a value, and returns it.
///
/// `what` completes the sentence "waited 30s for …".
///
/// # Errors
/// The first error of `condition`, or the deadline of `limit` having passed.
pub fn until<T>(
    what: &str,
    limit: Duration,
    condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    until_every(PAUSE, what, limit, condition)
}

/// As [`until`], with another time between two looks.
///
/// # Errors
/// As [`until`].
pub fn until_every<T>(
    every: Duration,
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("waited {limit:?} for {what}");
        }
        pause(every);
    }
}

/// Lets time pass between two looks.
#[expect(clippy::disallowed_methods, reason = "polls a condition that has a deadline")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
