//! Everything under the prefix, followed by one watch, so that elections are read from here and
//! those who wait are woken.
//!
//! A watch may be cut off without anybody noticing. So etcd is asked every second what was changed
//! last and how many keys there are; as long as that is what is known here, all views are true as
//! of then, and if it stays different everything is listed again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use super::gateway::{Error, Gateway, Repeat};
use super::message::{EventKind, KeyValue, Range, Watched, encode};
use super::table::{Key, Keys, Record, State, place};
use crate::Boottime;
use crate::backend::http::Lines;
use crate::backend::views::{Seen, Views};
use crate::backend::{Session, View};

/// How often etcd is asked whether what is known here is all there is.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Checks in a row that find a difference before everything is listed again; a watch is a little
/// behind at times.
const DIFFERENCES_MAX: u32 = 3;
/// Pause before a failed list or watch is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// Keys in one answer of a list.
const PAGE: u64 = 500;
/// Longest wait for the confirmation of a watch.
const WATCH_TIMEOUT: Duration = Duration::from_secs(3);

/// What is known here.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) gateway: Gateway,
    pub(super) keys: Keys,
    pub(super) views: Views,
    inner: Mutex<Inner>,
    /// Wakes who waits for the first list.
    pub(super) synced: watch::Sender<bool>,
    /// Whether the last check was answered; else why not.
    health: Mutex<Result<(), String>>,
    list_again: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// Revision up to which everything is known.
    revision: u64,
    elections: BTreeMap<Arc<str>, Election>,
    /// Keys by name, with the revision that wrote them: what a check compares.
    keys: BTreeMap<Vec<u8>, u64>,
}

#[derive(Debug, Default)]
struct Election {
    state: State,
    /// Changes with every change of any of its keys.
    stir: watch::Sender<u64>,
}

/// Where a candidacy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was granted the lease.
    Leads(Record),
    /// Nobody leads, and it is next.
    Next(Record),
    /// Others go first.
    Waits,
    /// It is not known here.
    Unknown,
}

// === impl Mirror ===

impl Mirror {
    pub(super) fn new(gateway: Gateway, keys: Keys) -> Self {
        Self {
            gateway,
            keys,
            views: Views::default(),
            inner: Mutex::default(),
            synced: watch::Sender::new(false),
            health: Mutex::new(Err("etcd was not reached yet".to_owned())),
            list_again: Notify::new(),
        }
    }

    pub(super) fn health(&self) -> Result<(), String> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Revision up to which everything is known here.
    pub(super) fn revision(&self) -> u64 {
        self.lock().revision
    }

    pub(super) fn elections(&self) -> usize {
        self.lock().elections.len()
    }

    /// Changes with the election, also with its queue.
    pub(super) fn stir(&self, election: &Arc<str>) -> watch::Receiver<u64> {
        self.lock().elections.entry(Arc::clone(election)).or_default().stir.subscribe()
    }

    pub(super) fn standing(&self, election: &str, session: Session) -> Standing {
        let inner = self.lock();
        let Some(state) = inner.elections.get(election).map(|election| &election.state) else {
            return Standing::Unknown;
        };
        if let Some(leader) = state.leader.as_ref().filter(|leader| leader.session == session) {
            return Standing::Leads(leader.clone());
        }
        let Some(mine) = state.queue.iter().position(|record| record.session == session) else {
            return Standing::Unknown;
        };
        match state.leader {
            None if mine == 0 => Standing::Next(state.queue[0].clone()),
            _ => Standing::Waits,
        }
    }

    /// Takes in a reading of the leader's key of an election.
    pub(super) fn saw(
        &self,
        election: &Arc<str>,
        revision: u64,
        leader: Option<&Record>,
        observed: Boottime,
    ) -> View {
        let version = leader.map_or(revision, |record| record.revision);
        let lease = leader.map(|record| self.keys.lease(record));
        self.views.update(election, Seen { known: revision, version, lease, observed });
        self.views.get(election).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // === following ===

    /// Lists and watches, for ever.
    pub(super) async fn follow(&self) {
        loop {
            match self.follow_once().await {
                Ok(()) => info!("watching etcd again"),
                Err(error) => {
                    warn!(error = error.text(), "following etcd failed; trying again");
                    sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    async fn follow_once(&self) -> Result<(), Error> {
        self.list().await?;
        let (from, to) = self.keys.everything();
        let request = json!({ "create_request": {
            "key": encode(from.as_bytes()),
            "range_end": encode(to.as_bytes()),
            "start_revision": (self.revision() + 1).to_string(),
            "fragment": true,
        }});
        let mut lines = self.gateway.stream("/v3/watch", &request).await?;
        let first = timeout(WATCH_TIMEOUT, self.take_in(&mut lines)).await;
        let mut open = first.map_err(|_| Error::Unknown("no watch in time".to_owned()))??;
        self.synced.send_replace(true);
        while open {
            tokio::select! {
                more = self.take_in(&mut lines) => open = more?,
                () = self.list_again.notified() => open = false,
            }
        }
        Ok(())
    }

    /// Takes in one message of the watch; false at its end.
    async fn take_in(&self, lines: &mut Lines) -> Result<bool, Error> {
        let Some(line) = lines.next().await? else { return Ok(false) };
        let wrong = |error| Error::Unknown(format!("not understood: {error}"));
        let watched: Watched = serde_json::from_slice(&line).map_err(wrong)?;
        if let Some(error) = watched.error {
            return Err(Error::Unknown(format!("the watch failed: {error}")));
        }
        // Cancelled when what it starts from was compacted: everything is listed again.
        if watched.result.canceled {
            return Ok(false);
        }
        let now = Boottime::now();
        let mut changed = BTreeMap::new();
        let mut inner = self.lock();
        for event in watched.result.events {
            inner.revision = inner.revision.max(event.kv.mod_revision);
            if let Some(election) = inner.apply(&self.keys, event.kind, &event.kv) {
                changed.insert(election, inner.revision);
            }
        }
        self.publish(&inner, changed, now);
        Ok(true)
    }

    async fn list(&self) -> Result<(), Error> {
        let (mut from, to) = self.keys.everything();
        let before = Boottime::now();
        let mut revision = 0;
        let mut fresh = Inner::default();
        loop {
            let request = json!({
                "key": encode(from.as_bytes()),
                "range_end": encode(to.as_bytes()),
                "limit": PAGE.to_string(),
                "revision": revision.to_string(),
            });
            let range: Range = self.gateway.call("/v3/kv/range", &request, Repeat::Yes).await?;
            if revision == 0 {
                revision = range.header.revision;
            }
            for kv in &range.kvs {
                fresh.apply(&self.keys, EventKind::Put, kv);
            }
            match range.kvs.last() {
                Some(last) if range.more => {
                    from = format!("{}\0", String::from_utf8_lossy(&last.key));
                }
                _ => break,
            }
        }
        let mut inner = self.lock();
        inner.revision = revision;
        inner.keys = fresh.keys;
        let mut changed = BTreeMap::new();
        for (name, election) in &mut inner.elections {
            let state = fresh.elections.remove(name).unwrap_or_default().state;
            if election.state != state {
                election.state = state;
            }
            changed.insert(Arc::clone(name), revision);
        }
        for (name, election) in fresh.elections {
            changed.insert(Arc::clone(&name), revision);
            inner.elections.insert(name, election);
        }
        self.publish(&inner, changed, before);
        Ok(())
    }

    /// Tells those who watch and those who wait.
    fn publish(&self, inner: &Inner, changed: BTreeMap<Arc<str>, u64>, observed: Boottime) {
        for (name, revision) in changed {
            let Some(election) = inner.elections.get(&name) else { continue };
            self.saw(&name, revision, election.state.leader.as_ref(), observed);
            election.stir.send_replace(revision);
        }
    }

    // === checking ===

    /// Asks every second whether what is known here is true, for ever.
    pub(super) async fn check(&self) {
        let mut ticks = interval(CHECK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut differences = 0;
        loop {
            ticks.tick().await;
            let before = Boottime::now();
            let same = self.is_same().await;
            let health = same.as_ref().map(|_| ()).map_err(|error| error.clone().text());
            match same {
                Ok(true) => {
                    differences = 0;
                    self.views.observe(before);
                }
                Ok(false) => differences += 1,
                Err(_) => {}
            }
            if differences >= DIFFERENCES_MAX {
                differences = 0;
                warn!("the watch missed something; listing everything again");
                self.list_again.notify_one();
            }
            *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
        }
    }

    async fn is_same(&self) -> Result<bool, Error> {
        let (from, to) = self.keys.everything();
        let request = json!({
            "key": encode(from.as_bytes()),
            "range_end": encode(to.as_bytes()),
            "limit": "1",
            "sort_order": "DESCEND",
            "sort_target": "MOD",
            "keys_only": true,
        });
        let range: Range = self.gateway.call("/v3/kv/range", &request, Repeat::Yes).await?;
        let latest = range.kvs.first().map(|kv| kv.mod_revision);
        let inner = self.lock();
        let known = inner.keys.values().max().copied();
        Ok(*self.synced.borrow() && known == latest && inner.keys.len() as u64 == range.count)
    }
}

// === impl Inner ===

impl Inner {
    /// Takes in a key; tells the election it is of.
    fn apply(&mut self, keys: &Keys, kind: EventKind, kv: &KeyValue) -> Option<Arc<str>> {
        if kind == EventKind::Put {
            self.keys.insert(kv.key.clone(), kv.mod_revision);
        } else {
            self.keys.remove(&kv.key);
        }
        let (name, key) = keys.parse(&kv.key)?;
        let name: Arc<str> = name.into();
        let record = if kind == EventKind::Put { Record::read(kv) } else { None };
        let state = &mut self.elections.entry(Arc::clone(&name)).or_default().state;
        match key {
            Key::Leader => state.leader = record,
            Key::Token => state.granted = kv.mod_revision,
            Key::Queue(session) => {
                state.queue.retain(|waiting| waiting.session != session);
                state.queue.extend(record);
                state.queue.sort_by_key(place);
            }
        }
        Some(name)
    }
}
