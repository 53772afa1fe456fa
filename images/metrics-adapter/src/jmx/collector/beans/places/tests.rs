use std::time::{Duration, Instant};

use super::Places;

fn wanted(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("Attribute{number}")).collect()
}

#[test]
fn in_any_order_and_once() {
    let wanted = wanted(30);
    let mut places = Places::new(&wanted);
    for (name, place) in [
        (0, Some(0)),
        (2, Some(2)),
        (29, Some(29)),
        (1, Some(1)),
        (2, None),
        (3, Some(3)),
        (99, None),
        (3, None),
        (4, Some(4)),
    ] {
        assert_eq!(places.find(&format!("Attribute{name}")), place, "{name}");
    }
    assert_eq!(Places::new(&[]).find("X"), None);
}

#[test]
fn a_large_answer_the_wrong_way_round_is_no_work() {
    // Ten thousand million comparisons, were they all made.
    let wanted = wanted(100_000);
    let mut places = Places::new(&wanted);
    let start = Instant::now();
    for (at, name) in wanted.iter().enumerate().rev() {
        assert_eq!(places.find(name), Some(at));
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
