//! Where a replica's state is when the process is not.
//!
//! Both stores keep the same bounds (`Extent`): a write that would leave a gap in the log is a
//! bug above, and is refused before anything is written.

mod disk;
mod memory;
#[cfg(test)]
mod tests;

use anyhow::ensure;
use raft::eraftpb::{Entry, HardState, Snapshot};

use crate::bootstrap::Identity;
pub use disk::DiskStore;
pub use memory::MemoryStore;

/// What a store gives back after a restart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// Term, vote and commit index.
    pub hard_state: HardState,
    /// The newest snapshot; its metadata has the members at its index.
    pub snapshot: Snapshot,
    /// The log after the snapshot, without gaps.
    pub entries: Vec<Entry>,
}

/// What must be durable before a replica goes on: one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Write {
    /// Replaces the last one. Entries before and at its index are dropped; those after it too,
    /// unless the log has the entry that the snapshot ends with.
    pub snapshot: Option<Snapshot>,
    /// Appended; whatever was at or after the first one's index is dropped.
    pub entries: Vec<Entry>,
    /// Replaces the last one.
    pub hard_state: Option<HardState>,
    /// Entries below this index are dropped; 0 for none. Not beyond the snapshot.
    pub first_index: u64,
    /// Whether it must be on the disk when the call returns.
    pub sync: bool,
}

impl Write {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.snapshot.is_none() && self.entries.is_empty() && self.hard_state.is_none()
    }
}

/// A store. One process opens it at a time.
pub trait Store: Send {
    /// Who this member is; none for an empty store.
    ///
    /// # Errors
    /// The store cannot be read.
    fn identity(&self) -> anyhow::Result<Option<Identity>>;

    /// Remembers who this member is, durably.
    ///
    /// # Errors
    /// The store cannot be written.
    fn set_identity(&mut self, identity: &Identity) -> anyhow::Result<()>;

    /// Everything that was written; the default for an empty store.
    ///
    /// # Errors
    /// The store cannot be read, or holds what this version does not understand.
    fn load(&self) -> anyhow::Result<Saved>;

    /// Writes all of it or nothing.
    ///
    /// # Errors
    /// The store cannot be written; the process must end, as what is on the disk is unknown.
    fn save(&mut self, write: &Write) -> anyhow::Result<()>;
}

/// Which part of the log a store has: the entries from `first` to before `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    /// The index of the snapshot.
    covered: u64,
    first: u64,
    next: u64,
}

// === impl Extent ===

impl Extent {
    fn of(saved: &Saved) -> Self {
        let covered = saved.snapshot.get_metadata().index;
        let first = saved.entries.first().map_or(covered + 1, |entry| entry.index);
        Self { covered, first, next: first + saved.entries.len() as u64 }
    }

    /// The extent after a write, given the term of an entry in the log; or why it cannot be.
    fn after(
        self,
        write: &Write,
        term: impl FnOnce(u64) -> anyhow::Result<Option<u64>>,
    ) -> anyhow::Result<Self> {
        let mut after = self;
        if let Some(snapshot) = &write.snapshot {
            let metadata = snapshot.get_metadata();
            ensure!(
                metadata.index >= self.covered,
                "the snapshot at {} is older than that at {}",
                metadata.index,
                self.covered
            );
            let known = (self.first..self.next).contains(&metadata.index);
            let agrees = known && term(metadata.index)? == Some(metadata.term);
            let same = metadata.index == self.covered;
            after.covered = metadata.index;
            after.first = metadata.index + 1;
            after.next = if agrees || same { self.next } else { after.first };
        }
        ensure!(
            write.first_index <= after.covered + 1,
            "the log cannot begin at {} with a snapshot at {}",
            write.first_index,
            after.covered
        );
        if let Some(first) = write.entries.first() {
            ensure!(
                (after.first..=after.next).contains(&first.index),
                "the entry at {} cannot follow a log from {} to before {}",
                first.index,
                after.first,
                after.next
            );
            for (entry, index) in write.entries.iter().zip(first.index..) {
                ensure!(entry.index == index, "the entry at {} must be at {index}", entry.index);
            }
            after.next = first.index + write.entries.len() as u64;
        }
        Ok(after)
    }
}
