//! Linearizable reads by ReadIndex: a majority confirms that the leader still leads, and the read
//! waits until this member has applied what was committed when it was asked.
//!
//! Raft may drop a question without a word (a leader that has committed nothing in its term yet, a
//! lost message), so it is asked again. Reads that come while a question is under way wait for the
//! next one: its answer would be older than they are.

use std::time::Duration;

use crate::Boottime;

/// Reads at this member.
pub(super) struct Reads {
    /// Not asked for yet.
    waiting: Vec<(u64, Boottime)>,
    asked: Option<Asked>,
    /// Complete when this index is applied.
    confirmed: Vec<(u64, Vec<(u64, Boottime)>)>,
    context_last: u64,
}

struct Asked {
    context: u64,
    at: Boottime,
    reads: Vec<(u64, Boottime)>,
}

// === impl Reads ===

impl Reads {
    /// Contexts start at `first`, which is random: the leader takes two questions with the same one
    /// for the same, whoever asks, and a late answer to an earlier process must not be taken for
    /// one to this.
    pub(super) fn new(first: u64) -> Self {
        Self { waiting: Vec::new(), asked: None, confirmed: Vec::new(), context_last: first }
    }

    pub(super) fn add(&mut self, now: Boottime, request: u64) {
        self.waiting.push((request, now));
    }

    /// The context of a question to ask now, if any; `again` is how long an answer may take.
    pub(super) fn ask(&mut self, now: Boottime, again: Duration) -> Option<u64> {
        if let Some(asked) = &self.asked {
            if now.since(asked.at) <= again {
                return None;
            }
            // Asked again, so it may serve all that came meanwhile.
            let mut reads = self.asked.take().map(|asked| asked.reads).unwrap_or_default();
            reads.append(&mut self.waiting);
            self.waiting = reads;
        }
        if self.waiting.is_empty() {
            return None;
        }
        self.context_last = self.context_last.wrapping_add(1);
        let reads = std::mem::take(&mut self.waiting);
        self.asked = Some(Asked { context: self.context_last, at: now, reads });
        Some(self.context_last)
    }

    /// A majority has confirmed the question: `index` was committed when it was asked.
    pub(super) fn confirm(&mut self, context: u64, index: u64) {
        if let Some(asked) = self.asked.take_if(|asked| asked.context == context) {
            self.confirmed.push((index, asked.reads));
        }
    }

    /// Reads that are complete now.
    pub(super) fn complete(&mut self, applied: u64) -> Vec<u64> {
        if self.confirmed.is_empty() {
            return Vec::new();
        }
        let mut done = Vec::new();
        self.confirmed.retain_mut(|(index, reads)| {
            let complete = *index <= applied;
            if complete {
                done.extend(reads.drain(..).map(|(request, _)| request));
            }
            !complete
        });
        done
    }

    /// Reads that have waited too long.
    pub(super) fn give_up(&mut self, now: Boottime, age_max: Duration) -> Vec<u64> {
        let mut dropped = Vec::new();
        let mut sift = |reads: &mut Vec<(u64, Boottime)>| {
            reads.retain(|&(request, made)| {
                let keep = now.since(made) <= age_max;
                if !keep {
                    dropped.push(request);
                }
                keep
            });
        };
        sift(&mut self.waiting);
        if let Some(asked) = &mut self.asked {
            sift(&mut asked.reads);
        }
        self.confirmed.iter_mut().for_each(|(_, reads)| sift(reads));
        self.confirmed.retain(|(_, reads)| !reads.is_empty());
        dropped
    }

    pub(super) fn forget(&mut self, request: u64) {
        let asked = self.asked.iter_mut().map(|asked| &mut asked.reads);
        let confirmed = self.confirmed.iter_mut().map(|(_, reads)| reads);
        for reads in asked.chain(confirmed).chain([&mut self.waiting]) {
            reads.retain(|&(number, _)| number != request);
        }
        self.confirmed.retain(|(_, reads)| !reads.is_empty());
    }
}
