//! Standing in the queue of an election.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Acquired, Raft, Session};
use crate::Boottime;
use crate::backend::{Acquire, Failure, Grant};
use crate::election::{Command, Outcome, TOKEN_NONE};

/// A candidate shows this many signs of life in a time to live.
const SIGNS_PER_TTL: u32 = 3;

/// A place in the queue, left when this is dropped.
struct Place<'r> {
    raft: &'r Raft,
    election: Arc<str>,
    session: Session,
    /// What a lease may be given up with, should it be granted meanwhile: any, or none if the same
    /// request may have got it elsewhere.
    token: u64,
    left: bool,
}

impl Raft {
    /// Acquires, waiting for at most `wait`.
    ///
    /// A grant is found out about from the table as applied here, some time after it was made; how
    /// long after is not known. So it counts from the last sign of life that was confirmed: the
    /// group cannot have granted to, nor will it expire, a session before a whole time to live
    /// after that.
    pub(super) async fn acquire_waiting(
        &self,
        acquire: Acquire,
        wait: Duration,
    ) -> Result<Grant, Failure> {
        let until = Instant::now() + wait;
        let own = acquire.session;
        loop {
            let queued = match self.acquire_once(acquire.clone()).await? {
                Acquired::Granted(grant) => return Ok(grant),
                Acquired::Queued(session, sent) => (session, sent),
            };
            match self.wait(&acquire, queued, until).await {
                // The place was that of the same request sent before, and whoever sent that has
                // left it; a place of our own is still to be had.
                Err(Failure::Lost(_)) if queued.0 != own && Instant::now() < until => {}
                done => return done,
            }
        }
    }

    /// Stands in the queue until granted, or until the time is over.
    async fn wait(
        &self,
        acquire: &Acquire,
        (session, mut confirmed): (Session, Boottime),
        mut until: Instant,
    ) -> Result<Grant, Failure> {
        let (election, ttl) = (&acquire.election, acquire.ttl);
        let mut views = self.shared.watch(election);
        let token = if acquire.request_id.is_some() { TOKEN_NONE } else { 0 };
        let election = Arc::clone(election);
        let mut place =
            Place { raft: self, election: Arc::clone(&election), session, token, left: false };
        let pause = ttl / SIGNS_PER_TTL;
        let mut next_sign = Instant::now() + pause;
        loop {
            views.borrow_and_update();
            if let Some(lease) = self.lease_of(&election, session) {
                if Boottime::now().since(confirmed) < ttl / 2 {
                    return Ok(place.take(Grant { lease, since: confirmed }));
                }
                // What is left of it would be little use: a new sign of life first.
                next_sign = Instant::now();
            }
            tokio::select! {
                changed = views.changed() => {
                    if changed.is_err() {
                        return Err(Failure::Unknown("the group has ended".to_owned()));
                    }
                }
                () = sleep_until(next_sign) => {
                    let sent = Boottime::now();
                    match self.sign(&election, session).await {
                        Ok(Outcome::Holds(lease)) => {
                            return Ok(place.take(Grant { lease, since: sent }));
                        }
                        Ok(Outcome::Queued(_)) => confirmed = sent,
                        Ok(Outcome::Gone(leader)) => {
                            place.left = true;
                            return Err(Failure::Lost(leader));
                        }
                        Ok(_) => return Err(super::unexpected()),
                        // Without the group nobody is granted anything; it may come back.
                        Err(_) if Boottime::now().since(confirmed) < ttl => {}
                        Err(error) => return Err(error),
                    }
                    next_sign = Instant::now() + pause;
                }
                () = sleep_until(until) => {
                    if self.lease_of(&election, session).is_some() {
                        // Granted in the last moment: a sign of life tells until when.
                        next_sign = Instant::now();
                        until += ttl;
                        continue;
                    }
                    let leader = self.shared.view(&election).lease;
                    return Err(match leader {
                        Some(leader) => Failure::Held { leader, retry_after: ttl },
                        None => Failure::Lost(None),
                    });
                }
            }
        }
    }

    async fn sign(&self, election: &Arc<str>, session: Session) -> Result<Outcome, Failure> {
        self.ask(Command::Renew { election: Arc::clone(election), session, token: 0 }).await
    }
}

// === impl Place ===

impl Place<'_> {
    /// The lease is the caller's now; the place is not given up any more.
    fn take(&mut self, grant: Grant) -> Grant {
        self.left = true;
        grant
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.left {
            let (election, session) = (Arc::clone(&self.election), self.session);
            let token = self.token;
            self.raft.tell(Command::Resign { election, session, token, successor: None });
        }
    }
}
