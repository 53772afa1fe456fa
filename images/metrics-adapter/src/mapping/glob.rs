//! Globs: a tree of segments for each kind of sample.
//!
//! A name is walked down once; alternatives are only tried where they could win. Every node has
//! one way to it, so no name visits more nodes than the tree has.

use hashbrown::HashMap;

use super::MetricType;

/// Recursion goes as deep as a pattern has segments.
const PATTERN_BYTES_MAX: usize = 4096;

/// A checked pattern.
#[derive(Clone, Debug)]
pub(super) struct Glob {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `*`.
    Any,
    /// `before*after`.
    Part(String, String),
}

/// All globs of a file.
#[derive(Debug)]
pub(super) struct Globs {
    ordered: bool,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    literals: HashMap<String, usize>,
    parts: Vec<(String, String, usize)>,
    any: Option<usize>,
    /// The first rule that ends here.
    rule: Option<usize>,
    /// The first rule that ends here or below.
    first: usize,
}

/// No rule.
const NONE: usize = usize::MAX;

const TYPES: [MetricType; 3] = [MetricType::Counter, MetricType::Gauge, MetricType::Observer];

// === impl Glob ===

impl Glob {
    /// Reads a pattern: segments of letters, digits, `_` and `-`, of which one may be `*`; they
    /// start with neither a dash nor, the first one, a digit.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return None;
        }
        let segments: Option<Vec<Segment>> = pattern.split('.').map(Segment::new).collect();
        let digit = pattern.starts_with(|c: char| c.is_ascii_digit());
        segments.filter(|_| !digit).map(|segments| Self { segments })
    }

    /// How many `*` there are.
    pub(super) fn captures_len(&self) -> usize {
        self.segments.iter().filter(|segment| !matches!(segment, Segment::Literal(_))).count()
    }

    /// What the `*` stand for in a name that matches.
    pub(super) fn captures<'n>(&self, name: &'n str) -> Vec<&'n str> {
        let pairs = self.segments.iter().zip(name.split('.'));
        let capture = |(segment, text): (&Segment, &'n str)| match segment {
            Segment::Literal(_) => None,
            Segment::Any => Some(text),
            Segment::Part(before, after) => text.get(before.len()..text.len() - after.len()),
        };
        pairs.filter_map(capture).collect()
    }

    /// Whether it matches every name that the other one matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|(mine, its)| match (mine, its) {
                (Segment::Any, _) => true,
                (Segment::Part(before, after), Segment::Literal(text)) => fits(text, before, after),
                (mine, its) => mine == its,
            })
    }

    /// Whether they are the same pattern.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.segments == other.segments
    }
}

// === impl Segment ===

impl Segment {
    fn new(text: &str) -> Option<Self> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'*');
        if text.is_empty() || text.starts_with('-') || !text.bytes().all(good) {
            return None;
        }
        match text.split_once('*') {
            None => Some(Self::Literal(text.to_owned())),
            Some(("", "")) => Some(Self::Any),
            Some((_, after)) if after.contains('*') => None,
            Some((before, after)) => Some(Self::Part(before.to_owned(), after.to_owned())),
        }
    }
}

fn fits(text: &str, before: &str, after: &str) -> bool {
    text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
}

// === impl Globs ===

impl Globs {
    /// No globs; `ordered`: of several that match the first of the file wins.
    pub(super) fn new(ordered: bool) -> Self {
        let nodes = TYPES.iter().map(|_| Node::default()).collect();
        Self { ordered, nodes }
    }

    pub(super) fn ordered(&self) -> bool {
        self.ordered
    }

    /// Adds a rule; to be called in the order of the file.
    pub(super) fn insert(&mut self, glob: &Glob, metric_type: Option<MetricType>, rule: usize) {
        for (root, each) in TYPES.iter().enumerate() {
            if metric_type.is_none_or(|wanted| wanted == *each) {
                let mut at = root;
                for segment in &glob.segments {
                    self.nodes[at].first = self.nodes[at].first.min(rule);
                    at = self.child(at, segment);
                }
                let node = &mut self.nodes[at];
                node.first = node.first.min(rule);
                node.rule.get_or_insert(rule);
            }
        }
    }

    fn child(&mut self, at: usize, segment: &Segment) -> usize {
        let new = self.nodes.len();
        let node = &mut self.nodes[at];
        let child = match segment {
            Segment::Literal(text) => *node.literals.entry_ref(text.as_str()).or_insert(new),
            Segment::Any => *node.any.get_or_insert(new),
            Segment::Part(before, after) => {
                let same = node.parts.iter().find(|part| part.0 == *before && part.1 == *after);
                match same {
                    Some(part) => part.2,
                    None => {
                        node.parts.push((before.clone(), after.clone(), new));
                        new
                    }
                }
            }
        };
        if child == new {
            self.nodes.push(Node::default());
        }
        child
    }

    /// The rule for a name.
    pub(super) fn find(&self, name: &str, metric_type: MetricType) -> Option<usize> {
        let root = TYPES.iter().position(|each| *each == metric_type)?;
        let mut found = NONE;
        self.search(root, name, &mut found);
        (found != NONE).then_some(found)
    }

    fn search(&self, at: usize, rest: &str, found: &mut usize) {
        let (segment, tail) = match memchr::memchr(b'.', rest.as_bytes()) {
            Some(dot) => (&rest[..dot], Some(&rest[dot + 1..])),
            None => (rest, None),
        };
        let node = &self.nodes[at];
        let literal = if node.literals.is_empty() { None } else { node.literals.get(segment) };
        self.enter(literal.copied(), tail, found);
        for (before, after, child) in &node.parts {
            if fits(segment, before, after) {
                self.enter(Some(*child), tail, found);
            }
        }
        self.enter(node.any, tail, found);
    }

    fn enter(&self, child: Option<usize>, tail: Option<&str>, found: &mut usize) {
        let Some(child) = child else { return };
        let node = &self.nodes[child];
        // Without ordering whatever was found is best; with it only an earlier rule is better.
        if node.first >= *found || !self.ordered && *found != NONE {
            return;
        }
        match (tail, node.rule) {
            (Some(tail), _) => self.search(child, tail, found),
            (None, Some(rule)) => *found = rule.min(*found),
            (None, None) => {}
        }
    }
}

// === impl Node ===

impl Default for Node {
    fn default() -> Self {
        let (literals, parts) = (HashMap::new(), Vec::new());
        Self { literals, parts, any: None, rule: None, first: NONE }
    }
}
