//! Names and label values with references to what was captured.

/// A text with references.
#[derive(Clone, Debug)]
pub(super) struct Template {
    source: String,
    parts: Vec<Part>,
    dangling: Vec<String>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Capture(usize),
}

// === impl Template ===

impl Template {
    /// Reads the template of a glob with so many captures, numbered from 1. A reference is `$` or
    /// `${` and as many of `[a-zA-Z0-9_$]` as follow, then perhaps `}`. If they are no number, or
    /// none of a capture, it stands for nothing.
    pub(super) fn glob(source: &str, captures: usize) -> Self {
        let mut template = Self::new(source);
        let mut rest = source;
        while let Some(at) = rest.find('$') {
            let body = rest[at + 1..].strip_prefix('{').unwrap_or(&rest[at + 1..]);
            let end = body.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'));
            let (name, tail) = body.split_at(end.unwrap_or(body.len()));
            if name.is_empty() {
                template.text(&rest[..=at]);
                rest = &rest[at + 1..];
                continue;
            }
            template.text(&rest[..at]);
            let tail = tail.strip_prefix('}').unwrap_or(tail);
            let number = name.parse().ok().filter(|number| (1..=captures).contains(number));
            template.reference(number, &rest[at..rest.len() - tail.len()]);
            rest = tail;
        }
        template.text(rest);
        template
    }

    /// Reads the template of a regular expression as Go's `Expand` does: `$name` and `${name}`,
    /// where a number is that of a group, 0 for all; `$$` is `$`; any other `$` stays.
    pub(super) fn regex(source: &str, groups: &[Option<&str>]) -> Self {
        let mut template = Self::new(source);
        let mut rest = source;
        while let Some(at) = rest.find('$') {
            template.text(&rest[..at]);
            let body = &rest[at + 1..];
            if let Some(tail) = body.strip_prefix('$') {
                template.text("$");
                rest = tail;
                continue;
            }
            let word = |text: &str| {
                text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())
            };
            let (name, tail) = match body.strip_prefix('{') {
                Some(braced) => {
                    let (name, tail) = braced.split_at(word(braced));
                    (if tail.starts_with('}') { name } else { "" }, tail.get(1..).unwrap_or(""))
                }
                None => body.split_at(word(body)),
            };
            if name.is_empty() {
                template.text("$");
                rest = body;
                continue;
            }
            let digits = name.bytes().all(|byte| byte.is_ascii_digit());
            let number = if digits && (name == "0" || !name.starts_with('0')) {
                name.parse().ok().filter(|number| *number < groups.len())
            } else {
                groups.iter().position(|group| *group == Some(name))
            };
            template.reference(number, &rest[at..rest.len() - tail.len()]);
            rest = tail;
        }
        template.text(rest);
        template
    }

    fn new(source: &str) -> Self {
        Self { source: source.to_owned(), parts: Vec::new(), dangling: Vec::new() }
    }

    fn text(&mut self, text: &str) {
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Text(before)) => before.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    fn reference(&mut self, number: Option<usize>, written: &str) {
        match number {
            Some(number) => self.parts.push(Part::Capture(number)),
            None => self.dangling.push(written.to_owned()),
        }
    }

    /// As written.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// References to nothing, as written.
    pub(super) fn dangling(&self) -> &[String] {
        &self.dangling
    }

    /// Puts captures in their places; a group that took no part is empty.
    pub(super) fn expand<'c>(&self, capture: impl Fn(usize) -> Option<&'c str>) -> String {
        match self.parts.as_slice() {
            [] => String::new(),
            [Part::Text(text)] => text.clone(),
            parts => {
                let mut expanded = String::with_capacity(2 * self.source.len());
                for part in parts {
                    match part {
                        Part::Text(text) => expanded.push_str(text),
                        Part::Capture(number) => {
                            expanded.push_str(capture(*number).unwrap_or_default());
                        }
                    }
                }
                expanded
            }
        }
    }
}
