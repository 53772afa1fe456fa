//! What goes into a replica and what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::election::{Change, Command, Outcome};
use crate::store::Write;
use crate::wire::Frame;

/// A command on its way into the log, and who wants to know what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Id of the member that asked.
    pub origin: u64,
    /// Number of the request at that member, never used again by it, also not after a restart.
    pub request: u64,
    /// What is to be done.
    pub command: Command,
}

/// What must happen before the replica can go on.
#[derive(Debug, Default)]
pub struct Ready {
    /// Frames that may be sent at once: (id of the receiver, frame).
    pub frames: Vec<(u64, Frame)>,
    /// What was applied already; it depends on nothing that is still to be saved.
    pub applied: Applied,
    /// To be saved, durably if it says so, before [`Replica::saved`](super::Replica::saved).
    pub write: Write,
}

/// What a step brought.
#[derive(Debug, Default)]
pub struct Applied {
    /// Frames that had to wait for the write.
    pub frames: Vec<(u64, Frame)>,
    /// Leases that changed.
    pub changes: Vec<Change>,
    /// Requests made here that are done.
    pub outcomes: Vec<Completed>,
}

/// A request made here that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// The command was applied.
    Command {
        /// What [`Replica::request`](super::Replica::request) returned.
        request: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// The table is now at least as new as the question.
    Read {
        /// What [`Replica::read`](super::Replica::read) returned.
        request: u64,
    },
    /// Nothing was done, and nothing will be: nobody led, or the leader refused.
    Dropped {
        /// What [`Replica::request`](super::Replica::request) or
        /// [`Replica::read`](super::Replica::read) returned.
        request: u64,
    },
}

/// A member of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it has no application.
    pub witness: bool,
}

/// Where the replica stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Who leads the group, 0 if unknown.
    pub leader: u64,
    /// Whether this one does, and has heard from a majority lately.
    pub leads: bool,
    /// The term.
    pub term: u64,
    /// Last index applied.
    pub applied: u64,
    /// Last index known to be committed.
    pub committed: u64,
    /// Entries in memory and on disk.
    pub log_entries: u64,
    /// Ids with a vote.
    pub voters: Vec<u64>,
    /// Ids without.
    pub learners: Vec<u64>,
    /// All members.
    pub members: BTreeMap<u64, Member>,
    /// Ids heard of lately, as far as the leader knows; on others, the leader's id.
    pub active: Vec<u64>,
}

// === impl Applied ===

impl Applied {
    /// Whether there is nothing to tell anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.changes.is_empty() && self.outcomes.is_empty()
    }
}
