//! Leases in an etcd (v3), over its HTTP gateway.
//!
//! A session is an etcd lease of that number, so whoever knows it can go on with it. Tokens are
//! revisions of etcd's store. Who waits stands in a queue of keys, each gone with its lease, and
//! who resigns grants the next one in the same transaction; see `table`.
//!
//! etcd counts its leases by its own clock, in whole seconds, and forgets the time left when its
//! leader changes; so a lease ends late there, never early. Its own caveat stays: a lease proves
//! nothing to the resource it protects, only the token does.

mod candidacy;
mod follow;
mod gateway;
mod message;
mod table;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::candidacy::revoke_later;
use self::follow::Mirror;
use self::gateway::{Error, Gateway};
use self::table::Keys;
use super::http::{self, Tls};
use super::{Acquire, Backend, ClusterStatus, Consistency, Failure, Grant, Reply, Session, View};
use crate::config::{EtcdConfig, is_name};

/// How often a change that others came before is tried again.
const ATTEMPTS_MAX: usize = 16;
/// Longest wait for the first list.
const SYNC_TIMEOUT: Duration = Duration::from_secs(4);

/// Leases in an etcd.
#[derive(Debug)]
pub struct Etcd {
    id: Arc<str>,
    mirror: Arc<Mirror>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

// === impl Etcd ===

impl Etcd {
    /// Starts to follow the elections; within a runtime, on which it goes on until this is dropped.
    ///
    /// # Errors
    /// A certificate cannot be read.
    pub fn start(config: &EtcdConfig, id: Arc<str>) -> anyhow::Result<Self> {
        let tls = Tls { ca: config.ca.as_deref(), identity: config.identity.as_ref() };
        let client = http::client(&config.endpoints, tls)?;
        let gateway = Gateway::new(client, config.endpoints.clone());
        let keys = Keys { prefix: config.prefix.clone(), token_floor: config.token_floor };
        let mirror = Arc::new(Mirror::new(gateway, keys));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (following, stopped) = (Arc::clone(&mirror), stop.clone());
        tasks.spawn(async move {
            stopped
                .run_until_cancelled(async { tokio::join!(following.follow(), following.check()) })
                .await;
        });
        Ok(Self { id, mirror, tasks, stop })
    }

    async fn resign(
        &self,
        election: &Arc<str>,
        session: Session,
        token: u64,
        successor: Option<&str>,
    ) -> Result<(), Failure> {
        let mirror = &self.mirror;
        let mut tried = false;
        for _ in 0..ATTEMPTS_MAX {
            let state = mirror.state(election).await;
            let state = state.map_err(|error| not_seen(tried, error))?;
            let mine = state.leader.as_ref().filter(|leader| {
                let same = token == 0 || mirror.keys.token(leader.revision) == token;
                leader.session == session && same
            });
            let Some(leader) = mine else {
                let waits = state.queue.iter().any(|record| record.session == session);
                if waits || tried {
                    mirror.revoke(session).await.map_err(unknown)?;
                    return Ok(());
                }
                return Err(Failure::Lost(state.leader.map(|leader| mirror.keys.lease(&leader))));
            };
            let next = state.next(session, successor);
            match mirror.hand_over(election, Some(leader), next).await {
                Ok(true) => {
                    revoke_later(mirror, &self.tasks, session);
                    return Ok(());
                }
                Ok(false) => {}
                Err(Error::Unknown(_)) => tried = true,
                Err(error) => return Err(not_done(error)),
            }
        }
        Err(contended())
    }

    /// Waits for the first list.
    async fn synced(&self) -> Result<(), Failure> {
        let mut synced = self.mirror.synced.subscribe();
        match timeout(SYNC_TIMEOUT, synced.wait_for(|synced| *synced)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::NoQuorum(self.mirror.health().err().unwrap_or_default())),
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Backend for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn acquire(&self, mut acquire: Acquire, wait: Duration) -> Reply<'_, Grant> {
        Box::pin(async move {
            named(&acquire.election)?;
            if acquire.session.0 == 0 {
                return Err(Failure::Invalid("a session is not 0".to_owned()));
            }
            acquire.wait = !wait.is_zero();
            let until = Instant::now() + wait;
            self.mirror.acquire(&self.tasks, &acquire, until).await
        })
    }

    fn renew<'a>(
        &'a self,
        election: &'a Arc<str>,
        session: Session,
        token: u64,
    ) -> Reply<'a, Grant> {
        Box::pin(async move {
            named(election)?;
            self.mirror.confirm(election, session, token).await
        })
    }

    fn resign<'a>(
        &'a self,
        election: &'a Arc<str>,
        session: Session,
        token: u64,
        successor: Option<Arc<str>>,
    ) -> Reply<'a, ()> {
        Box::pin(async move {
            named(election)?;
            self.resign(election, session, token, successor.as_deref()).await
        })
    }

    fn read<'a>(&'a self, election: &'a Arc<str>, consistency: Consistency) -> Reply<'a, View> {
        Box::pin(async move {
            named(election)?;
            if consistency == Consistency::Linearizable {
                self.mirror.leader(election).await.map_err(not_done)?;
            } else {
                self.synced().await?;
            }
            let unseen = || View { version: self.mirror.revision(), ..View::default() };
            Ok(self.mirror.views.get(election).unwrap_or_else(unseen))
        })
    }

    fn watch<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, watch::Receiver<View>> {
        Box::pin(async move {
            named(election)?;
            self.synced().await?;
            Ok(self.mirror.views.subscribe(election, self.mirror.revision()))
        })
    }

    fn list(&self) -> Reply<'_, Vec<(Arc<str>, View)>> {
        Box::pin(async move {
            self.synced().await?;
            Ok(self.mirror.views.list())
        })
    }

    fn token_highest<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, u64> {
        Box::pin(async move {
            named(election)?;
            let state = self.mirror.state(election).await.map_err(not_done)?;
            Ok(if state.granted == 0 { 0 } else { self.mirror.keys.token(state.granted) })
        })
    }

    fn ready(&self) -> Result<(), String> {
        self.mirror.health()
    }

    fn cluster(&self) -> ClusterStatus {
        ClusterStatus {
            backend: "etcd",
            name: self.id.to_string(),
            quorum: self.mirror.health().is_ok(),
            applied: self.mirror.revision(),
            ..ClusterStatus::default()
        }
    }
}

/// Refuses what cannot be part of a key.
fn named(election: &str) -> Result<(), Failure> {
    if is_name(election) {
        return Ok(());
    }
    Err(Failure::Invalid(
        "the name of the election has letters etcd's keys are not made of".to_owned(),
    ))
}

/// A request that changes nothing failed.
fn not_done(error: Error) -> Failure {
    Failure::NoQuorum(error.text())
}

/// What came of a change cannot be looked at, nor whether one that was `tried` was carried out.
fn not_seen(tried: bool, error: Error) -> Failure {
    if tried { Failure::Unknown(error.text()) } else { not_done(error) }
}

/// A request that changes something failed.
fn unknown(error: Error) -> Failure {
    match error {
        Error::Unknown(text) => Failure::Unknown(text),
        error => not_done(error),
    }
}

fn contended() -> Failure {
    Failure::Unknown("others changed the election all the time".to_owned())
}
