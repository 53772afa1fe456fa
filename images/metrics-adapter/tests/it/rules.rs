//! Rule files and the pages that come of them: over beans of many applications that are not there,
//! and over a JVM that is.
//!
//! The pages are in `tests/golden`; `UPDATE_EXPECT=1` writes them anew, to be read before they are
//! committed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use expect_test::expect_file;
use metrics_adapter::exposition::{Family, Kind};
use metrics_adapter::jmx::collector::Collector;
use metrics_adapter::jmx::session::Target;
use metrics_adapter::jmx::{AttributeInfo, Number, ObjectName, Value};
use metrics_adapter::rules::{JmxConfig, Rules, Selection};
use serde_json::Value as Json;

use crate::support::jvm::{Jdk, Launch};
use crate::support::shapes::soon;

type Beans = Vec<(ObjectName, Vec<(AttributeInfo, Value)>)>;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn config(text: &str) -> JmxConfig {
    let none: &[(&str, &str)] = &[];
    let config = JmxConfig::parse(text, &none).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(config.warnings, [""; 0]);
    config
}

/// The beans of `beans.json`.
fn beans() -> Beans {
    let all: BTreeMap<String, serde_json::Map<String, Json>> =
        serde_json::from_str(&file("beans.json")).unwrap();
    let attribute = |(name, value): (String, Json)| {
        let declared = String::new();
        let info = AttributeInfo { description: name.clone(), name, declared, readable: true };
        (info, self::value(value))
    };
    let bean = |(name, attributes): (String, serde_json::Map<String, Json>)| {
        let name = ObjectName::parse(&name).unwrap();
        (name, attributes.into_iter().map(attribute).collect())
    };
    all.into_iter().map(bean).collect()
}

fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Boolean(value),
        Json::String(text) => Value::Text(text),
        Json::Array(_) => Value::Array,
        Json::Number(number) => Value::Number(match number.as_i64() {
            Some(value) => Number::Integer(value),
            None => Number::Double(number.as_f64().unwrap()),
        }),
        Json::Object(mut entries) => {
            let description = entries.remove("$description");
            let description = description.map(|text| text.as_str().unwrap().into());
            match (entries.remove("$index"), entries.remove("$rows")) {
                (Some(index), Some(Json::Array(rows))) => {
                    let index = serde_json::from_value(index).unwrap();
                    let row = |row: Json| members(row.as_object().unwrap().clone());
                    let rows = rows.into_iter().map(row).collect();
                    Value::Tabular { description, index, rows }
                }
                _ => Value::Composite { description, entries: members(entries) },
            }
        }
    }
}

fn members(entries: serde_json::Map<String, Json>) -> Vec<(String, Value)> {
    entries.into_iter().map(|(name, json)| (name, value(json))).collect()
}

/// One scrape of beans that are not there, as a collector would do it.
fn scrape(rules: &mut Rules, selection: &Selection, beans: &Beans) -> Vec<Family> {
    let mut scrape = rules.scrape();
    for (name, attributes) in beans.iter().filter(|(name, _)| selection.wants_bean(name)) {
        let wanted = attributes.iter().filter(|(info, _)| selection.wants_attribute(name, info));
        let pairs: Vec<_> = wanted.map(|(info, value)| (info, value)).collect();
        scrape.bean(name, &pairs);
    }
    scrape.finish()
}

/// The page as text 0.0.4 has it, samples sorted.
fn page(families: &[Family]) -> String {
    let mut out = String::new();
    for Family { name, help, kind, samples } in families {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            _ => "untyped",
        };
        let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", help.replace('\n', "\\n"));
        let line = |(labels, value): &(metrics_adapter::labels::Labels, f64)| match labels.as_str()
        {
            "" => format!("{name} {value}\n"),
            labels => format!("{name}{{{labels}}} {value}\n"),
        };
        let mut lines: Vec<String> = samples.iter().map(line).collect();
        lines.sort();
        out.extend(lines);
    }
    out
}

/// The page of a rule file. What rules have learnt from one scrape changes nothing in the next.
fn expected_page(name: &str) -> String {
    let config = config(&file(name));
    let (selection, mut rules, beans) = (config.selection(), Rules::new(&config), beans());
    let families = scrape(&mut rules, &selection, &beans);
    assert_eq!(scrape(&mut rules, &selection, &beans), families, "{name}");
    assert!(!families.is_empty(), "{name} names none of the beans");
    page(&families)
}

#[test]
fn kafka() {
    expect_file!["../golden/kafka.txt"].assert_eq(&expected_page("kafka.yml"));
}

#[test]
fn cassandra() {
    expect_file!["../golden/cassandra.txt"].assert_eq(&expected_page("cassandra.yml"));
}

#[test]
fn tomcat() {
    expect_file!["../golden/tomcat.txt"].assert_eq(&expected_page("tomcat.yml"));
}

#[test]
fn spark() {
    expect_file!["../golden/spark.txt"].assert_eq(&expected_page("spark.yml"));
}

#[test]
fn zookeeper() {
    expect_file!["../golden/zookeeper.txt"].assert_eq(&expected_page("zookeeper.yml"));
}

#[test]
fn activemq() {
    expect_file!["../golden/activemq.txt"].assert_eq(&expected_page("activemq.yml"));
}

#[test]
fn hikari() {
    expect_file!["../golden/hikari.txt"].assert_eq(&expected_page("hikari.yml"));
}

#[test]
fn jvm() {
    expect_file!["../golden/jvm.txt"].assert_eq(&expected_page("jvm.yml"));
}

// === a JVM that is there ===

/// The page of a live JVM under a rule file; the second of two scrapes, which must be alike.
fn live_page(config: &JmxConfig, port: u16) -> String {
    let mut collector = Collector::new(Target::new("127.0.0.1", port), config.clone());
    let first = page(&collector.scrape(soon()).unwrap());
    let second = page(&collector.scrape(soon()).unwrap());
    collector.close();
    assert_eq!(first, second);
    second
}

#[test]
fn shapes_of_a_live_jvm() {
    for jdk in Jdk::all("shapes_of_a_live_jvm") {
        let jvm = Launch::new(&jdk).args(&["--port", "0"]).start();
        let default = "includeObjectNames: ['shapes:*', 'names*:*']\n\
                       excludeObjectNames: ['shapes:type=Live']\n";
        let page = live_page(&config(default), jvm.port());
        expect_file!["../golden/live-default.txt"].assert_eq(&page);
        let page = live_page(&config(&file("shapes.yml")), jvm.port());
        expect_file!["../golden/live-shapes.txt"].assert_eq(&page);
        let old = format!("naming: jmx_0.20\n{}", file("shapes.yml"));
        let page = live_page(&config(&old), jvm.port());
        expect_file!["../golden/live-shapes-0.20.txt"].assert_eq(&page);
    }
}

#[test]
fn what_a_live_jvm_says_of_itself_is_selected() {
    for jdk in Jdk::all("what_a_live_jvm_says_of_itself_is_selected") {
        let jvm = Launch::new(&jdk).args(&["--port", "0"]).start();
        let mut all = Collector::new(Target::new("127.0.0.1", jvm.port()), config(""));
        let mut families = all.scrape(soon()).unwrap();
        // Once more, without what turned out to be of no use.
        let again = all.scrape(soon()).unwrap();
        all.close();
        let names = |families: &[Family]| {
            families.iter().map(|family| family.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&families), names(&again));
        let has = |families: &[Family], start: &str| {
            families.iter().any(|family| family.name.starts_with(start))
        };
        assert!(has(&families, "java_lang_Memory_HeapMemoryUsage_used"));
        assert!(has(&families, "java_lang_Threading_ThreadCount"));
        assert!(!has(&families, "java_lang_Runtime_SystemProperties"));
        assert!(!has(&families, "jdk_management_jfr"));
        families.retain(|family| family.name == "java_lang_Memory_HeapMemoryUsage_used");
        assert!(families[0].samples[0].1 > 0.0);
        let without = config("excludeJvmMetrics: true");
        let mut some = Collector::new(Target::new("127.0.0.1", jvm.port()), without);
        let families = some.scrape(soon()).unwrap();
        some.close();
        assert!(!has(&families, "java_lang") && has(&families, "shapes_"));
    }
}

#[test]
fn metrics_of_a_live_jvm_as_the_agent_has_them() {
    for jdk in Jdk::all("metrics_of_a_live_jvm_as_the_agent_has_them") {
        let jvm = Launch::new(&jdk).args(&["--port", "0"]).start();
        // Nothing of the platform is asked for by the file itself.
        let text = "jvmMetrics: true\nincludeObjectNames: ['shapes:type=Numbers']\n\
                    includeObjectNameAttributes: {'shapes:type=Numbers': [Int]}";
        let target = Target::new("127.0.0.1", jvm.port());
        let mut collector = Collector::new(target, config(text));
        let families = collector.scrape(soon()).unwrap();
        collector.close();
        let family = |name: &str| {
            let found = families.iter().find(|family| family.name == name);
            found.unwrap_or_else(|| panic!("no {name} in {families:?}"))
        };
        let first = |name| family(name).samples[0].1;
        assert!(first("jvm_memory_used_bytes") > 1e5);
        assert!(first("jvm_threads_current") > 1.0);
        assert!(first("jvm_classes_loaded_total") > 100.0);
        assert!(first("process_cpu_seconds_total") > 0.0);
        assert!(first("process_start_time_seconds") > 1.6e9);
        assert!(first("process_open_fds") > 2.0);
        assert!(family("jvm_gc_collection_seconds_count").samples.len() >= 2);
        assert!(family("jvm_memory_pool_used_bytes").samples.len() >= 4);
        assert!(family("jvm_buffer_pool_used_bytes").samples.len() >= 2);
        let info = family("jvm_runtime_info").samples[0].0.as_str();
        assert!(info.contains(&format!("version=\"{}", jdk.major)), "{info}");
        assert!(families.iter().all(|family| !family.name.starts_with("java_")), "{families:?}");
        assert!(families.iter().any(|family| family.name == "shapes_Numbers_Int"));
    }
}
