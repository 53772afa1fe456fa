//! Changes of a Lease: always of the version that was seen, so that nobody's change is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::TaskTracker;

use super::object::{Object, token_base};
use super::observe::{Observed, Sight, jitter, not_done};
use super::server::Error;
use crate::Boottime;
use crate::backend::{Acquire, Failure, Grant, Session};

/// How often a change that others came before is tried again.
const ATTEMPTS_MAX: usize = 16;
/// Most pause before it is.
const CONFLICT_JITTER: Duration = Duration::from_millis(30);
/// Pause before who waits tries again, though nothing was heard of.
const RETRY_EVERY: Duration = Duration::from_secs(2);
/// Pause before who waits tries again when nobody answered.
const FAILED_PAUSE: Duration = Duration::from_millis(250);
/// Most pause of those who wait when a Lease becomes free.
const FREE_JITTER: Duration = Duration::from_millis(20);

/// Gives a Lease up that was granted to somebody who does not wait any more.
struct Abandon {
    observed: Arc<Observed>,
    tasks: TaskTracker,
    election: Arc<str>,
    session: Option<Session>,
}

impl Observed {
    /// Takes an election, or waits for it until `until`.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        acquire: &Acquire,
        floor: u64,
        until: Instant,
    ) -> Result<Grant, Failure> {
        let mut changes = self.views.subscribe(&acquire.election, 0);
        loop {
            changes.mark_unchanged();
            let failure = match self.take(tasks, acquire, floor).await {
                Ok(grant) => return Ok(grant),
                Err(failure) => failure,
            };
            let now = Instant::now();
            let pause = match failure {
                _ if now >= until => return Err(failure),
                Failure::Held { .. } => {
                    let end = self.sight(&acquire.election).ends();
                    let due = end.map(|end| end.since(Boottime::now()));
                    let retry = RETRY_EVERY + jitter(RETRY_EVERY / 5);
                    // One that should have ended and has not is not asked for at once.
                    due.map_or(retry, |due| due.max(CONFLICT_JITTER)).min(retry)
                }
                Failure::NoQuorum(_) | Failure::Unknown(_) => {
                    sleep_until(until.min(now + FAILED_PAUSE + jitter(FAILED_PAUSE))).await;
                    continue;
                }
                _ => return Err(failure),
            };
            // What is waited for is dropped at once: it locks the view.
            let freed = async { drop(changes.wait_for(|view| view.lease.is_none()).await) };
            tokio::select! {
                () = freed => sleep(jitter(FREE_JITTER)).await,
                () = sleep(pause) => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// Takes an election if it may be taken.
    async fn take(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        acquire: &Acquire,
        floor: u64,
    ) -> Result<Grant, Failure> {
        let mut abandon = Abandon {
            observed: Arc::clone(self),
            tasks: tasks.clone(),
            election: Arc::clone(&acquire.election),
            session: None,
        };
        for _ in 0..ATTEMPTS_MAX {
            let sight = self.look(&acquire.election).await.map_err(not_done)?;
            let new = self.taken(acquire, floor, &sight)?;
            let since = Boottime::now();
            abandon.session = Some(acquire.session);
            let written = match sight.object {
                Some(_) => self.server.replace(&new).await,
                None => self.server.create(&new).await,
            };
            let written = self.settle(&acquire.election, written, &new, since).await;
            abandon.session = None;
            match written {
                Ok(sight) => return granted(&sight, since),
                Err(Error::Conflict | Error::Absent) => sleep(jitter(CONFLICT_JITTER)).await,
                Err(error) => return Err(failed(error)),
            }
        }
        Err(contended())
    }

    /// The object with the lease taken, or with a sign of life of the same request before.
    fn taken(&self, acquire: &Acquire, floor: u64, sight: &Sight) -> Result<Object, Failure> {
        let Some(object) = &sight.object else {
            let new = Object::new(&self.server.namespace, &acquire.election);
            return Ok(new.grant(acquire, floor.max(token_base()) + 1));
        };
        if object.is_of(acquire) {
            return Ok(object.renewed());
        }
        let now = Boottime::now();
        if sight.is_free(now) {
            let last = object.token().unwrap_or_else(token_base);
            return Ok(object.grant(acquire, last.max(floor) + 1));
        }
        let Some(leader) = object.lease() else { return Err(contended()) };
        if leader.holder == acquire.holder && !acquire.wait {
            return Err(Failure::DuplicateId(leader));
        }
        let retry_after = sight.ends().map_or(leader.ttl, |end| end.since(now));
        Err(Failure::Held { leader, retry_after })
    }

    /// Shows a sign of life of a lease; from what was seen last, if that is still so.
    pub(super) async fn renew(
        &self,
        election: &Arc<str>,
        session: Session,
        token: u64,
    ) -> Result<Grant, Failure> {
        let mut sight = self.sight(election);
        for _ in 0..ATTEMPTS_MAX {
            let Some(object) = sight.object.filter(|it| it.is_held_by(session, token)) else {
                sight = self.look(election).await.map_err(not_done)?;
                let lease = sight.object.as_ref().and_then(Object::lease);
                if sight.object.as_ref().is_some_and(|it| it.is_held_by(session, token)) {
                    continue;
                }
                return Err(Failure::Lost(lease));
            };
            let (since, new) = (Boottime::now(), object.renewed());
            let written = self.server.replace(&new).await;
            match self.settle(election, written, &new, since).await {
                Ok(sight) => return granted(&sight, since),
                Err(Error::Conflict | Error::Absent) => {
                    sight = self.look(election).await.map_err(not_done)?;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(contended())
    }

    /// Gives a lease up.
    pub(super) async fn resign(
        &self,
        election: &Arc<str>,
        session: Session,
        token: u64,
    ) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS_MAX {
            let sight = self.look(election).await.map_err(not_done)?;
            let object = match sight.object {
                Some(object) if object.is_held_by(session, token) => object,
                other => return Err(Failure::Lost(other.as_ref().and_then(Object::lease))),
            };
            let (since, new) = (Boottime::now(), object.freed());
            let written = self.server.replace(&new).await;
            match self.settle(election, written, &new, since).await {
                Ok(_) => return Ok(()),
                Err(Error::Conflict | Error::Absent) => sleep(jitter(CONFLICT_JITTER)).await,
                Err(error) => return Err(failed(error)),
            }
        }
        Err(contended())
    }

    /// Takes in what became of a write; if that is unknown, looks whether it is there.
    async fn settle(
        &self,
        election: &Arc<str>,
        written: Result<Object, Error>,
        new: &Object,
        asked: Boottime,
    ) -> Result<Sight, Error> {
        match written {
            Ok(object) => Ok(self.saw(election, object, asked)),
            Err(Error::Unknown(text)) => match self.look(election).await {
                Ok(sight) if sight.object.as_ref().is_some_and(|it| it.signs() == new.signs()) => {
                    Ok(sight)
                }
                _ => Err(Error::Unknown(text)),
            },
            Err(error) => Err(error),
        }
    }
}

fn granted(sight: &Sight, since: Boottime) -> Result<Grant, Failure> {
    let lease = sight.object.as_ref().and_then(Object::lease);
    lease.map(|lease| Grant { lease, since }).ok_or(Failure::Lost(None))
}

/// A request that changes something failed.
fn failed(error: Error) -> Failure {
    match error {
        Error::Unknown(text) => Failure::Unknown(text),
        Error::Refused(text) => Failure::NoQuorum(text),
        error => not_done(error),
    }
}

fn contended() -> Failure {
    Failure::NoQuorum("others changed the Lease all the time".to_owned())
}

// === impl Abandon ===

impl Drop for Abandon {
    fn drop(&mut self) {
        let Some(session) = self.session else { return };
        let (observed, election) = (Arc::clone(&self.observed), Arc::clone(&self.election));
        // Without a runtime the process is ending, and the lease runs out.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.tasks.spawn_on(
                async move {
                    let _ = observed.resign(&election, session, 0).await;
                },
                &runtime,
            );
        }
    }
}
