//! Tags in names and after values, and how names are escaped.

use std::borrow::Cow;

use super::{Dialects, Tag};

/// Collects tags and counts what is none.
#[derive(Default)]
pub(super) struct TagReader<'a> {
    pub(super) tags: Vec<Tag<'a>>,
    pub(super) bad: usize,
}

// === impl TagReader ===

impl<'a> TagReader<'a> {
    /// Takes the tags out of a name. The first dialect that finds some ends it: SignalFX, then
    /// whichever of `#` and `,` comes first.
    pub(super) fn name(&mut self, head: &'a str, dialects: Dialects) -> Cow<'a, str> {
        if dialects.signalfx {
            match (head.find('['), head.find(']')) {
                (None, None) => {}
                (Some(open), Some(close)) if open < close => {
                    self.list(&head[open + 1..close], '=');
                    let (before, after) = (&head[..open], &head[close + 1..]);
                    return match (before, after) {
                        (name, "") | ("", name) => Cow::Borrowed(name),
                        _ => Cow::Owned([before, after].concat()),
                    };
                }
                _ => {
                    self.bad += 1;
                    return Cow::Borrowed(head);
                }
            }
        }
        let opens = |c| c == '#' && dialects.librato || c == ',' && dialects.influxdb;
        let Some(at) = head.find(opens) else { return Cow::Borrowed(head) };
        self.list(&head[at + 1..], '=');
        Cow::Borrowed(&head[..at])
    }

    /// Tags between commas. A trailing comma is no tag; an empty one before it is a bad one.
    pub(super) fn list(&mut self, list: &'a str, separator: char) {
        if list.is_empty() {
            return;
        }
        for tag in list.strip_suffix(',').unwrap_or(list).split(',') {
            // Some clients repeat the hash before every tag.
            let tag = if separator == ':' { tag.strip_prefix('#').unwrap_or(tag) } else { tag };
            match tag.split_once(separator) {
                Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                    self.tags.push((escape(key), value));
                }
                _ => self.bad += 1,
            }
        }
    }
}

/// Makes a metric or label name: `[a-zA-Z0-9_]` stays, a run of `-` becomes one `_`, every other
/// character `_`, and a leading digit gets one before it.
#[must_use]
pub fn escape(name: &str) -> Cow<'_, str> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let digit = name.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if !digit && name.bytes().all(good) {
        return Cow::Borrowed(name);
    }
    let mut escaped = String::with_capacity(name.len() + 1);
    if digit {
        escaped.push('_');
    }
    let mut dash = false;
    for c in name.chars() {
        match c {
            '-' if dash => {}
            c if c.is_ascii() && good(c as u8) => escaped.push(c),
            _ => escaped.push('_'),
        }
        dash = c == '-';
    }
    Cow::Owned(escaped)
}
