//! Numbers as Go's `ParseFloat` takes them: the senders' libraries were written against it.

/// 10 to the power of the index: all that are exact.
const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Reads a value as Go's `ParseFloat` does: decimal, hexadecimal (with its `p` exponent), `inf`,
/// `infinity`, `nan` in any case, single underscores between digits. A number too large for a
/// double is none; one too small is zero.
#[must_use]
#[inline]
pub fn number(text: &[u8]) -> Option<f64> {
    short(text).or_else(|| long(text))
}

/// At most 15 digits with a point anywhere: integer and power of ten are exact, so one division
/// rounds as it must.
#[inline]
fn short(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let mut integer = 0u64;
    let mut point = None;
    for (at, &byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            integer = integer * 10 + u64::from(digit);
        } else if byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let value = match point {
        None if digits.len() == 16 => return None,
        None => integer as f64,
        Some(_) if digits.len() == 1 => return None,
        Some(at) => integer as f64 / POWERS[digits.len() - 1 - at],
    };
    Some(if negative { -value } else { value })
}

#[cold]
fn long(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
        return Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    // Unlike an infinity it has no sign.
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    let hexadecimal = unsigned.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"));
    if unsigned.contains('_') {
        return underscores_are_between_digits(unsigned.as_bytes(), hexadecimal)
            .then(|| long(text.replace('_', "").as_bytes()))?;
    }
    let value = if hexadecimal {
        self::hexadecimal(&unsigned.as_bytes()[2..])?
    } else {
        // What `parse` takes beyond numbers is words.
        let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        let first = *unsigned.as_bytes().first()?;
        if !unsigned.bytes().all(plain) || matches!(first, b'+' | b'-') {
            return None;
        }
        unsigned.parse().ok().filter(|value: &f64| value.is_finite())?
    };
    Some(if negative { -value } else { value })
}

/// The prefix `0x` counts as a digit.
fn underscores_are_between_digits(text: &[u8], hexadecimal: bool) -> bool {
    let digit = |byte: u8| {
        byte.is_ascii_digit()
            || hexadecimal && (byte.is_ascii_hexdigit() || byte == b'x' || byte == b'X')
    };
    let at = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|&byte| digit(byte));
    let mut places = memchr::memchr_iter(b'_', text);
    places.all(|place| at(place.checked_sub(1)) && at(Some(place + 1)))
}

/// `1.8p-3`, after the prefix.
fn hexadecimal(text: &[u8]) -> Option<f64> {
    let end = memchr::memchr2(b'p', b'P', text)?;
    let (digits, exponent) = (&text[..end], &text[end + 1..]);
    let mut mantissa = 0u64;
    let mut shift = 0i32;
    let mut point = false;
    let mut some = false;
    for &byte in digits {
        if byte == b'.' && !point {
            point = true;
            continue;
        }
        let digit = u64::from((byte as char).to_digit(16)?);
        some = true;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            shift = if point { shift.saturating_sub(4) } else { shift };
        } else {
            // Below the last bit that counts; that there is something decides ties.
            mantissa |= u64::from(digit != 0);
            shift = if point { shift } else { shift.saturating_add(4) };
        }
    }
    let (negative, exponent) = match exponent {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if !some || exponent.is_empty() || !exponent.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let power = exponent.iter().fold(0i32, |power, digit| {
        power.saturating_mul(10).saturating_add(i32::from(digit - b'0')).min(1 << 24)
    });
    binary(mantissa, shift.saturating_add(if negative { -power } else { power }))
}

/// `mantissa * 2^power`, rounded to even; `None` when it is too large.
fn binary(mantissa: u64, power: i32) -> Option<f64> {
    if mantissa == 0 {
        return Some(0.0);
    }
    let bits = 64 - mantissa.leading_zeros() as i32;
    let magnitude = power.saturating_add(bits - 1);
    if magnitude > 1023 {
        return None;
    }
    // Bits of the result: fewer where it is subnormal.
    let precision = 53 - (-1022 - magnitude).max(0);
    let drop = (bits - precision).max(0);
    if drop > bits + 1 {
        return Some(0.0);
    }
    let wide = u128::from(mantissa);
    let (kept, rest) = (wide >> drop, wide & ((1 << drop) - 1));
    let half = if drop == 0 { 1 } else { 1u128 << (drop - 1) };
    let up = rest > half || drop > 0 && rest == half && kept & 1 == 1;
    let kept = (kept + u128::from(up)) as f64;
    let power = power + drop;
    // Below the normal numbers the factor itself is no double; two steps are exact all the same.
    let value = if power < -1022 {
        kept * 2f64.powi(power + 1022) * f64::MIN_POSITIVE
    } else {
        kept * 2f64.powi(power)
    };
    value.is_finite().then_some(value)
}
