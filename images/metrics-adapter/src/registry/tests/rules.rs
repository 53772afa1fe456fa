//! Conflicts, reserved labels, limits, times to live.

use super::*;

#[test]
fn a_name_has_one_kind_and_so_have_the_names_that_it_implies() {
    let summary = summary_options();
    let histogram = histogram_options(0.0);
    let shape = |kind| match kind {
        'c' => Shape::Counter,
        'g' => Shape::Gauge,
        's' => Shape::Set,
        'q' => Shape::Summary(&summary),
        _ => Shape::Histogram(&histogram),
    };
    // What is there, what is to come, and whether it may.
    let table = [
        (('c', "a"), ('c', "a"), true),
        (('c', "a"), ('g', "a"), false),
        (('g', "a"), ('c', "a"), false),
        (('g', "a"), ('s', "a"), false),
        (('q', "a"), ('h', "a"), false),
        (('h', "a"), ('c', "a"), false),
        (('q', "a"), ('c', "a_sum"), false),
        (('q', "a"), ('g', "a_count"), false),
        (('q', "a"), ('c', "a_bucket"), true),
        (('q', "a"), ('q', "a_sum"), false),
        (('h', "a"), ('c', "a_sum"), false),
        (('h', "a"), ('c', "a_count"), false),
        (('h', "a"), ('c', "a_bucket"), false),
        (('c', "a_sum"), ('q', "a"), false),
        (('c', "a_count"), ('q', "a"), false),
        (('c', "a_bucket"), ('q', "a"), true),
        (('c', "a_sum"), ('h', "a"), false),
        (('g', "a_count"), ('h', "a"), false),
        (('g', "a_bucket"), ('h', "a"), false),
        (('c', "a"), ('c', "a_sum"), true),
        (('g', "a_total"), ('c', "a"), true),
        (('q', "a"), ('q', "a_sum_sum"), true),
    ];
    for ((kind, name), (other_kind, other_name), fits) in table {
        let mut registry = Registry::new(LIMITS);
        registry.intern(&spec(name, shape(kind), &[]), 0).unwrap();
        let other = registry.intern(&spec(other_name, shape(other_kind), &[("a", "b")]), 0);
        let told = if fits { Ok(()) } else { Err(Refused::Conflict) };
        assert_eq!(other.map(|_| ()), told, "{kind} {name}, then {other_kind} {other_name}");
        assert_eq!(registry.counters().conflicts, u64::from(!fits));
        text(&registry, 0);
    }
}

#[test]
fn a_name_is_free_again_when_its_series_have_gone() {
    let mut registry = Registry::new(LIMITS);
    let ttl = Duration::from_secs(5);
    let counter = Spec { ttl, ..spec("a", Shape::Counter, &[]) };
    registry.intern(&counter, 0).unwrap();
    registry.sweep(5);
    assert_eq!(registry.intern(&spec("a", Shape::Gauge, &[]), 5), Err(Refused::Conflict));
    registry.sweep(6);
    registry.intern(&spec("a", Shape::Gauge, &[]), 6).unwrap();
    assert_eq!(text(&registry, 6), "# HELP a h\n# TYPE a gauge\na 0\n");
}

#[test]
fn the_first_help_stays_and_label_names_may_differ() {
    let mut registry = Registry::new(LIMITS);
    registry.intern(&spec("a", Shape::Gauge, &[]), 0).unwrap();
    let other = Spec { help: "other", ..spec("a", Shape::Gauge, &[("b", "c")]) };
    registry.intern(&other, 0).unwrap();
    assert_eq!(text(&registry, 0), "# HELP a h\n# TYPE a gauge\na 0\na{b=\"c\"} 0\n");
}

#[test]
fn labels_are_sorted_reserved_ones_renamed_and_the_last_of_two_wins() {
    let summary = SummaryOptions { quantiles: Vec::new(), ..summary_options() };
    let histogram = HistogramOptions { buckets: Vec::new(), ..histogram_options(0.0) };
    let (counter, summary, histogram) =
        (Shape::Counter, Shape::Summary(&summary), Shape::Histogram(&histogram));
    let long = "x".repeat(199) + "éé";
    let cut = format!("a=\"{}\"", &long[..199]);
    type Case<'a> = (Shape<'a>, &'a [(&'a str, &'a str)], &'a str, u64);
    let table: [Case<'_>; 16] = [
        (counter, &[("b", "1"), ("a", "2")], "a=\"2\",b=\"1\"", 0),
        (counter, &[("a", "1"), ("a", "2")], "a=\"2\"", 0),
        (counter, &[("b", "1"), ("a", "2"), ("b", "3")], "a=\"2\",b=\"3\"", 0),
        (counter, &[("__name__", "x")], "exported___name__=\"x\"", 1),
        (counter, &[("le", "1"), ("quantile", "x")], "le=\"1\",quantile=\"x\"", 0),
        (summary, &[("le", "1"), ("quantile", "x")], "exported_quantile=\"x\",le=\"1\"", 1),
        (histogram, &[("le", "1"), ("quantile", "x")], "exported_le=\"1\",quantile=\"x\"", 1),
        (histogram, &[("le", "1"), ("le", "2")], "exported_le=\"2\"", 1),
        (
            histogram,
            &[("exported_exported_le", "3"), ("le", "1"), ("exported_le", "2")],
            "exported_exported_exported_le=\"1\",exported_exported_le=\"3\",exported_le=\"2\"",
            1,
        ),
        (counter, &[("9 é", "1"), ("", "2"), ("b", "3")], "_=\"2\",_9__=\"1\",b=\"3\"", 0),
        (counter, &[("a", "1"), ("b", "")], "a=\"1\"", 0),
        (counter, &[("b", ""), ("a", "1")], "a=\"1\"", 0),
        (counter, &[("a", "1"), ("b", "2"), ("b", "")], "a=\"1\"", 0),
        (histogram, &[("a", "1"), ("le", "")], "a=\"1\"", 0),
        (counter, &[("a", &long)], &cut, 0),
        (counter, &[("a", "\"\\\n")], "a=\"\\\"\\\\\\n\"", 0),
    ];
    for (shape, labels, expected, renamed) in table {
        let mut registry = Registry::new(LIMITS);
        registry.intern(&spec("m", shape, labels), 0).unwrap();
        let line = samples(&registry, 0).pop().unwrap();
        let shown = line.split_once('{').unwrap().1.rsplit_once('}').unwrap().0;
        assert_eq!(shown, expected, "{labels:?}");
        assert_eq!(registry.counters().renamed_labels, renamed, "{labels:?}");
        assert_eq!(registry.counters().cut, u64::from(expected == cut));
    }
}

#[test]
fn a_label_without_a_value_is_none() {
    let mut registry = Registry::new(LIMITS);
    let plain = registry.intern(&spec("m", Shape::Counter, &[]), 0).unwrap();
    let empty = registry.intern(&spec("m", Shape::Counter, &[("code", "")]), 0).unwrap();
    assert_eq!(plain, empty);
    assert_eq!(samples(&registry, 0), ["m 0"]);
}

#[test]
fn many_labels_cost_no_more_than_their_bytes() {
    let names: Vec<String> = (0..20_000).map(|at| format!("__{}", at % 10_000)).collect();
    let labels: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
    let mut registry = Registry::new(LIMITS);
    registry.intern(&spec("m", Shape::Gauge, &labels), 0).unwrap();
    assert_eq!(registry.counters().renamed_labels, 10_000);
    text(&registry, 0);
}

#[test]
fn past_the_limit_of_a_family_an_overflow_series_takes_what_comes() {
    let mut registry = Registry::new(Limits { family_series_max: 2, ..LIMITS });
    for (at, value) in ["x", "y", "z", "w", "x"].into_iter().enumerate() {
        let id = registry.intern(&spec("a", Shape::Counter, &[("l", value)]), 0).unwrap();
        registry.add(id, 10_f64.powi(at as i32), 0);
    }
    registry.intern(&spec("b", Shape::Counter, &[]), 0).unwrap();
    let expected = ["a{l=\"x\"} 10001", "a{l=\"y\"} 10", "a{overflow=\"true\"} 1100", "b 0"];
    assert_eq!(samples(&registry, 0), expected);
    assert_eq!(registry.counters().overflowed, 2);
}

#[test]
fn past_the_limit_in_all_there_is_no_new_family() {
    for (overflow, folded) in [(Overflow::Fold, true), (Overflow::Drop, false)] {
        let mut registry = Registry::new(Limits { series_max: 2, overflow, ..LIMITS });
        registry.intern(&spec("a", Shape::Counter, &[("l", "x")]), 0).unwrap();
        registry.intern(&spec("b", Shape::Counter, &[("l", "x")]), 0).unwrap();
        let more = registry.intern(&spec("a", Shape::Counter, &[("l", "y")]), 0);
        assert_eq!(more.is_ok(), folded);
        for name in ["c", "d", "d"] {
            let refused = registry.intern(&spec(name, Shape::Counter, &[]), 0);
            assert_eq!(refused, Err(Refused::Limit));
        }
        // What is there is found.
        registry.intern(&spec("b", Shape::Counter, &[("l", "x")]), 0).unwrap();
        assert_eq!(registry.counters().overflowed, 4);
        assert_eq!(registry.counters().families, 2);
        assert_eq!(registry.counters().series, [2 + u64::from(folded), 0, 0, 0]);
    }
}

#[test]
fn a_flood_of_unique_names_and_labels_takes_bounded_memory() {
    let limits = Limits { family_series_max: 50, series_max: 500, ..LIMITS };
    let mut registry = Registry::new(limits);
    let long = "v".repeat(10_000);
    let summary = summary_options();
    for at in 0..20_000 {
        let (name, value) = (format!("name_{at}"), format!("{at}{long}"));
        let labels: Vec<(String, &str)> = (0..20).map(|at| (format!("l{at}"), &*value)).collect();
        let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (&**n, *v)).collect();
        let name = if at % 3 == 0 { "same" } else { &name };
        let shape = if at % 3 == 0 { Shape::Counter } else { Shape::Summary(&summary) };
        if let Ok(id) = registry.intern(&spec(name, shape, &labels), 0) {
            registry.observe(id, 1.0, 1.0, 0);
        }
    }
    let counters = registry.counters();
    assert!(counters.bytes < 1_000_000, "{counters:?}");
    assert!(counters.series.iter().sum::<u64>() <= 501, "{counters:?}");
    assert!(counters.overflowed > 19_000, "{counters:?}");
}

#[test]
fn a_series_goes_when_nobody_has_touched_it_for_its_time() {
    let mut registry = Registry::new(LIMITS);
    let ttl = Duration::from_millis(9_500);
    let short = Spec { ttl, ..spec("a", Shape::Counter, &[("l", "short")]) };
    let idle = registry.intern(&Spec { labels: &[], ..short }, 0).unwrap();
    let id = registry.intern(&short, 0).unwrap();
    let ever = registry.intern(&spec("b", Shape::Counter, &[]), 0).unwrap();
    assert!(registry.add(id, 1.0, 7));
    registry.sweep(10);
    assert!(registry.is_live(idle) && registry.is_live(id));
    registry.sweep(11);
    assert!(!registry.is_live(idle) && registry.is_live(id));
    assert!(registry.add(id, 1.0, 17));
    registry.sweep(27);
    assert!(registry.is_live(id));
    registry.sweep(28);
    assert!(!registry.is_live(id));
    assert!(!registry.add(id, 1.0, 28), "nothing is added to what has gone");
    assert_eq!(registry.counters().expired, 2);
    // It comes back empty, and with another id; the place is another series' too.
    let again = registry.intern(&short, 28).unwrap();
    assert!(again != id && again.index == id.index.min(idle.index).max(again.index));
    registry.sweep(1_000_000);
    assert!(registry.is_live(ever) && !registry.is_live(again));
    assert_eq!(samples(&registry, 1_000_000), ["b 0"]);
}

#[test]
fn the_time_to_live_that_was_asked_for_last_holds() {
    let mut registry = Registry::new(LIMITS);
    let with = |ttl| Spec { ttl: Duration::from_secs(ttl), ..spec("a", Shape::Gauge, &[]) };
    let id = registry.intern(&with(100), 0).unwrap();
    assert_eq!(registry.intern(&with(0), 1), Ok(id));
    registry.sweep(1_000);
    assert!(registry.is_live(id));
    assert_eq!(registry.intern(&with(1_000), 1_000), Ok(id));
    assert_eq!(registry.intern(&with(5), 1_000), Ok(id));
    registry.sweep(1_005);
    assert!(registry.is_live(id));
    registry.sweep(1_006);
    assert!(!registry.is_live(id));
    registry.sweep(3_000);
    assert_eq!(registry.counters().expired, 1);
    assert!(registry.due.is_empty());
}

#[test]
fn a_time_to_live_that_changes_all_the_time_takes_no_memory() {
    let mut registry = Registry::new(LIMITS);
    let with = |ttl| Spec { ttl: Duration::from_secs(ttl), ..spec("a", Shape::Gauge, &[]) };
    let id = registry.intern(&with(5), 0).unwrap();
    for now in 0..100 {
        for ttl in [1_000, 5, 0, 3, 500] {
            assert_eq!(registry.intern(&with(ttl), now), Ok(id));
            assert!(registry.due.len() <= 1, "{:?}", registry.due);
        }
        registry.sweep(now);
    }
    registry.keep(id, 7);
    registry.sweep(106);
    assert!(registry.is_live(id) && registry.due.len() == 1);
    registry.sweep(107);
    assert!(!registry.is_live(id) && registry.due.is_empty());
    // Of one that has gone.
    registry.keep(id, 9);
    assert!(registry.due.is_empty());
}

#[test]
fn what_would_stay_for_ever_is_not_taken() {
    let summary = summary_options();
    let histogram = histogram_options(1.1);
    let mut registry = Registry::new(LIMITS);
    let counter = registry.intern(&spec("c", Shape::Counter, &[]), 0).unwrap();
    let gauge = registry.intern(&spec("g", Shape::Gauge, &[]), 0).unwrap();
    let time = registry.intern(&spec("t", Shape::Summary(&summary), &[]), 0).unwrap();
    let size = registry.intern(&spec("z", Shape::Histogram(&histogram), &[]), 0).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        registry.add(counter, bad, 0);
        registry.shift(gauge, bad, 0);
        for id in [time, size] {
            registry.observe(id, bad, 1.0, 0);
            registry.observe(id, 1.0, bad, 0);
        }
    }
    registry.add(counter, -1.0, 0);
    for id in [time, size] {
        registry.observe(id, 1.0, 0.0, 0);
        registry.observe(id, 1.0, -1.0, 0);
    }
    assert!(samples(&registry, 0).iter().all(|line| line.ends_with(" 0") || line.ends_with("NaN")));
    for id in [counter, counter] {
        registry.add(id, f64::MAX, 0);
    }
    registry.observe(time, -1e300, 1e300, 0);
    let shown = samples(&registry, 0).join("\n");
    assert!(shown.contains("c 1.7976931348623157e+308\n"), "{shown}");
    assert!(shown.contains("t_sum -1.7976931348623157e+308\n"), "{shown}");
}

#[test]
fn ids_of_another_kind_do_nothing() {
    let mut registry = Registry::new(LIMITS);
    let counter = registry.intern(&spec("c", Shape::Counter, &[]), 0).unwrap();
    let set = registry.intern(&spec("s", Shape::Set, &[]), 0).unwrap();
    assert!(registry.set(counter, 5.0, 0) && registry.shift(counter, 5.0, 0));
    assert!(registry.observe(counter, 5.0, 1.0, 0) && registry.insert(counter, b"x", 0));
    assert!(registry.add(set, 5.0, 0));
    assert!(registry.insert(set, b"x", 0) && registry.insert(set, b"y", 0));
    assert!(registry.insert(set, b"x", 0));
    assert_eq!(samples(&registry, 0), ["c 0", "s 2"]);
    let unknown = SeriesId { index: 99, generation: 0 };
    assert!(!registry.add(unknown, 1.0, 0) && !registry.is_live(unknown));
}

#[test]
fn series_are_small() {
    assert!(size_of::<Slot>() <= 64, "{}", size_of::<Slot>());
    let mut registry = Registry::new(LIMITS);
    for at in 0..1_000 {
        let value = format!("some_value_{at}");
        let labels = [("instance", &*value), ("method", "GET"), ("status_code", "200")];
        registry
            .intern(&spec("http_server_requests_per_second", Shape::Counter, &labels), 0)
            .unwrap();
    }
    let bytes = registry.counters().bytes;
    assert!(bytes <= 300 * 1_000, "{bytes}");
}
