//! Numbers as Prometheus' own libraries print them: Go's format `g` with the fewest digits that
//! read back alike, `1e+06` from a million on, `0.0001` down to that.

#[cfg(test)]
mod tests;

/// Whole numbers below this are exact, and their digits are the fewest there are.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// From here on Go writes an exponent.
const EXPONENT_MIN: f64 = 1e6;
/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = pairs();

const fn pairs() -> [[u8; 2]; 100] {
    let mut table = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        table[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    table
}

/// A value of the text format.
#[inline]
pub(super) fn push(out: &mut Vec<u8>, value: f64) {
    let magnitude = value.abs();
    // The cast drops a fraction, so that it tells whole numbers, without a call into libm.
    if magnitude < WHOLE_MAX && (magnitude as u64) as f64 == magnitude {
        if value < 0.0 {
            out.push(b'-');
        }
        let mut buffer = [0; 20];
        let digits = decimal(&mut buffer, magnitude as u64);
        if magnitude < EXPONENT_MIN {
            out.extend_from_slice(digits);
        } else {
            scientific(out, trim_end(digits), digits.len() as i32 - 1);
        }
    } else {
        push_other(out, value);
    }
}

/// A value, or the value of `le` and `quantile`, in OpenMetrics: never without `.` or exponent.
#[inline]
pub(super) fn push_float(out: &mut Vec<u8>, value: f64) {
    let start = out.len();
    push(out, value);
    if value.is_finite() && memchr::memchr2(b'.', b'e', &out[start..]).is_none() {
        out.extend_from_slice(b".0");
    }
}

/// A number of observations: all its digits when it is whole.
#[inline]
pub(super) fn push_count(out: &mut Vec<u8>, value: f64) {
    if is_whole(value) {
        out.extend_from_slice(decimal(&mut [0; 20], value as u64));
    } else {
        push(out, value);
    }
}

/// Whether a number of observations can be written as an integer without loss.
#[inline]
pub(super) fn is_whole(value: f64) -> bool {
    (0.0..WHOLE_MAX).contains(&value) && (value as u64) as f64 == value
}

/// Decimal digits, written to the end of `buffer`.
#[inline]
pub(super) fn decimal(buffer: &mut [u8; 20], mut number: u64) -> &[u8] {
    let mut at = buffer.len();
    while number >= 10 {
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if number > 0 || at == buffer.len() {
        at -= 1;
        buffer[at] = b'0' + number as u8;
    }
    &buffer[at..]
}

fn push_other(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
        return;
    }
    if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
        return;
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // At most 17 digits, and the zeros that ryu writes before or after them.
    let mut digits = [0; 40];
    let mut length = 0;
    for digit in whole.bytes().chain(fraction.bytes()).take(digits.len()) {
        digits[length] = digit;
        length += 1;
    }
    let leading = digits[..length].iter().take_while(|digit| **digit == b'0').count();
    let digits = trim_end(&digits[leading..length]);
    let point = whole.len() as i32 - leading as i32 + exponent;
    if (-3..=6).contains(&point) {
        fixed(out, digits, point);
    } else {
        scientific(out, digits, point - 1);
    }
}

fn trim_end(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    &digits[..digits.len() - zeros]
}

/// `point` is the number of digits before the decimal point.
fn fixed(out: &mut Vec<u8>, digits: &[u8], point: i32) {
    match usize::try_from(point) {
        Ok(point) if point >= digits.len() => {
            out.extend_from_slice(digits);
            out.resize(out.len() + point - digits.len(), b'0');
        }
        Ok(point) if point > 0 => {
            out.extend_from_slice(&digits[..point]);
            out.push(b'.');
            out.extend_from_slice(&digits[point..]);
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + point.unsigned_abs() as usize, b'0');
            out.extend_from_slice(digits);
        }
    }
}

fn scientific(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let exponent = exponent.unsigned_abs();
    if exponent < 10 {
        out.push(b'0');
    }
    out.extend_from_slice(decimal(&mut [0; 20], u64::from(exponent)));
}
