//! JSON over HTTP: every number of a document is a sample named by its path, through a mapping.
//!
//! `{"a": {"b": [1, true]}}` has the samples `a.b.0` (1) and `a.b.1` (1). The document is read
//! from front to back and no tree is made of it; texts and nulls are passed over. What is too deep,
//! too much or too large a number is left out and said so: a part of a document is better than
//! nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tracing::debug;

use crate::config::JsonConfig;
use crate::exposition::{Family, Kind};
use crate::labels::Labels;
use crate::line::escape;
use crate::mapping::{Action, Mapping, MetricType};
use crate::pull::{Asked, Failure, Scraped};

#[cfg(test)]
mod tests;

/// Deepest nesting that is looked into.
pub const DEPTH_MAX: usize = 32;
/// Longest path; what is below a longer one is left out.
pub const PATH_BYTES_MAX: usize = 1024;
/// Most numbers of a document.
pub const NUMBERS_MAX: usize = 200_000;
/// Help of a metric that no rule gives one.
const HELP: &str = "A number of a JSON document";

/// A document that is read again and again.
#[derive(Debug)]
pub struct Json {
    asked: Asked,
    mapping: Arc<Mapping>,
    prefix: String,
    strict: bool,
}

// === impl Json ===

impl Json {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub fn new(config: &JsonConfig, body_bytes_max: usize) -> anyhow::Result<Self> {
        Ok(Self {
            asked: Asked::new(&config.remote, body_bytes_max)?,
            mapping: Arc::clone(&config.mapping),
            prefix: config.prefix.clone(),
            strict: config.strict,
        })
    }

    /// Reads the document.
    ///
    /// # Errors
    /// No answer, or none that is a document.
    pub async fn scrape(&self) -> Result<Scraped, Failure> {
        let body = self.asked.get().await?;
        let (mapping, prefix) = (Arc::clone(&self.mapping), self.prefix.clone());
        let strict = self.strict;
        let read = move || families(&body, &prefix, &mapping, strict);
        // A large document takes longer than other tasks should wait.
        let families = tokio::task::spawn_blocking(read).await;
        let families =
            families.map_err(|error| Failure(format!("reading broke off: {error}")))??;
        Ok(Scraped { families, ..Scraped::default() })
    }
}

/// The families of a document, in the order of their names.
///
/// # Errors
/// It is no JSON.
pub fn families(
    document: &[u8],
    prefix: &str,
    mapping: &Mapping,
    strict: bool,
) -> Result<Vec<Family>, Failure> {
    let mut found: BTreeMap<String, (String, BTreeMap<Labels, f64>)> = BTreeMap::new();
    let left_out = numbers(document, prefix, &mut |path, value| {
        let (name, help, labels, scale) = match mapping.find(path, MetricType::Gauge) {
            Some(mapped) if mapped.rule.action == Action::Drop => return,
            Some(mapped) => {
                let settings = &mapped.rule.settings;
                let labels = mapped.labels.iter().filter(|(name, _)| !name.starts_with("__"));
                let labels = Labels::new(labels.map(|(name, value)| (*name, value.as_str())));
                (mapped.name, settings.help.clone(), labels, settings.scale)
            }
            None if strict => return,
            None => (path.to_owned(), None, Labels::default(), None),
        };
        let name = escape(&name).into_owned();
        if !name.is_empty() {
            let help = || (help.unwrap_or_else(|| HELP.to_owned()), BTreeMap::new());
            let (_, samples) = found.entry(name).or_insert_with(help);
            // Of two with one name and labels the first is as good as any.
            samples.entry(labels).or_insert(value * scale.unwrap_or(1.0));
        }
    })
    .map_err(|error| Failure(format!("no JSON document: {error}")))?;
    if left_out > 0 {
        debug!(left_out, "values past the limits of a document are left out");
    }
    let family = |(name, (help, samples)): (String, (String, BTreeMap<Labels, f64>))| Family {
        name,
        help,
        kind: Kind::Gauge,
        samples: samples.into_iter().collect(),
    };
    Ok(found.into_iter().map(family).collect())
}

/// Calls `each` with path and value of every number and truth value; gives how many values were
/// left out because of a limit.
///
/// # Errors
/// It is no JSON.
pub fn numbers(
    document: &[u8],
    prefix: &str,
    each: &mut dyn FnMut(&str, f64),
) -> Result<u64, serde_json::Error> {
    let (document, left_out) = mend(document);
    let mut walk = Walk { path: prefix.to_owned(), depth: 0, seen: 0, left_out, each };
    let mut deserializer = serde_json::Deserializer::from_slice(&document);
    Step(&mut walk).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(walk.left_out)
}

/// Puts `null` in the place of numbers that are larger than a `f64` can be, for which a parser
/// would refuse the whole document; gives how many there were.
pub(crate) fn mend(document: &[u8]) -> (Cow<'_, [u8]>, u64) {
    let mut mended = Cow::Borrowed(document);
    let (mut at, mut count) = (0, 0);
    while let Some(&byte) = document.get(at) {
        let rest = &document[at..];
        at += match byte {
            b'"' => text_length(rest),
            b'-' | b'0'..=b'9' => {
                let of_number = |byte: &u8| byte.is_ascii_digit() || b".+-eE".contains(byte);
                let length = rest.iter().position(|byte| !of_number(byte)).unwrap_or(rest.len());
                if is_too_large(&rest[..length]) {
                    count += 1;
                    let place = &mut mended.to_mut()[at..at + length];
                    place.fill(b' ');
                    // Nothing shorter is that large.
                    place[..4].copy_from_slice(b"null");
                }
                length
            }
            _ => 1,
        };
    }
    (mended, count)
}

/// The length of a text with its quotes, or of what there is of it.
fn text_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = rest.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if rest[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    rest.len()
}

fn is_too_large(number: &[u8]) -> bool {
    // 308 digits fit.
    (number.len() > 308 || number.iter().any(|byte| matches!(byte, b'e' | b'E')))
        && std::str::from_utf8(number)
            .is_ok_and(|text| text.len() >= 4 && text.parse::<f64>().is_ok_and(f64::is_infinite))
}

struct Walk<'a> {
    path: String,
    depth: usize,
    seen: usize,
    left_out: u64,
    each: &'a mut dyn FnMut(&str, f64),
}

/// The value at the path.
struct Step<'w, 'a>(&'w mut Walk<'a>);

// === impl Walk ===

impl Walk<'_> {
    fn number(&mut self, value: f64) {
        if self.seen == NUMBERS_MAX || self.path.len() > PATH_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        self.seen += 1;
        (self.each)(&self.path, value);
    }

    /// Goes to a member, and gives what the path was before.
    fn enter(&mut self, member: &str) -> usize {
        let before = self.path.len();
        self.depth += 1;
        // Past the limit nothing is read from the path any more, so that it need not grow.
        if before <= PATH_BYTES_MAX {
            if before > 0 {
                self.path.push('.');
            }
            self.path.push_str(member);
        }
        before
    }

    fn leave(&mut self, before: usize) {
        self.path.truncate(before);
        self.depth -= 1;
    }
}

// === impl Step ===

impl<'de> DeserializeSeed<'de> for Step<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.depth > DEPTH_MAX {
            // Passed over in a loop, however deep it is.
            self.0.left_out += 1;
            return IgnoredAny::deserialize(deserializer).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.number(f64::from(u8::from(value)));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.number(value as f64);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.number(value as f64);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.number(value);
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<(), S::Error> {
        let walk = self.0;
        let mut index = 0_usize;
        loop {
            let before = walk.enter(&index.to_string());
            let item = seq.next_element_seed(Step(walk));
            walk.leave(before);
            if item?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let walk = self.0;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let before = walk.enter(&key);
            let value = map.next_value_seed(Step(walk));
            walk.leave(before);
            value?;
        }
        Ok(())
    }
}
