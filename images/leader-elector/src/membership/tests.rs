//! A case for each rule, and what no rule may do, over many groups at random.

use proptest::prelude::*;
use raft::eraftpb::{ConfChangeTransition, ConfChangeType};

use super::*;

const NOW: Boottime = Boottime(Duration::from_secs(1_000));

/// A group of the given voters, led by 1, all alive, none of them behind.
fn group(voters: &[u64]) -> View {
    let mut view = View {
        leader: 1,
        max_voters: 5,
        min_voters: 3,
        dead_after: Duration::from_secs(60),
        live_within: Duration::from_secs(3),
        ..View::default()
    };
    for id in voters {
        view.voters.insert(*id);
        member(&mut view, *id, &format!("m{id}"));
    }
    view
}

fn member(view: &mut View, id: u64, name: &str) {
    view.members.insert(id, Member { name: name.into(), witness: false });
    if id != view.leader {
        view.progress.insert(id, Progress { heard: NOW, caught_up_since: Some(ago(100)) });
    }
}

fn learner(view: &mut View, id: u64, name: &str) {
    view.learners.insert(id);
    member(view, id, name);
}

fn silent(view: &mut View, id: u64, seconds: u64) {
    view.progress.insert(id, Progress { heard: ago(seconds), caught_up_since: None });
}

fn kept_up_for(view: &mut View, id: u64, seconds: u64) {
    view.progress.insert(id, Progress { heard: NOW, caught_up_since: Some(ago(seconds)) });
}

fn asks(view: &mut View, id: u64, name: &str) {
    view.joins.push((Join { id, name: name.into(), witness: false }, NOW));
}

fn ago(seconds: u64) -> Boottime {
    NOW - Duration::from_secs(seconds)
}

/// The next step in raft's own short form: `v4 r3` makes 4 a voter and removes 3.
fn step(view: &View) -> String {
    match next_step(view, NOW) {
        None => "nothing".into(),
        Some(Step::Yield) => "yield".into(),
        Some(Step::Change(change)) => {
            assert_eq!(change.get_transition(), ConfChangeTransition::Auto);
            if change.changes.len() > 1 {
                assert_eq!(change.enter_joint(), Some(true), "leaves by itself");
            }
            short(&change)
        }
    }
}

fn short(change: &ConfChangeV2) -> String {
    let text = |single: &ConfChangeSingle| {
        let letter = match single.get_change_type() {
            ConfChangeType::AddNode => 'v',
            ConfChangeType::AddLearnerNode => 'l',
            ConfChangeType::RemoveNode => 'r',
        };
        format!("{letter}{}", single.node_id)
    };
    change.changes.iter().map(text).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_group_at_rest_is_left_alone() {
    assert_eq!(step(&group(&[1, 2, 3])), "nothing");
    let mut view = group(&[1, 2, 3]);
    asks(&mut view, 2, "m2");
    assert_eq!(step(&view), "nothing", "a member that asks is known already");
}

#[test]
fn a_new_name_becomes_a_learner_and_is_named_in_the_context() {
    let mut view = group(&[1, 2, 3]);
    view.joins.push((Join { id: 9, name: "new".into(), witness: true }, NOW));
    assert_eq!(step(&view), "l9");
    let Some(Step::Change(change)) = next_step(&view, NOW) else { panic!("a change") };
    let member = Member { name: "new".into(), witness: true };
    assert_eq!(decode_context(&change.context), Ok(vec![(9, member)]));
}

#[test]
fn who_stopped_asking_is_not_let_in() {
    let mut view = group(&[1, 2, 3]);
    asks(&mut view, 9, "new");
    view.joins[0].1 = ago(JOIN_VALID.as_secs());
    assert_eq!(step(&view), "nothing");
}

#[test]
fn a_full_group_lets_nobody_in() {
    let mut view = group(&[1, 2, 3]);
    for id in 0..MEMBERS_MAX as u64 - 3 {
        learner(&mut view, 100 + id, &format!("l{id}"));
        kept_up_for(&mut view, 100 + id, 1);
    }
    asks(&mut view, 9, "new");
    assert_eq!(step(&view), "nothing");
}

#[test]
fn learners_are_promoted_to_odd_numbers_of_voters_only() {
    let mut view = group(&[1, 2, 3]);
    learner(&mut view, 4, "m4");
    assert_eq!(step(&view), "nothing", "four survive what three do");
    learner(&mut view, 5, "m5");
    assert_eq!(step(&view), "v4 v5");
    view.max_voters = 4;
    assert_eq!(step(&view), "nothing");
    let mut view = group(&[1, 2, 3, 4]);
    learner(&mut view, 5, "m5");
    assert_eq!(step(&view), "v5");
    let mut view = group(&[1]);
    learner(&mut view, 2, "m2");
    assert_eq!(step(&view), "nothing");
    learner(&mut view, 3, "m3");
    assert_eq!(step(&view), "v2 v3");
}

#[test]
fn voters_are_capped() {
    let mut view = group(&[1, 2, 3, 4, 5]);
    learner(&mut view, 6, "m6");
    learner(&mut view, 7, "m7");
    assert_eq!(step(&view), "nothing");
}

#[test]
fn a_learner_must_have_kept_up_and_be_alive() {
    let mut view = group(&[1, 2]);
    learner(&mut view, 3, "m3");
    kept_up_for(&mut view, 3, STABLE_AFTER.as_secs() - 1);
    assert_eq!(step(&view), "nothing");
    kept_up_for(&mut view, 3, STABLE_AFTER.as_secs());
    assert_eq!(step(&view), "v3");
    let progress = Progress { heard: ago(5), caught_up_since: Some(ago(50)) };
    view.progress.insert(3, progress);
    assert_eq!(step(&view), "nothing");
}

#[test]
fn who_falls_behind_starts_again() {
    let mut progress = Progress::new(ago(30));
    progress.observe(ago(20), 0, 10);
    assert_eq!(progress.caught_up_since, None, "nothing matched yet");
    progress.observe(ago(19), 10, 10 + CAUGHT_UP_ENTRIES);
    progress.observe(ago(18), 20, 20);
    assert_eq!(progress.caught_up_since, Some(ago(19)));
    progress.observe(ago(17), 20, 21 + CAUGHT_UP_ENTRIES);
    assert_eq!(progress.caught_up_since, None);
}

#[test]
fn witnesses_come_first_then_those_that_kept_up_longest() {
    let mut view = group(&[1, 2]);
    for id in [3, 4, 5] {
        learner(&mut view, id, &format!("m{id}"));
    }
    kept_up_for(&mut view, 4, 200);
    assert_eq!(step(&view), "v4");
    view.members.insert(5, Member { name: "m5".into(), witness: true });
    assert_eq!(step(&view), "v5");
}

#[test]
fn a_wiped_voter_is_let_in_and_then_replaces_its_old_id() {
    let mut view = group(&[1, 2, 3]);
    silent(&mut view, 3, 3);
    asks(&mut view, 33, "m3");
    assert_eq!(step(&view), "l33");
    learner(&mut view, 33, "m3");
    view.progress.insert(33, Progress::new(NOW));
    assert_eq!(step(&view), "nothing", "it has not caught up");
    kept_up_for(&mut view, 33, 0);
    assert_eq!(step(&view), "r3 v33", "at once");
    view.joins.clear();
    assert_eq!(step(&view), "r3 v33", "also when it does not ask any more");
}

#[test]
fn a_wiped_learner_is_exchanged_at_once() {
    let mut view = group(&[1, 2, 3]);
    learner(&mut view, 4, "m4");
    silent(&mut view, 4, 5);
    asks(&mut view, 44, "m4");
    assert_eq!(step(&view), "r4 l44");
}

#[test]
fn a_name_used_twice_is_no_lost_disk() {
    let mut view = group(&[1, 2, 3]);
    asks(&mut view, 33, "m3");
    assert_eq!(step(&view), "nothing");
    asks(&mut view, 11, "m1");
    assert_eq!(step(&view), "nothing", "the leader's own name");
}

#[test]
fn no_quorum_ever_hangs_on_a_newcomer() {
    let mut view = group(&[1, 2, 3]);
    silent(&mut view, 2, 5);
    silent(&mut view, 3, 5);
    learner(&mut view, 33, "m3");
    assert_eq!(step(&view), "nothing");
    let mut view = group(&[1, 2, 3, 4, 5]);
    silent(&mut view, 4, 5);
    silent(&mut view, 5, 5);
    learner(&mut view, 55, "m5");
    assert_eq!(step(&view), "r5 v55");
}

#[test]
fn the_dead_are_exchanged_or_removed() {
    let mut view = group(&[1, 2, 3]);
    silent(&mut view, 3, 60);
    assert_eq!(step(&view), "nothing", "three are to stay");
    learner(&mut view, 4, "m4");
    assert_eq!(step(&view), "r3 v4");
    view.dead_after = Duration::ZERO;
    assert_eq!(step(&view), "nothing");

    let mut view = group(&[1, 2, 3, 4, 5]);
    silent(&mut view, 5, 59);
    assert_eq!(step(&view), "nothing");
    silent(&mut view, 5, 60);
    assert_eq!(step(&view), "r5");
    silent(&mut view, 4, 60);
    assert_eq!(step(&view), "r4", "three of four");
    silent(&mut view, 3, 60);
    assert_eq!(step(&view), "nothing", "two of five lead nobody");
}

#[test]
fn dead_learners_are_removed() {
    let mut view = group(&[1, 2, 3]);
    learner(&mut view, 4, "m4");
    silent(&mut view, 4, 60);
    assert_eq!(step(&view), "r4");
}

#[test]
fn after_a_removal_a_learner_gets_the_vote() {
    let mut view = group(&[1, 2, 3, 4, 5]);
    learner(&mut view, 6, "m6");
    view.removals.insert("m5".into());
    assert_eq!(step(&view), "r5");
    view.voters.remove(&5);
    view.members.remove(&5);
    assert_eq!(step(&view), "v6");
}

#[test]
fn the_operator_removes_by_name() {
    let mut view = group(&[1, 2, 3]);
    view.removals.insert("m3".into());
    assert_eq!(step(&view), "r3", "fewer voters than the usual fewest, if the operator says so");
    view.removals = ["m1".into()].into();
    assert_eq!(step(&view), "yield");
    silent(&mut view, 3, 5);
    view.removals = ["m2".into()].into();
    assert_eq!(step(&view), "nothing", "only one of the two that stay is alive");
    learner(&mut view, 4, "m4");
    view.removals = ["m4".into()].into();
    assert_eq!(step(&view), "r4");
    view.learners.clear();
    view.members.remove(&4);
    asks(&mut view, 4, "m4");
    assert_eq!(step(&view), "nothing", "and does not let in again what is to go");
}

#[test]
fn contexts_are_read_as_written() {
    let members = [
        (u64::MAX, Member { name: "a".into(), witness: true }),
        (7, Member { name: "b".into(), witness: false }),
    ];
    let bytes = encode_context(&members);
    assert_eq!(decode_context(&bytes).unwrap(), members);
    assert_eq!(decode_context(&[]).unwrap(), []);
    for end in 1..bytes.len() {
        assert!(decode_context(&bytes[..end]).is_err());
    }
}

prop_compose! {
    fn any_view()(
        members in prop::collection::vec((0u8..2, 0u64..100, 0u64..40, 0u8..6), 1..9),
        joins in prop::collection::vec((1u64..14, 0u8..9), 0..4),
        removed in prop::collection::vec(0u8..9, 0..2),
        max_voters in 1usize..7,
        min_voters in 1usize..5,
        dead_after in prop_oneof![Just(0u64), Just(60)],
    ) -> View {
        let mut view = group(&[1]);
        view.max_voters = max_voters;
        view.min_voters = min_voters;
        view.dead_after = Duration::from_secs(dead_after);
        for (number, (votes, silence, kept_up, name)) in members.into_iter().enumerate() {
            let id = number as u64 + 2;
            member(&mut view, id, &format!("m{name}"));
            if votes > 0 { view.voters.insert(id) } else { view.learners.insert(id) };
            let caught_up_since = (kept_up > 0).then(|| ago(kept_up));
            view.progress.insert(id, Progress { heard: ago(silence.saturating_sub(60) * 3), caught_up_since });
        }
        for (id, name) in joins {
            asks(&mut view, id, &format!("m{name}"));
        }
        view.removals = removed.into_iter().map(|name| format!("m{name}").into()).collect();
        view
    }
}

proptest! {
    /// Whatever the group is like: the leader stays, its majority is alive without the newcomers,
    /// and raft can carry the change out.
    #[test]
    fn no_step_costs_the_group_its_quorum(view in any_view()) {
        let live = |id: &u64| view.is_live(*id, NOW);
        // Else this one would not lead.
        if view.voters.iter().filter(|id| live(id)).count() <= view.voters.len() / 2 {
            return Ok(());
        }
        let Some(Step::Change(change)) = next_step(&view, NOW) else { return Ok(()) };
        let mut voters = view.voters.clone();
        for single in change.changes.iter() {
            let id = single.node_id;
            match single.get_change_type() {
                ConfChangeType::AddNode => {
                    prop_assert!(view.learners.contains(&id), "only learners get a vote");
                    voters.insert(id);
                }
                ConfChangeType::AddLearnerNode => {
                    prop_assert!(!view.members.contains_key(&id));
                }
                ConfChangeType::RemoveNode => {
                    prop_assert!(view.members.contains_key(&id));
                    prop_assert!(id != view.leader);
                    voters.remove(&id);
                }
            }
        }
        prop_assert!(voters.contains(&view.leader));
        prop_assert!(voters.iter().filter(|id| live(id)).count() > voters.len() / 2);
        prop_assert!(voters.len() <= view.max_voters.max(view.voters.len()));
    }
}
