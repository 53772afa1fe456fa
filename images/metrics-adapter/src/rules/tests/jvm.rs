use super::*;

fn memory() -> Given {
    let usage = composite(&[
        ("committed", long(3)),
        ("init", long(1)),
        ("max", long(4)),
        ("used", long(2)),
    ]);
    ("java.lang:type=Memory", vec![("HeapMemoryUsage", usage), ("Verbose", Value::Boolean(false))])
}

#[test]
fn platform_beans_become_the_metrics_of_the_agent() {
    let beans = [
        memory(),
        ("java.lang:name=G1,type=GarbageCollector", vec![("CollectionTime", long(1500))]),
        ("java.nio:name=direct,type=BufferPool", vec![("Count", long(7))]),
        ("java.lang:type=Runtime", vec![("VmName", text("V")), ("VmVersion", text("17"))]),
        ("java.lang:type=Other", vec![("Count", long(7))]),
    ];
    assert_eq!(
        twice("jvmMetrics: true\nrules: []", &beans),
        [
            r#"gauge jvm_buffer_pool_used_buffers{pool="direct"} 7"#,
            r#"untyped jvm_gc_collection_seconds_sum{gc="G1"} 1.5"#,
            r#"gauge jvm_memory_committed_bytes{area="heap"} 3"#,
            r#"gauge jvm_memory_init_bytes{area="heap"} 1"#,
            r#"gauge jvm_memory_max_bytes{area="heap"} 4"#,
            r#"gauge jvm_memory_used_bytes{area="heap"} 2"#,
            r#"gauge jvm_runtime_info{runtime="V",vendor="",version="17"} 1"#,
        ]
    );
}

#[test]
fn rules_see_of_them_what_the_file_lets_through() {
    let names = |config: &str| {
        let all = twice(&format!("jvmMetrics: true\n{config}"), &[memory()]);
        all.iter().filter(|line| line.contains("java_lang")).count()
    };
    assert_eq!(names(""), 5);
    assert_eq!(names("excludeJvmMetrics: true"), 0);
    assert_eq!(names("includeObjectNames: ['a:*']"), 0);
    assert_eq!(names("excludeObjectNameAttributes: {'java.lang:type=Memory': [Verbose]}"), 4);
}

#[test]
fn a_family_of_a_rule_stays() {
    let text = "
jvmMetrics: true
rules: [{pattern: 'java.lang<type=Memory><Heap.*>used', name: jvm_memory_used_bytes}]";
    let all = twice(text, &[memory()]);
    assert!(all.contains(&"untyped jvm_memory_used_bytes{} 2".to_owned()), "{all:?}");
    assert_eq!(all.len(), 4);
}

#[test]
fn they_are_read_whatever_else_is_asked_for() {
    let selection = config("jvmMetrics: true\nincludeObjectNames: ['a:*']").selection();
    let queries = selection.queries();
    let queries: Vec<&str> = queries.iter().flatten().map(ObjectName::as_str).collect();
    assert_eq!(queries, ["a:*", "java.lang:*", "java.nio:*"]);
    let memory = ObjectName::parse("java.lang:type=Memory").unwrap();
    assert!(selection.wants_bean(&memory));
    assert!(selection.wants_attribute(&memory, &info("HeapMemoryUsage")));
    assert!(!selection.wants_attribute(&memory, &info("Verbose")));
    let other = ObjectName::parse("java.lang:type=Other").unwrap();
    assert!(!selection.wants_bean(&other));
    assert_eq!(config("jvmMetrics: true").selection().queries(), [None]);
}
