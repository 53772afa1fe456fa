//! A disk that may forget what was not synced.

use raft::eraftpb::Snapshot;

use super::dice::Dice;
use crate::store::{Saved, Write};

/// The disk of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    durable: Saved,
    /// Written in this order, not durable yet.
    unsynced: Vec<Write>,
}

// === impl Disk ===

impl Disk {
    pub(super) fn save(&mut self, write: &Write) {
        self.unsynced.push(write.clone());
        if write.sync {
            self.settle();
        }
    }

    /// Everything that was written, as a process sees it that starts again on a running machine.
    pub(super) fn load(&mut self) -> Saved {
        self.settle();
        self.durable.clone()
    }

    /// The power fails: some of what was not synced is lost, the newest first.
    pub(super) fn lose(&mut self, dice: &mut Dice) {
        let kept = dice.place(self.unsynced.len() + 1);
        self.unsynced.truncate(kept);
        self.settle();
    }

    fn settle(&mut self) {
        for write in self.unsynced.drain(..) {
            apply(&mut self.durable, write);
        }
    }
}

fn apply(saved: &mut Saved, write: Write) {
    if let Some(snapshot) = write.snapshot {
        let index = index(&snapshot);
        saved.entries.retain(|entry| entry.index > index);
        saved.snapshot = snapshot;
    }
    if let Some(first) = write.entries.first() {
        saved.entries.retain(|entry| entry.index < first.index);
        saved.entries.extend(write.entries);
    }
    if let Some(hard_state) = write.hard_state {
        saved.hard_state = hard_state;
    }
    saved.entries.retain(|entry| entry.index >= write.first_index);
}

fn index(snapshot: &Snapshot) -> u64 {
    snapshot.get_metadata().index
}
