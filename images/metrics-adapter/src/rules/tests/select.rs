use super::*;

fn wants(selection: &Selection, bean: &str) -> bool {
    selection.wants_bean(&ObjectName::parse(bean).unwrap())
}

fn reads(selection: &Selection, bean: &str, attribute: &str) -> bool {
    selection.wants_attribute(&ObjectName::parse(bean).unwrap(), &info(attribute))
}

#[test]
fn beans_by_name() {
    let all = config("excludeObjectNames: ['a:type=X,*']").selection();
    assert_eq!(all.queries(), [None]);
    for (bean, wanted) in [
        ("a:type=Y", true),
        ("a:type=X", false),
        ("a:n=1,type=X", false),
        ("java.lang:type=Memory", true),
        ("jdk.management.jfr:type=FlightRecorder", false),
    ] {
        assert_eq!(wants(&all, bean), wanted, "{bean}");
    }
    let some =
        config("includeObjectNames: ['a:*', 'java.lang:type=Memory']\nexcludeJvmMetrics: true");
    let some = some.selection();
    assert_eq!(some.queries().len(), 2);
    for (bean, wanted) in [
        ("a:type=Y", true),
        ("b:type=Y", false),
        ("java.lang:type=Memory", true),
        ("java.lang:type=Threading", false),
    ] {
        assert_eq!(wants(&some, bean), wanted, "{bean}");
    }
    assert_eq!(config("includeObjectNames: []").selection().queries(), []);
}

#[test]
fn beans_of_the_jvm() {
    let selection = config("excludeJvmMetrics: true").selection();
    for (bean, wanted) in [
        ("java.lang:type=Memory", false),
        ("com.sun.management:type=HotSpotDiagnostic", false),
        ("jdk.management.jfr:type=X", false),
        ("java.langx:type=Memory", true),
        ("kafka.server:type=X", true),
    ] {
        assert_eq!(wants(&selection, bean), wanted, "{bean}");
    }
}

#[test]
fn attributes_by_name() {
    let text = "
includeObjectNameAttributes: {'a:type=T,n=1': [One, Two]}
excludeObjectNameAttributes: {'a:n=1,type=T': [Two]}";
    let selection = config(text).selection();
    assert!(wants(&selection, "a:n=1,type=T"));
    assert!(!wants(&selection, "a:type=T"));
    assert!(reads(&selection, "a:n=1,type=T", "One"));
    assert!(!reads(&selection, "a:n=1,type=T", "Two"));
    assert!(!reads(&selection, "a:n=1,type=T", "Three"));
}

#[test]
fn attributes_that_cost_and_give_nothing() {
    let selection = config("").selection();
    assert!(!reads(&selection, "java.lang:type=Runtime", "SystemProperties"));
    assert!(!reads(&selection, "java.lang:type=Runtime", "classpath"));
    assert!(reads(&selection, "java.lang:type=Runtime", "Uptime"));
    let name = ObjectName::parse("a:type=T").unwrap();
    let unreadable = AttributeInfo { readable: false, ..info("A") };
    let array = AttributeInfo { declared: "[J".to_owned(), ..info("A") };
    assert!(!selection.wants_attribute(&name, &unreadable));
    assert!(!selection.wants_attribute(&name, &array));
}

#[test]
fn what_is_of_no_use_is_not_read_again() {
    let name = ObjectName::parse("a:type=T").unwrap();
    let values = [(info("Odd"), Value::Other("x.Y".to_owned())), (info("Good"), long(1))];
    let pairs: Vec<_> = values.iter().map(|(info, value)| (info, value)).collect();
    let mut selection = config("").selection();
    assert!(selection.learn(&name, &pairs));
    assert!(!selection.learn(&name, &pairs));
    assert!(!reads(&selection, "a:type=T", "Odd"));
    assert!(reads(&selection, "a:type=T", "Good"));
    assert!(reads(&selection, "a:type=U", "Odd"));
    selection.retain(std::slice::from_ref(&name));
    assert!(!reads(&selection, "a:type=T", "Odd"));
    selection.retain(&[]);
    assert!(reads(&selection, "a:type=T", "Odd"));
    let mut selection = config("autoExcludeObjectNameAttributes: false").selection();
    assert!(!selection.learn(&name, &pairs));
    assert!(reads(&selection, "a:type=T", "Odd"));
}

#[test]
fn beans_that_no_rule_can_name() {
    let rules = |more: &str| {
        let text = format!(
            r"
pruneBeans: true
rules:
- {{pattern: 'kafka.(\w+)<type=(.+), name=(.+)><>Value', name: $1}}
- {{pattern: 'java.lang<type=(Memory|Threading)>', name: $1}}
- {{pattern: 'a<type=(?!Secret).*><>Count', name: a}}
{more}"
        );
        config(&text).selection()
    };
    let pruned = rules("");
    for (bean, wanted) in [
        ("kafka.server:type=X,name=Y", true),
        ("kafka.server:type=X,name=Y,topic=t", true),
        // A row of a table may bring the name.
        ("kafka.server:type=X", true),
        ("kafka.server:name=Y,type=X", false),
        ("kafkb:type=X,name=Y", false),
        // A pattern may begin anywhere: `a<type=` is the end of this.
        ("kafka:type=X,name=Y", true),
        ("my.kafka.log:type=X,name=Y", true),
        ("java.lang:type=Memory", true),
        ("java.lang:type=MemoryPool", false),
        ("java.lang:type=Memory,name=x", false),
        ("a:type=Open", true),
        // What looks ahead is not reckoned with.
        ("a:type=Secret", true),
        ("b:type=Open", false),
        ("x:n=\"java.lang<type=Memory>\"", true),
    ] {
        for _ in 0..2 {
            assert_eq!(wants(&pruned, bean), wanted, "{bean}");
        }
    }
    // Rules that may name anything let everything be read.
    for more in ["- {pattern: '<>Count', name: c}", "- {}", "- {pattern: '.*'}"] {
        assert!(wants(&rules(more), "b:type=Open"), "{more}");
    }
    assert!(wants(&rules("- {pattern: '<cache>', cache: true, name: x}"), "b:type=Open"));
}

#[test]
fn beans_that_a_row_of_a_table_can_name() {
    let selection = |pattern: &str| {
        let text = format!("pruneBeans: true\nrules: [{{pattern: '{pattern}', name: x}}]");
        config(&text).selection()
    };
    for (pattern, wanted) in [
        ("d<type=T, key=x><", true),
        ("d<type=T, key=(.+)><T>used", true),
        ("d<type=T, k=1, key=(.+)><>T", true),
        ("d<type=T><>A", true),
        ("key=x><>T", true),
        // What a row adds stands behind what the bean has.
        ("d<key=x, type=T><", false),
        ("d<type=Tkey=x><", false),
        ("d<type=T, key=x><.*<", false),
        ("d<type=T, key=x<", false),
        ("d<type=U, key=x><", false),
        ("e<type=T, key=x><", false),
        // A pattern may begin anywhere, but there is one bean only.
        ("a<type=(.+)><>A", false),
    ] {
        assert_eq!(wants(&selection(pattern), "d:type=T"), wanted, "{pattern}");
    }
}

#[test]
fn what_is_pruned_shows_nothing() {
    let row = |key: &str| vec![("key".to_owned(), text(key)), ("v".to_owned(), long(1))];
    let (index, rows) = (vec!["key".to_owned()], vec![row("x"), row("y")]);
    let table = Value::Tabular { description: None, index, rows };
    let name = ObjectName::parse("d:type=T").unwrap();
    let patterns =
        ["d<type=T, key=x><", "d<type=(.+), key=(.+)><A>v", "d<type=T><", "<type=T, k", "A>v", "x"];
    for pattern in patterns {
        let text = format!("pruneBeans: true\nrules: [{{pattern: '{pattern}', name: x}}]");
        let config = config(&text);
        let mut rules = Rules::new(&config);
        let families = scrape(&mut rules, &[("d:type=T", vec![("A", table.clone())])]);
        let (wanted, shows) = (config.selection().wants_bean(&name), !families.is_empty());
        assert!(wanted || !shows, "{pattern}");
    }
}

#[test]
fn many_rules_prune_as_well() {
    let mut text = "pruneBeans: true\nrules:\n".to_owned();
    for n in 0..60 {
        let pattern =
            format!(r"app{n}.(\w+)<type=(.+), name=(.+), topic=(.+)><>(Count|\d+thValue)");
        text.push_str(&format!("- {{pattern: '{pattern}', name: app{n}}}\n"));
    }
    let selection = config(&text).selection();
    for (bean, wanted) in [
        ("other:type=T,name=N,topic=P", false),
        ("app7.server:name=N,type=T", false),
        ("app7.server:type=T", true),
        ("app59.server:type=T,name=N,topic=P", true),
        ("app60.server:type=T,name=N,topic=P", false),
    ] {
        assert_eq!(wants(&selection, bean), wanted, "{bean}");
    }
}
