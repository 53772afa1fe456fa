//! The cost of rules: a JVM with 2,000 beans and 16,000 attributes, seen for the first time and seen
//! again.

use criterion::{Criterion, criterion_group, criterion_main};
use metrics_adapter::jmx::{AttributeInfo, Number, ObjectName, Value};
use metrics_adapter::rules::{JmxConfig, Rules};

const ATTRIBUTES: [&str; 8] = [
    "Count",
    "Mean",
    "MeanRate",
    "OneMinuteRate",
    "FiveMinuteRate",
    "50thPercentile",
    "99thPercentile",
    "999thPercentile",
];

fn info(name: &&str) -> AttributeInfo {
    let (name, declared) = ((*name).to_owned(), "double".to_owned());
    AttributeInfo { description: name.clone(), name, declared, readable: true }
}

fn scrape(rules: &mut Rules, beans: &[ObjectName], infos: &[AttributeInfo], value: f64) -> usize {
    let mut scrape = rules.scrape();
    let value = Value::Number(Number::Double(value));
    let pairs: Vec<_> = infos.iter().map(|info| (info, &value)).collect();
    for bean in beans {
        scrape.bean(bean, &pairs);
    }
    scrape.finish().iter().map(|family| family.samples.len()).sum()
}

fn rules(c: &mut Criterion) {
    let none: &[(&str, &str)] = &[];
    let text = include_str!("../tests/rules/kafka.yml");
    let config = JmxConfig::parse(text, &none).expect("a file of our own");
    let name = |index| {
        let text = format!("kafka.server:type=Metrics,name=Latency{},topic=t{index}", index % 20);
        ObjectName::parse(&text).expect("a name of our own")
    };
    let beans: Vec<ObjectName> = (0..2000).map(name).collect();
    let infos: Vec<AttributeInfo> = ATTRIBUTES.iter().map(info).collect();
    c.bench_function("rules/16000 attributes, first scrape", |b| {
        b.iter(|| scrape(&mut Rules::new(&config), &beans, &infos, 0.5));
    });
    let mut known = Rules::new(&config);
    let mut value = 0.0;
    c.bench_function("rules/16000 attributes, warm", |b| {
        b.iter(|| {
            value += 1.0;
            scrape(&mut known, &beans, &infos, value)
        });
    });
}

criterion_group!(benches, rules);
criterion_main!(benches);
