//! The value of an attribute, as far as metrics can use it.

#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::sync::Arc;

pub(crate) use text::{big_decimal, big_integer};

/// A number with the type that decides how Java would print it.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// `Byte`, `Short`, `Integer`, `Long`, `AtomicInteger`, `AtomicLong`.
    Integer(i64),
    /// `Float`.
    Float(f32),
    /// `Double`.
    Double(f64),
    /// `BigInteger`, `BigDecimal`: its decimal text.
    Big(String),
}

/// What a bean says of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeInfo {
    /// Its name.
    pub name: String,
    /// Java type as declared, such as `long` or `javax.management.openmbean.CompositeData`.
    pub declared: String,
    /// What the bean says it is; often the name once more.
    pub description: String,
    /// Whether it can be read.
    pub readable: bool,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// A truth value.
    Boolean(bool),
    /// A number.
    Number(Number),
    /// A text, or the name of an enum's constant.
    Text(String),
    /// Milliseconds since 1970.
    Date(i64),
    /// Composite data.
    Composite {
        /// What its type says it is.
        description: Option<Arc<str>>,
        /// Keys in their order.
        entries: Vec<(String, Value)>,
    },
    /// Tabular data: names of the index columns, and rows, each with all its columns.
    Tabular {
        /// What the type of its rows says they are.
        description: Option<Arc<str>>,
        /// Index columns.
        index: Vec<String>,
        /// Rows in their order.
        rows: Vec<Vec<(String, Value)>>,
    },
    /// An array or collection; metrics skip it.
    Array,
    /// Something else; its class.
    Other(String),
}

// === impl Value ===

impl Value {
    /// Composite data whose type says nothing of itself.
    #[must_use]
    pub fn composite(entries: Vec<(String, Value)>) -> Self {
        Self::Composite { description: None, entries }
    }
}

// === impl Number ===

impl Number {
    /// As a double, as `Number.doubleValue()`.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        match self {
            Self::Integer(value) => *value as f64,
            Self::Float(value) => f64::from(*value),
            Self::Double(value) => *value,
            Self::Big(text) => text.parse().unwrap_or(f64::NAN),
        }
    }
}

/// As `toString()` of Java.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => text::float(*value).fmt(f),
            Self::Double(value) => text::double(*value).fmt(f),
            Self::Big(text) => f.write_str(text),
        }
    }
}
