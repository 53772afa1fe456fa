mod cache;
mod jvm;
mod limits;
mod names;
mod outcome;
mod select;

use super::*;
use crate::exposition::{Family, Kind};
use crate::jmx::{AttributeInfo, Number, Value};

/// A bean of a test: its name, and attributes with their values.
type Given = (&'static str, Vec<(&'static str, Value)>);

fn config(text: &str) -> JmxConfig {
    let none: &[(&str, &str)] = &[];
    JmxConfig::parse(text, &none).unwrap_or_else(|error| panic!("{error:?}\n{text}"))
}

fn info(name: &str) -> AttributeInfo {
    let (name, declared) = (name.to_owned(), "long".to_owned());
    AttributeInfo { description: name.clone(), name, declared, readable: true }
}

fn long(value: i64) -> Value {
    Value::Number(Number::Integer(value))
}

fn double(value: f64) -> Value {
    Value::Number(Number::Double(value))
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn composite(entries: &[(&str, Value)]) -> Value {
    let entry = |(key, value): &(&str, Value)| ((*key).to_owned(), value.clone());
    Value::composite(entries.iter().map(entry).collect())
}

fn scrape(rules: &mut Rules, beans: &[Given]) -> Vec<Family> {
    let mut scrape = rules.scrape();
    for (name, attributes) in beans {
        let name = ObjectName::parse(name).expect("a name of a test");
        let infos: Vec<AttributeInfo> = attributes.iter().map(|(name, _)| info(name)).collect();
        let pairs: Vec<_> = infos.iter().zip(attributes.iter().map(|(_, value)| value)).collect();
        scrape.bean(&name, &pairs);
    }
    scrape.finish()
}

/// `kind name{labels} value`, a line for each sample, in the order of the families.
fn lines(families: &[Family]) -> Vec<String> {
    let kind = |kind| match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        _ => "untyped",
    };
    let line = |family: &Family| {
        let start = format!("{} {}", kind(family.kind), family.name);
        let samples = family.samples.iter();
        samples.map(|(labels, value)| format!("{start}{labels:?} {value}")).collect::<Vec<_>>()
    };
    families.iter().flat_map(line).collect()
}

/// The lines of two scrapes, which must be alike: the second knows what the first has learnt.
fn twice(config_text: &str, beans: &[Given]) -> Vec<String> {
    let mut rules = Rules::new(&config(config_text));
    let first = scrape(&mut rules, beans);
    let second = scrape(&mut rules, beans);
    assert_eq!(first, second);
    lines(&first)
}
