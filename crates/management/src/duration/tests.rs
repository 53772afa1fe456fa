//! Forms taken and refused.

use super::*;

#[test]
fn reads_units_and_sums() {
    let cases = [
        ("150ms", 150_000),
        ("2s", 2_000_000),
        ("1.5s", 1_500_000),
        ("1m", 60_000_000),
        ("1m30s", 90_000_000),
        ("10us", 10),
        ("0s", 0),
        ("1d", 86_400_000_000),
    ];
    for (text, micros) in cases {
        assert_eq!(parse(text), Ok(Duration::from_micros(micros)), "{text}");
        let again = format(Duration::from_micros(micros));
        assert_eq!(parse(&again), Ok(Duration::from_micros(micros)), "{again}");
    }
}

#[test]
fn refuses_what_has_no_unit_or_no_sense() {
    for text in ["", "5", "s", "5 s", "-1s", "1.s", ".5s", "1w", "5ms3", "1e3s", "99999999999999d"]
    {
        assert_eq!(parse(text), Err(DurationError), "{text}");
    }
}
