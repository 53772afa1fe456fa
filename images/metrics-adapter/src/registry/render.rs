//! The text of a label set: sorted by name, each name once and a good one, bounded.

use std::borrow::Cow;

use super::cell::Stored;
use crate::labels::{is_name, push_pair};

/// What had to be done to labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) renamed: u64,
    pub(super) cut: u64,
}

/// Renders labels for a series of a kind into `text`, which is emptied first. A label without a
/// value is left out: to a reader of the page it is the same as none, and a series with it would be
/// the one without it a second time.
pub(super) fn render(
    text: &mut String,
    labels: &[(&str, &str)],
    stored: Stored,
    bytes_max: usize,
) -> Tally {
    text.clear();
    let plain = |(name, value): &(&str, &str)| {
        is_name(name, false)
            && !is_reserved(name, stored)
            && !value.is_empty()
            && name.len().max(value.len()) <= bytes_max
    };
    if labels.iter().all(plain) && labels.is_sorted_by(|one, next| one.0 < next.0) {
        for (name, value) in labels {
            push_pair(text, name, value);
        }
        return Tally::default();
    }
    let mut tally = Tally::default();
    let mut sorted: Vec<(Cow<'_, str>, &str)> = Vec::with_capacity(labels.len());
    for (name, value) in labels {
        let (name, value) = (cut(name, bytes_max, &mut tally), cut(value, bytes_max, &mut tally));
        sorted.push((mend(name), value));
    }
    // Stable: of two with one name the later stands later, and wins.
    sorted.sort_by(|one, next| one.0.cmp(&next.0));
    sorted.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = later.1;
        }
        same
    });
    sorted.retain(|(_, value)| !value.is_empty());
    let renamed: Vec<(usize, String)> = sorted
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| is_reserved(name, stored))
        .map(|(at, (name, _))| (at, rename(name, &sorted)))
        .collect();
    tally.renamed = renamed.len() as u64;
    for (at, name) in renamed {
        sorted[at].0 = Cow::Owned(name);
    }
    if tally.renamed > 0 {
        sorted.sort_by(|one, next| one.0.cmp(&next.0));
    }
    for (name, value) in sorted {
        push_pair(text, &name, value);
    }
    tally
}

/// The longest beginning that fits.
pub(super) fn cut<'a>(text: &'a str, bytes_max: usize, tally: &mut Tally) -> &'a str {
    if text.len() <= bytes_max {
        return text;
    }
    tally.cut += 1;
    &text[..text.floor_char_boundary(bytes_max)]
}

fn is_reserved(name: &str, stored: Stored) -> bool {
    name.starts_with("__") || stored.label() == Some(name)
}

/// Puts `exported_` before a name until no other label has it. Two reserved names cannot become the
/// same: none of them begins so.
fn rename(name: &str, sorted: &[(Cow<'_, str>, &str)]) -> String {
    let mut renamed = format!("exported_{name}");
    while sorted.binary_search_by(|(other, _)| (**other).cmp(&*renamed)).is_ok() {
        renamed.insert_str(0, "exported_");
    }
    renamed
}

/// Names come escaped; one that does not would spoil the page.
fn mend(name: &str) -> Cow<'_, str> {
    if is_name(name, false) {
        return Cow::Borrowed(name);
    }
    let good = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let first = name.chars().next().filter(|first| !first.is_ascii_digit());
    let prefix = if first.is_none() { "_" } else { "" };
    Cow::Owned(prefix.chars().chain(name.chars().map(good)).collect())
}
