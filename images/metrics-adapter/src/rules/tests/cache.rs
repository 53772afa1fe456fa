//! What is kept between scrapes changes nothing but the work.

use proptest::prelude::*;

use super::*;

/// Families of one scrape by rules that know nothing yet.
fn afresh(config: &JmxConfig, beans: &[Given]) -> Vec<Family> {
    scrape(&mut Rules::new(config), beans)
}

fn evaluations(rules: &mut Rules, beans: &[Given]) -> u64 {
    let before = rules.counters().evaluations;
    let _ = scrape(rules, beans);
    rules.counters().evaluations - before
}

#[test]
fn what_ignores_the_value_is_evaluated_once() {
    let cases = [
        (r"{pattern: 'd<type=(\w+)><>(\w+)', name: '$1_$2'}", 0),
        (r"{pattern: 'd<type=(\w+)><>(\w+):', name: '$1_$2'}", 0),
        ("{pattern: 'd<.+><>A', name: a}", 0),
        ("{pattern: 'd<.*><>A.*', name: a}", 0),
        (r"{pattern: 'd<type=(\w+)>.*', name: '$1'}", 0),
        ("{}", 0),
        ("{pattern: '.*'}", 0),
        (r"{pattern: 'd<type=(\w+)><>A: (.*)', name: a, cache: true}", 0),
        // The value decides whether it fits, or what is captured.
        (r"{pattern: 'A: (\d+)', name: a}", 1),
        (r"{pattern: '(\w+)', name: '$1'}", 1),
        ("{pattern: 'd<type=(.+)', name: '$1'}", 1),
        (r"{pattern: 'A: 1', name: a}", 1),
        ("{pattern: '^', name: 'x_$0'}", 1),
        ("{pattern: '^', name: 'x_$0', cache: true}", 0),
        // The text is compared with more than an automaton can do.
        (r"{pattern: 'd<(?!type=U).*A', name: a}", 1),
        (r"{pattern: 'd<(?!type=U).*B', name: a}", 0),
    ];
    for (rule, expected) in cases {
        let mut rules = Rules::new(&config(&format!("rules: [{rule}]")));
        let beans = |value| [("d:type=T", vec![("A", long(value))])];
        assert_eq!(evaluations(&mut rules, &beans(1)), 1, "{rule}");
        assert_eq!(evaluations(&mut rules, &beans(27)), expected, "{rule}");
        assert_eq!(evaluations(&mut rules, &beans(-3)), expected, "{rule}");
    }
}

#[test]
fn an_earlier_rule_that_may_fit_another_value_is_asked_again() {
    let text = "rules: [{pattern: 'A: 2', name: two}, {pattern: '<>A', name: other}]";
    let mut rules = Rules::new(&config(text));
    for (value, name) in [(1, "other"), (2, "two"), (3, "other"), (2, "two")] {
        let families = scrape(&mut rules, &[("d:type=T", vec![("A", long(value))])]);
        assert_eq!(families[0].name, name, "{value}");
    }
}

#[test]
fn what_shows_the_whole_match_string_shows_the_value() {
    let cases = [
        ("{pattern: '><', name: 'x_$0'}", 1),
        ("{pattern: '><', name: x, labels: {l: '$0'}}", 1),
        ("{pattern: '><', name: x, labels: {'$0': l}}", 1),
        ("{pattern: '><', name: x, help: '$0'}", 1),
        ("{pattern: '><', name: x, help: '$0', cache: true}", 0),
        ("{pattern: '(>)<', name: x, help: '$1'}", 0),
    ];
    for (rule, expected) in cases {
        let config = config(&format!("rules: [{rule}]"));
        let mut rules = Rules::new(&config);
        for (scrape, value) in [1, 0, 0].into_iter().enumerate() {
            let beans = [("d:type=T", vec![("A", long(value))])];
            let before = rules.counters().evaluations;
            assert_eq!(self::scrape(&mut rules, &beans), afresh(&config, &beans), "{rule}");
            let evaluations = rules.counters().evaluations - before;
            assert_eq!(evaluations, if scrape == 0 { 1 } else { expected }, "{rule}");
        }
    }
}

#[test]
fn a_value_that_may_end_where_it_begins_is_looked_at() {
    let text = "rules: [{pattern: 'A: [a-z]*$', name: word}, {pattern: '<>A', name: other}]";
    let mut rules = Rules::new(&config(text));
    for (value, name) in [(long(1), "other"), (Value::Boolean(true), "word"), (long(2), "other")] {
        let families = scrape(&mut rules, &[("d:type=T", vec![("A", value)])]);
        assert_eq!(families[0].name, name);
    }
}

#[test]
fn a_place_may_change_what_it_holds() {
    let text =
        r"rules: [{pattern: 'A: (up|down)', name: state, value: 1}, {pattern: '<>A', name: a}]";
    let mut rules = Rules::new(&config(text));
    for (value, expected) in [
        (long(1), "untyped a{} 1"),
        (self::text("up"), "untyped state{} 1"),
        (self::text("up"), "untyped state{} 1"),
        (Value::Boolean(true), "untyped a{} 1"),
        (double(2.5), "untyped a{} 2.5"),
        (self::text("down"), "untyped state{} 1"),
    ] {
        let beans = [("d:type=T", vec![("A", value)])];
        assert_eq!(lines(&scrape(&mut rules, &beans)), [expected]);
    }
    // A text that no rule makes a number of.
    let beans = [("d:type=T", vec![("A", self::text("sideways"))])];
    assert_eq!(lines(&scrape(&mut rules, &beans)), [""; 0]);
}

#[test]
fn what_has_gone_is_forgotten() {
    let mut rules = Rules::new(&JmxConfig::default());
    let many: Vec<Given> = vec![
        ("d:type=A", vec![("X", long(1)), ("Y", long(2))]),
        ("d:type=B", vec![("X", long(1))]),
    ];
    let _ = scrape(&mut rules, &many);
    assert_eq!(rules.counters().plans, 3);
    let _ = scrape(&mut rules, &[("d:type=A", vec![("Y", long(2))])]);
    assert_eq!((rules.counters().plans, rules.beans.len()), (1, 1));
    let _ = scrape(&mut rules, &[]);
    assert_eq!((rules.counters().plans, rules.beans.len(), rules.names.len()), (0, 0, 0));
}

#[test]
fn cached_beans_are_counted_as_the_original_does() {
    let text = "rules: [{pattern: '<>A', name: a, cache: true}, {pattern: '<>B', name: b}]";
    let mut rules = Rules::new(&config(text));
    let beans = [("d:type=T", vec![("A", long(1)), ("B", long(1)), ("C", long(1))])];
    for _ in 0..2 {
        let _ = scrape(&mut rules, &beans);
        assert_eq!(rules.counters().cached_beans, 2);
    }
}

/// Patterns from the pieces that rule files are made of, and from pieces that look at values.
fn pattern() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("d"),
        Just("<type=(\\w+)"),
        Just("(.+)"),
        Just(".*"),
        Just(", n=(.*)"),
        Just("><"),
        Just("<>"),
        Just("(\\w+)"),
        Just("A"),
        Just(": "),
        Just("(\\d+)"),
        Just("1"),
        Just("$"),
        Just("^"),
        Just("(?:A|B)"),
        Just("(|x)"),
        Just("\\b"),
        Just("(?!1)"),
        Just("(.)\\1"),
        Just("B+?"),
        Just("[^:]*"),
        Just("(a|tru)e"),
        Just("\\S+"),
        Just("|"),
        Just("(?:1|\\.)?"),
        Just("(?=A)"),
        Just("\\W"),
        Just(".*?"),
        Just("E-?(\\d)"),
        Just("<cache>"),
        Just("\\s"),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn rule() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just(None), Just(Some("fixed")), Just(Some("x_$0")), Just(Some("y_$1"))];
    let value = prop_oneof![4 => Just(""), 1 => Just("2"), 1 => Just("$1"), 1 => Just("$0")];
    let flags = (any::<bool>(), proptest::bool::weighted(0.2));
    (proptest::option::weighted(0.9, pattern()), name, value, flags).prop_map(
        |(pattern, name, value, (snake, cache))| {
            let mut keys = vec![format!("attrNameSnakeCase: {snake}"), format!("cache: {cache}")];
            let has_pattern = pattern.is_some();
            keys.extend(pattern.map(|text| format!("pattern: '{text}'")));
            if !value.is_empty() {
                keys.push(format!("value: '{value}'"));
            }
            if let (Some(name), true) = (name, has_pattern) {
                keys.push(format!("name: {name}, labels: {{l: '{name}'}}"));
            }
            format!("- {{{}}}\n", keys.join(", "))
        },
    )
}

fn value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![Just("A"), Just("1"), Just("x: 1"), Just("a\nb"), Just("é"), Just("")];
    let scalar = prop_oneof![
        (-20i64..20).prop_map(long),
        any::<i64>().prop_map(long),
        any::<f64>().prop_map(double),
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(0.1)].prop_map(double),
        any::<bool>().prop_map(Value::Boolean),
        word.prop_map(text),
        Just(Value::Null),
        Just(Value::Number(Number::Big("12345678901234567890".to_owned()))),
        Just(Value::Number(Number::Big("odd: 1".to_owned()))),
        (-9i64..9999).prop_map(Value::Date),
    ];
    prop_oneof![
        6 => scalar.clone(),
        1 => (scalar.clone(), scalar.clone()).prop_map(|(a, b)| composite(&[("A", a), ("value", b)])),
        1 => (scalar.clone(), scalar.clone(), scalar).prop_map(|(a, b, c)| Value::Tabular {
            description: None,
            index: vec!["type".to_owned()],
            rows: vec![
                vec![("type".to_owned(), a), ("Value".to_owned(), b.clone())],
                vec![("type".to_owned(), b), ("A".to_owned(), c)],
            ],
        }),
    ]
}

fn beans() -> impl Strategy<Value = Vec<Given>> {
    const NAMES: [&str; 4] =
        ["d:type=T", "d:type=A,n=1", "e:n=\"d<type=T><>A: 1\"", "d:type=dA1,n=x"];
    let attributes = proptest::collection::btree_map(
        prop_oneof![Just("A"), Just("myB"), Just("odd\u{1}"), Just("line\nend"), Just("AA")],
        value(),
        0..4,
    );
    proptest::collection::btree_map(
        prop_oneof![Just(0), Just(1), Just(2), Just(3usize)],
        attributes,
        0..4,
    )
    .prop_map(|beans| {
        let bean = |(index, attributes): (usize, std::collections::BTreeMap<_, _>)| {
            (NAMES[index], attributes.into_iter().collect())
        };
        beans.into_iter().map(bean).collect()
    })
}

/// Families with not-a-number made comparable.
fn comparable(families: &[Family]) -> String {
    format!("{families:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever rules have learnt, a scrape gives what rules give that know nothing.
    #[test]
    fn what_is_kept_changes_nothing(
        rules in proptest::collection::vec(rule(), 0..5),
        scrapes in proptest::collection::vec(beans(), 1..5),
        naming in prop_oneof![Just("jmx_1.x"), Just("jmx_0.20")],
    ) {
        let file = format!("naming: {naming}\nrules:{}\n{}",
            if rules.is_empty() { " []" } else { "" }, rules.concat());
        let none: &[(&str, &str)] = &[];
        // What cannot be compiled (a star after an anchor, …) is no subject here.
        let Ok(config) = JmxConfig::parse(&file, &none) else { return Ok(()) };
        let mut known = Rules::new(&config);
        for beans in &scrapes {
            let expected = comparable(&afresh(&config, beans));
            let found = comparable(&scrape(&mut known, beans));
            prop_assert_eq!(found, expected, "{}", file);
        }
        // Once more with all that is known.
        for beans in &scrapes {
            let expected = comparable(&afresh(&config, beans));
            let found = comparable(&scrape(&mut known, beans));
            prop_assert_eq!(found, expected, "{}", file);
        }
    }
}
