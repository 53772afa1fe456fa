//! Pulled inputs: asked when a scrape comes, once for all who wait, with the scraper's deadline.
//!
//! A scrape that does not come to its end in time goes on without those who waited, and its answer
//! is there for the next: they get the last good one meanwhile, if it is not too old. It goes on for
//! twice the configured time, or as long as the one waits who began it, and is given up when nobody
//! has waited for the configured time: what a scraper says binds no input to a dead connection.
//! Nothing else is kept. Whatever blocks (JMX) does so on threads of its own.

mod answer;
mod goodbye;
mod probes;
mod remote;
mod source;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::config::{PullLimits, PulledConfig};
use crate::exposition::Family;
use crate::rules::RuleCounters;
pub use answer::{Answer, merge};
pub use goodbye::close;
pub use probes::{ProbeError, Probes};
pub(crate) use remote::Asked;
use source::Source;
pub use source::{Failure, Scraped};
use waiting::Waiting;

/// How often an idle connection is kept alive: well below the minute at which a JDK's client does
/// so, and the two minutes after which a server gives up.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(50);
/// Longest a heartbeat may take.
const HEARTBEAT_MAX: Duration = Duration::from_secs(10);
/// Most heartbeats at the same time: each may block a thread for as long.
const HEARTBEATS_MAX: usize = 8;

static HEARTBEATS: Semaphore = Semaphore::const_new(HEARTBEATS_MAX);

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

/// What an input shares with others, or has from the one that it takes the place of.
#[derive(Clone, Debug)]
pub struct Origin {
    /// When the process began: start delays count from then.
    pub started: Instant,
    /// What has been counted.
    pub counters: Arc<Counters>,
    /// Where there is only so much place for scrapes; one that is under way has a place of it.
    pub places: Option<Arc<Semaphore>>,
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
    /// How many wait.
    waiting: watch::Sender<usize>,
    origin: Origin,
    tasks: TaskTracker,
}

// === impl Origin ===

impl Origin {
    /// That of an input that is new.
    #[must_use]
    pub fn new(started: Instant) -> Self {
        Self { started, counters: Arc::default(), places: None }
    }
}

// === impl Pulled ===

impl Pulled {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// A client that cannot be made, said with the input's name.
    pub fn new(
        config: PulledConfig,
        limits: PullLimits,
        origin: Origin,
    ) -> anyhow::Result<Arc<Self>> {
        let source = Source::new(&config, &limits)?;
        Ok(Arc::new(Self {
            config,
            limits,
            source,
            state: Mutex::default(),
            ended: watch::Sender::new(0),
            waiting: watch::Sender::new(0),
            origin,
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
    pub fn counters(&self) -> &Arc<Counters> {
        &self.origin.counters
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

    /// Whether it is being asked.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state().running
    }

    /// Asks, or joins those who have asked, and waits until the deadline; `None` when there is no
    /// place for another scrape.
    pub async fn scrape(self: &Arc<Self>, deadlines: Deadlines) -> Option<Answer> {
        let wait = match (deadlines.said, self.config.timeout) {
            (_, None) => deadlines.answer,
            (true, Some(own)) => deadlines.answer.min(deadlines.now + own),
            (false, Some(own)) => deadlines.now + own,
        };
        if self.origin.started.elapsed() < self.config.start_delay {
            return Some(self.answer(None, Err("the start delay is not over".to_owned())));
        }
        let mut ended = self.ended.subscribe();
        let _waiting = Waiting::new(&self.waiting);
        let mine = self.begin(wait)?;
        let waited = ended.wait_for(|number| *number >= mine);
        if tokio::time::timeout_at(wait.into(), waited).await.is_err() {
            return Some(self.late());
        }
        let state = self.state();
        let good = state.good.clone().map(|good| good.families);
        Some(match state.last.clone() {
            Some((Ok(()), _)) => self.answer_with(&state, good, Ok(()), false),
            Some((Err(error), _)) => self.answer_with(&state, None, Err(error), false),
            None => self.answer_with(&state, None, Err("no scrape".to_owned()), false),
        })
    }

    /// The last good answer for one whose time is up.
    fn late(&self) -> Answer {
        self.origin.counters.timeouts.fetch_add(1, Ordering::Relaxed);
        let state = self.state();
        let young = |good: &Good| good.at.elapsed() <= self.limits.stale_max;
        let Some(good) = state.good.clone().filter(young) else {
            return self.answer_with(&state, None, Err("no answer in time".to_owned()), false);
        };
        self.origin.counters.stale.fetch_add(1, Ordering::Relaxed);
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
                timeouts: self.origin.counters.timeouts.load(Ordering::Relaxed),
            }),
            error: result.err(),
            stale,
        }
    }

    /// The number of the scrape under way; begins one if there is none, and a place for it.
    fn begin(self: &Arc<Self>, wait: Instant) -> Option<u64> {
        let mut state = self.state();
        state.touched = Some(Instant::now());
        if state.running {
            self.origin.counters.shared.fetch_add(1, Ordering::Relaxed);
            return Some(state.begun);
        }
        let place = match &self.origin.places {
            Some(places) => Some(Arc::clone(places).try_acquire_owned().ok()?),
            None => None,
        };
        state.running = true;
        state.begun += 1;
        let number = state.begun;
        drop(state);
        self.origin.counters.scrapes.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let end = now + wait.saturating_duration_since(now).max(self.patience() * 2);
        let pulled = Arc::clone(self);
        self.tasks.spawn(async move { pulled.run(number, end, place).await });
        Some(number)
    }

    /// The configured time for an answer.
    fn patience(&self) -> Duration {
        self.config.timeout.unwrap_or(self.limits.timeout)
    }

    /// Asks; gives up when nobody waits any more.
    async fn ask(&self, end: Instant) -> Result<Scraped, Failure> {
        self.source.give_up(false);
        let mut scrape = std::pin::pin!(self.source.scrape(end));
        tokio::select! {
            result = &mut scrape => return result,
            () = self.deserted() => {}
        }
        let failure = Failure("given up, as nobody waited any more".to_owned());
        if self.source.give_up(true) {
            // It has its thread, and its place, until it has ended indeed.
            return scrape.await.map_err(|_| failure);
        }
        Err(failure)
    }

    /// Ends when nobody has waited for the configured time.
    async fn deserted(&self) {
        let mut waiting = self.waiting.subscribe();
        loop {
            // The other side lives as long as this input, so that there is no error.
            let _ = waiting.wait_for(|count| *count == 0).await;
            let more = waiting.wait_for(|count| *count > 0);
            if tokio::time::timeout(self.patience(), more).await.is_err() {
                return;
            }
        }
    }

    async fn run(self: Arc<Self>, number: u64, end: Instant, place: Option<OwnedSemaphorePermit>) {
        let start = Instant::now();
        let result = self.ask(end).await;
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
                self.origin.counters.failures.fetch_add(1, Ordering::Relaxed);
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
        drop(place);
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
            self.origin.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
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
                    // Nobody ever closes it.
                    let Ok(_turn) = HEARTBEATS.acquire().await else { return };
                    pulled.source.heartbeat(Instant::now() + HEARTBEAT_MAX).await;
                }
            }
        });
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
