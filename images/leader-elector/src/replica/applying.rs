//! What happens when entries are committed: the table, the membership, snapshots.

use raft::StateRole;
use raft::eraftpb::{Entry, EntryType, Snapshot};

use super::members::decode_change;
use super::state::State;
use super::{Applied, Completed, Member, Replica, log};
use crate::Boottime;
use crate::election::{Change, Outcome};
use crate::membership::decode_context;
use crate::store::Write;
use crate::wire;

/// Bytes applied after which a snapshot is taken, however few entries they are.
const SNAPSHOT_BYTES: usize = 1024 * 1024;

impl Replica {
    /// Applies committed entries.
    ///
    /// # Panics
    /// An entry that this version cannot read: going on would make this member another one than
    /// the rest.
    pub(super) fn apply(&mut self, now: Boottime, entries: Vec<Entry>, applied: &mut Applied) {
        for entry in entries {
            self.applied_index = entry.index;
            self.since_snapshot.0 += 1;
            self.since_snapshot.1 += log::size(&entry);
            match entry.get_entry_type() {
                EntryType::EntryNormal if entry.data.is_empty() => {}
                EntryType::EntryNormal => self.apply_commands(now, &entry, applied),
                EntryType::EntryConfChangeV2 => {
                    self.apply_change(&entry);
                    self.step_down_if_removed(now, applied);
                }
                EntryType::EntryConfChange => panic!("log entry {} is of an old form", entry.index),
            }
        }
        self.snapshot_due |= self.since_snapshot.0 >= self.options.snapshot_every
            || self.since_snapshot.1 >= SNAPSHOT_BYTES
            || self.node.store().take_wanted();
    }

    fn apply_commands(&mut self, now: Boottime, entry: &Entry, applied: &mut Applied) {
        let proposals = wire::decode_proposals(&entry.data)
            .unwrap_or_else(|error| panic!("log entry {} is not readable: {error}", entry.index));
        for proposal in proposals {
            let first = applied.changes.len();
            let outcome =
                self.state.table.apply(entry.index, proposal.command, &mut applied.changes);
            // The session in the answer: a request sent again finds that of its first time.
            match &outcome {
                Outcome::Holds(lease) => self.signs.saw(lease.session, now),
                Outcome::Queued(session) => self.signs.saw(*session, now),
                _ => {}
            }
            for Change { lease, .. } in &applied.changes[first..] {
                if let Some(lease) = lease {
                    self.signs.saw(lease.session, now);
                }
            }
            let request = proposal.request;
            if self.requests.complete(proposal.origin, request) {
                applied.outcomes.push(Completed::Command { request, outcome });
            }
        }
    }

    fn apply_change(&mut self, entry: &Entry) {
        let index = entry.index;
        let change = decode_change(&entry.context)
            .unwrap_or_else(|error| panic!("log entry {index} is not readable: {error}"));
        let newcomers = decode_context(change.get_context())
            .unwrap_or_else(|error| panic!("log entry {index} is not readable: {error}"));
        // Every member comes to the same end with the same change, also when it is refused.
        let Ok(conf_state) = self.node.apply_conf_change(&change) else { return };
        self.state.members.extend(newcomers);
        let member = |id: &u64| {
            conf_state.voters.contains(id)
                || conf_state.voters_outgoing.contains(id)
                || conf_state.learners.contains(id)
                || conf_state.learners_next.contains(id)
        };
        self.state.members.retain(|id, _: &mut Member| member(id));
        self.conf_state = conf_state;
        // A newcomer needs a snapshot that names it.
        self.snapshot_due = true;
    }

    /// A leader that has just removed itself, which the one before it had begun, leads no more: at
    /// the next answer of a member the library would look for it among the members, and panic.
    fn step_down_if_removed(&mut self, now: Boottime, applied: &mut Applied) {
        let raft = &mut self.node.raft;
        if raft.state != StateRole::Leader || raft.prs().get(raft.id).is_some() {
            return;
        }
        // What it said as the leader may go out at once; a follower must have nothing of it left.
        let messages = std::mem::take(&mut raft.msgs);
        let term = raft.term;
        raft.become_follower(term, 0);
        self.send(now, messages, &mut applied.frames);
    }

    /// Takes over a snapshot from the leader.
    pub(super) fn restore(&mut self, snapshot: &Snapshot, now: Boottime, applied: &mut Applied) {
        let state = State::from_bytes(snapshot.get_data())
            .unwrap_or_else(|error| panic!("the leader's snapshot is not readable: {error}"));
        let metadata = snapshot.get_metadata();
        let before = std::mem::replace(&mut self.state, state.planting(self.options.planted.table));
        self.conf_state = metadata.get_conf_state().clone();
        self.applied_index = metadata.index;
        self.since_snapshot = (0, 0);
        self.snapshot_due = false;
        self.signs.reset();
        self.signs.look(&self.state.table, now, false, std::time::Duration::ZERO);
        for (name, election) in before.table.elections() {
            // Forgotten by the others meanwhile.
            if self.state.table.election(name).is_none() {
                let version = self.state.table.version_forgotten().max(election.version);
                let (election, token) = (name.clone(), election.token);
                applied.changes.push(Change { election, version, token, lease: None });
            }
        }
        for (name, election) in self.state.table.elections() {
            if before.table.version(name) != election.version {
                applied.changes.push(Change {
                    election: name.clone(),
                    version: election.version,
                    token: election.token,
                    lease: election.held.as_ref().map(|held| held.lease.clone()),
                });
            }
        }
    }

    /// Adds a snapshot of what is applied to a write, and drops the log behind it.
    pub(super) fn compact(&mut self, mut write: Write) -> Write {
        self.snapshot_due = false;
        self.since_snapshot = (0, 0);
        let index = self.applied_index;
        let Ok(term) = self.node.raft.raft_log.term(index) else { return write };
        let mut snapshot = Snapshot::default();
        snapshot.set_data(self.state.to_bytes().into());
        let metadata = snapshot.mut_metadata();
        metadata.index = index;
        metadata.term = term;
        *metadata.mut_conf_state() = self.conf_state.clone();
        self.node.mut_store().compact(snapshot.clone());
        write.snapshot = Some(snapshot);
        write.hard_state = Some(self.node.raft.hard_state());
        write.sync = true;
        write
    }
}
