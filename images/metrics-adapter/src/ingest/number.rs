//! Short decimals, read exactly: what nearly every statsd value is.

#[cfg(test)]
mod tests;

/// Powers of ten that a double holds exactly, as far as [`short`] needs them.
const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Reads `[+-]digits[.digits]` with at most 15 digits. `None` says nothing about whether the text
/// is a number: [`crate::line::number`] is to be asked then.
///
/// 15 digits and a power of ten up to 15 are both exact in a double, so their quotient is rounded
/// once and therefore the nearest double.
#[inline]
#[must_use]
pub(super) fn short(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    // Fifteen digits and a point; nothing to read gives no digit below.
    if digits.len() > 16 {
        return None;
    }
    let (mut mantissa, mut read, mut point) = (0_u64, 0_usize, None);
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa * 10 + u64::from(digit);
            read += 1;
        } else if byte == b'.' && point.is_none() {
            point = Some(read);
        } else {
            return None;
        }
    }
    if read == 0 || read > 15 {
        return None;
    }
    // Below 10^15, which is below 2^53: exact.
    let whole = mantissa as f64;
    let value = match point {
        None => whole,
        Some(at) => whole / POWERS[read - at],
    };
    Some(if negative { -value } else { value })
}
