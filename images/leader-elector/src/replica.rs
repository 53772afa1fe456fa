//! One member of the group: a Raft node around a [`Table`]. Pure: time comes in as an argument,
//! frames and writes go out as values, and chance is a seed.
//!
//! The driver (or the simulation) calls, in a turn: [`Replica::frame`] and [`Replica::request`] for
//! what came in, [`Replica::tick`] once, and then, while [`Replica::ready`] gives a [`Ready`]: sends
//! its frames, saves its write, and calls [`Replica::saved`], whose [`Applied`] has more frames, the
//! changes and the outcomes of requests made here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::Boottime;
use crate::bootstrap::Group;
use crate::election::{Change, Command, Outcome, Planted, Table};
use crate::store::{Saved, Write};
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

/// How a replica is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: Arc<str>,
    /// Whether it has no application.
    pub witness: bool,
    /// Length of a tick.
    pub tick: Duration,
    /// Ticks of silence before it stands for election.
    pub election_ticks: u16,
    /// Ticks between heartbeats.
    pub heartbeat_ticks: u16,
    /// Most voters.
    pub max_voters: u16,
    /// Members that stay however long they are silent.
    pub min_voters: u16,
    /// Silence after which others are removed; zero: never.
    pub dead_after: Duration,
    /// Source of all chance: election timeouts, request numbers.
    pub seed: u64,
    /// Wall clock seconds, used once, for the token base of a new group.
    pub wall_seconds: u64,
    /// No token is below.
    pub token_floor: u64,
    /// Entries applied between two snapshots.
    pub snapshot_every: u64,
    /// Bugs for the simulation to find.
    pub planted: PlantedBugs,
}

/// Bugs for the simulation to find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlantedBugs {
    /// Those of the table.
    pub table: Planted,
    /// Answer linearizable reads from local state, trusting Raft leadership.
    pub lease_read: bool,
}

/// What must happen before the replica can go on.
#[derive(Debug, Default)]
pub struct Ready {
    /// Frames that may be sent at once: (id of the receiver, frame).
    pub frames: Vec<(u64, Frame)>,
    /// To be saved, durably if it says so, before [`Replica::saved`].
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
        /// What [`Replica::request`] returned.
        request: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// The table is now at least as new as the question.
    Read {
        /// What [`Replica::read`] returned.
        request: u64,
    },
    /// Nothing was done, and nothing will be: nobody led, or the leader refused.
    Dropped {
        /// What [`Replica::request`] or [`Replica::read`] returned.
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
}

/// A Raft node around a table.
pub struct Replica {
    table: Table,
}

// === impl Replica ===

impl Replica {
    /// A member of `group`, from what its store gave back.
    ///
    /// With an empty store, a founder starts with all founders as voters and log index 1 as
    /// applied; anybody else starts empty and waits to be let in. What must be saved for that is in
    /// the first [`Ready`].
    ///
    /// # Errors
    /// What was saved contradicts itself, or is of another version.
    pub fn new(
        options: Options,
        group: &Group,
        saved: Saved,
        now: Boottime,
    ) -> anyhow::Result<Self> {
        let _ = (options, group, saved, now);
        unimplemented!()
    }

    /// The table as applied here.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        unimplemented!()
    }

    /// Takes a frame that a member sent.
    pub fn frame(&mut self, now: Boottime, from: u64, frame: Frame) {
        let _ = (now, from, frame);
        unimplemented!()
    }

    /// Wants a command done; returns the request's number. The outcome comes in an [`Applied`], or
    /// never: give up after a while, and do not take that for a no. A command sent again is a new
    /// request; commands are made to bear it.
    pub fn request(&mut self, now: Boottime, command: Command) -> u64 {
        let _ = (now, command);
        unimplemented!()
    }

    /// Wants to know when the table is as new as now; returns the request's number.
    pub fn read(&mut self, now: Boottime) -> u64 {
        let _ = now;
        unimplemented!()
    }

    /// Lets time pass: heartbeats, elections, expiry, membership. Call it at least every tick.
    pub fn tick(&mut self, now: Boottime) {
        let _ = now;
        unimplemented!()
    }

    /// A frame to this member could not be sent.
    pub fn unreachable(&mut self, id: u64) {
        let _ = id;
        unimplemented!()
    }

    /// What must be sent and saved next, if anything.
    pub fn ready(&mut self, now: Boottime) -> Option<Ready> {
        let _ = now;
        unimplemented!()
    }

    /// The write of the last [`Ready`] is done.
    ///
    /// # Panics
    /// Without a [`Ready`] before.
    pub fn saved(&mut self, now: Boottime) -> Applied {
        let _ = now;
        unimplemented!()
    }

    /// Removes a member for good, if this one leads and the rest keeps a majority.
    pub fn remove(&mut self, name: &str) -> bool {
        let _ = name;
        unimplemented!()
    }

    /// Hands the group's leadership to the best other voter, before leaving for a restart.
    pub fn yield_leadership(&mut self) {
        unimplemented!()
    }
}
