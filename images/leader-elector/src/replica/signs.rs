//! When this member itself saw the last sign of life of each session, and what it would expire.
//!
//! Not replicated: every member counts on its own clock, from its own apply. That is after the
//! holder sent the sign, so a full time to live from here is later than the holder's own deadline;
//! and since all members count, a new leader of the group need not start over.

use std::collections::HashMap;
use std::time::Duration;

use crate::Boottime;
use crate::election::{Command, Session, Table};

/// Signs of life.
#[derive(Default)]
pub(super) struct Signs {
    seen: HashMap<Session, Boottime>,
    /// What was proposed and is not yet applied.
    expiring: HashMap<Session, (u64, Boottime)>,
}

// === impl Signs ===

impl Signs {
    /// A sign of life was applied.
    pub(super) fn saw(&mut self, session: Session, now: Boottime) {
        self.seen.insert(session, now);
    }

    /// Everything starts over: a restart, or a snapshot that does not tell what is new in it.
    pub(super) fn reset(&mut self) {
        self.seen.clear();
        self.expiring.clear();
    }

    /// Looks at every session; with `propose`, returns what should expire. A session not seen
    /// before counts from now.
    pub(super) fn look(
        &mut self,
        table: &Table,
        now: Boottime,
        propose: bool,
        again: Duration,
    ) -> Vec<Command> {
        let mut due = Vec::new();
        let mut live = 0;
        for (name, election) in table.elections() {
            let held = election.held.iter().map(|held| {
                let lease = &held.lease;
                (lease.session, lease.token, held.sequence, lease.ttl)
            });
            let queue = election.queue.iter().map(|waiting| {
                let acquire = &waiting.acquire;
                (acquire.session, 0, waiting.sequence, acquire.ttl)
            });
            for (session, token, sequence, ttl) in held.chain(queue) {
                live += 1;
                let seen = *self.seen.entry(session).or_insert(now);
                if propose
                    && now.since(seen) >= ttl
                    && self.may_expire(session, sequence, now, again)
                {
                    let election = std::sync::Arc::clone(name);
                    due.push(Command::Expire { election, session, token, sequence });
                }
            }
        }
        self.prune(table, live);
        due
    }

    fn may_expire(
        &mut self,
        session: Session,
        sequence: u64,
        now: Boottime,
        again: Duration,
    ) -> bool {
        if let Some(&(proposed, at)) = self.expiring.get(&session)
            && proposed == sequence
            && now.since(at) < again
        {
            return false;
        }
        self.expiring.insert(session, (sequence, now));
        true
    }

    /// Forgets sessions that are over, once they are the majority.
    fn prune(&mut self, table: &Table, live: usize) {
        if self.seen.len() <= 2 * live + 64 && self.expiring.len() <= 2 * live + 64 {
            return;
        }
        let sessions: std::collections::HashSet<Session> = table
            .elections()
            .flat_map(|(_, election)| {
                let held = election.held.iter().map(|held| held.lease.session);
                held.chain(election.queue.iter().map(|waiting| waiting.acquire.session))
            })
            .collect();
        self.seen.retain(|session, _| sessions.contains(session));
        self.expiring.retain(|session, _| sessions.contains(session));
    }
}
