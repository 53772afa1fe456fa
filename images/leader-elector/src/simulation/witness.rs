//! What must hold at all times, whoever looks: one lease for a version, tokens that grow with the
//! log, equal tables at equal indexes.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::history::{Granted, Holder};
use crate::election::{Lease, Session, Table};

/// What all replicas together have shown so far.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// The lease of an election at a version, as it was when the entry was applied whole.
    leases: BTreeMap<(usize, u64), Option<Holder>>,
    /// The lowest and the highest token given at a log index.
    tokens: BTreeMap<u64, (u64, u64)>,
    /// Whose a token is.
    owners: BTreeMap<u64, Session>,
    /// Hash of the table at a log index.
    tables: HashMap<u64, u64>,
}

// === impl Witness ===

impl Witness {
    /// A lease was granted; returns what the history should know if that is new.
    pub(super) fn grant(
        &mut self,
        now: u64,
        election: usize,
        version: u64,
        lease: &Lease,
    ) -> Result<Option<Granted>, String> {
        let (session, token) = (lease.session, lease.token);
        match self.owners.insert(token, session) {
            Some(owner) if owner == session => return Ok(None),
            Some(owner) => return Err(format!("token {token} of {owner:?} and {session:?}")),
            None => {}
        }
        let range = self.tokens.entry(version).or_insert((token, token));
        *range = (range.0.min(token), range.1.max(token));
        let below = self.tokens.range(..version).next_back();
        let above = self.tokens.range(version + 1..).next();
        if below.is_some_and(|(_, range)| range.1 >= token)
            || above.is_some_and(|(_, range)| range.0 <= token)
        {
            return Err(format!("token {token} at {version} is out of order: {:?}", self.tokens));
        }
        let ttl = nanos(lease.ttl);
        Ok(Some(Granted { election, token, ttl, seen: now }))
    }

    /// An election stands like this after an entry.
    pub(super) fn stands(
        &mut self,
        election: usize,
        version: u64,
        held: Option<Holder>,
    ) -> Result<(), String> {
        let known = *self.leases.entry((election, version)).or_insert(held);
        if known == held {
            return Ok(());
        }
        Err(format!("election {election} at {version} is {held:?} here, {known:?} elsewhere"))
    }

    /// A replica has applied the log up to an index.
    pub(super) fn table(&mut self, applied: u64, table: &Table) -> Result<(), String> {
        let mut hasher = DefaultHasher::new();
        table.to_bytes().hash(&mut hasher);
        let hash = hasher.finish();
        if *self.tables.entry(applied).or_insert(hash) == hash {
            return Ok(());
        }
        Err(format!("two tables at index {applied}; one is {table:#?}"))
    }

    /// The lowest and the highest token that anybody was given.
    pub(super) fn tokens(&self) -> (u64, u64) {
        let first = self.owners.keys().next().copied();
        let last = self.owners.keys().next_back().copied();
        (first.unwrap_or(0), last.unwrap_or(0))
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
