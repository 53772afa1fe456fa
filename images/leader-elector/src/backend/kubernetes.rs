//! Leases in Lease objects of Kubernetes (`coordination.k8s.io/v1`), over the API server's REST.
//!
//! Other programs and people read them as they read those of client-go: holder, times, transitions.
//! What they lack is in annotations of the same object, written in the same compare-and-swap:
//! session, token, exact time to live, metadata. A lease ends by the time observed here alone.
//!
//! There is no queue: who waits watches, and tries when the Lease is free. So nobody is served in
//! turn, and nobody can be handed the lease.

mod change;
mod object;
mod observe;
mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::object::Object;
use self::observe::{Observed, not_done};
use self::server::{Error, Server};
use super::http::{self, Tls};
use super::{Acquire, Backend, ClusterStatus, Consistency, Failure, Grant, Reply, Session, View};
use crate::config::{KubernetesConfig, is_lease_name};

/// Most Leases that are watched, each with a connection of its own.
const WATCHED_MAX: usize = 1000;
/// Longest wait for a first look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(4);
/// Pause between two looks at whether the API server answers, while nothing else is asked.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Leases in Kubernetes.
#[derive(Debug)]
pub struct Kubernetes {
    id: Arc<str>,
    token_floor: u64,
    observed: Arc<Observed>,
    /// Leases that are watched, and whether they were seen yet.
    watched: Mutex<BTreeMap<Arc<str>, watch::Sender<bool>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

// === impl Kubernetes ===

impl Kubernetes {
    /// Leases of a namespace; within a runtime, on which those that are watched are followed until
    /// this is dropped. `default` is the election whose Lease is looked at to know whether the API
    /// server answers.
    ///
    /// # Errors
    /// A certificate cannot be read.
    pub fn start(
        config: &KubernetesConfig,
        id: Arc<str>,
        default: Arc<str>,
    ) -> anyhow::Result<Self> {
        let tls = Tls { ca: config.ca.as_deref(), identity: None };
        let client = http::client(std::slice::from_ref(&config.url), tls)?;
        let (namespace, token_file) = (config.namespace.clone(), config.token_file.clone());
        let server = Server::new(client, &config.url, namespace, token_file);
        let observed = Arc::new(Observed::new(server));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (checked, stopped) = (Arc::clone(&observed), stop.clone());
        tasks.spawn(async move {
            stopped.run_until_cancelled(check(&checked, &default)).await;
        });
        let (token_floor, watched) = (config.token_floor, Mutex::default());
        Ok(Self { id, token_floor, observed, watched, tasks, stop })
    }

    /// Follows a Lease from now on, and waits until it was seen.
    async fn follow(&self, election: &Arc<str>) -> Result<(), Failure> {
        let mut ready = {
            let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(ready) = watched.get(election) {
                ready.subscribe()
            } else if watched.len() >= WATCHED_MAX {
                return Err(Failure::Limit("too many elections are watched"));
            } else {
                let ready = watch::Sender::new(false);
                let receiver = ready.subscribe();
                watched.insert(Arc::clone(election), ready.clone());
                let (observed, stopped) = (Arc::clone(&self.observed), self.stop.clone());
                let election = Arc::clone(election);
                self.tasks.spawn(async move {
                    stopped.run_until_cancelled(observed.follow(&election, &ready)).await;
                });
                receiver
            }
        };
        match timeout(LOOK_TIMEOUT, ready.wait_for(|seen| *seen)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::NoQuorum(self.observed.server.health().err().unwrap_or_default())),
        }
    }
}

/// Looks whether the API server answers, for ever.
async fn check(observed: &Observed, election: &Arc<str>) {
    let mut ticks = interval(CHECK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // What comes of it is seen in the health of the server.
        let _ = observed.look(election).await;
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Backend for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn acquire(&self, mut acquire: Acquire, wait: Duration) -> Reply<'_, Grant> {
        Box::pin(async move {
            named(&acquire.election)?;
            if acquire.session.0 == 0 {
                return Err(Failure::Invalid("a session is not 0".to_owned()));
            }
            acquire.wait = !wait.is_zero();
            let until = Instant::now() + wait;
            if acquire.wait {
                // Without it who waits would hear of nothing; it goes on by itself if it fails now.
                let _ = self.follow(&acquire.election).await;
            }
            self.observed.acquire(&self.tasks, &acquire, self.token_floor, until).await
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
            self.observed.renew(election, session, token).await
        })
    }

    fn resign<'a>(
        &'a self,
        election: &'a Arc<str>,
        session: Session,
        token: u64,
        _successor: Option<Arc<str>>,
    ) -> Reply<'a, ()> {
        Box::pin(async move {
            named(election)?;
            self.observed.resign(election, session, token).await
        })
    }

    fn read<'a>(&'a self, election: &'a Arc<str>, consistency: Consistency) -> Reply<'a, View> {
        Box::pin(async move {
            named(election)?;
            if consistency == Consistency::Local {
                self.follow(election).await?;
            } else {
                self.observed.look(election).await.map_err(not_done)?;
                self.observed.expire(election).await.map_err(not_done)?;
            }
            Ok(self.observed.view(election))
        })
    }

    fn watch<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, watch::Receiver<View>> {
        Box::pin(async move {
            named(election)?;
            self.follow(election).await?;
            Ok(self.observed.views.subscribe(election, 0))
        })
    }

    fn list(&self) -> Reply<'_, Vec<(Arc<str>, View)>> {
        Box::pin(async move {
            let asked = crate::Boottime::now();
            match self.observed.server.list().await {
                // Leases of other programs are none of ours.
                Ok(all) => all.into_iter().filter(|it| it.token().is_some()).for_each(|object| {
                    let election = Arc::from(object.name());
                    self.observed.saw(&election, object, asked);
                }),
                // Those known here will do.
                Err(Error::Forbidden(_)) => {}
                Err(error) => return Err(not_done(error)),
            }
            Ok(self.observed.views.list())
        })
    }

    fn token_highest<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, u64> {
        Box::pin(async move {
            named(election)?;
            let sight = self.observed.look(election).await.map_err(not_done)?;
            Ok(sight.object.as_ref().and_then(Object::token).unwrap_or(0))
        })
    }

    fn ready(&self) -> Result<(), String> {
        self.observed.server.health()
    }

    fn cluster(&self) -> ClusterStatus {
        ClusterStatus {
            backend: "kubernetes",
            group: Some(self.observed.server.namespace.clone()),
            name: self.id.to_string(),
            quorum: self.observed.server.health().is_ok(),
            ..ClusterStatus::default()
        }
    }
}

/// Refuses what cannot be the name of a Lease.
fn named(election: &str) -> Result<(), Failure> {
    if is_lease_name(election) {
        return Ok(());
    }
    let message = "the name of a Lease has lower-case letters, digits, - and . only";
    Err(Failure::Invalid(message.to_owned()))
}
