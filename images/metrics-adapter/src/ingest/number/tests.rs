use proptest::prelude::*;

use super::short;

#[test]
fn reads_short_decimals_and_leaves_the_rest_to_others() {
    let read = [
        ("0", 0.0),
        ("7", 7.0),
        ("-7", -7.0),
        ("+7", 7.0),
        ("0.1", 0.1),
        (".5", 0.5),
        ("5.", 5.0),
        ("320.75", 320.75),
        ("999999999999999", 999_999_999_999_999.0),
        ("0.00000000000001", 1e-14),
        ("123456.789012345", 123_456.789_012_345),
    ];
    for (text, value) in read {
        assert_eq!(short(text.as_bytes()).map(f64::to_bits), Some(f64::to_bits(value)), "{text}");
    }
    assert!(short(b"-0").is_some_and(f64::is_sign_negative));
    let left = [
        "",
        "-",
        "+",
        ".",
        "-.",
        "1.2.3",
        "1e3",
        "0x1",
        "inf",
        "NaN",
        "--1",
        "+-1",
        "1 ",
        " 1",
        "1_0",
        "1:2",
        "1234567890123456",
        "0.3000000000000000",
        "0.30000000000000004",
    ];
    for text in left {
        assert_eq!(short(text.as_bytes()), None, "{text}");
    }
}

proptest! {
    #[test]
    fn agrees_with_the_standard_library(text in "[+-]?[0-9]{0,8}(\\.[0-9]{0,8})?") {
        if let Some(value) = short(text.as_bytes()) {
            let expected: f64 = text.parse().unwrap();
            prop_assert_eq!(value.to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = short(&bytes);
    }
}
