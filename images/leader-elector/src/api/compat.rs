//! What clients of the Kubernetes leader-elector and of its successors expect.
//!
//! The first one answers `{"name": …}` at `/`, and `/isLeader`; newer ones stream the name with the
//! time of the last update at `/sse`. A name that is not known to be right is empty here: the
//! originals went on naming leaders that were long gone.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::events::event;
use crate::Boottime;
use crate::agent::Seen;

/// The answer of the Kubernetes leader-elector.
#[derive(Debug, Serialize)]
pub(super) struct Name<'s> {
    name: &'s str,
}

/// The event of newer ones.
#[derive(Debug, Serialize)]
struct Update<'s> {
    name: &'s str,
    last_update: String,
}

/// A stream of names.
pub(super) struct Names {
    seen: watch::Receiver<Seen>,
    sent: Option<Arc<str>>,
    _place: OwnedSemaphorePermit,
}

// === impl Name ===

impl<'s> Name<'s> {
    pub(super) fn of(seen: &'s Seen) -> Self {
        Self { name: name(seen) }
    }
}

fn name(seen: &Seen) -> &str {
    seen.leader().map_or("", |lease| &lease.holder)
}

/// Down to the space after the colon.
pub(super) fn is_leader(leads: bool) -> &'static str {
    if leads { r#"{"isLeader": true}"# } else { r#"{"isLeader": false}"# }
}

// === impl Names ===

impl Names {
    pub(super) fn new(seen: watch::Receiver<Seen>, place: OwnedSemaphorePermit) -> Self {
        Self { seen, sent: None, _place: place }
    }

    /// The name as found, then each time it has changed.
    pub(super) async fn event(&mut self) -> Option<Bytes> {
        loop {
            if self.sent.is_some() {
                self.seen.changed().await.ok()?;
            }
            let seen = self.seen.borrow_and_update().clone();
            let name = name(&seen);
            if self.sent.as_deref() == Some(name) {
                continue;
            }
            self.sent = Some(name.into());
            let age = Boottime::now().since(seen.view.observed);
            let last_update = rfc3339(SystemTime::now() - age);
            return Some(event(None, None, &Update { name, last_update }));
        }
    }
}

/// A moment in UTC as in RFC 3339, to the second. For people: nothing is decided by it.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day after 1970-01-01, counted in eras of 400 years that begin in March,
/// so that the leap day is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_BEFORE_1970: u64 = 719_468;
    const ERA_DAYS: u64 = 146_097;
    let days = days + DAYS_BEFORE_1970;
    let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    (year, month, day - (153 * march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_724_198_400), "2024-08-21T00:00:00Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
