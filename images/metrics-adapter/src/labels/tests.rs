use super::*;

#[test]
fn what_is_rendered_is_read_back() {
    let given = [("a", "x"), ("b", "q\"\\\n,=\""), ("c", ""), ("d", "ä\\")];
    let labels = Labels::new(given);
    assert_eq!(labels.as_str(), "a=\"x\",b=\"q\\\"\\\\\\n,=\\\"\",c=\"\",d=\"ä\\\\\"");
    let back: Vec<(&str, String)> = labels.pairs().map(|(n, v)| (n, v.into_owned())).collect();
    assert_eq!(back, given.map(|(name, value)| (name, value.to_owned())));
    assert_eq!(Labels::default().pairs().count(), 0);
}
