//! The log as Raft reads it: in memory, a copy of what is saved.
//!
//! It is small by construction, so that a copy costs little and reads cost nothing: a snapshot is
//! taken every so many entries or bytes, and behind it only a tail is kept for members that lag.

use std::cell::Cell;
use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError, util};

use crate::store::Saved;

/// Entries kept behind a snapshot, for members that lag a little.
const TAIL_ENTRIES: u64 = 200;
/// Bytes kept behind a snapshot.
const TAIL_BYTES: usize = 256 * 1024;

/// The log and what it starts from.
pub(super) struct Log {
    hard_state: HardState,
    conf_state: ConfState,
    snapshot: Snapshot,
    /// Index and term of the entry before the first one kept.
    before: (u64, u64),
    entries: VecDeque<Entry>,
    /// Somebody needs a snapshot newer than the one there is.
    wanted: Cell<bool>,
}

// === impl Log ===

impl Log {
    pub(super) fn new(saved: Saved) -> Self {
        let Saved { mut hard_state, snapshot, entries } = saved;
        let metadata = snapshot.get_metadata();
        let before = (metadata.index, metadata.term);
        // The commit index is not written for its own sake, so it may be older than the snapshot.
        hard_state.commit = hard_state.commit.max(before.0);
        hard_state.term = hard_state.term.max(before.1);
        let conf_state = metadata.get_conf_state().clone();
        let entries = entries.into_iter().filter(|entry| entry.index > before.0).collect();
        Self { hard_state, conf_state, snapshot, before, entries, wanted: Cell::new(false) }
    }

    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether somebody asked for a newer snapshot since the last time.
    pub(super) fn take_wanted(&self) -> bool {
        self.wanted.take()
    }

    /// Appends; what was at or after the first one's index gives way.
    pub(super) fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first().map(|entry| entry.index) else { return };
        let keep = first.saturating_sub(self.before.0 + 1);
        self.entries.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
        debug_assert_eq!(first, self.last().0 + 1, "entries follow each other");
        self.entries.extend(entries);
    }

    /// A snapshot from the leader: all there was gives way to it.
    pub(super) fn restore(&mut self, snapshot: Snapshot) {
        let metadata = snapshot.get_metadata();
        self.before = (metadata.index, metadata.term);
        self.conf_state = metadata.get_conf_state().clone();
        self.hard_state.commit = self.hard_state.commit.max(metadata.index);
        self.entries.clear();
        self.snapshot = snapshot;
    }

    /// A snapshot of our own: the log behind it is dropped but for a tail.
    pub(super) fn compact(&mut self, snapshot: Snapshot) {
        let index = snapshot.get_metadata().index;
        self.snapshot = snapshot;
        let mut behind = index.saturating_sub(self.before.0);
        let mut bytes: usize =
            self.entries.iter().take_while(|entry| entry.index <= index).map(size).sum();
        while behind > 0 && (behind > TAIL_ENTRIES || bytes > TAIL_BYTES) {
            let Some(entry) = self.entries.pop_front() else { break };
            bytes -= size(&entry);
            behind -= 1;
            self.before = (entry.index, entry.term);
        }
        // An idle queue would keep the room of its busiest moment.
        if self.entries.capacity() > 4 * self.entries.len().max(256) {
            self.entries.shrink_to_fit();
        }
    }

    fn last(&self) -> (u64, u64) {
        self.entries.back().map_or(self.before, |entry| (entry.index, entry.term))
    }

    fn get(&self, index: u64) -> Option<&Entry> {
        let place = index.checked_sub(self.before.0 + 1)?;
        self.entries.get(usize::try_from(place).ok()?)
    }
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.before.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        let mut entries: Vec<Entry> =
            (low..high).map_while(|index| self.get(index)).cloned().collect();
        util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let metadata = self.snapshot.get_metadata();
        if index == self.before.0 {
            return Ok(self.before.1);
        }
        if index == metadata.index {
            return Ok(metadata.term);
        }
        if index < self.before.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.get(index).map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.before.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last().0)
    }

    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let metadata = self.snapshot.get_metadata();
        let conf = metadata.get_conf_state();
        // One that does not name its receiver would be ignored by it.
        let names = conf.voters.contains(&to)
            || conf.learners.contains(&to)
            || conf.voters_outgoing.contains(&to);
        if metadata.index < request_index || !names {
            self.wanted.set(true);
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(self.snapshot.clone())
    }
}

/// What an entry costs in memory, roughly.
pub(super) fn size(entry: &Entry) -> usize {
    entry.data.len() + entry.context.len() + size_of::<Entry>()
}
