//! From the value of an attribute to the scalars in it: composite data become keys, the rows of
//! tabular data become properties of the bean.

use std::fmt::{self, Write};
use std::sync::Arc;

use crate::jmx::{Number, ObjectName, Value};

/// Deepest nesting of composite and tabular data; what lies deeper is not looked at.
const DEPTH_MAX: usize = 32;
/// Most underscores that tell apart an index column from a property of the same name.
const CLASHES_MAX: usize = 1000;

/// What match strings and default names need of a bean.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BeanText {
    pub(super) domain: Box<str>,
    /// `domain<key=value, key2=value2>`.
    pub(super) angled: Box<str>,
    pub(super) properties: Vec<(String, String)>,
}

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

    pub(super) fn property(&self, key: &str) -> Option<&str> {
        self.properties.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

// === impl Scalar ===

impl Scalar<'_> {
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

/// `toString()` of a value, as far as labels need it.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Boolean(value) => Some(value.to_string()),
        Value::Date(millis) => Some(seconds(*millis).to_string()),
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
        Self { bean, visit, rows: Vec::new(), keys: Vec::new(), path: String::new(), odd: 0 }
    }

    /// Visits all scalars of an attribute.
    pub(super) fn attribute(&mut self, name: &'a str, description: &'a str, value: &'a Value) {
        let description = Some(description).filter(|text| !text.is_empty() && *text != name);
        self.value(name, description, value, 0);
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
            Value::Composite { entries, .. } if depth < DEPTH_MAX => {
                return self.composite(name, entries, depth);
            }
            Value::Tabular { index, rows, .. } if depth < DEPTH_MAX => {
                return self.tabular(name, index, rows, depth);
            }
            Value::Composite { .. } | Value::Tabular { .. } => return,
        };
        let (length, odd) = self.push(name);
        let place = Place {
            bean: self.bean,
            rows: &self.rows,
            keys: &self.keys,
            attribute: name,
            description,
            path: (self.odd == 0).then_some(self.path.as_str()),
        };
        (self.visit)(&place, scalar);
        self.pop(length, odd);
    }

    fn composite(&mut self, name: &'a str, entries: &'a [(String, Value)], depth: usize) {
        let (length, odd) = self.push(name);
        self.keys.push(name);
        for (key, value) in entries {
            self.value(key, None, value, depth + 1);
        }
        self.keys.pop();
        self.pop(length, odd);
    }

    fn tabular(
        &mut self,
        name: &'a str,
        index: &'a [String],
        rows: &'a [Vec<(String, Value)>],
        depth: usize,
    ) {
        for row in rows {
            let before = (self.path.len(), self.odd, self.rows.len());
            for column in index {
                if let Some((_, value)) = row.iter().find(|(key, _)| key == column) {
                    self.index(column, value);
                }
            }
            // A column called `value` is the attribute itself; others are keys below it.
            let mut columns: Vec<&'a (String, Value)> =
                row.iter().filter(|(key, _)| !index.contains(key)).collect();
            columns.sort_by(|(left, _), (right, _)| left.cmp(right));
            for (key, value) in columns {
                if key.eq_ignore_ascii_case("value") {
                    self.value(name, None, value, depth + 1);
                    continue;
                }
                let (length, odd) = self.push(name);
                self.keys.push(name);
                self.value(key, None, value, depth + 1);
                self.keys.pop();
                self.pop(length, odd);
            }
            self.pop(before.0, before.1);
            self.rows.truncate(before.2);
        }
    }

    /// Adds an index column as a property; underscores tell it from one of the same name.
    fn index(&mut self, column: &str, value: &Value) {
        let mut key = column.to_owned();
        let mut clashes = 0;
        while self.has_property(&key) {
            key.push('_');
            clashes += 1;
            if clashes > CLASHES_MAX {
                return;
            }
        }
        let parts: Vec<(String, String)> = match value {
            Value::Composite { entries, .. } => entries
                .iter()
                .filter_map(|(sub, value)| Some((format!("{key}_{sub}"), text(value)?)))
                .collect(),
            value => text(value).map(|value| (key, value)).into_iter().collect(),
        };
        for (key, value) in parts {
            self.push(&value);
            self.path.push('\u{1}');
            // What a later column is called like, it overwrites.
            match self.rows.iter_mut().find(|(earlier, _)| *earlier == key) {
                Some((_, earlier)) => *earlier = value,
                None => self.rows.push((key, value)),
            }
        }
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
