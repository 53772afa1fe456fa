use std::collections::HashMap;

use proptest::prelude::*;

use super::{Cache, Effect, KEY_BYTES_MAX, KEY_BYTES_MEAN, Key, Target};
use crate::line::Repeat;
use crate::registry::SeriesId;

fn effect(index: u32) -> Effect {
    let target = Target::Series(SeriesId { index, generation: 0 });
    Effect { repeat: Repeat::Gauge, target, scale: 1.0, ttl: 0, mapped: false, tagged: false }
}

fn get(cache: &mut Cache, name: &str, rest: &str) -> Option<u32> {
    let key = Key { name: name.as_bytes(), rest: rest.as_bytes() };
    let hash = cache.hash(key);
    match cache.get(hash, key)?.target {
        Target::Series(id) => Some(id.index),
        Target::Dropped => None,
    }
}

fn insert(cache: &mut Cache, name: &str, rest: &str, index: u32) {
    let key = Key { name: name.as_bytes(), rest: rest.as_bytes() };
    let hash = cache.hash(key);
    cache.insert(hash, key, effect(index));
}

fn remove(cache: &mut Cache, name: &str, rest: &str) {
    let key = Key { name: name.as_bytes(), rest: rest.as_bytes() };
    let hash = cache.hash(key);
    cache.remove(hash, key);
}

#[test]
fn tells_apart_where_the_colon_stood() {
    let mut cache = Cache::new(10);
    insert(&mut cache, "a|", "g", 1);
    assert_eq!(get(&mut cache, "a", "|g"), None);
    insert(&mut cache, "a", "|g", 2);
    assert_eq!(get(&mut cache, "a|", "g"), Some(1));
    assert_eq!(get(&mut cache, "a", "|g"), Some(2));
    assert_eq!((cache.gets, cache.hits, cache.len(), cache.bytes()), (3, 2, 2, 6));
}

#[test]
fn an_entry_is_replaced_and_removed() {
    let mut cache = Cache::new(10);
    insert(&mut cache, "a", "|c", 1);
    insert(&mut cache, "a", "|c", 2);
    assert_eq!((get(&mut cache, "a", "|c"), cache.len()), (Some(2), 1));
    remove(&mut cache, "a", "|c");
    remove(&mut cache, "a", "|c");
    assert_eq!((get(&mut cache, "a", "|c"), cache.len(), cache.bytes()), (None, 0, 0));
}

#[test]
fn a_flood_of_names_leaves_those_that_come_back() {
    let mut cache = Cache::new(100);
    for index in 0..20 {
        insert(&mut cache, &format!("steady.{index}"), "|c", index);
        assert!(get(&mut cache, &format!("steady.{index}"), "|c").is_some());
    }
    for round in 0..10_000 {
        insert(&mut cache, &format!("once.{round}"), "|c", round);
        let steady = round % 20;
        let found = get(&mut cache, &format!("steady.{steady}"), "|c");
        assert_eq!(found, Some(steady), "round {round}");
    }
    assert_eq!(cache.len(), 100);
    assert_eq!(cache.evictions, 10_000 - 80);
}

#[test]
fn bytes_are_bounded_too() {
    let mut cache = Cache::new(8);
    for index in 0..100 {
        insert(&mut cache, &format!("{index:0>1000}"), "|c", index);
        assert!(cache.bytes() <= 8 * KEY_BYTES_MEAN);
        assert_eq!(cache.len(), 1);
    }
    insert(&mut cache, &"x".repeat(KEY_BYTES_MAX), "|c", 0);
    assert_eq!(get(&mut cache, &"x".repeat(KEY_BYTES_MAX), "|c"), None);
}

#[test]
fn no_entries_means_no_cache() {
    let mut cache = Cache::new(0);
    insert(&mut cache, "a", "|c", 1);
    insert(&mut cache, "", "", 1);
    assert_eq!((get(&mut cache, "a", "|c"), cache.len()), (None, 0));
}

proptest! {
    /// What the cache says, a map without bounds would say too; and its bounds hold.
    #[test]
    fn never_answers_wrongly(steps in prop::collection::vec((0..4_u8, 0..30_u32), 1..400)) {
        let mut cache = Cache::new(12);
        let mut truth = HashMap::new();
        for (at, (step, name)) in (0_u32..).zip(steps) {
            let text = format!("name.{name}");
            match step {
                0 | 1 => {
                    insert(&mut cache, &text, "|c", at);
                    truth.insert(name, at);
                    prop_assert_eq!(get(&mut cache, &text, "|c"), Some(at));
                }
                2 => {
                    remove(&mut cache, &text, "|c");
                    truth.remove(&name);
                }
                _ => {
                    let found = get(&mut cache, &text, "|c");
                    prop_assert!(found.is_none() || found == truth.get(&name).copied());
                }
            }
            prop_assert!(cache.len() <= 12);
            let held: usize = cache.entries.iter().map(|entry| entry.key.len()).sum();
            prop_assert_eq!(cache.bytes(), held);
            prop_assert_eq!(cache.table.len(), cache.len());
        }
    }
}
