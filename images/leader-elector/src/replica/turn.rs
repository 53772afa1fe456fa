//! One turn of a replica: what waits goes to Raft, what Raft has ready goes out.

use raft::eraftpb::{Message, MessageType, Snapshot};

use super::{Applied, Completed, Options, Pending, Proposal, Ready, Replica};
use crate::Boottime;
use crate::codec::Writer;
use crate::election::Command;
use crate::store::Write;
use crate::wire::{self, Frame};

/// Largest log entry: many commands share one, but it must fit a frame with others.
const ENTRY_BYTES_MAX: usize = 256 * 1024;

impl Replica {
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

    pub(super) fn send(
        &mut self,
        now: Boottime,
        messages: Vec<Message>,
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
