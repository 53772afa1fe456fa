//! What the beans of `tests/java/Beans.java` are to us.

use std::collections::BTreeMap;
use std::time::Instant;

use metrics_adapter::jmx::session::{Session, Wanted};
use metrics_adapter::jmx::{Number, ObjectName, Value};

use super::WAIT_MAX;

pub(crate) fn soon() -> Instant {
    Instant::now() + WAIT_MAX
}

pub(crate) fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

/// All readable attributes of a bean, but those that are named.
pub(crate) fn read_but(session: &mut Session, bean: &str, but: &[&str]) -> BTreeMap<String, Value> {
    let names = [name(bean)];
    let infos = session.infos(&names, soon()).unwrap().remove(0).unwrap();
    let readable = infos.into_iter().filter(|it| it.readable).map(|it| it.name);
    let attributes: Vec<String> = readable.filter(|it| !but.contains(&it.as_str())).collect();
    let wanted = [Wanted { name: &names[0], attributes: &attributes }];
    let mut answers = Vec::new();
    let each = &mut |index: usize, answer| {
        assert_eq!(index, 0);
        answers.push(answer);
    };
    session.values(&wanted, soon(), each).unwrap();
    assert_eq!(answers.len(), 1, "{bean}");
    answers.remove(0).unwrap().into_iter().collect()
}

/// All readable attributes of a bean.
pub(crate) fn read(session: &mut Session, bean: &str) -> BTreeMap<String, Value> {
    read_but(session, bean, &[])
}

/// One attribute of a bean.
pub(crate) fn read_one(session: &mut Session, bean: &str, attribute: &str) -> Option<Value> {
    let name = name(bean);
    let attributes = [attribute.to_owned()];
    let wanted = [Wanted { name: &name, attributes: &attributes }];
    let mut value = None;
    session.values(&wanted, soon(), &mut |_, answer| value = answer.unwrap().pop()).unwrap();
    value.map(|(_, value)| value)
}

pub(crate) fn integer(value: i64) -> Value {
    Value::Number(Number::Integer(value))
}

fn float(value: f32) -> Value {
    Value::Number(Number::Float(value))
}

fn double(value: f64) -> Value {
    Value::Number(Number::Double(value))
}

fn big(text: &str) -> Value {
    Value::Number(Number::Big(text.to_owned()))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn row(columns: &[(&str, Value)]) -> Vec<(String, Value)> {
    columns.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

/// Composite data; keys in any order.
fn composite(columns: &[(&str, Value)]) -> Value {
    Value::composite(row(columns))
}

fn table(index: &[&str], rows: Vec<Vec<(String, Value)>>) -> Value {
    let index = index.iter().map(|&it| it.to_owned()).collect();
    Value::Tabular { description: None, index, rows }
}

/// The same whatever the order of keys and rows, as maps of Java have none, and whatever the types
/// say of themselves.
fn ordered(value: Value) -> Value {
    let sorted = |mut row: Vec<(String, Value)>| {
        row.sort_by(|(left, _), (right, _)| left.cmp(right));
        row.into_iter().map(|(key, value)| (key, ordered(value))).collect::<Vec<_>>()
    };
    match value {
        Value::Composite { entries, .. } => Value::composite(sorted(entries)),
        Value::Tabular { index, rows, .. } => {
            let mut rows: Vec<_> = rows.into_iter().map(sorted).collect();
            rows.sort_by_key(|row| format!("{row:?}"));
            Value::Tabular { description: None, index, rows }
        }
        other => other,
    }
}

#[track_caller]
fn expect(found: BTreeMap<String, Value>, expected: &[(&str, Value)]) {
    let mut found = found;
    for (attribute, value) in expected {
        let value = ordered(value.clone());
        let found = found.remove(*attribute).map(ordered);
        // NaN is not equal to itself, and -0 is equal to 0: texts are exact.
        assert_eq!(format!("{found:?}"), format!("{:?}", Some(value)), "{attribute}");
    }
    assert!(found.is_empty(), "{found:?}");
}

pub(crate) fn numbers(session: &mut Session) {
    expect(
        read(session, "shapes:type=Numbers"),
        &[
            ("ByteMin", integer(-128)),
            ("ShortMax", integer(32767)),
            ("Int", integer(-42)),
            ("LongMin", integer(i64::MIN)),
            ("LongMax", integer(i64::MAX)),
            ("Float", float(0.1)),
            ("FloatMax", float(f32::MAX)),
            ("FloatTiny", float(f32::from_bits(1))),
            ("Double", double(1.5e-7)),
            ("DoubleMax", double(f64::MAX)),
            ("DoubleTiny", double(f64::from_bits(1))),
            ("DoubleNaN", double(f64::NAN)),
            ("DoubleInfinity", double(f64::NEG_INFINITY)),
            ("DoubleNegativeZero", double(-0.0)),
            ("DoubleWhole", double(7.0)),
            ("DoubleLarge", double(12_345_678.9)),
            ("True", Value::Boolean(true)),
            ("False", Value::Boolean(false)),
            ("Char", Value::Other("java.lang.Character".into())),
        ],
    );
}

pub(crate) fn boxed(session: &mut Session) {
    let mut found = read(session, "shapes:type=Boxed");
    // A number of the application's own: whatever it is to us, it is there.
    assert!(found.remove("OwnNumber").is_some());
    expect(
        found,
        &[
            ("Byte", integer(7)),
            ("Short", integer(-7)),
            ("Integer", integer(123_456)),
            ("SameInteger", integer(123_456)),
            ("NullInteger", Value::Null),
            ("Long", integer(9_000_000_000)),
            ("Float", float(2.5)),
            ("Double", double(0.25)),
            ("Boolean", Value::Boolean(true)),
            ("ObjectLong", integer(11)),
            ("Number", double(12.5)),
            ("BigInteger", big("123456789012345678901234567890")),
            ("BigIntegerNegative", big("-18446744073709551616")),
            ("BigDecimal", big("1234.5678")),
            ("BigDecimalWhole", big("-42")),
            ("BigDecimalExponent", big("1.5E+20")),
            ("AtomicLong", integer(77)),
            ("AtomicInteger", integer(78)),
        ],
    );
}

pub(crate) fn texts(session: &mut Session) {
    expect(
        // `Long` alone would make most of a transcript.
        read_but(session, "shapes:type=Texts", &["Long"]),
        &[
            ("Plain", text("text")),
            ("Empty", text("")),
            ("Null", Value::Null),
            ("Unicode", text("nul \0, euro €, face 😀, half \u{fffd}")),
            ("Lines", text("first\nsecond")),
            ("Numeric", text("12.75")),
            ("Date", Value::Date(1_600_000_000_123)),
            ("Enum", text("RED")),
            ("EnumWithBody", text("GREEN")),
            ("ObjectName", Value::Other("javax.management.ObjectName".into())),
        ],
    );
}

pub(crate) fn arrays(session: &mut Session) {
    let mut found = read(session, "shapes:type=Arrays");
    assert_eq!(found.remove("Null"), Some(Value::Null));
    assert_eq!(found.remove("After"), Some(integer(15)));
    assert_eq!(found.len(), 13);
    for (attribute, value) in found {
        assert_eq!(value, Value::Array, "{attribute}");
    }
}

pub(crate) fn open(session: &mut Session) {
    let disk = |name, free, used| {
        row(&[("disk", text(name)), ("free", integer(free)), ("used", integer(used))])
    };
    let peer = |port, open, seen| {
        let (host, port, seen) = (text("a"), integer(port), integer(seen));
        row(&[("host", host), ("port", port), ("open", Value::Boolean(open)), ("seen", seen)])
    };
    let pair = |key, value| row(&[("key", text(key)), ("Value", double(value))]);
    let point = |x, y| composite(&[("x", integer(x)), ("y", integer(y))]);
    expect(
        read(session, "shapes:type=Open"),
        &[
            (
                "Composite",
                composite(&[
                    ("count", integer(5)),
                    ("rate", double(0.75)),
                    ("name", text("mixed")),
                    ("on", Value::Boolean(true)),
                    ("none", Value::Null),
                    ("when", Value::Date(1_500_000_000_000)),
                ]),
            ),
            (
                "NestedComposite",
                composite(&[("inner", point(1, 2)), ("list", Value::Array), ("plain", integer(3))]),
            ),
            ("NullComposite", Value::Null),
            ("OneIndex", table(&["disk"], vec![disk("sda", 10, 20), disk("sdb", 30, 40)])),
            ("TwoIndexes", table(&["host", "port"], vec![peer(1, true, 100), peer(2, false, 200)])),
            ("ValueColumn", table(&["key"], vec![pair("low", 2.75), pair("high", 3.25)])),
            (
                "CompositeIndex",
                table(&["at"], vec![row(&[("at", point(7, 8)), ("height", integer(9))])]),
            ),
            ("EmptyTable", table(&["x"], vec![])),
            ("Composites", Value::Array),
        ],
    );
}

pub(crate) fn maps(session: &mut Session) {
    let usage = |used, limit| composite(&[("used", integer(used)), ("limit", integer(limit))]);
    let pair = |key: Value, value: Value| row(&[("key", key), ("value", value)]);
    expect(
        read(session, "shapes:type=Maps"),
        &[
            (
                "Counts",
                table(
                    &["key"],
                    vec![pair(text("blue"), integer(1)), pair(text("green"), integer(2))],
                ),
            ),
            (
                "Usages",
                table(
                    &["key"],
                    vec![pair(text("cpu"), usage(1, 4)), pair(text("memory"), usage(512, 1024))],
                ),
            ),
            ("Names", table(&["key"], vec![pair(integer(1), text("one"))])),
            ("Usage", usage(3, 9)),
            ("History", Value::Array),
            ("State", text("GREEN")),
        ],
    );
}

/// Classes that nobody here knows, and behind them an attribute that is found only by a reader that
/// knows where they end. One of them does not say where: RMI has such classes write without blocks.
pub(crate) fn unknown(session: &mut Session) {
    let found = read(session, "shapes:type=Unknown");
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(found["Opaque"], Value::Other("Beans$Opaque".into()));
    assert_eq!(found["Loop"], Value::Array);
    assert!(matches!(found["ProxyMap"], Value::Other(_)), "{found:?}");
    assert!(matches!(found["PlainMap"], Value::Other(_) | Value::Array), "{found:?}");
    assert_eq!(found["After"], integer(16));
}

pub(crate) fn throwing(session: &mut Session) {
    expect(read(session, "shapes:type=Throwing"), &[("Before", integer(1)), ("Last", integer(2))]);
    expect(read(session, "shapes:type=WriteOnly"), &[("Level", integer(4))]);
}

/// Names come back as they were registered, and can be asked for.
pub(crate) fn names(session: &mut Session) {
    let all = session.names(None, soon()).unwrap();
    let expected = [
        ("names:zeta=1,alpha=2,type=Order", 1),
        ("names:type=Quoted,name=\"a,b=c:d\"", 2),
        ("names:type=Quoted,name=\"star \\* mark \\? quote \\\" back \\\\ line \\n\"", 3),
        ("names.with-dash/slash:type=Odd,name=café € 😀", 4),
        ("names:name=last,type=Order", 5),
    ];
    for (text, value) in expected {
        assert!(all.iter().any(|it| it.as_str() == text), "{text} in {all:?}");
        assert_eq!(read(session, text)["Value"], integer(value), "{text}");
    }
    let some = session.names(Some(&name("names:type=Order,*")), soon()).unwrap();
    let mut some: Vec<&str> = some.iter().map(ObjectName::as_str).collect();
    some.sort_unstable();
    assert_eq!(some, ["names:name=last,type=Order", "names:zeta=1,alpha=2,type=Order"]);
}
