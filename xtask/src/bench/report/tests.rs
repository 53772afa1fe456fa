use super::{HEAD, Report, Section, replace, thousands};

#[test]
fn a_part_replaces_only_itself() {
    let one = replace(HEAD, "one", "1\n");
    let both = replace(&one, "two", "2\n");
    let again = replace(&both, "one", "3\n");
    assert_eq!(
        again,
        format!(
            "{HEAD}\n<!-- one: begin -->\n3\n<!-- one: end -->\n\n\
             <!-- two: begin -->\n2\n<!-- two: end -->\n"
        )
    );
}

#[test]
fn a_report_is_markdown() {
    let mut report = Report::new("proxy", vec!["CPU: one".into()]);
    report.at_most("CPU", 0.5, 0.25, "");
    report.at_least("speed", 1.5, 1.0, "×");
    let mut section = Section::new("Figures", &["workload", "µs"]);
    section.note("Lower is better.");
    section.row(["get".to_owned(), "1.25".to_owned()]);
    report.add(section);
    let expected = "\
## proxy

- CPU: one

### Bars

| what  |  limit | found |         met |
| ----- | -----: | ----: | ----------: |
| CPU   |  ≤ 0.5 |  0.25 |         met |
| speed | ≥ 1.5× | 1.00× | **not met** |

### Figures

Lower is better.

| workload |   µs |
| -------- | ---: |
| get      | 1.25 |
";
    assert_eq!(report.markdown(), expected);
}

#[test]
fn thousands_have_commas() {
    for (number, text) in [(0.0, "0"), (999.6, "1,000"), (1_234_567.0, "1,234,567")] {
        assert_eq!(thousands(number), text);
    }
}
