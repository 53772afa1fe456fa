//! Watches of an election: server-sent events, and long polls.
//!
//! Both are level-triggered: what is sent is the whole state as it is then, and states that nobody
//! came to take are skipped. Versions never go back, also when a client moves to a sidecar that
//! knows less than the one before.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::SLEEP_MAX;
use super::events::event;
use super::message::State;
use super::problem::Problem;
use crate::Boottime;
use crate::agent::{Agent, Seen};
use crate::backend::Consistency;

/// A client that watches.
pub(super) struct Watcher {
    agent: Arc<Agent>,
    election: Arc<str>,
    seen: watch::Receiver<Seen>,
    /// Nothing older is sent.
    since: u64,
    /// Whether the state as it was found has been sent.
    begun: bool,
    _place: OwnedSemaphorePermit,
}

// === impl Watcher ===

impl Watcher {
    /// A client that has seen version `since` already, or nothing.
    pub(super) async fn new(
        agent: &Arc<Agent>,
        election: Arc<str>,
        since: Option<u64>,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, Problem> {
        let seen = agent.watch(&election).await?;
        let since = agree(agent, &election, &seen, since).await?;
        Ok(Self { agent: Arc::clone(agent), election, seen, since, begun: false, _place: place })
    }

    /// The state as found, then each time it has changed.
    pub(super) async fn event(&mut self) -> Option<Bytes> {
        loop {
            if self.begun {
                self.seen.changed().await.ok()?;
            }
            let seen = self.seen.borrow_and_update().clone();
            let version = seen.view.version;
            if version < self.since {
                self.seen.changed().await.ok()?;
                self.seen.mark_changed();
                continue;
            }
            (self.begun, self.since) = (true, version);
            let standing = self.agent.standing(&self.election);
            let state = State::seen(&self.election, &seen, standing.as_ref());
            return Some(event(None, Some(version), &state));
        }
    }

    /// The state once it is newer than what the client has seen, or after `wait` as it is.
    pub(super) async fn poll(mut self, wait: Duration) -> (Arc<str>, Seen) {
        let until = Boottime::now() + wait;
        let seen = loop {
            let seen = self.seen.borrow_and_update().clone();
            let now = Boottime::now();
            let news = seen.view.version > self.since || self.begun;
            if (news && seen.view.version >= self.since) || now >= until {
                break seen;
            }
            tokio::select! {
                changed = self.seen.changed() => self.begun = changed.is_ok(),
                () = tokio::time::sleep(until.since(now).min(SLEEP_MAX)) => {}
            }
        };
        (self.election, seen)
    }
}

/// The version below which nothing is sent. A client may know a later one than this sidecar, which
/// then waits until it has caught up; or one of a group that is no more, which only the group that
/// there is now can tell.
async fn agree(
    agent: &Arc<Agent>,
    election: &Arc<str>,
    seen: &watch::Receiver<Seen>,
    since: Option<u64>,
) -> Result<u64, Problem> {
    let Some(since) = since else { return Ok(0) };
    if since <= seen.borrow().view.version {
        return Ok(since);
    }
    let view = agent.read(election, Consistency::Linearizable).await?;
    Ok(since.min(view.version))
}
