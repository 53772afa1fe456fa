//! How series are kept, and files that are refused.

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

/// Files that are refused: line, key, and a piece of the message.
const REFUSED: &[(&str, &str, u64, &str, &str)] = &[
    ("a key nobody knows", "mappings:\n- match: a\n  nmae: x", 3, "nmae", "unknown key `nmae`"),
    (
        "a key nobody knows, at the top",
        "mapping: []",
        1,
        "mapping",
        "expected one of defaults, mappings",
    ),
    ("a key nobody knows, below", "defaults:\n  summary_options:\n    age: 3", 3, "age", "max_age"),
    ("a key twice", "mappings:\n- match: a\n  name: x\n  name: y", 4, "name", "twice"),
    (
        "a label twice",
        "mappings:\n- match: a\n  name: x\n  labels:\n    ab: 1\n    ab: 2",
        6,
        "ab",
        "twice",
    ),
    ("no list", "mappings: 3", 1, "", "sequence"),
    ("no rule", "mappings:\n- 3", 2, "", "mapping"),
    (
        "an empty rule",
        "mappings:\n- match: a\n  name: x\n-\n",
        4,
        "mappings[1].name",
        "found nothing",
    ),
    ("no name", "mappings:\n- match: a", 2, "mappings[0].name", "found nothing"),
    (
        "no name to discard",
        "mappings:\n- match: a\n  action: drop",
        2,
        "mappings[0].name",
        "found nothing",
    ),
    ("an empty name", "mappings:\n- match: a\n  name: ''", 2, "mappings[0].name", "found nothing"),
    (
        "a name with a dash",
        "mappings:\n- match: a\n  name: x-y",
        3,
        "mappings[0].name",
        "found `x-y`",
    ),
    (
        "a name with a colon",
        "mappings:\n- match: a\n  name: x:y",
        3,
        "mappings[0].name",
        "found `x:y`",
    ),
    (
        "a name with a digit first",
        "mappings:\n- match: a\n  name: 1x",
        3,
        "mappings[0].name",
        "a digit not first",
    ),
    (
        "a name with a word for a reference",
        "mappings:\n- match: a\n  name: x$y",
        3,
        "mappings[0].name",
        "found `x$y`",
    ),
    (
        "a name beyond ASCII",
        "mappings:\n- match: a\n  name: größe",
        3,
        "mappings[0].name",
        "letters",
    ),
    ("no pattern", "mappings:\n- name: x", 2, "mappings[0].match", "found nothing"),
    ("an empty pattern", "mappings:\n- name: x\n  match: ''", 3, "mappings[0].match", "segments"),
    (
        "a pattern with an empty segment",
        "mappings:\n- name: x\n  match: a..b",
        3,
        "mappings[0].match",
        "`a..b`",
    ),
    (
        "a pattern with a dot at its end",
        "mappings:\n- name: x\n  match: a.",
        3,
        "mappings[0].match",
        "`a.`",
    ),
    (
        "a pattern with a digit first",
        "mappings:\n- name: x\n  match: 1a.b",
        3,
        "mappings[0].match",
        "`1a.b`",
    ),
    (
        "a pattern with a dash first",
        "mappings:\n- name: x\n  match: a.-b",
        3,
        "mappings[0].match",
        "`a.-b`",
    ),
    (
        "a pattern with two stars in a segment",
        "mappings:\n- name: x\n  match: a.**",
        3,
        "mappings[0].match",
        "`a.**`",
    ),
    (
        "a pattern with a space",
        "mappings:\n- name: x\n  match: a b",
        3,
        "mappings[0].match",
        "`a b`",
    ),
    (
        "an open group",
        "mappings:\n- name: x\n  match_type: regex\n  match: a(b",
        4,
        "mappings[0].match",
        "unclosed group",
    ),
    (
        "a look ahead",
        "mappings:\n- name: x\n  match_type: regex\n  match: a(?!b)",
        4,
        "mappings[0].match",
        "look-ar",
    ),
    (
        "an expression too large",
        "mappings:\n- name: x\n  match_type: regex\n  match: '(\\pL{500}){500}'",
        4,
        "mappings[0].match",
        "1 MiB",
    ),
    (
        "a label of one letter",
        "mappings:\n- match: a\n  name: x\n  labels:\n    p: 1",
        5,
        "mappings[0].labels.p",
        "two letters",
    ),
    (
        "a label with a dash",
        "mappings:\n- match: a\n  name: x\n  labels:\n    a-b: 1",
        5,
        "mappings[0].labels.a-b",
        "letters",
    ),
    (
        "a kind of match nobody knows",
        "mappings:\n- match: a\n  name: x\n  match_type: exact",
        4,
        "mappings[0].match_type",
        "glob or regex",
    ),
    (
        "a kind of observer nobody knows",
        "defaults:\n  observer_type: timer",
        2,
        "defaults.observer_type",
        "summary or histogram",
    ),
    (
        "an action nobody knows",
        "mappings:\n- match: a\n  name: x\n  action: keep",
        4,
        "mappings[0].action",
        "map or drop",
    ),
    (
        "a kind of sample nobody knows",
        "mappings:\n- match: a\n  name: x\n  match_metric_type: set",
        4,
        "mappings[0].match_metric_type",
        "counter or gauge or observer",
    ),
    (
        "an empty kind of sample",
        "mappings:\n- match: a\n  name: x\n  match_metric_type: ''",
        4,
        "mappings[0].match_metric_type",
        "counter",
    ),
    (
        "a word that is neither true nor false",
        "defaults:\n  glob_disable_ordering: maybe",
        2,
        "defaults.glob_disable_ordering",
        "true or false",
    ),
    ("a ttl below zero", "defaults:\n  ttl: -5m", 2, "defaults.ttl", "found `-5m`"),
    ("a ttl of days", "mappings:\n- match: a\n  name: x\n  ttl: 1d", 4, "mappings[0].ttl", "1h30m"),
    (
        "a scale that is none",
        "mappings:\n- match: a\n  name: x\n  scale: big",
        4,
        "mappings[0].scale",
        "a number",
    ),
    (
        "a scale without end",
        "mappings:\n- match: a\n  name: x\n  scale: .inf",
        4,
        "mappings[0].scale",
        "finite",
    ),
    (
        "summary options for a histogram",
        "mappings:\n- match: a\n  name: x\n  observer_type: histogram\n  summary_options: {buf_cap: 1}",
        2,
        "mappings[0].summary_options",
        "histogram",
    ),
    (
        "histogram options for a summary",
        "mappings:\n- match: a\n  name: x\n  observer_type: summary\n  histogram_options: {}",
        2,
        "mappings[0].histogram_options",
        "summary",
    ),
    (
        "summary options where histograms are the default",
        "defaults: {observer_type: histogram}\nmappings:\n- match: a\n  name: x\n  summary_options: {}",
        3,
        "mappings[0].summary_options",
        "histogram",
    ),
    (
        "quantiles in two places",
        "mappings:\n- match: a\n  name: x\n  quantiles: []\n  summary_options: {quantiles: []}",
        2,
        "mappings[0].quantiles",
        "summary_options",
    ),
    (
        "buckets in two places",
        "mappings:\n- match: a\n  name: x\n  buckets: []\n  histogram_options: {buckets: []}",
        2,
        "mappings[0].buckets",
        "histogram_options",
    ),
    ("buckets that do not rise", "defaults:\n  buckets: [1, 1]", 2, "defaults.buckets[1]", "rise"),
    (
        "a bucket that is no number",
        "defaults:\n  histogram_options:\n    buckets:\n    - 1\n    - x",
        5,
        "defaults.histogram_options.buckets[1]",
        "a number",
    ),
    ("a bucket not a number", "defaults:\n  buckets: [.nan]", 2, "defaults.buckets[0]", "rise"),
    (
        "a quantile beyond one",
        "defaults:\n  quantiles: [{quantile: 99, error: 0.1}]",
        2,
        "defaults.quantiles[0].quantile",
        "from 0 to 1",
    ),
    (
        "age buckets below zero",
        "defaults:\n  summary_options:\n    age_buckets: -1",
        3,
        "defaults.summary_options.age_buckets",
        "whole number",
    ),
    (
        "age buckets and a half",
        "defaults:\n  summary_options:\n    age_buckets: 1.5",
        3,
        "defaults.summary_options.age_buckets",
        "whole number",
    ),
    (
        "more age buckets than memory",
        "defaults:\n  summary_options:\n    age_buckets: 4000000000",
        3,
        "defaults.summary_options.age_buckets",
        "1000",
    ),
];

#[test]
fn files_that_are_refused() {
    for (title, text, line, key, piece) in REFUSED {
        let error = match Mapping::parse(text) {
            Err(error) => error,
            Ok(_) => panic!("{title}: taken"),
        };
        assert_eq!(error.line, Some(*line), "{title}: {error:?}");
        assert_eq!(error.key.as_deref().unwrap_or_default(), *key, "{title}: {error:?}");
        assert!(error.message.contains(piece), "{title}: {error:?}");
        assert!(!error.message.contains('\n') && error.message.len() < 400, "{title}: {error:?}");
    }
}
