use super::*;

#[test]
fn patterns_and_names_are_read() {
    let body = json!([
        {"status": 200, "request": {"mbean": "a:*"}, "value": {
            "a:type=X,name=\"q\"": {"Count": 3, "Big": 18_446_744_073_709_551_615_u64, "Up": true},
        }},
        {"status": 404, "request": {"mbean": "b:*"}, "error": "javax.management.InstanceNotFoundException"},
        {"status": 200, "request": {"mbean": "c:type=\"*\""}, "value": {
            "Usage": {"used": 1.5, "at": null}, "List": [1, 2],
        }},
        {"status": 200, "request": {"mbean": "*:*"}, "value": {"c:type=\"*\"": {"Usage": 9}}},
    ]);
    let beans = beans(body.to_string().as_bytes()).unwrap();
    let names: Vec<&str> = beans.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a:type=X,name=\"q\"", "c:type=\"*\""]);
    let big = Value::Number(Number::Big("18446744073709551615".to_owned()));
    let count = Value::Number(Number::Integer(3));
    let expected = [("Big", big), ("Count", count), ("Up", Value::Boolean(true))];
    assert_eq!(beans[0].1, expected.map(|(name, value)| (name.to_owned(), value)));
    let used = ("used".to_owned(), Value::Number(Number::Double(1.5)));
    let usage = Value::composite(vec![("at".to_owned(), Value::Null), used]);
    let expected = [("List", Value::Array), ("Usage", usage)];
    assert_eq!(beans[1].1, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn a_number_that_is_too_large_costs_no_other() {
    let body = r#"[{"status":200,"request":{"mbean":"a:b=c"},"value":{"A":1e999,"B":2}}]"#;
    let beans = beans(body.as_bytes()).unwrap();
    let expected = [("A", Value::Null), ("B", Value::Number(Number::Integer(2)))];
    assert_eq!(beans[0].1, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn errors_are_told() {
    let table = [
        ("nonsense", "no answer of Jolokia"),
        ("{}", "no answer of Jolokia"),
        (r#"[{"status": 403, "error": "no access"}]"#, "Jolokia says 403: no access"),
        (r#"[{"status": 200, "request": {"mbean": "a:*"}, "value": 7}]"#, "without a value"),
    ];
    for (body, part) in table {
        let error = beans(body.as_bytes()).unwrap_err();
        assert!(error.0.contains(part), "{body}: {error}");
    }
}

#[test]
fn a_list_tells_types_and_descriptions() {
    let body = json!({"value": {"a": {"type=X,name=y": {
        "attr": {"Count": {"type": "long", "desc": "how many", "rw": false}},
    }}}});
    let infos = infos(body.to_string().as_bytes()).unwrap();
    let name = ObjectName::parse("a:name=y,type=X").unwrap();
    let info = &infos[&canonical(&name)]["Count"];
    assert_eq!((info.declared.as_str(), info.description.as_str()), ("long", "how many"));
}
