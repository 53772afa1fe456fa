//! The leases of this sidecar and their deadlines. Pure: time is an argument.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::Boottime;
use crate::backend::{Grant, Lease, Session};

#[cfg(test)]
mod tests;

/// The part of the time to live, in tenths, after which a holder stops believing in its lease. The
/// rest covers clocks that run at rates up to 5 % apart from the truth, in opposite directions.
pub const DEADLINE_TENTHS: u32 = 9;
/// Candidacies remembered that ended here, of each kind.
const ENDED_MAX: usize = 1024;

/// A lease held here, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The lease.
    pub lease: Lease,
    /// From here on nobody here says "leader".
    pub deadline: Boottime,
}

/// A lease comes to its end, or has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Name of the election.
    pub election: Arc<str>,
    /// What is or was held.
    pub standing: Standing,
    /// True at the end; false when only the margin before it is left.
    pub over: bool,
}

/// What a grant changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// Until when the lease holds; `None` if the grant came too late to be of use.
    pub standing: Option<Standing>,
    /// Whether the lease was not held here before.
    pub news: bool,
    /// Whether its end had been announced, and has not come.
    pub recovered: bool,
    /// Another lease of the same election that was believed in until now.
    pub displaced: Option<Loss>,
}

/// All leases of this sidecar.
#[derive(Debug, Default)]
pub struct Holdings {
    held: HashMap<Arc<str>, Entry>,
    /// Given up, so that a resignation can be repeated, and a renewal that was overtaken by one does
    /// not bring the lease back. Oldest first.
    resigned: VecDeque<(Session, u64)>,
    /// Past their deadline, while others may still take them for leases.
    over: VecDeque<(Session, u64)>,
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    /// Whether the coming end was announced.
    announced: bool,
}

/// When a lease that was confirmed by something sent after `since` ends for its holder.
#[must_use]
pub fn deadline(since: Boottime, ttl: Duration) -> Boottime {
    since + ttl * DEADLINE_TENTHS / 10
}

// === impl Standing ===

impl Standing {
    /// The time left.
    #[must_use]
    pub fn valid_for(&self, now: Boottime) -> Duration {
        self.deadline.since(now)
    }
}

// === impl Holdings ===

impl Holdings {
    /// Takes note of a grant.
    pub fn confirm(&mut self, now: Boottime, election: &Arc<str>, grant: Grant) -> Confirmed {
        let Grant { lease, since } = grant;
        let deadline = deadline(since, lease.ttl);
        if deadline <= now {
            return Confirmed::default();
        }
        if let Some(entry) = self.held.get_mut(election) {
            let held = &mut entry.standing;
            if held.lease.token == lease.token && held.lease.session == lease.session {
                // An answer that was overtaken by a later one takes nothing back.
                held.deadline = held.deadline.max(deadline);
                let recovered = std::mem::take(&mut entry.announced);
                let standing = Some(entry.standing.clone());
                return Confirmed { standing, recovered, ..Confirmed::default() };
            }
            if held.lease.token > lease.token {
                // Overtaken on its way by the grant of a later lease.
                return Confirmed::default();
            }
        }
        if self.has_resigned(lease.session, lease.token) {
            return Confirmed::default();
        }
        self.over.retain(|ended| *ended != (lease.session, lease.token));
        let displaced = self.end(election);
        let standing = Standing { lease, deadline };
        let entry = Entry { standing: standing.clone(), announced: false };
        self.held.insert(Arc::clone(election), entry);
        Confirmed { standing: Some(standing), news: true, recovered: false, displaced }
    }

    /// The lease of an election, before its deadline.
    #[must_use]
    pub fn standing(&self, now: Boottime, election: &str) -> Option<&Standing> {
        let standing = &self.held.get(election)?.standing;
        (now < standing.deadline).then_some(standing)
    }

    /// Stops believing in a lease that is given up; what it was, if it was held here.
    pub fn resign(&mut self, election: &str, session: Session, token: u64) -> Option<Standing> {
        if !self.has_resigned(session, token) {
            remember(&mut self.resigned, session, token);
        }
        let standing = &self.held.get(election)?.standing;
        let same = standing.lease.session == session && standing.lease.token == token;
        if !same {
            return None;
        }
        self.held.remove(election).map(|entry| entry.standing)
    }

    /// Whether a lease was given up here.
    #[must_use]
    pub fn has_resigned(&self, session: Session, token: u64) -> bool {
        self.resigned.contains(&(session, token))
    }

    /// Whether a lease was held here and is not any more, whatever others know of it.
    #[must_use]
    pub fn is_over(&self, session: Session, token: u64) -> bool {
        self.has_resigned(session, token) || self.over.contains(&(session, token))
    }

    /// The backend says that a candidacy is over.
    pub fn lost(&mut self, election: &str, session: Session, token: u64) -> Option<Loss> {
        let lease = &self.held.get(election)?.standing.lease;
        // A renewal with a wrong token says nothing of the lease with the right one.
        let same = lease.session == session && lease.token == token;
        if same { self.end(election) } else { None }
    }

    /// What ends now, and what will within the margin and was not announced yet.
    pub fn expire(&mut self, now: Boottime, margin: Duration) -> Vec<Loss> {
        let mut losses = Vec::new();
        self.held.retain(|election, entry| {
            let Standing { lease, deadline } = &entry.standing;
            let over = *deadline <= now;
            if over {
                remember(&mut self.over, lease.session, lease.token);
            }
            if over || (!entry.announced && deadline.since(now) <= margin) {
                entry.announced = true;
                let (election, standing) = (Arc::clone(election), entry.standing.clone());
                losses.push(Loss { election, standing, over });
            }
            !over
        });
        losses
    }

    /// When [`Holdings::expire`] has something to say next.
    #[must_use]
    pub fn next(&self, margin: Duration) -> Option<Boottime> {
        let due = |entry: &Entry| {
            let deadline = entry.standing.deadline;
            if entry.announced { deadline } else { deadline - margin }
        };
        self.held.values().map(due).min()
    }

    /// Everything held, whether past its deadline or not.
    pub fn all(&self) -> impl Iterator<Item = (&Arc<str>, &Standing)> {
        self.held.iter().map(|(election, entry)| (election, &entry.standing))
    }

    /// How many leases are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn end(&mut self, election: &str) -> Option<Loss> {
        let (election, entry) = self.held.remove_entry(election)?;
        Some(Loss { election, standing: entry.standing, over: true })
    }
}

fn remember(ended: &mut VecDeque<(Session, u64)>, session: Session, token: u64) {
    if ended.len() == ENDED_MAX {
        ended.pop_front();
    }
    ended.push_back((session, token));
}
