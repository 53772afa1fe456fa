//! Match strings: what patterns are compared with, and which of them can fit.

use std::fmt::Write;

use crate::rules::names::snake_case;
use crate::rules::sieve::{Scan, Sieve};
use crate::rules::walk::{BeanText, Place, Scalar};

/// What a rule with `cache` sees in place of the value.
const CACHED_VALUE: &str = "<cache>";

/// Rules that see the same match string.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) snake: bool,
    pub(super) cache: bool,
    pub(super) sieve: Option<Sieve>,
    pub(super) text: String,
    /// Where the value begins.
    pub(super) split: usize,
    pub(super) one_line: bool,
    pub(super) scan: Scan,
}

// === impl Variant ===

impl Variant {
    pub(super) fn new(snake: bool, cache: bool) -> Self {
        let scan = Scan::default();
        Self { snake, cache, sieve: None, text: String::new(), split: 0, one_line: true, scan }
    }

    /// Writes the match string.
    pub(super) fn write(&mut self, bean: &BeanText, place: &Place<'_>, scalar: Scalar<'_>) {
        let text = &mut self.text;
        text.clear();
        text.push_str(&bean.angled);
        text.push('<');
        for (index, key) in place.keys.iter().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            text.push_str(key);
        }
        text.push('>');
        match self.snake {
            true => text.push_str(&snake_case(place.attribute)),
            false => text.push_str(place.attribute),
        }
        text.push_str(": ");
        self.split = text.len();
        match self.cache {
            true => text.push_str(CACHED_VALUE),
            false => {
                let _ = write!(text, "{scalar}");
            }
        }
        self.one_line = !text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
    }

    pub(super) fn search(&mut self, blind: bool) {
        match &mut self.sieve {
            Some(sieve) => sieve.scan(&self.text, self.split, blind, &mut self.scan),
            None => {
                const ALL: usize = 1 << 14;
                self.scan.found.fill(ALL);
                self.scan.early.clear(ALL);
                self.scan.touching.fill(ALL);
            }
        }
    }
}
