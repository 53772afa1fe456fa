//! How series are kept.

use super::{answer, mapping};
use crate::mapping::{Mapping, MetricType, Observer, Settings};
use std::time::Duration;

const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const QUANTILES: [(f64, f64); 3] = [(0.5, 0.05), (0.9, 0.01), (0.99, 0.001)];

/// Settings of the rule `a`, made of keys that follow it.
fn rule(defaults: &str, keys: &str) -> Settings {
    let text = format!("{defaults}\nmappings:\n- match: a\n  name: x\n{keys}");
    let mapping = mapping(&text);
    mapping.find("a", MetricType::Observer).unwrap().rule.settings.clone()
}

#[test]
fn what_nobody_sets() {
    let without_file = Mapping::default().unmapped;
    let of_empty_file = mapping("").unmapped;
    let of_rule = rule("", "");
    for settings in [&without_file, &of_empty_file, &of_rule] {
        assert_eq!(settings.observer, Observer::Summary);
        assert_eq!(settings.summary.quantiles, QUANTILES);
        assert_eq!(settings.summary.max_age, Duration::from_secs(600));
        assert_eq!((settings.summary.age_buckets, settings.summary.buf_cap), (5, 500));
        assert_eq!(settings.histogram.buckets, BUCKETS);
        assert_eq!(settings.histogram.native_max_buckets, 256);
        assert_eq!(settings.ttl, Duration::ZERO);
        assert_eq!((settings.help.as_deref(), settings.scale), (None, None));
        assert!(!settings.honor_labels);
    }
    assert_eq!(without_file.histogram.native_bucket_factor.to_bits(), 0f64.to_bits());
    assert_eq!(of_empty_file.histogram.native_bucket_factor.to_bits(), 1.1f64.to_bits());
    assert_eq!(of_rule.histogram.native_bucket_factor.to_bits(), 1.1f64.to_bits());
}

#[test]
fn a_rule_sets_what_it_names() {
    let settings = rule(
        "",
        "  help: How long.\n  honor_labels: on\n  ttl: 1h30m\n  scale: 1e-3\n  observer_type: histogram\n  histogram_options:\n    buckets: [-1, 0x10p0, 32, .inf]\n    native_histogram_bucket_factor: 1.5\n    native_histogram_max_buckets: 0x20p0\n",
    );
    assert_eq!(settings.help.as_deref(), Some("How long."));
    assert!(settings.honor_labels);
    assert_eq!(settings.ttl, Duration::from_secs(5400));
    assert_eq!(settings.scale, Some(0.001));
    assert_eq!(settings.observer, Observer::Histogram);
    assert_eq!(settings.histogram.buckets, [-1.0, 16.0, 32.0]);
    assert_eq!(settings.histogram.native_bucket_factor.to_bits(), 1.5f64.to_bits());
    assert_eq!(settings.histogram.native_max_buckets, 32);
    let settings = rule(
        "",
        "  observer_type: summary\n  summary_options:\n    quantiles: [{quantile: 0.25, error: 0.1}, {quantile: 1, error: 0}, {quantile: 0.25}]\n    max_age: 30s\n    age_buckets: 3\n    buf_cap: 1_000\n",
    );
    assert_eq!(settings.summary.quantiles, [(1.0, 0.0), (0.25, 0.0)]);
    assert_eq!(settings.summary.max_age, Duration::from_secs(30));
    assert_eq!((settings.summary.age_buckets, settings.summary.buf_cap), (3, 1000));
    assert_eq!(rule("", "  help: ''\n").help, None);
}

#[test]
fn a_rule_inherits_field_by_field() {
    let defaults = "defaults:\n  observer_type: histogram\n  ttl: 5m\n  summary_options:\n    quantiles: [{quantile: 0.5, error: 0.01}]\n    max_age: 1m\n    age_buckets: 2\n    buf_cap: 10\n  histogram_options:\n    buckets: [1, 2]\n    native_histogram_bucket_factor: 1\n    native_histogram_max_buckets: 9\n";
    let unmapped = mapping(defaults).unmapped;
    assert_eq!((unmapped.observer, unmapped.ttl.as_secs()), (Observer::Histogram, 300));
    assert_eq!(unmapped.histogram.buckets, [1.0, 2.0]);
    let plain = rule(defaults, "");
    assert_eq!((plain.observer, plain.ttl.as_secs()), (Observer::Histogram, 300));
    assert_eq!(plain.histogram, unmapped.histogram);
    let other = rule(defaults, "  ttl: 1s\n  histogram_options: {buckets: [7]}\n");
    assert_eq!((other.ttl.as_secs(), other.histogram.buckets.as_slice()), (1, &[7.0][..]));
    assert_eq!(other.histogram.native_bucket_factor.to_bits(), 1f64.to_bits());
    assert_eq!(other.histogram.native_max_buckets, 9);
    let summary = rule(
        defaults,
        "  observer_type: summary\n  summary_options: {age_buckets: 7, buf_cap: 0, max_age: 0s}\n",
    );
    assert_eq!((summary.observer, summary.summary.age_buckets), (Observer::Summary, 7));
    assert_eq!((summary.summary.buf_cap, summary.summary.max_age.as_secs()), (10, 60));
    assert_eq!(summary.summary.quantiles, [(0.5, 0.01)]);
    // A ttl of zero is one that is not set.
    assert_eq!(rule(defaults, "  ttl: 0\n").ttl.as_secs(), 300);
    // Options of either kind where nobody says which kind it is.
    assert_eq!(rule("", "  histogram_options: {buckets: [7]}\n").observer, Observer::Summary);
}

#[test]
fn old_keys_are_taken() {
    let defaults = "defaults:\n  timer_type: histogram\n  buckets: [1, 2]\n  quantiles: [{quantile: 0.1, error: 0.1}]\n";
    let unmapped = mapping(defaults).unmapped;
    assert_eq!(unmapped.observer, Observer::Histogram);
    assert_eq!(unmapped.histogram.buckets, [1.0, 2.0]);
    assert_eq!(unmapped.summary.quantiles, [(0.1, 0.1)]);
    let settings =
        rule(defaults, "  timer_type: summary\n  quantiles: [{quantile: 0.2, error: 0.1}]\n");
    assert_eq!(settings.observer, Observer::Summary);
    assert_eq!(settings.summary.quantiles, [(0.2, 0.1)]);
    let settings =
        rule(defaults, "  observer_type: histogram\n  timer_type: summary\n  buckets: [3]\n");
    assert_eq!(settings.observer, Observer::Histogram);
    assert_eq!(settings.histogram.buckets, [3.0]);
    // The new place wins over the old one in the defaults.
    let both = "defaults: {buckets: [1], histogram_options: {buckets: [2]}}";
    assert_eq!(mapping(both).unmapped.histogram.buckets, [2.0]);
}

#[test]
fn times_as_go_writes_them() {
    for (text, expected) in [
        ("0", Some(0)),
        ("0s", Some(0)),
        ("90s", Some(90_000_000_000)),
        ("1.5h", Some(5_400_000_000_000)),
        ("1h2m3s", Some(3_723_000_000_000)),
        ("10ms", Some(10_000_000)),
        ("2us", Some(2_000)),
        ("2µs", Some(2_000)),
        ("7ns", Some(7)),
        ("+5s", Some(5_000_000_000)),
        ("30", Some(30)),
        (".5s", Some(500_000_000)),
        ("-1s", None),
        ("5", Some(5)),
        ("1d", None),
        ("s", None),
        ("1.s2", None),
        ("5 s", None),
        ("", None),
        ("9e9h", None),
        ("99999999999999999999999h", None),
    ] {
        let found = Mapping::parse(&format!("defaults: {{ttl: '{text}'}}"));
        let found = found.ok().map(|mapping| mapping.unmapped.ttl.as_nanos());
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn words_for_true_and_false() {
    for (word, expected) in [
        ("true", true),
        ("Yes", true),
        ("ON", true),
        ("y", true),
        ("FALSE", false),
        ("no", false),
        ("Off", false),
        ("n", false),
    ] {
        assert_eq!(rule("", &format!("  honor_labels: {word}\n")).honor_labels, expected, "{word}");
    }
    // Order, too, is such a word.
    let text = "defaults: {glob_disable_ordering: off}\nmappings:\n- {match: a.*, name: x}\n- {match: a.b, name: y}";
    assert_eq!(answer(&mapping(text), "c a.b"), "x");
}
