//! Who gets a vote, who loses it, who replaces whom: decided by the leader of the group. Pure.
//!
//! The leader asks [`next_step`] whenever no change is under way, so there is one change at a time.
//! The rules, the first that applies wins:
//!
//! 1. A member that the operator removed goes, if those who stay and were heard of lately are a
//!    majority of the voters that are left. A leader that is to go gives the lead away first.
//! 2. A member that came back with an empty disk has a new id. It is let in as a learner; once it
//!    has the log, one joint change takes the old id away and gives the new one its vote, if the
//!    others that were heard of lately are a majority by themselves: it is never the newcomer that
//!    a quorum hangs on. An old id that is still heard of is no lost disk but a name used twice,
//!    and nothing is done.
//! 3. Who was silent for [`View::dead_after`] is removed, if that is not zero. A voter is exchanged
//!    for a learner if one is ready; else it goes if [`View::min_voters`] are left.
//! 4. A name that nobody knows is let in as a learner.
//! 5. Learners that have had the log for [`STABLE_AFTER`] get votes up to [`View::max_voters`], as
//!    long as that makes the number of voters odd: an even number survives no more failures than
//!    the odd one below it. Of an odd number two are made voters at once, or none. Members without
//!    an application come first: they are there to vote.
//!
//! A member that is removed by name while it runs asks to be let in again: it has to be stopped.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};

use crate::Boottime;
use crate::codec::{CodecError, Reader, Writer};
use crate::election::NAME_BYTES_MAX;
use crate::replica::Member;
use crate::wire::Join;

/// Most members, with and without a vote: each learner costs the leader what a voter costs.
pub const MEMBERS_MAX: usize = 128;
/// A learner this close to the end of the log has caught up.
pub const CAUGHT_UP_ENTRIES: u64 = 64;
/// How long a learner must have kept up before it gets a vote.
pub const STABLE_AFTER: Duration = Duration::from_secs(10);
/// Who asked to be let in longer ago than this has gone away again.
pub const JOIN_VALID: Duration = Duration::from_secs(30);

/// What the leader knows of another member's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// When it was last heard of; when this one began to lead, if it was not heard of since.
    pub heard: Boottime,
    /// Since when its log has never been far behind; none if it is.
    pub caught_up_since: Option<Boottime>,
}

/// What the leader knows of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The leader that asks.
    pub leader: u64,
    /// Ids with a vote.
    pub voters: BTreeSet<u64>,
    /// Ids without.
    pub learners: BTreeSet<u64>,
    /// All members by id.
    pub members: BTreeMap<u64, Member>,
    /// Who asks to be let in or to get a vote, and when it last did.
    pub joins: Vec<(Join, Boottime)>,
    /// Names that the operator wants removed.
    pub removals: BTreeSet<Arc<str>>,
    /// The others; the leader itself is always alive and caught up.
    pub progress: BTreeMap<u64, Progress>,
    /// Most voters.
    pub max_voters: usize,
    /// Voters that are left when silent ones are removed.
    pub min_voters: usize,
    /// Silence after which a member is removed; zero: never.
    pub dead_after: Duration,
    /// A member heard of more recently than this is alive: a few election timeouts.
    pub live_within: Duration,
}

/// What the leader should do about the membership.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Propose this change.
    Change(ConfChangeV2),
    /// Hand the lead to another voter, which then removes this one.
    Yield,
}

/// What to do next, if anything.
///
/// To be called by a leader with no change under way, joint configurations included.
#[must_use]
pub fn next_step(view: &View, now: Boottime) -> Option<Step> {
    view.removal(now)
        .or_else(|| view.replacement(now).map(Step::Change))
        .or_else(|| view.dead(now).map(Step::Change))
        .or_else(|| view.newcomer(now).map(Step::Change))
        .or_else(|| view.promotion(now).map(Step::Change))
}

/// The members that a change lets in, as bytes for its context.
#[must_use]
pub fn encode_context(members: &[(u64, Member)]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.number(members.len() as u64);
    for (id, member) in members {
        writer.number(*id).text(&member.name).flag(member.witness);
    }
    writer.bytes
}

/// Reads what [`encode_context`] wrote; no bytes stand for no members.
///
/// # Errors
/// The bytes are no such list.
pub fn decode_context(bytes: &[u8]) -> Result<Vec<(u64, Member)>, CodecError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(bytes);
    let mut members = Vec::new();
    for _ in 0..reader.count(MEMBERS_MAX)? {
        let id = reader.number()?;
        let name = reader.text(NAME_BYTES_MAX)?;
        members.push((id, Member { name, witness: reader.flag()? }));
    }
    reader.end()?;
    Ok(members)
}

// === impl Progress ===

impl Progress {
    /// A member of which nothing is known yet, seen by a leader that begins at `now`.
    #[must_use]
    pub fn new(now: Boottime) -> Self {
        Self { heard: now, caught_up_since: None }
    }

    /// Takes in how far the member's log is, of which `last` is the end.
    pub fn observe(&mut self, now: Boottime, matched: u64, last: u64) {
        let near = matched.saturating_add(CAUGHT_UP_ENTRIES) >= last && matched > 0;
        self.caught_up_since = if near { self.caught_up_since.or(Some(now)) } else { None };
    }
}

// === impl View: the rules ===

impl View {
    fn removal(&self, now: Boottime) -> Option<Step> {
        let named = |id: &&u64| {
            self.members.get(id).is_some_and(|member| self.removals.contains(&member.name))
        };
        if let Some(&id) = self.learners.iter().find(named) {
            return Some(Step::Change(change(&[remove(id)], &[])));
        }
        let goes = |id: &&u64| named(id) && self.keeps_quorum(&[**id], 0, now);
        let id = *self.voters.iter().find(goes)?;
        let step = Step::Change(change(&[remove(id)], &[]));
        Some(if id == self.leader { Step::Yield } else { step })
    }

    fn replacement(&self, now: Boottime) -> Option<ConfChangeV2> {
        let returned = self.asking(now).find_map(|join| {
            let old = self.silent_namesake(join.id, &join.name, now)?;
            (!self.members.contains_key(&join.id)).then(|| self.readmission(join, old))
        });
        returned.or_else(|| {
            let mut members = self.members.iter();
            members.find_map(|(id, member)| {
                let old = self.silent_namesake(*id, &member.name, now)?;
                self.succession(*id, old, now)
            })
        })
    }

    /// Lets in a member that has lost its disk.
    fn readmission(&self, join: &Join, old: u64) -> ConfChangeV2 {
        let newcomer = Member { name: Arc::clone(&join.name), witness: join.witness };
        let context = [(join.id, newcomer)];
        let add = single(join.id, ConfChangeType::AddLearnerNode);
        if self.voters.contains(&old) {
            change(&[add], &context)
        } else {
            change(&[remove(old), add], &context)
        }
    }

    /// Gives a member the place of what it was before it lost its disk.
    fn succession(&self, id: u64, old: u64, now: Boottime) -> Option<ConfChangeV2> {
        if !self.is_live(id, now) {
            return None;
        }
        if self.voters.contains(&id) || !self.voters.contains(&old) {
            return self.keeps_quorum(&[old], 0, now).then(|| change(&[remove(old)], &[]));
        }
        let ready = self.caught_up_since(id).is_some();
        (ready && self.keeps_quorum(&[old], 1, now))
            .then(|| change(&[remove(old), promote(id)], &[]))
    }

    fn dead(&self, now: Boottime) -> Option<ConfChangeV2> {
        if self.dead_after.is_zero() {
            return None;
        }
        let dead = |id: &&u64| {
            let progress = self.progress.get(id);
            **id != self.leader && progress.is_some_and(|it| now.since(it.heard) >= self.dead_after)
        };
        if let Some(&id) = self.learners.iter().find(dead) {
            return Some(change(&[remove(id)], &[]));
        }
        let id = *self.voters.iter().find(dead)?;
        if let Some(&heir) = self.ready(now).first()
            && self.keeps_quorum(&[id], 1, now)
        {
            return Some(change(&[remove(id), promote(heir)], &[]));
        }
        let enough = self.voters.len() > self.min_voters.max(1);
        (enough && self.keeps_quorum(&[id], 0, now)).then(|| change(&[remove(id)], &[]))
    }

    fn newcomer(&self, now: Boottime) -> Option<ConfChangeV2> {
        if self.members.len() >= MEMBERS_MAX {
            return None;
        }
        let unknown = |join: &&Join| {
            !self.members.contains_key(&join.id)
                && self.members.values().all(|member| member.name != join.name)
        };
        let join = self.asking(now).find(unknown)?;
        let newcomer = Member { name: Arc::clone(&join.name), witness: join.witness };
        let add = single(join.id, ConfChangeType::AddLearnerNode);
        Some(change(&[add], &[(join.id, newcomer)]))
    }

    fn promotion(&self, now: Boottime) -> Option<ConfChangeV2> {
        let count = if self.voters.len().is_multiple_of(2) { 1 } else { 2 };
        if self.voters.len() + count > self.max_voters {
            return None;
        }
        let ready = self.ready(now);
        let chosen = ready.get(..count)?;
        let changes: Vec<_> = chosen.iter().map(|id| promote(*id)).collect();
        Some(change(&changes, &[]))
    }
}

// === impl View: what the rules ask ===

impl View {
    /// Those who ask to be let in and were not removed by the operator.
    fn asking(&self, now: Boottime) -> impl Iterator<Item = &Join> {
        let fresh = self.joins.iter().filter(move |(_, asked)| now.since(*asked) < JOIN_VALID);
        fresh.map(|(join, _)| join).filter(|join| !self.removals.contains(&join.name))
    }

    fn is_live(&self, id: u64, now: Boottime) -> bool {
        let heard = |progress: &Progress| now.since(progress.heard) < self.live_within;
        id == self.leader || self.progress.get(&id).is_some_and(heard)
    }

    fn caught_up_since(&self, id: u64) -> Option<Boottime> {
        self.progress.get(&id)?.caught_up_since
    }

    /// Learners that may get a vote, the best first.
    fn ready(&self, now: Boottime) -> Vec<u64> {
        let mut ready: Vec<_> = self
            .learners
            .iter()
            .filter(|id| self.is_live(**id, now) && !self.is_double(**id))
            .filter_map(|id| Some((*id, self.caught_up_since(*id)?)))
            .filter(|(_, since)| now.since(*since) >= STABLE_AFTER)
            .collect();
        let is_witness = |id: &u64| self.members.get(id).is_some_and(|member| member.witness);
        ready.sort_by_key(|(id, since)| (!is_witness(id), *since, *id));
        ready.into_iter().map(|(id, _)| id).collect()
    }

    /// Whether a voter has the same name: then this one waits to replace it.
    fn is_double(&self, id: u64) -> bool {
        let name = self.members.get(&id).map(|member| &member.name);
        let same = |voter: &u64| self.members.get(voter).map(|member| &member.name) == name;
        name.is_some() && self.voters.iter().any(same)
    }

    /// Another member of this name that was silent for a while.
    fn silent_namesake(&self, id: u64, name: &str, now: Boottime) -> Option<u64> {
        let mut others = self.members.iter();
        let is_it = |(other, member): &(&u64, &Member)| {
            **other != id && &*member.name == name && !self.is_live(**other, now)
        };
        others.find(is_it).map(|(other, _)| *other)
    }

    /// Whether the voters that stay and are alive are a majority of the voters that there would be.
    /// Those that are added count for the size only.
    fn keeps_quorum(&self, removed: &[u64], added: usize, now: Boottime) -> bool {
        let stay = || self.voters.iter().filter(|id| !removed.contains(id));
        let size = stay().count() + added;
        let live = stay().filter(|id| self.is_live(**id, now)).count();
        live > size / 2
    }
}

fn single(id: u64, kind: ConfChangeType) -> ConfChangeSingle {
    let mut single = ConfChangeSingle { node_id: id, ..ConfChangeSingle::default() };
    single.set_change_type(kind);
    single
}

fn promote(id: u64) -> ConfChangeSingle {
    single(id, ConfChangeType::AddNode)
}

fn remove(id: u64) -> ConfChangeSingle {
    single(id, ConfChangeType::RemoveNode)
}

/// A change that leaves the joint configuration by itself, if it needs one at all.
fn change(changes: &[ConfChangeSingle], members: &[(u64, Member)]) -> ConfChangeV2 {
    let mut change = ConfChangeV2::default();
    change.set_changes(changes.to_vec().into());
    if !members.is_empty() {
        change.set_context(encode_context(members).into());
    }
    change
}
