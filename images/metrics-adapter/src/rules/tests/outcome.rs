use super::*;

#[test]
fn without_rules_everything_has_the_default_format() {
    let beans = [
        ("java.lang:type=Threading", vec![("ThreadCount", long(7))]),
        (
            "a.b:type=T,name=N x,key=\"q\"",
            vec![("My-Attr", double(0.5)), ("On", Value::Boolean(true))],
        ),
        ("d:k=9", vec![("9", Value::Date(1500))]),
    ];
    assert_eq!(
        twice("", &beans),
        [
            r#"untyped a_b_T_My_Attr{key="\"q\"",name="N x"} 0.5"#,
            r#"untyped a_b_T_On{key="\"q\"",name="N x"} 1"#,
            "untyped d_9_9{} 1.5",
            "untyped java_lang_Threading_ThreadCount{} 7",
        ]
    );
}

#[test]
fn default_names_as_asked_for() {
    let beans = [("D:type=T,someKey=V", vec![("MyAttr", long(7)), ("Hits_total", long(1))])];
    let text = "
lowercaseOutputName: true
lowercaseOutputLabelNames: true
inferCounterTypeFromName: true
rules: [{attrNameSnakeCase: true}]";
    assert_eq!(
        twice(text, &beans),
        [r#"counter d_t_hits_total{somekey="V"} 1"#, r#"untyped d_t_my_attr{somekey="V"} 7"#]
    );
}

#[test]
fn composite_and_tabular_data() {
    let usage = composite(&[("used", long(5)), ("max", long(-1)), ("name", text("x"))]);
    let row =
        |key: &str, value: Value| vec![("value".to_owned(), value), ("key".to_owned(), text(key))];
    let index = vec!["key".to_owned()];
    let nested = composite(&[("n", long(3))]);
    let table = Value::Tabular {
        description: None,
        index: index.clone(),
        rows: vec![row("one", long(1)), row("two", nested), row("three", Value::Null)],
    };
    let wide = Value::Tabular {
        description: None,
        index: vec!["key".to_owned(), "id".to_owned()],
        rows: vec![vec![
            ("id".to_owned(), composite(&[("a", long(8)), ("b", text("B"))])),
            ("Z".to_owned(), long(2)),
            ("key".to_owned(), Value::Boolean(true)),
            ("A".to_owned(), long(1)),
        ]],
    };
    let beans = [
        ("m:type=Memory", vec![("Heap", usage)]),
        ("t:type=T,key=k", vec![("Table", table), ("Wide", wide), ("Array", Value::Array)]),
        ("u:type=U", vec![("Null", Value::Null), ("Other", Value::Other("x.Y".to_owned()))]),
    ];
    assert_eq!(
        twice("", &beans),
        [
            "untyped m_Memory_Heap_max{} -1",
            "untyped m_Memory_Heap_used{} 5",
            r#"untyped t_T_Table{key="k",key_="one"} 1"#,
            r#"untyped t_T_Table_n{key="k",key_="two"} 3"#,
            r#"untyped t_T_Wide_A{id_a="8",id_b="B",key="k",key_="true"} 1"#,
            r#"untyped t_T_Wide_Z{id_a="8",id_b="B",key="k",key_="true"} 2"#,
        ]
    );
}

#[test]
fn rows_with_one_value_in_different_columns() {
    let row = |a: Value, b: Value, v| {
        vec![("a".to_owned(), a), ("b".to_owned(), b), ("value".to_owned(), long(v))]
    };
    let table = Value::Tabular {
        description: None,
        index: vec!["a".to_owned(), "b".to_owned()],
        rows: vec![row(text("x"), Value::Null, 1), row(Value::Null, text("x"), 2)],
    };
    let beans = [("d:type=T", vec![("A", table)])];
    assert_eq!(twice("", &beans), [r#"untyped d_T_A{a="x"} 1"#, r#"untyped d_T_A{b="x"} 2"#]);
}

#[test]
fn dates_are_seconds_and_as_labels_texts() {
    for (millis, expected) in [
        (0, "Thu Jan 01 00:00:00 UTC 1970"),
        (1500, "Thu Jan 01 00:00:01 UTC 1970"),
        (-1, "Wed Dec 31 23:59:59 UTC 1969"),
        (951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000"),
        (951_868_800_000, "Wed Mar 01 00:00:00 UTC 2000"),
        (1_735_689_599_999, "Tue Dec 31 23:59:59 UTC 2024"),
        (4_107_542_399_000, "Sun Feb 28 23:59:59 UTC 2100"),
        (4_107_542_400_000, "Mon Mar 01 00:00:00 UTC 2100"),
        (253_402_300_800_000, "Sat Jan 01 00:00:00 UTC 10000"),
    ] {
        assert_eq!(date::text(millis), expected, "{millis}");
    }
    for millis in [i64::MIN, i64::MAX] {
        assert!(date::text(millis).contains(" UTC "));
    }
    let row = vec![("at".to_owned(), Value::Date(1500)), ("v".to_owned(), Value::Date(2500))];
    let table = Value::Tabular { description: None, index: vec!["at".to_owned()], rows: vec![row] };
    let beans = [("d:type=T", vec![("Since", Value::Date(0)), ("Table", table)])];
    let text = "metricCustomizers: [{mbeanFilter: {domain: d}, attributesAsLabels: [Since]}]";
    let since = r#"Since="Thu Jan 01 00:00:00 UTC 1970""#;
    assert_eq!(
        twice(text, &beans),
        [
            format!("untyped d_T_Since{{{since}}} 0"),
            format!(r#"untyped d_T_Table_v{{{since},at="Thu Jan 01 00:00:01 UTC 1970"}} 2.5"#),
        ]
    );
}

#[test]
fn match_strings() {
    let mut rules = Rules::new(&config("rules: [{attrNameSnakeCase: false}]"));
    let name = ObjectName::parse("d.e:type=T,name=\"a,b\"").unwrap();
    let value = composite(&[("inner", composite(&[("Leaf", double(1.5e-7))]))]);
    let said = rules.explain(&name, &[(&info("Attr"), &value)]);
    assert_eq!(said[0].match_string, "d.e<type=T, name=\"a,b\"><Attr, inner>Leaf: 1.5E-7");
    let said = rules.explain(&name, &[(&info("Attr"), &text("x"))]);
    assert_eq!(said[0].match_string, "d.e<type=T, name=\"a,b\"><>Attr: x");
    let mut rules = Rules::new(&config("rules: [{cache: true, attrNameSnakeCase: true}]"));
    let said = rules.explain(&name, &[(&info("MyAttr"), &long(3))]);
    assert_eq!(said[0].match_string, "d.e<type=T, name=\"a,b\"><>my_attr: <cache>");
}

#[test]
fn the_first_rule_that_fits_ends_it() {
    let text = r"
rules:
- {pattern: 'd<type=(\w+)><>Secret', name: ''}
- {pattern: 'd<type=(\w+)><>(\w+)Text: (\d+)', name: text_$2, value: $3}
- {pattern: 'd<type=(\w+)><>Word: (\w+)', name: word, value: $2}
- {pattern: 'd<type=(\w+)><>(\w+)Ratio', name: d_$2, labels: {kind: $1, '$2_x': 'v', empty: ''},
   type: GAUGE, valueFactor: 0.01, help: 'of $2'}
- {pattern: 'd<.*><>Flag', name: flag, valueFactor: 5}
- {pattern: 'never', name: never}";
    let beans = [(
        "d:type=T",
        vec![
            ("Secret", long(1)),
            ("AText", self::text("12")),
            ("BText", self::text("x")),
            ("Word", self::text("word")),
            ("HitRatio", double(50.0)),
            ("Flag", Value::Boolean(true)),
            ("Rest", long(1)),
        ],
    )];
    assert_eq!(
        twice(text, &beans),
        [r#"gauge d_Hit{Hit_x="v",kind="T"} 0.5"#, "untyped flag{} 1", "untyped text_A{} 12",]
    );
    let mut rules = Rules::new(&config(text));
    let families = scrape(&mut rules, &beans);
    assert_eq!(families[0].help, "of Hit");
    assert_eq!(families[1].help, "d:name=null,type=T,attribute=Flag");
}

#[test]
fn help_says_where_it_is_from() {
    let mut rules = Rules::new(&JmxConfig::default());
    let name = ObjectName::parse("d:type=T,name=N").unwrap();
    let described = AttributeInfo { description: "How many.".to_owned(), ..info("Count") };
    let mut scrape = rules.scrape();
    scrape.bean(&name, &[(&described, &long(1))]);
    let families = scrape.finish();
    assert_eq!(families[0].help, "How many. d:name=N,type=T,attribute=Count");
}

#[test]
fn members_have_the_description_of_their_type() {
    let described = |value: Value, text: &str| match value {
        Value::Composite { entries, .. } => {
            Value::Composite { description: Some(text.into()), entries }
        }
        other => other,
    };
    let inner = described(composite(&[("In", long(1))]), "inner type");
    let outer = described(composite(&[("Deep", inner), ("Flat", long(1))]), "outer type");
    let row = vec![
        ("key".to_owned(), text("k")),
        ("value".to_owned(), long(1)),
        ("more".to_owned(), long(1)),
    ];
    let (index, rows) = (vec!["key".to_owned()], vec![row]);
    let table = Value::Tabular { description: Some("a row".into()), index, rows };
    let same = described(composite(&[("Flat", long(1)), ("x", long(1))]), "Flat");
    let nothing = described(composite(&[("x", long(1))]), "");
    let values = [("O", outer), ("T", table), ("S", same), ("N", nothing), ("P", long(1))];
    let mut rules = Rules::new(&JmxConfig::default());
    let families = scrape(&mut rules, &[("d:type=T", values.to_vec())]);
    let help: Vec<_> = families.iter().map(|it| (it.name.as_str(), it.help.as_str())).collect();
    assert_eq!(
        help,
        [
            ("d_T_N_x", "d:name=null,type=T,attribute=x"),
            ("d_T_O_Deep_In", "inner type d:name=null,type=T,attribute=In"),
            ("d_T_O_Flat", "outer type d:name=null,type=T,attribute=Flat"),
            ("d_T_P", "d:name=null,type=T,attribute=P"),
            // What says no more than the name is left out.
            ("d_T_S_Flat", "d:name=null,type=T,attribute=Flat"),
            ("d_T_S_x", "Flat d:name=null,type=T,attribute=x"),
            ("d_T_T", "a row d:name=null,type=T,attribute=T"),
            ("d_T_T_more", "a row d:name=null,type=T,attribute=more"),
        ]
    );
}

#[test]
fn names_and_kinds_on_their_way_out() {
    let rules = |naming: &str| {
        format!(
            "
naming: {naming}
rules:
- {{pattern: '<>A', name: hits_total, type: COUNTER}}
- {{pattern: '<>B', name: misses, type: COUNTER}}
- {{pattern: '<>C', name: size_total, type: GAUGE}}
- {{pattern: '<>D', name: mixed, type: GAUGE}}
- {{pattern: '<>E', name: mixed, type: COUNTER, labels: {{x: y}}}}
- {{pattern: '<>F', name: odd, type: HISTOGRAM}}"
        )
    };
    let values = ["A", "B", "C", "D", "E", "F"].map(|name| (name, long(1)));
    let beans = [("d:type=T", values.to_vec())];
    assert_eq!(
        twice(&rules("jmx_1.x"), &beans),
        [
            "counter hits_total{} 1",
            "counter misses_total{} 1",
            "untyped mixed{} 1",
            r#"untyped mixed{x="y"} 1"#,
            "untyped odd{} 1",
            "gauge size{} 1",
        ]
    );
    assert_eq!(
        twice(&rules("jmx_0.20"), &beans),
        [
            "counter hits_total{} 1",
            "counter misses{} 1",
            "untyped mixed{} 1",
            r#"untyped mixed{x="y"} 1"#,
            "untyped odd{} 1",
            "gauge size_total{} 1",
        ]
    );
}

#[test]
fn what_has_the_same_labels_is_told_apart() {
    let text = r"rules: [{pattern: 'd<type=(\w+), n=\d><>(\w+)', name: x, labels: {t: $1}}]";
    let beans = [
        ("d:type=A,n=1", vec![("V", long(1))]),
        ("d:type=A,n=2", vec![("V", long(2))]),
        ("d:type=B,n=3", vec![("V", long(3))]),
    ];
    assert_eq!(
        twice(text, &beans),
        [
            r#"untyped x{_objectname="d<type=A, n=1><>V",t="A"} 1"#,
            r#"untyped x{_objectname="d<type=A, n=2><>V",t="A"} 2"#,
            r#"untyped x{_objectname="d<type=B, n=3><>V",t="B"} 3"#,
        ]
    );
}

#[test]
fn customizers_add_labels_and_metrics() {
    let text = "
metricCustomizers:
- mbeanFilter: {domain: d, properties: {type: T}}
  attributesAsLabels: [Mode, Missing, Size]
  extraMetrics: [{name: up, value: 1, description: is there}, {name: ok, value: true}]
- mbeanFilter: {domain: d}
  attributesAsLabels: [Size]
rules: [{pattern: 'd<type=T.*><>Size', name: size, labels: {Mode: rule}}, {}]";
    let beans = |mode| {
        [
            ("d:type=T,n=1", vec![("Mode", self::text(mode)), ("Size", long(3))]),
            ("d:type=U", vec![("Size", long(4))]),
        ]
    };
    let mut rules = Rules::new(&config(text));
    for mode in ["on", "on", "off"] {
        assert_eq!(
            lines(&scrape(&mut rules, &beans(mode))),
            [
                format!(r#"untyped d_T_ok{{Mode="{mode}",Size="3",n="1"}} 1"#),
                format!(r#"untyped d_T_up{{Mode="{mode}",Size="3",n="1"}} 1"#),
                r#"untyped d_U_Size{Size="4"} 4"#.to_owned(),
                format!(r#"untyped size{{Mode="{mode}",Size="3"}} 3"#),
            ]
        );
    }
}

#[test]
fn explanations() {
    let text = r"
rules:
- {pattern: 'd<type=T><>A: (\d)', name: a, value: $1}
- {pattern: '<>B', name: b, value: x}
- {pattern: '<>C', name: $3}
- {pattern: '<>E', name: '$0', value: 2, valueFactor: 2}
- {pattern: '<>F', name: ''}
- {pattern: '<>G', name: g}";
    let name = ObjectName::parse("d:type=T").unwrap();
    let mut rules = Rules::new(&config(text));
    let explain = |rules: &mut Rules, attribute, value: Value| {
        let mut said = rules.explain(&name, &[(&info(attribute), &value)]);
        assert_eq!(said.len(), 1);
        let Explanation { rule, outcome, .. } = said.remove(0);
        (rule.map(|hit| (hit.index, hit.line)), outcome)
    };
    let dropped = |text: &str| Explained::Dropped(text.to_owned());
    let sample =
        |name: &str, value| Explained::Sample { name: name.to_owned(), labels: Vec::new(), value };
    let cases = [
        ("A", long(5), Some((0, 3)), sample("a", 5.0)),
        ("A", self::text("x"), None, dropped("no rule fits")),
        ("B", long(1), Some((1, 4)), dropped("the rule's value `x` is no number")),
        ("C", long(1), Some((2, 5)), dropped("name: `$3`: the pattern has no such group")),
        ("E", long(1), Some((3, 6)), sample("d_type_T_E:_1", 4.0)),
        ("F", long(1), Some((4, 7)), dropped("the rule's name is empty")),
        (
            "G",
            self::text("x"),
            Some((5, 8)),
            dropped("a text is no number, and the rule has no value"),
        ),
        ("H", long(1), None, dropped("no rule fits")),
    ];
    for (attribute, value, rule, outcome) in cases {
        assert_eq!(explain(&mut rules, attribute, value), (rule, outcome), "{attribute}");
    }
    // A group that is not there is worth a warning, no more.
    assert_eq!(config(text).warnings.len(), 1);
    assert!(config(text).warnings[0].contains("rules[2].name"), "{:?}", config(text).warnings);
}

#[test]
fn a_pattern_that_does_not_compile_is_said_with_its_line() {
    let none: &[(&str, &str)] = &[];
    let error = JmxConfig::parse("rules:\n- name: x\n  pattern: '(a'\n", &none).unwrap_err();
    assert_eq!((error.line, error.key.as_deref()), (Some(3), Some("rules[0].pattern")));
    assert_eq!(error.message, "a group is not closed");
}

#[test]
fn endless_texts_are_cut() {
    let text = r"rules: [{pattern: '<>A: (.*)', name: a, value: 1, labels: {l: $1}, help: $1}]";
    let mut rules = Rules::new(&config(text));
    let beans = [("d:type=T", vec![("A", self::text(&"\u{e9}".repeat(100_000)))])];
    let families = scrape(&mut rules, &beans);
    assert_eq!(families[0].help.len(), 4096);
    assert_eq!(families[0].samples[0].0.as_str().len(), 4096 + r#"l="""#.len());
    assert_eq!(rules.counters().cut_texts, 2);
}
