//! The leases of this sidecar and their deadlines. Pure: time is an argument.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::Boottime;
use crate::backend::{Grant, Lease, Session, View};

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

/// What a view of an election says of the lease held here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nothing against it; an older view says nothing at all.
    Holds,
    /// The view may be from before the grant, or from after the end.
    Unsure,
    /// It is over.
    Over(Loss),
    /// It is not held here any more.
    Gone,
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
    /// The backend has said that they are over, and when that was heard.
    ended: VecDeque<((Session, u64), Boottime)>,
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    /// Version of the latest view that has shown the lease.
    shown: Option<u64>,
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
        let candidacy = (lease.session, lease.token);
        if self.ended.iter().any(|(ended, heard)| *ended == candidacy && since <= *heard) {
            // An answer that was overtaken by the news of the end.
            return Confirmed::default();
        }
        self.over.retain(|over| *over != candidacy);
        self.ended.retain(|(ended, _)| *ended != candidacy);
        let displaced = self.end(election);
        let standing = Standing { lease, deadline };
        let entry = Entry { standing: standing.clone(), shown: None, announced: false };
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
            remember(&mut self.resigned, (session, token));
        }
        if !self.holds(election, session, token) {
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
        self.has_resigned(session, token)
            || self.over.contains(&(session, token))
            || self.ended.iter().any(|(ended, _)| *ended == (session, token))
    }

    /// The backend says that a candidacy is over.
    pub fn lost(
        &mut self,
        now: Boottime,
        election: &str,
        session: Session,
        token: u64,
    ) -> Option<Loss> {
        // A renewal with a wrong token says nothing of the lease with the right one.
        if !self.holds(election, session, token) {
            return None;
        }
        remember(&mut self.ended, ((session, token), now));
        self.end(election)
    }

    /// A view of the election: a lease that was resigned or taken over elsewhere ends here at once.
    ///
    /// The view may be older than the grant, as what is known here can lag behind. So the lease is
    /// over only if somebody has a larger token, or if the view is newer than one that showed it.
    pub fn seen(
        &mut self,
        now: Boottime,
        election: &str,
        (session, token): (Session, u64),
        view: &View,
    ) -> Sight {
        if !self.holds(election, session, token) {
            return Sight::Gone;
        }
        let Some(entry) = self.held.get_mut(election) else { return Sight::Gone };
        let version = view.version;
        let over = match &view.lease {
            Some(lease) if lease.session == session && lease.token == token => {
                entry.shown = Some(entry.shown.map_or(version, |shown| shown.max(version)));
                return Sight::Holds;
            }
            Some(lease) if lease.token > token => true,
            _ => entry.shown.is_some_and(|shown| version > shown),
        };
        if over {
            return self.lost(now, election, session, token).map_or(Sight::Gone, Sight::Over);
        }
        // Changes that were made together share their version.
        let older = entry.shown.is_some_and(|shown| version < shown);
        if older { Sight::Holds } else { Sight::Unsure }
    }

    /// Whether this very lease is held, whether past its deadline or not.
    #[must_use]
    pub fn holds(&self, election: &str, session: Session, token: u64) -> bool {
        let lease = self.held.get(election).map(|entry| &entry.standing.lease);
        lease.is_some_and(|lease| lease.session == session && lease.token == token)
    }

    /// The token of what a session holds, whether past its deadline or not.
    #[must_use]
    pub fn token(&self, election: &str, session: Session) -> Option<u64> {
        let lease = &self.held.get(election)?.standing.lease;
        (lease.session == session).then_some(lease.token)
    }

    /// What ends now, and what will within the margin and was not announced yet.
    pub fn expire(&mut self, now: Boottime, margin: Duration) -> Vec<Loss> {
        let mut losses = Vec::new();
        self.held.retain(|election, entry| {
            let Standing { lease, deadline } = &entry.standing;
            let over = *deadline <= now;
            if over {
                remember(&mut self.over, (lease.session, lease.token));
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

fn remember<T>(candidacies: &mut VecDeque<T>, candidacy: T) {
    if candidacies.len() == ENDED_MAX {
        candidacies.pop_front();
    }
    candidacies.push_back(candidacy);
}
