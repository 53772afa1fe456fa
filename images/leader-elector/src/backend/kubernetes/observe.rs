//! What was seen of Leases, and since when.
//!
//! A Lease is taken to be abandoned only when its holder gave no sign of life for the whole duration
//! of the lease after the last one was seen *here*, on a clock that no one sets. What holders write
//! about the time is for people.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info};

use super::object::Object;
use super::server::{Error, Event, Server, event};
use crate::Boottime;
use crate::backend::http::Lines;
use crate::backend::views::{Seen, Views};
use crate::backend::{Failure, View};

/// Pause between two looks at a Lease that is watched: for what a watch missed.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Pause between two looks where watching is not allowed.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// How often that is done before watching is tried again: a role may be changed.
const POLLS: u32 = 60;
/// Pause before a failed watch is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// Most pause before an abandoned Lease is freed, so that not all who see it do so at once.
const JITTER_MAX: Duration = Duration::from_millis(100);
/// Longest sleep for a deadline, as timers stop while the machine sleeps.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// All that was seen.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) server: Server,
    pub(super) views: Views,
    leases: Mutex<BTreeMap<Arc<str>, Sight>>,
}

/// A Lease as it was last seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// `None` if it was not there.
    pub(super) object: Option<Object>,
    /// When the last sign of life was seen, after it was given.
    changed: Boottime,
    /// Counts sights, so that an answer can tell whether others came between.
    count: u64,
}

// === impl Sight ===

impl Sight {
    /// When the holder counts as gone; `None` if nobody holds it.
    pub(super) fn ends(&self) -> Option<Boottime> {
        let object = self.object.as_ref().filter(|object| object.holder().is_some())?;
        Some(self.changed + object.duration())
    }

    /// Whether it may be taken.
    pub(super) fn is_free(&self, now: Boottime) -> bool {
        self.ends().is_none_or(|end| now >= end)
    }
}

// === impl Observed ===

impl Observed {
    pub(super) fn new(server: Server) -> Self {
        Self { server, views: Views::default(), leases: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Sight>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was last seen.
    pub(super) fn sight(&self, election: &str) -> Sight {
        self.lock().get(election).cloned().unwrap_or_default()
    }

    /// Takes in an object that the API server gave after `asked`.
    pub(super) fn saw(&self, election: &Arc<str>, object: Object, asked: Boottime) -> Sight {
        let now = Boottime::now();
        let mut leases = self.lock();
        let sight = leases.entry(Arc::clone(election)).or_default();
        sight.count += 1;
        let older = |known: &Object| object.version() != 0 && object.version() < known.version();
        if sight.object.as_ref().is_some_and(older) {
            return sight.clone();
        }
        if sight.object.as_ref().is_none_or(|known| known.signs() != object.signs()) {
            sight.changed = now;
        }
        let (version, lease) = (object.version(), object.lease());
        sight.object = Some(object);
        self.views.update(election, Seen { known: version, version, lease, observed: asked });
        sight.clone()
    }

    /// Takes in that there is no object. `count` is what it was when that was asked, if it was.
    fn saw_none(
        &self,
        election: &Arc<str>,
        version: u64,
        count: Option<u64>,
        asked: Boottime,
    ) -> Sight {
        let mut leases = self.lock();
        let Some(sight) = leases.get_mut(election) else { return Sight::default() };
        if count.is_some_and(|count| count != sight.count) {
            return sight.clone();
        }
        sight.count += 1;
        let last = sight.object.take().map_or(0, |object| object.version());
        let known = version.max(last);
        let seen = Seen { known, version: known, lease: None, observed: asked };
        self.views.update(election, seen);
        sight.clone()
    }

    /// Looks at a Lease.
    pub(super) async fn look(&self, election: &Arc<str>) -> Result<Sight, Error> {
        let (asked, count) = (Boottime::now(), self.sight(election).count);
        match self.server.get(election).await {
            Ok(object) => Ok(self.saw(election, object, asked)),
            Err(Error::Absent) => Ok(self.saw_none(election, 0, Some(count), asked)),
            Err(error) => Err(error),
        }
    }

    /// Frees a Lease that its holder abandoned, unless a sign of life came between.
    pub(super) async fn expire(&self, election: &Arc<str>) -> Result<Sight, Error> {
        let sight = self.sight(election);
        let abandoned = sight.ends().is_some_and(|end| Boottime::now() >= end);
        let Some(object) = sight.object.as_ref().filter(|_| abandoned) else { return Ok(sight) };
        let asked = Boottime::now();
        match self.server.replace(&object.freed()).await {
            Ok(object) => Ok(self.saw(election, object, asked)),
            Err(Error::Conflict | Error::Absent) => self.look(election).await,
            Err(error) => Err(error),
        }
    }

    /// The election as others may see it.
    pub(super) fn view(&self, election: &Arc<str>) -> View {
        self.views.get(election).unwrap_or_default()
    }

    // === following ===

    /// Keeps an eye on a Lease, for ever; tells when it was seen first.
    pub(super) async fn follow(&self, election: &Arc<str>, ready: &watch::Sender<bool>) {
        // Subscribed, so that there is an entry to tell of.
        self.lock().entry(Arc::clone(election)).or_default();
        let mut version = None;
        loop {
            match self.follow_once(election, ready, &mut version).await {
                Ok(()) => {}
                Err(Error::Gone) => {
                    info!(election = %election, "the watch of a Lease starts over");
                    version = None;
                }
                Err(Error::Forbidden(reason)) => {
                    debug!(election = %election, reason, "watching is not allowed; polling");
                    version = None;
                    self.poll(election).await;
                }
                Err(error) => {
                    debug!(election = %election, error = error.text(), "watching a Lease failed");
                    version = None;
                    sleep(AGAIN_AFTER).await;
                    self.expire_if_due(election).await;
                }
            }
        }
    }

    /// Looks at a Lease for a while, before watching is tried again.
    async fn poll(&self, election: &Arc<str>) {
        for _ in 0..POLLS {
            sleep(POLL_EVERY).await;
            // What fails is seen in the health of the server.
            let _ = self.look(election).await;
            self.expire_if_due(election).await;
        }
    }

    async fn follow_once(
        &self,
        election: &Arc<str>,
        ready: &watch::Sender<bool>,
        version: &mut Option<String>,
    ) -> Result<(), Error> {
        if version.is_none() {
            self.look(election).await?;
            ready.send_replace(true);
        }
        let mut lines = self.server.watch(election, version.as_deref()).await?;
        let mut look = Instant::now() + LOOK_EVERY;
        loop {
            tokio::select! {
                more = self.take_in(election, &mut lines, version) => if !more? {
                    return Ok(());
                },
                () = sleep_until(look) => {
                    self.look(election).await?;
                    look = Instant::now() + LOOK_EVERY;
                }
                () = sleep(self.until_due(election)) => self.expire_if_due(election).await,
            }
        }
    }

    /// Takes in one event; false at the end of the watch.
    async fn take_in(
        &self,
        election: &Arc<str>,
        lines: &mut Lines,
        version: &mut Option<String>,
    ) -> Result<bool, Error> {
        let Some(line) = lines.next().await? else { return Ok(false) };
        let now = Boottime::now();
        match event(&line)? {
            Event::Is(object) => {
                *version = Some(object.version().to_string());
                self.saw(election, object, now);
            }
            Event::Was(object) => {
                *version = Some(object.version().to_string());
                self.saw_none(election, object.version(), None, now);
            }
            Event::Bookmark(at) => *version = Some(at),
            Event::Other => {}
        }
        Ok(true)
    }

    /// How long until the Lease may be to be freed.
    fn until_due(&self, election: &str) -> Duration {
        let end = self.sight(election).ends();
        let left = end.map_or(SLEEP_MAX, |end| end.since(Boottime::now()));
        left.min(SLEEP_MAX).max(Duration::from_millis(1))
    }

    async fn expire_if_due(&self, election: &Arc<str>) {
        if self.sight(election).ends().is_none_or(|end| Boottime::now() < end) {
            return;
        }
        sleep(jitter(JITTER_MAX)).await;
        if let Err(error) = self.expire(election).await {
            debug!(election = %election, error = error.text(), "freeing a Lease failed");
            sleep(AGAIN_AFTER).await;
        }
    }
}

/// A random pause up to `most`, so that those who saw the same thing do not act at once.
pub(super) fn jitter(most: Duration) -> Duration {
    let dice = getrandom::u32().unwrap_or(u32::MAX / 2);
    most.mul_f64(f64::from(dice) / f64::from(u32::MAX))
}

/// A request that changes nothing failed.
pub(super) fn not_done(error: Error) -> Failure {
    Failure::NoQuorum(error.text())
}
