use super::*;

fn walked(document: &str) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    numbers(document.as_bytes(), "", &mut |path, value| found.push((path.to_owned(), value)))
        .unwrap();
    found
}

#[test]
fn every_number_has_its_path() {
    let table: [(&str, &[(&str, f64)]); 6] = [
        ("7", &[("", 7.0)]),
        (r#"{"a": {"b": [1, true]}, "c": "x"}"#, &[("a.b.0", 1.0), ("a.b.1", 1.0)]),
        (r#"{"a": null, "b": -1.5e3, "c": false}"#, &[("b", -1500.0), ("c", 0.0)]),
        (r#"[[1], [2, [3]]]"#, &[("0.0", 1.0), ("1.0", 2.0), ("1.1.0", 3.0)]),
        (r#"{"a b": {"": 1}}"#, &[("a b.", 1.0)]),
        ("{}", &[]),
    ];
    for (document, expected) in table {
        let expected: Vec<_> =
            expected.iter().map(|(path, it)| ((*path).to_owned(), *it)).collect();
        assert_eq!(walked(document), expected, "{document}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for document in ["", "{", "[1,]", "{} {}", "nan"] {
        assert!(numbers(document.as_bytes(), "", &mut |_, _| {}).is_err(), "{document}");
    }
}

#[test]
fn depth_and_paths_have_limits() {
    let deep = format!("{}1{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
    assert_eq!(numbers(deep.as_bytes(), "", &mut |_, _| panic!("too deep")).unwrap(), 1);
    let long = format!(r#"{{"{}": {{"a": 1}}, "b": 2}}"#, "k".repeat(PATH_BYTES_MAX + 1));
    assert_eq!(walked(&long), [("b".to_owned(), 2.0)]);
    let deeper = "[".repeat(100_000);
    assert!(numbers(deeper.as_bytes(), "", &mut |_, _| {}).is_err());
    let deeper = format!(r#"{{"a": 1, "b": {deeper}{}, "c": 2}}"#, "]".repeat(100_000));
    assert_eq!(walked(&deeper), [("a".to_owned(), 1.0), ("c".to_owned(), 2.0)]);
}

#[test]
fn a_number_that_is_too_large_costs_no_other() {
    let digits = "7".repeat(400);
    let document = format!(
        r#"{{"a": 1e999, "b": [2, -2e308,3], "1e999\\": "\" 1e999", "d": {digits}, "e": 1e308}}"#
    );
    let found = [("b.0", 2.0), ("b.2", 3.0), ("e", 1e308)];
    let found = found.map(|(path, value)| (path.to_owned(), value));
    assert_eq!(walked(&document), found);
    assert_eq!(numbers(document.as_bytes(), "", &mut |_, _| {}).unwrap(), 3);
    for text in ["\"", "\"\\", "-", "1e", "1e999"] {
        assert_eq!(mend(text.as_bytes()).1, u64::from(text == "1e999"), "{text}");
    }
}

#[test]
fn rules_name_and_label_and_drop() {
    let mapping = Mapping::parse(
        "mappings:\n\
         - match: queue.*.depth\n  name: queue_depth\n  help: waiting\n  scale: 2\n  labels:\n    queue: $1\n\
         - match: secret.*\n  name: none\n  action: drop\n",
    )
    .unwrap();
    let document =
        br#"{"queue": {"in": {"depth": 3}, "out": {"depth": 4}}, "secret": {"x": 1}, "up": true}"#;
    let shown = |strict| {
        let families = families(document, "", &mapping, strict).unwrap();
        let one = |family: &Family| {
            let samples = family.samples.iter();
            let samples: Vec<String> =
                samples.map(|(labels, value)| format!("{{{}}} {value}", labels.as_str())).collect();
            format!("{} ({}) {}", family.name, family.help, samples.join(" "))
        };
        families.iter().map(one).collect::<Vec<_>>()
    };
    let queue = r#"queue_depth (waiting) {queue="in"} 6 {queue="out"} 8"#;
    assert_eq!(shown(true), [queue]);
    assert_eq!(shown(false), [queue, "up (A number of a JSON document) {} 1"]);
}
