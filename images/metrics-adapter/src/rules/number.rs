//! Numbers as Java reads them.

/// Reads a text as `Double.valueOf` does: blanks around it, `1e3`, `NaN`, `Infinity`, a trailing
/// `d` or `f`, hexadecimal floats not.
pub(super) fn java_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    match rest {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    let digits = rest.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(rest);
    let plain =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !digits.bytes().all(plain) {
        return None;
    }
    digits.parse::<f64>().ok().map(|value| sign * value)
}
