use std::time::Duration;

use super::{Options, duration};

#[test]
fn durations_carry_their_unit() {
    assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
    assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
    assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
    for wrong in ["", "m", "10", "0s", "1.5m", "-1s", "10µ"] {
        assert!(duration(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_part_of_the_results_is_not_written() {
    let whole = Options::default();
    assert!(whole.document().is_some());
    let part = Options { only: vec!["cpu".into()], ..Options::default() };
    assert_eq!(part.document(), None);
    let short = Options { soak: Some(Duration::from_secs(60)), ..Options::default() };
    assert_eq!(short.document(), None);
    assert!(part.wants("cpu", "get-1") && !part.wants("memory", "idle"));
}
