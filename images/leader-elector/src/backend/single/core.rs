//! The table and when it last saw a sign of life of whom. Pure: time is an argument.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::watch;

use crate::Boottime;
use crate::backend::{Lease, Session, View};
use crate::election::{Change, Command, Election, Outcome, Table};

#[cfg(test)]
mod tests;

/// Watched elections before those that nobody watches any more are forgotten.
const WATCHED_MAX: usize = 1024;

/// The state of the backend.
pub(super) struct Core {
    table: Table,
    /// The log that is not kept: only its length.
    index: u64,
    signs: BTreeMap<(Arc<str>, Session), Sign>,
    /// Futures that wait for a session, which are several after a request was sent again.
    waiting: HashMap<Session, usize>,
    watched: BTreeMap<Arc<str>, watch::Sender<View>>,
}

/// The last sign of life of a holder or of somebody in the queue.
#[derive(Clone, Copy, Debug)]
struct Sign {
    /// 0 in the queue.
    token: u64,
    sequence: u64,
    /// When, without it, the lease or the wait is over.
    until: Boottime,
}

// === impl Core ===

impl Core {
    pub(super) fn new(token_base: u64) -> Self {
        let mut table = Table::default();
        table.apply(0, Command::Init { token_base }, &mut Vec::new());
        Self {
            table,
            index: 0,
            signs: BTreeMap::new(),
            waiting: HashMap::new(),
            watched: BTreeMap::new(),
        }
    }

    /// Carries a command out, after whatever ends before it.
    pub(super) fn apply(&mut self, now: Boottime, command: Command) -> Outcome {
        self.expire(now);
        self.carry_out(now, command)
    }

    /// Ends what has shown no sign of life for its whole time to live.
    pub(super) fn expire(&mut self, now: Boottime) {
        // In the order of their times: who ends later may be granted what ends now.
        let next = |signs: &BTreeMap<(Arc<str>, Session), Sign>| {
            let (key, sign) = signs.iter().min_by_key(|(_, sign)| sign.until)?;
            (sign.until <= now).then(|| (key.clone(), *sign))
        };
        while let Some(((election, session), sign)) = next(&self.signs) {
            let expire =
                Command::Expire { election, session, token: sign.token, sequence: sign.sequence };
            self.carry_out(now, expire);
        }
    }

    /// When [`Core::expire`] has something to do.
    pub(super) fn next_expiry(&self) -> Option<Boottime> {
        self.signs.values().map(|sign| sign.until).min()
    }

    /// When a lease ends without a further sign of life.
    pub(super) fn ends(&self, lease: &Lease) -> Option<Boottime> {
        let mut signs = self.signs.iter().filter(|((_, session), _)| *session == lease.session);
        signs.find(|(_, sign)| sign.token == lease.token).map(|(_, sign)| sign.until)
    }

    pub(super) fn lease(&self, election: &str) -> Option<Lease> {
        self.table.lease(election)
    }

    pub(super) fn token_highest(&self, election: &str) -> u64 {
        self.table.lease(election).map_or(self.table.token_last(), |lease| lease.token)
    }

    pub(super) fn applied(&self) -> u64 {
        self.index
    }

    pub(super) fn view(&self, election: &str, now: Boottime) -> View {
        let version = self.table.version(election);
        View { lease: self.table.lease(election), version, observed: now }
    }

    pub(super) fn views(&self, now: Boottime) -> Vec<(Arc<str>, View)> {
        let names = self.table.elections().map(|(name, _)| name);
        names.map(|name| (Arc::clone(name), self.view(name, now))).collect()
    }

    pub(super) fn subscribe(
        &mut self,
        election: &Arc<str>,
        now: Boottime,
    ) -> watch::Receiver<View> {
        if self.watched.len() >= WATCHED_MAX {
            self.watched.retain(|_, sender| sender.receiver_count() > 0);
        }
        let view = self.view(election, now);
        let sender = self.watched.entry(Arc::clone(election));
        sender.or_insert_with(|| watch::Sender::new(view)).subscribe()
    }

    /// Another future waits for a session.
    pub(super) fn enter(&mut self, session: Session) {
        *self.waiting.entry(session).or_default() += 1;
    }

    /// A future waits no more; true if it was the last one.
    pub(super) fn leave(&mut self, session: Session) -> bool {
        let Some(count) = self.waiting.get_mut(&session) else { return true };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.waiting.remove(&session);
        }
        last
    }

    fn carry_out(&mut self, now: Boottime, command: Command) -> Outcome {
        self.index += 1;
        let Some(election) = named(&command) else { return Outcome::Done };
        let mut changes = Vec::new();
        let outcome = self.table.apply(self.index, command, &mut changes);
        self.look_at(now, &election);
        for Change { election, version, lease, .. } in changes {
            if let Some(sender) = self.watched.get(&election) {
                sender.send_replace(View { lease, version, observed: now });
            }
        }
        outcome
    }

    /// Notes the signs of life of an election that a command has touched.
    fn look_at(&mut self, now: Boottime, name: &Arc<str>) {
        let from = (Arc::clone(name), Session(0));
        let to = (Arc::clone(name), Session(u64::MAX));
        let known: Vec<_> = self.signs.range(from..=to).map(|(key, _)| key.clone()).collect();
        let mut before: HashMap<Session, Sign> = HashMap::new();
        for key in known {
            if let Some(sign) = self.signs.remove(&key) {
                before.insert(key.1, sign);
            }
        }
        let Some(election) = self.table.election(name) else { return };
        for (session, token, sequence, ttl) in alive(election) {
            let same = |sign: &&Sign| sign.token == token && sign.sequence == sequence;
            let sign = before.get(&session).filter(same).copied();
            let sign = sign.unwrap_or(Sign { token, sequence, until: now + ttl });
            self.signs.insert((Arc::clone(name), session), sign);
        }
    }
}

/// Everybody in an election: session, token, sequence and time to live.
fn alive(
    election: &Election,
) -> impl Iterator<Item = (Session, u64, u64, std::time::Duration)> + '_ {
    let held = election.held.iter().map(|held| {
        let lease = &held.lease;
        (lease.session, lease.token, held.sequence, lease.ttl)
    });
    let queue = election
        .queue
        .iter()
        .map(|waiting| (waiting.acquire.session, 0, waiting.sequence, waiting.acquire.ttl));
    held.chain(queue)
}

/// The election that a command is about.
fn named(command: &Command) -> Option<Arc<str>> {
    match command {
        Command::Init { .. } => None,
        Command::Acquire(acquire) => Some(Arc::clone(&acquire.election)),
        Command::Renew { election, .. }
        | Command::Resign { election, .. }
        | Command::Expire { election, .. } => Some(Arc::clone(election)),
    }
}
