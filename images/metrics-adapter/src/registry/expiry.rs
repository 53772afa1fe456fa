//! Times to live. A series is looked at when it would have to go had nobody touched it since it was
//! last looked at; so the cost is one look per series and time to live, and none without.

use super::cell::Cell;
use super::{Registry, Seconds};

impl Registry {
    /// Forgets what nobody has touched for its time to live; to be called about once a second.
    ///
    /// A second is taken for past when the next one has begun: nothing goes early, and nothing later
    /// than a second after it might.
    pub fn sweep(&mut self, now: Seconds) {
        let mut families = Vec::new();
        while let Some(&(due, index)) = self.due.first()
            && due <= now
        {
            let slot = &self.slots[index as usize];
            if slot.ttl > 0 && slot.goes() <= now {
                families.push(slot.family);
                self.remove(index);
                self.counters.expired += 1;
            } else {
                // Later than now, or not any more.
                self.watch(index);
            }
        }
        families.sort_unstable();
        families.dedup();
        for family in families {
            self.tidy(family);
        }
        self.weigh();
    }

    /// Notes when a series is to be looked at next.
    pub(super) fn watch(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        let goes = if slot.ttl > 0 { slot.goes() } else { 0 };
        let due = std::mem::replace(&mut slot.due, goes);
        self.due.remove(&(due, index));
        if goes > 0 {
            self.due.insert((goes, index));
        }
    }

    /// Gives a series another time to live. When it is to be looked at before that is over anyway,
    /// it is seen then.
    #[cold]
    pub(super) fn live_for(&mut self, index: u32, ttl: u32) {
        let slot = &mut self.slots[index as usize];
        slot.ttl = ttl;
        self.has_ttl |= ttl > 0;
        if ttl > 0 && (slot.due == 0 || slot.goes() < slot.due) {
            self.watch(index);
        }
    }

    /// Drops from a family's list what has been removed, and the family when nothing is left.
    fn tidy(&mut self, index: u32) {
        let Self { families, slots, .. } = self;
        let Some(family) = &mut families[index as usize] else { return };
        family.members.retain(|member| !matches!(slots[*member as usize].cell, Cell::Free));
        if family.members.is_empty() {
            self.names.remove(&family.name);
            self.name_bytes -= family.bytes;
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
