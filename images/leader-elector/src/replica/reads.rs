//! Linearizable reads by ReadIndex: a majority confirms that the leader still leads, and the read
//! waits until this member has applied what was committed when it was asked.
//!
//! Raft may drop a question without a word (a leader that has committed nothing in its term yet, a
//! lost message), so it is asked again. Reads that come while a question is under way wait for the
//! next one: its answer would be older than they are.

use std::time::Duration;

use crate::Boottime;

/// Reads at this member.
#[derive(Default)]
pub(super) struct Reads {
    waiting: Vec<Read>,
    /// The last question and when it was asked, until it is answered.
    asked: Option<(u64, Boottime)>,
    /// Complete when this index is applied.
    confirmed: Vec<(u64, Vec<Read>)>,
    context_last: u64,
}

#[derive(Clone, Copy)]
struct Read {
    request: u64,
    made: Boottime,
    /// The first question that was asked after it was made; an answer to that or to any later one
    /// is new enough.
    from: u64,
}

// === impl Reads ===

impl Reads {
    /// Contexts start at `first`, which is random: the leader takes two questions with the same one
    /// for the same, whoever asks, and a late answer to an earlier process must not be taken for
    /// one to this.
    pub(super) fn new(first: u64) -> Self {
        // Half of the numbers, so that they are in order and never come to their end.
        Self { context_last: first >> 1, ..Self::default() }
    }

    pub(super) fn add(&mut self, now: Boottime, request: u64) {
        self.waiting.push(Read { request, made: now, from: self.context_last + 1 });
    }

    /// The context of a question to ask now, if any; `again` is when one without an answer is
    /// followed by another.
    pub(super) fn ask(&mut self, now: Boottime, again: Duration) -> Option<u64> {
        let open = self.asked.is_some_and(|(_, at)| now.since(at) <= again);
        if open || self.waiting.is_empty() {
            return None;
        }
        self.context_last += 1;
        self.asked = Some((self.context_last, now));
        Some(self.context_last)
    }

    /// A majority has confirmed the question: `index` was committed when it was asked. It may be
    /// an earlier question than the last one.
    pub(super) fn confirm(&mut self, context: u64, index: u64) {
        if context > self.context_last {
            return;
        }
        self.asked.take_if(|(asked, _)| *asked == context);
        let mut reads = Vec::new();
        self.waiting.retain(|read| {
            let later = read.from > context;
            if !later {
                reads.push(*read);
            }
            later
        });
        if !reads.is_empty() {
            self.confirmed.push((index, reads));
        }
    }

    /// Reads that are complete now.
    pub(super) fn complete(&mut self, applied: u64) -> Vec<u64> {
        let mut done = Vec::new();
        self.confirmed.retain(|(index, reads)| {
            let complete = *index <= applied;
            if complete {
                done.extend(reads.iter().map(|read| read.request));
            }
            !complete
        });
        done
    }

    /// Reads that have waited too long.
    pub(super) fn give_up(&mut self, now: Boottime, age_max: Duration) -> Vec<u64> {
        let mut dropped = Vec::new();
        self.keep(|read| {
            let keep = now.since(read.made) <= age_max;
            if !keep {
                dropped.push(read.request);
            }
            keep
        });
        dropped
    }

    pub(super) fn forget(&mut self, request: u64) {
        self.keep(|read| read.request != request);
    }

    fn keep(&mut self, mut keep: impl FnMut(&Read) -> bool) {
        self.waiting.retain(&mut keep);
        self.confirmed.iter_mut().for_each(|(_, reads)| reads.retain(&mut keep));
        self.confirmed.retain(|(_, reads)| !reads.is_empty());
    }
}
