//! Standing for election, and what becomes of a candidacy that nobody waits for any more.

use std::sync::Arc;
use std::time::Duration;

use super::{Agent, Standing};
use crate::backend::{Acquire, Consistency, Failure, Grant, Session};

/// What an application, or the campaign, asks for.
#[derive(Clone, Debug, Default)]
pub struct Candidacy {
    /// Name of the election.
    pub election: Arc<str>,
    /// Who wants to lead; default: [`super::AgentConfig::id`].
    pub holder: Option<Arc<str>>,
    /// Time to live; default: [`super::AgentConfig::ttl`].
    pub ttl: Option<Duration>,
    /// How long to stand in the queue.
    pub wait: Duration,
    /// JSON for others to read.
    pub metadata: Option<Arc<str>>,
    /// Names the request, so that it can be sent again.
    pub request_id: Option<Arc<str>>,
    /// A session to go on with; default: a new one.
    pub session: Option<Session>,
    /// Whether the lease is of no use but to who waits for it now, even if the request has a name.
    pub bound: bool,
}

/// A candidacy under way. Should nobody wait for it any more, or nobody know what came of it, it is
/// taken back, or the lease would be in everybody's way until it runs out.
struct Attempt {
    agent: Arc<Agent>,
    election: Arc<str>,
    session: Session,
    /// Whether it is to be taken back when this is dropped.
    revocable: bool,
}

// === impl Agent ===

impl Agent {
    /// Takes an election, or waits for it.
    ///
    /// # Errors
    /// As the backend says; [`Failure::Unknown`] too if the grant came when it was over already,
    /// and [`Failure::Invalid`] at a witness.
    pub async fn acquire(self: &Arc<Self>, candidacy: Candidacy) -> Result<Standing, Failure> {
        self.may_lead()?;
        let Candidacy { election, holder, ttl, wait, metadata, request_id, session, bound } =
            candidacy;
        // One that was given may be that of a lease, which is not this call's to end.
        let drawn = session.is_none();
        let session = match session {
            Some(session) => session,
            None => new_session()?,
        };
        // Who names the request may come back for what it got.
        let revocable = drawn && (bound || request_id.is_none());
        let acquire = Acquire {
            election: Arc::clone(&election),
            holder: holder.unwrap_or_else(|| Arc::clone(&self.config.id)),
            session,
            ttl: ttl.unwrap_or(self.config.ttl),
            priority: self.config.priority,
            wait: !wait.is_zero(),
            metadata,
            request_id,
        };
        if !drawn && self.holdings().token(&election, session).is_some() {
            match self.acquire_again(acquire.clone()).await {
                Err(Failure::Held { .. } | Failure::DuplicateId(_)) if acquire.wait => {}
                outcome => return outcome,
            }
        }
        let mut stopping = self.stopping();
        let mut attempt = Attempt {
            agent: Arc::clone(self),
            election: Arc::clone(&election),
            session,
            revocable,
        };
        let granted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => {
                attempt.revocable = drawn;
                return Err(ending());
            }
            granted = self.backend.acquire(acquire, wait) => granted,
        };
        let acquired = match granted {
            Ok(grant) => self.granted(&election, grant).await,
            Err(failure) => Err(failure),
        };
        attempt.revocable &= matches!(acquired, Err(Failure::Unknown(_)));
        acquired
    }

    /// Acquires what is held here already. That goes on to its end whoever goes away meanwhile, and
    /// also when this process is to stop: a backend may end a candidacy that is broken off, and with
    /// it the lease, which is believed in here.
    async fn acquire_again(self: &Arc<Self>, mut acquire: Acquire) -> Result<Standing, Failure> {
        acquire.wait = false;
        let agent = Arc::clone(self);
        let again = self.tasks.spawn(async move {
            let election = Arc::clone(&acquire.election);
            let grant = agent.backend.acquire(acquire, Duration::ZERO).await?;
            agent.granted(&election, grant).await
        });
        again.await.unwrap_or_else(|error| Err(Failure::Unknown(error.to_string())))
    }

    async fn granted(
        self: &Arc<Self>,
        election: &Arc<str>,
        grant: Grant,
    ) -> Result<Standing, Failure> {
        let (session, token) = (grant.lease.session, grant.lease.token);
        if let Some(standing) = self.confirm(election, grant) {
            return Ok(standing);
        }
        // The grant was long under way; perhaps it lives on.
        self.renew(election, session, token).await
    }

    /// Takes a candidacy back.
    fn abandon(self: &Arc<Self>, election: &Arc<str>, session: Session) {
        // From here on nobody leads with it, as somebody else may be about to.
        let held = {
            let mut holdings = self.holdings();
            let token = holdings.token(election, session);
            token.inspect(|token| drop(holdings.resign(election, session, *token)))
        };
        if let Some(token) = held {
            self.gave_up(election, token);
        }
        // There is no runtime when the process ends, and then the lease runs out.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (agent, election) = (Arc::clone(self), Arc::clone(election));
        self.tasks.spawn(async move {
            let read = agent.read(&election, Consistency::Local).await;
            let lease = read.ok().and_then(|view| view.lease).filter(|it| it.session == session);
            // Without a token it ends a candidacy that is still on its way.
            let token = held.or(lease.map(|lease| lease.token)).unwrap_or(0);
            let _ = agent.backend.resign(&election, session, token, None).await;
        });
    }

    /// Whether anything may be held here.
    pub(super) fn may_lead(&self) -> Result<(), Failure> {
        if self.config.witness {
            // Renewals too, as what is renewed here is held here.
            return Err(Failure::Invalid("a witness votes and never leads".to_owned()));
        }
        if self.is_stopping() { Err(ending()) } else { Ok(()) }
    }
}

// === impl Attempt ===

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.revocable {
            self.agent.abandon(&self.election, self.session);
        }
    }
}

fn ending() -> Failure {
    Failure::NoQuorum("this sidecar is stopping".to_owned())
}

fn new_session() -> Result<Session, Failure> {
    let chance = |error| Failure::NoQuorum(format!("no randomness: {error}"));
    getrandom::u64().map(Session).map_err(chance)
}
