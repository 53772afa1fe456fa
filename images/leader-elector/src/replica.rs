//! One member of the group: a Raft node around a [`Table`]. Pure: time comes in as an argument,
//! frames and writes go out as values, and chance is a seed.
//!
//! The driver (or the simulation) calls, in a turn: [`Replica::frame`] and [`Replica::request`] for
//! what came in, [`Replica::tick`] once, and then, while [`Replica::ready`] gives a [`Ready`]: sends
//! its frames, saves its write, and calls [`Replica::saved`], whose [`Applied`] has more frames, the
//! changes and the outcomes of requests made here.

mod applying;
mod log;
mod logger;
mod members;
mod reads;
mod requests;
mod signs;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::eraftpb::{ConfState, MessageType, Snapshot};
use raft::{RawNode, SnapshotStatus, StateRole};

use crate::Boottime;
use crate::bootstrap::Group;
use crate::codec::Writer;
use crate::election::{Change, Command, Outcome, Planted, Table};
use crate::store::{Saved, Write};
use crate::wire::{self, Frame};
use log::Log;
pub use logger::logger;
use members::Keeper;
use reads::Reads;
use requests::Requests;
use signs::Signs;
use state::State;

/// Largest log entry: many commands share one, but it must fit a frame with others.
const ENTRY_BYTES_MAX: usize = 256 * 1024;
/// Commands from other members waiting for the next entry; past it they are dropped, and their
/// origins send them again.
const INCOMING_MAX: usize = 50_000;
/// Members asking to be let in at once.
const JOINS_MAX: usize = 100;
/// A request without an outcome is given up after this; who asked has done so long before.
const REQUEST_AGE_MAX: Duration = Duration::from_secs(10);
/// Raft ticks made up for at once when the turns were late.
const TICKS_AT_ONCE: u32 = 3;
/// Most founders with a vote; more of them cost every write time and survive little more.
const FOUNDING_VOTERS_MAX: usize = 5;
/// The term and index at which founders start, so that nobody else can start from an empty log.
const FOUNDED: u64 = 1;

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
    /// What was applied already; it depends on nothing that is still to be saved.
    pub applied: Applied,
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
    /// Ids heard of lately, as far as the leader knows; on others, the leader's id.
    pub active: Vec<u64>,
}

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

/// SplitMix64: enough chance for timeouts, and the same on every machine.
struct Chance(u64);

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

    /// What must be sent and saved next, if anything.
    pub fn ready(&mut self, now: Boottime) -> Option<Ready> {
        debug_assert!(matches!(self.pending, Pending::Nothing | Pending::Founding(_)));
        if let Pending::Founding(write) = std::mem::replace(&mut self.pending, Pending::Nothing) {
            self.pending = Pending::Founded;
            return Some(Ready { write, ..Ready::default() });
        }
        self.flush(now);
        let mut applied = std::mem::take(&mut self.applied);
        let frames = std::mem::take(&mut applied.frames);
        if !self.node.has_ready() {
            let idle = frames.is_empty() && applied.outcomes.is_empty();
            let none = Ready { frames, applied, write: Write::default() };
            self.pending = if idle { Pending::Nothing } else { Pending::Founded };
            return (!idle).then_some(none);
        }
        Some(self.take_ready(now, frames, applied))
    }

    fn take_ready(
        &mut self,
        now: Boottime,
        mut frames: Vec<(u64, Frame)>,
        mut applied: Applied,
    ) -> Ready {
        let mut ready = self.node.ready();
        self.send(now, ready.take_messages(), &mut frames);
        for state in ready.take_read_states() {
            if let Ok(context) = <[u8; 8]>::try_from(&*state.request_ctx) {
                self.reads.confirm(u64::from_be_bytes(context), state.index);
            }
        }
        // Committed means saved, here and elsewhere: nothing in this write is needed for it, so
        // who waits need not wait for the disk.
        self.apply(now, ready.take_committed_entries(), &mut applied);
        self.complete_reads(&mut applied);
        let write = self.write_of(now, &mut ready, &mut applied);
        self.pending = Pending::Ready(Box::new(ready));
        Ready { frames, applied, write }
    }

    /// The write of the last [`Ready`] is done.
    ///
    /// # Panics
    /// Without a [`Ready`] before.
    pub fn saved(&mut self, now: Boottime) -> Applied {
        let mut applied = Applied::default();
        let mut ready = match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Ready(ready) => *ready,
            Pending::Founded => return applied,
            Pending::Nothing | Pending::Founding(_) => panic!("saved is called after ready"),
        };
        let persisted = ready.take_persisted_messages();
        self.send(now, persisted, &mut applied.frames);
        let mut light = self.node.advance_append(ready);
        self.send(now, light.take_messages(), &mut applied.frames);
        self.apply(now, light.take_committed_entries(), &mut applied);
        self.node.advance_apply();
        self.complete_reads(&mut applied);
        self.look_at_role();
        applied
    }

    /// What has to be saved, and is in memory from now on.
    fn write_of(&mut self, now: Boottime, ready: &mut raft::Ready, applied: &mut Applied) -> Write {
        let mut write = Write { sync: ready.must_sync(), ..Write::default() };
        // The commit index alone is not worth a write: it is learned again.
        if let Some(hard_state) = ready.hs() {
            self.node.mut_store().set_hard_state(hard_state.clone());
            write.hard_state = ready.must_sync().then(|| hard_state.clone());
        }
        if *ready.snapshot() != Snapshot::default() {
            let snapshot = ready.snapshot().clone();
            self.restore(&snapshot, now, applied);
            self.node.mut_store().restore(snapshot.clone());
            write.snapshot = Some(snapshot);
        } else if self.snapshot_due {
            write = self.compact(write);
        }
        let entries = ready.take_entries();
        self.node.mut_store().append(entries.clone());
        write.entries.extend(entries);
        write
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

    /// Gives what waits to Raft or to who leads.
    fn flush(&mut self, now: Boottime) {
        let leader = self.node.raft.leader_id;
        if leader == 0 {
            return;
        }
        if let Some(context) = self.reads.ask(now, self.options.tick * 4) {
            self.node.read_index(context.to_be_bytes().to_vec());
        }
        let own = self.requests.take_unsent(now);
        if !self.leads() {
            for part in parts(own) {
                self.applied.frames.push((leader, Frame::Propose(part)));
            }
            return;
        }
        self.incoming.extend(own);
        if self.incoming.is_empty() {
            return;
        }
        let mut batch = std::mem::take(&mut self.incoming);
        // With each batch until it is applied, as it may be dropped like any other; twice is once.
        if let Some(init) = self.token_base() {
            batch.insert(0, Proposal { origin: 0, request: 0, command: init });
        }
        for part in parts(batch) {
            // Dropped when too much is uncommitted, or leadership is being handed over: who asked
            // asks again.
            let mut writer = Writer::default();
            wire::encode_proposals(&part, &mut writer);
            let _ = self.node.propose(Vec::new(), writer.bytes);
        }
    }

    fn token_base(&self) -> Option<Command> {
        let Options { wall_seconds, token_floor, .. } = self.options;
        let last = self.state.table.token_last();
        let token_base = if last == 0 { token_floor.max(wall_seconds << 20) } else { token_floor };
        (last < token_base).then_some(Command::Init { token_base })
    }

    fn send(
        &mut self,
        now: Boottime,
        messages: Vec<raft::eraftpb::Message>,
        frames: &mut Vec<(u64, Frame)>,
    ) {
        for message in messages {
            if message.get_msg_type() == MessageType::MsgSnapshot {
                self.snapshots_sent.insert(message.to, now);
            }
            frames.push((message.to, Frame::Raft(message)));
        }
    }

    fn complete_reads(&mut self, applied: &mut Applied) {
        for request in self.reads.complete(self.applied_index) {
            if self.barrier == Some(request) {
                self.barrier = None;
            } else {
                applied.outcomes.push(Completed::Read { request });
            }
        }
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

/// Which founders vote: at most [`FOUNDING_VOTERS_MAX`], those without an application first. The
/// same at all founders, so it depends on nothing that a flag could make different.
fn votes(group: &Group) -> (Vec<u64>, Vec<u64>) {
    let mut founders: Vec<_> = group.founders.iter().collect();
    founders.sort_by_key(|founder| (!founder.witness, founder.id));
    let ids = |founders: &[&crate::bootstrap::Founder]| founders.iter().map(|it| it.id).collect();
    let (voters, learners) = founders.split_at(founders.len().min(FOUNDING_VOTERS_MAX));
    (ids(voters), ids(learners))
}

/// How founders start: all with the same members, at the same index.
fn found(group: &Group) -> Write {
    let state = State::founded(group);
    let mut snapshot = Snapshot::default();
    snapshot.set_data(state.to_bytes().into());
    let metadata = snapshot.mut_metadata();
    metadata.index = FOUNDED;
    metadata.term = FOUNDED;
    let (voters, learners) = votes(group);
    metadata.mut_conf_state().voters = voters;
    metadata.mut_conf_state().learners = learners;
    let hard_state = raft::eraftpb::HardState {
        term: FOUNDED,
        commit: FOUNDED,
        ..raft::eraftpb::HardState::default()
    };
    Write { snapshot: Some(snapshot), hard_state: Some(hard_state), sync: true, ..Write::default() }
}

/// The library's defaults are unsafe here: without pre-vote and check-quorum a member behind a
/// partial partition deposes leaders for ever.
fn raft_config(options: &Options, applied: u64) -> raft::Config {
    raft::Config {
        id: options.id,
        election_tick: usize::from(options.election_ticks),
        heartbeat_tick: usize::from(options.heartbeat_ticks),
        applied,
        max_size_per_msg: 1024 * 1024,
        max_inflight_msgs: 256,
        check_quorum: true,
        pre_vote: true,
        read_only_option: raft::ReadOnlyOption::Safe,
        max_uncommitted_size: 16 * 1024 * 1024,
        max_committed_size_per_ready: 1024 * 1024,
        ..raft::Config::default()
    }
}

/// Cuts proposals into entries of a bounded size.
fn parts(proposals: Vec<Proposal>) -> Vec<Vec<Proposal>> {
    let mut parts: Vec<Vec<Proposal>> = Vec::new();
    let mut bytes = usize::MAX;
    for proposal in proposals {
        // An estimate from above; only those that acquire carry much.
        let size = match &proposal.command {
            Command::Acquire(_) => crate::election::COMMAND_BYTES_MAX,
            _ => 600,
        };
        if bytes.saturating_add(size) > ENTRY_BYTES_MAX {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(part) = parts.last_mut() {
            part.push(proposal);
        }
    }
    parts
}

// === impl Applied ===

impl Applied {
    /// Whether there is nothing to tell anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.changes.is_empty() && self.outcomes.is_empty()
    }
}

// === impl Chance ===

impl Chance {
    /// Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
