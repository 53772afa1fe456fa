//! Values of a mapping file: numbers, times, words.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_saphyr::Spanned;

use crate::line::number;
use crate::mapping::MappingError;

/// What was found is shown up to here.
const SHOWN_CHARS_MAX: usize = 80;

/// Reads values and knows where they stand, for messages.
pub(super) struct Reader {
    path: String,
}

type Text = Spanned<String>;

// === impl Reader ===

impl Reader {
    pub(super) fn new(path: String) -> Self {
        Self { path }
    }

    /// For the keys below one.
    pub(super) fn below(&self, key: &str) -> Self {
        Self { path: self.key(key) }
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    pub(super) fn wrong(&self, key: &str, found: &Text, expected: &str) -> MappingError {
        self.wrong_at(Some(found.referenced.line()), key, &found.value, expected)
    }

    pub(super) fn wrong_at(
        &self,
        line: Option<u64>,
        key: &str,
        found: &str,
        expected: &str,
    ) -> MappingError {
        let shown: String = found.chars().take(SHOWN_CHARS_MAX).collect();
        let dots = if shown.len() < found.len() { "…" } else { "" };
        let message = format!("found `{shown}{dots}`, expected {expected}");
        MappingError::new(line, Some(self.key(key)), message)
    }

    pub(super) fn missing(&self, line: u64, key: &str, expected: &str) -> MappingError {
        let message = format!("found nothing, expected {expected}");
        MappingError::new(Some(line), Some(self.key(key)), message)
    }

    pub(super) fn wrong_or_missing(
        &self,
        key: &str,
        found: Option<&Text>,
        line: u64,
        expected: &str,
    ) -> MappingError {
        match found {
            Some(found) => self.wrong(key, found, expected),
            None => self.missing(line, key, expected),
        }
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        text: Option<&Text>,
        words: &[(&str, T)],
    ) -> Result<Option<T>, MappingError> {
        let Some(text) = text else { return Ok(None) };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text.value) {
            return Ok(Some(*meaning));
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        Err(self.wrong(key, text, &words.join(" or ")))
    }

    /// YAML 1.1 has more words for it than true and false.
    pub(super) fn boolean(&self, key: &str, text: Option<&Text>) -> Result<bool, MappingError> {
        let Some(text) = text else { return Ok(false) };
        match text.value.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "on" => Ok(true),
            "false" | "no" | "n" | "off" => Ok(false),
            _ => Err(self.wrong(key, text, "true or false")),
        }
    }

    pub(super) fn number(&self, key: &str, text: &Text) -> Result<f64, MappingError> {
        yaml_number(&text.value).ok_or_else(|| self.wrong(key, text, "a number"))
    }

    pub(super) fn finite(&self, key: &str, text: &Text) -> Result<f64, MappingError> {
        let value = self.number(key, text)?;
        if value.is_finite() { Ok(value) } else { Err(self.wrong(key, text, "a finite number")) }
    }

    pub(super) fn within(
        &self,
        key: &str,
        text: &Text,
        range: RangeInclusive<f64>,
    ) -> Result<f64, MappingError> {
        let value = self.number(key, text)?;
        let expected = || format!("a number from {} to {}", range.start(), range.end());
        range.contains(&value).then_some(value).ok_or_else(|| self.wrong(key, text, &expected()))
    }

    /// A whole number from 0 to `max`; 0, or nothing, leaves `value` as it is.
    pub(super) fn count(
        &self,
        key: &str,
        text: Option<&Text>,
        max: u32,
        value: &mut u32,
    ) -> Result<(), MappingError> {
        let Some(text) = text else { return Ok(()) };
        let found = yaml_number(&text.value)
            .filter(|found| found.fract() == 0.0 && (0.0..=f64::from(max)).contains(found));
        let expected = || format!("a whole number from 0 to {max}");
        let found = found.ok_or_else(|| self.wrong(key, text, &expected()))?;
        if found > 0.0 {
            *value = found as u32;
        }
        Ok(())
    }

    /// A time as Go writes it (`1h30m`, `1.5s`); a number alone is nanoseconds.
    pub(super) fn duration(&self, key: &str, text: &Text) -> Result<Duration, MappingError> {
        let value = &text.value;
        let nanoseconds = match value.parse::<u64>() {
            Ok(nanoseconds) => Some(Duration::from_nanos(nanoseconds)),
            Err(_) => go_duration(value),
        };
        nanoseconds.ok_or_else(|| self.wrong(key, text, "a time such as 90s, 10m or 1h30m"))
    }
}

/// YAML's own spellings, then what Go takes.
fn yaml_number(text: &str) -> Option<f64> {
    let unsigned = text.trim_start_matches(['+', '-']);
    match unsigned {
        ".inf" | ".Inf" | ".INF" if text.starts_with('-') => return Some(f64::NEG_INFINITY),
        ".inf" | ".Inf" | ".INF" => return Some(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        // Words are texts in YAML.
        _ if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') => return None,
        _ => {}
    }
    number(text.as_bytes())
}

/// At least one number with a unit; no sign but `+`, since no time here may be negative.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut seconds = 0.0;
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (value, tail) = rest.split_at(unit);
        let next = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(next);
        let unit_seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number(value.as_bytes())? * unit_seconds;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
}
