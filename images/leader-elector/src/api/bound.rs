//! Leadership bound to a connection: whoever holds it open leads, the sidecar renews, and the end
//! of the connection is a resignation. An application that dies closes its sockets at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::SLEEP_MAX;
use super::events::event;
use super::message::Held;
use super::problem::Problem;
use crate::Boottime;
use crate::agent::{Agent, Seen, Standing};
use crate::backend::Failure;

/// A lease is renewed when this part of its time to live has passed.
const RENEW_PARTS: u32 = 3;
/// After a failed renewal it is tried again this soon.
const AGAIN_PARTS: u32 = 10;

/// A lease that ends with the connection, or the wait for it.
pub(super) struct Bound {
    agent: Arc<Agent>,
    election: Arc<str>,
    state: State,
    _place: OwnedSemaphorePermit,
}

/// A candidacy under way; the queue is left when it is dropped.
pub(super) type Waiting = Pin<Box<dyn Future<Output = Result<Standing, Failure>> + Send>>;

enum State {
    Waiting(Waiting),
    Elected(Standing),
    Leads(Leads),
    Over,
}

struct Leads {
    standing: Standing,
    renew: Boottime,
    changes: watch::Receiver<Seen>,
}

// === impl Bound ===

impl Bound {
    /// Waits for the lease on the open connection.
    pub(super) fn waiting(
        agent: &Arc<Agent>,
        election: Arc<str>,
        waiting: Waiting,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let state = State::Waiting(waiting);
        Self { agent: Arc::clone(agent), election, state, _place: place }
    }

    /// Holds the lease already.
    pub(super) fn elected(
        agent: &Arc<Agent>,
        election: Arc<str>,
        standing: Standing,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let state = State::Elected(standing);
        Self { agent: Arc::clone(agent), election, state, _place: place }
    }

    /// The next event: `elected`, `renewed`, `lost` or `failed`; nothing after the last two.
    pub(super) async fn event(&mut self) -> Option<Bytes> {
        loop {
            match &mut self.state {
                State::Waiting(waiting) => match waiting.await {
                    Ok(standing) => self.state = State::Elected(standing),
                    Err(failure) => {
                        self.state = State::Over;
                        return Some(event(Some("failed"), None, &Problem::from(failure)));
                    }
                },
                State::Elected(standing) => {
                    let standing = standing.clone();
                    return Some(self.begin(standing).await);
                }
                State::Leads(leads) => {
                    let next = leads.next(&self.agent, &self.election).await;
                    match next {
                        Ok(standing) => {
                            let told = self.tell("renewed", &standing);
                            leads_again(&mut self.state, standing);
                            return Some(told);
                        }
                        Err(problem) => {
                            self.state = State::Over;
                            return Some(event(Some("lost"), None, &problem));
                        }
                    }
                }
                State::Over => return None,
            }
        }
    }

    async fn begin(&mut self, standing: Standing) -> Bytes {
        match self.agent.watch(&self.election).await {
            Ok(changes) => {
                let told = self.tell("elected", &standing);
                let renew = Boottime::now() + standing.lease.ttl / RENEW_PARTS;
                self.state = State::Leads(Leads { standing, renew, changes });
                told
            }
            Err(failure) => {
                self.give_up();
                event(Some("failed"), None, &Problem::from(failure))
            }
        }
    }

    fn tell(&self, name: &str, standing: &Standing) -> Bytes {
        event(Some(name), None, &Held::new(&self.election, standing, Boottime::now()))
    }

    /// Resigns, if anything is held.
    fn give_up(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Over);
        let standing = match state {
            State::Elected(standing) | State::Leads(Leads { standing, .. }) => standing,
            State::Waiting(_) | State::Over => return,
        };
        let (agent, election) = (Arc::clone(&self.agent), Arc::clone(&self.election));
        let resign = async move {
            let lease = standing.lease;
            let resigned = agent.resign(&election, lease.session, lease.token, None).await;
            if let Err(failure) = resigned {
                let token = lease.token;
                tracing::warn!(election = &*election, token, %failure, "resigning failed");
            }
        };
        // There is none when the process ends, and then the agent has resigned everything.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.agent.tasks().spawn(resign);
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.give_up();
    }
}

fn leads_again(state: &mut State, standing: Standing) {
    if let State::Leads(leads) = state {
        leads.renew = Boottime::now() + standing.lease.ttl / RENEW_PARTS;
        leads.standing = standing;
    }
}

// === impl Leads ===

impl Leads {
    /// Renews in time; fails when the lease is over.
    async fn next(&mut self, agent: &Arc<Agent>, election: &Arc<str>) -> Result<Standing, Problem> {
        loop {
            let now = Boottime::now();
            let (session, token) = (self.standing.lease.session, self.standing.lease.token);
            let held = agent.standing(election);
            if held.is_none_or(|held| held.lease.token != token) {
                return Err(Problem::lost(self.changes.borrow().leader()));
            }
            if self.renew > now {
                let pause = self.renew.since(now).min(self.standing.valid_for(now)).min(SLEEP_MAX);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    // Its sender may end with the agent.
                    _ = self.changes.changed() => {}
                }
                continue;
            }
            // Whatever comes of it, the next try is later.
            self.renew = now + self.standing.lease.ttl / AGAIN_PARTS;
            let left = self.standing.valid_for(now);
            let renewal = agent.renew(election, session, token);
            match tokio::time::timeout(left, renewal).await {
                Ok(Ok(standing)) => return Ok(standing),
                Ok(Err(Failure::Lost(leader))) => return Err(Problem::lost(leader.as_ref())),
                Ok(Err(failure)) => {
                    let election = &**election;
                    tracing::warn!(election, token, %failure, "renewing failed");
                }
                Err(_) => {}
            }
        }
    }
}
