//! Times to live. A series is looked at when it would have to go had nobody touched it since it was
//! last looked at; so the cost is one look per series and time to live, and none without.

use super::cell::Cell;
use super::{Registry, Seconds, SeriesId};

impl Registry {
    /// Forgets what nobody has touched for its time to live; to be called about once a second.
    ///
    /// A second is taken for past when the next one has begun: nothing goes early, and nothing later
    /// than a second after it might.
    pub fn sweep(&mut self, now: Seconds) {
        let mut families = Vec::new();
        while let Some(entry) = self.due.first_entry()
            && *entry.key() <= now
        {
            let (due, ids) = entry.remove_entry();
            for id in ids {
                let slot = &self.slots[id.index as usize];
                if slot.generation != id.generation || slot.due != due {
                    continue;
                }
                let family = slot.family;
                if slot.ttl > 0 && slot.goes() <= now {
                    self.remove(id.index);
                    self.counters.expired += 1;
                    families.push(family);
                } else {
                    self.watch(id);
                }
            }
        }
        families.sort_unstable();
        families.dedup();
        for family in families {
            self.tidy(family);
        }
    }

    /// Notes when a series is to be looked at next.
    pub(super) fn watch(&mut self, id: SeriesId) {
        let slot = &mut self.slots[id.index as usize];
        slot.due = 0;
        if slot.ttl > 0 {
            slot.due = slot.goes();
            self.due.entry(slot.due).or_default().push(id);
        }
    }

    /// Drops from a family's list what has been removed, and the family when nothing is left.
    fn tidy(&mut self, index: u32) {
        let Self { families, slots, .. } = self;
        let Some(family) = &mut families[index as usize] else { return };
        family.members.retain(|member| !matches!(slots[*member as usize].cell, Cell::Free));
        if family.members.is_empty() {
            self.names.remove(&family.name);
            families[index as usize] = None;
            self.free_families.push(index);
        }
    }
}

// === impl Slot ===

impl super::Slot {
    /// The second in which it goes, unless it is touched.
    fn goes(&self) -> Seconds {
        self.touched.saturating_add(self.ttl).saturating_add(1)
    }
}
