//! The replicated table of elections: what every member computes alike from the log.
//!
//! Pure: [`Table::apply`] takes a log index and a command and nothing else; no clock, no chance.
//! So a lease never ends by itself here: a replica that saw it go stale proposes
//! [`Command::Expire`], which is a compare-and-set on the token and the sequence of the last sign of
//! life, and does nothing if a renewal came between.
//!
//! Those who wait for an election stand in its queue, with a session that they keep alive like a
//! holder does. The command that ends a lease grants the next one, so that a resignation is one
//! round, and nobody is granted a lease whose session has gone.

mod encoding;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use encoding::COMMAND_BYTES_MAX;

/// Longest name of an election or a holder, in bytes.
pub const NAME_BYTES_MAX: usize = 253;
/// Longest metadata, in bytes of JSON.
pub const METADATA_BYTES_MAX: usize = 4096;
/// Longest request id, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Most elections in a group. At the limit free ones are forgotten, the longest unchanged first.
pub const ELECTIONS_MAX: usize = 10_000;
/// Most candidates waiting in one election.
pub const QUEUE_MAX: usize = 1024;
/// Most bytes of what candidates brought along (names, metadata, request ids), so that the table
/// always fits a snapshot.
pub const CANDIDATES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What a candidate costs beside what it brings.
const CANDIDATE_BYTES: usize = 64;
/// Ended sessions remembered, so that a command delivered twice does not bring one back.
const ENDED_MAX: usize = 4096;

/// No lease has this token.
pub const TOKEN_NONE: u64 = u64::MAX;

/// A random number that stands for one candidacy, from acquire to the end of its lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session(pub u64);

/// A lease as everybody may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who leads.
    pub holder: Arc<str>,
    /// The candidacy; known to the holder alone.
    pub session: Session,
    /// The fencing token: larger than that of every earlier lease of the group.
    pub token: u64,
    /// Time to live, from each sign of life.
    pub ttl: Duration,
    /// JSON that the holder gave.
    pub metadata: Option<Arc<str>>,
}

/// What a replica is asked to put in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The first command of a group: no token will be below `token_base`.
    Init {
        /// Wall clock seconds at the birth of the group times 2^20, or the operator's floor.
        token_base: u64,
    },
    /// Take the election, or stand in its queue.
    Acquire(Acquire),
    /// A sign of life of a holder or of somebody in the queue.
    Renew {
        /// Name of the election.
        election: Arc<str>,
        /// The candidacy.
        session: Session,
        /// The token of the lease; 0 from the queue.
        token: u64,
    },
    /// Give the lease up, or leave the queue.
    Resign {
        /// Name of the election.
        election: Arc<str>,
        /// The candidacy.
        session: Session,
        /// The token of the lease; 0 for any, [`TOKEN_NONE`] to leave the queue alone.
        token: u64,
        /// Who of the queue is to follow, rather than its first.
        successor: Option<Arc<str>>,
    },
    /// End what showed no sign of life for its whole time to live, unless it has since.
    Expire {
        /// Name of the election.
        election: Arc<str>,
        /// The candidacy.
        session: Session,
        /// The token of the lease; 0 in the queue.
        token: u64,
        /// The sequence of the last sign of life seen.
        sequence: u64,
    },
}

/// A candidacy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// Name of the election.
    pub election: Arc<str>,
    /// Who wants to lead.
    pub holder: Arc<str>,
    /// The candidacy, chosen at random by who asks.
    pub session: Session,
    /// Time to live of the lease.
    pub ttl: Duration,
    /// Higher goes first in the queue; first come, first served among equals.
    pub priority: i64,
    /// Stand in the queue if the election is held.
    pub wait: bool,
    /// JSON for others to read.
    pub metadata: Option<Arc<str>>,
    /// Names the request: sent again, it finds the lease it got.
    pub request_id: Option<Arc<str>>,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to tell.
    Done,
    /// The candidate holds the lease (acquire, renew).
    Holds(Lease),
    /// The candidate stands in the queue, in this candidacy: its own, or that of the same request
    /// sent before.
    Queued(Session),
    /// Somebody else leads.
    Held(Lease),
    /// The lease is held under the same name by another session.
    Duplicate(Lease),
    /// This candidacy holds nothing and does not wait; who leads instead.
    Gone(Option<Lease>),
    /// A limit of the table: elections or queue.
    Full,
}

/// Something others should know: the election has another lease than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Name of the election.
    pub election: Arc<str>,
    /// Its version, which is the log index of the change.
    pub version: u64,
    /// The highest token given in it.
    pub token: u64,
    /// The lease from now on.
    pub lease: Option<Lease>,
}

/// An election as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Election {
    /// Log index of the last change of the lease.
    pub version: u64,
    /// The highest token given in it; 0 before the first.
    pub token: u64,
    /// The lease and its signs of life.
    pub held: Option<Held>,
    /// Those who wait, next first.
    pub queue: VecDeque<Waiting>,
}

/// A lease in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The lease.
    pub lease: Lease,
    /// Counts signs of life.
    pub sequence: u64,
    /// The request that got it.
    pub request_id: Option<Arc<str>>,
}

/// A candidate in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What it asked for.
    pub acquire: Acquire,
    /// Counts signs of life.
    pub sequence: u64,
}

/// Bugs for the simulation to find; each is a mistake that real systems made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// Expire whatever the sequence is now.
    pub expire_without_compare: bool,
}

/// All elections of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    token_last: u64,
    /// The highest version of an election that was forgotten: what an unknown one answers with, so
    /// that versions never go back.
    version_forgotten: u64,
    elections: BTreeMap<Arc<str>, Election>,
    /// Oldest first.
    ended: VecDeque<Session>,
    /// What candidates brought along, see [`CANDIDATES_BYTES_MAX`].
    bytes: usize,
    planted: Planted,
}

// === impl Table ===

impl Table {
    /// A table that has one of the planted bugs.
    #[must_use]
    pub fn with_planted(planted: Planted) -> Self {
        Self { planted, ..Self::default() }
    }

    /// All elections, by name.
    pub fn elections(&self) -> impl Iterator<Item = (&Arc<str>, &Election)> {
        self.elections.iter()
    }

    /// An election, if anybody ever asked for it.
    #[must_use]
    pub fn election(&self, name: &str) -> Option<&Election> {
        self.elections.get(name)
    }

    /// The version of an election, also of one that nobody asked for yet.
    #[must_use]
    pub fn version(&self, name: &str) -> u64 {
        self.elections.get(name).map_or(self.version_forgotten, |election| election.version)
    }

    /// The version of every election that was forgotten, or never asked for.
    #[must_use]
    pub fn version_forgotten(&self) -> u64 {
        self.version_forgotten
    }

    /// The highest token given so far, or the base; 0 before [`Command::Init`].
    #[must_use]
    pub fn token_last(&self) -> u64 {
        self.token_last
    }

    /// Applies the command at `index`, which grows from call to call of different entries.
    ///
    /// Changes of leases are appended to `changes`.
    pub fn apply(&mut self, index: u64, command: Command, changes: &mut Vec<Change>) -> Outcome {
        match command {
            Command::Init { token_base } => {
                self.token_last = self.token_last.max(token_base);
                Outcome::Done
            }
            Command::Acquire(acquire) => self.acquire(index, acquire, changes),
            Command::Renew { election, session, token } => self.renew(&election, session, token),
            Command::Resign { election, session, token, successor } => {
                self.resign(index, &election, (session, token), successor.as_deref(), changes)
            }
            Command::Expire { election, session, token, sequence } => {
                self.expire(index, &election, session, token, sequence, changes)
            }
        }
    }

    fn acquire(&mut self, index: u64, acquire: Acquire, changes: &mut Vec<Change>) -> Outcome {
        if self.ended.contains(&acquire.session) {
            return Outcome::Gone(self.lease(&acquire.election));
        }
        if !self.elections.contains_key(&acquire.election) && !self.make_room() {
            return Outcome::Full;
        }
        let version = self.version_forgotten;
        let name = Arc::clone(&acquire.election);
        let election = self
            .elections
            .entry(Arc::clone(&name))
            .or_insert_with(|| Election { version, ..Election::default() });
        let full = self.bytes + acquire.cost() > CANDIDATES_BYTES_MAX;
        let Some(held) = &mut election.held else {
            if full {
                return Outcome::Full;
            }
            return Outcome::Holds(self.grant(index, &name, acquire, changes));
        };
        if held.is_of(&acquire) {
            held.sequence += 1;
            return Outcome::Holds(held.lease.clone());
        }
        if let Some(waiting) = election.queue.iter_mut().find(|waiting| waiting.is_of(&acquire)) {
            waiting.sequence += 1;
            return Outcome::Queued(waiting.acquire.session);
        }
        // A session belongs to one name; who comes with another's is not let stand beside it.
        let session = acquire.session;
        let taken = held.lease.session == session
            || election.queue.iter().any(|waiting| waiting.acquire.session == session);
        if taken {
            return Outcome::Held(held.lease.clone());
        }
        if !acquire.wait {
            let lease = held.lease.clone();
            let same = lease.holder == acquire.holder;
            return if same { Outcome::Duplicate(lease) } else { Outcome::Held(lease) };
        }
        if full || election.queue.len() >= QUEUE_MAX {
            return Outcome::Full;
        }
        self.bytes += acquire.cost();
        let behind = |waiting: &Waiting| waiting.acquire.priority >= acquire.priority;
        let place = election.queue.iter().position(|waiting| !behind(waiting));
        let place = place.unwrap_or(election.queue.len());
        election.queue.insert(place, Waiting { acquire, sequence: 0 });
        Outcome::Queued(session)
    }

    fn renew(&mut self, election: &str, session: Session, token: u64) -> Outcome {
        let Some(election) = self.elections.get_mut(election) else {
            return Outcome::Gone(None);
        };
        if let Some(held) = &mut election.held
            && held.lease.session == session
            && (token == 0 || held.lease.token == token)
        {
            held.sequence += 1;
            return Outcome::Holds(held.lease.clone());
        }
        let mut queue = election.queue.iter_mut();
        if let Some(waiting) = queue.find(|waiting| waiting.acquire.session == session) {
            waiting.sequence += 1;
            return Outcome::Queued(session);
        }
        Outcome::Gone(election.held.as_ref().map(|held| held.lease.clone()))
    }

    fn resign(
        &mut self,
        index: u64,
        name: &Arc<str>,
        (session, token): (Session, u64),
        successor: Option<&str>,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        let Some(election) = self.elections.get_mut(name) else {
            self.end(session);
            return Outcome::Gone(None);
        };
        if let Some(held) = &election.held
            && held.lease.session == session
        {
            if token != 0 && token != held.lease.token {
                return Outcome::Gone(Some(held.lease.clone()));
            }
            self.release(index, name, successor, changes);
            return Outcome::Done;
        }
        let mut left = false;
        election.queue.retain(|waiting| {
            let other = waiting.acquire.session != session;
            if !other {
                left = true;
                self.bytes -= waiting.acquire.cost();
            }
            other
        });
        let lease = election.held.as_ref().map(|held| held.lease.clone());
        // Also of one that is unknown: its acquire may still be under way.
        self.end(session);
        if left { Outcome::Done } else { Outcome::Gone(lease) }
    }

    fn expire(
        &mut self,
        index: u64,
        name: &Arc<str>,
        session: Session,
        token: u64,
        sequence: u64,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        let any = self.planted.expire_without_compare;
        let Some(election) = self.elections.get_mut(name) else {
            return Outcome::Done;
        };
        if let Some(held) = &election.held
            && held.lease.session == session
            && held.lease.token == token
            && (any || held.sequence == sequence)
        {
            self.release(index, name, None, changes);
            return Outcome::Done;
        }
        let stale =
            |waiting: &Waiting| waiting.acquire.session == session && waiting.sequence == sequence;
        if token == 0
            && let Some(place) = election.queue.iter().position(stale)
            && let Some(waiting) = election.queue.remove(place)
        {
            self.bytes -= waiting.acquire.cost();
            self.end(session);
        }
        Outcome::Done
    }

    /// Ends the lease and grants the next one: to `successor` if it waits, else to the first.
    fn release(
        &mut self,
        index: u64,
        name: &Arc<str>,
        successor: Option<&str>,
        changes: &mut Vec<Change>,
    ) {
        let Some(election) = self.elections.get_mut(name) else { return };
        let ended = election.held.take().map(|held| {
            self.bytes -= held.cost();
            held.lease.session
        });
        let chosen = successor
            .and_then(|to| election.queue.iter().position(|it| &*it.acquire.holder == to))
            .unwrap_or(0);
        match election.queue.remove(chosen) {
            Some(next) => {
                self.bytes -= next.acquire.cost();
                self.grant(index, name, next.acquire, changes);
            }
            None => {
                election.version = index;
                let token = election.token;
                let election = Arc::clone(name);
                changes.push(Change { election, version: index, token, lease: None });
            }
        }
        if let Some(session) = ended {
            self.end(session);
        }
    }

    fn grant(
        &mut self,
        index: u64,
        name: &Arc<str>,
        acquire: Acquire,
        changes: &mut Vec<Change>,
    ) -> Lease {
        self.bytes += acquire.cost();
        self.token_last = self.token_last.checked_add(1).expect("tokens stay below 2^53");
        let Acquire { holder, session, ttl, metadata, request_id, .. } = acquire;
        let lease = Lease { holder, session, token: self.token_last, ttl, metadata };
        let election = self.elections.entry(Arc::clone(name)).or_default();
        debug_assert!(election.held.is_none(), "a lease is granted only when none is held");
        election.version = index;
        election.token = lease.token;
        election.held = Some(Held { lease: lease.clone(), sequence: 0, request_id });
        changes.push(Change {
            election: Arc::clone(name),
            version: index,
            token: lease.token,
            lease: Some(lease.clone()),
        });
        lease
    }

    /// The lease of an election.
    #[must_use]
    pub fn lease(&self, name: &str) -> Option<Lease> {
        let held = self.elections.get(name)?.held.as_ref()?;
        Some(held.lease.clone())
    }

    /// Remembers that a session is over.
    fn end(&mut self, session: Session) {
        if self.ended.contains(&session) {
            return;
        }
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(session);
    }

    /// Forgets a free election when there are too many; false if none is free.
    fn make_room(&mut self) -> bool {
        if self.elections.len() < ELECTIONS_MAX {
            return true;
        }
        let free = self.elections.iter().filter(|(_, election)| election.held.is_none());
        let oldest = free.min_by_key(|(_, election)| election.version);
        let Some((name, version)) = oldest.map(|(name, it)| (Arc::clone(name), it.version)) else {
            return false;
        };
        self.elections.remove(&name);
        self.version_forgotten = self.version_forgotten.max(version);
        true
    }
}

// === impl Acquire, Held, Waiting ===

impl Acquire {
    fn cost(&self) -> usize {
        cost(&self.holder, self.metadata.as_deref(), self.request_id.as_deref())
    }
}

fn cost(holder: &str, metadata: Option<&str>, request_id: Option<&str>) -> usize {
    let length = |text: Option<&str>| text.map_or(0, str::len);
    CANDIDATE_BYTES + holder.len() + length(metadata) + length(request_id)
}

impl Held {
    fn cost(&self) -> usize {
        let lease = &self.lease;
        cost(&lease.holder, lease.metadata.as_deref(), self.request_id.as_deref())
    }

    /// Whether `acquire` is the candidacy, or the request sent again, that holds this lease.
    fn is_of(&self, acquire: &Acquire) -> bool {
        let same_request = self.request_id.is_some() && self.request_id == acquire.request_id;
        self.lease.holder == acquire.holder
            && (self.lease.session == acquire.session || same_request)
    }
}

impl Waiting {
    fn is_of(&self, acquire: &Acquire) -> bool {
        let own = &self.acquire;
        let same_request = own.request_id.is_some() && own.request_id == acquire.request_id;
        own.holder == acquire.holder && (own.session == acquire.session || same_request)
    }
}
