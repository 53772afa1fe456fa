//! From the value of an attribute to the scalars in it: composite data become keys, the rows of
//! tabular data become properties of the bean.

use std::fmt::{self, Write};
use std::sync::Arc;

use super::date;
use crate::jmx::{Number, ObjectName, Value};

/// Deepest nesting of composite and tabular data; what lies deeper is not looked at.
const DEPTH_MAX: usize = 32;
/// Most properties of a bean, those included that rows add. A bean or a row with more is left out,
/// and counted: properties are compared with each other one by one.
const PROPERTIES_MAX: usize = 128;

/// What match strings and default names need of a bean.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BeanText {
    pub(super) domain: Box<str>,
    /// `domain<key=value, key2=value2>`.
    pub(super) angled: Box<str>,
    pub(super) properties: Vec<(String, String)>,
}

/// Columns of a table with their values.
type Row = Vec<(String, Value)>;

/// Where a scalar was found.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) bean: &'a Arc<BeanText>,
    /// Properties that rows of tabular data have added.
    pub(super) rows: &'a [(String, String)],
    pub(super) keys: &'a [&'a str],
    pub(super) attribute: &'a str,
    pub(super) description: Option<&'a str>,
    /// Tells the place from others of the bean; `None` where names are too odd for that.
    pub(super) path: Option<&'a str>,
}

/// A value that rules can see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Number(&'a Number),
    /// A date: seconds since 1970, which the original takes for a `Double`.
    Seconds(f64),
    Boolean(bool),
    Text(&'a str),
}

/// Walks through the attributes of one bean.
pub(super) struct Walk<'a, 'v> {
    bean: &'a Arc<BeanText>,
    visit: &'v mut dyn FnMut(&Place<'_>, Scalar<'_>),
    rows: Vec<(String, String)>,
    keys: Vec<&'a str>,
    path: String,
    /// How many names on the way would make the path ambiguous.
    odd: usize,
    /// Attributes and rows left out because of [`PROPERTIES_MAX`].
    refused: u64,
}

// === impl BeanText ===

impl BeanText {
    pub(super) fn new(name: &ObjectName) -> Self {
        let properties: Vec<_> =
            name.properties().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self::with(name.domain(), properties)
    }

    /// The bean with what rows have added.
    pub(super) fn extended(&self, rows: &[(String, String)]) -> Self {
        Self::with(&self.domain, self.properties.iter().chain(rows).cloned().collect())
    }

    fn with(domain: &str, properties: Vec<(String, String)>) -> Self {
        let mut angled = format!("{domain}<");
        for (index, (key, value)) in properties.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(angled, "{comma}{key}={value}");
        }
        angled.push('>');
        Self { domain: domain.into(), angled: angled.into(), properties }
    }

    /// Bytes of its texts, about.
    pub(super) fn weight(&self) -> usize {
        let each = |(key, value): &(String, String)| {
            key.len() + value.len() + size_of::<(String, String)>()
        };
        let properties: usize = self.properties.iter().map(each).sum();
        size_of::<Self>() + self.domain.len() + self.angled.len() + properties
    }

    pub(super) fn property(&self, key: &str) -> Option<&str> {
        self.properties.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

// === impl Scalar ===

impl Scalar<'_> {
    /// Bytes of what it is written as, as far as it may be long.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number(Number::Big(text)) => text.len(),
            Self::Number(_) | Self::Seconds(_) | Self::Boolean(_) => 0,
        }
    }

    /// The number, with 1 and 0 for truth values.
    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number.as_f64()),
            Self::Seconds(seconds) => Some(seconds),
            Self::Boolean(value) => Some(f64::from(u8::from(value))),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Seconds(seconds) => Number::Double(*seconds).fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// `toString()` of a value, as far as labels need it. A date is written as a JVM in UTC writes it;
/// in which zone the other side is, nothing tells.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Boolean(value) => Some(value.to_string()),
        Value::Date(millis) => Some(date::text(*millis)),
        Value::Null
        | Value::Composite { .. }
        | Value::Tabular { .. }
        | Value::Array
        | Value::Other(_) => None,
    }
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

// === impl Walk ===

impl<'a, 'v> Walk<'a, 'v> {
    pub(super) fn new(
        bean: &'a Arc<BeanText>,
        visit: &'v mut dyn FnMut(&Place<'_>, Scalar<'_>),
    ) -> Self {
        let (rows, keys, path) = (Vec::new(), Vec::new(), String::new());
        Self { bean, visit, rows, keys, path, odd: 0, refused: 0 }
    }

    /// Visits all scalars of an attribute.
    pub(super) fn attribute(&mut self, name: &'a str, description: &'a str, value: &'a Value) {
        if self.bean.properties.len() > PROPERTIES_MAX {
            self.refused += 1;
            return;
        }
        self.value(name, Some(description), value, 0);
    }

    /// Attributes and rows that were left out.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    fn value(
        &mut self,
        name: &'a str,
        description: Option<&'a str>,
        value: &'a Value,
        depth: usize,
    ) {
        let scalar = match value {
            Value::Number(number) => Scalar::Number(number),
            Value::Boolean(value) => Scalar::Boolean(*value),
            Value::Date(millis) => Scalar::Seconds(seconds(*millis)),
            Value::Text(text) => Scalar::Text(text),
            Value::Null | Value::Array | Value::Other(_) => return,
            Value::Composite { description, entries } if depth < DEPTH_MAX => {
                return self.composite(name, description.as_deref(), entries, depth);
            }
            Value::Tabular { description, index, rows } if depth < DEPTH_MAX => {
                return self.tabular(name, description.as_deref(), (index, rows), depth);
            }
            Value::Composite { .. } | Value::Tabular { .. } => return,
        };
        let (length, odd) = self.push(name);
        let place = Place {
            bean: self.bean,
            rows: &self.rows,
            keys: &self.keys,
            attribute: name,
            // What says no more than the name is none.
            description: description.filter(|text| !text.is_empty() && *text != name),
            path: (self.odd == 0).then_some(self.path.as_str()),
        };
        (self.visit)(&place, scalar);
        self.pop(length, odd);
    }

    /// Visits the members; all have the description of the type they are members of.
    fn composite(
        &mut self,
        name: &'a str,
        description: Option<&'a str>,
        entries: &'a [(String, Value)],
        depth: usize,
    ) {
        let (length, odd) = self.push(name);
        self.keys.push(name);
        for (key, value) in entries {
            self.value(key, description, value, depth + 1);
        }
        self.keys.pop();
        self.pop(length, odd);
    }

    fn tabular(
        &mut self,
        name: &'a str,
        description: Option<&'a str>,
        (index, rows): (&'a [String], &'a [Row]),
        depth: usize,
    ) {
        if index.len() > PROPERTIES_MAX {
            self.refused += rows.len() as u64;
            return;
        }
        for row in rows {
            let before = (self.path.len(), self.odd, self.rows.len());
            if self.indexes(index, row) {
                self.columns(name, description, (index, row), depth);
            } else {
                self.refused += 1;
            }
            self.pop(before.0, before.1);
            self.rows.truncate(before.2);
        }
    }

    /// A column called `value` is the attribute itself; others are keys below it.
    fn columns(
        &mut self,
        name: &'a str,
        description: Option<&'a str>,
        (index, row): (&'a [String], &'a [(String, Value)]),
        depth: usize,
    ) {
        let mut columns: Vec<&'a (String, Value)> =
            row.iter().filter(|(key, _)| !index.contains(key)).collect();
        columns.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (key, value) in columns {
            if key.eq_ignore_ascii_case("value") {
                self.value(name, description, value, depth + 1);
                continue;
            }
            let (length, odd) = self.push(name);
            self.keys.push(name);
            self.value(key, description, value, depth + 1);
            self.keys.pop();
            self.pop(length, odd);
        }
    }

    /// Adds the index columns of a row as properties. False if there are too many of them.
    fn indexes(&mut self, index: &[String], row: &[(String, Value)]) -> bool {
        index.iter().all(|column| {
            let found = row.iter().find(|(key, _)| key == column);
            found.is_none_or(|(_, value)| self.index(column, value))
        })
    }

    /// Adds an index column; underscores tell it from a property of the same name.
    fn index(&mut self, column: &str, value: &Value) -> bool {
        let mut key = column.to_owned();
        while self.has_property(&key) {
            key.push('_');
        }
        match value {
            Value::Composite { entries, .. } => entries.iter().all(|(sub, value)| {
                text(value).is_none_or(|value| self.add(format!("{key}_{sub}"), value))
            }),
            value => text(value).is_none_or(|value| self.add(key, value)),
        }
    }

    /// Adds a property to the row, and to the path: without its name, rows that have the same value
    /// in different columns were one place.
    fn add(&mut self, key: String, value: String) -> bool {
        self.push(&key);
        self.push(&value);
        self.path.push('\u{1}');
        // What a later column is called like, it overwrites.
        match self.rows.iter_mut().find(|(earlier, _)| *earlier == key) {
            Some((_, earlier)) => *earlier = value,
            None => self.rows.push((key, value)),
        }
        self.bean.properties.len() + self.rows.len() <= PROPERTIES_MAX
    }

    fn has_property(&self, key: &str) -> bool {
        self.bean.property(key).is_some() || self.rows.iter().any(|(name, _)| name == key)
    }

    /// Lengthens the path; gives back what [`Walk::pop`] needs.
    fn push(&mut self, name: &str) -> (usize, usize) {
        let before = (self.path.len(), self.odd);
        self.path.push_str(name);
        self.path.push('\0');
        self.odd += usize::from(name.bytes().any(|byte| byte < 2));
        before
    }

    fn pop(&mut self, length: usize, odd: usize) {
        self.path.truncate(length);
        self.odd = odd;
    }
}
