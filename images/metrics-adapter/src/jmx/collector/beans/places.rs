//! Where the attributes of an answer stand among those that were asked for.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

/// Attributes that are looked at one by one before a map is made: some may be missing.
const AHEAD_MAX: usize = 8;

/// They come in the order asked for, each once; who knows.
pub(super) struct Places<'a> {
    wanted: &'a [String],
    /// Behind the last one found.
    from: usize,
    found: Vec<bool>,
    map: Option<HashMap<&'a str, usize>>,
}

// === impl Places ===

impl<'a> Places<'a> {
    pub(super) fn new(wanted: &'a [String]) -> Self {
        Self { wanted, from: 0, found: vec![false; wanted.len()], map: None }
    }

    /// The place of a name that has not been found before.
    pub(super) fn find(&mut self, name: &str) -> Option<usize> {
        let wanted = self.wanted;
        let ahead = wanted.get(self.from..).unwrap_or_default().iter().take(AHEAD_MAX);
        let place = match ahead.into_iter().position(|wanted| wanted == name) {
            Some(ahead) => self.from + ahead,
            None => {
                let pairs = || wanted.iter().enumerate().map(|(at, name)| (name.as_str(), at));
                *self.map.get_or_insert_with(|| pairs().collect()).get(name)?
            }
        };
        self.from = place + 1;
        (!std::mem::replace(&mut self.found[place], true)).then_some(place)
    }
}
