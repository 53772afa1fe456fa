//! `domain:key=value,…`, in the order it was made with.
//!
//! Source: the grammar of `javax.management.ObjectName`. Texts are taken as they are: nothing is
//! unquoted, reordered or trimmed. Comparing whole names ([`ObjectName`]'s `==`) compares texts;
//! [`ObjectName::same`] is what Java calls equal.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// The name of a bean, or a pattern for names.
#[derive(Clone)]
pub struct ObjectName {
    text: Box<str>,
    /// Bytes before the colon.
    domain: u32,
    properties: Box<[Property]>,
    domain_pattern: bool,
    /// It ends on `,*`, or has no other property than `*`: further properties may follow.
    open: bool,
}

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an object name: {0}")]
pub struct ObjectNameError(pub String);

/// Where a property stands in the text.
#[derive(Clone, Copy)]
struct Property {
    key: (u32, u32),
    value: (u32, u32),
    /// The value has a wildcard that is not escaped.
    pattern: bool,
}

// === impl ObjectName ===

impl ObjectName {
    /// Reads a name or pattern. The empty text is `*:*`.
    ///
    /// # Errors
    /// No colon, no properties, an unclosed quote, a doubled key, a character out of place.
    pub fn parse(text: &str) -> Result<Self, ObjectNameError> {
        parse::parse(text)
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[..self.domain as usize]
    }

    /// Keys and values in their own order; quotes stay in values. The `*` of an open list is none
    /// of them.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties.iter().map(|property| (self.key(property), self.value(property)))
    }

    /// The value of a key.
    #[must_use]
    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it can stand for more than one name.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.domain_pattern || self.open || self.properties.iter().any(|property| property.pattern)
    }

    /// Whether this, as a pattern (`*` and `?` in domain and values, `,*` at the end), fits a name.
    /// A pattern is no name: it is fitted by none.
    #[must_use]
    pub fn matches(&self, name: &Self) -> bool {
        if name.is_pattern() {
            return false;
        }
        let domain = if self.domain_pattern {
            wildcard(self.domain(), name.domain())
        } else {
            self.domain() == name.domain()
        };
        domain
            && (self.open || self.properties.len() == name.properties.len())
            && self.properties.iter().all(|wanted| {
                name.property(self.key(wanted)).is_some_and(|value| {
                    if wanted.pattern {
                        wildcard(self.value(wanted), value)
                    } else {
                        self.value(wanted) == value
                    }
                })
            })
    }

    /// Whether both have the same domain and properties, in whatever order.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        if self.domain() != other.domain()
            || self.open != other.open
            || self.properties.len() != other.properties.len()
        {
            return false;
        }
        let mut ours: Vec<_> = self.properties().collect();
        let mut theirs: Vec<_> = other.properties().collect();
        ours.sort_unstable();
        theirs.sort_unstable();
        ours == theirs
    }

    fn key(&self, property: &Property) -> &str {
        &self.text[range(property.key)]
    }

    fn value(&self, property: &Property) -> &str {
        &self.text[range(property.value)]
    }
}

impl PartialEq for ObjectName {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ObjectName {}

impl PartialOrd for ObjectName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for ObjectName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// The hash is that of the text, so maps can be asked with a text.
impl std::borrow::Borrow<str> for ObjectName {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectName({})", self.text)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn range((from, to): (u32, u32)) -> Range<usize> {
    from as usize..to as usize
}

/// Whether a text fits a pattern of `*` and `?`: on a mismatch the last star takes one more
/// character, so the work is at most the product of the lengths.
fn wildcard(pattern: &str, text: &str) -> bool {
    let (mut at, mut fits) = (text, pattern);
    // After the last star: the pattern behind it, and the text it has not taken yet.
    let mut star: Option<(&str, &str)> = None;
    loop {
        let mut wanted = fits.chars();
        let mut given = at.chars();
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                fits = wanted.as_str();
                star = Some((fits, at));
            }
            (Some(want), Some(have)) if want == '?' || want == have => {
                fits = wanted.as_str();
                at = given.as_str();
            }
            _ => {
                let Some((behind, rest)) = star else { return false };
                let mut rest = rest.chars();
                if rest.next().is_none() {
                    return false;
                }
                (fits, at) = (behind, rest.as_str());
                star = Some((fits, at));
            }
        }
    }
}
