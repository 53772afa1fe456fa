//! Delimited protobuf.

use super::{Kind, Native, Pairs, ReadFamily, Sample};
use crate::exposition::number;

/// Most empty buckets that a span may stand for.
const SPAN_MAX: u64 = 100_000;

/// A field of a message.
enum Field<'a> {
    Integer(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// Reads a sequence of families.
pub(super) fn read(mut rest: &[u8]) -> Result<Vec<ReadFamily>, String> {
    let mut families = Vec::new();
    while !rest.is_empty() {
        let length = varint(&mut rest)?;
        families.push(family(take(&mut rest, length)?)?);
    }
    Ok(families)
}

/// A number as the text format shows it.
pub(super) fn shown(value: f64) -> String {
    let mut text = Vec::new();
    number::push(&mut text, value);
    String::from_utf8(text).expect("numbers are ASCII")
}

fn family(bytes: &[u8]) -> Result<ReadFamily, String> {
    let mut family = ReadFamily { kind: Kind::Counter, ..ReadFamily::default() };
    let mut metrics = Vec::new();
    each(bytes, |number, field| {
        match (number, field) {
            (1, Field::Bytes(name)) => family.name = text(name)?,
            (2, Field::Bytes(help)) => family.help = text(help)?,
            (3, Field::Integer(kind)) => {
                use Kind::{Counter, Gauge, Histogram, Summary, Untyped};
                let kinds = [Counter, Gauge, Summary, Untyped, Histogram];
                let kind = usize::try_from(kind).ok().and_then(|kind| kinds.get(kind));
                family.kind = *kind.ok_or("type")?;
            }
            (4, Field::Bytes(metric)) => metrics.push(metric),
            _ => return Err(format!("field {number} of a family")),
        }
        Ok(())
    })?;
    for bytes in metrics {
        metric(&mut family, bytes)?;
    }
    Ok(family)
}

fn metric(family: &mut ReadFamily, bytes: &[u8]) -> Result<(), String> {
    let mut labels = Pairs::new();
    let mut value = None;
    each(bytes, |number, field| {
        let Field::Bytes(bytes) = field else { return Err(format!("field {number} of a metric")) };
        if number == 1 {
            let mut pair = (String::new(), String::new());
            each(bytes, |number, field| match (number, field) {
                (1, Field::Bytes(name)) => text(name).map(|name| pair.0 = name),
                (2, Field::Bytes(value)) => text(value).map(|value| pair.1 = value),
                _ => Err(format!("field {number} of a label")),
            })?;
            labels.push(pair);
            return Ok(());
        }
        value.replace((number, bytes)).map_or(Ok(()), |_| Err("two values".to_owned()))
    })?;
    let (number, bytes) = value.ok_or("no value")?;
    let fitting = match family.kind {
        Kind::Gauge => 2,
        Kind::Counter => 3,
        Kind::Summary => 4,
        Kind::Untyped => 5,
        Kind::Histogram => 7,
    };
    if number != fitting {
        return Err(format!("field {number} in a {:?}", family.kind));
    }
    let mut push = |suffix: &str, own: Option<(&str, f64)>, value: f64| {
        let mut labels = labels.clone();
        labels.extend(own.map(|(name, value)| (name.to_owned(), shown(value))));
        family.samples.push(Sample { name: format!("{}{suffix}", family.name), labels, value });
    };
    match family.kind {
        Kind::Summary => {
            let (mut sum, mut count) = (0.0, 0.0);
            each(bytes, |number, field| match (number, field) {
                (1, Field::Integer(value)) => set(&mut count, value as f64),
                (2, Field::Double(value)) => set(&mut sum, value),
                (3, Field::Bytes(bytes)) => {
                    let [quantile, value] = doubles(bytes)?;
                    push("", Some(("quantile", quantile)), value);
                    Ok(())
                }
                _ => Err(format!("field {number} of a summary")),
            })?;
            push("_sum", None, sum);
            push("_count", None, count);
        }
        Kind::Histogram => {
            let Histogram { buckets, sum, native } = histogram(bytes)?;
            for (bound, count) in buckets {
                push("_bucket", Some(("le", bound)), count);
            }
            push("_sum", None, sum);
            push("_count", None, native.count);
            if native.zero_threshold > 0.0 {
                family.natives.push((labels, native));
            }
        }
        Kind::Counter | Kind::Gauge | Kind::Untyped => {
            let [value, _] = doubles(bytes)?;
            push("", None, value);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Histogram {
    buckets: Vec<(f64, f64)>,
    sum: f64,
    native: Native,
}

fn histogram(bytes: &[u8]) -> Result<Histogram, String> {
    let mut all = Histogram::default();
    let mut native = Native::default();
    let (mut spans, mut counts) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    each(bytes, |number, field| {
        let side = usize::from(number >= 12);
        match (number, field) {
            (1, Field::Integer(count)) => set(&mut native.count, count as f64)?,
            (4, Field::Double(value)) => native.count = value,
            (8, Field::Double(value)) => native.zero_count = value,
            (2, Field::Double(value)) => all.sum = value,
            (3, Field::Bytes(bytes)) => all.buckets.push(bucket(bytes)?),
            (5, Field::Integer(schema)) => {
                native.schema = i32::try_from(zigzag(schema)).map_err(|_| "schema")?;
            }
            (6, Field::Double(value)) => native.zero_threshold = value,
            (7, Field::Integer(count)) => native.zero_count = count as f64,
            (9 | 12, Field::Bytes(bytes)) => spans[side].push(span(bytes)?),
            (10 | 13, Field::Bytes(mut rest)) => {
                let mut count = 0_i64;
                while !rest.is_empty() {
                    count = count.checked_add(zigzag(varint(&mut rest)?)).ok_or("delta")?;
                    counts[side].push(count as f64);
                }
            }
            (11 | 14, Field::Bytes(bytes)) => {
                let (values, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err("half a double".to_owned());
                }
                counts[side].extend(values.iter().map(|bytes| f64::from_le_bytes(*bytes)));
            }
            _ => return Err(format!("field {number} of a histogram")),
        }
        Ok(())
    })?;
    native.negative = join(&spans[0], &counts[0])?;
    native.positive = join(&spans[1], &counts[1])?;
    all.native = native;
    Ok(all)
}

fn bucket(bytes: &[u8]) -> Result<(f64, f64), String> {
    let (mut bound, mut count, mut exact) = (0.0, 0.0, None);
    each(bytes, |number, field| match (number, field) {
        (1, Field::Integer(value)) => set(&mut count, value as f64),
        (2, Field::Double(value)) => set(&mut bound, value),
        (4, Field::Double(value)) => {
            exact = Some(value);
            Ok(())
        }
        _ => Err(format!("field {number} of a bucket")),
    })?;
    Ok((bound, exact.unwrap_or(count)))
}

fn span(bytes: &[u8]) -> Result<(i32, u64), String> {
    let (mut offset, mut length) = (0, 0);
    each(bytes, |number, field| match (number, field) {
        (1, Field::Integer(value)) => {
            offset = i32::try_from(zigzag(value)).map_err(|_| "offset")?;
            Ok(())
        }
        (2, Field::Integer(value)) if value <= SPAN_MAX => {
            length = value;
            Ok(())
        }
        _ => Err(format!("field {number} of a span")),
    })?;
    Ok((offset, length))
}

/// Gives the counts the indexes that the spans tell; empty buckets are dropped.
fn join(spans: &[(i32, u64)], counts: &[f64]) -> Result<Vec<(i32, f64)>, String> {
    let mut counts = counts.iter();
    let mut buckets = Vec::new();
    let mut index = 0_i32;
    for &(offset, length) in spans {
        index = index.checked_add(offset).ok_or("offset")?;
        for _ in 0..length {
            buckets.push((index, *counts.next().ok_or("fewer counts than spans")?));
            index = index.checked_add(1).ok_or("index")?;
        }
    }
    buckets.retain(|(_, count)| *count != 0.0);
    if counts.next().is_some() { Err("more counts than spans".to_owned()) } else { Ok(buckets) }
}

/// A message of up to two doubles.
fn doubles(bytes: &[u8]) -> Result<[f64; 2], String> {
    let mut values = [0.0; 2];
    each(bytes, |number, field| match (number, field) {
        (1, Field::Double(value)) => set(&mut values[0], value),
        (2, Field::Double(value)) => set(&mut values[1], value),
        _ => Err(format!("field {number} where doubles are")),
    })?;
    Ok(values)
}

#[expect(clippy::unnecessary_wraps, reason = "ends arms of a match that can fail")]
fn set(to: &mut f64, value: f64) -> Result<(), String> {
    *to = value;
    Ok(())
}

fn each<'a>(
    mut rest: &'a [u8],
    mut take_field: impl FnMut(u64, Field<'a>) -> Result<(), String>,
) -> Result<(), String> {
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let field = match key & 7 {
            0 => Field::Integer(varint(&mut rest)?),
            1 => {
                let bytes = take(&mut rest, 8)?.try_into().map_err(|_| "double")?;
                Field::Double(f64::from_le_bytes(bytes))
            }
            2 => {
                let length = varint(&mut rest)?;
                Field::Bytes(take(&mut rest, length)?)
            }
            wire => return Err(format!("wire type {wire}")),
        };
        take_field(key >> 3, field)?;
    }
    Ok(())
}

fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or("cut off")?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("endless integer".to_owned())
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], String> {
    let at = usize::try_from(length).map_err(|_| "length")?;
    let (bytes, tail) = rest.split_at_checked(at).ok_or("cut off")?;
    *rest = tail;
    Ok(bytes)
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())
}
