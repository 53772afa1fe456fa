use super::Counts;

#[test]
fn a_summary_line_is_counted() {
    let line = "test result: FAILED. 12 passed; 2 failed; 3 ignored; 0 measured; 7 filtered out; \
                finished in 0.01s";
    assert_eq!(Counts::parse(line), Some(Counts { passed: 12, failed: 2, skipped: 3 }));
}

#[test]
fn other_lines_are_not() {
    for line in ["", "test a ... ok", "test result: ok", "test result: ok. x passed; 0 failed; "] {
        assert_eq!(Counts::parse(line), None, "{line:?}");
    }
}

#[test]
fn a_sum_is_told_in_one_line() {
    let sum = Counts { passed: 1, failed: 0, skipped: 2 }.plus(Counts {
        passed: 3,
        failed: 4,
        skipped: 0,
    });
    assert_eq!(sum.to_string(), "4 passed, 4 failed, 2 skipped");
}
