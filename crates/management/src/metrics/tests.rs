//! The form of the page.

use super::*;

#[test]
fn values_follow_the_text_format() {
    let mut page = Page::default();
    page.family("mgmt_check_passing");
    page.value(&["a\"b\\c\nd", "true"], 1.0);
    page.single("process_threads", 3.0);
    let lines: Vec<&str> = page.text.lines().collect();
    assert_eq!(lines[1], "# TYPE mgmt_check_passing gauge");
    assert_eq!(lines[2], r#"mgmt_check_passing{check="a\"b\\c\nd",critical="true"} 1"#);
    assert_eq!(lines[5], "process_threads 3");
}

#[test]
fn names_are_unique_and_end_as_they_should() {
    for (index, metric) in METRICS.iter().enumerate() {
        assert!(METRICS[..index].iter().all(|other| other.name != metric.name));
        assert_eq!(metric.kind == "counter", metric.name.ends_with("_total"), "{}", metric.name);
    }
}
