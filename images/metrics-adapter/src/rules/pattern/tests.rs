use proptest::prelude::*;

use super::java::{Mode, rewrite};
use super::*;

/// Groups of a match of the whole text, or nothing.
fn groups(pattern: &str, text: &str) -> Option<Vec<String>> {
    let pattern = Pattern::compile(pattern).unwrap_or_else(|what| panic!("{pattern}: {what}"));
    let hits = StepLimitHits::default();
    let found = pattern.captures(text, &hits);
    assert_eq!(found.is_some(), pattern.is_match(text, &hits));
    found.map(|found| (1..=pattern.groups()).map(|group| found.get(group).to_owned()).collect())
}

#[test]
fn the_last_place_wins() {
    // What a search would find first is not what the original takes.
    assert_eq!(groups(r"(\w)=", "a=1, b=2"), Some(vec!["b".to_owned()]));
    assert_eq!(groups(r"type=(\w+)", "d<type=Pool>"), Some(vec!["Pool".to_owned()]));
    // The prefix is greedy: it leaves the pattern as little as it can.
    assert_eq!(groups(r"(\w+)<", "kafka<"), Some(vec!["a".to_owned()]));
    assert_eq!(groups(r"^(\w+)<", "kafka<"), Some(vec!["kafka".to_owned()]));
    assert_eq!(groups(r"(\d+)$", "x: 120"), Some(vec!["0".to_owned()]));
    assert_eq!(groups("a|(b)", "ba"), Some(vec![String::new()]));
}

#[test]
fn no_line_may_end() {
    for end in ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"] {
        let text = format!("a: x{end}y");
        assert_eq!(groups("a", &text), None, "{end:?}");
        // What says so itself may cross it.
        assert!(groups(r"a: x\s?[^z]y", &text).is_some(), "{end:?}");
    }
    assert!(groups("(?s)x.y", "x\ny").is_some());
    assert!(groups("x(?s:.)y.z", "x\ny\nz").is_none());
}

#[test]
fn syntax_of_java() {
    let yes = [
        (r"\Qa.b*\E\d", "a.b*7"),
        (r"\x41\u0042\x{43}\0104\cA", "ABCD\u{1}"),
        (r"[a-c&&[^b]]{2}", "ac"),
        (r"[\w-.]+x[a-]", "a-.xa"),
        (r"[]a]b", "]b"),
        (r"[^]a]b", "cb"),
        (r"\p{Alpha}\p{Lu}\pL\P{Digit}\p{IsLatin}", "aBcdé"),
        (r"(?i)KAFKA", "kafka"),
        ("(?x) a b # c\n d", "abd"),
        (r"(?<first>a)(?:b)(?i:C)", "abc"),
        (r"a\.b\-c\<d\>\_\#", "a.b-c<d>_#"),
        (r"x{2,}?y{1,3}", "xxy"),
        ("\"q\"", "\"q\""),
        (r"[[a-b][d-e]]+", "abde"),
        (r"a\h\R", "a \n"),
        (r"\bfoo\b", "a foo b"),
        (r"[&&a]b[c&&]", "abc"),
        ("a&b~c#d-e", "a&b~c#d-e"),
        ("", "anything"),
        ("a||b", "c"),
    ];
    for (pattern, text) in yes {
        assert!(groups(pattern, text).is_some(), "{pattern} should fit {text}");
    }
    let no = [
        (r"\d", "٣"),
        (r"\w", "é"),
        (r"[a-c&&[^b]]", "b"),
        (r"\bfoo\b", "afoo"),
        (r"\Bfoo", " foo"),
        (r"[^a]", "a"),
        (r"\S", " \t"),
    ];
    for (pattern, text) in no {
        assert!(groups(pattern, text).is_none(), "{pattern} should not fit {text}");
    }
}

#[test]
fn what_automata_cannot_do() {
    let cases = [
        (r"a(?!b)(\w)", "ac", Some("c")),
        (r"a(?!b)(\w)", "ab", None),
        (r"(?<=a)(b)", "ab", Some("b")),
        (r"(?<!a)(b)$", "ab", None),
        (r"<(\w)\1>", "<xx>", Some("x")),
        (r"<(\w)\1>", "<xy>", None),
        (r"<(?<n>\w)\k<n>>", "<xx>", Some("x")),
        (r"<(\w++)x>", "<xxx>", None),
        (r"<((?>\w+))>", "<xxx>", Some("xxx")),
    ];
    for (pattern, text, expected) in cases {
        let found = groups(pattern, text).map(|mut all| all.remove(0));
        assert_eq!(found.as_deref(), expected, "{pattern} on {text}");
        let compiled = Pattern::compile(pattern).unwrap();
        assert!(!compiled.loose_is_exact());
        // What is looser fits at least there.
        let loose = regex::Regex::new(compiled.loose()).unwrap();
        assert!(expected.is_none() || loose.is_match(text), "{pattern}");
    }
}

#[test]
fn what_is_refused_says_why() {
    let cases = [
        ("*a", "nothing to repeat"),
        ("a**", "nothing to repeat"),
        ("(a", "not closed"),
        ("a)", "without its `(`"),
        ("[a", "a class is not closed"),
        ("a{", "a brace itself"),
        ("a{2,1}", "no repetition"),
        ("a{1001}", "no repetition"),
        (r"a\", "a backslash at the end"),
        (r"\y", r"`\y` is not known"),
        (r"\1", "without that many groups"),
        (r"\p{InGreek}", "not known here"),
        ("(?U)a", "`(?U` is not known"),
        ("(?<1>a)", "name"),
        ("(?<a>a)(?<a>b)", "two groups"),
        ("[b-a]", "upside down"),
        (r"\x4", "hexadecimal"),
        (r"((a{1000}){1000})", "not compiled"),
    ];
    for (pattern, expected) in cases {
        let what = Pattern::compile(pattern).err().unwrap_or_else(|| panic!("{pattern} compiles"));
        assert!(what.contains(expected), "{pattern}: {what}");
    }
    assert!(Pattern::compile(&"(".repeat(5000)).is_err());
    assert!(Pattern::compile(&"[".repeat(5000)).is_err());
    assert!(Pattern::compile(&"a".repeat(20_000)).is_err());
}

#[test]
fn a_trailing_dot_star_is_no_part_of_a_search() {
    let loose = |pattern| rewrite(pattern, Mode::Loose).unwrap().text;
    assert_eq!(loose("a.*"), "a");
    assert_eq!(loose("a.*?"), "a");
    let kept = ["a|b.*", "(a.*)", "a.*$", "a.+", r"a\.*", "(?s)a.*"];
    for pattern in kept {
        assert!(loose(pattern).len() >= pattern.len() - 1, "{pattern}: {}", loose(pattern));
    }
}

#[test]
fn a_match_that_takes_too_long_is_none_and_counted() {
    let pattern = Pattern::compile(r"(?=x)(x+x+)+y").unwrap();
    let hits = StepLimitHits::default();
    assert!(!pattern.is_match(&"x".repeat(60), &hits));
    assert_eq!(hits.get(), 1);
    assert!(pattern.captures(&"x".repeat(60), &hits).is_none());
    assert_eq!(hits.get(), 2);
    assert!(pattern.is_match("xxy", &hits));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any text is a pattern or refused.
    #[test]
    fn nothing_panics(pattern in r"[a-c\\\[\](){}|*+?.^$&<>=!:,x0-9-]{0,24}", text in ".{0,40}") {
        if let Ok(pattern) = Pattern::compile(&pattern) {
            let hits = StepLimitHits::default();
            let fits = pattern.is_match(&text, &hits);
            let one_line = !text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
            let loose = regex::Regex::new(pattern.loose()).unwrap();
            prop_assert!(!fits || loose.is_match(&text), "{pattern:?} fits, {} not", pattern.loose());
            if one_line && pattern.loose_is_exact() {
                prop_assert_eq!(fits, loose.is_match(&text), "{:?}", pattern);
            }
        }
    }
}
