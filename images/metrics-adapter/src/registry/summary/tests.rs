use super::*;

fn summary(buf_cap: u32) -> Summary {
    let options = SummaryOptions {
        quantiles: vec![(0.0, 0.01), (1.0, 0.01)],
        max_age: Duration::from_secs(50),
        age_buckets: 5,
        buf_cap,
    };
    Summary::new(Arc::new(checked(&options)), 0)
}

fn ends(summary: &Summary, now: Seconds) -> Option<(f64, f64)> {
    let mut scratch = Scratch::default();
    let [(_, low), (_, high)] = summary.quantiles(now, &mut scratch) else { panic!("two") };
    (!low.is_nan()).then_some((*low, *high))
}

#[test]
fn the_window_slides_by_its_parts() {
    for buf_cap in [1, 2, 500] {
        let mut summary = summary(buf_cap);
        for (second, value) in [(0, 1.0), (9, 2.0), (10, 3.0), (25, 4.0), (49, 5.0)] {
            summary.observe(value, 1.0, second, true);
        }
        let table = [
            (49, Some((1.0, 5.0))),
            (50, Some((3.0, 5.0))),
            (59, Some((3.0, 5.0))),
            (60, Some((4.0, 5.0))),
            (69, Some((4.0, 5.0))),
            (70, Some((5.0, 5.0))),
            (89, Some((5.0, 5.0))),
            (90, None),
            (1_000_000, None),
        ];
        for (now, expected) in table {
            assert_eq!(ends(&summary, now), expected, "second {now}, buffer of {buf_cap}");
        }
        // Asking has changed nothing, and what is begun anew takes what comes.
        summary.observe(9.0, 1.0, 62, true);
        assert_eq!(ends(&summary, 62), Some((4.0, 9.0)));
        summary.observe(8.0, 1.0, 4_000_000, true);
        assert_eq!(ends(&summary, 4_000_000), Some((8.0, 8.0)));
        assert_eq!((summary.sum(), summary.count()), (32.0, 7.0));
    }
}

#[test]
fn a_clock_that_goes_back_spoils_nothing() {
    let mut summary = summary(2);
    for second in [100, 40, 0, 101] {
        summary.observe(1.0, 1.0, second, true);
    }
    assert_eq!(ends(&summary, 50), Some((1.0, 1.0)));
    assert_eq!(summary.count(), 4.0);
}

#[test]
fn memory_grows_with_what_comes_only() {
    let mut summary = summary(500);
    assert_eq!(summary.bytes(), 0);
    summary.observe(1.0, 1.0, 0, true);
    assert!(summary.bytes() <= 64);
    for at in 0..100_000 {
        let before = summary.bytes();
        let told = summary.observe(f64::from(at % 1_009), 1.0, at / 1_000, true);
        assert!(told || summary.bytes() == before);
    }
    assert!(summary.bytes() < 200_000, "{}", summary.bytes());
}

#[test]
fn options_are_made_good() {
    let given = SummaryOptions {
        quantiles: vec![(0.9, 0.1), (0.5, 0.1), (0.9, 0.2), (2.0, 0.1), (f64::NAN, 0.1)],
        max_age: Duration::ZERO,
        age_buckets: 0,
        buf_cap: u32::MAX,
    };
    let good = SummaryOptions {
        quantiles: vec![(0.5, 0.1), (0.9, 0.1)],
        max_age: Duration::from_secs(600),
        age_buckets: 5,
        buf_cap: BUF_CAP_MAX,
    };
    assert_eq!(checked(&given), good);
    let none = SummaryOptions { quantiles: Vec::new(), ..good };
    let mut summary = Summary::new(Arc::new(none), 0);
    summary.observe(2.0, 3.0, 0, true);
    assert_eq!((summary.sum(), summary.count(), summary.bytes()), (6.0, 3.0, 0));
    assert_eq!(summary.quantiles(0, &mut Scratch::default()), []);
}
