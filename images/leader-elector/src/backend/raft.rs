//! Leases in the group of sidecars.

mod waiting;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::{
    Acquire, Backend, ClusterStatus, Consistency, Failure, Grant, MemberStatus, Reply, Session,
    View,
};
use crate::Boottime;
use crate::driver::{Input, Mailbox, Phase, Shared};
use crate::election::{Command, Lease, Outcome};

/// The driver as a backend.
pub struct Raft {
    mailbox: Mailbox,
    shared: Arc<Shared>,
    /// Longest wait for the outcome of one command.
    patience: Duration,
    /// Silence after which a leader of the group counts as gone.
    silence: Duration,
}

/// The outcome of an acquire.
enum Acquired {
    Granted(Grant),
    /// Standing in the queue under this session, since this was sent.
    Queued(Session, Boottime),
}

// === impl Raft ===

impl Raft {
    /// The group behind a driver; `election` is its longest election timeout.
    #[must_use]
    pub fn new(mailbox: Mailbox, shared: Arc<Shared>, election: Duration) -> Self {
        // Two elections, as the first may be split, and room for a slow disk.
        let patience = election * 4 + Duration::from_secs(1);
        Self { mailbox, shared, patience, silence: election * 2 }
    }

    /// Has a command done; what was sent when is the caller's to note before.
    async fn ask(&self, command: Command) -> Result<Outcome, Failure> {
        let (reply, outcome) = oneshot::channel();
        let told = self.mailbox.tell(Input::Request { command, reply: Some(reply) });
        if !told {
            return Err(Failure::Limit("too many requests are waiting"));
        }
        match tokio::time::timeout(self.patience, outcome).await {
            Ok(Ok(Some(outcome))) => Ok(outcome),
            Ok(Ok(None)) => Err(Failure::NoQuorum("no leader of the group is known".to_owned())),
            // Dropped with the request unread, for want of a replica; or the driver has ended.
            Ok(Err(_)) if self.shared.phase() == Phase::Member => {
                Err(Failure::Unknown("this member is about to end".to_owned()))
            }
            Ok(Err(_)) => Err(Failure::NoQuorum(self.why_not_ready())),
            Err(_) => Err(Failure::Unknown("the group has not answered".to_owned())),
        }
    }

    /// Has a command done some time; nobody waits for it.
    fn tell(&self, command: Command) {
        // Lost at worst: then the lease or place in the queue runs out.
        let _ = self.mailbox.tell(Input::Request { command, reply: None });
    }

    async fn acquire_once(&self, acquire: Acquire) -> Result<Acquired, Failure> {
        let ttl = acquire.ttl;
        let sent = Boottime::now();
        match self.ask(Command::Acquire(acquire)).await? {
            Outcome::Holds(lease) => Ok(Acquired::Granted(Grant { lease, since: sent })),
            Outcome::Queued(session) => Ok(Acquired::Queued(session, sent)),
            Outcome::Held(leader) => Err(Failure::Held { leader, retry_after: ttl }),
            Outcome::Duplicate(leader) => Err(Failure::DuplicateId(leader)),
            Outcome::Full => Err(Failure::Limit("too many elections, or candidates in this one")),
            Outcome::Gone(leader) => Err(Failure::Lost(leader)),
            Outcome::Done => Err(unexpected()),
        }
    }

    /// Makes sure that the state here is as new as now.
    async fn refresh(&self) -> Result<(), Failure> {
        let (reply, done) = oneshot::channel();
        if !self.mailbox.tell(Input::Read { reply }) {
            return Err(Failure::Limit("too many requests are waiting"));
        }
        match tokio::time::timeout(self.patience, done).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Err(_)) => Err(Failure::NoQuorum(self.why_not_ready())),
            Ok(Ok(false)) | Err(_) => {
                Err(Failure::NoQuorum("no majority of the group answers".to_owned()))
            }
        }
    }

    fn why_not_ready(&self) -> String {
        match self.shared.phase() {
            Phase::Starting => "the group is not known yet".to_owned(),
            Phase::Waiting(reason) => reason.to_owned(),
            Phase::Member => "no leader of the group is known".to_owned(),
        }
    }
}

impl Backend for Raft {
    fn name(&self) -> &'static str {
        "raft"
    }

    fn acquire(&self, mut acquire: Acquire, wait: Duration) -> Reply<'_, Grant> {
        acquire.wait = !wait.is_zero();
        Box::pin(async move {
            if acquire.wait {
                self.acquire_waiting(acquire, wait).await
            } else {
                match self.acquire_once(acquire).await? {
                    Acquired::Granted(grant) => Ok(grant),
                    Acquired::Queued(..) => Err(unexpected()),
                }
            }
        })
    }

    fn renew<'a>(
        &'a self,
        election: &'a Arc<str>,
        session: Session,
        token: u64,
    ) -> Reply<'a, Grant> {
        Box::pin(async move {
            let since = Boottime::now();
            let command = Command::Renew { election: Arc::clone(election), session, token };
            match self.ask(command).await? {
                Outcome::Holds(lease) => Ok(Grant { lease, since }),
                Outcome::Gone(leader) => Err(Failure::Lost(leader)),
                Outcome::Queued(_) => Err(Failure::Lost(self.shared.view(election).lease)),
                _ => Err(unexpected()),
            }
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
            let election = Arc::clone(election);
            match self.ask(Command::Resign { election, session, token, successor }).await? {
                Outcome::Done => Ok(()),
                Outcome::Gone(leader) => Err(Failure::Lost(leader)),
                _ => Err(unexpected()),
            }
        })
    }

    fn read<'a>(&'a self, election: &'a Arc<str>, consistency: Consistency) -> Reply<'a, View> {
        Box::pin(async move {
            if consistency == Consistency::Local {
                return Ok(self.shared.view(election));
            }
            let asked = Boottime::now();
            self.refresh().await?;
            Ok(View { observed: asked, ..self.shared.view(election) })
        })
    }

    fn watch<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, watch::Receiver<View>> {
        Box::pin(async move { Ok(self.shared.watch(election)) })
    }

    fn list(&self) -> Reply<'_, Vec<(Arc<str>, View)>> {
        Box::pin(async move { Ok(self.shared.views()) })
    }

    fn token_highest<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, u64> {
        Box::pin(async move {
            self.refresh().await?;
            Ok(self.shared.token_highest(election))
        })
    }

    fn ready(&self) -> Result<(), String> {
        if self.shared.phase() != Phase::Member {
            return Err(self.why_not_ready());
        }
        if !self.hears() {
            return Err("no leader of the group is heard of".to_owned());
        }
        // Until then the group may count on a member that this one replaces.
        let (id, name) = (self.shared.id(), self.shared.name());
        let members = self.shared.status().members;
        let replaced =
            |(other, member): (&u64, &crate::replica::Member)| *other != id && member.name == *name;
        if !members.contains_key(&id) || members.iter().any(replaced) {
            return Err("this member is not let into the group yet".to_owned());
        }
        Ok(())
    }

    fn cluster(&self) -> ClusterStatus {
        let status = self.shared.status();
        let mut reachable = self.shared.reachable();
        reachable.push(self.shared.id());
        let members = status.members.iter().map(|(&id, member)| MemberStatus {
            name: member.name.to_string(),
            id: format!("{id:016x}"),
            role: match (status.voters.contains(&id), member.witness) {
                (true, true) => "witness",
                (true, false) => "voter",
                (false, _) => "learner",
            },
            leads: status.leader == id,
            reachable: reachable.contains(&id),
        });
        ClusterStatus {
            backend: "raft",
            group: self.shared.group().map(|group| format!("{:032x}", group.id.0)),
            name: self.shared.name().to_string(),
            quorum: self.hears(),
            term: status.term,
            applied: status.applied,
            members: members.collect(),
        }
    }

    fn remove_member<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let (reply, known) = oneshot::channel();
            let input = Input::Remove { name: name.into(), reply };
            if !self.mailbox.tell(input) {
                return Err(Failure::Limit("too many requests are waiting"));
            }
            match known.await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Failure::Invalid(format!("no member is called {name}"))),
                Err(_) => Err(Failure::NoQuorum(self.why_not_ready())),
            }
        })
    }
}

impl Raft {
    /// Whether a leader of the group was heard of lately.
    fn hears(&self) -> bool {
        Boottime::now().since(self.shared.contact()) < self.silence
    }

    fn lease_of(&self, election: &str, session: Session) -> Option<Lease> {
        self.shared.view(election).lease.filter(|lease| lease.session == session)
    }
}

/// The table has answered something that the command cannot come to.
fn unexpected() -> Failure {
    Failure::Unknown("the group has answered what makes no sense".to_owned())
}
