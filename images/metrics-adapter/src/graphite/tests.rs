use proptest::prelude::*;

use super::*;

fn said(line: &[u8]) -> String {
    match parse(line) {
        Ok(None) => String::new(),
        Ok(Some(sample)) => {
            let tags: Vec<String> = sample.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let bad = "?".repeat(sample.bad_tags);
            let time = sample.timestamp.map_or("now".to_owned(), |time| time.to_string());
            format!("{}{{{}}}{bad} {} {time}", sample.name, tags.join(","), sample.value)
        }
        Err(reason) => format!("!{}", reason.as_str()),
    }
}

#[test]
fn lines() {
    for (title, line, expected) in [
        ("three fields", "servers.web.load 1.5 1700000000", "servers.web.load{} 1.5 1700000000"),
        ("no time", "a.b 2", "a.b{} 2 now"),
        ("now", "a.b 2 -1", "a.b{} 2 now"),
        ("now, as collectd says it", "a.b 2 N", "a.b{} 2 now"),
        ("a fraction of a second", "a 2 1700000000.75", "a{} 2 1700000000"),
        ("tabs and several blanks", "  a.b \t 2\t\t7  ", "a.b{} 2 7"),
        ("carriage return", "a.b 2 7\r", "a.b{} 2 7"),
        ("tags", "disk.used;host=web01;dc=eu 5 7", "disk.used{host=web01,dc=eu} 5 7"),
        ("tag name escaped", "a;data-center.x=eu 5 7", "a{data_center_x=eu} 5 7"),
        ("equals sign in a value", "a;q=x=y 5 7", "a{q=x=y} 5 7"),
        ("a tag twice", "a;k=1;k=2 5 7", "a{k=1,k=2} 5 7"),
        ("a bad tag among good", "a;k=1;oops;l=2 5 7", "a{k=1,l=2}? 5 7"),
        ("empty tags", "a;;k=;=v 5 7", "a{}??? 5 7"),
        ("a colon in a path", "a:b.c 5 7", "a:b.c{} 5 7"),
        ("negative, scientific", "a -1.5e3 7", "a{} -1500 7"),
        ("infinite", "a -inf 7", "a{} -inf 7"),
        ("beyond ASCII", "größe 5 7", "größe{} 5 7"),
        ("blank", "", ""),
        ("only blanks", " \t\r", ""),
        ("not a number", "a nan 7", "!not_a_number"),
        ("no value", "a", "!malformed_line"),
        ("a word for a value", "a many 7", "!malformed_value"),
        ("four fields", "a 5 7 more", "!malformed_line"),
        ("only tags", ";k=v 5 7", "!malformed_line"),
        ("a word for a time", "a 5 noon", "!malformed_timestamp"),
        ("a time before 1970", "a 5 -7", "!malformed_timestamp"),
        ("a time without end", "a 5 inf", "!malformed_timestamp"),
    ] {
        assert_eq!(said(line.as_bytes()), expected, "{title}: {line}");
    }
    assert_eq!(said(b"a\xff 5 7"), "!malformed_line");
    let long = "x".repeat(PATH_BYTES_MAX);
    assert_eq!(said(format!("{long} 5 7").as_bytes()), format!("{long}{{}} 5 7"));
    assert_eq!(said(format!("{long}x 5 7").as_bytes()), "!too_long");
}

#[test]
fn paths_become_names() {
    for (path, name) in [
        ("a.b.c", "a_b_c"),
        ("a:b", "a:b"),
        ("a--b", "a__b"),
        ("9a", "_9a"),
        ("größe", "gr__e"),
        ("plain_1", "plain_1"),
        ("", ""),
    ] {
        assert_eq!(escape_path(path), name, "{path}");
    }
    assert!(matches!(escape_path("plain_1"), Cow::Borrowed(_)));
}

proptest! {
    #[test]
    fn no_line_panics(line in prop::collection::vec(prop_oneof![
        prop::sample::select(b"a.;= \t\r1-N:".to_vec()),
        any::<u8>(),
    ], 0..40)) {
        if let Ok(Some(sample)) = parse(&line) {
            prop_assert!(sample.tags.len() + sample.bad_tags < line.len());
            prop_assert!(!sample.name.is_empty() && !sample.value.is_nan());
            let name = escape_path(sample.name);
            prop_assert!(!name.starts_with(|c: char| c.is_ascii_digit()));
        }
    }
}
