use super::super::names::{safe, safe_label, snake_case, without_reserved};
use super::super::number::java_double;
use super::super::pattern::{Pattern, StepLimitHits};
use super::super::template::Template;

#[test]
fn names_become_safe() {
    let cases = [
        ("", ""),
        ("kafka_server", "kafka_server"),
        ("kafka.server-x", "kafka_server_x"),
        ("9lives", "_9lives"),
        ("a:b", "a:b"),
        ("a__b", "a_b"),
        ("a_-. b", "a_b"),
        ("__a__", "_a_"),
        ("é", "_"),
        ("aéöb", "a_b"),
        ("\"q\"", "_q_"),
        ("a/b\\c", "a_b_c"),
        ("_", "_"),
        ("1-", "_1_"),
    ];
    for (given, expected) in cases {
        assert_eq!(safe(given), expected, "{given}");
    }
    assert_eq!(safe_label("a:b"), "a_b");
}

#[test]
fn names_become_snakes() {
    let cases = [
        ("", ""),
        ("Count", "count"),
        ("ThreadCount", "thread_count"),
        ("usedHeapBytes", "used_heap_bytes"),
        ("testTCPTest", "test_tcptest"),
        ("HTTPServer", "httpserver"),
        ("a_B", "a_b"),
        ("A_b", "a_b"),
        ("_Ab", "_ab"),
        ("p99Latency", "p99_latency"),
        ("x1Y", "x1_y"),
        ("OneÜber", "one_über"),
    ];
    for (given, expected) in cases {
        assert_eq!(snake_case(given), expected, "{given}");
    }
}

#[test]
fn reserved_ends_are_taken_off() {
    let cases = [
        ("requests_total", "requests"),
        ("requests_total_total", "requests"),
        ("x_info_total", "x"),
        ("x_created", "x"),
        ("x_bucket", "x"),
        ("_total", "total"),
        ("x_total_info_bucket", "x"),
        ("total", "total"),
        ("x_totals", "x_totals"),
        ("x_sum", "x_sum"),
        ("_info_total", "info"),
    ];
    for (given, expected) in cases {
        assert_eq!(without_reserved(given), expected, "{given}");
    }
}

#[test]
fn numbers_of_java() {
    for (given, expected) in [
        ("1", 1.0),
        (" 1.5 ", 1.5),
        ("-1e3", -1000.0),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("1d", 1.0),
        ("2.5F", 2.5),
        ("Infinity", f64::INFINITY),
        ("-Infinity", f64::NEG_INFINITY),
    ] {
        assert_eq!(java_double(given), Some(expected), "{given}");
    }
    assert!(java_double("NaN").is_some_and(f64::is_nan));
    for given in ["", " ", "x", "1x", "inf", "nan", "--1", "+-1", "1e", "infinity", ".", "0x1p3"] {
        assert_eq!(java_double(given), None, "{given}");
    }
}

#[test]
fn replacement_texts() {
    let pattern = Pattern::compile(r"^(?<key>\w+)=(\w+)(x)?(y)?(y)?(y)?(y)?(y)?(y)?(z)?").unwrap();
    assert_eq!(pattern.groups(), 10);
    let hits = StepLimitHits::default();
    let captures = pattern.captures("a=b z", &hits).unwrap();
    let cases = [
        ("plain", "plain"),
        ("$1", "a"),
        ("$1$2", "ab"),
        ("${key}!", "a!"),
        ("$10", ""),
        ("$11", "a1"),
        ("$100", "0"),
        ("$3", ""),
        (r"\$1", "$1"),
        (r"\\", "\\"),
        (r"\a", "a"),
        ("$1_$2", "a_b"),
        ("$0", "a=b z"),
        ("a$1b", "aab"),
    ];
    for (given, expected) in cases {
        let template = Template::parse(given, Some(&pattern)).unwrap();
        assert_eq!(template.expand(Some(&captures)), expected, "{given}");
        assert_eq!(template.uses_groups(), given.contains('$') && given != r"\$1", "{given}");
    }
    let small = Pattern::compile("(a)").unwrap();
    for (given, message) in [
        ("$", "without number or name"),
        ("$x", "without number or name"),
        ("$2", "no such group"),
        ("${key}", "no group of that name"),
        ("${key", "not closed"),
        ("a\\", "a backslash at the end"),
    ] {
        let what = Template::parse(given, Some(&small)).unwrap_err();
        assert!(what.contains(message), "{given}: {what}");
    }
    assert!(Template::parse("$0", None).is_err());
    assert!(Template::parse("7", None).is_ok());
}
