//! Replacement texts: `$1`, `${name}`, `\x`.
//!
//! Source: the documentation of `java.util.regex.Matcher.appendReplacement`.

use super::pattern::{Captures, Pattern};

/// A replacement text, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

// === impl Template ===

impl Template {
    /// Reads a text for a pattern; without a pattern there are no groups.
    pub(super) fn parse(text: &str, pattern: Option<&Pattern>) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let group = match c {
                '\\' => {
                    plain.push(chars.next().ok_or("a backslash at the end")?);
                    continue;
                }
                '$' => reference(&mut chars, pattern)?,
                c => {
                    plain.push(c);
                    continue;
                }
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Group(group));
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// Whether what groups capture is of any consequence.
    pub(super) fn uses_groups(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Group(_)))
    }

    /// Whether the whole match string, and with it the value, is part of the text.
    pub(super) fn uses_whole(&self) -> bool {
        self.parts.contains(&Part::Group(0))
    }

    /// The text with groups filled in; groups are empty without captures.
    pub(super) fn expand(&self, captures: Option<&Captures<'_>>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(group) => out.push_str(captures.map_or("", |found| found.get(*group))),
            }
        }
        out
    }
}

/// What stands after a `$`: as many digits as form the number of a group, or a name in braces.
fn reference(chars: &mut std::str::Chars<'_>, pattern: Option<&Pattern>) -> Result<usize, String> {
    let groups = pattern.map(Pattern::groups);
    let rest = chars.as_str();
    if let Some(rest) = rest.strip_prefix('{') {
        let (name, rest) = rest.split_once('}').ok_or("`${` is not closed")?;
        *chars = rest.chars();
        let group = pattern.and_then(|pattern| pattern.group(name));
        return group
            .ok_or_else(|| format!("`${{{name}}}`: the pattern has no group of that name"));
    }
    let digit = |c: char| c.to_digit(10).map(|digit| digit as usize);
    let first = rest.chars().next().and_then(digit);
    let mut number = first.ok_or("a `$` without number or name; a dollar itself is `\\$`")?;
    chars.next();
    if groups.is_none_or(|groups| number > groups) {
        return Err(format!("`${number}`: the pattern has no such group"));
    }
    while let Some(next) = chars.as_str().chars().next().and_then(digit) {
        let longer = number.saturating_mul(10).saturating_add(next);
        if groups.is_none_or(|groups| longer > groups) {
            break;
        }
        number = longer;
        chars.next();
    }
    Ok(number)
}
