use std::sync::Arc;

use proptest::prelude::*;

use super::{list, value_of};
use crate::java::sample::Sample;
use crate::java::{Limits, read_object};
use crate::jmx::session::budget::{Budget, Spent};
use crate::jmx::session::fake;
use crate::jmx::{Number, Value};

const OPEN: &str = "javax.management.openmbean";

fn value(sample: &Sample) -> Value {
    let (graph, root) = read_object(&sample.bytes, &Limits::default()).unwrap();
    value_of(&graph, root)
}

fn boxed(class: &str, field: &str, bytes: &[u8]) -> Sample {
    Sample::new()
        .object()
        .class(class, 2, &[field])
        .class("java.lang.Number", 2, &[])
        .null()
        .raw(bytes)
}

#[test]
fn boxed_numbers_keep_their_type() {
    for (class, field, bytes, number) in [
        ("java.lang.Byte", "Bvalue", &[0xff][..], Number::Integer(-1)),
        ("java.lang.Short", "Svalue", &[1, 0], Number::Integer(256)),
        ("java.lang.Integer", "Ivalue", &[0, 0, 1, 0], Number::Integer(256)),
        ("java.lang.Long", "Jvalue", &[0, 0, 1, 0, 0, 0, 0, 0], Number::Integer(1 << 40)),
        ("java.lang.Float", "Fvalue", &0.5f32.to_be_bytes(), Number::Float(0.5)),
        ("java.lang.Double", "Dvalue", &0.5f64.to_be_bytes(), Number::Double(0.5)),
        ("java.util.concurrent.atomic.AtomicInteger", "Ivalue", &[0, 0, 0, 9], Number::Integer(9)),
        ("com.example.Gauge", "Dvalue", &2.0f64.to_be_bytes(), Number::Double(2.0)),
    ] {
        assert_eq!(value(&boxed(class, field, bytes)), Value::Number(number), "{class}");
    }
    let unknown = boxed("com.example.Odd", "Iother", &[0, 0, 0, 1]);
    assert_eq!(value(&unknown), Value::Other("com.example.Odd".to_owned()));
}

#[test]
fn plain_values() {
    let boolean =
        Sample::new().object().class("java.lang.Boolean", 2, &["Zvalue"]).null().raw(&[1]);
    assert_eq!(value(&boolean), Value::Boolean(true));
    assert_eq!(value(&Sample::new().null()), Value::Null);
    assert_eq!(value(&Sample::new().string("up")), Value::Text("up".to_owned()));
    let date = Sample::new()
        .object()
        .class("java.sql.Timestamp", 2, &["Inanos"])
        .class("java.util.Date", 3, &[])
        .null()
        .block(&1_234_567_890_000i64.to_be_bytes())
        .end()
        .int(123_999_999);
    assert_eq!(value(&date), Value::Date(1_234_567_890_123));
    let date = Sample::new().object().class("java.util.Date", 3, &[]).null();
    let date = date.block(&1_234_567_890_123i64.to_be_bytes()).end();
    assert_eq!(value(&date), Value::Date(1_234_567_890_123));
    let list = Sample::new().object().class("java.util.ArrayList", 3, &["Isize"]).null();
    assert_eq!(value(&list.int(0).block(&[0; 4]).end()), Value::Array);
    let longs = Sample::new().array().class("[J", 2, &[]).null().int(1).long(5);
    assert_eq!(value(&longs), Value::Array);
    let map = Sample::new().object().class("java.util.HashMap", 3, &[]).null().end();
    assert_eq!(value(&map), Value::Other("java.util.HashMap".to_owned()));
    let colour = Sample::new()
        .raw(&[0x7e])
        .class("Colour", 0x12, &[])
        .class("java.lang.Enum", 0x12, &[])
        .null()
        .string("RED");
    assert_eq!(value(&colour), Value::Text("RED".to_owned()));
}

#[test]
fn big_numbers() {
    let integer = |sample: Sample| {
        sample
            .object()
            .class("java.math.BigInteger", 3, &["Isignum", "Lmagnitude:[B"])
            .class("java.lang.Number", 2, &[])
            .null()
            .int(-1)
            .array()
            .class("[B", 2, &[])
            .null()
            .int(2)
            .raw(&[1, 44])
            .end()
    };
    assert_eq!(value(&integer(Sample::new())), Value::Number(Number::Big("-300".to_owned())));
    let decimal = Sample::new()
        .object()
        .class("java.math.BigDecimal", 3, &["Iscale", "LintVal:Ljava/math/BigInteger;"])
        .class("java.lang.Number", 2, &[])
        .null()
        .int(2);
    let decimal = integer(decimal).end();
    assert_eq!(value(&decimal), Value::Number(Number::Big("-3.00".to_owned())));
}

/// Composite data with one column, whose value follows.
fn composite(sample: Sample, key: &str) -> Sample {
    sample
        .object()
        .class(
            &format!("{OPEN}.CompositeDataSupport"),
            2,
            &["LcompositeType:Lx;", "Lcontents:Ljava/util/SortedMap;"],
        )
        .null()
        .null()
        .object()
        .class("java.util.TreeMap", 3, &["Lcomparator:Ljava/util/Comparator;"])
        .null()
        .null()
        .block(&[0, 0, 0, 1])
        .string(key)
}

/// An open type: its description follows.
fn open_type(sample: Sample, class: &str, fields: &[&str]) -> Sample {
    let fields = [&["Ldescription:Ljava/lang/String;"][..], fields].concat();
    sample.object().class(&format!("{OPEN}.{class}"), 2, &fields).null()
}

#[test]
fn what_a_type_says_of_itself_is_kept() {
    for (text, description) in [("memory in use", Some("memory in use")), ("", None)] {
        let data = Sample::new()
            .object()
            .class(
                &format!("{OPEN}.CompositeDataSupport"),
                2,
                &["LcompositeType:Lx;", "Lcontents:Ljava/util/SortedMap;"],
            )
            .null();
        let data = open_type(data, "CompositeType", &[]).string(text);
        let data = data.object().class("java.util.TreeMap", 3, &[]).null().block(&[0; 4]).end();
        let description = description.map(Arc::from);
        assert_eq!(value(&data), Value::Composite { description, entries: Vec::new() });

        let table = Sample::new()
            .object()
            .class(
                &format!("{OPEN}.TabularDataSupport"),
                2,
                &["LdataMap:Ljava/util/Map;", "LtabularType:Lx;"],
            )
            .null()
            .object()
            .class("java.util.HashMap", 3, &[])
            .null()
            .block(&[0; 8])
            .end();
        // What the table itself is said to be is not asked.
        let fields = ["LindexNames:Ljava/util/List;", "LrowType:Lx;"];
        let table = open_type(table, "TabularType", &fields).string("a table");
        let list = table.object().class("java.util.Arrays$ArrayList", 2, &["La:[Lx;"]).null();
        let list = list.array().class("[Ljava.lang.String;", 2, &[]).null().int(0);
        let table = open_type(list, "CompositeType", &[]).string(text);
        let Value::Tabular { description, .. } = value(&table) else { panic!("no table") };
        assert_eq!(description.as_deref().unwrap_or_default(), text);
    }
}

#[test]
fn composite_data_has_its_columns() {
    let inner = composite(composite(Sample::new(), "outer"), "inner").integer(3).end().end();
    let three = Value::Number(Number::Integer(3));
    let inner_value = Value::composite(vec![("inner".to_owned(), three)]);
    let outer_value = Value::composite(vec![("outer".to_owned(), inner_value)]);
    assert_eq!(value(&inner), outer_value);
}

#[test]
fn tabular_data_has_its_index_and_rows() {
    let table = Sample::new()
        .object()
        .class(
            &format!("{OPEN}.TabularDataSupport"),
            2,
            &["LdataMap:Ljava/util/Map;", "LtabularType:Lx;"],
        )
        .null()
        .object()
        .class("java.util.LinkedHashMap", 2, &["ZaccessOrder"])
        .class("java.util.HashMap", 3, &["FloadFactor", "Ithreshold"])
        .null()
        .raw(&[0; 8])
        .block(&[0, 0, 0, 16, 0, 0, 0, 1])
        .object()
        .class("java.util.ArrayList", 3, &["Isize"])
        .null()
        .int(1)
        .block(&[0, 0, 0, 1])
        .string("the key")
        .end();
    let table = composite(table, "key").string("a").end().end().raw(&[0]);
    let table = table
        .object()
        .class(&format!("{OPEN}.TabularType"), 2, &["LindexNames:Ljava/util/List;"])
        .null()
        .object()
        .class("java.util.Collections$UnmodifiableRandomAccessList", 2, &[])
        .class("java.util.Collections$UnmodifiableList", 2, &["Llist:Ljava/util/List;"])
        .class("java.util.Collections$UnmodifiableCollection", 2, &["Lc:Ljava/util/Collection;"])
        .null()
        .null()
        .object()
        .class("java.util.Arrays$ArrayList", 2, &["La:[Ljava/lang/Object;"])
        .null()
        .array()
        .class("[Ljava.lang.String;", 2, &[])
        .null()
        .int(1)
        .string("key");
    let index = vec!["key".to_owned()];
    let rows = vec![vec![("key".to_owned(), Value::Text("a".to_owned()))]];
    assert_eq!(value(&table), Value::Tabular { description: None, index, rows });
}

#[test]
fn loops_and_doubling_end() {
    // Composite data whose column is itself: handle 4 is the outer object.
    let looped = composite(Sample::new(), "me").reference(3).end();
    let mut found = value(&looped);
    let mut depth = 0;
    while let Value::Composite { entries, .. } = found {
        found = entries.into_iter().next().unwrap().1;
        depth += 1;
    }
    assert_eq!((depth, found), (16, Value::Other(format!("{OPEN}.CompositeDataSupport"))));
}

/// Composite data with these columns, each a key and its value.
fn columns(sample: Sample, count: usize, column: impl Fn(usize, Sample) -> Sample) -> Sample {
    let sample = sample
        .object()
        .class(&format!("{OPEN}.CompositeDataSupport"), 2, &["Lcontents:Lx;"])
        .null()
        .object()
        .class("java.util.TreeMap", 3, &[])
        .null();
    (0..count).fold(sample, |sample, at| column(at, sample)).end()
}

/// What is left of an `AttributeList`: the number of attributes.
fn listed(sample: &Sample, bean: usize) -> Result<usize, Spent> {
    let (graph, root) = read_object(&sample.bytes, &Limits::default()).unwrap();
    list(&graph, root, bean, &mut Budget::reply()).map(|values| values.len())
}

#[test]
fn what_is_referred_to_often_is_too_much() {
    // The first attribute: its class is handle 3 with two types of fields, itself 6, its name 7; the
    // value 10, behind its class and the type of a field.
    let text = "x".repeat(1000);
    let value = |_: &str, sample| {
        columns(sample, 1000, |at, sample| {
            let sample = sample.string(&format!("k{at}"));
            // The key is 13 and the text 14, behind the map and its class.
            if at == 0 { sample.string(&text) } else { sample.reference(14) }
        })
    };
    let first = fake::list(["A"], value);
    assert_eq!(listed(&first, 10), Ok(1));
    let further = |count: usize, object: fn(Sample) -> Sample| {
        let mut sample = first.clone();
        sample.bytes.pop();
        (0..count).fold(sample, |sample, _| object(sample)).end()
    };
    // The same attribute is no other one.
    assert_eq!(listed(&further(10_000, |sample| sample.reference(6)), 10), Ok(1));
    let other = |sample: Sample| sample.object().reference(3).reference(7).reference(10);
    assert_eq!(listed(&further(20, other), 10), Ok(21));
    assert_eq!(listed(&further(40, other), 10), Err(Spent));
}

#[test]
fn what_a_metric_repeats_for_each_value_counts() {
    let wide = |count| {
        let value = |_: &str, sample| {
            columns(sample, count, |at, sample| sample.string(&format!("k{at}")).null())
        };
        fake::list(["A"], value)
    };
    // The name of the bean.
    assert_eq!(listed(&wide(2_000), 10_000), Ok(1));
    assert_eq!(listed(&wide(2_000), 20_000), Err(Spent));
    assert_eq!(listed(&wide(249_000), 10), Ok(1));
    assert_eq!(listed(&wide(251_000), 10), Err(Spent));
    // A key above.
    let key = "k".repeat(20_000);
    let nested = columns(Sample::new(), 1, |_, sample| {
        columns(sample.string(&key), 2_000, |at, sample| sample.string(&format!("k{at}")).null())
    });
    assert_eq!(value(&nested), Value::Other(format!("{OPEN}.CompositeDataSupport")));
    // The index of a row.
    let table = |text: &str| {
        let table = Sample::new()
            .object()
            .class(&format!("{OPEN}.TabularDataSupport"), 2, &["LdataMap:Lx;", "LtabularType:Lx;"])
            .null()
            .object()
            .class("java.util.HashMap", 3, &[])
            .null()
            .null();
        let table = columns(table, 2_000, |at, sample| match at {
            0 => sample.string("key").string(text),
            _ => sample.string(&format!("k{at}")).null(),
        });
        let table =
            table.end().object().class(&format!("{OPEN}.TabularType"), 2, &["LindexNames:Lx;"]);
        let list =
            table.null().object().class("java.util.Arrays$ArrayList", 2, &["La:[Lx;"]).null();
        list.array().class("[Ljava.lang.String;", 2, &[]).null().int(1).string("key")
    };
    assert!(matches!(value(&table("short")), Value::Tabular { .. }));
    let long = table(&"x".repeat(20_000));
    assert_eq!(value(&long), Value::Other(format!("{OPEN}.TabularDataSupport")));
    // Fields that are looked through for each reference to an object.
    let fields: Vec<String> = (0..20_000).map(|field| format!("B{field}")).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let looked_through = |count| {
        columns(Sample::new(), count, |at, sample| {
            let sample = sample.string("k");
            match at {
                0 => sample.object().class("Wide", 2, &fields).null().raw(&[0; 20_000]),
                // Behind composite data, its map, and the first key and class.
                _ => sample.reference(7),
            }
        })
    };
    assert!(matches!(value(&looked_through(1_000)), Value::Composite { .. }));
    assert!(matches!(value(&looked_through(2_000)), Value::Other(_)));
}

proptest! {
    #[test]
    fn any_graph_converts(at in 4usize..1000, byte: u8) {
        let mut bytes = composite(composite(Sample::new(), "a"), "b").reference(3).end().end().bytes;
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok((graph, root)) = read_object(&bytes, &Limits::default()) {
            let _ = value_of(&graph, root);
        }
    }
}
