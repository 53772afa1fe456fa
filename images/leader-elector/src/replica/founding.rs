//! How founders start: all alike.

use raft::eraftpb::{HardState, Snapshot};

use super::state::State;
use crate::bootstrap::{Founder, Group};
use crate::store::Write;

/// Most founders with a vote; more of them cost every write time and survive little more.
const FOUNDING_VOTERS_MAX: usize = 5;
/// The term and index at which founders start, so that nobody else can start from an empty log.
const FOUNDED: u64 = 1;

/// Which founders vote: at most [`FOUNDING_VOTERS_MAX`], those without an application first. The
/// same at all founders, so it depends on nothing that a flag could make different.
fn votes(group: &Group) -> (Vec<u64>, Vec<u64>) {
    let mut founders: Vec<_> = group.founders.iter().collect();
    founders.sort_by_key(|founder| (!founder.witness, founder.id));
    let ids = |founders: &[&Founder]| founders.iter().map(|it| it.id).collect();
    let (voters, learners) = founders.split_at(founders.len().min(FOUNDING_VOTERS_MAX));
    (ids(voters), ids(learners))
}

/// How founders start: all with the same members, at the same index.
pub(super) fn found(group: &Group) -> Write {
    let state = State::founded(group);
    let mut snapshot = Snapshot::default();
    snapshot.set_data(state.to_bytes().into());
    let metadata = snapshot.mut_metadata();
    metadata.index = FOUNDED;
    metadata.term = FOUNDED;
    let (voters, learners) = votes(group);
    metadata.mut_conf_state().voters = voters;
    metadata.mut_conf_state().learners = learners;
    let hard_state = HardState { term: FOUNDED, commit: FOUNDED, ..HardState::default() };
    Write { snapshot: Some(snapshot), hard_state: Some(hard_state), sync: true, ..Write::default() }
}
