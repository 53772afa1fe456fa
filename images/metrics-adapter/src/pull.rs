//! Pulled inputs: asked when a scrape comes, once for all who wait, with the scraper's deadline.
//!
//! A scrape that does not come to its end in time goes on without those who waited, and its answer
//! is there for the next: they get the last good one meanwhile, if it is not too old. Nothing else
//! is kept. Whatever blocks (JMX) does so on threads of its own.

mod answer;
mod probes;
mod remote;
mod source;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::config::{PullLimits, PulledConfig};
use crate::exposition::Family;
use crate::rules::RuleCounters;
pub use answer::{Answer, merge};
pub use probes::{ProbeError, Probes};
pub(crate) use remote::Asked;
use source::Source;
pub use source::{Failure, Scraped};

/// How often an idle connection is kept alive: well below the minute at which a JDK's client does
/// so, and the two minutes after which a server gives up.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(50);
/// Longest a heartbeat may take.
const HEARTBEAT_MAX: Duration = Duration::from_secs(10);
/// A scrape that nobody waits for any more ends after this at the latest.
const LIFE_MIN: Duration = Duration::from_secs(60);

/// When an answer must be there.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// When it was asked.
    pub now: Instant,
    /// When waiting ends.
    pub answer: Instant,
    /// Whether the scraper said so itself.
    pub said: bool,
}

/// Who says where a result is from.
#[derive(Clone, Debug)]
struct Good {
    families: Arc<Vec<Family>>,
    at: Instant,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the last scrape that was begun.
    begun: u64,
    /// Whether it is still under way.
    running: bool,
    /// How the last one ended, and how long it took.
    last: Option<(Result<(), String>, Duration)>,
    good: Option<Good>,
    rules: RuleCounters,
    /// When somebody last asked or kept the connection alive.
    touched: Option<Instant>,
}

/// What an input has counted since it was made.
#[derive(Debug, Default)]
pub struct Counters {
    /// Scrapes begun.
    pub scrapes: AtomicU64,
    /// Those that failed.
    pub failures: AtomicU64,
    /// Waiters whose time was up.
    pub timeouts: AtomicU64,
    /// Waiters that got the last good answer instead.
    pub stale: AtomicU64,
    /// Waiters that shared a scrape that was under way.
    pub shared: AtomicU64,
    /// Series left out because there were too many.
    pub dropped: AtomicU64,
}

/// A pulled input.
#[derive(Debug)]
pub struct Pulled {
    config: PulledConfig,
    limits: PullLimits,
    source: Source,
    state: Mutex<State>,
    /// Number of the last scrape that has ended.
    ended: watch::Sender<u64>,
    made: Instant,
    counters: Counters,
    tasks: TaskTracker,
}

// === impl Pulled ===

impl Pulled {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// A client that cannot be made, said with the input's name.
    pub fn new(config: PulledConfig, limits: PullLimits) -> anyhow::Result<Arc<Self>> {
        let source = Source::new(&config, &limits)?;
        Ok(Arc::new(Self {
            config,
            limits,
            source,
            state: Mutex::default(),
            ended: watch::Sender::new(0),
            made: Instant::now(),
            counters: Counters::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// What it was made of.
    #[must_use]
    pub fn config(&self) -> &PulledConfig {
        &self.config
    }

    /// What it has counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What its rules have counted; `None` for an input without rules.
    #[must_use]
    pub fn rules(&self) -> Option<RuleCounters> {
        self.config.kind.rules().map(|_| self.state().rules)
    }

    /// Whether the last scrape was good; `None` before the first.
    #[must_use]
    pub fn is_up(&self) -> Option<bool> {
        self.state().last.as_ref().map(|(result, _)| result.is_ok())
    }

    /// Asks, or joins those who have asked, and waits until the deadline.
    pub async fn scrape(self: &Arc<Self>, deadlines: Deadlines) -> Answer {
        let wait = match (deadlines.said, self.config.timeout) {
            (_, None) => deadlines.answer,
            (true, Some(own)) => deadlines.answer.min(deadlines.now + own),
            (false, Some(own)) => deadlines.now + own,
        };
        if self.made.elapsed() < self.config.start_delay {
            return self.answer(None, Err("the start delay is not over".to_owned()));
        }
        let mut ended = self.ended.subscribe();
        let mine = self.begin(wait);
        let waited = ended.wait_for(|number| *number >= mine);
        if tokio::time::timeout_at(wait.into(), waited).await.is_ok() {
            let state = self.state();
            let good = state.good.clone().map(|good| good.families);
            match state.last.clone() {
                Some((Ok(()), _)) => self.answer_with(&state, good, Ok(()), false),
                Some((Err(error), _)) => self.answer_with(&state, None, Err(error), false),
                None => self.answer_with(&state, None, Err("no scrape".to_owned()), false),
            }
        } else {
            self.late()
        }
    }

    /// The last good answer for one whose time is up.
    fn late(&self) -> Answer {
        self.counters.timeouts.fetch_add(1, Ordering::Relaxed);
        let state = self.state();
        let young = |good: &Good| good.at.elapsed() <= self.limits.stale_max;
        let Some(good) = state.good.clone().filter(young) else {
            return self.answer_with(&state, None, Err("no answer in time".to_owned()), false);
        };
        self.counters.stale.fetch_add(1, Ordering::Relaxed);
        self.answer_with(&state, Some(good.families), Ok(()), true)
    }

    fn answer(&self, families: Option<Arc<Vec<Family>>>, result: Result<(), String>) -> Answer {
        self.answer_with(&self.state(), families, result, false)
    }

    fn answer_with(
        &self,
        state: &State,
        families: Option<Arc<Vec<Family>>>,
        result: Result<(), String>,
        stale: bool,
    ) -> Answer {
        Answer {
            families: families.unwrap_or_default(),
            labels: self.config.labels.clone(),
            jmx: self.source.is_jmx().then(|| answer::JmxFigures {
                seconds: state.last.as_ref().map_or(0.0, |(_, took)| took.as_secs_f64()),
                error: result.is_err(),
                cached_beans: state.rules.cached_beans,
                timeouts: self.counters.timeouts.load(Ordering::Relaxed),
            }),
            error: result.err(),
            stale,
        }
    }

    /// The number of the scrape under way; begins one if there is none.
    fn begin(self: &Arc<Self>, wait: Instant) -> u64 {
        let mut state = self.state();
        state.touched = Some(Instant::now());
        if state.running {
            self.counters.shared.fetch_add(1, Ordering::Relaxed);
            return state.begun;
        }
        state.running = true;
        state.begun += 1;
        let number = state.begun;
        drop(state);
        self.counters.scrapes.fetch_add(1, Ordering::Relaxed);
        let patience = wait.saturating_duration_since(Instant::now()) * 2;
        let end = Instant::now() + patience.max(LIFE_MIN);
        let pulled = Arc::clone(self);
        self.tasks.spawn(async move { pulled.run(number, end).await });
        number
    }

    async fn run(self: Arc<Self>, number: u64, end: Instant) {
        let start = Instant::now();
        let result = self.source.scrape(end).await;
        let took = start.elapsed();
        let input = self.name();
        let mut state = self.state();
        let before = state.last.as_ref().map(|(result, _)| result.is_ok());
        let result = match result {
            Ok(scraped) => {
                let families = self.limited(scraped.families);
                state.good = Some(Good { families: Arc::new(families), at: Instant::now() });
                state.rules = scraped.rules;
                if before == Some(false) {
                    info!(input, "input answers again");
                }
                debug!(input, took_ms = took.as_millis(), "scraped");
                Ok(())
            }
            Err(failure) => {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                let error = failure.to_string();
                match before {
                    Some(false) => debug!(input, error, "scrape failed again"),
                    _ => warn!(input, error, "scrape failed"),
                }
                Err(error)
            }
        };
        state.last = Some((result, took));
        state.running = false;
        drop(state);
        self.ended.send_replace(number);
    }

    /// Leaves out what is too much, whole families at the end first.
    fn limited(&self, mut families: Vec<Family>) -> Vec<Family> {
        let mut room = self.limits.series_max;
        let mut dropped = 0;
        for family in &mut families {
            let over = family.samples.len().saturating_sub(room);
            family.samples.truncate(family.samples.len() - over);
            room -= family.samples.len();
            dropped += over as u64;
        }
        if dropped > 0 {
            self.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
            families.retain(|family| !family.samples.is_empty());
        }
        families
    }

    /// Keeps idle connections alive until nobody knows the input any more.
    pub fn keep_alive(self: &Arc<Self>) {
        if !self.source.is_jmx() {
            return;
        }
        let weak = Arc::downgrade(self);
        self.tasks.spawn(async move {
            loop {
                tokio::time::sleep(HEARTBEAT_EVERY / 5).await;
                let Some(pulled) = weak.upgrade() else { return };
                if pulled.is_idle() {
                    pulled.source.heartbeat(Instant::now() + HEARTBEAT_MAX).await;
                }
            }
        });
    }

    /// Ends its connection. Blocks for as long as a goodbye may take.
    pub fn close(&self) {
        if let Some(goodbye) = self.source.goodbye() {
            goodbye();
        }
    }

    /// Whether nobody has asked for long; this counts as asking.
    fn is_idle(&self) -> bool {
        let mut state = self.state();
        let idle = state.touched.is_some_and(|it| it.elapsed() >= HEARTBEAT_EVERY * 4 / 5);
        if idle && !state.running {
            state.touched = Some(Instant::now());
            return true;
        }
        false
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
