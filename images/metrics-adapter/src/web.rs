//! The page over HTTP: negotiation, compression, TLS, basic authentication, `/probe`.
//!
//! A [`Site`] answers requests and owns nothing of what it shows. It refuses to render more than a
//! few pages at a time, so that memory stays bounded, and to hold the registry for longer than a
//! slice of a page.

pub mod auth;
mod listener;
mod page;
mod probe;
mod route;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::config::{Mode, PullLimits, WebConfig};
use crate::exposition::Family;
use crate::ingest::Ingest;
use crate::pull::{Deadlines, Probes, Pulled};
use auth::Auth;
pub use listener::serve;

/// Most pages rendered at the same time.
const RENDERS_MAX: usize = 4;

/// What can be exchanged while the site is up.
#[derive(Debug)]
pub struct Live {
    /// Pulled inputs in their order.
    pub pulled: Vec<Arc<Pulled>>,
    /// Targets of `/probe`.
    pub probes: Arc<Probes>,
    /// Users of the page.
    pub auth: Auth,
    /// TLS of new connections.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The page's path and what else stands at it.
    pub web: WebConfig,
}

/// What requests may cause.
pub trait Actions: Send + Sync {
    /// Reads the configuration again; what was wrong with it, if it was.
    fn reload(&self) -> impl Future<Output = Result<(), String>> + Send;
    /// Reads it again if the watched file is newer than what is in force; without `again` only if
    /// that has not been tried before. True when it has another content and is in force.
    fn reload_if_changed(&self, again: bool) -> impl Future<Output = bool> + Send;
    /// Ends the process.
    fn quit(&self);
    /// Families of the process itself that stand on the page.
    fn families(&self) -> Vec<Family>;
}

/// Everything a request needs.
#[derive(Debug)]
pub struct Site<A> {
    /// Whose page it is.
    pub mode: Mode,
    /// Pushed series.
    pub ingest: Option<Arc<Ingest>>,
    /// Exchanged by a reload.
    pub live: RwLock<Arc<Live>>,
    /// Bounds of pulling.
    pub limits: PullLimits,
    /// What requests may cause.
    pub actions: A,
    /// What has been counted.
    pub counters: Arc<Counters>,
    /// Whether new connections are taken.
    pub accepting: watch::Sender<bool>,
    renders: Semaphore,
    /// Names of pulled metrics that have been told to have no place on the page.
    told: Mutex<BTreeSet<String>>,
    tasks: TaskTracker,
}

/// What the site has counted since its start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections taken.
    pub connections: AtomicU64,
    /// Connections open.
    pub open: AtomicU64,
    /// Requests under way.
    pub in_flight: AtomicU64,
    /// Requests.
    pub requests: AtomicU64,
    /// Pages rendered.
    pub scrapes: AtomicU64,
    /// Time it took to render them, with waiting for pulled inputs, in microseconds.
    pub scrape_micros: AtomicU64,
    /// Bytes of bodies.
    pub bytes_out: AtomicU64,
    /// Requests without the right credentials.
    pub unauthorized: AtomicU64,
    /// Requests refused because there were too many.
    pub busy: AtomicU64,
    /// Connections whose TLS failed or took too long.
    pub tls_failed: AtomicU64,
    /// Families of pulled inputs left out or joined because their name was taken by another kind.
    pub family_conflicts: AtomicU64,
    /// Series of pulled inputs left out because their labels were taken.
    pub series_dropped: AtomicU64,
    /// Pushed series, or lines of them, left out of pages, see [`Page::left_out`]; counted anew by
    /// every page.
    ///
    /// [`Page::left_out`]: crate::exposition::Page::left_out
    pub pushed_left_out: AtomicU64,
    /// The same of pulled series.
    pub pulled_left_out: AtomicU64,
}

// === impl Site ===

impl<A: Actions> Site<A> {
    /// A site that takes connections once it is served.
    pub fn new(
        mode: Mode,
        ingest: Option<Arc<Ingest>>,
        live: Live,
        limits: PullLimits,
        counters: Arc<Counters>,
        actions: A,
    ) -> Self {
        Self {
            mode,
            ingest,
            live: RwLock::new(Arc::new(live)),
            limits,
            actions,
            counters,
            accepting: watch::Sender::new(true),
            renders: Semaphore::new(RENDERS_MAX),
            told: Mutex::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// What is in force now.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Exchanges what is in force; requests under way end with what they began with.
    pub fn replace(&self, live: Live) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }

    /// When an answer must be there: what the scraper says, less a margin, else the default.
    fn deadlines(&self, header: Option<&str>) -> Deadlines {
        let now = Instant::now();
        let said = header.and_then(|text| text.trim().parse::<f64>().ok());
        let said = said.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
        let wait = match said {
            // Half of a time that is shorter than the margin is better than nothing.
            Some(said) => said.saturating_sub(self.limits.margin).max(said / 2),
            None => self.limits.timeout,
        };
        Deadlines { now, answer: now + wait.min(self.limits.timeout_max), said: said.is_some() }
    }
}

// === impl Counters ===

impl Counters {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
