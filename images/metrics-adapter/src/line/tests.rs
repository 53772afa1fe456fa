//! Tables of lines with what they say, and properties of all lines.
//!
//! What a line says is written down as words: `name{tag=value} count 1` for a sample, `!reason`
//! for a refusal, `?` for a bad tag, `event`, `check name status{…}`; `again` after a sample of
//! the series before it.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

mod lines;
mod numbers;

use lines::{PLAIN, TAGGED};

const ALL: Dialects = Dialects { dogstatsd: true, influxdb: true, librato: true, signalfx: true };
const NONE: Dialects =
    Dialects { dogstatsd: false, influxdb: false, librato: false, signalfx: false };

/// Writes down what it is told.
#[derive(Default)]
struct Notes {
    text: Vec<String>,
    received: usize,
    tagged: usize,
    samples: Vec<(Key, Action)>,
}

type Key = (String, Vec<(String, String)>);

fn pairs(tags: &[Tag<'_>]) -> String {
    let pairs: Vec<String> = tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

fn verb(action: Action, text: &str) -> String {
    match action {
        Action::Count { value } => format!("count {value}"),
        Action::Set { value } => format!("set {value}"),
        Action::Shift { value } => format!("shift {value}"),
        Action::Observe { value, weight: 1.0 } => format!("observe {value}"),
        Action::Observe { value, weight } => format!("observe {value}*{weight}"),
        Action::Insert => format!("insert {text}"),
    }
}

impl Sink for Notes {
    fn received(&mut self) {
        self.received += 1;
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let mut text = format!("{}{} ", sample.name, pairs(sample.tags));
        text += &verb(sample.action, sample.text);
        if sample.again {
            text += " again";
        }
        self.text.push(text);
        let tags = sample.tags.iter().map(|(k, v)| (k.to_string(), (*v).to_owned())).collect();
        self.samples.push(((sample.name.to_owned(), tags), sample.action));
    }

    fn refused(&mut self, reason: Reason) {
        self.text.push(format!("!{}", reason.as_str()));
    }

    fn tag(&mut self, good: bool) {
        if good {
            self.tagged += 1;
        } else {
            self.text.push("?".to_owned());
        }
    }

    fn event(&mut self) {
        self.text.push("event".to_owned());
    }

    fn check(&mut self, name: &str, status: u8, tags: &[Tag<'_>]) {
        self.text.push(format!("check {name} {status}{}", pairs(tags)));
    }
}

fn notes(line: &[u8], dialects: Dialects) -> (Notes, Repeat) {
    let mut notes = Notes::default();
    let repeat = parse(line, dialects, &mut notes);
    (notes, repeat)
}

fn check(dialects: Dialects, table: &[(&str, &str, &str)]) {
    let mut wrong = String::new();
    for (title, line, expected) in table {
        let found = notes(line.as_bytes(), dialects).0.text.join("; ");
        if found != *expected {
            writeln!(wrong, "{title}: {line}\n  expected {expected}\n  found    {found}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "with {dialects:?}\n{wrong}");
}

#[test]
fn plain_lines() {
    for bits in 0..16 {
        check(dialects(bits), PLAIN);
    }
}

fn dialects(bits: u8) -> Dialects {
    let bit = |at: u8| bits >> at & 1 == 1;
    Dialects { dogstatsd: bit(0), influxdb: bit(1), librato: bit(2), signalfx: bit(3) }
}

#[test]
fn tagged_lines() {
    for (title, line, with, without) in TAGGED {
        for bits in 0..16 {
            let dialects = dialects(bits);
            let read = match title.as_bytes()[0] {
                b'D' => dialects.dogstatsd,
                // Commas and brackets of another dialect in a name are tags of that one.
                b'I' => dialects.influxdb,
                b'L' => dialects.librato,
                _ => dialects.signalfx,
            };
            // With Influx but without Librato or SignalFX, a comma in their tags opens Influx's.
            let alone = |own: bool| own || !line.split(':').next().unwrap().contains(',');
            if title.starts_with(['L', 'S']) && dialects.influxdb && !alone(read) {
                continue;
            }
            check(dialects, &[(title, line, if read { with } else { without })]);
        }
    }
}

#[test]
fn dialects_together() {
    check(
        ALL,
        &[
            ("name and value", "x,a=1:1|c|#b:2", "!mixed_tagging_styles"),
            ("name and value, Librato", "x#a=1:1|c|#b:2", "!mixed_tagging_styles"),
            ("name and value, SignalFX", "x[a=1]:1|c|#b:2", "!mixed_tagging_styles"),
            ("only bad tags in the name", "x,a:1|c|#b:2", "?; x{b=2} count 1"),
            ("brackets come first", "x[a=1],b=2:1|c", "x,b=2{a=1} count 1"),
            ("hash before comma", "x#a=1,b=2:1|c", "x{a=1,b=2} count 1"),
            ("comma before hash", "x,a=1#b:1|c", "x{a=1#b} count 1"),
        ],
    );
    let no_dog = Dialects { dogstatsd: false, ..ALL };
    check(no_dog, &[("mixed all the same", "x,a=1:1|c|#b:2", "!mixed_tagging_styles")]);
    let no_librato = Dialects { librato: false, ..ALL };
    check(no_librato, &[("comma decides", "x#a=1,b=2:1|c", "x#a=1{b=2} count 1")]);
    let no_signalfx = Dialects { signalfx: false, ..ALL };
    check(no_signalfx, &[("comma in brackets", "x[a=1,b=2]:1|c", "x[a=1{b=2]} count 1")]);
    check(NONE, &[("hash after the bar", "x:1|c|#b:2:3|c", "!malformed_container_id")]);
}

#[test]
fn what_is_no_text_is_refused() {
    for line in [&b"x\xff:1|c"[..], b"x:1|c|#a:\xc3", b"\xf0\x28\x8c\x28", b"x:\xe2\x82|s"] {
        assert_eq!(notes(line, ALL).0.text, ["!malformed_line"], "{line:?}");
    }
}

#[test]
fn samples_and_tagged_samples_are_counted() {
    let counts = |line: &str| {
        let (notes, _) = notes(line.as_bytes(), ALL);
        (notes.received, notes.tagged)
    };
    assert_eq!(counts("x:1|c"), (1, 0));
    assert_eq!(counts("x:1|c:2|c:bad|c"), (3, 0));
    assert_eq!(counts("x:1:2:bad|c|#a:1,b:2"), (3, 2));
    assert_eq!(counts("x,a=1:1|c:2|c"), (2, 2));
    assert_eq!(counts("x"), (0, 0));
    assert_eq!(counts("x:1|c|c:1f"), (1, 1));
}

#[test]
fn what_may_be_repeated() {
    let repeat = |line: &str| notes(line.as_bytes(), ALL).1;
    assert_eq!(repeat("x:1|c"), Repeat::Count { rate: 1.0 });
    assert_eq!(repeat("x:1|c|@0.1|#a:1"), Repeat::Count { rate: 0.1 });
    assert_eq!(repeat("x:1:bad|c"), Repeat::Count { rate: 1.0 });
    assert_eq!(repeat("x,a=1:-1|g"), Repeat::Gauge);
    assert_eq!(repeat("x:1|ms|@0.5"), Repeat::Observe { divisor: 1000.0, weight: 2.0 });
    assert_eq!(repeat("x:1:2|d|c:1f"), Repeat::Observe { divisor: 1.0, weight: 1.0 });
    for line in [
        "x:1|s",          // a member is no number
        "x:bad|c",        // what follows was not looked at
        "x:nan|c",        // there is no series yet
        "x:1|c:2|c",      // several samples
        "x:1:2|c|c:1f:2", // one value would be several samples
        "x:1|c|#a",       // a bad tag is counted every time
        "x,a:1|c",        // the same, in the name
        "x:1|c|@z",       // the same, of the rate
        "a|b:1|c",        // the first bar is not where one would look
        "_sc|a|0",
        "_e{1,1}:a|b",
        "x:1|q",
        "",
    ] {
        assert_eq!(repeat(line), Repeat::Never, "{line}");
    }
}

#[test]
fn values_of_a_repeated_line() {
    let count = Repeat::Count { rate: 0.5 };
    assert_eq!(count.action(b"3"), Ok(Action::Count { value: 6.0 }));
    assert_eq!(count.action(b"-3"), Ok(Action::Count { value: -6.0 }));
    assert_eq!(count.action(b"nan"), Err(Reason::NotFinite));
    assert_eq!(count.action(b"1e308"), Err(Reason::NotFinite));
    assert_eq!(count.action(b""), Err(Reason::MalformedValue));
    assert_eq!(Repeat::Gauge.action(b"3"), Ok(Action::Set { value: 3.0 }));
    assert_eq!(Repeat::Gauge.action(b"+3"), Ok(Action::Shift { value: 3.0 }));
    let observe = Repeat::Observe { divisor: 1000.0, weight: 4.0 };
    assert_eq!(observe.action(b"9"), Ok(Action::Observe { value: 0.009, weight: 4.0 }));
    assert_eq!(observe.action(b"inf"), Err(Reason::NotFinite));
    assert_eq!(Repeat::Never.action(b"1"), Err(Reason::IllegalEvent));
}

#[test]
fn escaped_names() {
    for (name, escaped) in [
        ("", ""),
        ("plain_1", "plain_1"),
        ("a.b.c", "a_b_c"),
        ("9lives", "_9lives"),
        ("9.9", "_9_9"),
        ("a-b", "a_b"),
        ("a---b", "a_b"),
        ("a-.-b", "a___b"),
        ("-a-", "_a_"),
        ("--", "_"),
        ("a:b", "a_b"),
        ("a  b", "a__b"),
        ("größe", "gr__e"),
        ("日本", "__"),
        ("A/B%", "A_B_"),
        ("__name__", "__name__"),
    ] {
        assert_eq!(escape(name), escaped, "{name}");
    }
    assert!(matches!(escape("plain_1"), Cow::Borrowed(_)));
}

/// Bytes of which lines are made, so that many come close to being good.
fn line_like() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        3 => prop::sample::select(vec![
            ":", "|", "#", ",", "=", "@", "[", "]", "c", "g", "ms", "h", "d", "s", "c:", "T", "e:", "card:",
            "|#", "|@", "|c", "_sc|", "_e{", "}:", "x", "a.b", "1", "-2", "0.5", "nan", "+",
        ]).prop_map(|token| token.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..3),
    ];
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

fn good_number() -> impl Strategy<Value = String> {
    prop_oneof![
        (-1000i32..1000).prop_map(|number| number.to_string()),
        (-1e9..1e9).prop_map(|number: f64| number.to_string()),
        (0u32..50).prop_map(|number| format!("+{number}")),
        Just("0x1p4".to_owned()),
        Just("1_0.5e1".to_owned()),
    ]
}

/// Lines of which most may be repeated.
fn repeatable() -> impl Strategy<Value = String> {
    let head = prop::sample::select(vec![
        "x",
        "a.b.c",
        "x,a=1",
        "x,a=1,b=2",
        "x#a=1",
        "n[a=1]m",
        "x,a",
        "x|y",
        "a-b",
        "größe",
        "_e{1",
    ]);
    let values = prop::collection::vec(good_number(), 1..4);
    let kind = prop::sample::select(vec!["c", "g", "ms", "h", "d", "s", "q", "c:2|c"]);
    let field = prop::sample::select(vec![
        "@0.1", "@0", "@3", "@z", "#a:1", "#a:1,b:2", "#b", "#", "c:1f", "c:1f:2|c", "c:", "T1",
        "e:x", "e:x:y", "card:low", "z", "",
    ]);
    (head, values, kind, prop::collection::vec(field, 0..4)).prop_map(
        |(head, values, kind, fields)| {
            let fields: String = fields.iter().map(|field| format!("|{field}")).collect();
            format!("{head}:{}|{kind}{fields}", values.join(":"))
        },
    )
}

proptest! {
    #[test]
    fn no_line_panics_or_says_more_than_its_bytes(line in line_like(), bits in 0u8..16) {
        let (notes, _) = notes(&line, dialects(bits));
        prop_assert!(notes.text.len() <= 8 * line.len() + 1);
        prop_assert!(notes.samples.len() <= line.len());
        prop_assert!(notes.received <= line.len());
    }

    #[test]
    fn a_repeated_line_differs_only_in_its_values(
        line in prop_oneof![
            3 => repeatable().prop_map(String::into_bytes),
            1 => line_like(),
        ],
        others in prop::collection::vec(good_number(), 1..4),
        bits in 0u8..16,
    ) {
        let dialects = dialects(bits);
        let (first, repeat) = notes(&line, dialects);
        prop_assume!(repeat != Repeat::Never);
        let colon = memchr::memchr(b':', &line).unwrap();
        let bar = memchr::memchr(b'|', &line).unwrap();
        prop_assert!(colon < bar, "the place of the values is in doubt");
        let other = [&line[..=colon], others.join(":").as_bytes(), &line[bar..]].concat();
        let (second, again) = notes(&other, dialects);
        prop_assert_eq!(repeat, again);
        let (key, _) = &first.samples[0];
        let expected: Vec<(Key, Action)> = others
            .iter()
            .map(|value| (key.clone(), repeat.action(value.as_bytes()).unwrap()))
            .collect();
        prop_assert_eq!(&second.samples, &expected);
        // Nothing else is said, so nothing else has to be counted.
        prop_assert_eq!(second.text.len(), second.samples.len());
        prop_assert_eq!(second.received, others.len());
        let tagged = if key.1.is_empty() { 0 } else { others.len() };
        prop_assert_eq!(second.tagged, tagged);
    }

    #[test]
    fn numbers_are_those_of_the_standard_library(value in any::<f64>(), digits in 0usize..18) {
        let value = if value.is_finite() { value } else { 0.5 };
        for text in [format!("{value}"), format!("{value:e}"), format!("{:.digits$}", value % 1e6)] {
            let expected: f64 = text.parse().unwrap();
            prop_assert_eq!(number(text.as_bytes()).map(f64::to_bits), Some(expected.to_bits()), "{}", text);
        }
    }

    #[test]
    fn what_is_escaped_is_a_name(name in any::<String>()) {
        let escaped = escape(&name);
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        prop_assert!(escaped.bytes().all(good));
        prop_assert!(!escaped.starts_with(|c: char| c.is_ascii_digit()));
        prop_assert_eq!(escape(&escaped), escaped.as_ref());
    }
}
