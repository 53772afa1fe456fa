//! When a group is founded, and by whom; and that no two of them ever work.

mod simulation;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::codec::{CodecError, Reader, Writer};

fn hello(id: u64, name: &str, expected: u16) -> Hello {
    let advertise: Arc<str> = format!("{name}.example:4041").into();
    Hello { id, name: name.into(), witness: false, advertise, expected, group: None }
}

fn group(ids: &[(u64, &str)]) -> Group {
    let founder = |&(id, name): &(u64, &str)| Founder { id, name: name.into(), witness: false };
    Group::of(ids.iter().map(founder).collect())
}

fn of(hello: Hello, group: &Group) -> Hello {
    Hello { group: Some(group.clone()), ..hello }
}

/// What `a`, which expects three, decides.
fn decided(peers: &[Hello]) -> Decision {
    let answers = peers.iter().map(|hello| (hello.id, hello.clone())).collect();
    decide(&hello(1, "a", 3), &answers, 0)
}

#[test]
fn all_founders_found_the_same_group() {
    let all = [hello(7, "a", 3), hello(3, "b", 3), hello(5, "c", 3)];
    let answers = all.iter().map(|hello| (hello.id, hello.clone())).collect();
    let wanted = group(&[(3, "b"), (5, "c"), (7, "a")]);
    for own in &all {
        assert_eq!(decide(own, &answers, 0), Decision::Found(wanted.clone()));
        assert!(matches!(decide(own, &answers, 1), Decision::Wait(_)), "an address is silent");
    }
}

#[test]
fn one_founder_is_enough_if_one_is_expected() {
    let own = hello(1, "a", 1);
    let wanted = Decision::Found(group(&[(1, "a")]));
    assert_eq!(decide(&own, &Default::default(), 0), wanted);
}

#[test]
fn nobody_founds_when_the_members_are_not_those_expected() {
    let (b, c, d) = (hello(2, "b", 3), hello(3, "c", 3), hello(4, "d", 3));
    let wait = |peers: &[Hello], reason| assert_eq!(decided(peers), Decision::Wait(reason));
    wait(&[], "fewer members answer than are expected");
    wait(std::slice::from_ref(&b), "fewer members answer than are expected");
    wait(&[b.clone(), c.clone(), d], "more members answer than are expected");
    wait(&[b.clone(), hello(3, "c", 5)], "members expect different numbers of founders");
    wait(&[b.clone(), hello(3, "c", 0)], "members expect different numbers of founders");
    wait(&[b.clone(), hello(3, "b", 3)], "two members have the same name");
    wait(&[b, hello(3, "a", 3)], "two members have the same name");
    let own = hello(1, "a", 0);
    let alone = decide(&own, &Default::default(), 0);
    assert_eq!(alone, Decision::Wait("this member founds no group, and nobody has one yet"));
}

#[test]
fn witnesses_alone_found_nothing() {
    let own = Hello { witness: true, ..hello(1, "a", 1) };
    let decision = decide(&own, &Default::default(), 0);
    assert_eq!(decision, Decision::Wait("all members are witnesses"));
}

#[test]
fn a_group_that_exists_comes_first() {
    let (mine, other) = (group(&[(1, "a"), (2, "b"), (3, "c")]), group(&[(8, "a"), (9, "b")]));
    let (b, c) = (hello(2, "b", 3), hello(3, "c", 3));
    assert_eq!(decided(&[of(b.clone(), &mine), c.clone()]), Decision::Adopt(mine.clone()));
    assert_eq!(decided(&[of(b.clone(), &other), c.clone()]), Decision::Join(other.clone()));
    let both = decided(&[of(b, &mine), of(c, &other)]);
    assert_eq!(both, Decision::Adopt(mine), "it counts on this member");
}

#[test]
fn of_two_groups_the_one_that_works_is_joined() {
    let (one, two) = (group(&[(7, "b"), (8, "c")]), group(&[(8, "c"), (9, "d")]));
    let (b, c, d) = (hello(7, "b", 2), hello(8, "c", 2), hello(9, "d", 2));
    let none = decided(&[of(b.clone(), &one), of(d.clone(), &two)]);
    assert_eq!(none, Decision::Wait("peers belong to different groups"));
    let works = decided(&[of(b, &one), of(c, &two), of(d, &two)]);
    assert_eq!(works, Decision::Join(two));
}

#[test]
fn a_member_left_behind_knows_it() {
    let (old, new) =
        (group(&[(1, "a"), (2, "b"), (3, "c")]), group(&[(1, "a"), (2, "b"), (4, "c")]));
    let answers = |peers: &[Hello]| peers.iter().map(|hello| (hello.id, hello.clone())).collect();
    let (b, c) = (hello(2, "b", 3), hello(4, "c", 3));
    assert!(stranded(1, &old, &answers(&[of(b.clone(), &new), of(c.clone(), &new)])));
    assert!(!stranded(1, &old, &answers(&[of(b.clone(), &new), c.clone()])), "no majority");
    let third = of(hello(3, "c", 3), &old);
    assert!(!stranded(1, &old, &answers(&[of(b, &new), of(c, &new), third])), "its own works");
    assert!(!stranded(1, &old, &answers(&[])));
}

#[test]
fn the_id_of_a_group_depends_on_all_of_it_but_the_order() {
    let one = group(&[(1, "a"), (2, "b")]);
    assert_eq!(one.id, group(&[(2, "b"), (1, "a")]).id);
    assert_ne!(one.id, group(&[(1, "a"), (2, "c")]).id);
    assert_ne!(one.id, group(&[(1, "a"), (3, "b")]).id);
    assert_ne!(one.id, group(&[(1, "ab"), (2, "")]).id);
    assert_eq!(one.id.to_string(), "c2a08beb3b6c2b10d531efc860ad90ff", "it is stored on disks");
}

proptest! {
    #[test]
    fn hellos_survive(
        id in 1u64.., name in ".{0,20}", witness: bool, expected: u16,
        founders in prop::option::of(prop::collection::vec((any::<u64>(), ".{0,9}"), 0..9)),
    ) {
        let group = founders.map(|founders| {
            let founder = |(id, name): (u64, String)| Founder { id, name: name.into(), witness };
            Group::of(founders.into_iter().map(founder).collect())
        });
        let hello = Hello { witness, group, ..hello(id, &name, expected) };
        prop_assert_eq!(Hello::from_bytes(&hello.to_bytes()), Ok(hello.clone()));
        let identity = Identity { id, name: hello.name, group: hello.group };
        let mut writer = Writer::default();
        identity.write(&mut writer);
        prop_assert_eq!(Identity::read(&mut Reader::new(&writer.bytes)), Ok(identity));
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(hello) = Hello::from_bytes(&bytes) {
            prop_assert_eq!(hello.to_bytes(), bytes);
        }
    }
}

#[test]
fn nobody_is_member_zero_and_nobody_founds_twice() {
    let mut zero = hello(0, "a", 1);
    assert_eq!(Hello::from_bytes(&zero.to_bytes()), Err(CodecError::Number));
    let mut twice = group(&[(1, "a")]);
    twice.founders.push(twice.founders[0].clone());
    zero.id = 1;
    assert_eq!(Hello::from_bytes(&of(zero, &twice).to_bytes()), Err(CodecError::Order));
}
