//! A store that forgets: for members without a disk, for tests, and for the simulation, which loses
//! what was not yet synced when a machine crashes.

use raft::eraftpb::Entry;

use super::{Extent, Saved, Store, Write};
use crate::bootstrap::Identity;

/// A store in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryStore {
    identity: Option<Identity>,
    /// What a crash leaves.
    synced: Saved,
    /// What a crash takes, oldest first.
    unsynced: Vec<Write>,
    /// Both together, kept so that a write can be checked.
    extent: Option<Extent>,
}

// === impl MemoryStore ===

impl MemoryStore {
    /// The machine loses power: everything since the last synced write is gone.
    pub fn crash(&mut self) {
        self.unsynced.clear();
        self.extent = None;
    }

    /// Writes that a crash would take.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    fn term(&self, index: u64) -> Option<u64> {
        let entries = |entries: &[Entry]| {
            let first = entries.first()?.index;
            let place = usize::try_from(index.checked_sub(first)?).ok()?;
            entries.get(place).map(|entry| entry.term)
        };
        let newest = self.unsynced.iter().rev().find_map(|write| entries(&write.entries));
        newest.or_else(|| entries(&self.synced.entries))
    }
}

impl Store for MemoryStore {
    fn identity(&self) -> anyhow::Result<Option<Identity>> {
        Ok(self.identity.clone())
    }

    fn set_identity(&mut self, identity: &Identity) -> anyhow::Result<()> {
        self.identity = Some(identity.clone());
        Ok(())
    }

    fn load(&self) -> anyhow::Result<Saved> {
        let mut saved = self.synced.clone();
        let mut extent = Extent::of(&saved);
        for write in &self.unsynced {
            extent = apply(&mut saved, extent, write)?;
        }
        Ok(saved)
    }

    fn save(&mut self, write: &Write) -> anyhow::Result<()> {
        let extent = match self.extent {
            Some(extent) => extent,
            None => Extent::of(&self.load()?),
        };
        self.extent = Some(extent.after(write, |index| Ok(self.term(index)))?);
        if !write.sync {
            self.unsynced.push(write.clone());
            return Ok(());
        }
        let mut extent = Extent::of(&self.synced);
        for write in std::mem::take(&mut self.unsynced).iter().chain([write]) {
            extent = apply(&mut self.synced, extent, write)?;
        }
        Ok(())
    }
}

fn apply(saved: &mut Saved, extent: Extent, write: &Write) -> anyhow::Result<Extent> {
    let term_of = |index| {
        let entry = saved.entries.iter().find(|entry| entry.index == index);
        Ok(entry.map(|entry| entry.term))
    };
    let after = extent.after(write, term_of)?;
    let kept = write.entries.first().map_or(after.next, |first| first.index);
    saved.entries.retain(|entry| (after.first..kept).contains(&entry.index));
    saved.entries.extend_from_slice(&write.entries);
    if let Some(snapshot) = &write.snapshot {
        saved.snapshot = snapshot.clone();
    }
    if let Some(state) = &write.hard_state {
        saved.hard_state = state.clone();
    }
    Ok(after)
}
