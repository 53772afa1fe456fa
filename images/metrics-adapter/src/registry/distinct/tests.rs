use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use super::*;

fn hash(member: u64) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one(member)
}

#[test]
fn few_members_are_counted_exactly_and_many_nearly() {
    let mut set = Distinct::default();
    for member in 0..100_000_u64 {
        set.insert(hash(member), 0);
        // Again, and one of before.
        set.insert(hash(member), 0);
        set.insert(hash(member / 2), 0);
        let exact = member < EXACT_MAX as u64;
        if exact || member.is_multiple_of(1_000) {
            let (count, expected) = (set.value(0), (member + 1) as f64);
            // Five standard errors.
            let tolerated = if exact { 0.0 } else { 0.08 };
            assert!((count / expected - 1.0).abs() <= tolerated, "{count} instead of {expected}");
        }
    }
    assert!(set.bytes() <= 4_096);
}

#[test]
fn a_window_is_a_minute() {
    let mut set = Distinct::default();
    let table = [
        // Second, members put in, what the set says afterwards.
        (0, 0..0, 0.0),
        (10, 0..3, 3.0),
        (59, 0..5, 5.0),
        (60, 0..0, 5.0),
        (61, 0..2, 5.0),
        (119, 0..7, 7.0),
        (120, 0..1, 7.0),
        (180, 0..0, 1.0),
        (239, 0..0, 1.0),
        (240, 0..0, 0.0),
        (1_000_000, 0..2, 2.0),
        (Seconds::MAX, 0..1, 1.0),
    ];
    for (now, members, expected) in table {
        for member in members {
            set.insert(hash(member), now);
        }
        assert_eq!(set.value(now), expected, "second {now}");
    }
}

#[test]
fn an_estimate_gives_its_memory_back() {
    let mut set = Distinct::default();
    let changes = (0..1_000).filter(|member| set.insert(hash(*member), 0)).count();
    assert!(changes < 12, "{changes} changes of size");
    assert_eq!(set.bytes(), REGISTERS);
    assert!(set.insert(1, 60));
    assert!(set.bytes() < 200);
}
