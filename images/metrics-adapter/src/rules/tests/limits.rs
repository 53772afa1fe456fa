//! What the other side sends costs no more than it may.

use super::super::budget::Pool;
use super::*;

const ANY: usize = usize::MAX;

/// Rules that may hold, look at and give away no more bytes than this.
fn limited(text: &str, held: usize, tried: usize, page: usize) -> Rules {
    let mut rules = Rules::new(&config(text));
    rules.budget.held = Pool::new(held);
    rules.budget.tried = Pool::new(tried);
    rules.budget.page = Pool::new(page);
    rules
}

/// A bean with a long name, and values enough that its labels are megabytes.
fn bloated(length: usize, keys: usize) -> (ObjectName, Value) {
    let name = ObjectName::parse(&format!("d:type=T,long={}", "x".repeat(length))).unwrap();
    let entries = (0..keys).map(|key| (format!("k{key:05}"), long(1))).collect();
    (name, Value::composite(entries))
}

fn scrape_one(rules: &mut Rules, name: &ObjectName, value: &Value) -> Vec<Family> {
    let mut scrape = rules.scrape();
    scrape.bean(name, &[(&info("A"), value)]);
    scrape.finish()
}

/// Bytes of labels and help texts.
fn bytes(families: &[Family]) -> usize {
    let each = |family: &Family| {
        let labels = family.samples.iter().map(|(labels, _)| labels.as_str().len());
        family.help.len() + labels.sum::<usize>()
    };
    families.iter().map(each).sum()
}

fn samples(families: &[Family]) -> u64 {
    families.iter().map(|family| family.samples.len() as u64).sum()
}

#[test]
fn labels_of_a_scrape_are_counted_in_bytes() {
    const MAX: usize = 1024 * 1024;
    let (name, value) = bloated(2000, 1000);
    let texts = [
        // Families of one sample each, a family of many, and one whose labels are all alike.
        "",
        r"rules: [{pattern: 'long=(.+)><A>(.+):', name: x, labels: {l: $1, k: $2}}]",
        r"rules: [{pattern: 'd<', name: x}]",
        // Texts that are kept although no sample comes of them.
        r"rules: [{pattern: 'never', name: x}, {pattern: 'd<', name: x, value: $0}]",
    ];
    for text in texts {
        let all = scrape_one(&mut Rules::new(&config(text)), &name, &value);
        for (held, page) in [(MAX, ANY), (ANY, MAX)] {
            let mut rules = limited(text, held, ANY, page);
            let mut before = None;
            for _ in 0..3 {
                let refused = rules.counters().refused_samples;
                let families = scrape_one(&mut rules, &name, &value);
                let refused = rules.counters().refused_samples - refused;
                let known: usize = rules.beans.values().map(Bean::known_bytes).sum();
                assert!(known < held, "{text}: {known}");
                assert!(bytes(&families) < page, "{text}: {}", bytes(&families));
                assert_eq!(samples(&families) + refused, samples(&all), "{text}");
                assert_eq!(families.is_empty(), all.is_empty(), "{text}");
                // The same ones each time.
                let before = before.get_or_insert_with(|| families.clone());
                assert_eq!(*before, families, "{text}");
            }
        }
    }
}

#[test]
fn what_is_remembered_is_counted_in_bytes() {
    const HELD: usize = 100_000;
    let row = |key: usize| {
        vec![("k".to_owned(), text(&format!("{key:01000}"))), ("v".to_owned(), long(1))]
    };
    let rows = (0..1000).map(row).collect();
    let table = Value::Tabular { description: None, index: vec!["k".to_owned()], rows };
    let name = ObjectName::parse("d:type=T").unwrap();
    let mut rules = limited("rules: [{pattern: never, name: x}]", HELD, ANY, ANY);
    for _ in 0..2 {
        assert_eq!(scrape_one(&mut rules, &name, &table), []);
        let paths: usize = rules.beans.values().map(Bean::known_bytes).sum();
        assert!((HELD / 4..HELD).contains(&paths), "{paths}");
    }
    // No sample would have come of what is not remembered.
    assert_eq!(rules.counters().refused_samples, 0);
}

#[test]
fn what_rules_are_tried_on_is_counted_in_bytes() {
    let (name, value) = bloated(10_000, 100);
    let mut rules = limited("rules: [{pattern: '<A>(.*)', name: $1}]", ANY, 500_000, ANY);
    for scrapes in 1..4 {
        let families = scrape_one(&mut rules, &name, &value);
        // Each looks at the value, so nothing is known.
        assert_eq!(samples(&families), 49);
        assert_eq!(rules.counters().evaluations, scrapes * 49);
        assert_eq!(rules.counters().refused_samples, scrapes * 51);
    }
    // A scrape that stays within it has all of it.
    let (name, value) = bloated(1000, 100);
    let before = rules.counters().refused_samples;
    assert_eq!(samples(&scrape_one(&mut rules, &name, &value)), 100);
    assert_eq!(rules.counters().refused_samples, before);
}

#[test]
fn texts_of_a_family_are_cut() {
    let long_text = "x".repeat(50_000);
    let composite = Value::Composite {
        description: Some(long_text.as_str().into()),
        entries: vec![("k".to_owned(), long(1))],
    };
    let name = ObjectName::parse("d:type=T").unwrap();
    let mut rules = Rules::new(&JmxConfig::default());
    let families = scrape_one(&mut rules, &name, &composite);
    assert_eq!(families[0].help, long_text[..4096]);
    assert_eq!(rules.counters().cut_texts, 1);
}

#[test]
fn texts_of_the_platform_are_cut_and_counted() {
    let version = text(&"v".repeat(10_000));
    let runtime = info("VmVersion");
    let mut rules = limited("jvmMetrics: true\nrules: []", ANY, ANY, 50_000);
    let names: Vec<ObjectName> = (0..20)
        .map(|n| ObjectName::parse(&format!("java.lang:type=Runtime,n={n}")).unwrap())
        .collect();
    let mut scrape = rules.scrape();
    for name in &names {
        scrape.bean(name, &[(&runtime, &version)]);
    }
    let families = scrape.finish();
    assert!(bytes(&families) < 50_000, "{}", bytes(&families));
    assert!((1..20).contains(&samples(&families)));
    assert!(rules.counters().refused_samples >= 20 - samples(&families));
}

#[test]
fn beans_and_rows_with_too_many_properties_are_left_out() {
    let bean = |properties: usize| {
        let list: Vec<String> = (0..properties).map(|n| format!("k{n}=v")).collect();
        ObjectName::parse(&format!("d:{}", list.join(","))).unwrap()
    };
    let table = |columns: usize| {
        let index: Vec<String> = (0..columns).map(|n| format!("c{n}")).collect();
        let mut row: Vec<_> = index.iter().map(|column| (column.clone(), text("x"))).collect();
        row.push(("value".to_owned(), long(1)));
        Value::Tabular { description: None, index, rows: vec![row] }
    };
    let nested = |entries: usize| {
        let entries = (0..entries).map(|n| (format!("e{n}"), long(1))).collect();
        let row = vec![("k".to_owned(), Value::composite(entries)), ("value".to_owned(), long(1))];
        Value::Tabular { description: None, index: vec!["k".to_owned()], rows: vec![row] }
    };
    let cases = [
        (bean(128), long(1), 1),
        (bean(129), long(1), 0),
        (bean(28), table(100), 1),
        (bean(28), table(101), 0),
        (bean(1), table(20_000), 0),
        (bean(28), nested(100), 1),
        (bean(28), nested(101), 0),
    ];
    for (name, value, expected) in cases {
        let mut rules = Rules::new(&JmxConfig::default());
        assert_eq!(samples(&scrape_one(&mut rules, &name, &value)), expected, "{name:?}");
        assert_eq!(rules.counters().refused_samples, 1 - expected, "{name:?}");
    }
}

#[test]
fn of_labels_with_one_name_the_first_stays() {
    let text = r"
metricCustomizers: [{mbeanFilter: {domain: d}, attributesAsLabels: [B]}]
rules: [{pattern: '<>A', name: x, labels: {B: rule, 'c-d': first, 'c.d': second}}]";
    let beans = [("d:type=T", vec![("A", long(1)), ("B", self::text("custom"))])];
    assert_eq!(twice(text, &beans), [r#"untyped x{B="custom",c_d="first"} 1"#]);
}

#[test]
fn beans_beyond_the_limit_are_not_remembered() {
    let beans: Vec<ObjectName> = (10..30)
        .map(|n| ObjectName::parse(&format!("d:type=T{n},long={}", "x".repeat(1000))).unwrap())
        .collect();
    let mut rules = limited("", 20_000, ANY, ANY);
    let value = long(1);
    let mut scrape_all = |order: &[&ObjectName]| {
        let before = rules.counters().refused_samples;
        let mut scrape = rules.scrape();
        for name in order {
            scrape.bean(name, &[(&info("A"), &value)]);
        }
        let families = scrape.finish();
        let refused = rules.counters().refused_samples - before;
        assert_eq!(samples(&families) + refused, order.len() as u64);
        assert_eq!(rules.counters().plans, samples(&families));
        assert!(!families.is_empty() && rules.beans.len() < 10, "{}", rules.beans.len());
        families
    };
    let forth: Vec<_> = beans.iter().collect();
    let back: Vec<_> = beans.iter().rev().collect();
    let first = scrape_all(&forth);
    let _ = scrape_all(&back);
    assert_eq!(scrape_all(&forth), first);
}
