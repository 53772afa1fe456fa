//! A YAML document as a tree of scalars, lists and mappings that know their lines.
//!
//! Not serde, because its data model loses what matters here: the text of a scalar as written
//! (`0400` is four hundred to nutcracker, `on` is no boolean), second occurrences of a key, and
//! the line of each value. Scalars are therefore never given a type here.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span};

use super::Problem;

/// Largest file read, in bytes: some ten thousand pools.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Most nodes in a tree, so that aliases of aliases stay small.
const NODES_MAX: usize = 1 << 17;
/// Deepest nesting; pools need three levels.
const DEPTH_MAX: usize = 8;

/// A value and the line it starts on, from 1.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Scalar(String),
    List(Vec<Node>),
    /// Pairs as written: duplicates are for the reader to refuse.
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) line: u32,
    pub(super) text: String,
}

/// Reads the only document in `text`.
pub(super) fn read(text: &str) -> Result<Node, Problem> {
    if text.len() > TEXT_BYTES_MAX {
        let found = format!("a file of {} bytes", text.len());
        return Err(problem(1, found, format!("at most {TEXT_BYTES_MAX} bytes")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The parser would hold back comments, and bound how many.
    let options: Options = serde_saphyr::granit_parser::options! { emit_comments: false };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut tree = Tree { events: parser, anchors: HashMap::new(), nodes: 0 };
    tree.document()
}

impl Node {
    /// What a message calls this value. Long scalars are cut.
    pub(super) fn described(&self) -> String {
        match &self.kind {
            Kind::Scalar(text) => quoted(text),
            Kind::List(_) => "a list".into(),
            Kind::Map(_) => "a mapping".into(),
        }
    }
}

/// `text` in quotes, on one line, cut to what a message can bear.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 120;
    if text.is_empty() {
        return "nothing".into();
    }
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

struct Tree<E> {
    events: E,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'t, E> Tree<E>
where
    E: Iterator<Item = Result<(Event<'t>, Span), ScanError>>,
{
    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = None;
        loop {
            let (event, line) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd | Event::DocumentStart(..) => {}
                Event::StreamEnd => break,
                _ if root.is_some() => {
                    let found = "a second document".into();
                    return Err(problem(line, found, "one document".into()));
                }
                event => root = Some(self.node(event, line, 0)?),
            }
        }
        let expected = "a mapping of pool names to pools";
        root.ok_or_else(|| problem(1, "an empty file".into(), expected.into()))
    }

    fn next(&mut self) -> Result<(Event<'t>, u32), Problem> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((absent(event, &span), line_of(span.start.line()))),
            Some(Err(error)) => {
                let line = line_of(error.marker().line());
                Err(problem(line, format!("invalid YAML ({})", error.info()), "YAML".into()))
            }
            None => Err(problem(1, "an unfinished document".into(), "YAML".into())),
        }
    }

    fn node(&mut self, event: Event<'t>, line: u32, depth: usize) -> Result<Node, Problem> {
        if depth >= DEPTH_MAX {
            let expected = format!("at most {DEPTH_MAX} levels");
            return Err(problem(line, "deeper nesting".into(), expected));
        }
        let (kind, anchor) = match event {
            Event::Scalar(text, _, anchor, None) => (Kind::Scalar(text.into_owned()), anchor),
            Event::SequenceStart(_, anchor, None) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, None) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, line),
            _ => {
                let found = "a tag or another construct without meaning here".into();
                return Err(problem(line, found, "scalars, lists and mappings".into()));
            }
        };
        self.count(1, line)?;
        let node = Node { line, kind };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, line) => items.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Problem> {
        let mut pairs = Vec::new();
        loop {
            let (event, line) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Kind::Map(pairs));
            }
            let key = self.node(event, line, depth + 1)?;
            let Kind::Scalar(text) = key.kind else {
                return Err(problem(line, key.described(), "a key of one word".into()));
            };
            let (event, value_line) = self.next()?;
            let value = self.node(event, value_line, depth + 1)?;
            pairs.push((Key { line, text }, value));
        }
    }

    fn alias(&mut self, anchor: usize, line: u32) -> Result<Node, Problem> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            let found = "an alias inside its own anchor".into();
            return Err(problem(line, found, "an alias of an earlier value".into()));
        };
        self.count(size(&node), line)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, line: u32) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            let expected = format!("at most {NODES_MAX} values");
            return Err(problem(line, "too many values".into(), expected));
        }
        Ok(())
    }
}

/// The parser shows an absent value as a tilde, which is a password like any other here.
/// What nobody wrote takes no room in the file; it becomes the empty text.
fn absent<'t>(event: Event<'t>, span: &Span) -> Event<'t> {
    match event {
        Event::Scalar(_, ScalarStyle::Plain, anchor, tag)
            if span.start.index() == span.end.index() =>
        {
            Event::Scalar("".into(), ScalarStyle::Plain, anchor, tag)
        }
        event => event,
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar(_) => 0,
        Kind::List(items) => items.iter().map(size).sum(),
        Kind::Map(pairs) => pairs.iter().map(|(_, value)| 1 + size(value)).sum(),
    }
}

fn line_of(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX).max(1)
}

fn problem(line: u32, found: String, expected: String) -> Problem {
    Problem { line, key: String::new(), found, expected }
}
