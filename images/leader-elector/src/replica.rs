//! One member of the group: a Raft node around a [`Table`]. Pure: time comes in as an argument,
//! frames and writes go out as values, and chance is a seed.
//!
//! The driver (or the simulation) calls, in a turn: [`Replica::frame`] and [`Replica::request`] for
//! what came in, [`Replica::tick`] once, and then, while [`Replica::ready`] gives a [`Ready`]: sends
//! its frames, saves its write, and calls [`Replica::saved`], whose [`Applied`] has more frames, the
//! changes and the outcomes of requests made here.

mod applying;
mod chance;
mod founding;
mod log;
mod logger;
mod members;
mod messages;
mod options;
mod reads;
mod requests;
mod signs;
mod state;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::BTreeMap;
use std::time::Duration;

use raft::eraftpb::{ConfState, MessageType, Snapshot};
use raft::{RawNode, SnapshotStatus, StateRole};

use crate::Boottime;
use crate::bootstrap::Group;
use crate::election::{Command, Table};
use crate::store::{Saved, Write};
use crate::wire::Frame;
use chance::Chance;
use founding::found;
use log::Log;
pub use logger::logger;
use members::Keeper;
pub use messages::{Applied, Completed, Member, Proposal, Ready, Status};
use options::raft_config;
pub use options::{Options, PlantedBugs};
use reads::Reads;
use requests::Requests;
use signs::Signs;
use state::State;

/// Commands from other members waiting for the next entry; past it they are dropped, and their
/// origins send them again.
const INCOMING_MAX: usize = 50_000;
/// Members asking to be let in at once.
const JOINS_MAX: usize = 100;
/// A request without an outcome is given up after this; who asked has done so long before.
const REQUEST_AGE_MAX: Duration = Duration::from_secs(10);
/// Raft ticks made up for at once when the turns were late.
const TICKS_AT_ONCE: u32 = 3;

/// A Raft node around a table.
pub struct Replica {
    options: Options,
    node: RawNode<Log>,
    state: State,
    conf_state: ConfState,
    requests: Requests,
    reads: Reads,
    signs: Signs,
    chance: Chance,
    /// Ticks of silence until the next candidacy; drawn anew when term or role change.
    timeout: usize,
    role: (u64, StateRole, u64),
    ticked: Boottime,
    /// When the leader last sent what it sends to members.
    contact: Boottime,
    /// A read that must be confirmed before anything expires, after this member stood still.
    barrier: Option<u64>,
    /// Commands for the next entry, if this member leads.
    incoming: Vec<Proposal>,
    keeper: Keeper,
    snapshots_sent: BTreeMap<u64, Boottime>,
    /// What the next [`Applied`] starts with.
    applied: Applied,
    applied_index: u64,
    /// Entries and bytes applied since the last snapshot.
    since_snapshot: (u64, usize),
    snapshot_due: bool,
    pending: Pending,
}

/// What [`Replica::saved`] has to finish.
enum Pending {
    Nothing,
    /// The start of a founder.
    Founding(Write),
    Founded,
    Ready(Box<raft::Ready>),
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
        Self::logged(options, group, saved, now, &slog::Logger::root(slog::Discard, slog::o!()))
    }

    /// As [`Replica::new`], with a place for what the Raft library has to say.
    ///
    /// # Errors
    /// As [`Replica::new`].
    pub fn logged(
        options: Options,
        group: &Group,
        mut saved: Saved,
        now: Boottime,
        logger: &slog::Logger,
    ) -> anyhow::Result<Self> {
        let mut pending = Pending::Nothing;
        let empty = saved == Saved::default();
        if empty && group.founders.iter().any(|founder| founder.id == options.id) {
            let write = found(group);
            saved.snapshot = write.snapshot.clone().unwrap_or_default();
            saved.hard_state = write.hard_state.clone().unwrap_or_default();
            pending = Pending::Founding(write);
        }
        let state = if saved.snapshot == Snapshot::default() {
            State::default()
        } else {
            State::from_bytes(saved.snapshot.get_data())?
        };
        let metadata = saved.snapshot.get_metadata();
        let conf_state = metadata.get_conf_state().clone();
        let applied_index = metadata.index;
        let config = raft_config(&options, applied_index);
        config.validate()?;
        let node = RawNode::new(&config, Log::new(saved), logger)?;
        let mut chance = Chance(options.seed);
        let first = chance.next() >> 8;
        let again = options.tick * u32::from(options.election_ticks);
        let mut replica = Self {
            requests: Requests::new(options.id, first, again),
            state: state.planting(options.planted.table),
            conf_state,
            node,
            reads: Reads::new(chance.next()),
            signs: Signs::default(),
            chance,
            timeout: 0,
            role: (0, StateRole::Follower, 0),
            ticked: now,
            contact: now,
            barrier: None,
            incoming: Vec::new(),
            keeper: Keeper::default(),
            snapshots_sent: BTreeMap::new(),
            applied: Applied::default(),
            applied_index,
            since_snapshot: (0, 0),
            snapshot_due: false,
            pending,
            options,
        };
        replica.signs.look(&replica.state.table, now, false, again);
        replica.draw_timeout();
        Ok(replica)
    }

    /// The table as applied here.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.state.table
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let raft = &self.node.raft;
        let conf = &self.conf_state;
        let mut voters = conf.voters.clone();
        voters.extend(conf.voters_outgoing.iter().filter(|id| !conf.voters.contains(id)));
        Status {
            leader: raft.leader_id,
            leads: raft.state == StateRole::Leader,
            term: raft.term,
            applied: self.applied_index,
            committed: raft.raft_log.committed,
            log_entries: self.node.store().len(),
            voters,
            learners: conf.learners.clone(),
            members: self.state.members.clone(),
            active: self.active(),
        }
    }

    /// Whether this member has to ask to be let in: it is none yet, or it hears of no leader. Who was
    /// removed while it was cut off still takes itself for a member, and is never told otherwise.
    #[must_use]
    pub fn wants_in(&self, now: Boottime) -> bool {
        let silence = now.since(self.contact);
        let cut_off = !self.leads() && silence >= self.election_timeout() * 3;
        cut_off || !self.state.members.contains_key(&self.options.id)
    }

    /// Who leads the group, 0 if unknown.
    #[must_use]
    pub fn leader(&self) -> u64 {
        self.node.raft.leader_id
    }

    /// Takes a frame that a member sent.
    pub fn frame(&mut self, now: Boottime, from: u64, frame: Frame) {
        self.keeper.heard(now, from);
        if from == self.node.raft.leader_id && is_for_members(&frame) {
            self.contact = now;
        }
        match frame {
            Frame::Raft(message) => self.step(from, message),
            Frame::Propose(proposals) => {
                if self.leads() && self.incoming.len() + proposals.len() <= INCOMING_MAX {
                    // The rest is the leader's own business.
                    let asked = |it: &Proposal| {
                        use Command::{Acquire, Renew, Resign};
                        matches!(it.command, Acquire(_) | Renew { .. } | Resign { .. })
                    };
                    self.incoming.extend(proposals.into_iter().filter(asked));
                }
            }
            Frame::Join(join) if self.leads() => {
                if join.id != 0 {
                    self.keeper.join(now, join);
                }
            }
            Frame::Remove(name) if self.leads() => {
                self.remove(&name);
            }
            // From its author passed on, to who leads as far as is known here; else it could circle.
            Frame::Join(join) => {
                let leader = self.node.raft.leader_id;
                if leader != 0 && from == join.id {
                    self.applied.frames.push((leader, Frame::Join(join)));
                }
            }
            Frame::Remove(_) => {}
        }
    }

    fn step(&mut self, from: u64, message: raft::eraftpb::Message) {
        let kind = message.get_msg_type();
        let allowed = message.from == from
            && message.to == self.options.id
            && !raft::raw_node::is_local_msg(kind);
        // What the library would panic at.
        let sound = match kind {
            MessageType::MsgPropose => false,
            MessageType::MsgSnapshot => {
                State::from_bytes(message.get_snapshot().get_data()).is_ok()
            }
            MessageType::MsgReadIndex => message.get_entries().len() == 1,
            MessageType::MsgHeartbeat => message.commit <= self.node.raft.raft_log.last_index(),
            _ => true,
        };
        if allowed && sound {
            // A message that makes no sense any more is no error.
            let _ = self.node.step(message);
            self.look_at_role();
        }
    }

    /// Wants a command done; returns the request's number. The outcome comes in an [`Applied`], or
    /// never: give up after a while ([`Replica::forget`]), and do not take that for a no. A command
    /// sent again is a new request; commands are made to bear it.
    pub fn request(&mut self, now: Boottime, command: Command) -> u64 {
        self.requests.add(now, command).unwrap_or_else(|request| {
            self.applied.outcomes.push(Completed::Dropped { request });
            request
        })
    }

    /// Wants to know when the table is as new as now; returns the request's number.
    pub fn read(&mut self, now: Boottime) -> u64 {
        if self.options.planted.lease_read && self.leads() {
            let request = self.requests.number();
            self.applied.outcomes.push(Completed::Read { request });
            return request;
        }
        self.confirm(now)
    }

    fn confirm(&mut self, now: Boottime) -> u64 {
        let request = self.requests.number();
        self.reads.add(now, request);
        request
    }

    /// Nobody waits for this request any more.
    pub fn forget(&mut self, request: u64) {
        self.requests.forget(request);
        self.reads.forget(request);
    }

    /// Lets time pass: heartbeats, elections, expiry, membership. Call it at least every tick.
    pub fn tick(&mut self, now: Boottime) {
        let (tick, passed) = (self.options.tick, now.since(self.ticked));
        if passed < tick {
            return;
        }
        let election = self.election_timeout();
        let due = u32::try_from(passed.as_nanos() / tick.as_nanos()).unwrap_or(u32::MAX);
        if passed >= election {
            // This member stood still: what it takes for silence may be its own. The group must
            // answer once before anything here is taken for dead.
            if let Some(older) = self.barrier.take() {
                self.reads.forget(older);
            }
            self.barrier = Some(self.confirm(now));
            self.keeper.stood_still();
            self.node.tick();
            self.ticked = now;
        } else {
            for _ in 0..due.min(TICKS_AT_ONCE) {
                self.node.tick();
            }
            self.ticked += tick * due;
        }
        self.look_at_role();
        self.give_up(now);
        self.expire(now);
        self.change_members(now);
        self.retry_snapshots(now);
    }

    fn give_up(&mut self, now: Boottime) {
        let held_max = self.election_timeout() * 3;
        let mut dropped = self.requests.tick(now, held_max);
        dropped.extend(self.reads.give_up(now, held_max * 2));
        for request in dropped {
            if self.barrier == Some(request) {
                self.barrier = Some(self.confirm(now));
            } else {
                self.applied.outcomes.push(Completed::Dropped { request });
            }
        }
    }

    fn expire(&mut self, now: Boottime) {
        let may = self.leads() && self.node.raft.apply_to_current_term() && self.barrier.is_none();
        let again = self.election_timeout();
        let due = self.signs.look(&self.state.table, now, may, again);
        let proposal = |command| Proposal { origin: 0, request: 0, command };
        self.incoming.extend(due.into_iter().map(proposal));
    }

    /// A snapshot that got lost would stop its receiver for good.
    fn retry_snapshots(&mut self, now: Boottime) {
        let again = self.election_timeout() * 4;
        let due: Vec<u64> = self
            .snapshots_sent
            .iter()
            .filter(|(_, sent)| now.since(**sent) >= again)
            .map(|(&id, _)| id)
            .collect();
        for id in due {
            self.snapshots_sent.remove(&id);
            self.node.report_snapshot(id, SnapshotStatus::Failure);
        }
    }

    /// A frame to this member could not be sent.
    pub fn unreachable(&mut self, id: u64) {
        self.node.report_unreachable(id);
    }

    /// Removes a member for good, if this one leads and the rest keeps a majority. Whether it will
    /// be tried; it takes a while. Else who leads has to be asked.
    pub fn remove(&mut self, name: &str) -> bool {
        let known = self.state.members.values().any(|member| &*member.name == name);
        let tries = self.leads() && known;
        if tries {
            self.keeper.remove(name);
        }
        tries
    }

    /// Hands the group's leadership to the best other voter, before leaving for a restart.
    pub fn yield_leadership(&mut self) {
        if !self.leads() {
            return;
        }
        let own = self.options.id;
        let progress = self.node.raft.prs().iter();
        let voters = progress.filter(|(id, it)| {
            **id != own && it.recent_active && self.conf_state.voters.contains(id)
        });
        let best = voters.max_by_key(|(id, it)| (it.matched, **id)).map(|(&id, _)| id);
        if let Some(best) = best {
            self.node.transfer_leader(best);
        }
    }

    fn leads(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    fn election_timeout(&self) -> Duration {
        self.options.tick * u32::from(self.options.election_ticks)
    }

    fn active(&self) -> Vec<u64> {
        let raft = &self.node.raft;
        if !self.leads() {
            return (raft.leader_id != 0).then_some(raft.leader_id).into_iter().collect();
        }
        let active = |&(id, it): &(&u64, &raft::Progress)| *id == raft.id || it.recent_active;
        raft.prs().iter().filter(active).map(|(&id, _)| id).collect()
    }

    /// What to do when term, role or leader are other than before.
    fn look_at_role(&mut self) {
        let raft = &self.node.raft;
        let role = (raft.term, raft.state, raft.leader_id);
        if role != self.role {
            if role.2 != self.role.2 || role.0 != self.role.0 {
                self.requests.leader_changed();
            }
            if !self.leads() {
                self.incoming.clear();
                self.snapshots_sent.clear();
                // What the operator wants does not end with a term.
                let removals = self.keeper.clear(role.2 != 0);
                let pass = |name| (role.2, Frame::Remove(name));
                self.applied.frames.extend(removals.into_iter().map(pass));
            }
            self.role = role;
            self.draw_timeout();
        }
        // The library draws from a source of its own, so that runs could not be replayed.
        self.node.raft.set_randomized_election_timeout(self.timeout);
    }

    fn draw_timeout(&mut self) {
        let ticks = u64::from(self.options.election_ticks);
        let drawn = ticks + self.chance.next() % ticks;
        self.timeout = usize::try_from(drawn).unwrap_or(usize::MAX);
        self.node.raft.set_randomized_election_timeout(self.timeout);
    }
}

/// Whether only members are sent this: a leader answers questions of anybody.
fn is_for_members(frame: &Frame) -> bool {
    let Frame::Raft(message) = frame else { return false };
    matches!(
        message.get_msg_type(),
        MessageType::MsgAppend | MessageType::MsgHeartbeat | MessageType::MsgSnapshot
    )
}
