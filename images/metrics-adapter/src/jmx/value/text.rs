//! Numbers as Java prints them: a rule may capture the text of a value.

/// Longest magnitude of a big integer in bytes; printing one is quadratic.
const MAGNITUDE_BYTES_MAX: usize = 1024;

/// As `Double.toString`.
pub(super) fn double(value: f64) -> String {
    if !value.is_finite() {
        return not_finite(value.is_nan(), value < 0.0);
    }
    let shortest = format!("{value:e}");
    // Of one digit, Java takes the nearest text with two: 4.9E-324, not 5.0E-324.
    let two = format!("{value:.1e}");
    let exact = is_one_digit(&shortest) && two.parse() == Ok(value);
    java(if exact { &two } else { &shortest })
}

/// As `Float.toString`.
pub(super) fn float(value: f32) -> String {
    if !value.is_finite() {
        return not_finite(value.is_nan(), value < 0.0);
    }
    let shortest = format!("{value:e}");
    let two = format!("{value:.1e}");
    let exact = is_one_digit(&shortest) && two.parse() == Ok(value);
    java(if exact { &two } else { &shortest })
}

/// As `BigInteger.toString`: a sign and a magnitude, most significant byte first. `None` when it is
/// longer than metrics need.
pub(crate) fn big_integer(negative: bool, magnitude: &[u8]) -> Option<String> {
    let first = magnitude.iter().position(|byte| *byte != 0).unwrap_or(magnitude.len());
    let magnitude = &magnitude[first..];
    if magnitude.len() > MAGNITUDE_BYTES_MAX {
        return None;
    }
    // Nine decimal digits a limb, least significant first.
    const BASE: u64 = 1_000_000_000;
    let mut limbs: Vec<u64> = Vec::new();
    for byte in magnitude {
        let mut carry = u64::from(*byte);
        for limb in &mut limbs {
            carry += *limb << 8;
            *limb = carry % BASE;
            carry /= BASE;
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let Some((top, rest)) = limbs.split_last() else { return Some("0".to_owned()) };
    let mut text = format!("{}{top}", if negative { "-" } else { "" });
    for limb in rest.iter().rev() {
        text.push_str(&format!("{limb:09}"));
    }
    Some(text)
}

/// As `BigDecimal.toString`: `unscaled` is the text of an integer, the value `unscaled / 10^scale`.
pub(crate) fn big_decimal(unscaled: &str, scale: i32) -> String {
    if scale == 0 {
        return unscaled.to_owned();
    }
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", unscaled),
    };
    let adjusted = digits.len() as i64 - 1 - i64::from(scale);
    if scale > 0 && adjusted >= -6 {
        // At most six zeros are put in front.
        let padded = format!("{digits:0>width$}", width = scale as usize + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale as usize);
        return format!("{sign}{whole}.{fraction}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    match adjusted {
        0 => format!("{sign}{first}{point}{rest}"),
        _ => format!("{sign}{first}{point}{rest}E{adjusted:+}"),
    }
}

fn not_finite(nan: bool, negative: bool) -> String {
    match (nan, negative) {
        (true, _) => "NaN",
        (_, true) => "-Infinity",
        _ => "Infinity",
    }
    .to_owned()
}

fn is_one_digit(scientific: &str) -> bool {
    scientific.split('e').next().is_some_and(|digits| !digits.contains('.'))
}

/// `-1.25e-7` as Java writes it: plain from 10^-3 to below 10^7, with at least one digit after the
/// point everywhere.
fn java(scientific: &str) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // 1.0e0 and 1e0 are the same digits.
    let rest = rest.trim_end_matches('0');
    let zero = first == "0";
    if !zero && !(-3..7).contains(&exponent) {
        let rest = if rest.is_empty() { "0" } else { rest };
        return format!("{sign}{first}.{rest}E{exponent}");
    }
    let digits = format!("{first}{rest}");
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = exponent as usize + 1;
    let digits = format!("{digits:0<whole$}");
    let (whole, fraction) = digits.split_at(whole);
    format!("{sign}{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
}
