//! Mapping files with what they make of names.
//!
//! A question is a kind (`c`, `g`, `o`) and a name; an answer is the metric as it would stand on
//! the page, `drop` before it where the rule discards, or `-` where no rule matches.

use proptest::prelude::*;

use super::*;

mod files;
mod refused;
mod settings;

fn mapping(text: &str) -> Mapping {
    match Mapping::parse(text) {
        Ok(mapping) => mapping,
        Err(error) => panic!("{error:?} in\n{text}"),
    }
}

fn answer(mapping: &Mapping, question: &str) -> String {
    let (kind, name) = question.split_once(' ').unwrap();
    let kind = match kind {
        "c" => MetricType::Counter,
        "g" => MetricType::Gauge,
        _ => MetricType::Observer,
    };
    let Some(found) = mapping.find(name, kind) else { return "-".to_owned() };
    let labels: Vec<String> = found.labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
    let labels =
        if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let drop = if found.rule.action == Action::Drop { "drop " } else { "" };
    format!("{drop}{}{labels}", found.name)
}

/// `pattern -> name; label: value; …` a line, as a file.
fn rules(lines: &str) -> String {
    let mut text = "mappings:\n".to_owned();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let (pattern, name) = line.split_once("->").unwrap();
        text += &format!("- match: '{}'\n  name: '{}'\n", pattern.trim(), name.trim());
    }
    text
}

#[test]
fn the_first_of_many_rules_wins_as_if_they_were_tried_one_by_one() {
    proptest!(|(
        patterns in prop::collection::vec("(\\*|[ab]|a\\*)(\\.(\\*|[ab]|a\\*|\\*b)){0,3}", 1..12),
        names in prop::collection::vec("[ab]{1,2}(\\.[ab]{0,2}){0,3}", 1..12),
    )| {
        let lines: Vec<String> =
            patterns.iter().enumerate().map(|(at, pattern)| format!("{pattern} -> r{at}")).collect();
        let ordered = mapping(&rules(&lines.join("\n")));
        let loose = mapping(&format!(
            "defaults: {{glob_disable_ordering: true}}\n{}", rules(&lines.join("\n"))
        ));
        for name in &names {
            let matches = |pattern: &String| {
                let (pattern, name) = (pattern.split('.'), name.split('.'));
                pattern.clone().count() == name.clone().count()
                    && pattern.zip(name).all(|(pattern, text)| match pattern.split_once('*') {
                        None => pattern == text,
                        Some((before, after)) => {
                            text.strip_prefix(before).is_some_and(|rest| rest.ends_with(after))
                        }
                    })
            };
            let expected = patterns.iter().position(matches);
            let expected = expected.map_or("-".to_owned(), |at| format!("r{at}"));
            prop_assert_eq!(&answer(&ordered, &format!("c {name}")), &expected);
            // Without an order another rule may win, but one does.
            let found = answer(&loose, &format!("c {name}"));
            prop_assert_eq!(found == "-", expected == "-");
            if let Some(at) = found.strip_prefix('r') {
                prop_assert!(matches(&patterns[at.parse::<usize>().unwrap()]));
            }
        }
    });
}

#[test]
fn a_rule_that_cannot_match_is_warned_of() {
    let warned = |text: &str| -> Vec<(u64, String)> {
        let warnings = mapping(text).warnings();
        warnings.into_iter().map(|warning| (warning.line, warning.message)).collect()
    };
    let shadowed = rules("a.* -> x\na.b -> y\nb.* -> z");
    assert_eq!(
        warned(&shadowed),
        [(4, "`a.b` never matches: `a.*` in line 2 takes all of it".to_owned())]
    );
    assert_eq!(warned(&format!("defaults: {{glob_disable_ordering: on}}\n{shadowed}")), []);
    assert_eq!(warned(&rules("a*.x -> x\nab.x -> y")).len(), 1);
    assert_eq!(warned(&rules("a.b -> x\na.b -> y")).len(), 1);
    assert_eq!(warned(&rules("a.b -> x\na.* -> y")), []);
    let kinds =
        "mappings:\n- {match: a.*, name: x, match_metric_type: gauge}\n- {match: a.b, name: y}";
    assert_eq!(warned(kinds), []);
    let reference = "mappings:\n- {match: a.*, name: x_$1_y, labels: {ab: $2}}";
    let empty = |what: &str| (2, format!("`{what}` refers to nothing and becomes empty"));
    assert_eq!(warned(reference), [empty("$2"), empty("$1_y")]);
    let ttl = "defaults:\n  ttl: 30\n";
    assert_eq!(warned(ttl), [(2, "a ttl of `30` without a unit is nanoseconds".to_owned())]);
    let twice = "mappings:\n- {match: a, name: x, match_type: regex}\n- {match: a, name: y, match_type: regex}";
    assert_eq!(warned(twice).len(), 1);
}

#[test]
fn rules_say_what_was_written() {
    let text = "mappings:\n- match: a.*\n  name: x_$1\n  labels: {zz: $1, aa: b}\n\n- match: b(.*)\n  match_type: regex\n  match_metric_type: gauge\n  name: y";
    let mapping = mapping(text);
    let [first, second] = mapping.rules() else { panic!("two rules") };
    assert_eq!((first.pattern.as_str(), first.line, first.match_type), ("a.*", 2, MatchType::Glob));
    assert_eq!(first.name_template(), "x_$1");
    assert_eq!(first.label_templates().collect::<Vec<_>>(), [("aa", "b"), ("zz", "$1")]);
    assert_eq!((second.line, second.match_type), (6, MatchType::Regex));
    assert_eq!(second.metric_type, Some(MetricType::Gauge));
}

#[test]
fn a_deep_pattern_has_an_end() {
    let deep = vec!["a"; 2000].join(".");
    assert_eq!(answer(&mapping(&rules(&format!("{deep} -> x"))), &format!("c {deep}")), "x");
    let deeper = vec!["a"; 3000].join(".");
    assert!(Mapping::parse(&rules(&format!("{deeper} -> x"))).is_err());
    assert!(Mapping::parse(&"#".repeat(5 << 20)).is_err());
}

proptest! {
    #[test]
    fn no_file_panics(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "mappings:", "\n", "- ", "  ", "match: ", "name: ", "a.*", "$1", "${1}", "labels: ", "{", "}",
            "[", "]", ", ", "ab: ", "ttl: ", "10m", "buckets: ", "1", ".inf", "defaults:", "match_type: ",
            "regex", "(", ")", "*", "&a ", "*a", "<<: ", "'", "\"", "~", "quantiles: ", "scale: ", "nan",
            "summary_options: ", "histogram_options: ", "observer_type: ", "histogram",
        ]), 0..40),
        name in "[a.*$-]{0,8}",
    ) {
        if let Ok(mapping) = Mapping::parse(&tokens.concat()) {
            let _ = (mapping.find(&name, MetricType::Gauge), mapping.warnings());
        }
    }

    #[test]
    fn no_template_panics(source in "[$a1{}_é% ]{0,12}", name in "[ab]\\.[ab]") {
        let text = format!("mappings:\n- match: '*.*'\n  name: x\n  labels: {{ab: '{source}'}}\n");
        let glob = mapping(&text);
        let regex = text.replace("match: '*.*'", "match: '(.)(?P<a>.)?'\n  match_type: regex");
        prop_assert!(mapping(&regex).find(&name, MetricType::Counter).is_some());
        if !source.contains('$') {
            let found = glob.find(&name, MetricType::Counter).unwrap();
            prop_assert_eq!(&found.labels[0].1, &source);
        }
    }

    #[test]
    fn a_pattern_of_go_compiles_or_is_refused(pattern in "[a\\\\dwsbQE\\[\\]^:&~<>{}0-9,.*+?()|-]{0,12}") {
        if let Ok(regex) = pattern::compile(&pattern) {
            regex.is_match("a.b");
        }
    }
}
