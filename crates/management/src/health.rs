//! Health: heartbeats (is the process alive?) and checks (can it serve?).
//!
//! Liveness never asks a dependency, or one slow database restarts a whole fleet. Checks run in
//! the background, each in its own task with its own timeout, and probes read what they left: a
//! probe neither causes load nor waits.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Whether a failing check makes the process not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Critical {
    /// It does.
    Yes,
    /// It is shown and counted, and the process goes on serving.
    No,
}

/// A sign of life, given by a thread or task at least every second, idle or not.
///
/// Dropping it takes it off the books: a thread that ends is the business of
/// [`crate::Handle::watch`].
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<AtomicU64>);

/// What a check answers: `Err` says what is wrong.
pub(crate) type CheckFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A check as registered.
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) critical: Critical,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) ask: Box<dyn Fn() -> CheckFuture + Send>,
}

/// The last result of one check.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) critical: Critical,
    /// `None` until the first answer.
    pub(crate) result: Option<Result<(), String>>,
    at: Instant,
}

/// The results of all checks; written by the check tasks, read by the probes.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(Mutex<BTreeMap<String, Outcome>>);

/// All heartbeats; sampled on the management thread.
///
/// A heartbeat only counts. When it counted last is noted here, so that beating needs no clock.
#[derive(Debug)]
pub(crate) struct Heartbeats {
    stall: Duration,
    entries: Mutex<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    count: Weak<AtomicU64>,
    seen: u64,
    changed: Instant,
}

/// What the readiness of all checks comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pass,
    /// Only checks that are not critical fail.
    Warn,
    Fail,
}

// === impl Heartbeat ===

impl Heartbeat {
    /// Gives the sign: one relaxed addition, cheap enough for every turn of a loop.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

// === impl Heartbeats ===

impl Heartbeats {
    pub(crate) fn new(stall: Duration) -> Self {
        Self { stall, entries: Mutex::new(Vec::new()) }
    }

    /// How often to sample, for a tenth of the stall as precision.
    pub(crate) fn interval(&self) -> Duration {
        (self.stall / 10).max(Duration::from_millis(1))
    }

    pub(crate) fn register(&self, name: &str, now: Instant) -> Heartbeat {
        let count = Arc::new(AtomicU64::new(0));
        let entry =
            Entry { name: name.to_owned(), count: Arc::downgrade(&count), seen: 0, changed: now };
        lock(&self.entries).push(entry);
        Heartbeat(count)
    }

    /// Notes what has counted since the last sample, and gives the age of each by name.
    pub(crate) fn sample(&self, now: Instant) -> Vec<(String, Duration)> {
        let mut entries = lock(&self.entries);
        entries.retain_mut(|entry| {
            let Some(count) = entry.count.upgrade() else {
                return false;
            };
            let count = count.load(Ordering::Relaxed);
            if count != entry.seen {
                (entry.seen, entry.changed) = (count, now);
            }
            true
        });
        let age = |entry: &Entry| (entry.name.clone(), now.duration_since(entry.changed));
        entries.iter().map(age).collect()
    }

    /// The heartbeats that stopped, with their age.
    pub(crate) fn stalled(&self, now: Instant) -> Vec<(String, Duration)> {
        self.sample(now).into_iter().filter(|(_, age)| *age > self.stall).collect()
    }
}

// === impl Check ===

impl Check {
    /// Asks for ever. A check that hangs is cut off by its own timeout and delays no other.
    pub(crate) async fn run(self, outcomes: &Outcomes) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let result = match tokio::time::timeout(self.timeout, (self.ask)()).await {
                Ok(result) => result,
                Err(_) => {
                    let waited = crate::duration::format(self.timeout);
                    Err(format!("no answer in {waited}"))
                }
            };
            self.note(outcomes, result);
        }
    }

    fn note(&self, outcomes: &Outcomes, result: Result<(), String>) {
        let before = outcomes.set(&self.name, self.critical, Some(result.clone()));
        let passed = |result: &Option<Result<(), String>>| matches!(result, Some(Ok(())));
        match (passed(&before), &result) {
            (false, Ok(())) => tracing::info!(check = self.name, "health check passes"),
            (true, Err(error)) => {
                tracing::warn!(check = self.name, error, "health check fails");
            }
            (false, Err(error)) if before.is_none() => {
                tracing::warn!(check = self.name, error, "health check fails");
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

// === impl Outcomes ===

impl Outcomes {
    /// Sets a result and gives the one before.
    pub(crate) fn set(
        &self,
        name: &str,
        critical: Critical,
        result: Option<Result<(), String>>,
    ) -> Option<Result<(), String>> {
        let outcome = Outcome { critical, result, at: Instant::now() };
        lock(&self.0).insert(name.to_owned(), outcome).and_then(|before| before.result)
    }

    pub(crate) fn all(&self) -> BTreeMap<String, Outcome> {
        lock(&self.0).clone()
    }

    /// A critical check that has not answered yet fails; one that is not critical is no worry
    /// until it does.
    pub(crate) fn status(&self) -> Status {
        let mut status = Status::Pass;
        for outcome in lock(&self.0).values() {
            match (&outcome.result, outcome.critical) {
                (Some(Ok(())), _) | (None, Critical::No) => {}
                (_, Critical::Yes) => return Status::Fail,
                (Some(Err(_)), Critical::No) => status = Status::Warn,
            }
        }
        status
    }

    pub(crate) fn to_json(&self, now: Instant) -> Value {
        let mut checks = Map::new();
        for (name, outcome) in self.all() {
            let (status, error) = match &outcome.result {
                None => ("unknown", None),
                Some(Ok(())) => ("pass", None),
                Some(Err(error)) => ("fail", Some(crate::secret::redact_text(error))),
            };
            let age = u64::try_from(now.duration_since(outcome.at).as_millis()).unwrap_or(u64::MAX);
            let critical = outcome.critical == Critical::Yes;
            let mut entry = json!({"status": status, "critical": critical, "age_ms": age});
            if let Some(error) = error {
                entry["error"] = json!(error);
            }
            checks.insert(name, entry);
        }
        Value::Object(checks)
    }
}

// === impl Status ===

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// Locks; what a panicking holder left is whole, as every critical section here is one statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
