use super::*;
#[test]
fn smoke() {
    let m = Mapping::parse("mappings:\n- match: a.*\n  name: b_$1\n  labels: {on: '$1', xx: 010}\n  honor_labels: yes\n").unwrap();
    println!("{:?}", m.find("a.c", MetricType::Counter));
    for bad in [
        "mappings:\n- match: a.*\n  nam: b\n",
        "mappings:\n- match: a.*\n  name: b\n  name: c\n",
        "a: [",
        "mappings: 3",
        "mappings:\n- 3",
        "mappings:\n- match: [a]\n  name: b",
        "- a",
        "x",
        "mappings:\n-\n-\n",
        "mappings:\n- name: a\n  match_type: regex\n  match: 'a(b'",
    ] {
        println!("{bad:?} {:?}", Mapping::parse(bad).map(|_| ()));
    }
}
