//! Raw bytes of a line, remembered with what they came to.
//!
//! The key is the line without its values: the bytes before the first `:`, and those from the
//! first `|` on. The same bytes passed parser, mapping and escaping before, so a hit needs none of
//! them, nor a check for UTF-8.
//!
//! Both entries and bytes are bounded. What goes is chosen by CLOCK: an entry starts without its
//! second chance and gets it with the first hit, so a flood of names that never come back pushes
//! out other such names, not the lines that do come back.

use std::hash::{BuildHasher, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::line::Repeat;
use crate::registry::SeriesId;

#[cfg(test)]
mod tests;

/// Longer keys are not remembered.
const KEY_BYTES_MAX: usize = 1024;
/// Bytes of keys per entry, on average, that the cache may hold.
const KEY_BYTES_MEAN: usize = 160;

/// What a line with these bytes does, but for its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Effect {
    /// How a value is used; never [`Repeat::Never`].
    pub(super) repeat: Repeat,
    /// Where it goes.
    pub(super) target: Target,
    /// Factor of the rule.
    pub(super) scale: f64,
    /// Time to live that the rule gives its series, in seconds; zero for never.
    pub(super) ttl: u32,
    /// A rule made the name.
    pub(super) mapped: bool,
    /// It has at least one label.
    pub(super) tagged: bool,
}

/// Where the values of a line go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// Into a series.
    Series(SeriesId),
    /// A rule discards them.
    Dropped,
}

/// The cache.
#[derive(Debug)]
pub(super) struct Cache {
    table: HashTable<u32>,
    entries: Vec<Entry>,
    hasher: DefaultHashBuilder,
    entries_max: usize,
    bytes_max: usize,
    bytes: usize,
    hand: usize,
    /// Lookups.
    pub(super) gets: u64,
    /// Lookups that found something.
    pub(super) hits: u64,
    /// Entries that had to go for others.
    pub(super) evictions: u64,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    effect: Effect,
    /// Bytes of `key` that stood before the colon.
    name_bytes: u32,
    second_chance: bool,
    key: Box<[u8]>,
}

/// A line cut for the lookup.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    /// Before the first colon.
    pub(super) name: &'a [u8],
    /// From the first bar after it on.
    pub(super) rest: &'a [u8],
}

// === impl Cache ===

impl Cache {
    /// At most `entries_max` entries; none with 0.
    pub(super) fn new(entries_max: usize) -> Self {
        let entries_max = entries_max.min(u32::MAX as usize);
        Self {
            table: HashTable::new(),
            entries: Vec::new(),
            hasher: DefaultHashBuilder::default(),
            entries_max,
            bytes_max: entries_max.saturating_mul(KEY_BYTES_MEAN),
            bytes: 0,
            hand: 0,
            gets: 0,
            hits: 0,
            evictions: 0,
        }
    }

    /// Entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of all keys.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// To be given to the other methods.
    #[inline]
    pub(super) fn hash(&self, key: Key<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.name);
        hasher.write(key.rest);
        hasher.finish()
    }

    /// What such a line does.
    #[inline]
    pub(super) fn get(&mut self, hash: u64, key: Key<'_>) -> Option<Effect> {
        self.gets += 1;
        let entries = &mut self.entries;
        let index = *self.table.find(hash, |&index| entries[index as usize].is(hash, key))?;
        let entry = &mut entries[index as usize];
        entry.second_chance = true;
        self.hits += 1;
        Some(entry.effect)
    }

    /// Remembers a line, or what it does now.
    pub(super) fn insert(&mut self, hash: u64, key: Key<'_>, effect: Effect) {
        let key_bytes = key.name.len() + key.rest.len();
        if self.entries_max == 0 || key_bytes > KEY_BYTES_MAX.min(self.bytes_max) {
            return;
        }
        let entries = &mut self.entries;
        let known = self.table.find(hash, |&index| entries[index as usize].is(hash, key));
        if let Some(&index) = known {
            entries[index as usize].effect = effect;
            return;
        }
        while self.entries.len() >= self.entries_max || self.bytes + key_bytes > self.bytes_max {
            self.evict();
        }
        let mut bytes = Vec::with_capacity(key_bytes);
        bytes.extend_from_slice(key.name);
        bytes.extend_from_slice(key.rest);
        let name_bytes = u32::try_from(key.name.len()).expect("at most KEY_BYTES_MAX");
        let index = u32::try_from(self.entries.len()).expect("at most entries_max, a u32");
        self.bytes += key_bytes;
        self.entries.push(Entry {
            hash,
            effect,
            name_bytes,
            second_chance: false,
            key: bytes.into_boxed_slice(),
        });
        let entries = &self.entries;
        self.table.insert_unique(hash, index, |&index| entries[index as usize].hash);
    }

    /// Forgets one line.
    pub(super) fn remove(&mut self, hash: u64, key: Key<'_>) {
        let entries = &self.entries;
        let found = self.table.find(hash, |&index| entries[index as usize].is(hash, key));
        if let Some(&index) = found {
            self.take_out(index as usize);
        }
    }

    /// Forgets all lines.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.entries.clear();
        self.bytes = 0;
        self.hand = 0;
    }

    /// There is at least one entry: `insert` takes none that is longer than all may be.
    fn evict(&mut self) {
        loop {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let entry = &mut self.entries[self.hand];
            if !std::mem::take(&mut entry.second_chance) {
                break;
            }
            self.hand += 1;
        }
        self.take_out(self.hand);
        self.evictions += 1;
        // The entry that came from the end is as new as any: it is not the next to go.
        self.hand += 1;
    }

    /// The last entry takes the place.
    fn take_out(&mut self, index: usize) {
        let place = |table: &mut HashTable<u32>, hash, index: usize| {
            table.find_bucket_index(hash, |&at| at as usize == index)
        };
        let last = self.entries.len() - 1;
        if let Ok(found) =
            self.table.find_entry(self.entries[index].hash, |&at| at as usize == index)
        {
            found.remove();
        }
        if index != last
            && let Some(bucket) = place(&mut self.table, self.entries[last].hash, last)
            && let Some(at) = self.table.get_bucket_mut(bucket)
        {
            *at = u32::try_from(index).expect("below the index of the last");
        }
        self.bytes -= self.entries.swap_remove(index).key.len();
    }
}

// === impl Entry ===

impl Entry {
    #[inline]
    fn is(&self, hash: u64, key: Key<'_>) -> bool {
        self.hash == hash
            && self.key.len() == key.name.len() + key.rest.len()
            && self.name_bytes as usize == key.name.len()
            && self.key.starts_with(key.name)
            && self.key.ends_with(key.rest)
    }
}
