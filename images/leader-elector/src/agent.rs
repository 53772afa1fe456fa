//! What this sidecar holds, and until when: the only place that says "leader".
//!
//! The deadline of a lease counts from before the last confirmed sign of life was sent
//! ([`crate::backend::Grant::since`]), times 0.9 of the time to live: others take a lease for over
//! only a whole time to live after they saw that sign, so clocks may differ in rate by 5 %.
//!
//! Every lease that is acquired or renewed through this sidecar is a holding of it, also one that
//! it has never heard of: an application that kept its session and token goes on after a restart of
//! the sidecar. Nothing here renews by itself; that is the application's business, or
//! [`crate::campaign`]'s, or that of a connection that a lease is bound to.

mod candidacy;
mod ending;
mod following;
mod holdings;
mod loss;
mod observer;
mod reading;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use candidacy::Candidacy;
pub use holdings::{Confirmed, DEADLINE_TENTHS, Holdings, Loss, Sight, Standing, deadline};
pub use loss::{Action, ActionError, parse_signal, processes};
pub use observer::Seen;

use crate::Boottime;
use crate::backend::{Backend, Consistency, Failure, Grant, Session, View};
use observer::Observers;

/// Longest sleep until the next deadline, as timers stop while the machine sleeps.
const SLEEP_MAX: Duration = Duration::from_millis(500);

/// How an agent is set up.
#[derive(Debug)]
pub struct AgentConfig {
    /// Name of this candidate, where the application gives none.
    pub id: Arc<str>,
    /// Elections by name; the first is the default election.
    pub elections: Vec<Arc<str>>,
    /// Time to live where the application names none.
    pub ttl: Duration,
    /// Shortest time to live that can be asked for: the group must be able to elect a leader of
    /// its own within it.
    pub ttl_min: Duration,
    /// Higher goes first among those who wait.
    pub priority: i64,
    /// What happens when leadership is lost.
    pub on_lost: Action,
    /// How long before the deadline it starts to happen.
    pub stop_margin: Duration,
    /// Whether there is no application here: then nothing is ever held.
    pub witness: bool,
}

/// What happened, counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Leases that became holdings.
    pub gained: AtomicU64,
    /// Holdings that ended against the application's will.
    pub lost: AtomicU64,
    /// Holdings given up.
    pub resigned: AtomicU64,
    /// Renewals confirmed.
    pub renewed: AtomicU64,
    /// Renewals that could not be confirmed.
    pub not_renewed: AtomicU64,
}

/// The sidecar's side of leadership.
pub struct Agent {
    backend: Arc<dyn Backend>,
    config: AgentConfig,
    holdings: Mutex<Holdings>,
    observers: Observers,
    counters: Counters,
    /// A deadline may have come nearer.
    sooner: Notify,
    /// Until when the application is to be taken for broken, in nanoseconds since boot.
    broken_until: AtomicU64,
    stopping: watch::Sender<bool>,
    /// Resignations and actions: what the end waits for.
    tasks: TaskTracker,
    /// Of watched elections, and of those that something is held in.
    watchers: TaskTracker,
}

// === impl Agent ===

impl Agent {
    /// An agent of a backend. Somebody must [`Agent::run`] it.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, config: AgentConfig) -> Arc<Self> {
        Arc::new(Self {
            backend,
            config,
            holdings: Mutex::default(),
            observers: Observers::default(),
            counters: Counters::default(),
            sooner: Notify::new(),
            broken_until: AtomicU64::new(0),
            stopping: watch::Sender::new(false),
            tasks: TaskTracker::new(),
            watchers: TaskTracker::new(),
        })
    }

    /// Watches the deadlines and gives everything up once told to; never returns.
    pub async fn run(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        loop {
            let now = Boottime::now();
            let margin = self.config.stop_margin;
            let (losses, next) = {
                let mut holdings = self.holdings();
                (holdings.expire(now, margin), holdings.next(margin))
            };
            for loss in losses {
                self.lose(&loss);
            }
            let pause = next.map_or(SLEEP_MAX, |at| at.since(now).min(SLEEP_MAX));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.sooner.notified() => {}
                _ = stopping.changed() => {
                    if *stopping.borrow_and_update() {
                        let agent = Arc::clone(&self);
                        self.tasks.spawn(async move { agent.resign_all().await });
                    }
                }
            }
        }
    }

    /// How it is set up.
    #[must_use]
    pub fn config(&self) -> &AgentConfig {
        &self.config
    }

    /// The election that is meant where none is named.
    #[must_use]
    pub fn default_election(&self) -> Arc<str> {
        self.config.elections.first().cloned().unwrap_or_else(|| "default".into())
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Where tasks that outlive a request run.
    #[must_use]
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Shows a sign of life of a lease.
    ///
    /// # Errors
    /// As the backend says. Unless it is [`Failure::Lost`], the lease goes on to its deadline.
    /// [`Failure::Invalid`] at a witness.
    pub async fn renew(
        self: &Arc<Self>,
        election: &Arc<str>,
        session: Session,
        token: u64,
    ) -> Result<Standing, Failure> {
        self.may_lead()?;
        match self.backend.renew(election, session, token).await {
            Ok(grant) => {
                let standing = self.confirm(election, grant);
                let counter = match standing {
                    Some(_) => &self.counters.renewed,
                    None => &self.counters.not_renewed,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                let late = || Failure::Unknown("the answer came too late".to_owned());
                standing.ok_or_else(late)
            }
            Err(failure) => {
                self.counters.not_renewed.fetch_add(1, Ordering::Relaxed);
                if matches!(failure, Failure::Lost(_)) {
                    let loss = self.holdings().lost(Boottime::now(), election, session, token);
                    loss.iter().for_each(|loss| self.lose(loss));
                }
                Err(failure)
            }
        }
    }

    /// Gives a lease up. From the call on nobody here leads with it, whatever the outcome.
    ///
    /// # Errors
    /// As the backend says; a resignation that is repeated succeeds.
    pub async fn resign(
        self: &Arc<Self>,
        election: &Arc<str>,
        session: Session,
        token: u64,
        successor: Option<Arc<str>>,
    ) -> Result<(), Failure> {
        let (repeated, held) = {
            let mut holdings = self.holdings();
            let repeated = holdings.has_resigned(session, token);
            (repeated, holdings.resign(election, session, token))
        };
        if held.is_some() {
            self.gave_up(election, token);
        }
        match self.backend.resign(election, session, token, successor).await {
            Err(Failure::Lost(_)) if repeated || held.is_some() => Ok(()),
            other => other,
        }
    }

    /// Gives what is held here to a candidate in the queue; who leads after that.
    ///
    /// A resignation in favour of somebody: only the holder's own sidecar can do that. It would
    /// believe in a lease that was taken from afar until it hears of that, at worst at its deadline.
    ///
    /// # Errors
    /// [`Failure::Lost`] when the lease is not held here; [`Failure::NoCandidate`] when somebody
    /// else or nobody follows.
    pub async fn transfer(
        self: &Arc<Self>,
        election: &Arc<str>,
        to: &Arc<str>,
    ) -> Result<View, Failure> {
        let Some(Standing { lease, .. }) = self.standing(election) else {
            let view = self.read(election, Consistency::Local).await?;
            return Err(Failure::Lost(view.lease));
        };
        if lease.holder != *to {
            self.resign(election, lease.session, lease.token, Some(Arc::clone(to))).await?;
        }
        let view = self.read(election, Consistency::Linearizable).await?;
        let arrived = view.lease.as_ref().is_some_and(|lease| lease.holder == *to);
        if arrived { Ok(view) } else { Err(Failure::NoCandidate) }
    }

    /// The lease held here in an election, if it is before its deadline.
    #[must_use]
    pub fn standing(&self, election: &str) -> Option<Standing> {
        self.holdings().standing(Boottime::now(), election).cloned()
    }

    /// How many leases are held here.
    #[must_use]
    pub fn held(&self) -> usize {
        self.holdings().len()
    }

    fn confirm(self: &Arc<Self>, election: &Arc<str>, grant: Grant) -> Option<Standing> {
        let confirmed = self.holdings().confirm(Boottime::now(), election, grant);
        if let Some(loss) = &confirmed.displaced {
            self.lose(loss);
        }
        if confirmed.news || confirmed.recovered {
            self.application_lives();
        }
        if confirmed.news
            && let Some(Standing { lease, .. }) = &confirmed.standing
        {
            info!(election = &**election, token = lease.token, "leadership gained");
            self.follow(election, lease.session, lease.token);
            self.counters.gained.fetch_add(1, Ordering::Relaxed);
            self.observers.refresh(self, election);
            self.sooner.notify_one();
        }
        confirmed.standing
    }

    /// A lease that was held here was given up.
    fn gave_up(self: &Arc<Self>, election: &Arc<str>, token: u64) {
        self.counters.resigned.fetch_add(1, Ordering::Relaxed);
        info!(election = &**election, token, "leadership given up");
        self.observers.refresh(self, election);
    }

    /// A lease ends against the application's will, or is about to.
    fn lose(self: &Arc<Self>, loss: &Loss) {
        if loss.over {
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
            warn!(election = &*loss.election, token = loss.standing.lease.token, "leadership lost");
            self.observers.refresh(self, &loss.election);
        }
        self.act(loss);
    }

    fn holdings(&self) -> MutexGuard<'_, Holdings> {
        // Nothing in there can be left half done by a panic that was survived.
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
