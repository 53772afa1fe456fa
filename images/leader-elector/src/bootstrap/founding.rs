//! What an empty member does about what its peers say.

use std::collections::BTreeMap;

use super::{Founder, Group, GroupId, Hello};

/// What an empty member is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet; why.
    Wait(&'static str),
    /// Found this group: all founders are here.
    Found(Group),
    /// A peer has founded this group, and this member is one of its founders.
    Adopt(Group),
    /// Be let into this group as a newcomer.
    Join(Group),
}

/// What the empty member `own` is to do, given the hellos of peers that are connected now (its own
/// does no harm there), and the number of known addresses from which nobody has answered.
///
/// A group that exists comes first; only when every address answered and nobody has one is a group
/// founded.
#[must_use]
pub fn decide(own: &Hello, answers: &BTreeMap<u64, Hello>, unanswered: usize) -> Decision {
    let peers = || answers.values().filter(|hello| hello.id != own.id);
    if let Some(decision) = existing(own.id, answers) {
        return decision;
    }
    let mut names: Vec<_> = peers().chain([own]).map(|hello| &hello.name).collect();
    let members = names.len();
    names.sort();
    names.dedup();
    let founders = peers().chain([own]);
    let reason = if own.expected == 0 {
        "this member founds no group, and nobody has one yet"
    } else if names.len() < members {
        "two members have the same name"
    } else if peers().any(|hello| hello.expected != own.expected) {
        "members expect different numbers of founders"
    } else if members < usize::from(own.expected) {
        "fewer members answer than are expected"
    } else if members > usize::from(own.expected) {
        "more members answer than are expected"
    } else if unanswered > 0 {
        "nobody answers at an address of a member"
    } else if founders.clone().all(|hello| hello.witness) {
        "all members are witnesses"
    } else {
        return Decision::Found(Group::of(founders.map(Founder::from).collect()));
    };
    Decision::Wait(reason)
}

/// What to do about groups that peers are part of; none if there is no group.
fn existing(own: u64, answers: &BTreeMap<u64, Hello>) -> Option<Decision> {
    let mut groups: BTreeMap<GroupId, (&Group, usize)> = BTreeMap::new();
    for hello in answers.values().filter(|hello| hello.id != own) {
        if let Some(group) = &hello.group {
            let founders_here = &mut groups.entry(group.id).or_insert((group, 0)).1;
            *founders_here += usize::from(group.founded_by(hello.id));
        }
    }
    // Taking part in any that counts on this member is safe, as it takes part in one only; the one
    // that is closest to a majority leaves the fewest behind.
    let counting = groups.values().filter(|(group, _)| group.founded_by(own));
    if let Some((group, _)) = counting.max_by_key(|(group, here)| (*here, group.id)) {
        return Some(Decision::Adopt((*group).clone()));
    }
    let mut working = groups.values().filter(|it| groups.len() == 1 || majority(it.0, it.1));
    let wait = Decision::Wait("peers belong to different groups");
    match working.next() {
        Some((group, _)) => Some(Decision::Join((*group).clone())),
        None if groups.is_empty() => None,
        None => Some(wait),
    }
}

/// Whether the member `own` of `group` was left behind by founders who decided otherwise: a majority
/// of the founders of another group are connected and part of that, and no majority of its own is.
///
/// If it also never voted nor wrote an entry (the caller must know), nobody counts on its disk: it
/// may wipe it and start over with a new id, as if the disk had been lost.
#[must_use]
pub fn stranded(own: u64, group: &Group, answers: &BTreeMap<u64, Hello>) -> bool {
    let works = |group: &Group, more: usize| {
        let of = |hello: &&Hello| hello.group.as_ref().is_some_and(|it| it.id == group.id);
        let here = answers.values().filter(of).filter(|hello| group.founded_by(hello.id));
        majority(group, here.count() + more)
    };
    let peers = answers.values().filter(|hello| hello.id != own);
    let mut others = peers.filter_map(|hello| hello.group.as_ref());
    let founder = usize::from(group.founded_by(own) && !answers.contains_key(&own));
    !works(group, founder) && others.any(|other| other.id != group.id && works(other, 0))
}

fn majority(group: &Group, founders: usize) -> bool {
    founders > group.founders.len() / 2
}

// === impl Founder ===

impl From<&Hello> for Founder {
    fn from(hello: &Hello) -> Self {
        Self { id: hello.id, name: hello.name.clone(), witness: hello.witness }
    }
}
