//! A label set as it stands on the page: `code="200",path="/a"`, escaped once, copied ever after.
//!
//! It is one allocation, and a scrape in text is a copy of it. Who needs the pairs again (protobuf,
//! tests) reads them back with [`Labels::pairs`].

use std::borrow::Cow;
use std::fmt;

#[cfg(test)]
mod tests;

/// Label pairs in the order they were given, without braces. Names are as they were given:
/// whoever builds a set has escaped and sorted them.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Box<str>);

// === impl Labels ===

impl Labels {
    /// Renders pairs in their order. Backslash, double quote and line feed of a value are escaped
    /// as the text format asks for.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            push_pair(&mut text, name.as_ref(), value.as_ref());
        }
        Self(text.into_boxed_str())
    }

    /// Takes text that [`push_pair`] has written.
    #[must_use]
    pub fn from_rendered(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, without braces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs, values unescaped.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        pairs(&self.0)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0)
    }
}

/// Appends `name="value"`, with a comma before it where something stands already.
pub fn push_pair(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(name);
    text.push_str("=\"");
    let mut rest = value;
    while let Some(at) = memchr::memchr3(b'\\', b'"', b'\n', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        text.push_str(match rest.as_bytes()[at] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        });
        rest = &rest[at + 1..];
    }
    text.push_str(rest);
    text.push('"');
}

/// Whether it can name a label, or (with colons) a metric.
#[must_use]
pub fn is_name(name: &str, colons: bool) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || colons && byte == b':';
    name.bytes().all(good) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Reads rendered pairs back. Text that nobody rendered gives fewer pairs, or none.
pub fn pairs(mut rest: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    std::iter::from_fn(move || {
        let at = memchr::memchr(b'=', rest.as_bytes())?;
        let (name, tail) = (&rest[..at], rest.get(at + 2..)?);
        let mut end = 0;
        loop {
            end += memchr::memchr2(b'"', b'\\', tail.as_bytes().get(end..)?)?;
            if tail.as_bytes()[end] == b'"' {
                break;
            }
            end += 2;
        }
        let value = &tail[..end];
        rest = tail[end + 1..].strip_prefix(',').unwrap_or_default();
        Some((name, unescape(value)))
    })
}

fn unescape(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|c| if c == 'n' { '\n' } else { c })),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}
