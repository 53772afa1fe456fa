//! The names that a page has used up, so that no other family claims them.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

/// A set of strings in one allocation.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: String,
    spans: HashTable<(u32, u32)>,
    hasher: DefaultHashBuilder,
}

impl Names {
    /// Takes `stem` with each of the suffixes, or none of them: false when one is taken already.
    pub(super) fn take(&mut self, stem: &str, suffixes: &[&str]) -> bool {
        let start = self.text.len();
        let mut free = u32::try_from(start + suffixes.len() * (stem.len() + 8)).is_ok();
        for suffix in suffixes {
            let at = self.text.len();
            self.text.push_str(stem);
            self.text.push_str(suffix);
            let name = &self.text[at..];
            let hash = self.hasher.hash_one(name);
            free &= self.spans.find(hash, |span| self.name(*span) == name).is_none();
        }
        if !free {
            self.text.truncate(start);
            return false;
        }
        let mut at = start;
        for suffix in suffixes {
            let span = (at as u32, (stem.len() + suffix.len()) as u32);
            at += stem.len() + suffix.len();
            let Self { text, spans, hasher } = self;
            let hash =
                |&(at, len): &(u32, u32)| hasher.hash_one(&text[at as usize..][..len as usize]);
            spans.insert_unique(hash(&span), span, hash);
        }
        true
    }

    fn name(&self, (at, len): (u32, u32)) -> &str {
        &self.text[at as usize..][..len as usize]
    }
}
