//! From asking for an election to holding it: the queue, kept alive, and left.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use super::follow::{Mirror, Standing};
use super::gateway::{Error, Repeat};
use super::message::{KeptAlive, Range, Txn, encode};
use super::table::{Record, State, Written, lease_id};
use super::{ATTEMPTS_MAX, contended, not_done, not_seen, unknown};
use crate::Boottime;
use crate::backend::{Acquire, Failure, Grant, Session};
use crate::election::{ELECTIONS_MAX, QUEUE_MAX};
use serde_json::json;

/// Shortest pause between two signs of life of a candidate.
const KEEP_EVERY_MIN: Duration = Duration::from_millis(100);

/// Gives an etcd lease up when dropped: who does not wait any more is granted nothing.
struct Leave {
    mirror: Arc<Mirror>,
    tasks: TaskTracker,
    session: Option<Session>,
}

/// What came of asking.
enum Entered {
    Granted(Grant),
    /// Standing in the queue.
    Queued,
    /// It is to be looked at again.
    Again,
    /// As before, and the change that was asked for may be under way.
    Unknown,
}

/// What came of waiting.
enum Waited {
    Granted(Grant),
    /// The candidacy is gone: it starts again.
    Gone,
    TimeIsUp,
}

impl Mirror {
    /// Takes an election, or waits for it until `until`.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        acquire: &Acquire,
        until: Instant,
    ) -> Result<Grant, Failure> {
        if self.elections() >= ELECTIONS_MAX && self.views.get(&acquire.election).is_none() {
            return Err(Failure::Limit("too many elections"));
        }
        let mut leave = Leave { mirror: Arc::clone(self), tasks: tasks.clone(), session: None };
        let mut tried = false;
        for _ in 0..ATTEMPTS_MAX {
            let state =
                self.state(&acquire.election).await.map_err(|error| not_seen(tried, error))?;
            if let Some(leader) = state.leader.as_ref().filter(|leader| leader.is_of(acquire)) {
                let token = self.keys.token(leader.revision);
                let grant = self.confirm(&acquire.election, leader.session, token).await?;
                leave.session = None;
                return Ok(grant);
            }
            let waiting = state.queue.iter().find(|record| record.is_of(acquire));
            let session = match waiting {
                Some(waiting) => waiting.session,
                None => match self.enter(acquire, &state, &mut leave).await? {
                    Entered::Granted(grant) => return Ok(grant),
                    Entered::Queued => acquire.session,
                    Entered::Again => continue,
                    Entered::Unknown => {
                        tried = true;
                        continue;
                    }
                },
            };
            leave.session = Some(session);
            match self.wait(acquire, session, until).await {
                Waited::Granted(grant) => {
                    leave.session = None;
                    return Ok(grant);
                }
                Waited::Gone => {}
                Waited::TimeIsUp => {
                    // The lease goes as well, if it was granted just now.
                    self.revoke(session).await.map_err(unknown)?;
                    leave.session = None;
                    return Err(self.refusal(acquire).await);
                }
            }
        }
        Err(contended())
    }

    /// Takes the election if it is free, stands in the queue if that is wanted.
    async fn enter(
        &self,
        acquire: &Acquire,
        state: &State,
        leave: &mut Leave,
    ) -> Result<Entered, Failure> {
        match (&state.leader, state.queue.first()) {
            (Some(leader), _) if !acquire.wait => return Err(self.held(leader, acquire)),
            // Nobody overtakes: the first in the queue is helped to its lease.
            (None, Some(first)) if !acquire.wait => {
                let moved = self.hand_over(&acquire.election, None, Some(first)).await;
                return moved.map(|_| Entered::Again).map_err(unknown);
            }
            _ if state.queue.len() >= QUEUE_MAX => {
                return Err(Failure::Limit("too many candidates wait"));
            }
            _ => {}
        }
        let since = Boottime::now();
        self.grant_lease(acquire).await?;
        leave.session = Some(acquire.session);
        let value = Written::new(acquire);
        let request = self.keys.enter(acquire, &value, acquire.wait);
        match self.gateway.call::<Txn>("/v3/kv/txn", &request, Repeat::No).await {
            Ok(txn) if txn.succeeded => {
                let (session, revision) = (acquire.session, txn.header.revision);
                let record = Record { session, revision, value };
                leave.session = None;
                self.saw(&acquire.election, revision, Some(&record), since);
                Ok(Entered::Granted(Grant { lease: self.keys.lease(&record), since }))
            }
            Ok(_) if acquire.wait => Ok(Entered::Queued),
            Ok(_) | Err(Error::NoLease) => Ok(Entered::Again),
            Err(Error::Unknown(_)) => {
                // It stays until it expires: the same request, sent again, may find it.
                leave.session = None;
                Ok(Entered::Unknown)
            }
            Err(error) => Err(not_done(error)),
        }
    }

    /// A lease in etcd, of at least the time to live asked for.
    async fn grant_lease(&self, acquire: &Acquire) -> Result<(), Failure> {
        let seconds = u64::try_from(acquire.ttl.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        let seconds = seconds.max(1);
        let request = json!({ "ID": lease_id(acquire.session), "TTL": seconds.to_string() });
        for _ in 0..ATTEMPTS_MAX {
            let call =
                self.gateway.call::<serde_json::Value>("/v3/lease/grant", &request, Repeat::Yes);
            match call.await {
                Ok(_) => return Ok(()),
                Err(Error::LeaseExists) => {}
                // A lease that nothing goes with changes nothing.
                Err(error) => return Err(not_done(error)),
            }
            // Of the same session before: it will do unless it is shorter than this one is to be.
            match self.keep_alive(acquire.session).await.map_err(not_done)? {
                Some(lasts) if lasts >= seconds => return Ok(()),
                Some(_) => self.revoke(acquire.session).await.map_err(not_done)?,
                None => {}
            }
        }
        Err(contended())
    }

    async fn wait(self: &Arc<Self>, acquire: &Acquire, session: Session, until: Instant) -> Waited {
        let mut stir = self.stir(&acquire.election);
        let every = (acquire.ttl / 3).max(KEEP_EVERY_MIN);
        let mut keep = Instant::now() + every;
        loop {
            stir.mark_unchanged();
            match self.standing(&acquire.election, session) {
                Standing::Leads(record) => {
                    let token = self.keys.token(record.revision);
                    match self.confirm(&acquire.election, session, token).await {
                        Ok(grant) => return Waited::Granted(grant),
                        Err(Failure::Lost(_)) => return Waited::Gone,
                        Err(_) => {}
                    }
                }
                Standing::Next(record) => {
                    // If it fails another try follows with the next sign of life.
                    let _ = self.hand_over(&acquire.election, None, Some(&record)).await;
                }
                Standing::Waits | Standing::Unknown => {}
            }
            tokio::select! {
                changed = stir.changed() => if changed.is_err() { return Waited::Gone },
                () = sleep_until(until) => return Waited::TimeIsUp,
                () = sleep_until(keep) => {
                    keep = Instant::now() + every;
                    if self.keep_alive(session).await == Ok(None) {
                        return Waited::Gone;
                    }
                }
            }
        }
    }

    /// Why an election was not granted in time.
    async fn refusal(&self, acquire: &Acquire) -> Failure {
        match self.state(&acquire.election).await {
            Ok(State { leader: Some(leader), .. }) => self.held(&leader, acquire),
            Ok(_) => Failure::NoQuorum("nobody was granted the election in time".to_owned()),
            Err(error) => not_done(error),
        }
    }

    fn held(&self, leader: &Record, acquire: &Acquire) -> Failure {
        let leader = self.keys.lease(leader);
        if leader.holder == acquire.holder && !acquire.wait {
            return Failure::DuplicateId(leader);
        }
        let retry_after = leader.ttl;
        Failure::Held { leader, retry_after }
    }

    // === requests ===

    /// Shows a sign of life and looks whether the lease is still that of the leader. Both are
    /// needed: an etcd lease outlives a transfer, and the answer to the sign of life alone comes
    /// from one etcd member that may not lead any more.
    pub(super) async fn confirm(
        &self,
        election: &Arc<str>,
        session: Session,
        token: u64,
    ) -> Result<Grant, Failure> {
        let since = Boottime::now();
        if self.keep_alive(session).await.map_err(unknown)?.is_none() {
            let leader = self.leader(election).await.map_err(unknown)?;
            return Err(Failure::Lost(leader.map(|leader| self.keys.lease(&leader))));
        }
        let leader = self.leader(election).await.map_err(unknown)?;
        let lease = leader.map(|leader| self.keys.lease(&leader));
        match lease {
            Some(lease) if lease.session == session && (token == 0 || lease.token == token) => {
                Ok(Grant { lease, since })
            }
            other => Err(Failure::Lost(other)),
        }
    }

    /// Prolongs an etcd lease, and tells for how many seconds; `None` if there is none.
    pub(super) async fn keep_alive(&self, session: Session) -> Result<Option<u64>, Error> {
        let request = json!({ "ID": lease_id(session) });
        let call = self.gateway.call::<KeptAlive>("/v3/lease/keepalive", &request, Repeat::Yes);
        match call.await {
            Ok(kept) => Ok(Some(kept.result.ttl).filter(|seconds| *seconds > 0)),
            Err(Error::NoLease) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends an etcd lease, and with it all its keys.
    pub(super) async fn revoke(&self, session: Session) -> Result<(), Error> {
        let request = json!({ "ID": lease_id(session) });
        let call =
            self.gateway.call::<serde_json::Value>("/v3/lease/revoke", &request, Repeat::Yes);
        match call.await {
            Ok(_) | Err(Error::NoLease) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An election as etcd has it now.
    pub(super) async fn state(&self, election: &Arc<str>) -> Result<State, Error> {
        let (from, to) = self.keys.election(election);
        let request = json!({ "key": encode(from.as_bytes()), "range_end": encode(to.as_bytes()) });
        let range: Range = self.gateway.call("/v3/kv/range", &request, Repeat::Yes).await?;
        Ok(State::of(&self.keys, &range.kvs))
    }

    /// The leader as etcd has it now; what is seen is taken in.
    pub(super) async fn leader(&self, election: &Arc<str>) -> Result<Option<Record>, Error> {
        let before = Boottime::now();
        let (from, _) = self.keys.election(election);
        let request = json!({ "key": encode(format!("{from}leader").as_bytes()) });
        let range: Range = self.gateway.call("/v3/kv/range", &request, Repeat::Yes).await?;
        let leader = range.kvs.first().and_then(Record::read);
        self.saw(election, range.header.revision, leader.as_ref(), before);
        Ok(leader)
    }

    /// Ends and grants a lease in one step; false if the election was changed meanwhile.
    pub(super) async fn hand_over(
        &self,
        election: &Arc<str>,
        from: Option<&Record>,
        to: Option<&Record>,
    ) -> Result<bool, Error> {
        let request = self.keys.hand_over(election, from, to);
        match self.gateway.call::<Txn>("/v3/kv/txn", &request, Repeat::No).await {
            Ok(txn) => Ok(txn.succeeded),
            // Of the candidate, which has gone.
            Err(Error::NoLease) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

// === impl Leave ===

impl Drop for Leave {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            revoke_later(&self.mirror, &self.tasks, session);
        }
    }
}

/// Ends an etcd lease without waiting for it; if that fails it expires.
pub(super) fn revoke_later(mirror: &Arc<Mirror>, tasks: &TaskTracker, session: Session) {
    let mirror = Arc::clone(mirror);
    // Without a runtime the process is ending, and the lease expires.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        tasks.spawn_on(
            async move {
                if let Err(error) = mirror.revoke(session).await {
                    tracing::debug!(error = error.text(), "a lease in etcd is left to expire");
                }
            },
            &runtime,
        );
    }
}
