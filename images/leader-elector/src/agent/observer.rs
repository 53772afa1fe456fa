//! Elections as watchers see them: the backend's view, joined with what is held here.
//!
//! One task per watched election, however many watch it. It ends when nobody does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::Agent;
use crate::Boottime;
use crate::backend::{Consistency, Failure, Lease, View};

/// Between two looks at whether what is known is still confirmed, and whether anybody watches.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// An election at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// As the backend knows it.
    pub view: View,
    /// Whether the lease is held here, before its deadline.
    pub is_leader: bool,
    /// Whether the lease was known to be so within its time to live: a name that is not is stale.
    pub confirmed: bool,
}

/// All elections that are watched here.
#[derive(Default)]
pub(super) struct Observers(Mutex<HashMap<Arc<str>, Arc<watch::Sender<Seen>>>>);

// === impl Seen ===

impl Seen {
    /// The election as it is now, by this view of it.
    #[must_use]
    pub fn new(agent: &Agent, election: &str, view: View) -> Self {
        let now = Boottime::now();
        let holdings = agent.holdings();
        let standing = holdings.standing(now, election);
        let confirmed = view.lease.as_ref().is_some_and(|lease| {
            let ours = standing.is_some_and(|it| it.lease.token == lease.token);
            let fresh = now.since(view.observed) < lease.ttl;
            ours || (fresh && !holdings.is_over(lease.session, lease.token))
        });
        Self { is_leader: standing.is_some(), confirmed, view }
    }

    /// Who leads, unless that is stale.
    #[must_use]
    pub fn leader(&self) -> Option<&Lease> {
        self.view.lease.as_ref().filter(|_| self.confirmed)
    }
}

// === impl Observers ===

impl Observers {
    /// What is held of an election has changed.
    pub(super) fn refresh(&self, agent: &Agent, election: &str) {
        let sender = self.map().get(election).cloned();
        if let Some(sender) = sender {
            publish(agent, election, &sender, None);
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<watch::Sender<Seen>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins those who watch already.
    fn join(&self, election: &str) -> Option<watch::Receiver<Seen>> {
        self.map().get(election).map(|sender| sender.subscribe())
    }

    /// Ends the watch if nobody joins it any more.
    fn ends(&self, election: &str) -> bool {
        let mut map = self.map();
        let deserted = map.get(election).is_none_or(|sender| sender.receiver_count() == 0);
        if deserted {
            map.remove(election);
        }
        deserted
    }
}

/// Watches an election, with others if there are any.
pub(super) async fn watch(
    agent: &Arc<Agent>,
    election: &Arc<str>,
) -> Result<watch::Receiver<Seen>, Failure> {
    if let Some(receiver) = agent.observers.join(election) {
        return Ok(receiver);
    }
    let views = agent.backend.watch(election).await?;
    let view = agent.read(election, Consistency::Local).await?;
    let sender = Arc::new(watch::Sender::new(Seen::new(agent, election, view)));
    let receiver = sender.subscribe();
    {
        let mut map = agent.observers.map();
        if let Some(other) = map.get(election) {
            return Ok(other.subscribe());
        }
        map.insert(Arc::clone(election), Arc::clone(&sender));
    }
    let (agent, election) = (Arc::clone(agent), Arc::clone(election));
    let watchers = agent.watchers.clone();
    watchers.spawn(async move { observe(&agent, &election, &sender, views).await });
    Ok(receiver)
}

async fn observe(
    agent: &Agent,
    election: &Arc<str>,
    sender: &watch::Sender<Seen>,
    mut views: watch::Receiver<View>,
) {
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = true;
    loop {
        let view = tokio::select! {
            changed = views.changed(), if open => {
                open = changed.is_ok();
                views.borrow_and_update().clone()
            }
            _ = look.tick() => {
                if agent.observers.ends(election) {
                    return;
                }
                if !open && let Ok(again) = agent.backend.watch(election).await {
                    (views, open) = (again, true);
                }
                // Without an answer the last view grows old by itself.
                match agent.read(election, Consistency::Local).await {
                    Ok(view) => view,
                    Err(_) => sender.borrow().view.clone(),
                }
            }
        };
        publish(agent, election, sender, Some(view));
    }
}

/// Shows a newer view, or the last one under what is held now; wakes watchers if it differs in
/// anything but age.
fn publish(agent: &Agent, election: &str, sender: &watch::Sender<Seen>, view: Option<View>) {
    sender.send_if_modified(|seen| {
        let older = |view: &View| view.version < seen.view.version;
        let view = match view {
            Some(view) if !older(&view) => view,
            _ => seen.view.clone(),
        };
        let next = Seen::new(agent, election, view);
        let news = next.view.version != seen.view.version
            || next.view.lease != seen.view.lease
            || next.is_leader != seen.is_leader
            || next.confirmed != seen.confirmed;
        *seen = next;
        news
    });
}
