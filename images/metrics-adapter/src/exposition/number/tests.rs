use proptest::prelude::*;

use super::*;

fn text(write: fn(&mut Vec<u8>, f64), value: f64) -> String {
    let mut out = b"<".to_vec();
    write(&mut out, value);
    String::from_utf8(out).unwrap().split_off(1)
}

#[test]
fn numbers_are_those_of_go() {
    let table = [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.0, "-1"),
        (10.0, "10"),
        (999_999.0, "999999"),
        (-999_999.0, "-999999"),
        (999_999.5, "999999.5"),
        (1e6, "1e+06"),
        (-1e6, "-1e+06"),
        (1_234_567.0, "1.234567e+06"),
        (1_234_567.5, "1.2345675e+06"),
        (120_000_000.0, "1.2e+08"),
        (9_007_199_254_740_991.0, "9.007199254740991e+15"),
        (9_007_199_254_740_992.0, "9.007199254740992e+15"),
        (1e16, "1e+16"),
        (1e21, "1e+21"),
        (1e100, "1e+100"),
        (f64::MAX, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
        (0.5, "0.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (-2.25, "-2.25"),
        (0.001, "0.001"),
        (0.0001, "0.0001"),
        (0.000_123, "0.000123"),
        (0.000_099, "9.9e-05"),
        (0.000_01, "1e-05"),
        (1.5e-7, "1.5e-07"),
        (123_456.789, "123456.789"),
        (f64::NAN, "NaN"),
        (-f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
    ];
    for (value, expected) in table {
        assert_eq!(text(push, value), expected);
    }
}

#[test]
fn floats_of_open_metrics_show_that_they_are() {
    let table = [
        (0.0, "0.0"),
        (1.0, "1.0"),
        (-10.0, "-10.0"),
        (0.5, "0.5"),
        (1e6, "1e+06"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
    ];
    for (value, expected) in table {
        assert_eq!(text(push_float, value), expected);
    }
}

#[test]
fn counts_are_whole_when_they_are() {
    let table = [
        (0.0, "0"),
        (100.0, "100"),
        (1e6, "1000000"),
        (12_345_678_901.0, "12345678901"),
        (2.5, "2.5"),
        (1e16, "1e+16"),
    ];
    for (value, expected) in table {
        assert_eq!(text(push_count, value), expected);
    }
}

proptest! {
    #[test]
    fn numbers_read_back_alike(bits: u64, whole in 0..(1_u64 << 53), power in -8..9) {
        let scaled = whole as f64 * 10_f64.powi(power);
        for value in [f64::from_bits(bits), whole as f64, scaled, -scaled] {
            if value.is_finite() {
                for write in [push, push_float, push_count] {
                    prop_assert_eq!(text(write, value).parse::<f64>().unwrap(), value);
                }
            }
        }
        prop_assert_eq!(text(|out, bits| out.extend(decimal(&mut [0; 20], bits.to_bits())), f64::from_bits(bits)), bits.to_string());
    }
}
