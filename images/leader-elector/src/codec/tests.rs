//! What is written is read again, and nothing else is.

use proptest::prelude::*;

use super::{CodecError, Reader, Writer};

proptest! {
    #[test]
    fn values_survive(number: u64, signed: i64, flag: bool, text: String, maybe: Option<String>) {
        let mut writer = Writer::default();
        writer.number(number).signed(signed).flag(flag).text(&text).optional(maybe.as_deref());
        let mut reader = Reader::new(&writer.bytes);
        prop_assert_eq!(reader.number(), Ok(number));
        prop_assert_eq!(reader.signed(), Ok(signed));
        prop_assert_eq!(reader.flag(), Ok(flag));
        prop_assert_eq!(&*reader.text(text.len()).unwrap(), text.as_str());
        prop_assert_eq!(reader.optional(usize::MAX).unwrap(), maybe.map(Into::into));
        prop_assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn a_number_has_one_form(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        let mut reader = Reader::new(&bytes);
        if let Ok(number) = reader.number() {
            let mut writer = Writer::default();
            writer.number(number);
            prop_assert_eq!(&writer.bytes[..], &bytes[..bytes.len() - reader.remaining()]);
        }
    }
}

#[test]
fn malformed_numbers_are_refused() {
    let number = |bytes: &[u8]| Reader::new(bytes).number();
    assert_eq!(number(&[]), Err(CodecError::Short));
    assert_eq!(number(&[0x80]), Err(CodecError::Short));
    assert_eq!(number(&[0x80, 0x00]), Err(CodecError::Number));
    assert_eq!(number(&[0xff; 11]), Err(CodecError::Number));
    let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(number(&max), Ok(u64::MAX));
}

#[test]
fn lengths_are_checked_before_anything_is_taken() {
    let mut writer = Writer::default();
    writer.number(u64::MAX);
    assert_eq!(Reader::new(&writer.bytes).slice(100), Err(CodecError::Large));
    assert_eq!(Reader::new(&writer.bytes).count(100), Err(CodecError::Large));
    assert_eq!(Reader::new(&[50, 1]).slice(100), Err(CodecError::Short));
    assert_eq!(Reader::new(&[50, 1]).count(100), Err(CodecError::Short));
    assert_eq!(Reader::new(&[1, 0xff]).text(100), Err(CodecError::Text));
    assert_eq!(Reader::new(&[2]).flag(), Err(CodecError::Tag(2)));
    assert_eq!(Reader::new(&[2]).end(), Err(CodecError::Trailing));
}
