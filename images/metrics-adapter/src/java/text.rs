//! Modified UTF-8: a zero is two bytes, and what lies beyond U+FFFF is a pair of surrogates of
//! three bytes each.

/// Appends the text of bytes; false where they are no modified UTF-8. Half a surrogate pair, which
/// Java allows, becomes U+FFFD.
pub(super) fn decode(bytes: &[u8], to: &mut String) -> bool {
    if bytes.is_ascii()
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        to.push_str(text);
        return true;
    }
    let Some(units) = units(bytes) else { return false };
    to.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    true
}

fn units(bytes: &[u8]) -> Option<Vec<u16>> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let low = |byte: u8| (byte & 0xc0 == 0x80).then_some(u16::from(byte & 0x3f));
    while let [first, behind @ ..] = rest {
        let unit;
        (unit, rest) = match (*first, behind) {
            (0..=0x7f, _) => (u16::from(*first), behind),
            (0xc0..=0xdf, [b, behind @ ..]) => ((u16::from(*first & 0x1f) << 6) | low(*b)?, behind),
            (0xe0..=0xef, [b, c, behind @ ..]) => {
                ((u16::from(*first & 0x0f) << 12) | (low(*b)? << 6) | low(*c)?, behind)
            }
            _ => return None,
        };
        units.push(unit);
    }
    Some(units)
}

/// Appends a text in modified UTF-8.
pub(super) fn encode(text: &str, to: &mut Vec<u8>) {
    // A zero byte and four-byte sequences are all that differs.
    if !text.bytes().any(|byte| byte == 0 || byte >= 0xf0) {
        to.extend_from_slice(text.as_bytes());
        return;
    }
    for unit in text.encode_utf16() {
        let [high, middle, low] = [(unit >> 12) as u8, (unit >> 6) as u8 & 0x3f, unit as u8 & 0x3f];
        match unit {
            1..=0x7f => to.push(unit as u8),
            0 | 0x80..=0x7ff => to.extend([0xc0 | (unit >> 6) as u8, 0x80 | low]),
            _ => to.extend([0xe0 | high, 0x80 | middle, 0x80 | low]),
        }
    }
}
