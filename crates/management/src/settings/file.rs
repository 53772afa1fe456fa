//! Settings of a YAML file: flag names, values as text, lines.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::{ConfigError, Place};

/// A configuration file larger than this is a mistake.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What a file says about flags.
#[derive(Clone, Debug, Default)]
pub struct FileSettings {
    /// The file, for messages.
    pub path: PathBuf,
    /// Values by long flag name, without dashes.
    pub values: BTreeMap<String, FileValue>,
}

/// One setting of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileValue {
    /// One text for a scalar, several for a list.
    pub values: Vec<String>,
    /// Where it stands, from 1.
    pub line: Option<u64>,
}

// === impl FileSettings ===

impl FileSettings {
    pub(crate) fn place(&self, line: Option<u64>) -> Place {
        Place::File(self.path.clone(), line)
    }

    /// The last value of a setting, with its place.
    pub(crate) fn value_of(&self, name: &str) -> Option<(Place, String)> {
        let value = self.values.get(name)?;
        Some((self.place(value.line), value.values.last()?.clone()))
    }
}

/// Reads and parses a file of plain `flag: value` lines.
///
/// # Errors
/// The file cannot be read, is larger than 4 MiB, or is not such a file.
pub fn yaml_settings_file(path: &Path) -> Result<FileSettings, ConfigError> {
    let place = || Place::File(path.to_owned(), None);
    let failed = |error| ConfigError::message(place(), format!("reading the file: {error}"));
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        let expected = format!("at most {FILE_BYTES_MAX} bytes");
        return Err(ConfigError::new(place(), None, &length.to_string(), expected));
    }
    yaml_settings(path, &std::fs::read_to_string(path).map_err(failed)?)
}

/// Parses the text of a file whose top level is flag names with a scalar or a list of scalars.
///
/// # Errors
/// The text is not YAML, or a value is a mapping.
pub fn yaml_settings(path: &Path, text: &str) -> Result<FileSettings, ConfigError> {
    let place = |line| Place::File(path.to_owned(), line);
    let mut settings = FileSettings { path: path.to_owned(), values: BTreeMap::new() };
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(blank) {
        return Ok(settings);
    }
    let nodes: BTreeMap<String, Spanned<Node>> = serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map(|location| location.line());
        // The line is said by the place, and advice to programmers helps no operator.
        let whole = error.without_snippet().to_string();
        let summary = whole.split(" at line ").next().unwrap_or_default();
        let summary = summary.split(", set ").next().unwrap_or_default();
        ConfigError::message(place(line), format!("not valid YAML: {summary}"))
    })?;
    for (name, node) in nodes {
        let line = Some(node.referenced.line());
        let values = match node.value {
            Node::Scalar(value) => vec![value],
            Node::List(values) => values,
            Node::Null => continue,
            Node::Mapping => {
                let expected = "a value or a list of values";
                return Err(ConfigError::new(place(line), Some(&name), "a mapping", expected));
            }
        };
        settings.values.insert(name, FileValue { values, line });
    }
    Ok(settings)
}

/// A node as far as settings have use for one.
enum Node {
    Null,
    Scalar(String),
    List(Vec<String>),
    Mapping,
}

// === impl Node ===

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_owned()))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Node, S::Error> {
        let mut values = Vec::new();
        while let Some(node) = seq.next_element::<Node>()? {
            match node {
                Node::Scalar(value) => values.push(value),
                Node::Null => values.push(String::new()),
                Node::List(_) | Node::Mapping => {
                    return Err(serde::de::Error::custom("expected a list of plain values"));
                }
            }
        }
        Ok(Node::List(values))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Node, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Node::Mapping)
    }
}
