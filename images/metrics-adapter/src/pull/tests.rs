use std::borrow::Cow;

use super::answer::Conflicts;
use super::*;
use crate::exposition::Kind;
use crate::labels::Labels;

fn family(name: &str, kind: Kind, samples: &[(&str, f64)]) -> Family {
    let samples = samples.iter().map(|(text, value)| (Labels::from_rendered(text), *value));
    Family { name: name.to_owned(), help: String::new(), kind, samples: samples.collect() }
}

fn answer(input: &str, families: Vec<Family>) -> Answer {
    let labels =
        if input.is_empty() { vec![] } else { vec![("input".to_owned(), input.to_owned())] };
    Answer { families: Arc::new(families), labels, jmx: None, error: None, stale: false }
}

fn merged(answers: &[Answer]) -> (Vec<Family>, Conflicts) {
    let (families, conflicts) = merge(answers);
    (families.into_iter().map(Cow::into_owned).collect(), conflicts)
}

#[test]
fn inputs_are_told_apart_by_their_labels() {
    let one = || vec![family("a", Kind::Gauge, &[("x=\"1\"", 1.0), ("", 2.0)])];
    let (families, conflicts) = merged(&[answer("p", one()), answer("q", one())]);
    assert_eq!(conflicts, Conflicts::default());
    let expected = [
        ("x=\"1\",input=\"p\"", 1.0),
        ("input=\"p\"", 2.0),
        ("x=\"1\",input=\"q\"", 1.0),
        ("input=\"q\"", 2.0),
    ];
    assert_eq!(families, [family("a", Kind::Gauge, &expected)]);
}

#[test]
fn what_two_inputs_say_alike_is_there_once() {
    let gauge = answer("", vec![family("a", Kind::Gauge, &[("", 1.0)])]);
    let counter = answer("", vec![family("a", Kind::Counter, &[("", 2.0), ("y=\"1\"", 3.0)])]);
    let (families, conflicts) = merged(&[gauge, counter]);
    assert_eq!(conflicts, Conflicts { families: 1, series: 1 });
    assert_eq!(families, [family("a", Kind::Untyped, &[("", 1.0), ("y=\"1\"", 3.0)])]);
}

#[test]
fn the_order_of_labels_makes_no_other_series() {
    let one = answer("", vec![family("a", Kind::Gauge, &[("x=\"1\",y=\"2\"", 1.0)])]);
    let other = answer("", vec![family("a", Kind::Gauge, &[("y=\"2\",x=\"1\"", 2.0)])]);
    let (families, conflicts) = merged(&[one.clone(), other]);
    assert_eq!(conflicts, Conflicts { families: 0, series: 1 });
    assert_eq!(families, *one.families);
    // The label that the input adds is one of them.
    let samples = [("x=\"1\"", 1.0), ("input=\"p\",x=\"1\"", 2.0)];
    let (families, conflicts) = merged(&[answer("p", vec![family("a", Kind::Gauge, &samples)])]);
    assert_eq!(conflicts, Conflicts { families: 0, series: 1 });
    assert_eq!(families, [family("a", Kind::Gauge, &[("x=\"1\",input=\"p\"", 1.0)])]);
}

#[test]
fn what_is_said_of_a_scrape_is_not_said_twice_by_a_rule() {
    let samples = [("", 7.0), ("bean=\"x\"", 8.0)];
    let mut one = answer("", vec![family("jmx_scrape_error", Kind::Gauge, &samples)]);
    one.jmx = Some(answer::JmxFigures { seconds: 0.5, error: false, cached_beans: 3, timeouts: 0 });
    let (families, conflicts) = merged(&[one]);
    assert_eq!(conflicts, Conflicts { families: 0, series: 1 });
    let found = families.iter().find(|family| family.name == "jmx_scrape_error").unwrap();
    let labels = |text| Labels::from_rendered(text);
    assert_eq!(found.samples, [(labels(""), 0.0), (labels("bean=\"x\""), 8.0)]);
}

#[test]
fn a_label_that_is_there_already_stays() {
    let own = answer("p", vec![family("a", Kind::Gauge, &[("input=\"own\"", 1.0)])]);
    let (families, _) = merged(&[own]);
    assert_eq!(families, [family("a", Kind::Gauge, &[("input=\"own\"", 1.0)])]);
}

#[test]
fn targets_are_hosts_with_ports() {
    let table = [
        ("a:1", Some(("a", 1))),
        ("10.0.0.1:65535", Some(("10.0.0.1", 65_535))),
        ("[::1]:9", Some(("::1", 9))),
        ("a_b-c.d:1", Some(("a_b-c.d", 1))),
        ("a", None),
        ("a:0", None),
        ("a:65536", None),
        (":1", None),
        ("::1:9", None),
        ("[a]:9", None),
        ("a b:1", None),
        ("u@a:1", None),
        ("a/b:1", None),
        ("a:1/b", None),
    ];
    for (target, expected) in table {
        assert_eq!(probes::host_port(target), expected, "{target}");
    }
}
