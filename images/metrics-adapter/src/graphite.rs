//! Graphite plaintext: `path value [timestamp]`, with carbon tags (`path;k=v`). Pure.
//!
//! As in `graphite_exporter` a line is a gauge, its dotted path goes through a mapping, and a bad
//! tag does not spoil the others. As in carbon, fields are divided by any blanks, a carriage return
//! ends a line, and the time may be missing or `-1`. The time only says how old a sample is; it
//! never gets onto the page.
//!
//! `NaN` is refused, as carbon does: its senders mean "nothing measured", and a gauge that says so
//! would hide the last value that was. Infinities are values.

use std::borrow::Cow;

use crate::line::{Tag, escape, number};

#[cfg(test)]
mod tests;

/// A longer path with its tags is refused.
pub const PATH_BYTES_MAX: usize = 4096;

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Graphite<'a> {
    /// Path without tags, not escaped, not mapped; never empty.
    pub name: &'a str,
    /// Tags in their order, names escaped. Of two with one name the last wins.
    pub tags: Vec<Tag<'a>>,
    /// Tags that were none: no `=`, or nothing before or after it.
    pub bad_tags: usize,
    /// The value; not `NaN`.
    pub value: f64,
    /// Seconds since 1970; `None` for now.
    pub timestamp: Option<u64>,
}

/// Why a line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not two or three fields, no path, or no UTF-8.
    MalformedLine,
    /// The path is longer than [`PATH_BYTES_MAX`].
    TooLong,
    /// The value is no number.
    MalformedValue,
    /// The value is `NaN`.
    NotANumber,
    /// The time is no number of seconds.
    MalformedTimestamp,
}

// === impl Reason ===

impl Reason {
    /// The value of a label `reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedLine => "malformed_line",
            Self::TooLong => "too_long",
            Self::MalformedValue => "malformed_value",
            Self::NotANumber => "not_a_number",
            Self::MalformedTimestamp => "malformed_timestamp",
        }
    }
}

/// Reads one line, without its line feed. A blank line is `Ok(None)`.
///
/// # Errors
/// [`Reason`].
pub fn parse(line: &[u8]) -> Result<Option<Graphite<'_>>, Reason> {
    let line = std::str::from_utf8(line).map_err(|_| Reason::MalformedLine)?;
    let mut fields = line.split([' ', '\t', '\r']).filter(|field| !field.is_empty());
    let Some(path) = fields.next() else { return Ok(None) };
    let value = fields.next().ok_or(Reason::MalformedLine)?;
    let timestamp = fields.next();
    if fields.next().is_some() {
        return Err(Reason::MalformedLine);
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(Reason::TooLong);
    }
    let mut parts = path.split(';');
    let name = parts.next().filter(|name| !name.is_empty()).ok_or(Reason::MalformedLine)?;
    let mut tags: Vec<Tag<'_>> = Vec::new();
    let mut bad_tags = 0;
    for part in parts {
        match part.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                tags.push((escape(key), value));
            }
            _ => bad_tags += 1,
        }
    }
    let value = number(value.as_bytes()).ok_or(Reason::MalformedValue)?;
    if value.is_nan() {
        return Err(Reason::NotANumber);
    }
    let timestamp = timestamp.map_or(Ok(None), time)?;
    Ok(Some(Graphite { name, tags, bad_tags, value, timestamp }))
}

/// Seconds, perhaps with a fraction; `-1` and `N` mean now.
fn time(text: &str) -> Result<Option<u64>, Reason> {
    if matches!(text, "-1" | "N") {
        return Ok(None);
    }
    let seconds = number(text.as_bytes()).filter(|seconds| *seconds >= 0.0 && seconds.is_finite());
    seconds.map(|seconds| Some(seconds as u64)).ok_or(Reason::MalformedTimestamp)
}

/// Makes a metric name of a path that no rule maps: `[a-zA-Z0-9_:]` stays, every other character
/// becomes `_`, and a leading digit gets one before it. Unlike in statsd a colon is a character of
/// names, and dashes do not melt into one.
#[must_use]
pub fn escape_path(path: &str) -> Cow<'_, str> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    let digit = path.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if !digit && path.bytes().all(good) {
        return Cow::Borrowed(path);
    }
    let escaped = path.chars().map(|c| if c.is_ascii() && good(c as u8) { c } else { '_' });
    Cow::Owned(digit.then_some('_').into_iter().chain(escaped).collect())
}
