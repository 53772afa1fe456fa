//! Secrets: redacted by type first, by name and shape as a second net.
//!
//! Redacting by name alone always misses one; a typed secret cannot be printed by accident.

use std::fmt;
use std::path::Path;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

#[cfg(test)]
mod tests;

/// What is shown in place of a secret inside a longer text.
pub const REDACTED: &str = "***";

/// A secret value: prints as `***`, serialises to `{"set":true}`.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Reads a secret from a file, without its trailing line end.
    ///
    /// # Errors
    /// The file's error, or `InvalidData` when it is empty or longer than 64 KiB.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let invalid = |what| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
        if std::fs::metadata(path)?.len() > 64 * 1024 {
            return Err(invalid("a secret is at most 64 KiB"));
        }
        let text = std::fs::read_to_string(path)?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(invalid("the file is empty"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself; the only way to it, so that uses can be searched for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this secret, in time that depends on `given` alone.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        let (ours, given) = (self.0.as_bytes(), given.as_bytes());
        if ours.is_empty() {
            return false;
        }
        let mut difference = u8::from(ours.len() != given.len());
        for (index, byte) in given.iter().enumerate() {
            difference |= byte ^ ours[index % ours.len()];
        }
        std::hint::black_box(difference) == 0
    }
}

// === impl Secret ===

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("set", &!self.0.is_empty())?;
        map.end()
    }
}

/// Whether a name speaks of a secret. The path of a secret's file is none.
#[must_use]
pub fn secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let path = ["file", "path", "dir"].iter().any(|end| name.ends_with(end));
    let marks = ["token", "secret", "password", "passwd", "key", "credential"];
    !path && (name.ends_with("auth") || marks.iter().any(|mark| name.contains(mark)))
}

/// Hides the user information of every URL in a text: `redis://u:p@h` gives `redis://***@h`.
#[must_use]
pub fn redact_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail.find(['/', '?', '#', ' ', '"', '\'']).unwrap_or(tail.len());
        let (authority, next) = tail.split_at(end);
        match authority.rfind('@') {
            Some(sign) => {
                out.push_str(REDACTED);
                out.push_str(&authority[sign..]);
            }
            None => out.push_str(authority),
        }
        rest = next;
    }
    out.push_str(rest);
    out
}

/// Redacts a value of any shape: members with a secret's name, and user information in URLs.
#[must_use]
pub fn redact_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redact_text(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(redact_value).collect()),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let value = match secret_name(&name) && !value.is_null() {
                        true => serde_json::json!({"set": true}),
                        false => redact_value(value),
                    };
                    (name, value)
                })
                .collect(),
        ),
        other => other,
    }
}
