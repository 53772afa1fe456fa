//! Leases in this process alone: for development, and the measure for the other backends.
//!
//! It is the replicated table without replication. Nothing survives the process but the growth of
//! tokens, whose base comes from the wall clock.

mod core;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use self::core::Core;
use super::{
    Acquire, Backend, ClusterStatus, Consistency, Failure, Grant, Lease, MemberStatus, Reply,
    Session, View,
};
use crate::Boottime;
use crate::election::{Command, Outcome};

/// Longest sleep of whatever waits for a time, as timers stop while the machine sleeps.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// For a lease without a known last sign of life, which there is not.
const RETRY_DEFAULT: Duration = Duration::from_secs(1);

/// The backend.
pub struct Single {
    name: Arc<str>,
    core: Mutex<Core>,
    /// The next expiry may have come nearer.
    sooner: Notify,
}

/// A place in a queue; left when this is dropped.
struct Place<'s> {
    single: &'s Single,
    election: Arc<str>,
    session: Session,
    kept: bool,
}

// === impl Single ===

impl Single {
    /// A backend whose only member is called `name`; its tokens are above `token_base`, usually
    /// wall clock seconds times 2^20. Somebody must [`Single::run`] it.
    #[must_use]
    pub fn new(name: Arc<str>, token_base: u64) -> Arc<Self> {
        let core = Mutex::new(Core::new(token_base));
        Arc::new(Self { name, core, sooner: Notify::new() })
    }

    /// Ends leases whose time has come; never returns.
    pub async fn run(self: Arc<Self>) {
        loop {
            let now = Boottime::now();
            let next = {
                let mut core = self.core();
                core.expire(now);
                core.next_expiry()
            };
            let pause = next.map_or(SLEEP_MAX, |at| at.since(now).min(SLEEP_MAX));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        // Nothing in there can be left half done by a panic that was survived.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, command: Command) -> (Boottime, Outcome) {
        let now = Boottime::now();
        let outcome = self.core().apply(now, command);
        (now, outcome)
    }

    fn held(&self, leader: Lease) -> Failure {
        let now = Boottime::now();
        let ends = self.core().ends(&leader);
        Failure::Held { retry_after: ends.map_or(RETRY_DEFAULT, |at| at.since(now)), leader }
    }

    async fn take(&self, mut acquire: Acquire, wait: Duration) -> Result<Grant, Failure> {
        acquire.wait = !wait.is_zero();
        let election = Arc::clone(&acquire.election);
        let pause = acquire.ttl / 3;
        let (since, outcome) = self.apply(Command::Acquire(acquire));
        self.sooner.notify_one();
        let session = match outcome {
            Outcome::Queued(session) => session,
            other => return self.granted(since, other),
        };
        let mut changes = {
            let mut core = self.core();
            core.enter(session);
            core.subscribe(&election, since)
        };
        let place = Place { single: self, election, session, kept: false };
        let until = since + wait;
        loop {
            let now = Boottime::now();
            tokio::select! {
                // Its sender lives as long as this backend.
                _ = changes.changed() => {}
                () = tokio::time::sleep(pause.min(until.since(now)).min(SLEEP_MAX)) => {}
            }
            let election = Arc::clone(&place.election);
            match self.apply(Command::Renew { election, session, token: 0 }) {
                (now, Outcome::Queued(_)) if now < until => {}
                (_, Outcome::Queued(_)) => return Err(self.in_vain(&place)),
                (since, other) => {
                    place.keep();
                    return self.granted(since, other);
                }
            }
        }
    }

    /// The wait is over; the queue is left when the place is dropped.
    fn in_vain(&self, place: &Place<'_>) -> Failure {
        let lease = self.core().lease(&place.election);
        // Who waits is granted the lease at once when nobody holds it.
        lease.map_or(Failure::Lost(None), |lease| self.held(lease))
    }

    fn granted(&self, since: Boottime, outcome: Outcome) -> Result<Grant, Failure> {
        match outcome {
            Outcome::Holds(lease) => Ok(Grant { lease, since }),
            Outcome::Held(leader) => Err(self.held(leader)),
            Outcome::Duplicate(leader) => Err(Failure::DuplicateId(leader)),
            Outcome::Gone(leader) => Err(Failure::Lost(leader)),
            Outcome::Full => {
                Err(Failure::Limit("too many elections, or too many wait for this one"))
            }
            // Somebody in the queue holds nothing.
            Outcome::Done | Outcome::Queued(_) => Err(Failure::Lost(None)),
        }
    }

    /// Whether the lease is this one.
    fn holds(&self, election: &str, session: Session, token: u64) -> Result<(), Failure> {
        match self.core().lease(election) {
            Some(lease) if lease.session == session && lease.token == token => Ok(()),
            other => Err(Failure::Lost(other)),
        }
    }

    fn view(&self, election: &str) -> View {
        self.core().view(election, Boottime::now())
    }
}

impl Backend for Single {
    fn name(&self) -> &'static str {
        "single"
    }

    fn acquire(&self, acquire: Acquire, wait: Duration) -> Reply<'_, Grant> {
        Box::pin(self.take(acquire, wait))
    }

    fn renew<'a>(
        &'a self,
        election: &'a Arc<str>,
        session: Session,
        token: u64,
    ) -> Reply<'a, Grant> {
        let election = Arc::clone(election);
        Box::pin(async move {
            let (since, outcome) = self.apply(Command::Renew { election, session, token });
            self.granted(since, outcome)
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
            self.holds(election, session, token)?;
            let election = Arc::clone(election);
            match self.apply(Command::Resign { election, session, token, successor }).1 {
                Outcome::Gone(leader) => Err(Failure::Lost(leader)),
                _ => Ok(()),
            }
        })
    }

    fn read<'a>(&'a self, election: &'a Arc<str>, _: Consistency) -> Reply<'a, View> {
        Box::pin(async move { Ok(self.view(election)) })
    }

    fn watch<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, watch::Receiver<View>> {
        Box::pin(async move { Ok(self.core().subscribe(election, Boottime::now())) })
    }

    fn list(&self) -> Reply<'_, Vec<(Arc<str>, View)>> {
        Box::pin(async move { Ok(self.core().views(Boottime::now())) })
    }

    fn token_highest<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, u64> {
        Box::pin(async move { Ok(self.core().token_highest(election)) })
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn cluster(&self) -> ClusterStatus {
        let member = MemberStatus {
            name: self.name.to_string(),
            id: format!("{:016x}", 1),
            role: "voter",
            leads: true,
            reachable: true,
        };
        ClusterStatus {
            backend: "single",
            group: None,
            name: self.name.to_string(),
            quorum: true,
            term: 0,
            applied: self.core().applied(),
            members: vec![member],
        }
    }
}

// === impl Place ===

impl Place<'_> {
    /// The candidate leaves the queue as a holder, or was removed from it.
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut core = self.single.core();
        // The same request may have been sent again, and wait in the same place.
        if core.leave(self.session) && !self.kept {
            let (election, session) = (Arc::clone(&self.election), self.session);
            core.apply(
                Boottime::now(),
                Command::Resign { election, session, token: 0, successor: None },
            );
        }
    }
}
