//! Durations typed with their unit: `150ms`, `2s`, `1m30s`.
//!
//! Not a bare number: `30` is read as seconds by one reader and milliseconds by the next.
//! [`parse`] serves clap (`value_parser = management::duration::parse`) and, through
//! [`deserialize`], serde (`#[serde(with = "management::duration")]`).

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

#[cfg(test)]
mod tests;

/// What was expected where a duration should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration with its unit, such as 150ms, 2s or 1m")]
pub struct DurationError;

const UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// Reads a duration such as `150ms`, `1.5s` or `1m30s`.
///
/// # Errors
/// [`DurationError`] when a unit is missing or unknown, or the value leaves 64 bits of
/// microseconds.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(DurationError);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(DurationError)?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationError)?.1;
        total = total.checked_add(scaled(number, scale)?).ok_or(DurationError)?;
        rest = next;
    }
    Ok(Duration::from_micros(total))
}

/// Writes a duration so that [`parse`] reads it back, to the microsecond.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, scale) in UNITS.iter().rev() {
        let count = left / scale;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            left %= scale;
        }
    }
    text
}

/// Serde's way in: a string with a unit.
///
/// # Errors
/// The deserializer's error with the text of [`DurationError`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

/// Serde's way out: the same form.
///
/// # Errors
/// Whatever the serializer reports.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// `1.5` times `scale`, exactly, without floating point.
fn scaled(number: &str, scale: u64) -> Result<u64, DurationError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.is_empty() || whole.is_empty() || (number.contains('.') && fraction.is_empty()) {
        return Err(DurationError);
    }
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 6 {
        return Err(DurationError);
    }
    let whole: u64 = whole.parse().map_err(|_| DurationError)?;
    let mut total = whole.checked_mul(scale).ok_or(DurationError)?;
    let mut unit = scale;
    for digit in fraction.bytes() {
        unit /= 10;
        total = total.checked_add(u64::from(digit - b'0') * unit).ok_or(DurationError)?;
    }
    Ok(total)
}
