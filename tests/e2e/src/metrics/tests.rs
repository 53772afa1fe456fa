use super::{encoded, size, value_of};

#[test]
fn queries_are_encoded() {
    assert_eq!(encoded("sum(a_b{c=\"d\"}[1m])"), "sum%28a_b%7Bc%3D%22d%22%7D%5B1m%5D%29");
}

#[test]
fn sizes_as_docker_tells_them() {
    for (text, bytes) in
        [("0B", Some(0)), ("1.5KiB", Some(1536)), ("12MiB", Some(12 << 20)), ("12MB", None)]
    {
        assert_eq!(size(text), bytes, "{text}");
    }
}

#[test]
fn series_of_a_page() {
    let page = "# HELP a x\na_total{b=\"c\"} 12\na_total 3.5\n";
    assert_eq!(value_of(page, "a_total{b=\"c\"}"), Some(12.0));
    assert_eq!(value_of(page, "a_total"), Some(3.5));
    assert_eq!(value_of(page, "a"), None);
}
