//! Tables of lines with what they say, and properties of all lines.
//!
//! What a line says is written down as words: `name{tag=value} count 1` for a sample, `!reason`
//! for a refusal, `?` for a bad tag, `event`, `check name status{…}`; `again` after a sample of
//! the series before it.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

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

/// Lines without tags mean the same whatever dialects are read.
const PLAIN: &[(&str, &str, &str)] = &[
    ("counter", "hits:3|c", "hits count 3"),
    ("counter of a fraction", "hits:0.25|c", "hits count 0.25"),
    ("counter, negative: an error of the event", "hits:-4|c", "hits count -4"),
    ("counter with a plus", "hits:+4|c", "hits count 4"),
    ("counter in scientific notation", "hits:12e-1|c", "hits count 1.2"),
    ("counter in hexadecimal", "hits:0x1.8p1|c", "hits count 3"),
    ("gauge", "depth:17|g", "depth set 17"),
    ("gauge up", "depth:+5|g", "depth shift 5"),
    ("gauge down", "depth:-5|g", "depth shift -5"),
    ("gauge not a number", "depth:nan|g", "depth set NaN"),
    ("gauge infinite", "depth:inf|g", "depth set inf"),
    ("gauge minus infinity is a shift", "depth:-Inf|g", "depth shift -inf"),
    ("timer becomes seconds", "took:250|ms", "took observe 0.25"),
    ("timer, next to a bucket's bound", "took:9|ms", "took observe 0.009"),
    ("timer, negative", "took:-250|ms", "took observe -0.25"),
    ("histogram", "size:12.5|h", "size observe 12.5"),
    ("distribution", "size:12.5|d", "size observe 12.5"),
    ("set", "users:ann|s", "users insert ann"),
    ("set of numbers", "users:7|s", "users insert 7"),
    ("set without a member", "users:|s", "!malformed_value"),
    ("counter, sampled", "hits:2|c|@0.1", "hits count 20"),
    ("counter, sampled, divided and not multiplied", "hits:7|c|@0.7", "hits count 10"),
    ("gauge, sampled: no effect", "depth:2|g|@0.1", "depth set 2"),
    ("timer, sampled", "took:2000|ms|@0.1", "took observe 2*10"),
    ("timer, sampled to a fraction", "took:2000|ms|@0.8", "took observe 2*1.25"),
    ("timer, oversampled", "took:2000|ms|@2", "took observe 2*0.5"),
    ("timer, sampled thinly costs one sample", "x:1000|ms|@0.0000002", "x observe 1*5000000"),
    ("set, sampled: no effect", "users:ann|s|@0.1", "users insert ann"),
    ("rate zero is one", "hits:2|c|@0", "hits count 2"),
    ("rate that is none", "hits:2|c|@often", "!invalid_sample_factor; hits count 2"),
    ("rate left out", "hits:2|c|@", "!invalid_sample_factor; hits count 2"),
    ("rate negative", "hits:2|c|@-0.5", "!invalid_sample_factor; hits count 2"),
    ("rate not a number", "took:2|h|@NaN", "!invalid_sample_factor; took observe 2"),
    ("rate infinite", "took:2|h|@inf", "!invalid_sample_factor; took observe 2"),
    ("rate whose reciprocal is infinite", "x:2|h|@1e-310", "!invalid_sample_factor; x observe 2"),
    ("two rates", "hits:1|c|@0.5|@0.25", "hits count 4"),
    ("rate makes a counter infinite", "hits:1e300|c|@1e-300", "!not_finite"),
    ("several samples", "all:1|c:20|ms:3|g", "all count 1; all observe 0.02; all set 3"),
    ("several samples with rates", "all:1|c|@0.5:2|c|@0.5", "all count 2; all count 4"),
    (
        "several samples, one bad",
        "all:1|c:zwei|c:3|c",
        "all count 1; !malformed_value; all count 3",
    ),
    ("several samples, one without type", "all:1|c:2", "all count 1; !malformed_component"),
    ("colon at the end", "all:1|c:", "all count 1; !malformed_component"),
    ("packed timers", "took:1000:2000|ms", "took observe 1; took observe 2 again"),
    ("packed counters", "hits:1:2:3|c", "hits count 1; hits count 2 again; hits count 3 again"),
    ("packed gauges", "depth:4:-1|g", "depth set 4; depth shift -1 again"),
    ("packed members", "users:ann:bob|s", "users insert ann; users insert bob again"),
    ("packed with a rate", "x:1:2|d|@0.5", "x observe 1*2; x observe 2*2 again"),
    ("packed, one bad", "x:1:two:3|h", "x observe 1; !malformed_value; x observe 3 again"),
    ("packed, first bad", "x::3|h", "!malformed_value; x observe 3"),
    (
        "packed, bad rate",
        "x:1:2|h|@z",
        "!invalid_sample_factor; x observe 1; !invalid_sample_factor; x observe 2 again",
    ),
    ("packed of an unknown type", "x:1:2|q", "!invalid_extended_aggregate_type"),
    ("packed and several", "x:1:2|c:3|c", "!invalid_extended_aggregate_type"),
    ("container", "x:1|c|c:1f2e", "x{container_id=1f2e} count 1"),
    ("container by inode", "x:1|c|c:in-4026531835", "x{container_id=in-4026531835} count 1"),
    ("container by prefix", "x:1|g|c:ci-1f2e", "x{container_id=ci-1f2e} set 1"),
    ("container, sampled", "x:1|c|@0.5|c:1f2e", "x{container_id=1f2e} count 2"),
    ("container, then another sample", "x:1|c|c:1f:2|c", "x{container_id=1f} count 1; x count 2"),
    ("container without an identifier", "x:1|c|c:", "!malformed_container_id"),
    ("container without a colon", "x:1|c|c", "!malformed_container_id"),
    (
        "container, packed",
        "x:1:2|c|c:1f",
        "x{container_id=1f} count 1; x{container_id=1f} count 2 again",
    ),
    ("time", "x:1|c|T1656581400", "x count 1"),
    ("external data", "x:1|c|e:it-false,cn-web,pu-75a2", "x count 1"),
    ("cardinality", "x:1|c|card:orchestrator", "x count 1"),
    ("every field", "x:1|c|@0.5|c:in-7|T9|e:cn-web|card:low", "x{container_id=in-7} count 2"),
    ("unknown field", "x:1|c|zz", "!invalid_sample_factor"),
    ("empty field", "x:1|c||@0.5", "!malformed_component"),
    ("bar at the end", "x:1|c|", "!malformed_component"),
    ("eight parts", "x:1|c|T1|T2|T3|T4|T5|T6", "x count 1"),
    ("nine parts", "x:1|c|T1|T2|T3|T4|T5|T6|T7", "!malformed_component"),
    ("unknown type", "x:1|meters", "!illegal_event"),
    ("no type", "x:1|", "!illegal_event"),
    ("type in capitals", "x:1|C", "!illegal_event"),
    ("counter not a number", "x:nan|c", "!not_finite"),
    ("counter infinite", "x:+Inf|c", "!not_finite"),
    ("timer not a number", "x:NaN|ms", "!not_finite"),
    ("histogram infinite", "x:-infinity|h", "!not_finite"),
    ("no number", "x:one|c", "!malformed_value"),
    ("no value", "x:|c", "!malformed_value"),
    ("value with a space", "x: 1|c", "!malformed_value"),
    ("value too large", "x:1e999|g", "!malformed_value"),
    ("no bar", "x:1", "!not_enough_parts_after_colon"),
    ("nothing after the colon", "x:", "!not_enough_parts_after_colon"),
    ("no colon", "hello world", "!malformed_line"),
    ("no name", ":1|c", "!malformed_line"),
    ("only a colon", ":", "!malformed_line"),
    ("name with dots, dashes, spaces", "a.b-c d:1|c", "a.b-c d count 1"),
    ("name with a bar", "a|b:1|c", "a|b count 1"),
    ("name beyond ASCII", "größe:1|g", "größe set 1"),
    ("nothing", "", ""),
    ("carriage return belongs to the type", "x:1|c\r", "!illegal_event"),
    ("event", "_e{5,4}:title|text|t:warning|#env:prod", "event"),
    ("event, lengths in bytes", "_e{2,1}:ß|x", "event"),
    ("event shorter than it says", "_e{5,40}:title|text", "!malformed_line"),
    ("event whose title ends elsewhere", "_e{4,4}:title|text", "!malformed_line"),
    ("event of a giant", "_e{1,18446744073709551615}:a|b", "!malformed_line"),
    ("name like that of an event", "_e{x:1|c", "_e{x count 1"),
    ("service check", "_sc|db.up|0", "check db.up 0"),
    ("service check with fields", "_sc|db|2|d:99|h:box|c:1f|m:a|#b", "check db 2{container_id=1f}"),
    ("service check, unknown status", "_sc|db|4", "!malformed_value"),
    ("service check, no status", "_sc|db", "!not_enough_parts_after_colon"),
    ("service check, no name", "_sc||0", "!malformed_line"),
];

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

/// Lines with tags: what they say with their dialect, and what without any.
const TAGGED: &[(&str, &str, &str, &str)] = &[
    ("Dog", "x:1|c|#a:1,b:2", "x{a=1,b=2} count 1", "x count 1"),
    ("Dog, sampled", "x:1|c|@0.5|#a:1", "x{a=1} count 2", "x count 2"),
    ("Dog, rate last", "x:1|c|#a:1|@0.5", "x{a=1} count 2", "x count 2"),
    ("Dog, a hash before every tag", "x:1|c|#a:1,#b:2", "x{a=1,b=2} count 1", "x count 1"),
    (
        "Dog, colons in a value",
        "x:1|c|#url:http://h:80/",
        "x{url=http://h:80/} count 1",
        "x count 1",
    ),
    ("Dog, equals sign in a value", "x:1|c|#a:b=c", "x{a=b=c} count 1", "x count 1"),
    ("Dog, name escaped", "x:1|c|#a.b-c:1,9:2", "x{a_b_c=1,_9=2} count 1", "x count 1"),
    ("Dog, value beyond ASCII", "x:1|c|#a:größe 1", "x{a=größe 1} count 1", "x count 1"),
    ("Dog, no value", "x:1|c|#bare", "?; x count 1", "x count 1"),
    ("Dog, empty value", "x:1|c|#a:,b:2", "?; x{b=2} count 1", "x count 1"),
    ("Dog, empty name", "x:1|c|#:1,b:2", "?; x{b=2} count 1", "x count 1"),
    ("Dog, empty tag", "x:1|c|#a:1,,b:2", "?; x{a=1,b=2} count 1", "x count 1"),
    ("Dog, comma at the end", "x:1|c|#a:1,", "x{a=1} count 1", "x count 1"),
    ("Dog, only a comma", "x:1|c|#,", "?; x count 1", "x count 1"),
    ("Dog, no tag at all", "x:1|c|#", "x count 1", "x count 1"),
    ("Dog, a name twice", "x:1|c|#a:1,a:2", "x{a=1,a=2} count 1", "x count 1"),
    ("Dog, a reserved name", "x:1|h|#le:1", "x{le=1} observe 1", "x observe 1"),
    (
        "Dog, packed",
        "x:1:2|h|#a:1",
        "x{a=1} observe 1; x{a=1} observe 2 again",
        "x observe 1; x observe 2 again",
    ),
    (
        "Dog, packed, bad tag once",
        "x:1:2|h|#a",
        "?; x observe 1; x observe 2 again",
        "x observe 1; x observe 2 again",
    ),
    (
        "Dog, one sample only",
        "x:1|c:2|c|#a:1",
        "!malformed_container_id",
        "!malformed_container_id",
    ),
    ("Dog, bad value counts no tag", "x:no|c|#bare", "!malformed_value", "!malformed_value"),
    ("Dog, unknown type", "x:1|q|#a:1", "!illegal_event", "!illegal_event"),
    ("Dog, set", "x:ann|s|#a:1", "x{a=1} insert ann", "x insert ann"),
    (
        "Dog, container after tags",
        "x:1|c|#a:1|c:1f",
        "x{a=1,container_id=1f} count 1",
        "x{container_id=1f} count 1",
    ),
    (
        "Dog, container before tags",
        "x:1|c|c:1f|#a:1",
        "x{container_id=1f,a=1} count 1",
        "x{container_id=1f} count 1",
    ),
    (
        "Dog, all of 1.6",
        "x:1|g|#a:1|c:in-7|T8|e:cn-a|card:none",
        "x{a=1,container_id=in-7} set 1",
        "x{container_id=in-7} set 1",
    ),
    ("Dog, check", "_sc|db|1|#a:1,b|m:down", "?; check db 1{a=1}", "check db 1"),
    ("Influx", "x,a=1,b=2:3|c", "x{a=1,b=2} count 3", "x,a=1,b=2 count 3"),
    ("Influx, name escaped", "x,a-b=1:3|c", "x{a_b=1} count 3", "x,a-b=1 count 3"),
    ("Influx, no value", "x,a:3|c", "?; x count 3", "x,a count 3"),
    ("Influx, empty value", "x,a=:3|c", "?; x count 3", "x,a= count 3"),
    ("Influx, equals sign in a value", "x,a=b=c:3|c", "x{a=b=c} count 3", "x,a=b=c count 3"),
    ("Influx, comma at the end", "x,a=1,:3|c", "x{a=1} count 3", "x,a=1, count 3"),
    (
        "Influx, several samples",
        "x,a=1:3|c:4|g",
        "x{a=1} count 3; x{a=1} set 4",
        "x,a=1 count 3; x,a=1 set 4",
    ),
    ("Influx, no name", ",a=1:3|c", "!malformed_line", ",a=1 count 3"),
    (
        "Influx, container",
        "x,a=1:3|c|c:1f",
        "x{a=1,container_id=1f} count 3",
        "x,a=1{container_id=1f} count 3",
    ),
    ("Librato", "x#a=1,b=2:3|ms", "x{a=1,b=2} observe 0.003", "x#a=1,b=2 observe 0.003"),
    (
        "Librato, bad tag among good",
        "x#a=1,b,c=3:3|c",
        "?; x{a=1,c=3} count 3",
        "x#a=1,b,c=3 count 3",
    ),
    ("Librato, nothing after the hash", "x#:3|c", "x count 3", "x# count 3"),
    (
        "Librato, packed",
        "x#a=1:3:4|c",
        "x{a=1} count 3; x{a=1} count 4 again",
        "x#a=1 count 3; x#a=1 count 4 again",
    ),
    (
        "SignalFX in the middle",
        "na[a=1,b=2]me:3|c",
        "name{a=1,b=2} count 3",
        "na[a=1,b=2]me count 3",
    ),
    ("SignalFX at the end", "x[a=1]:3|c", "x{a=1} count 3", "x[a=1] count 3"),
    ("SignalFX at the start", "[a=1]x:3|c", "x{a=1} count 3", "[a=1]x count 3"),
    ("SignalFX, empty", "x[]:3|c", "x count 3", "x[] count 3"),
    ("SignalFX, bad tag", "x[a]:3|c", "?; x count 3", "x[a] count 3"),
    ("SignalFX, only opened", "x[a=1:3|c", "?; x[a=1 count 3", "x[a=1 count 3"),
    ("SignalFX, only closed", "xa=1]:3|c", "?; xa=1] count 3", "xa=1] count 3"),
    ("SignalFX, the wrong way round", "a]b[c:3|c", "?; a]b[c count 3", "a]b[c count 3"),
    ("SignalFX, only tags", "[a=1]:3|c", "!malformed_line", "[a=1] count 3"),
];

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
        "x:1|s",            // a member is no number
        "x:bad|c",          // what follows was not looked at
        "x:nan|c",          // there is no series yet
        "x:1|c:2|c",        // several samples
        "x:1:2|c|c:1f:2|c", // one value would be several samples
        "x:1|c|#a",         // a bad tag is counted every time
        "x,a:1|c",          // the same, in the name
        "x:1|c|@z",         // the same, of the rate
        "a|b:1|c",          // the first bar is not where one would look
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
fn numbers_as_go_reads_them() {
    let good: &[(&str, f64)] = &[
        ("0", 0.0),
        ("-0", -0.0),
        ("7", 7.0),
        ("+7", 7.0),
        ("5.", 5.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("007", 7.0),
        ("1e3", 1000.0),
        ("1E+3", 1000.0),
        ("2.5e-3", 0.0025),
        ("123456789012345", 123_456_789_012_345.0),
        ("1234567890123456", 1_234_567_890_123_456.0),
        ("9007199254740993", 9_007_199_254_740_992.0),
        ("0.1234567890123456789", 0.123_456_789_012_345_68),
        ("1.7976931348623157e308", f64::MAX),
        ("5e-324", 5e-324),
        ("1e-400", 0.0),
        ("inf", f64::INFINITY),
        ("+Inf", f64::INFINITY),
        ("-INFINITY", f64::NEG_INFINITY),
        ("1_000", 1000.0),
        ("1_23.50_0_0e+1_2", 1.235e14),
        ("0x10p0", 16.0),
        ("0X1.8P1", 3.0),
        ("-0x.8p0", -0.5),
        ("0x_1_2.3_4_5p+1_2", 74565.0),
        ("0x1p-1074", 5e-324),
        ("0x1p-1075", 0.0),
        ("0x1.8p-1075", 5e-324),
        ("0x1p-99999999999", 0.0),
        ("0x1.fffffffffffffp1023", f64::MAX),
        ("0x1.00000000000008p0", 1.0),
        ("0x1.000000000000080000000000001p0", 1.000_000_000_000_000_2),
        ("0x123456789abcdef12p0", 20_988_295_479_420_645_138.0),
        ("0x0p9", 0.0),
    ];
    for (text, value) in good {
        let found = number(text.as_bytes()).map(f64::to_bits);
        assert_eq!(found, Some(value.to_bits()), "{text}");
    }
    assert!(number(b"nan").is_some_and(f64::is_nan));
    assert!(number(b"NaN").is_some_and(f64::is_nan));
    for text in [
        "",
        "+",
        "-",
        ".",
        "-.",
        "+-1",
        "--1",
        "1 ",
        " 1",
        "1,5",
        "e5",
        "1e",
        "1e+",
        "1.2.3",
        "0x10",
        "0x",
        "0xp1",
        "0x1p",
        "0x1p+",
        "0xgp1",
        "0x1.fffffffffffff8p1023",
        "1e309",
        "-1e999",
        "+nan",
        "-nan",
        "infi",
        "in",
        "nano",
        "1_",
        "_1",
        "1__0",
        "1_.5",
        "1._5",
        "1e_5",
        "0b1",
        "0o7",
        "１",
        "1f",
        "0x1p1.5",
        "1e1.5",
    ] {
        assert_eq!(number(text.as_bytes()), None, "{text}");
    }
    assert_eq!(number(b"\xff"), None);
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
