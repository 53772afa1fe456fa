use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::counters::{CONFLICT_NAMES_MAX, CONFLICT_REST, Counters, EventKind};
use super::super::tests::{DIALECTS, LIMITS, samples};
use super::Core;
use crate::line::Reason;
use crate::mapping::Mapping;
use crate::registry::{Limits, Overflow, Registry};

/// Every kind of rule that changes what is counted.
const MAPPING: &str = "
defaults:
  ttl: 60s
mappings:
  - match: drop.*
    action: drop
    name: dropped
  - match: scaled.*
    name: scaled_$1
    scale: 10
  - match: honest.*
    name: honest
    honor_labels: true
    labels: {who: rule, which: $1}
  - match: firm.*
    name: firm
    labels: {who: rule, which: $1}
  - match: brief.*
    name: brief
    ttl: 2s
  - match: buckets.*
    name: buckets
    observer_type: histogram
    histogram_options: {buckets: [1, 10]}
";

fn mapping() -> Arc<Mapping> {
    Arc::new(Mapping::parse(MAPPING).unwrap())
}

fn core(cache_size: usize) -> (Core, Registry) {
    (Core::new(DIALECTS, mapping(), cache_size), Registry::new(LIMITS))
}

/// Takes each text as a datagram, twice with a cache and twice without; both must agree.
fn taken(datagrams: &[&str]) -> (Vec<String>, Counters) {
    let [with, without] = [1000, 0].map(|cache_size| {
        let (mut core, mut registry) = core(cache_size);
        for datagram in datagrams {
            core.datagram(&mut registry, datagram.as_bytes(), 1);
        }
        (samples(&registry, 1), Counters { cache: Default::default(), ..core.counters() })
    });
    assert_eq!(with, without, "a remembered line does something else");
    with
}

#[test]
fn lines_become_series() {
    let cases: [(&[&str], &[&str]); 12] = [
        (&["a.b:1|c", "a.b:2|c|@0.5"], &["a_b 5"]),
        (&["g:5|g", "g:+2.5|g", "g:-1|g"], &["g 6.5"]),
        (&["g:5|g\ng:7|g\n"], &["g 7"]),
        (&["a:1:2:3|c", "a:1:2:3|c"], &["a 12"]),
        (&["a:1|c|#k:v", "a:1|c|#k:v", "a:1|c|#k:w"], &["a{k=\"v\"} 2", "a{k=\"w\"} 1"]),
        (&["scaled.x:2|c", "scaled.x:2|c"], &["scaled_x 40"]),
        (&["drop.x:1|c", "drop.x:1|c", "drop.x:-1|c"], &[]),
        (
            &["honest.x:1|c|#who:tag", "honest.x:1|c|#who:tag"],
            &["honest{which=\"x\",who=\"tag\"} 2"],
        ),
        (&["firm.x:1|c|#who:tag", "firm.x:1|c|#who:tag"], &["firm{which=\"x\",who=\"rule\"} 2"]),
        (
            &["buckets.x:2|h", "buckets.x:20|h|@0.5"],
            &[
                "buckets_bucket{le=\"1\"} 0",
                "buckets_bucket{le=\"10\"} 1",
                "buckets_bucket{le=\"+Inf\"} 3",
                "buckets_sum 42",
                "buckets_count 3",
            ],
        ),
        (
            &["_sc|db-main up|2|#env:test", "_sc|db-main up|1|#env:test"],
            &["db_main_up{env=\"test\"} 1"],
        ),
        (&["_e{1,1}:a|b", "no line", "x:1|?"], &[]),
    ];
    for (datagrams, expected) in cases {
        assert_eq!(taken(datagrams).0, expected, "{datagrams:?}");
    }
}

#[test]
fn timers_are_seconds() {
    let (page, _) = taken(&["t:250|ms", "t:250|ms", "t:500|ms|@0.5"]);
    assert!(page.contains(&"t_count 4".to_owned()), "{page:?}");
    assert!(page.contains(&"t_sum 1.5".to_owned()), "{page:?}");
}

#[test]
fn everything_is_counted_alike_by_cache_and_parser() {
    let lines = "c:1|c\nc:1:2|c|#k:v\nc:-1|c\ng:1|g|#k:v\ng:-1|g\nt:1|ms\ndrop.x:1|c\nfirm.x:1|c\n\
                 c:1|g\nc:x|c\nc:nan|c\nno line\nc:1|c|#bad\n_e{1,1}:a|b\n_sc|s|0\nm:me|s\r\n\n";
    let (_, counters) = taken(&[lines, lines, lines]);
    let reason = |reason| counters.sample_errors(reason);
    let kinds = super::super::counters::EVENT_KINDS.map(|kind| counters.events(kind));
    assert_eq!((counters.lines, counters.samples), (3 * 16, 3 * 14));
    assert_eq!(kinds, [3 * 5, 3 * 2, 3, 3, 3, 3]);
    assert_eq!((counters.tags, counters.tag_errors), (3 * 3, 3));
    assert_eq!((counters.events_dropped, counters.events_mapped), (3, 3));
    assert_eq!(counters.illegal_negative_counter, 3);
    assert_eq!([reason(Reason::MalformedLine), reason(Reason::MalformedValue)], [3, 3]);
    assert_eq!(reason(Reason::NotFinite), 3);
    let [conflict] = &counters.conflicts[..] else { panic!("{:?}", counters.conflicts) };
    assert_eq!((conflict.kind, conflict.name.as_str(), conflict.count), (EventKind::Gauge, "c", 3));
}

#[test]
fn remembered_lines_are_found() {
    let (mut core, mut registry) = core(10);
    for _ in 0..5 {
        core.datagram(&mut registry, b"a:1|c\na:1.5|c|#k:v\nb:1|g", 1);
    }
    let cache = core.counters().cache;
    assert_eq!((cache.gets, cache.hits, cache.length, cache.evictions), (15, 12, 3, 0));
}

#[test]
fn a_series_that_has_gone_starts_anew() {
    let (mut core, mut registry) = core(10);
    for (now, expected) in [(1, "1"), (2, "2"), (3, "3")] {
        core.line(&mut registry, b"brief.x:1|c", now);
        core.sweep(&mut registry, now);
        assert_eq!(samples(&registry, now), [format!("brief {expected}")]);
    }
    core.sweep(&mut registry, 10);
    assert!(samples(&registry, 10).is_empty());
    core.line(&mut registry, b"brief.x:1:1|c", 10);
    core.line(&mut registry, b"brief.x:1|c", 11);
    assert_eq!(samples(&registry, 11), ["brief 3"]);
}

#[test]
fn the_time_to_live_does_not_depend_on_what_is_remembered() {
    let text = "mappings:\n- {match: 'short.*', name: same, ttl: 2s}\n\
                - {match: 'long.*', name: same, ttl: 100s}\n- {match: 'ever.*', name: same}\n";
    let mapping = Arc::new(Mapping::parse(text).unwrap());
    // The lines, in their order, and how long the series lives after them.
    let table = [
        ("short.x:1|c\nlong.x:1|c\nshort.x:1|c", Some(2)),
        ("long.x:1|c\nshort.x:1|c\nlong.x:1|c", Some(100)),
        ("ever.x:1|c\nshort.x:1|c\never.x:1|c", None),
        ("short.x:1|c\never.x:1|c\nshort.x:1:1|c", Some(2)),
    ];
    for (lines, lives) in table {
        for cache_size in [0, 10] {
            let mut core = Core::new(DIALECTS, Arc::clone(&mapping), cache_size);
            let mut registry = Registry::new(LIMITS);
            core.datagram(&mut registry, lines.as_bytes(), 1);
            for (after, there) in [(2, true), (3, lives != Some(2)), (101, lives.is_none())] {
                let now = 1 + after + u32::from(after == 101);
                core.sweep(&mut registry, now);
                assert_eq!(!samples(&registry, now).is_empty(), there, "{lines} {cache_size}");
            }
        }
    }
}

#[test]
fn room_that_was_made_is_used() {
    // The overflow series takes a place of its own.
    let limits = Limits { family_series_max: 2, ..LIMITS };
    let mut core = Core::new(DIALECTS, mapping(), 10);
    let mut registry = Registry::new(limits);
    core.datagram(&mut registry, b"brief.x:1|c|#k:first\nbrief.x:1|c|#k:other", 1);
    core.line(&mut registry, b"brief.x:1|c|#k:late", 3);
    assert!(samples(&registry, 3).contains(&"brief{overflow=\"true\"} 1".to_owned()));
    core.sweep(&mut registry, 4);
    core.line(&mut registry, b"brief.x:1|c|#k:late", 4);
    let page = samples(&registry, 4);
    assert!(page.contains(&"brief{k=\"late\"} 1".to_owned()), "{page:?}");
}

#[test]
fn what_finds_no_room_is_counted() {
    let limits = Limits { family_series_max: 1, overflow: Overflow::Drop, ..LIMITS };
    let mut core = Core::new(DIALECTS, mapping(), 10);
    let mut registry = Registry::new(limits);
    for _ in 0..3 {
        core.datagram(&mut registry, b"a:1|c|#k:first\na:1|c|#k:second", 1);
    }
    assert_eq!(samples(&registry, 1), ["a{k=\"first\"} 3"]);
    assert_eq!(core.counters().events_over_limit, 3);
}

#[test]
fn names_of_conflicts_are_bounded() {
    let (mut core, mut registry) = core(10);
    let many = CONFLICT_NAMES_MAX + 50;
    for index in 0..many {
        core.datagram(&mut registry, format!("a{index}:1|c\na{index}:1|g").as_bytes(), 1);
    }
    let conflicts = core.counters().conflicts;
    assert_eq!(conflicts.len(), CONFLICT_NAMES_MAX + 1);
    let rest = conflicts.last().unwrap();
    assert_eq!((rest.name.as_str(), rest.count), (CONFLICT_REST, 50));
}

#[test]
fn a_flood_of_names_fills_no_memory() {
    let limits = Limits { family_series_max: 100, series_max: 1000, ..LIMITS };
    let mut core = Core::new(DIALECTS, Arc::new(Mapping::default()), 500);
    let mut registry = Registry::new(limits);
    for index in 0..20_000 {
        let line = format!("name.{index}:1|c\nsame:1|c|#id:{index}");
        core.datagram(&mut registry, line.as_bytes(), 1);
    }
    let (counters, kept) = (core.counters(), registry.counters());
    assert_eq!(counters.lines, 40_000);
    assert!(counters.cache.length <= 500, "{counters:?}");
    assert!(kept.series.iter().sum::<u64>() <= 1002 && kept.overflowed > 30_000, "{kept:?}");
}

/// A line, mostly good, of few names and tags, so that lines meet again.
fn line() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "a",
        "b.c",
        "drop.x",
        "scaled.a",
        "honest.y",
        "firm.y",
        "brief.z",
        "buckets.w",
        "a,k=v",
        "b#k=w",
        "_sc|s|1",
        "",
    ]);
    let value = prop::sample::select(vec![
        "1",
        "-1",
        "+2",
        "0.25",
        "1:2",
        "1:x",
        "nan",
        "1e3",
        "",
        "3:-4",
        "0.30000000000000004",
    ]);
    let kind = prop::sample::select(vec!["c", "g", "ms", "h", "d", "s", "z", "c:2|c"]);
    let field = prop::sample::select(vec![
        "",
        "|@0.5",
        "|@x",
        "|#k:v",
        "|#who:t,k:w",
        "|#bad,k:v",
        "|c:id",
        "|T1",
        "|",
        "|#k:v|@0.1",
    ]);
    (name, value, kind, field)
        .prop_map(|(name, value, kind, field)| format!("{name}:{value}|{kind}{field}"))
}

proptest! {
    /// However much is remembered, the same comes out, and the same is counted.
    #[test]
    fn memory_changes_nothing(lines in prop::collection::vec((line(), 0..3_u32), 1..60)) {
        let mut taken = Vec::new();
        for cache_size in [0, 3, 1000] {
            let (mut core, mut registry) = core(cache_size);
            let mut now = 1;
            for (line, wait) in &lines {
                now += wait;
                core.sweep(&mut registry, now);
                core.datagram(&mut registry, line.as_bytes(), now);
            }
            let counters = Counters { cache: Default::default(), ..core.counters() };
            taken.push((samples(&registry, now), counters));
        }
        prop_assert_eq!(&taken[0], &taken[1]);
        prop_assert_eq!(&taken[0], &taken[2]);
    }

    #[test]
    fn takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (mut core, mut registry) = core(10);
        core.datagram(&mut registry, &bytes, 1);
        core.datagram(&mut registry, &bytes, 1);
    }
}

#[test]
fn graphite_lines_become_gauges_that_are_forgotten() {
    let mapping = "
mappings:
  - {match: 'servers.*.*', name: servers_$2, labels: {server: $1}, scale: 2}
  - {match: 'noise.*', name: noise, action: drop}
  - {match: 'slow.*', name: slow_$1, ttl: 60s, help: Slow.}
";
    let mapping = Arc::new(Mapping::parse(mapping).unwrap());
    let mut core = Core::new(DIALECTS, Arc::default(), 10);
    core.remap_graphite(mapping, Duration::from_secs(10));
    let mut registry = Registry::new(LIMITS);
    let lines = "servers.a.load 2 1000\nservers.b.load;server=mine 3 1e30\nnoise.x 1\nslow.x 4 945\n\
                 plain-path:x;k=v;bad 5 990\nold 1 989\n\n x\nnan NaN";
    core.graphite(&mut registry, lines.as_bytes(), 100, 1000);
    let mut page = samples(&registry, 100);
    page.sort();
    let expected = [
        "plain_path:x{k=\"v\"} 5",
        "servers_load{server=\"a\"} 4",
        "servers_load{server=\"b\"} 6",
        "slow_x 4",
    ];
    assert_eq!(page, expected);
    let counters = core.counters();
    assert_eq!((counters.graphite_lines, counters.graphite_errors), (8, [1, 0, 0, 1, 0]));
    assert_eq!((counters.graphite_expired, counters.graphite_dropped), (1, 1));
    assert_eq!(counters.graphite_tag_errors, 1);
    core.sweep(&mut registry, 120);
    assert_eq!(samples(&registry, 120), ["slow_x 4"]);
}
