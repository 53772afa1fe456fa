//! Golden vectors, the rules of tags and empty keys, and properties of rings.

use proptest::prelude::*;

use super::hash::md5_points;
use super::*;

fn members(list: &[(&str, u32)]) -> Vec<Member> {
    list.iter().map(|(label, weight)| Member { label: (*label).into(), weight: *weight }).collect()
}

fn equal_servers(count: usize) -> Vec<Member> {
    (1..=count).map(|n| Member { label: format!("10.0.0.{n}:6379"), weight: 1 }).collect()
}

fn never() -> u32 {
    unreachable!("no random number is needed here")
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let data = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    data.map(|line| line.split_whitespace().collect())
}

#[test]
fn hashes_agree_with_the_golden_vectors() {
    for fields in lines(include_str!("testdata/hashes.txt")) {
        let [hash, bytes, key, expected] = fields[..] else {
            panic!("four fields expected: {fields:?}")
        };
        let hash: Hash = hash.parse().unwrap();
        let found = hash.of(key.as_bytes(), bytes.parse().unwrap());
        assert_eq!(found.to_string(), expected, "{hash} {bytes} {key}");
    }
}

#[test]
fn placements_agree_with_the_golden_vectors() {
    let mut pools = std::collections::HashMap::new();
    for fields in lines(include_str!("testdata/placements.txt")) {
        if fields[0] == "pool" {
            let parse = |field: &&str| {
                let (label, weight) = field.split_once('*').unwrap();
                Member { label: label.into(), weight: weight.parse().unwrap() }
            };
            pools.insert(fields[1], fields[2..].iter().map(parse).collect::<Vec<_>>());
            continue;
        }
        let [pool, distribution, hash, key, owner] = fields[..] else {
            panic!("five fields expected: {fields:?}")
        };
        let rules = Rules {
            hash: hash.parse().unwrap(),
            distribution: distribution.parse().unwrap(),
            ..Rules::default()
        };
        let placement = Placement::new(rules, pools[pool].clone());
        let found = placement.locate(key.as_bytes(), never).unwrap();
        assert_eq!(placement.members()[found as usize].label, owner, "{fields:?}");
    }
}

#[test]
fn points_come_from_little_endian_words() {
    let expected = [3_586_001_048, 1_294_732_923, 627_727_614, 2_908_903_793];
    assert_eq!(md5_points(b"10.0.0.1:6379-0"), expected);
}

#[test]
fn weights_decide_the_number_of_points() {
    let shares = |list: &[(&str, u32)]| {
        let list = members(list);
        Ring::build(Distribution::Ketama, &list, &vec![true; list.len()]).shares().to_vec()
    };
    let caches = [("cache1", 5), ("cache2", 3), ("cachelong", 1), ("cache3:11212", 7)];
    assert_eq!(shares(&caches), [200, 120, 40, 280]);
    assert_eq!(shares(&[("a:1", 1), ("b:1", 1), ("c:1", 1)]), [160, 160, 160]);
    assert_eq!(shares(&[("a:1", 100_000), ("b:1", 1)]), [316, 0]);
}

/// Weights at which a ring of exact fractions would have one digest more; the numbers are those
/// of the original's arithmetic in C.
#[test]
fn weights_are_rounded_as_floats() {
    let points = |weight: u32, total: u32, live: u32| {
        let rest = total - weight - (live - 2);
        let others = (2..live).map(|_| 1).chain([rest]);
        let list: Vec<Member> = std::iter::once(weight)
            .chain(others)
            .map(|weight| Member { label: "a".into(), weight })
            .collect();
        Ring::build(Distribution::Ketama, &list, &vec![true; list.len()]).shares()[0]
    };
    assert_eq!(points(29, 60, 3), 228, "exactly 232");
    assert_eq!(points(58, 60, 3), 460, "exactly 464");
    assert_eq!(points(61, 120, 3), 240, "exactly 244");
    assert_eq!(points(13, 176, 22), 256, "exactly 260");
    assert_eq!(points(168, 528, 33), 1676, "exactly 1680");
}

#[test]
fn the_hash_tag_is_the_first_non_empty_pair_only() {
    let rules = Rules { hash_tag: Some(*b"{}"), ..Rules::default() };
    let cases: [(&str, &str); 8] = [
        ("user:{42}:name", "42"),
        ("{}x", "{}x"),
        ("{}{a}", "{}{a}"),
        ("a{b", "a{b"),
        ("a}b{c}", "c"),
        ("{{a}}", "{a"),
        ("", ""),
        ("plain", "plain"),
    ];
    for (key, part) in cases {
        assert_eq!(rules.hashed_part(key.as_bytes()), part.as_bytes(), "{key}");
    }
    let same = Rules { hash_tag: Some(*b"$$"), ..Rules::default() };
    assert_eq!(same.hashed_part(b"a$b$c$d$"), b"b");
}

#[test]
fn an_empty_key_hashes_to_zero() {
    for hash in Hash::ALL {
        let rules = Rules { hash, ..Rules::default() };
        assert_eq!(rules.hash(b""), 0, "{hash}");
    }
}

#[test]
fn names_round_trip() {
    for hash in Hash::ALL {
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }
    for name in Distribution::NAMES {
        assert_eq!(name.parse::<Distribution>().unwrap().to_string(), name);
    }
    for name in KeyBytes::NAMES {
        assert_eq!(name.parse::<KeyBytes>().unwrap().to_string(), name);
    }
    assert!("FNV1A_64".parse::<Hash>().is_err());
}

#[test]
fn a_single_live_member_owns_everything_without_hashing() {
    let rules = Rules { distribution: Distribution::Random, ..Rules::default() };
    let one = Placement::new(rules, members(&[("a:1", 3)]));
    assert_eq!(one.locate(b"any", never), Some(0));
    let left = Placement::new(rules, equal_servers(3)).with_live(&[false, true, false]);
    assert_eq!(left.locate(b"any", never), Some(1));
    assert_eq!(left.ring().slot(1), Some(Slot::OnlyMember));
    let none = left.with_live(&[]);
    assert_eq!((none.locate(b"any", never), none.ring().slot(1)), (None, None));
}

#[test]
fn random_placement_ignores_weights() {
    let rules = Rules { distribution: Distribution::Random, ..Rules::default() };
    let placement = Placement::new(rules, members(&[("a:1", 100), ("b:1", 1), ("c:1", 1)]));
    let owners: Vec<_> = (0..6).map(|roll| placement.locate(b"k", || roll)).collect();
    assert_eq!(owners, [0, 1, 2, 0, 1, 2].map(Some));
}

#[test]
fn the_ring_wraps_at_its_end() {
    let ring = Ring::build(Distribution::Ketama, &equal_servers(3), &[true; 3]);
    let points: Vec<_> = ring.points().collect();
    assert!(points.is_sorted_by_key(|(point, _)| *point));
    let (last, first) = (points[points.len() - 1], points[0]);
    assert_eq!(ring.lookup(last.0, never), Some(last.1));
    assert_eq!(ring.lookup(u32::MAX, never), Some(first.1));
    let slot = ring.slot(u32::MAX);
    assert_eq!(slot, Some(Slot::Point { index: 0, of: 480, point: first.0, wrapped: true }));
}

#[test]
fn long_labels_are_cut_like_the_fixed_buffer() {
    // With 300 bytes of label all digests are made of the same text: one point, many owners.
    let long = "x".repeat(300);
    let ring = Ring::build(Distribution::Ketama, &members(&[("a:1", 1), (&long, 1)]), &[true; 2]);
    let points: std::collections::HashSet<u32> =
        ring.points().filter(|(_, owner)| *owner == 1).map(|(point, _)| point).collect();
    assert_eq!(points.len(), 4);
}

#[test]
fn ketama_moves_only_the_keys_of_a_lost_server() {
    let before = Placement::new(Rules::default(), equal_servers(10));
    let live: Vec<bool> = (0..10).map(|index| index != 4).collect();
    let after = before.with_live(&live);
    assert_eq!(moved_share(&before, &before), 0.0);
    let share = moved_share(&before, &after);
    assert!((0.07..0.13).contains(&share), "{share}");
    let modula = Rules { distribution: Distribution::Modula, ..Rules::default() };
    let before = Placement::new(modula, equal_servers(10));
    assert!(moved_share(&before, &before.with_live(&live)) > 0.8);
    assert_eq!(moved_share(&before, &before.with_live(&[])), 1.0);
}

/// The ring as literally described: every unit of weight listed, every point scanned.
fn slow_owner(distribution: Distribution, list: &[Member], live: &[bool], hash: u32) -> u32 {
    let ring = Ring::build(distribution, list, live);
    if distribution == Distribution::Modula {
        let mut units = Vec::new();
        for (index, member) in list.iter().enumerate().filter(|(index, _)| live[*index]) {
            units.extend(std::iter::repeat_n(index as u32, member.weight as usize));
        }
        return units[hash as usize % units.len()];
    }
    let above = ring.points().find(|(point, _)| *point >= hash);
    above.or_else(|| ring.points().next()).map(|(_, owner)| owner).unwrap()
}

proptest! {
    #[test]
    fn lookups_agree_with_a_plain_scan(
        weights in prop::collection::vec(1_u32..50, 2..9),
        dead in any::<u8>(),
        hashes in prop::collection::vec(any::<u32>(), 50),
        ketama in any::<bool>(),
    ) {
        let mut list = equal_servers(weights.len());
        for (member, weight) in list.iter_mut().zip(&weights) {
            member.weight = *weight;
        }
        let live: Vec<bool> = (0..list.len()).map(|n| n < 2 || dead & (1 << n) == 0).collect();
        let distribution = if ketama { Distribution::Ketama } else { Distribution::Modula };
        let ring = Ring::build(distribution, &list, &live);
        for hash in hashes {
            let expected = slow_owner(distribution, &list, &live, hash);
            prop_assert_eq!(ring.lookup(hash, never), Some(expected));
        }
    }
}
