//! YAML as a tree that knows its lines, and a reader of its mappings that leaves no key unread.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use management::{ConfigError, Place, Secret, Strings};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A file larger than this is a mistake.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A part of a file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Line, from 1.
    pub(crate) line: u64,
    pub(crate) value: Tree,
}

/// What stands there.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// A mapping whose keys are asked for one by one.
pub(crate) struct Section<'a> {
    file: &'a Path,
    /// Keys on the way here, such as `inputs[2]`.
    at: String,
    entries: &'a [(String, Node)],
    asked: Vec<&'static str>,
}

/// Reads a whole file as text.
pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    let place = || Place::File(path.to_owned(), None);
    let failed = |error| ConfigError::message(place(), format!("reading the file: {error}"));
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        let expected = format!("at most {FILE_BYTES_MAX} bytes");
        return Err(ConfigError::new(place(), None, &length.to_string(), expected));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// Parses a text whose top level is a mapping, or nothing.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Node, ConfigError> {
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(blank) {
        return Ok(Node { line: 1, value: Tree::Map(Vec::new()) });
    }
    let spanned: Spanned<Tree> = serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map(|location| location.line());
        let whole = error.without_snippet().to_string();
        let summary = whole.split(" at line ").next().unwrap_or_default();
        let place = Place::File(path.to_owned(), line);
        ConfigError::message(place, format!("not valid YAML: {summary}"))
    })?;
    Ok(Node::from(spanned))
}

// === impl Node ===

impl From<Spanned<Tree>> for Node {
    fn from(spanned: Spanned<Tree>) -> Self {
        Self { line: spanned.referenced.line(), value: spanned.value }
    }
}

impl Node {
    fn what(&self) -> &str {
        match &self.value {
            Tree::Null => "nothing",
            Tree::Scalar(text) => text,
            Tree::List(_) => "a list",
            Tree::Map(_) => "a mapping",
        }
    }
}

// === impl Section ===

impl<'a> Section<'a> {
    /// The mapping at a node; `at` is how keys lead there.
    pub(crate) fn new(
        file: &'a Path,
        at: impl Into<String>,
        node: &'a Node,
    ) -> Result<Self, ConfigError> {
        let at = at.into();
        let entries: &[_] = match &node.value {
            Tree::Map(entries) => entries,
            Tree::Null => &[],
            _ => {
                let place = Place::File(file.to_owned(), Some(node.line));
                return Err(ConfigError::new(place, Some(&at), node.what(), "a mapping"));
            }
        };
        Ok(Self { file, at, entries, asked: Vec::new() })
    }

    /// All keys with what stands there; they count as asked for.
    pub(crate) fn entries(&self) -> &'a [(String, Node)] {
        self.entries
    }

    pub(crate) fn file(&self) -> &'a Path {
        self.file
    }

    pub(crate) fn key(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    pub(crate) fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        let entry = self.entries.iter().find(|(name, _)| name == key);
        entry.map(|(_, node)| node).filter(|node| !matches!(node.value, Tree::Null))
    }

    /// `found` at `key`, where `expected` should have been.
    pub(crate) fn wrong(&self, key: &str, node: &Node, expected: impl Into<String>) -> ConfigError {
        let place = Place::File(self.file.to_owned(), Some(node.line));
        ConfigError::new(place, Some(&self.key(key)), node.what(), expected)
    }

    /// As [`Section::wrong`], with what was found.
    pub(crate) fn wrong_text(
        &self,
        key: &str,
        node: &Node,
        found: &str,
        expected: &str,
    ) -> ConfigError {
        let place = Place::File(self.file.to_owned(), Some(node.line));
        ConfigError::new(place, Some(&self.key(key)), found, expected)
    }

    /// A sentence about this section.
    pub(crate) fn refused(&self, node: &Node, message: &str) -> ConfigError {
        let place = Place::File(self.file.to_owned(), Some(node.line));
        ConfigError::message(place, format!("{}: {message}", self.at))
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Result<Option<&'a str>, ConfigError> {
        match self.node(key) {
            None => Ok(None),
            Some(Node { value: Tree::Scalar(text), .. }) => Ok(Some(text)),
            Some(node) => Err(self.wrong(key, node, "a text")),
        }
    }

    /// A text that must be there.
    pub(crate) fn required(
        &mut self,
        key: &'static str,
        node: &Node,
        expected: &str,
    ) -> Result<&'a str, ConfigError> {
        self.text(key)?.ok_or_else(|| {
            let place = Place::File(self.file.to_owned(), Some(node.line));
            ConfigError::message(
                place,
                format!("{}: is missing, expected {expected}", self.key(key)),
            )
        })
    }

    /// One text or a list of them.
    pub(crate) fn texts(&mut self, key: &'static str) -> Result<Vec<String>, ConfigError> {
        let Some(node) = self.node(key) else { return Ok(Vec::new()) };
        match &node.value {
            Tree::Scalar(text) if text.is_empty() => Ok(Vec::new()),
            Tree::Scalar(text) => Ok(vec![text.clone()]),
            Tree::List(items) => items
                .iter()
                .map(|item| match &item.value {
                    Tree::Scalar(text) => Ok(text.clone()),
                    _ => Err(self.wrong(key, item, "a text")),
                })
                .collect(),
            _ => Err(self.wrong(key, node, "a text or a list of texts")),
        }
    }

    /// The items of a list.
    pub(crate) fn items(&mut self, key: &'static str) -> Result<&'a [Node], ConfigError> {
        match self.node(key) {
            None => Ok(&[]),
            Some(Node { value: Tree::List(items), .. }) => Ok(items),
            Some(node) => Err(self.wrong(key, node, "a list")),
        }
    }

    /// A value that `read` understands.
    pub(crate) fn value<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(node) = self.node(key) else { return Ok(None) };
        let read = match &node.value {
            Tree::Scalar(text) => read(text),
            _ => None,
        };
        read.map(Some).ok_or_else(|| self.wrong(key, node, expected))
    }

    pub(crate) fn number(
        &mut self,
        key: &'static str,
        from: u64,
        to: u64,
    ) -> Result<Option<u64>, ConfigError> {
        let expected = format!("a number from {from} to {to}");
        self.value(key, &expected, |text| {
            text.parse().ok().filter(|number| (from..=to).contains(number))
        })
    }

    pub(crate) fn truth(&mut self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        self.value(key, "true or false", truth)
    }

    pub(crate) fn duration(&mut self, key: &'static str) -> Result<Option<Duration>, ConfigError> {
        self.value(key, "a duration such as 10s", |text| management::duration::parse(text).ok())
    }

    /// A path, taken from the folder of this file.
    pub(crate) fn path(&mut self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        Ok(self.text(key)?.map(|path| folder.join(path)))
    }

    /// A secret: `key` with the value or `${VARIABLE}`, or `key-file` with the path of a file.
    pub(crate) fn secret(
        &mut self,
        key: &'static str,
        key_file: &'static str,
        env: &dyn Strings,
    ) -> Result<Option<Secret>, ConfigError> {
        let (inline, file) = (self.node(key), self.node(key_file));
        if let (Some(_), Some(node)) = (inline, file) {
            return Err(self.refused(node, &format!("{key} and {key_file} exclude each other")));
        }
        if let Some(node) = file {
            let Some(path) = self.path(key_file)? else { return Ok(None) };
            return Secret::read(&path).map(Some).map_err(|error| {
                self.refused(node, &format!("{key_file}: reading {}: {error}", path.display()))
            });
        }
        let Some(node) = inline else { return Ok(None) };
        let Tree::Scalar(text) = &node.value else {
            return Err(self.refused(node, &format!("{key} is not a text")));
        };
        let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
            return Ok(Some(Secret::from(text.clone())));
        };
        match env.get(name).filter(|value| !value.is_empty()) {
            Some(value) => Ok(Some(Secret::from(value))),
            None => Err(self.wrong(key, node, "the name of a variable that is set")),
        }
    }

    /// Refuses keys that nobody asked for.
    pub(crate) fn finish(self) -> Result<(), ConfigError> {
        match self.entries.iter().find(|(name, _)| !self.asked.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, node)) => {
                let place = Place::File(self.file.to_owned(), Some(node.line));
                let at = (!self.at.is_empty()).then_some(self.at.as_str());
                let expected = format!("one of {}", self.asked.join(", "));
                Err(ConfigError::new(place, at, name, expected))
            }
        }
    }
}

pub(crate) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

// === impl Tree ===

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_owned()))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Tree, S::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Tree>>()? {
            items.push(Node::from(item));
        }
        Ok(Tree::List(items))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Tree, M::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Spanned<Tree>>()? {
            entries.push((key, Node::from(value)));
        }
        Ok(Tree::Map(entries))
    }
}
