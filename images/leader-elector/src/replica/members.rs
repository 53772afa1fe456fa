//! What the leader watches to keep the membership, and how a change is written in the log.
//!
//! The library writes changes as protobuf. Members read them from the context of the entry instead,
//! in our own format: no protobuf that came over the network is ever parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2};

use super::{JOINS_MAX, Replica};
use crate::Boottime;
use crate::codec::{CodecError, Reader, Writer};
use crate::membership::{JOIN_VALID, Progress, Step, View, next_step};
use crate::wire::Join;

/// Most single changes in one step.
const CHANGES_MAX: usize = 16;
/// Longest list of names in one step.
const CONTEXT_BYTES_MAX: usize = 8 * 1024;

/// What a leader knows beyond what is replicated. Starts over with each term of leading.
#[derive(Default)]
pub(super) struct Keeper {
    joins: BTreeMap<u64, (Join, Boottime)>,
    removals: BTreeSet<Arc<str>>,
    progress: BTreeMap<u64, Progress>,
}

// === impl Keeper ===

impl Keeper {
    /// Starts over; returns the removals still to be done if `pass` says that somebody else takes
    /// them, and keeps them otherwise.
    pub(super) fn clear(&mut self, pass: bool) -> BTreeSet<Arc<str>> {
        let removals = std::mem::take(&mut self.removals);
        *self = Self::default();
        if pass {
            return removals;
        }
        self.removals = removals;
        BTreeSet::new()
    }

    pub(super) fn join(&mut self, now: Boottime, join: Join) {
        if self.joins.len() >= JOINS_MAX {
            self.joins.retain(|_, (_, asked)| now.since(*asked) < JOIN_VALID);
        }
        if self.joins.len() < JOINS_MAX || self.joins.contains_key(&join.id) {
            self.joins.insert(join.id, (join, now));
        }
    }

    /// This member stood still: that others were silent means nothing.
    pub(super) fn stood_still(&mut self) {
        self.progress.clear();
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.removals.insert(name.into());
    }

    pub(super) fn heard(&mut self, now: Boottime, from: u64) {
        if let Some(progress) = self.progress.get_mut(&from) {
            progress.heard = now;
        }
    }
}

// === impl Replica: the membership ===

impl Replica {
    /// Lets the leader decide about the next change, if none is under way.
    pub(super) fn change_members(&mut self, now: Boottime) {
        let raft = &self.node.raft;
        if !self.leads() || !raft.apply_to_current_term() {
            return;
        }
        let (own, last) = (raft.id, raft.raft_log.last_index());
        let known: Vec<(u64, u64)> = raft
            .prs()
            .iter()
            .filter(|(id, _)| **id != own)
            .map(|(&id, progress)| (id, progress.matched))
            .collect();
        self.keeper.progress.retain(|id, _| known.iter().any(|(known, _)| known == id));
        for (id, matched) in known {
            let progress = self.keeper.progress.entry(id).or_insert_with(|| Progress::new(now));
            progress.observe(now, matched, last);
        }
        if raft.has_pending_conf() || !self.conf_state.voters_outgoing.is_empty() {
            return;
        }
        let members = &self.state.members;
        self.keeper.removals.retain(|name| members.values().any(|it| it.name == *name));
        match next_step(&self.view(), now) {
            Some(Step::Change(change)) => {
                let context = encode_change(&change);
                // Refused when leadership is being handed over: decided anew at the next tick.
                let _ = self.node.propose_conf_change(context, change);
            }
            Some(Step::Yield) => self.yield_leadership(),
            None => {}
        }
    }

    fn view(&self) -> View {
        View {
            leader: self.options.id,
            voters: self.conf_state.voters.iter().copied().collect(),
            learners: self.conf_state.learners.iter().copied().collect(),
            members: self.state.members.clone(),
            joins: self.keeper.joins.values().cloned().collect(),
            removals: self.keeper.removals.clone(),
            progress: self.keeper.progress.clone(),
            max_voters: usize::from(self.options.max_voters),
            min_voters: usize::from(self.options.min_voters),
            dead_after: self.options.dead_after,
            live_within: self.election_timeout() * 3,
        }
    }
}

const KINDS: [ConfChangeType; 3] =
    [ConfChangeType::AddNode, ConfChangeType::RemoveNode, ConfChangeType::AddLearnerNode];
const TRANSITIONS: [ConfChangeTransition; 3] =
    [ConfChangeTransition::Auto, ConfChangeTransition::Implicit, ConfChangeTransition::Explicit];

/// A change in our own format.
pub(super) fn encode_change(change: &ConfChangeV2) -> Vec<u8> {
    let place = |found: Option<usize>| found.unwrap_or(usize::MAX) as u64;
    let mut writer = Writer::default();
    let transition = change.get_transition();
    writer.number(place(TRANSITIONS.iter().position(|&it| it == transition)));
    writer.number(change.get_changes().len() as u64);
    for single in change.get_changes() {
        let kind = single.get_change_type();
        writer.number(place(KINDS.iter().position(|&it| it == kind))).number(single.node_id);
    }
    writer.slice(change.get_context());
    writer.bytes
}

/// Reads what [`encode_change`] wrote. No bytes stand for the end of a joint configuration, which
/// the library proposes itself.
pub(super) fn decode_change(bytes: &[u8]) -> Result<ConfChangeV2, CodecError> {
    let mut change = ConfChangeV2::default();
    if bytes.is_empty() {
        return Ok(change);
    }
    let mut reader = Reader::new(bytes);
    let tag = |number: u64| usize::try_from(number).map_err(|_| CodecError::Tag(number));
    let number = reader.number()?;
    let transition = TRANSITIONS.get(tag(number)?).ok_or(CodecError::Tag(number))?;
    change.set_transition(*transition);
    for _ in 0..reader.count(CHANGES_MAX)? {
        let number = reader.number()?;
        let mut single = ConfChangeSingle::default();
        single.set_change_type(*KINDS.get(tag(number)?).ok_or(CodecError::Tag(number))?);
        single.node_id = reader.number()?;
        change.mut_changes().push(single);
    }
    change.set_context(reader.slice(CONTEXT_BYTES_MAX)?.to_vec().into());
    reader.end()?;
    Ok(change)
}
