//! Finding series, making series and families.

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use super::cell::{Cell, Options, Stored};
use super::render::{self, Tally};
use super::{
    FAMILY_BYTES, Family, Overflow, Refused, Registry, Seconds, SeriesId, Slot, Spec, whole_seconds,
};

/// Labels of the series that takes what a limit keeps out.
const OVERFLOW: &str = "overflow=\"true\"";
/// Bytes of label text for each series that may be.
const LABEL_BYTES_PER_SERIES: usize = 1_024;
/// What is beside a shared text.
const TEXT_OVERHEAD: usize = 16;

impl Registry {
    /// Finds or makes a series.
    ///
    /// # Errors
    /// [`Refused`]; counted.
    pub fn intern(&mut self, spec: &Spec<'_>, now: Seconds) -> Result<SeriesId, Refused> {
        let stored = Stored::of(spec.shape);
        let bytes_max = self.limits.label_bytes_max.max(1);
        let mut text = std::mem::take(&mut self.text);
        let mut tally = render::render(&mut text, spec.labels, stored, bytes_max);
        let name = render::cut(spec.name, bytes_max, &mut tally);
        let Tally { renamed, cut } = tally;
        self.counters.renamed_labels += renamed;
        self.counters.cut += cut;
        let found = self.intern_rendered(&Spec { name, ..*spec }, stored, &text, now);
        // What one long line has needed is not kept for ever.
        text.shrink_to(LABEL_BYTES_PER_SERIES);
        self.text = text;
        match found {
            Err(Refused::Conflict) => self.counters.conflicts += 1,
            Err(Refused::Limit) => self.counters.overflowed += 1,
            Ok(_) => {}
        }
        found
    }

    fn intern_rendered(
        &mut self,
        spec: &Spec<'_>,
        stored: Stored,
        text: &str,
        now: Seconds,
    ) -> Result<SeriesId, Refused> {
        let family = match self.names.get(spec.name) {
            Some(&family) if self.family(family).stored == stored => Some(family),
            Some(_) => return Err(Refused::Conflict),
            None if self.is_implied(spec.name, stored) => return Err(Refused::Conflict),
            None => None,
        };
        if let Some(family) = family
            && let Some(index) = self.find(family, text)
        {
            return Ok(self.revive(index, spec.ttl, now));
        }
        let members = family.map_or(0, |family| self.family(family).members.len());
        let full = members >= self.limits.family_series_max
            || self.counters.series.iter().sum::<u64>() >= self.limits.series_max as u64
            || self.label_bytes + text.len()
                > self.limits.series_max.saturating_mul(LABEL_BYTES_PER_SERIES)
            || !self.has_room(cost(spec, text, family.is_none()), 0);
        if !full {
            let family = family.unwrap_or_else(|| self.make_family(spec, stored));
            return Ok(self.make(family, text, spec, now));
        }
        let fold = self.limits.overflow == Overflow::Fold;
        let family = family.filter(|_| fold).ok_or(Refused::Limit)?;
        let id = match self.find(family, OVERFLOW) {
            Some(index) => self.revive(index, spec.ttl, now),
            None if self.has_room(cost(spec, OVERFLOW, false), self.limits.bytes_max / 8) => {
                self.make(family, OVERFLOW, spec, now)
            }
            None => return Err(Refused::Limit),
        };
        self.counters.overflowed += 1;
        Ok(id)
    }

    /// Whether a family that is to be would share a name with one that is: with the lines of a
    /// summary or histogram, or the other way round.
    fn is_implied(&self, name: &str, stored: Stored) -> bool {
        let implies = |suffix: &&str| self.names.contains_key(&*format!("{name}{suffix}"));
        let implied = |suffix: &&str| {
            let family = name.strip_suffix(suffix).and_then(|stem| self.names.get(stem));
            family.is_some_and(|family| self.family(*family).stored.implied().contains(suffix))
        };
        stored.implied().iter().any(implies) || Stored::Histogram.implied().iter().any(implied)
    }

    fn hash(&self, family: u32, text: &str) -> u64 {
        self.hasher.hash_one((family, text))
    }

    fn find(&self, family: u32, text: &str) -> Option<u32> {
        let same = |index: &u32| {
            let slot = &self.slots[*index as usize];
            slot.family == family && *slot.labels == *text
        };
        self.series.find(self.hash(family, text), same).copied()
    }

    /// A series that is there is touched, and lives by the time to live that was asked for last.
    fn revive(&mut self, index: u32, ttl: Duration, now: Seconds) -> SeriesId {
        let slot = &mut self.slots[index as usize];
        slot.touched = now;
        let id = SeriesId { index, generation: slot.generation };
        let ttl = whole_seconds(ttl);
        if slot.ttl != ttl {
            self.live_for(index, ttl);
        }
        id
    }

    fn make_family(&mut self, spec: &Spec<'_>, stored: Stored) -> u32 {
        let mut bytes = spec.name.len() + TEXT_OVERHEAD;
        if *self.help != *spec.help {
            self.help = spec.help.into();
            bytes += spec.help.len() + TEXT_OVERHEAD;
        }
        self.name_bytes += bytes;
        let name: Arc<str> = spec.name.into();
        self.serial += 1;
        let family = Box::new(Family {
            serial: self.serial,
            name: Arc::clone(&name),
            help: Arc::clone(&self.help),
            stored,
            members: Vec::new(),
            options: Options::None,
            bytes,
        });
        let index = match self.free_families.pop() {
            Some(index) => {
                self.families[index as usize] = Some(family);
                index
            }
            None => {
                self.families.push(Some(family));
                self.families.len() as u32 - 1
            }
        };
        self.names.insert(name, index);
        index
    }

    fn make(&mut self, family: u32, text: &str, spec: &Spec<'_>, now: Seconds) -> SeriesId {
        self.serial += 1;
        let index = self.free.pop();
        let owner = self.families[family as usize].as_mut().expect("found or made just now");
        let mut slot = Slot {
            generation: 0,
            family,
            touched: now,
            ttl: whole_seconds(spec.ttl),
            due: 0,
            bytes: 0,
            serial: self.serial,
            labels: text.into(),
            cell: Cell::new(spec.shape, &mut owner.options, now),
        };
        let index = match index {
            Some(index) => {
                slot.generation = self.slots[index as usize].generation;
                self.slots[index as usize] = slot;
                index
            }
            None => {
                if self.slots.len() == self.slots.capacity() {
                    // Doubling would leave half of it empty.
                    self.slots.reserve_exact((self.slots.len() / 4).max(16));
                }
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        owner.members.push(index);
        self.counters.series[owner.stored.place()] += 1;
        self.label_bytes += text.len();
        let hash = self.hash(family, text);
        let Self { series, slots, hasher, .. } = self;
        series.insert_unique(hash, index, |index| {
            let slot = &slots[*index as usize];
            hasher.hash_one((slot.family, &*slot.labels))
        });
        self.reserved_bytes += self.slots[index as usize].cell.reserved();
        self.recount(index);
        let id = SeriesId { index, generation: self.slots[index as usize].generation };
        self.has_ttl |= spec.ttl > Duration::ZERO;
        self.watch(index);
        id
    }

    /// Takes a series out, but not out of its family's list.
    pub(super) fn remove(&mut self, index: u32) {
        let slot = &self.slots[index as usize];
        let hash = self.hash(slot.family, &slot.labels);
        if let Ok(entry) = self.series.find_entry(hash, |other| *other == index) {
            entry.remove();
        }
        let place = self.family(slot.family).stored.place();
        self.counters.series[place] -= 1;
        let slot = &mut self.slots[index as usize];
        self.label_bytes -= slot.labels.len();
        self.cell_bytes -= slot.bytes as usize;
        self.reserved_bytes -= slot.cell.reserved().max(slot.bytes as usize);
        slot.labels = Box::default();
        slot.cell = Cell::Free;
        slot.bytes = 0;
        let due = std::mem::take(&mut slot.due);
        slot.ttl = 0;
        let generation = slot.generation.wrapping_add(1);
        slot.generation = generation;
        self.due.remove(&(due, index));
        // A place whose generations are used up is given up: an old id might come back to life.
        if generation != 0 {
            self.free.push(index);
        }
    }
}

/// Bytes that a series takes or has set aside, with its family where that is new: about.
fn cost(spec: &Spec<'_>, text: &str, is_new: bool) -> usize {
    let series = Cell::reserved_for(spec.shape) + text.len();
    match is_new {
        true => series + FAMILY_BYTES + spec.name.len() + spec.help.len() + 2 * TEXT_OVERHEAD,
        false => series,
    }
}
