//! What DogStatsD has besides metrics: events and service checks. They are counted and handed on;
//! their texts are read by nobody.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::tags::TagReader;
use super::{Dialects, Reason, Sink};

/// Reads an event or a service check; goes on when the line is neither.
pub(super) fn parse(line: &str, dialects: Dialects, sink: &mut impl Sink) -> ControlFlow<()> {
    if let Some(rest) = line.strip_prefix("_sc|") {
        check(rest, dialects, sink);
        return ControlFlow::Break(());
    }
    let Some((title, text, rest)) = line.strip_prefix("_e{").and_then(lengths) else {
        return ControlFlow::Continue(());
    };
    // Lengths are those of the bytes, whatever characters they are.
    let bar = rest.as_bytes().get(title) == Some(&b'|');
    let whole = title.checked_add(text).and_then(|length| length.checked_add(1));
    if bar && whole.is_some_and(|length| length <= rest.len()) {
        sink.event();
    } else {
        sink.refused(Reason::MalformedLine);
    }
    ControlFlow::Break(())
}

/// `5,4}:rest`.
fn lengths(line: &str) -> Option<(usize, usize, &str)> {
    let (lengths, rest) = line.split_once("}:")?;
    let (title, text) = lengths.split_once(',')?;
    Some((title.parse().ok()?, text.parse().ok()?, rest))
}

/// `name|status|field|…`.
fn check(rest: &str, dialects: Dialects, sink: &mut impl Sink) {
    let mut parts = rest.split('|');
    let name = parts.next().unwrap_or_default();
    if name.is_empty() {
        return sink.refused(Reason::MalformedLine);
    }
    let status = match parts.next() {
        Some("0") => 0,
        Some("1") => 1,
        Some("2") => 2,
        Some("3") => 3,
        Some(_) => return sink.refused(Reason::MalformedValue),
        None => return sink.refused(Reason::NotEnoughParts),
    };
    let mut tags = TagReader::default();
    for part in parts {
        // The message comes last and may hold anything.
        if part.starts_with("m:") {
            break;
        }
        if let Some(list) = part.strip_prefix('#') {
            if dialects.dogstatsd {
                tags.list(list, ':');
            }
        } else if let Some(id) = part.strip_prefix("c:").filter(|id| !id.is_empty()) {
            tags.tags.push((Cow::Borrowed("container_id"), id));
        }
    }
    for _ in 0..tags.bad {
        sink.tag(false);
    }
    sink.check(name, status, &tags.tags);
}
