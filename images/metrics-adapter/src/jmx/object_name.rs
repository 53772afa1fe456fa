//! `domain:key=value,…`, in the order it was made with.

use std::fmt;

/// The name of a bean, or a pattern for names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    text: String,
}

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an object name: {0}")]
pub struct ObjectNameError(pub String);

// === impl ObjectName ===

impl ObjectName {
    /// Reads a name or pattern.
    ///
    /// # Errors
    /// No colon, no properties, an unclosed quote, a doubled key.
    pub fn parse(text: &str) -> Result<Self, ObjectNameError> {
        Ok(Self { text: text.to_owned() })
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.text.split(':').next().unwrap_or_default()
    }

    /// Keys and values in their own order; quotes stay in values.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        std::iter::empty()
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this, as a pattern (`*` and `?` in domain and values, `,*` at the end), fits a name.
    #[must_use]
    pub fn matches(&self, name: &Self) -> bool {
        let _ = name;
        false
    }

    /// Whether both have the same domain and properties, in whatever order.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let _ = other;
        false
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
