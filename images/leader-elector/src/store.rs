//! Where a replica's state is when the process is not.

use raft::eraftpb::{Entry, HardState, Snapshot};

use crate::bootstrap::Identity;

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
    /// Replaces all there was. Entries before and at its index are dropped.
    pub snapshot: Option<Snapshot>,
    /// Appended; whatever was at or after the first one's index is dropped.
    pub entries: Vec<Entry>,
    /// Replaces the last one.
    pub hard_state: Option<HardState>,
    /// Entries below this index are dropped; 0 for none.
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
