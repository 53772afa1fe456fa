use proptest::prelude::*;

use super::text::{big_decimal, big_integer, double, float};
use super::{Number, Value};

#[test]
fn doubles_read_as_in_java() {
    for (value, text) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (7.0, "7.0"),
        (-12.5, "-12.5"),
        (0.001, "0.001"),
        (0.012_5, "0.0125"),
        (9.99e-4, "9.99E-4"),
        (1.5e-7, "1.5E-7"),
        (9_999_999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (1e10, "1.0E10"),
        (123_456_789.125, "1.23456789125E8"),
        (2e23, "2.0E23"),
        (4.9e-324, "4.9E-324"),
        (1e-323, "9.9E-324"),
        (f64::MAX, "1.7976931348623157E308"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
        (100.0, "100.0"),
        (0.1 + 0.2, "0.30000000000000004"),
    ] {
        assert_eq!(double(value), text);
    }
}

#[test]
fn floats_read_as_in_java() {
    for (value, text) in [
        (0.1, "0.1"),
        (1e10, "1.0E10"),
        (16_777_216.0, "1.6777216E7"),
        (1.4e-45, "1.4E-45"),
        (f32::NEG_INFINITY, "-Infinity"),
        (-3.5, "-3.5"),
    ] {
        assert_eq!(float(value), text);
    }
}

#[test]
fn big_numbers_read_as_in_java() {
    let ten_to_twenty = 100_000_000_000_000_000_000_u128.to_be_bytes();
    assert_eq!(big_integer(true, &ten_to_twenty).unwrap(), "-100000000000000000000");
    assert_eq!(big_integer(false, &[]).unwrap(), "0");
    assert_eq!(big_integer(false, &[0, 0, 255]).unwrap(), "255");
    assert_eq!(big_integer(false, &vec![1; 2000]), None);
    for (unscaled, scale, text) in [
        ("150", 9, "1.50E-7"),
        ("150", 2, "1.50"),
        ("-150", 2, "-1.50"),
        ("5", 3, "0.005"),
        ("1", 6, "0.000001"),
        ("1", 7, "1E-7"),
        ("12", -3, "1.2E+4"),
        ("0", 0, "0"),
        ("0", 2, "0.00"),
        ("7", i32::MIN, "7E+2147483648"),
        ("7", i32::MAX, "7E-2147483647"),
    ] {
        assert_eq!(big_decimal(unscaled, scale), text);
    }
}

#[test]
fn numbers_become_doubles() {
    assert_eq!(Number::Big("1.50E-7".to_owned()).as_f64(), 1.5e-7);
    assert_eq!(Number::Integer(-3).as_f64(), -3.0);
    assert_eq!(Number::Double(1.5e-7).to_string(), "1.5E-7");
    assert_ne!(Value::Null, Value::Array);
}

proptest! {
    #[test]
    fn a_text_reads_back(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        prop_assert_eq!(double(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        let value = f32::from_bits(bits as u32);
        prop_assume!(value.is_finite());
        prop_assert_eq!(float(value).parse::<f32>().unwrap().to_bits(), value.to_bits());
    }

    #[test]
    fn big_integers_are_exact(value in any::<i128>()) {
        let text = big_integer(value < 0, &value.unsigned_abs().to_be_bytes()).unwrap();
        prop_assert_eq!(text, value.to_string());
    }
}
