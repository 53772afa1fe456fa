//! What happened in a run: a hash of all of it, and the end of it in words.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::clock::MS;

/// Events kept for the report of a failure.
const TAIL_MAX: usize = 400;

/// Something that happened, in little space: it is put into words only if it is asked for.
#[derive(Clone, Debug, Hash)]
pub(super) enum Note {
    /// A frame of Raft arrived: what, term, index, commit, entries.
    Raft { from: usize, to: usize, kind: i32, term: u64, index: u64, commit: u64, entries: usize },
    /// Another frame arrived.
    Frame { from: usize, to: usize, kind: &'static str },
    /// A node ticked: its term, whether it leads, what it has applied.
    Tick { node: usize, term: u64, leads: bool, applied: u64 },
    /// A write began.
    Save { node: usize, entries: usize, sync: bool, snapshot: bool },
    /// A lease changed, seen at a node.
    Change { node: usize, election: usize, version: u64, token: u64 },
    /// A client asked for something.
    Ask { client: usize, node: usize, attempt: usize, what: &'static str, session: u64 },
    /// It was answered.
    Answer { client: usize, attempt: usize, what: &'static str, token: u64 },
    /// A client may call itself the leader for so many more microseconds.
    Valid { client: usize, token: u64, micros: u64 },
    /// A read ended.
    Read { node: usize, election: usize, token: u64 },
    /// Something went wrong on purpose.
    Fault { what: &'static str, node: usize, value: u64 },
}

/// What happened in a run.
#[derive(Debug, Default)]
pub(super) struct Trace {
    hasher: DefaultHasher,
    tail: VecDeque<(u64, Note)>,
    /// Keep all of it.
    whole: bool,
}

// === impl Trace ===

impl Trace {
    pub(super) fn new(whole: bool) -> Self {
        Self { whole, ..Self::default() }
    }

    pub(super) fn note(&mut self, now: u64, note: Note) {
        (now, &note).hash(&mut self.hasher);
        if !self.whole && self.tail.len() == TAIL_MAX {
            self.tail.pop_front();
        }
        self.tail.push_back((now, note));
    }

    pub(super) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The end of it, one line for each event.
    pub(super) fn text(&self) -> String {
        let line =
            |(now, note): &(u64, Note)| format!("{:>6}.{:06} ms {note:?}\n", now / MS, now % MS);
        self.tail.iter().map(line).collect()
    }
}
