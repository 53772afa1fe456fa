//! The file as a tree of nodes with lines, read as the Java library reads it.
//!
//! The originals load YAML 1.1 without a schema and cast what they find. A typed reader would refuse
//! what they accept (numbers where texts are meant, keys it does not know), so the tree is generic
//! and each place says what it can use.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use super::JmxConfigError;

/// A file larger than this is a mistake.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A node and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) data: Data,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Null,
    Boolean(bool),
    /// Text, or a number as Java would print it.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// A node with the way to it.
#[derive(Clone, Debug)]
pub(super) struct At<'a> {
    pub(super) node: &'a Node,
    pub(super) key: String,
}

// === impl Node ===

impl Node {
    /// Reads a whole text; an empty one is an empty map.
    pub(super) fn parse(text: &str) -> Result<Self, JmxConfigError> {
        let empty = Self { line: 1, data: Data::Map(Vec::new()) };
        if text.len() > FILE_BYTES_MAX {
            let message = format!("{} bytes, expected at most {FILE_BYTES_MAX}", text.len());
            return Err(JmxConfigError { line: None, key: None, message });
        }
        let blank = |line: &str| {
            let line = line.trim();
            line.is_empty() || line.starts_with('#') || line == "---"
        };
        if text.lines().all(blank) {
            return Ok(empty);
        }
        let mut options = serde_saphyr::Options::default();
        options.duplicate_keys = DuplicateKeyPolicy::LastWins;
        // `yes` and `on` stay texts, and are booleans only where one is expected.
        options.strict_booleans = true;
        let root: Self = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map(|location| location.line());
            let whole = error.without_snippet().to_string();
            let summary = whole.split(" at line ").next().unwrap_or_default();
            JmxConfigError { line, key: None, message: format!("not valid YAML: {summary}") }
        })?;
        match root.data {
            Data::Null => Ok(empty),
            Data::Map(_) => Ok(root),
            _ => Err(root.top().wrong("a map of keys at the top")),
        }
    }

    /// This node as the top of the file.
    pub(super) fn top(&self) -> At<'_> {
        At { node: self, key: String::new() }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Data>::deserialize(deserializer)?;
        Ok(Self { line: referenced.line(), data: value })
    }
}

// === impl Data ===

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any node")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Data, E> {
        Ok(Data::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Data, E> {
        Ok(Data::Scalar(format!("{value:?}")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Data, E> {
        Ok(Data::Scalar(value.to_owned()))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Data, S::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Data::List(items))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Data, M::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Data::Map(entries))
    }
}

// === impl At ===

impl<'a> At<'a> {
    /// The error that this node is not what was expected.
    pub(super) fn wrong(&self, expected: &str) -> JmxConfigError {
        let found = match &self.node.data {
            Data::Null => "nothing".to_owned(),
            Data::Boolean(value) => format!("`{value}`"),
            Data::Scalar(text) if self.key.to_ascii_lowercase().contains("password") => {
                format!("a secret of {} bytes", text.len())
            }
            Data::Scalar(text) => format!("`{}`", text.chars().take(80).collect::<String>()),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a map".to_owned(),
        };
        self.error(format!("found {found}, expected {expected}"))
    }

    /// An error about this node.
    pub(super) fn error(&self, message: impl Into<String>) -> JmxConfigError {
        let key = (!self.key.is_empty()).then(|| self.key.clone());
        JmxConfigError { line: Some(self.node.line), key, message: message.into() }
    }

    /// A member of a map; a node that is no map has none.
    pub(super) fn member(&self, name: &str) -> Option<Self> {
        let Data::Map(entries) = &self.node.data else { return None };
        // The last of several keys wins, as it does where nobody checks.
        let (_, node) = entries.iter().rev().find(|(key, _)| key == name)?;
        Some(At { node, key: self.below(name) })
    }

    /// A member that is there and not null.
    pub(super) fn some(&self, name: &str) -> Option<Self> {
        self.member(name).filter(|at| !matches!(at.node.data, Data::Null))
    }

    /// A member that must be a map, if it is there.
    pub(super) fn map(&self, name: &str) -> Result<Option<Self>, JmxConfigError> {
        match self.some(name) {
            Some(at) if !matches!(at.node.data, Data::Map(_)) => Err(at.wrong("a map")),
            at => Ok(at),
        }
    }

    /// A member that must be a text or number, if it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, JmxConfigError> {
        self.some(name).map(|at| at.as_text()).transpose()
    }

    /// A member that must be a boolean, if it is there.
    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, JmxConfigError> {
        self.some(name).map(|at| at.as_boolean()).transpose()
    }

    /// A member that must be a whole number within bounds, if it is there.
    pub(super) fn whole(
        &self,
        name: &str,
        min: u32,
        max: u32,
    ) -> Result<Option<u32>, JmxConfigError> {
        let Some(at) = self.some(name) else { return Ok(None) };
        let expected = match max {
            MAX => format!("a whole number of at least {min}"),
            max => format!("a whole number from {min} to {max}"),
        };
        let value = at.as_text().ok().and_then(|text| text.trim().parse::<u32>().ok());
        match value {
            Some(value) if (min..=max).contains(&value) => Ok(Some(value)),
            _ => Err(at.wrong(&expected)),
        }
    }

    /// The text of a scalar.
    pub(super) fn as_text(&self) -> Result<String, JmxConfigError> {
        match &self.node.data {
            Data::Scalar(text) => Ok(text.clone()),
            Data::Boolean(value) => Ok(value.to_string()),
            _ => Err(self.wrong("a text")),
        }
    }

    /// A boolean of YAML 1.1.
    pub(super) fn as_boolean(&self) -> Result<bool, JmxConfigError> {
        let text = match &self.node.data {
            Data::Boolean(value) => return Ok(*value),
            Data::Scalar(text) => text.as_str(),
            _ => "",
        };
        match text {
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => Ok(true),
            "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// The items of a list.
    pub(super) fn as_list(&self) -> Result<Vec<Self>, JmxConfigError> {
        let Data::List(items) = &self.node.data else { return Err(self.wrong("a list")) };
        let item = |(index, node)| At { node, key: format!("{}[{index}]", self.key) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// The entries of a map in their order; the last of several keys wins.
    pub(super) fn as_map(&self) -> Result<Vec<(&'a str, Self)>, JmxConfigError> {
        let Data::Map(entries) = &self.node.data else { return Err(self.wrong("a map")) };
        let mut out: Vec<(&str, Self)> = Vec::with_capacity(entries.len());
        for (name, node) in entries {
            out.retain(|(earlier, _)| earlier != name);
            out.push((name, At { node, key: self.below(name) }));
        }
        Ok(out)
    }

    /// A list, or a text with commas.
    pub(super) fn as_words(&self) -> Result<Vec<String>, JmxConfigError> {
        let words = match &self.node.data {
            Data::List(_) => {
                self.as_list()?.iter().map(Self::as_text).collect::<Result<Vec<_>, _>>()?
            }
            _ => self.as_text()?.split(',').map(str::to_owned).collect(),
        };
        Ok(words
            .iter()
            .map(|word| word.trim().to_owned())
            .filter(|word| !word.is_empty())
            .collect())
    }

    fn below(&self, name: &str) -> String {
        match self.key.as_str() {
            "" => name.to_owned(),
            key => format!("{key}.{name}"),
        }
    }
}

/// No upper bound but that of Java's `int`.
pub(super) const MAX: u32 = i32::MAX as u32;
